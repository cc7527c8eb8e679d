"""Snapshots: written, checked part by part, and made into a database again.  Spec: [STATE-SNAPSHOT], [STATE-CHUNK]."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chain.blocks import Block
from chain.errors import Invalid, LocalFault, Missing, Policy, TileworkError
from chain.kv import Batch, Sync
from chain.leveldb import LevelKV
from chain.state.chunks import cut_chunks
from chain.types import Address, BlockHash, Grains
from genesis.presets import PRESETS
from genesis.spec import Allocation
from node import tables
from node.chain import Chain
from node.snapshot import check
from node.snapshot import export as exporting
from node.snapshot.export import export
from node.snapshot.manifest import BLOCK, HEADERS, MANIFEST, Manifest, chunk_name, read_manifest, to_json
from node.snapshot.restore import restore
from tests.mining import SPEC, Node, transfer
from tests.snapshot_cases import Kept, restored

BLOCKS = 6
WIDE = replace(
    SPEC,
    allocations=(
        *SPEC.allocations,
        *(Allocation(Address(bytes([9]) * 19 + bytes([i])), Grains(1_000 + i)) for i in range(80)),
    ),
)
"""Enough accounts for several pages."""


@pytest.fixture(scope="module")
def node() -> Node:
    made = Node(WIDE)
    for number in range(BLOCKS):
        made.mempool.add(transfer(1, number, 1_000 + number))
        made.mine()
    return made


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of a few hundred bytes, so that a state of a test has several."""
    monkeypatch.setattr(exporting, "cut_chunks", lambda kv, tree: cut_chunks(kv, tree, 2_500))


@pytest.fixture
def written(node: Node, tmp_path: Path, small_chunks: None) -> Path:
    export(node.kv, tmp_path / "snapshot")
    return tmp_path / "snapshot"


def check_all(directory: Path) -> Manifest:
    manifest = read_manifest(directory)
    assert len(list(check.headers(directory, manifest, WIDE))) == manifest.header.height + 1
    check.block(directory, manifest)
    assert sum(len(page.keys) for _, page in check.chunks(directory, manifest)) == manifest.entries
    return manifest


def test_a_snapshot_holds_the_state_of_the_head(node: Node, written: Path) -> None:
    manifest = check_all(written)
    assert manifest.header == node.chain.head
    assert len(manifest.chunks) > 3
    entries = [
        row for _, page in check.chunks(written, manifest) for row in zip(page.keys, page.values, strict=True)
    ]
    assert entries == list(node.chain.state.items())  # type: ignore[attr-defined]
    assert {path.name for path in written.iterdir()} == {
        MANIFEST, HEADERS, BLOCK, *(chunk.file.name for chunk in manifest.chunks)
    }  # fmt: skip


def test_a_node_begins_with_it_and_follows_the_chain(node: Node, written: Path, tmp_path: Path) -> None:
    kv = restored(written, tmp_path / "data", WIDE, node.chain.head.id)
    young = Node(WIDE, kv)
    assert (young.chain.head, young.chain.anchor) == (node.chain.head, node.chain.head)
    assert young.chain.state.root == node.chain.state.root  # type: ignore[attr-defined]
    assert young.chain.total_work(young.chain.head.id) == node.chain.total_work(node.chain.head.id)
    assert young.chain.parent_of(young.chain.head) == node.chain.parent_of(node.chain.head)
    for height in range(BLOCKS + 1):
        assert young.chain.header_at(height) == node.chain.header_at(height)
    assert young.chain.block(node.chain.block_hash_at(1)) is None  # type: ignore[arg-type]
    young.mempool.add(transfer(1, BLOCKS, 77))
    for block in young.mine(3):
        old = Node(WIDE, node.kv)
        assert old.take(block) is not None
        assert old.chain.state.root == block.header.state_root  # type: ignore[attr-defined]
    again = Chain.open(kv, WIDE)
    assert (again.head.height, again.anchor.height) == (BLOCKS + 3, BLOCKS)
    node.chain = Chain.open(node.kv, WIDE)


def test_reorganisations_after_the_block_work_and_before_it_are_refused(tmp_path: Path) -> None:
    origin, other, rival = Node(WIDE), Node(WIDE, miner=1), Node(WIDE, miner=2)
    shared = origin.mine(3)
    for block in shared:
        other.take(block)
    for block in shared[:2]:
        rival.take(block)
    export(origin.kv, tmp_path / "snapshot")
    young = Node(WIDE, restored(tmp_path / "snapshot", tmp_path / "data", WIDE, origin.chain.head.id))
    young.mine()
    branch = other.mine(2)
    assert young.take(branch[0]) is None
    change = young.take(branch[1])
    assert change is not None
    assert [len(change.left), len(change.joined)] == [1, 2]
    assert young.chain.head == other.chain.head
    with pytest.raises(Policy, match="BLOCK_BEFORE_ANCHOR"):
        young.take(rival.mine()[0])
    stranger = rival.mine()[0]
    assert young.chain.header(stranger.header.parent) is None
    assert young.chain.head == other.chain.head


def test_a_snapshot_can_be_made_of_a_node_that_began_with_one(
    node: Node, written: Path, tmp_path: Path
) -> None:
    kv = restored(written, tmp_path / "data", WIDE, read_manifest(written).header.id)
    export(kv, tmp_path / "second")
    for path in written.iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def test_every_damaged_file_names_itself(written: Path) -> None:
    manifest = read_manifest(written)
    for part in (manifest.headers, manifest.block, *(chunk.file for chunk in manifest.chunks)):
        path = written / part.name
        good = path.read_bytes()
        for bad in (flipped(good, 0), flipped(good, len(good) // 2), good[:-1], good + b"\0"):
            path.write_bytes(bad)
            with pytest.raises(TileworkError) as caught:
                check_all(written)
            assert part.name in str(caught.value), caught.value
        path.unlink()
        with pytest.raises(Missing) as missing:
            check_all(written)
        assert part.name in str(missing.value)
        path.write_bytes(good)
    check_all(written)


def rewritten(directory: Path, change: Callable[[Manifest], Manifest]) -> None:
    """A manifest that agrees with itself, whatever it says."""
    (directory / MANIFEST).write_bytes(to_json(change(read_manifest(directory))))


def refit(directory: Path, number: int, change: Callable[[bytes], bytes]) -> None:
    """Change a chunk and its digest in the manifest: a liar's chunk, not a damaged one."""
    manifest = read_manifest(directory)
    chunk = manifest.chunks[number]
    data = change((directory / chunk.file.name).read_bytes())
    (directory / chunk.file.name).write_bytes(data)
    part = exporting.part_of(chunk.file.name, data)
    chunks = list(manifest.chunks)
    chunks[number] = replace(chunk, file=part)
    (directory / MANIFEST).write_bytes(to_json(replace(manifest, chunks=tuple(chunks))))


def test_a_chunk_that_lies_is_refused_alone_and_by_its_name(written: Path) -> None:
    refit(written, 1, lambda data: flipped(data, len(data) - 1))
    with pytest.raises(Invalid, match=r"SNAPSHOT_CHUNK: found chunk-000001\.bin"):
        check_all(written)


def test_an_entry_left_out_of_a_chunk_is_missed(written: Path) -> None:
    size = 36 + int.from_bytes((written / "chunk-000001.bin").read_bytes()[32:36], "big")
    refit(written, 1, lambda data: data[size:])
    with pytest.raises(Invalid, match="SNAPSHOT_CHUNK"):
        check_all(written)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: replace(m, chunks=m.chunks[1:]),
        lambda m: replace(m, chunks=m.chunks[:-1]),
        lambda m: replace(m, chunks=()),
        lambda m: replace(m, chunks=(replace(m.chunks[0], entries=99), *m.chunks[1:])),
        lambda m: replace(m, chunks=(replace(m.chunks[0], path=m.chunks[0].path[1:]), *m.chunks[1:])),
        lambda m: replace(m, chunks=(replace(m.chunks[0], place=m.chunks[0].place >> 1), *m.chunks[1:])),
        lambda m: replace(m, chunks=(replace(m.chunks[0], place=m.chunks[1].place), *m.chunks[1:])),
        lambda m: replace(m, genesis=BlockHash(bytes(32))),
        lambda m: replace(m, header=replace(m.header, time_ms=m.header.time_ms + 1)),
        lambda m: replace(m, header=replace(m.header, state_root=m.header.receipt_root)),
    ],
)
def test_a_manifest_that_lies_is_refused(written: Path, change: Callable[[Manifest], Manifest]) -> None:
    rewritten(written, change)
    with pytest.raises(Invalid, match="SNAPSHOT_"):
        check_all(written)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-3],
        lambda text: "[]",
        lambda text: text.replace("-1", "-2", 1),
        lambda text: text.replace('"entries": ', '"entries": 1', 1),
        lambda text: text.replace('"chunk-000000.bin"', '"../../etc/passwd"'),
        lambda text: text.replace('"headers.bin"', '"/dev/zero"'),
        lambda text: text.replace('"prefix": "', '"prefix": "2', 1),
        lambda text: json.dumps(json.loads(text) | {"files": []}),
        lambda text: "[" * 100_000,
        lambda text: text.replace('"bytes": ', '"bytes": 9' + "0" * 30, 3),
    ],
)
def test_a_manifest_of_another_form_is_refused(written: Path, change: Callable[[str], str]) -> None:
    text = (written / MANIFEST).read_text()
    assert change(text) != text
    (written / MANIFEST).write_text(change(text))
    with pytest.raises(Invalid, match="SNAPSHOT_FORM"):
        read_manifest(written)


def test_headers_of_another_chain_do_not_lead_to_the_block(written: Path, tmp_path: Path) -> None:
    other = Node(WIDE, miner=3)
    other.mine(BLOCKS)
    export(other.kv, tmp_path / "other")
    shutil.copy(tmp_path / "other" / HEADERS, written / HEADERS)
    manifest = read_manifest(written)
    with pytest.raises(Invalid, match=r"SNAPSHOT_FILE: found headers\.bin"):
        list(check.headers(written, manifest, None))
    foreign = read_manifest(tmp_path / "other")
    rewritten(written, lambda m: replace(m, headers=foreign.headers))
    with pytest.raises(Invalid, match="SNAPSHOT_HEADERS"):
        list(check.headers(written, read_manifest(written), None))


def test_every_header_is_the_parent_of_the_next_by_its_id(written: Path) -> None:
    manifest = read_manifest(written)
    chain = list(check.headers(written, manifest, None))
    chain[3] = replace(chain[3], extra_nonce=chain[3].extra_nonce + 1)
    data = b"".join(len(h.to_bytes()).to_bytes(2, "big") + h.to_bytes() for h in chain)
    (written / HEADERS).write_bytes(data)
    rewritten(written, lambda m: replace(m, headers=exporting.part_of(HEADERS, data)))
    with pytest.raises(Invalid, match=r"SNAPSHOT_HEADERS: found headers\.bin: height 4"):
        list(check.headers(written, read_manifest(written), None))


def test_the_block_is_the_one_of_the_header(node: Node, written: Path) -> None:
    earlier = node.chain.block_hash_at(BLOCKS - 1)
    assert earlier is not None
    data = node.chain.block_bytes(earlier)
    assert data is not None
    (written / BLOCK).write_bytes(data)
    rewritten(written, lambda m: replace(m, block=exporting.part_of(BLOCK, data)))
    with pytest.raises(Invalid, match="SNAPSHOT_BLOCK"):
        check.block(written, read_manifest(written))


def test_a_range_that_comes_twice_is_refused(written: Path) -> None:
    first = read_manifest(written).chunks[0]
    last = chunk_name(len(read_manifest(written).chunks))
    shutil.copy(written / first.file.name, written / last)
    again = replace(first, file=replace(first.file, name=last))
    rewritten(written, lambda m: replace(m, chunks=(*m.chunks, again)))
    with pytest.raises(Invalid, match=f"SNAPSHOT_CHUNK: found {last}"):
        check_all(written)


def test_an_import_wants_the_block_it_is_told_to_trust(node: Node, written: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="SNAPSHOT_BLOCK"):
        restored(written, tmp_path / "data", WIDE, node.chain.genesis.id)
    assert not (tmp_path / "data").exists()


def test_an_import_wants_the_genesis_file_of_the_network(node: Node, written: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="SNAPSHOT_GENESIS"):
        restore(written, tmp_path / "data", PRESETS["test"], read_manifest(written).header.id, LevelKV.open)
    assert list((tmp_path / "data").iterdir()) == []


def test_an_import_checks_the_work_of_the_block(written: Path, tmp_path: Path) -> None:
    """A certificate that the header does not commit to would give the node a wrong ticket to go on from."""
    manifest = read_manifest(written)
    block = check.block(written, manifest)
    data = replace(block, certificate=block.certificate + b"\0").to_bytes()
    (written / BLOCK).write_bytes(data)
    rewritten(written, lambda m: replace(m, block=exporting.part_of(BLOCK, data)))
    with pytest.raises(Invalid, match="WORK_COMMITMENT"):
        restored(written, tmp_path / "data", WIDE, manifest.header.id)


class Dying(Kept):
    """A store whose process dies after `last` batches."""

    __slots__ = ("last",)

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last

    def write(self, batch: Batch, *, sync: Sync) -> None:
        if self.last == 0:
            raise KeyboardInterrupt
        self.last -= 1
        super().write(batch, sync=sync)


def test_an_interrupted_import_leaves_nothing_and_can_be_done_again(written: Path, tmp_path: Path) -> None:
    trusted, data = read_manifest(written).header.id, tmp_path / "data"
    batches = len(read_manifest(written).chunks) + 2
    for last in range(batches):
        with pytest.raises(KeyboardInterrupt):
            restored(written, data, WIDE, trusted, Dying(last))
        assert list(data.iterdir()) == []
    (data / "db.partial").mkdir()  # as after a power cut
    restored(written, data, WIDE, trusted, Dying(batches))
    assert [path.name for path in data.iterdir()] == ["db"]
    with pytest.raises(Policy, match="SNAPSHOT_TARGET"):
        restored(written, data, WIDE, trusted)


def test_an_interrupted_export_leaves_nothing(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "_write_chunks", full)
    with pytest.raises(LocalFault, match="No space left"):
        export(node.kv, tmp_path / "snapshot")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Policy, match="SNAPSHOT_TARGET"):
        export(node.kv, tmp_path)


def test_genesis_alone_makes_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(Policy, match="SNAPSHOT_GENESIS"):
        export(Node(SPEC).kv, tmp_path / "snapshot")


def test_a_damaged_database_is_not_exported(tmp_path: Path) -> None:
    node = Node(SPEC)
    first, _ = node.mine(2)
    node.kv.write([(tables.META_HEAD, first.id)], sync=Sync.DURABLE)
    with pytest.raises(LocalFault, match="DB_CORRUPT"):
        export(node.kv, tmp_path / "snapshot")
    assert Block.from_bytes(node.kv.get(tables.block_key(first.id)) or b"") == first
