"""Hash functions, and that no two domains share a tag.  Spec: [HASH-*]."""

from __future__ import annotations

import hashlib
import json
import re
from itertools import cycle, islice
from pathlib import Path

from blake3 import blake3

from chain.hashing import BulkTag, Tag, b3, b3_keyed, h256
from tests.outside import outside


def test_h256_is_personalised_blake2b() -> None:
    for tag in Tag:
        assert h256(tag, b"data") == hashlib.blake2b(b"data", digest_size=32, person=tag.value).digest()


def test_tags_are_distinct_and_fit() -> None:
    """Personalisation is padded with zeros, so a tag must not end in one."""
    assert all(0 < len(tag.value) <= 16 and not tag.value.endswith(b"\0") for tag in Tag)
    assert len({tag.value for tag in Tag}) == len(Tag) == len(Tag.__members__)
    assert len({tag.value for tag in BulkTag}) == len(BulkTag) == len(BulkTag.__members__)
    assert all(tag.value.startswith("tilework v1 ") for tag in BulkTag)


def test_golden_digests() -> None:
    """Fixed for ever: changing one of these splits the network."""
    assert h256(Tag.ADDRESS, b"").hex() == "99d293858c2659fb3bf2476b971c7f42ac3757ca8fbc4e9c734f7e82bd5b3c7c"
    assert (
        h256(Tag.STATE_NODE, bytes(65)).hex()
        == "f10c62a5541c59ea302a6866f8c1e81b4f885e4dfb2e58a19931faf507ad6b89"
    )
    assert (
        b3(BulkTag.TENSOR_LEAF, b"").hex()
        == "e8010027c928b22f27ad37753feaf9b71668a718c1c12af6e6b9c4dcb98c6019"
    )
    assert (
        b3_keyed(bytes(32), b"tile").hex()
        == "9c80e4be323b9940c08640b1f46098af52bf9063b21ce871f8a2d85faecfc2c5"
    )


def test_blake3_vectors() -> None:
    vectors = json.loads(outside("blake3/test_vectors.json").read_text())
    key, context = vectors["key"].encode(), vectors["context_string"]
    for case in vectors["cases"]:
        data = bytes(islice(cycle(range(251)), case["input_len"]))
        assert b3_keyed(key, data).hex() == case["keyed_hash"][:64]
        assert b3_keyed(key, memoryview(data)).hex() == case["keyed_hash"][:64]
        assert blake3(data, derive_key_context=context).hexdigest() == case["derive_key"][:64]
    assert len(vectors["cases"]) > 30


def test_the_specification_lists_every_tag() -> None:
    """A tag that is not in docs/spec/encoding.md, or only there, is a mistake."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "spec" / "encoding.md").read_text()
    assert set(re.findall(r"^\| `(tw/[a-z-]+)`", text, re.MULTILINE)) == {tag.value.decode() for tag in Tag}
    assert set(re.findall(r"`(tilework v1 [a-z ]+)`", text)) == {tag.value for tag in BulkTag}
