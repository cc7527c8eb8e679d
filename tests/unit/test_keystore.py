"""Keys on disk: private, never overwritten, and clear about what is wrong.  Spec: [KEY-FILE], [KEY-STORE]."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from chain.errors import LocalFault, Missing, Policy
from chain.keys import SigningKey
from node.keyfile import read_key, write_key
from node.keystore import Keystore

SEED = bytes(range(32))


@pytest.fixture
def store(tmp_path: Path) -> Keystore:
    return Keystore(tmp_path / "keys")


def test_a_key_comes_back_as_it_was(store: Keystore) -> None:
    made = store.create("alice", SEED, "tiledev")
    assert store.load("alice") == made == SigningKey(SEED)
    assert store.names() == ["alice"]
    form = json.loads((store.directory / "alice.json").read_text())
    assert form["address"].startswith("tiledev1")
    assert form["public_key"] == made.public_key.hex()


def test_only_the_owner_can_read_it(store: Keystore) -> None:
    store.create("alice", SEED, "tiledev")
    path = store.directory / "alice.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    path.chmod(0o644)
    with pytest.raises(LocalFault) as caught:
        store.load("alice")
    assert caught.value.code == "KEY_PERMISSIONS"
    assert "chmod 600" in caught.value.hint


def test_a_key_is_never_overwritten(store: Keystore) -> None:
    store.create("alice", SEED, "tiledev")
    with pytest.raises(Policy) as caught:
        store.create("alice", bytes(32), "tiledev")
    assert caught.value.code == "KEY_EXISTS"
    assert store.load("alice") == SigningKey(SEED)


@pytest.mark.parametrize("name", ["", "../alice", "Alice", "a" * 33, "a b", ".hidden", "-x", "a\n"])
def test_names_that_are_no_names(store: Keystore, name: str) -> None:
    with pytest.raises(Policy) as caught:
        store.create(name, SEED, "tiledev")
    assert caught.value.code == "KEY_NAME"


def test_an_unknown_key_lists_the_known_ones(store: Keystore) -> None:
    with pytest.raises(Missing) as caught:
        store.load("bob")
    assert "none yet" in str(caught.value)
    store.create("alice", SEED, "tiledev")
    with pytest.raises(Missing) as caught:
        store.load("bob")
    assert "alice" in str(caught.value)
    assert "tilework keys new bob" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"seed": 3}', '{"seed": "zz"}', '{"seed": "00"}', " " * 5000,
     json.dumps({"seed": SEED.hex(), "public_key": "00" * 32})],
)  # fmt: skip
def test_files_that_hold_no_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(Policy) as caught:
        read_key(path)
    assert caught.value.code == "KEY_FILE"
    assert SEED.hex() not in str(caught.value)


def test_a_missing_file_and_a_directory(tmp_path: Path) -> None:
    with pytest.raises(Missing):
        read_key(tmp_path / "absent.json")
    with pytest.raises(LocalFault) as caught:
        read_key(tmp_path)
    assert caught.value.code == "KEY_READ"
    with pytest.raises(LocalFault) as caught:
        write_key(tmp_path / "absent" / "key.json", "k", SigningKey(SEED), "tiledev")
    assert caught.value.code == "KEY_WRITE"
