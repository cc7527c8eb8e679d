"""Mining with one's own NumPy computation: the layers of a small integer network draw tickets while they are computed.

    python examples/mine_with_numpy.py                                   offline, a second or two
    python examples/mine_with_numpy.py --rpc http://127.0.0.1:8645       for a node: wins become blocks

The network tells ten patterns apart under noise, with weights and activations from -63 to 63. Its two matrix products
go through `compute.multiply` instead of `@`; nothing else changes, and the sums are the same to the last bit.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from compute import Template, Tickets, multiply
from compute.spec.certificate import Certificate
from compute.spec.profiles import DEV
from compute.spec.verify import verify_certificate

PATTERNS, PIXELS, HIDDEN, SAMPLES = 10, 1024, 512, 2048
LARGEST = 63
PRACTICE_WINS = 16
"""About as many of the tickets of one batch win offline: a practice target, far easier than a network's."""

Matrix = npt.NDArray[np.integer[Any]]
Product = Callable[[Matrix, Matrix], Matrix]


class Network:
    """Two integer layers: random features, then a vote of the features for each pattern."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._patterns = self._random.integers(-LARGEST, LARGEST + 1, (PATTERNS, PIXELS))
        self._first = self._random.integers(-LARGEST, LARGEST + 1, (PIXELS, HIDDEN))
        features = quantised(self._patterns @ self._first)
        self._second = quantised(features - features.mean(axis=0).astype(int)).T

    def samples(self) -> tuple[Matrix, Matrix]:
        """int[SAMPLES, PIXELS] noisy patterns, and which pattern each one is."""
        labels = self._random.integers(0, PATTERNS, SAMPLES)
        noise = self._random.normal(0, 2 * LARGEST, (SAMPLES, PIXELS))
        noisy = np.rint(self._patterns[labels] + noise)
        return np.clip(noisy, -LARGEST, LARGEST).astype(np.int8), labels

    def classify(self, samples: Matrix, product: Product) -> Matrix:
        """The pattern that each sample shows, with `product` for every matrix product."""
        features = quantised(np.maximum(product(samples, self._first), 0))
        votes: Matrix = product(features, self._second).argmax(axis=1)
        return votes


def quantised(sums: Matrix) -> Matrix:
    """Sums scaled into -63..63, as int8."""
    largest = max(1, int(np.abs(sums).max()))
    return (sums.astype(np.int64) * LARGEST // largest).astype(np.int8)


class MiningProduct:
    """Stands in for `@`: the same product, and what it drew."""

    def __init__(self, newest: Callable[[], Template], won: Callable[[bytes], None]) -> None:
        self._newest = newest
        self._won = won
        self.tickets = Tickets()

    def __call__(self, a: Matrix, b: Matrix) -> Matrix:
        template = self._newest()
        product, tickets = multiply(a, b, template)
        for win in tickets.winners:
            check(template, win.certificate, win.ticket)
        if tickets.winners:
            self._won(tickets.winners[0].certificate)
        self.tickets += tickets
        return product


def check(template: Template, certificate: bytes, ticket: bytes) -> None:
    """What every node does with a win: replay one cube of the product from the certificate alone."""
    proof = Certificate.from_bytes(certificate)
    assert verify_certificate(template.sigma, template.target, proof, template.profile) == ticket


def practice() -> Template:
    """A header that is none, and a target that a batch meets a few times."""
    tickets = (SAMPLES // DEV.tile) * (HIDDEN // DEV.tile) * (PIXELS // DEV.segment)
    target = (1 << 256) * PRACTICE_WINS // (tickets * DEV.cube_macs)
    return Template(sigma=b"practice", target=target, profile=DEV)


@contextmanager
def mining(url: str | None, say: Callable[[str], None]) -> Iterator[MiningProduct]:
    """A product that mines for the node at `url`, or for practice."""
    if url is None:
        yield MiningProduct(practice, lambda certificate: None)
        return
    from node.template_feed import TemplateFeed, template_of

    with TemplateFeed(url) as feed:
        work = feed.newest()

        def newest() -> Template:
            nonlocal work
            work = feed.newest()
            return template_of(work)

        def won(certificate: bytes) -> None:
            answer = feed.submit(work.version, certificate)
            say(
                f"  win handed in: {answer.outcome.value} {answer.block.hex() if answer.block else answer.reason}"
            )

        yield MiningProduct(newest, won)


def main(arguments: list[str] | None = None, say: Callable[[str], None] = print) -> None:
    """Classify batches and tell what they drew."""
    parser = argparse.ArgumentParser(description="Mine with the products of a small integer network.")
    parser.add_argument("--rpc", metavar="URL", help="mine for this node; without it, for practice")
    parser.add_argument(
        "--batches", type=int, default=3, help=f"of {SAMPLES} samples each (default: %(default)s)"
    )
    options = parser.parse_args(arguments)

    network = Network(seed=1)
    with mining(options.rpc, say) as product:
        for number in range(1, options.batches + 1):
            before = product.tickets
            samples, labels = network.samples()
            seen = network.classify(samples, product)
            assert np.array_equal(seen, network.classify(samples, plain)), "the products are exact"
            drawn, won = product.tickets.drawn - before.drawn, product.tickets.won - before.won
            right = np.count_nonzero(seen == labels) / SAMPLES
            say(f"batch {number}: {right:.1%} right, {drawn:,} tickets drawn, {won} below the target")
    say(
        f"{len(product.tickets.winners)} certificates made and verified, {product.tickets.macs / 1e9:.1f} GMAC in all"
    )


def plain(a: Matrix, b: Matrix) -> Matrix:
    """NumPy's own product, for comparison; exact, as every sum stays below 2^53."""
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)


if __name__ == "__main__":
    main()
