"""Miners who multiply once and want to be paid again: another header, another binding, another result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np

from chain.blocks import Header
from chain.types import Address, BlockHash, Hash32, Height, JobId
from compute.spec.claim import NO_BINDING, Binding
from tests.attacks.broken import present_with
from tests.attacks.counting import Operations, Yield
from tests.attacks.draws import Draw, Forged, Mined, book_commitment, judged, mine, prepare
from tests.attacks.settings import SIGMA, Setting, direct_sums

JOB = Binding(job=JobId(b"\x05" * 32), step=2)
_ZEROS = Hash32(bytes(32))
HEADER = Header(
    version=1,
    chain_id=b"attacked",
    parent=BlockHash(_ZEROS),
    height=Height(7),
    time_ms=1_000,
    target=1 << 200,
    extra_nonce=0,
    transaction_root=_ZEROS,
    state_root=_ZEROS,
    receipt_root=_ZEROS,
    votes_root=_ZEROS,
    miner=Address(bytes(20)),
    certificate_hash=_ZEROS,
)


def changed_headers() -> Iterator[tuple[str, Header]]:
    """Each field of the header changed by itself; the certificate hash is the proof's own and not part of it."""
    for field in fields(Header):
        if field.name != "certificate_hash":
            value: Any = getattr(HEADER, field.name)
            other = value + 1 if isinstance(value, int) else value[:-1] + bytes([value[-1] ^ 1])
            yield field.name, replace(HEADER, **{field.name: other})


def other_bindings() -> Iterator[tuple[str, Binding]]:
    """The binding stripped, moved to another step and to another job."""
    yield "stripped", NO_BINDING
    yield "step", Binding(job=JOB.job, step=3)
    yield "job", Binding(job=JobId(b"\x06" * 32), step=2)


def mined_once(account: Operations, setting: Setting, sigma: bytes, binding: Binding = NO_BINDING) -> Mined:
    """An honest attempt on random matrices."""
    draw = prepare(account, sigma, setting.profile, *setting.random(), binding=binding)
    return mine(account, draw, lambda segment: direct_sums(account, draw, segment))


def accepted(mined: Mined, draw: Draw) -> frozenset[Hash32]:
    """The tickets that a verifier accepts for old transcripts presented as another draw."""
    try:
        return judged(replace(mined, draw=draw))
    except Forged:
        return frozenset()


def under_other_headers(setting: Setting) -> Yield:
    """Present every win under other headers, first as it is, then with both matrices committed to anew."""
    account = Operations()
    mined = mined_once(account, setting, HEADER.sigma())
    tickets = len(judged(mined))
    for _, header in changed_headers():
        as_it_is = accepted(mined, replace(mined.draw, sigma=header.sigma()))
        fresh = prepare(Operations(), header.sigma(), setting.profile, mined.draw.a, mined.draw.b_t)
        for commitment in (fresh.commitment_a, fresh.commitment_b):
            book_commitment(account, commitment, setting.profile)
        tickets += len(as_it_is | accepted(mined, fresh))
    return Yield(account, tickets)


def under_other_bindings(setting: Setting) -> Yield:
    """Present every win of a job's product as nobody's, as another step's and as another job's."""
    account = Operations()
    mined = mined_once(account, setting, SIGMA, JOB)
    tickets = len(judged(mined))
    for _, binding in other_bindings():
        tickets += len(accepted(mined, replace(mined.draw, mu=replace(mined.draw.mu, binding=binding))))
    return Yield(account, tickets)


def under_new_headers(setting: Setting, headers: int = 16) -> Yield:
    """Change the extra nonce after the multiplication, hoping that every change draws anew."""
    account = Operations()
    mined = mined_once(account, setting, HEADER.sigma())
    drawn: set[Hash32] = set()
    for nonce in range(headers):
        sigma = replace(HEADER, extra_nonce=nonce).sigma()
        present_with(sigma)
        drawn |= accepted(mined, replace(mined.draw, sigma=sigma))
        account.book_hash(64, times=len(mined.cubes))
    return Yield(account, len(drawn))


def with_other_results(setting: Setting, roots: int = 16) -> Yield:
    """One honest attempt, then one wrong leaf of the result after another, hoping that every root draws anew."""
    account = Operations()
    mined = mined_once(account, setting, SIGMA)
    drawn: set[Hash32] = set()
    for wrong in np.arange(roots, dtype=np.uint8):
        present_with(bytes(31) + wrong.tobytes())
        drawn |= accepted(mined, mined.draw)
        account.book_hash(64, times=len(mined.cubes))
    return Yield(account, len(drawn))
