"""RPC methods about this node itself.  Spec: [RPC-NODE]."""

from __future__ import annotations

from dataclasses import asdict

from node.mining.status import SlotStatus
from node.release import release
from node.rpc.backend import NodeBackend
from node.rpc.forms import Json, address_form
from node.rpc.registry import Field, Form, method


@method(
    "net_peers",
    "Connected peers.",
    result=(Field("peers", Form.LIST, "id, address, direction, time of connection and score of each peer"),),
)
async def net_peers(node: NodeBackend) -> Json:
    return {
        "peers": [
            {
                "id": peer.peer_id,
                "address": peer.address,
                "direction": peer.direction.value,
                "connected_since_ms": peer.connected_since_ms,
                "score": peer.score,
            }
            for peer in node.net.peers()
        ]
    }


@method(
    "node_info",
    "What this node is and what it was started to do.",
    result=(
        Field("version", Form.TEXT, "release of the program"),
        Field("chain_id", Form.TEXT, "name of the network"),
        Field("genesis", Form.HASH, "id of the genesis block"),
        Field("address", Form.ADDRESS, "operator account: receives coinbase, bonds and fees"),
        Field("peer_id", Form.TEXT, "identity on the network"),
        Field("listen", Form.LIST, "addresses other nodes can pass to --join"),
        Field("roles", Form.LIST, "mine, provide, validate"),
        Field("engine", Form.TEXT, "engines that multiply; empty until one has passed its self-test"),
        Field(
            "devices",
            Form.LIST,
            "device, model, engine, state (starting, running, paused, quarantined), macs_per_second, tickets, blocks, "
            "panels of jobs and last failure of everything that multiplies here or is lent (name@session)",
        ),
        Field("ask_per_gmac_grains", Form.GRAINS, "lowest price at which this node claims jobs"),
    ),
)
async def node_info(node: NodeBackend) -> Json:
    settings, chain = node.settings, node.chain
    roles = {"mine": settings.mine, "provide": settings.provide, "validate": settings.validate}
    return {
        "version": release(),
        "chain_id": chain.spec.chain_id.decode(),
        "genesis": chain.genesis.id.hex(),
        "address": address_form(chain.spec.address_prefix, node.address),
        "peer_id": node.net.peer_id,
        "listen": node.net.listen_addresses(),
        "roles": [role for role, chosen in roles.items() if chosen],
        "engine": node.engine,
        "devices": [device_form(status) for status in node.devices],
        "ask_per_gmac_grains": settings.ask_per_gmac_grains,
    }


def device_form(status: SlotStatus) -> Json:
    """A device as tables and programs show it."""
    return asdict(status) | {"state": status.state.value}


METHODS = (net_peers, node_info)
