"""States with proofs under a header, for tests of proof files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from chain.blocks import Header
from chain.kv import MemoryKV, Sync
from chain.ledger import Account, Namespace, state_key
from chain.state import StateTree
from chain.state_proof import StateProof
from chain.types import Grains
from genesis.build import genesis_header
from genesis.presets import PRESETS


class ProvingState:
    """Entries in a tree, and the header that commits to them."""

    def __init__(self, entries: Mapping[tuple[Namespace, bytes], bytes]) -> None:
        self.kv = MemoryKV()
        tree = StateTree.load(self.kv)
        staged = tree.stage({state_key(*place): value for place, value in entries.items()})
        self.kv.write(staged.writes, sync=Sync.DURABLE)
        tree.apply(staged)
        self.tree = tree
        self.header: Header = replace(genesis_header(PRESETS["test"], tree.root), height=7)

    def prove(self, namespace: Namespace, identifier: bytes) -> StateProof:
        """As a chain does it."""
        proof = self.tree.prove_either(state_key(namespace, identifier))
        return StateProof(self.header, namespace, identifier, proof)


def accounts(count: int) -> ProvingState:
    """Accounts 0..count-1, account i with a balance of i grains and nonce 1."""
    return ProvingState(
        {(Namespace.ACCOUNT, address(i)): Account(1, Grains(i), 0).to_bytes() for i in range(count)}
    )


def address(number: int) -> bytes:
    return number.to_bytes(20, "big")
