"""Real blocks for tests of the node: the test profile at its easiest target is solved in milliseconds."""

from __future__ import annotations

from itertools import count

from chain.blocks import Block
from chain.kv import KV, MemoryKV
from chain.types import Grains, Height
from compute.engines.numpy_blocks import NumpyEngine
from compute.messages import Mine
from compute.workbench import Workbench
from genesis.spec import ChainSpec
from node.chain import Chain, HeadChange
from node.checks import check_block
from node.mempool import Mempool
from node.producer import Template, build_template
from tests.builders import funded_spec, key
from vm.envelope import Transaction
from vm.kinds.accounts import Transfer

SPEC = funded_spec()


def transfer(sender: int, nonce: int, amount: int, tip: int = 0, to: int = 6) -> bytes:
    """A signed payment."""
    body = Transfer(key(to).address, Grains(amount), b"").to_bytes()
    unsigned = Transaction(
        1,
        SPEC.chain_id,
        "transfer",
        key(sender).address,
        nonce,
        Grains(10**9),
        Grains(tip),
        Height(1000),
        body,
        (),
    )
    return unsigned.signed(key(sender)).to_bytes()


def solved(template: Template, profile_id: int) -> Block:
    """The block a template becomes with the first winning certificate found."""
    workbench = Workbench(NumpyEngine())
    sigma, target = template.header.sigma(), template.header.target
    order = Mine(template.number, sigma, target, profile_id, bytes(32))
    for attempt in count():
        found = workbench.mine(order, attempt).found
        if found is not None:
            return template.sealed(found.certificate)
    raise AssertionError


class Node:
    """A chain with its pool that mines when told to: everything of a node but its tasks."""

    def __init__(self, spec: ChainSpec, kv: KV | None = None, miner: int = 0) -> None:
        self.kv = kv if kv is not None else MemoryKV()
        self.chain = Chain.open(self.kv, spec)
        self.mempool = Mempool(self.chain)
        self._miner = key(miner).address
        self._numbers = count(1)

    def template(self) -> Template:
        now_ms = self.chain.head.time_ms + self.chain.spec.pace.block_time_ms
        return build_template(self.chain, self.mempool, self._miner, next(self._numbers), now_ms)

    def next_block(self) -> Block:
        """A valid block on the head, not taken yet."""
        return solved(self.template(), self.chain.spec.profile_id)

    def take(self, block: Block) -> HeadChange | None:
        parent = self.chain.header(block.header.parent)
        assert parent is not None
        change = self.chain.add(check_block(block, parent, self.chain.genesis, self.chain.spec))
        if change is not None:
            self.mempool.head_changed(change)
        return change

    def mine(self, blocks: int = 1) -> list[Block]:
        """Extend the chain."""
        mined = []
        for _ in range(blocks):
            block = self.next_block()
            self.take(block)
            mined.append(block)
        return mined
