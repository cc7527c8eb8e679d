"""Miners beside a node in one process: the node's real RPC methods without HTTP, workers inline, virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from chain.bech32m import encode_address
from chain.errors import LocalFault
from compute.spec.profiles import TEST
from node.app import Node
from node.mining.devices import Device, cpu_devices
from node.mining.lending import Lender
from node.mining.miner import Miner
from node.mining.rpc_source import RpcSource
from node.rpc.server import RpcApp
from tests.builders import key
from tests.node_world import InlineCpu, InlineWorker, SeededRng, VirtualClock, World


async def inline(function: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
    """In place of a thread, which virtual time would not wait for."""
    await trio.lowlevel.checkpoint()
    return function(*arguments)


class MemoryClient:
    """`AsyncRpcClient` for a node in the same process, or for none."""

    url = "memory"

    def __init__(self, node: Node | None = None) -> None:
        self.node = node
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def call(self, name: str, **parameters: Any) -> Any:
        if self.node is None:
            raise LocalFault("NODE_UNREACHABLE", found="no node")
        self.calls.append((name, parameters))
        return await RpcApp(self.node, frozenset()).call(name, parameters)  # type: ignore[arg-type]

    def called(self, name: str) -> list[dict[str, Any]]:
        return [parameters for each, parameters in self.calls if each == name]


class BesideMiner:
    """What `tilework miner run` runs, for node `number`."""

    def __init__(
        self,
        net: World,
        node: Node,
        *,
        name: str = "beside",
        devices: tuple[Device, ...] = cpu_devices(1),
        worker: type[InlineWorker] = InlineWorker,
        idle_mining: bool = False,
    ) -> None:
        self.client = MemoryClient(node)
        self.workers: list[InlineWorker] = []
        clock = VirtualClock(net.spec.genesis_time_ms)
        address = encode_address(net.spec.address_prefix, key(6).address)
        genesis = node.chain.genesis.id.hex()

        def make(device: Device, engine: str, excluded: frozenset[str]) -> InlineWorker:
            self.workers.append(worker("numpy"))
            return self.workers[-1]

        self.miner = Miner(
            RpcSource(self.client, genesis, address, clock),  # type: ignore[arg-type]
            devices, make, TEST, net.spec.pace.block_time_ms, clock, InlineCpu(), SeededRng(name),
            idle_mining=idle_mining,
        )  # fmt: skip
        self.lender = Lender(self.client, self.miner, TEST, clock, SeededRng(name + "-lends"))  # type: ignore[arg-type]

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.miner.run)
            nursery.start_soon(self.lender.run)
