"""RPC methods that read the chain.  Spec: [RPC-CHAIN]."""

from __future__ import annotations

import json
from typing import Any

from chain.errors import Missing, Policy
from chain.types import BlockHash
from consensus import upgrades
from consensus.work import block_work
from genesis import json_form
from node.rpc.backend import ChainView, NodeBackend
from node.rpc.forms import Json, address_form, block_form
from node.rpc.registry import Cost, Field, Form, Parameter, method
from vm.governance.execution import governed_now


@method(
    "chain_status",
    "Where this node stands: head, finality, peers, pool, work and money.",
    result=(
        Field("chain_id", Form.TEXT, "name of the network"),
        Field("preset", Form.TEXT, "preset its chain spec was made from"),
        Field("genesis", Form.HASH, "id of the genesis block"),
        Field(
            "blocks_from",
            Form.INTEGER,
            "height from which this node has blocks; 0 unless it began with a snapshot",
        ),
        Field("height", Form.INTEGER, "height of the head"),
        Field("head", Form.HASH, "id of the head"),
        Field("state_root", Form.HASH, "root of the state after the head"),
        Field("time_ms", Form.INTEGER, "time in the head's header, ms since 1970"),
        Field("target", Form.TEXT, "the head's target, 0x…"),
        Field("work", Form.TEXT, "expected multiply-accumulates behind the head since genesis, 0x…"),
        Field("block_macs", Form.TEXT, "expected multiply-accumulates behind one block at this target, 0x…"),
        Field("block_time_ms", Form.INTEGER, "block time the difficulty aims at"),
        Field("base_fee_grains", Form.GRAINS, "base fee per weight unit in the next block"),
        Field("justified", Form.OBJECT, "last justified checkpoint; null until finality exists"),
        Field("final", Form.OBJECT, "last final checkpoint; null until finality exists"),
        Field("peers", Form.INTEGER, "connected peers"),
        Field("syncing", Form.BOOLEAN, "whether the node is still fetching blocks"),
        Field("mempool", Form.INTEGER, "transactions waiting"),
        Field("macs_per_second", Form.INTEGER, "rate of this node's own work"),
        Field("settled_macs", Form.INTEGER, "multiply-accumulates of all settled jobs"),
        Field("supply", Form.OBJECT, "minted, burned, locked, immature, treasury and staker pool, in grains"),
        Field("address", Form.ADDRESS, "this node's operator account"),
        Field(
            "upgrade",
            Form.OBJECT,
            "name and height of the upgrade that was agreed on, and whether this release knows it; null: none",
        ),
    ),
)
async def chain_status(node: NodeBackend) -> Json:
    chain = node.chain
    spec, head, numbers = chain.spec, chain.head, chain.context().chain
    return {
        "chain_id": spec.chain_id.decode(),
        "preset": spec.preset,
        "genesis": chain.genesis.id.hex(),
        "blocks_from": chain.anchor.height,
        "height": head.height,
        "head": head.id.hex(),
        "state_root": head.state_root.hex(),
        "time_ms": head.time_ms,
        "target": f"{head.target:#x}",
        "work": f"{chain.total_work(head.id):#x}",
        "block_macs": f"{block_work(head.target):#x}",
        "block_time_ms": spec.pace.block_time_ms,
        "base_fee_grains": numbers.base_fee_grains,
        "justified": None,
        "final": None,
        "peers": len(node.net.peers()),
        "syncing": node.syncing,
        "mempool": len(node.mempool),
        "macs_per_second": node.macs_per_second,
        "settled_macs": numbers.settled_macs,
        "supply": {
            "minted_grains": numbers.minted_grains,
            "burned_grains": numbers.burned_grains,
            "locked_grains": numbers.locked_grains,
            "immature_grains": numbers.immature_grains,
            "pending_tips_grains": numbers.pending_tips_grains,
            "treasury_grains": numbers.treasury_grains,
            "staker_pool_grains": numbers.staker_pool_grains,
        },
        "address": address_form(spec.address_prefix, node.address),
        "upgrade": _upgrade_form(chain),
    }


def _upgrade_form(chain: ChainView) -> Json | None:
    governed = governed_now(chain.context())
    if not governed.upgrade_height:
        return None
    known = governed.upgrade in upgrades.KNOWN_UPGRADES
    return {"name": governed.upgrade, "height": governed.upgrade_height, "known": known}


@method(
    "chain_block",
    "A block by height, id or the word head: header, decoded transactions, receipts, and what its proof says.",
    parameters=(
        Parameter("id", Form.TEXT, "height in decimal, block id, or head", required=False, default="head"),
        Parameter("raw", Form.BOOLEAN, "give the canonical bytes instead", required=False, default=False),
    ),
    result=(
        Field("id", Form.HASH, "block id"),
        Field("canonical", Form.BOOLEAN, "whether the block is on the chain of the head"),
        Field("size_bytes", Form.INTEGER, "length of the canonical bytes"),
        Field("header", Form.OBJECT, "every field of the header (not with raw)"),
        Field(
            "certificate",
            Form.OBJECT,
            "what the proof of work says of itself; null for genesis (not with raw)",
        ),
        Field("transactions", Form.LIST, "transactions with kind, body and receipt (not with raw)"),
        Field("events", Form.LIST, "what the protocol did by itself (not with raw)"),
        Field("raw", Form.HEX, "canonical bytes (only with raw)"),
    ),
    cost=Cost.SCAN,
)
async def chain_block(node: NodeBackend, *, id: str, raw: bool) -> Json:
    chain = node.chain
    block_id = _named_block(chain, id)
    block = chain.block(block_id)
    if block is None:
        raise Missing(
            "BLOCK_UNKNOWN",
            found=id,
            allowed=f"a block this node holds, heights {chain.anchor.height}..{chain.head.height}",
        )
    data = block.to_bytes()
    canonical = chain.block_hash_at(block.header.height) == block_id
    form: Json = {"id": block_id.hex(), "canonical": canonical, "size_bytes": len(data)}
    if raw:
        return form | {"raw": data.hex()}
    receipts = chain.receipts(block_id) if canonical else ()
    return form | block_form(block, receipts, chain.spec.address_prefix)


@method(
    "chain_spec",
    "The constants of this network, in the form `genesis build` writes.",
    result=(
        Field("spec", Form.OBJECT, "the chain spec that it was founded on"),
        Field("hash", Form.HASH, "the hash of that"),
        Field(
            "in_force", Form.OBJECT, "the same with what governance has changed, as the next block goes by"
        ),
    ),
)
async def chain_spec(node: NodeBackend) -> Json:
    spec = node.chain.spec
    founding: Any = json.loads(json_form.to_json(spec))
    in_force: Any = json.loads(json_form.to_json(node.chain.rules))
    return {"spec": founding, "hash": spec.hash().hex(), "in_force": in_force}


def _named_block(chain: ChainView, name: str) -> BlockHash:
    if name == "head":
        return chain.head.id
    if name.isascii() and name.isdecimal() and len(name) < 20:
        found = chain.block_hash_at(int(name))
        if found is None:
            raise Missing("BLOCK_UNKNOWN", found=f"height {name}", allowed=f"0..{chain.head.height}")
        return found
    if not Form.HASH.accepts(name):
        raise Policy("BLOCK_ID", found=name, allowed="a height, 64 hexadecimal digits, or head")
    return BlockHash(bytes.fromhex(name))


METHODS = (chain_status, chain_block, chain_spec)
