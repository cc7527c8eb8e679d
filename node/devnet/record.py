"""devnet.json: what a local network consists of, for the tools that talk to it and for the one that stops it.

DIR/devnet.json     this record
DIR/genesis.json    the chain spec; every node has a copy of its own
DIR/keys/           key files of the funded accounts
DIR/node-0/         data directory of a node, with its key file and its copy of the genesis file
DIR/node-0.log      what the node wrote to stdout and stderr
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from chain.errors import Missing, Policy

DEFAULT_DIRECTORY = ".tilework-devnet"
FILE_NAME = "devnet.json"
NOT_RUNNING = 0


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """One node process; `pid` is 0 while it does not run."""

    name: str
    address: str
    rpc: str
    listen: str
    multiaddr: str
    """Where other nodes can join this one; it follows from the key, so it is known before the node runs."""
    roles: str
    data_dir: str
    key: str
    log: str
    pid: int


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """A funded account and its key file."""

    name: str
    address: str
    key_file: str
    balance_grains: int


@dataclass(frozen=True, slots=True)
class Devnet:
    """A whole local network."""

    chain_id: str
    genesis: str
    block_time_ms: int
    macs_per_second: int
    nodes: tuple[NodeEntry, ...]
    spare: AccountEntry
    """An operator account with money for bonds and no stake, for a node that joins later."""
    accounts: tuple[AccountEntry, ...]

    def with_pids(self, pids: Mapping[str, int]) -> Devnet:
        """The same network with the processes now running, by node name."""
        nodes = tuple(replace(node, pid=pids.get(node.name, NOT_RUNNING)) for node in self.nodes)
        return replace(self, nodes=nodes)


def save(devnet: Devnet, directory: Path) -> None:
    """Write the record in one step: a reader never sees half of it."""
    unfinished = directory / f"{FILE_NAME}.new"
    unfinished.write_text(json.dumps(asdict(devnet), indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, directory / FILE_NAME)


def load(directory: Path) -> Devnet:
    """Raises: Missing DEVNET_UNKNOWN; Policy DEVNET_RECORD if the file is not one of ours."""
    path = directory / FILE_NAME
    try:
        tree: Any = json.loads(path.read_text(encoding="utf-8"))
        nodes = tuple(NodeEntry(**entry) for entry in tree.pop("nodes"))
        accounts = tuple(AccountEntry(**entry) for entry in tree.pop("accounts"))
        return Devnet(nodes=nodes, accounts=accounts, spare=AccountEntry(**tree.pop("spare")), **tree)
    except FileNotFoundError as error:
        raise Missing(
            "DEVNET_UNKNOWN",
            found=f"no {FILE_NAME} in {directory}",
            allowed="the directory of a local network",
            hint="Name it with --dir, or start one with `tilework devnet up`.",
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Policy(
            "DEVNET_RECORD",
            found=f"{path}: {error}",
            allowed="a record written by `tilework devnet up`",
            hint="Stop the nodes by hand and remove the directory.",
        ) from error
