"""Building block templates and sealing them with a certificate."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chain.blocks import HEADER_VERSION, Block, Header
from chain.errors import Invalid
from chain.types import ZERO_HASH, Address, Hash32, Height
from consensus.difficulty import next_target
from consensus.transition import EMPTY_VOTES_ROOT, Transition
from node.chain import Chain
from node.mempool import Mempool

_TRIED_WHEN_FULL = 64
"""Transactions that may still be tried for the last room of a block; a full pool must not hold the node up."""


@dataclass(frozen=True, slots=True)
class Template:
    """A block without its proof; `header.sigma()` is what the work is done over."""

    number: int
    header: Header
    transactions: tuple[bytes, ...]

    def sealed(self, certificate: bytes) -> Block:
        """The block this template becomes with a winning certificate."""
        return Block(self.header.with_certificate(certificate), certificate, self.transactions, ())

    def given_to(self, miner: Address, number: int, now_ms: int) -> Template:
        """The same block for a miner, now: no rule of the transition depends on either, both act one block later."""
        time_ms = max(now_ms, self.header.time_ms)
        return Template(
            number, replace(self.header, miner=miner, time_ms=time_ms, extra_nonce=number), self.transactions
        )


def build_template(chain: Chain, mempool: Mempool, miner: Address, number: int, now_ms: int) -> Template:
    """The best block on top of the head with what is waiting, as a template."""
    parent = chain.head
    transition = Transition(chain.spec, chain.state, chain.parent_of(parent))
    chosen: list[bytes] = []
    too_many = 0
    for data, parsed in mempool.candidates():
        try:
            transition.add(data, parsed)
        except (
            Invalid
        ) as error:  # does not fit into this block; the pool keeps or drops it when the head changes
            too_many += error.code == "BLOCK_FULL"
            if too_many > _TRIED_WHEN_FULL:
                break
            continue
        chosen.append(data)
    outcome = transition.finish()
    header = Header(
        version=HEADER_VERSION,
        chain_id=chain.spec.chain_id,
        parent=parent.id,
        height=Height(parent.height + 1),
        time_ms=max(now_ms, parent.time_ms + 1),
        target=next_target(chain.spec, chain.genesis, parent),
        extra_nonce=number,
        transaction_root=outcome.transaction_root,
        state_root=chain.stage_root(outcome),
        receipt_root=outcome.receipt_root,
        votes_root=EMPTY_VOTES_ROOT,
        miner=miner,
        certificate_hash=Hash32(ZERO_HASH),
    )
    return Template(number, header, tuple(chosen))
