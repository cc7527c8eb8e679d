"""Founding and starting a local network: directory, measurement, keys, genesis file, processes."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from chain.bech32m import encode_address
from chain.errors import Policy
from chain.keys import SigningKey
from chain.kv import MemoryKV
from genesis.json_form import to_json
from genesis.presets import preset
from genesis.spec import ChainSpec
from node.app import network_seed
from node.chain import Chain
from node.devnet import plan, record
from node.devnet.ports import FIRST_P2P_PORT, FIRST_RPC_PORT, HOST, free_ports
from node.devnet.processes import (
    START_TIMEOUT_S,
    is_running,
    node_command,
    require_linux,
    start,
    stop,
    wait_ready,
)
from node.devnet.rate import measure_mining
from node.devnet.record import AccountEntry, Devnet, NodeEntry
from node.keyfile import read_key, write_key
from node.ports import SystemRng, WallClock
from p2p.keys import NodeSeed

MEASURE_MS = 1_000
_NETWORK_ID_BYTES = 4


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for."""

    directory: Path
    nodes: int
    miners: int
    accounts: int
    block_time_ms: int


def check(request: Request) -> None:
    """Refuse a request that cannot be fulfilled anywhere.  Raises: Policy DEVNET_*."""
    require_linux()
    plan.check_request(request.nodes, request.miners, request.accounts, request.block_time_ms)


def found(request: Request) -> Devnet:
    """Write everything a network needs into its directory; nothing runs yet.

    Raises: Policy DEVNET_* if the request or the directory will not do; LocalFault DEVNET_MEASURE or DEVNET_PORTS.
    """
    check(request)
    directory = request.directory.resolve()
    require_empty(directory)
    rpc_ports = free_ports(FIRST_RPC_PORT, request.nodes)
    p2p_ports = free_ports(FIRST_P2P_PORT, request.nodes)
    rate = measure_mining(request.miners, preset("dev").profile_id, MEASURE_MS)

    random = SystemRng()
    operators = [SigningKey(random.bytes(32)) for _ in range(request.nodes + 1)]
    users = [SigningKey(random.bytes(32)) for _ in range(request.accounts)]
    spec = plan.founding_spec(
        chain_id=b"tilework-dev-" + random.bytes(_NETWORK_ID_BYTES).hex().encode(),
        now_ms=WallClock().now_ms(),
        block_time_ms=request.block_time_ms,
        macs_per_second=rate,
        validators=[key.public_key for key in operators[:-1]],
        operators=[key.address for key in operators],
        users=[key.address for key in users],
    )
    directory.mkdir(parents=True, exist_ok=True)
    genesis_text = to_json(spec)
    (directory / "genesis.json").write_text(genesis_text, encoding="utf-8")
    nodes = []
    for index, key in enumerate(operators[:-1]):
        roles = "mine provide validate" if index < request.miners else "provide validate"
        ports = rpc_ports[index], p2p_ports[index]
        nodes.append(_prepare_node(directory, index, key, spec, genesis_text, roles, ports))
    (directory / "keys").mkdir()
    accounts = [
        _write_account(directory, plan.account_name(index), key, spec, plan.USER_BALANCE_GRAINS)
        for index, key in enumerate(users)
    ]
    spare = _write_account(
        directory, plan.node_name(request.nodes), operators[-1], spec, plan.NODE_BALANCE_GRAINS
    )
    devnet = Devnet(
        chain_id=spec.chain_id.decode(),
        genesis=Chain.open(MemoryKV(), spec).genesis.id.hex(),
        block_time_ms=request.block_time_ms,
        macs_per_second=rate,
        nodes=tuple(nodes),
        spare=spare,
        accounts=tuple(accounts),
    )
    record.save(devnet, directory)
    return devnet


@dataclass(slots=True)
class Running:
    """The processes of a network, for the process that started them."""

    directory: Path
    devnet: Devnet
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    died_at_start: list[NodeEntry] = field(default_factory=list)

    def start_all(self) -> None:
        """Start every node, each joining those before it, and wait for all; on failure everything is stopped again.

        Raises: LocalFault DEVNET_NODE_DIED or DEVNET_NODE_SILENT.
        """
        try:
            deadline_s = time.monotonic() + START_TIMEOUT_S
            for index, node in enumerate(self.devnet.nodes):
                self._start(node, join=[earlier.multiaddr for earlier in self.devnet.nodes[:index]])
            for node in self.devnet.nodes:
                wait_ready(node, self.processes[node.name], deadline_s)
        except BaseException:
            self.died_at_start = self.dead()
            self.stop_all()
            raise

    def dead(self) -> list[NodeEntry]:
        """Nodes whose process has ended."""
        ended = {name for name, process in self.processes.items() if process.poll() is not None}
        return [node for node in self.devnet.nodes if node.name in ended]

    def stop_all(self) -> list[str]:
        """Stop every node; returns the names of those that had to be killed."""
        killed = stop(self.devnet.nodes, reap=self._reap)
        self.devnet = self.devnet.with_pids({})
        record.save(self.devnet, self.directory)
        return killed

    def _start(self, node: NodeEntry, join: Sequence[str]) -> None:
        self.processes[node.name] = start(node, node_command(node, join=join))
        self.devnet = self.devnet.with_pids({name: process.pid for name, process in self.processes.items()})
        record.save(self.devnet, self.directory)

    def _reap(self) -> None:
        for process in self.processes.values():
            process.poll()


def prepare_spare(devnet: Devnet, directory: Path, roles: str) -> NodeEntry:
    """A data directory and free ports for the spare operator account, as a node that joins the running network."""
    spare = devnet.spare
    data_dir = directory / spare.name
    data_dir.mkdir()
    shutil.copy(directory / "genesis.json", data_dir)
    shutil.copy(spare.key_file, data_dir / "key.json")
    (rpc_port,), (p2p_port,) = free_ports(FIRST_RPC_PORT, 1), free_ports(FIRST_P2P_PORT, 1)
    key = read_key(Path(spare.key_file))
    return _entry(directory, spare.name, spare.address, key, roles, (rpc_port, p2p_port))


def require_empty(directory: Path) -> None:
    """Raises: Policy DEVNET_RUNNING, DEVNET_STOPPED or DEVNET_DIRECTORY if a network cannot be founded here."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise Policy("DEVNET_DIRECTORY", found=f"a file at {directory}", allowed="a directory")
    if (directory / record.FILE_NAME).exists():
        devnet = record.load(directory)
        alive = [node.name for node in devnet.nodes if is_running(node)]
        if alive:
            raise Policy(
                "DEVNET_RUNNING",
                found=f"{', '.join(alive)} running from {directory}",
                allowed="one local network per directory",
                hint=f"Stop it with `tilework devnet down --dir {directory}`, or choose another --dir.",
            )
        raise Policy(
            "DEVNET_STOPPED",
            found=f"a stopped network in {directory}",
            allowed="an empty or new directory",
            hint="Add --reset to throw the old one away, or choose another --dir.",
        )
    if any(directory.iterdir()):
        raise Policy(
            "DEVNET_DIRECTORY",
            found=f"files in {directory}",
            allowed="an empty or new directory",
            hint="Choose another --dir.",
        )


def throw_away(directory: Path) -> None:
    """Remove a stopped network; does nothing where none is, refuses where one runs.  Raises: Policy DEVNET_RUNNING."""
    if not (directory / record.FILE_NAME).exists():
        return
    try:
        require_empty(directory)
    except Policy as refusal:
        if refusal.code != "DEVNET_STOPPED":
            raise
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != record.FILE_NAME:
            path.unlink()
    shutil.rmtree(directory)  # the record goes last: whoever is interrupted before can do it again


def _prepare_node(
    directory: Path,
    index: int,
    key: SigningKey,
    spec: ChainSpec,
    genesis_text: str,
    roles: str,
    ports: tuple[int, int],
) -> NodeEntry:
    name = plan.node_name(index)
    data_dir = directory / name
    data_dir.mkdir()
    (data_dir / "genesis.json").write_text(genesis_text, encoding="utf-8")
    write_key(data_dir / "key.json", name, key, spec.address_prefix)
    address = encode_address(spec.address_prefix, key.address)
    return _entry(directory, name, address, key, roles, ports)


def _entry(
    directory: Path, name: str, address: str, key: SigningKey, roles: str, ports: tuple[int, int]
) -> NodeEntry:
    rpc_port, p2p_port = ports
    data_dir = directory / name
    return NodeEntry(
        name=name,
        address=address,
        rpc=f"http://{HOST}:{rpc_port}",
        listen=f"{HOST}:{p2p_port}",
        multiaddr=f"/ip4/{HOST}/tcp/{p2p_port}/p2p/{NodeSeed(network_seed(key)).peer_id()}",
        roles=roles,
        data_dir=str(data_dir),
        key=str(data_dir / "key.json"),
        log=str(directory / f"{name}.log"),
        pid=record.NOT_RUNNING,
    )


def _write_account(
    directory: Path, name: str, key: SigningKey, spec: ChainSpec, balance_grains: int
) -> AccountEntry:
    path = directory / "keys" / f"{name}.json"
    write_key(path, name, key, spec.address_prefix)
    return AccountEntry(name, encode_address(spec.address_prefix, key.address), str(path), balance_grains)
