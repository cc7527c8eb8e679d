"""Databases made from snapshots in memory, for tests."""

from __future__ import annotations

from pathlib import Path

from chain.kv import KV, MemoryKV
from chain.types import BlockHash
from genesis.spec import ChainSpec
from node.snapshot.export import export
from node.snapshot.restore import restore


class Kept(MemoryKV):
    """A store that outlives its closing."""

    __slots__ = ()

    def close(self) -> None:
        pass


def restored(snapshot: Path, data_dir: Path, spec: ChainSpec, trusted: BlockHash, kv: KV | None = None) -> KV:
    """Import into memory; the directory of the database is made as LevelDB would make it."""
    store = kv if kv is not None else Kept()

    def opened(path: Path) -> KV:
        path.mkdir()
        return store

    restore(snapshot, data_dir, spec, trusted, opened)
    return store


def begun_with(source: KV, directory: Path, spec: ChainSpec, trusted: BlockHash) -> KV:
    """The database of a node made from a snapshot of another's."""
    export(source, directory / "snapshot")
    return restored(directory / "snapshot", directory / "data", spec, trusted)
