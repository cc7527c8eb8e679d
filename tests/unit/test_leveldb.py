"""LevelDB: what survives, and what an operator is told when the disk is not as it should be.  Spec: [STATE-STORE]."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chain.errors import LocalFault
from chain.kv import Sync
from chain.leveldb import LevelKV

KILLED_WRITER = """
import os, signal, sys
from chain.kv import Sync
from chain.leveldb import LevelKV
store = LevelKV.open(sys.argv[1])
for number in range(300):
    rows = [(b"%d/%d" % (number, i), bytes(100)) for i in range(20)]
    store.write(rows, sync=Sync.DURABLE if number == 150 else Sync.BUFFERED)
os.kill(os.getpid(), signal.SIGKILL)
"""

WRITER_OF_TOO_MUCH = """
import resource, sys
from chain.errors import LocalFault
from chain.kv import Sync
from chain.leveldb import LevelKV
store = LevelKV.open(sys.argv[1])
store.write([(b"small", b"value")], sync=Sync.DURABLE)
for limit, size in ((1 << 20, 1 << 22), (resource.RLIM_INFINITY, 1)):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        store.write([(b"next", bytes(size))], sync=Sync.DURABLE)
    except LocalFault as fault:
        print(fault)
"""


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    store = LevelKV.open(tmp_path / "a" / "db")
    store.write([(b"key", b"value")], sync=Sync.DURABLE)
    store.close()
    store = LevelKV.open(tmp_path / "a" / "db")
    assert store.get(b"key") == b"value"
    store.close()


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    repository = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", KILLED_WRITER, str(tmp_path / "db")]
    assert subprocess.run(command, cwd=repository, check=False).returncode == -9
    store = LevelKV.open(tmp_path / "db")
    assert len(list(store.iterate(b""))) == 300 * 20
    store.close()


def test_a_second_opener_is_told_who_is_in_the_way(tmp_path: Path) -> None:
    store = LevelKV.open(tmp_path / "db")
    with pytest.raises(
        LocalFault, match=rf"DB_LOCKED: found process {os.getpid()} in .*allowed one process"
    ) as fault:
        LevelKV.open(tmp_path / "db")
    assert "Stop the other node" in fault.value.hint
    other = "import sys; from chain.leveldb import LevelKV; LevelKV.open(sys.argv[1])"
    command = [sys.executable, "-c", other, str(tmp_path / "db")]
    repository = Path(__file__).resolve().parents[2]
    outcome = subprocess.run(command, cwd=repository, check=False, capture_output=True, text=True)
    assert "DB_LOCKED" in outcome.stderr
    store.close()


def test_a_path_with_lock_in_its_name_is_not_a_lock(tmp_path: Path) -> None:
    (tmp_path / "block").write_bytes(b"a file, not a directory")
    with pytest.raises(LocalFault, match="DB_IO") as fault:
        LevelKV.open(tmp_path / "block")
    assert "free space" in fault.value.hint


@pytest.mark.parametrize("damage", ["manifest", "current", "log", "table"])
def test_damage_is_an_error_never_data(tmp_path: Path, damage: str) -> None:
    """A flipped byte in any file is found at opening or at reading, before a wrong value gets out."""
    store = LevelKV.open(tmp_path / "db")
    rows = [(b"%04d" % number, os.urandom(100)) for number in range(3000)]
    store.write(rows, sync=Sync.DURABLE)
    store.close()
    if damage == "table":  # opening once more turns the log into a table file
        LevelKV.open(tmp_path / "db").close()
    suffix = {"manifest": "MANIFEST-*", "current": "CURRENT", "log": "*.log", "table": "*.ldb"}[damage]
    (path,) = [file for file in (tmp_path / "db").glob(suffix) if file.stat().st_size]
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0x40
    path.write_bytes(data)
    with pytest.raises(LocalFault) as fault:  # noqa: PT012
        reopened = LevelKV.open(tmp_path / "db")
        try:
            assert dict(reopened.iterate(b"")) == dict(rows)
        finally:
            reopened.close()
    assert fault.value.code == "DB_CORRUPT"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(LocalFault, match="DB_IO"):
        LevelKV.open(tmp_path / "db")
    tmp_path.chmod(0o700)


def test_a_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files stands for the end of the disk. What failed stays failed until a restart."""
    repository = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", WRITER_OF_TOO_MUCH, str(tmp_path / "db")]
    outcome = subprocess.run(command, cwd=repository, check=False, capture_output=True, text=True)
    first, second = outcome.stdout.splitlines()
    assert first == second
    assert first.startswith("DB_IO: found IO error")
    assert "Check free space" in first
    store = LevelKV.open(tmp_path / "db")
    assert list(store.iterate(b"")) == [(b"small", b"value")]
    store.close()
