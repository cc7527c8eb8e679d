"""Header rules: one test per refusal.  Spec: [HDR-*]."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chain.blocks import Block, Header, certificate_hash
from chain.errors import Invalid, TooEarly
from chain.types import NO_ADDRESS, Address, BlockHash, Hash32, Height
from consensus.difficulty import next_target
from consensus.headers import check_clock, check_header
from tests.builders import Ledger, funded_spec

SPEC = funded_spec(genesis_target=1 << 200)
GENESIS = Ledger(SPEC).genesis


def child(on: Header = GENESIS, **changes: Any) -> Header:
    header = replace(
        on,
        parent=on.id,
        height=Height(on.height + 1),
        time_ms=on.time_ms + SPEC.pace.block_time_ms,
        target=next_target(SPEC, GENESIS, on),
    )
    return replace(header, **changes)


def test_a_good_child_passes() -> None:
    first = child()
    check_header(first, GENESIS, GENESIS, SPEC)
    check_header(child(first), first, GENESIS, SPEC)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("HDR_VERSION", {"version": 2}),
        ("HDR_VERSION", {"version": 0}),
        ("HDR_CHAIN", {"chain_id": b"another"}),
        ("HDR_CHAIN", {"chain_id": b"\xff\xfe"}),
        ("HDR_LINK", {"parent": BlockHash(bytes(32))}),
        ("HDR_LINK", {"height": Height(2)}),
        ("HDR_LINK", {"height": Height(0)}),
        ("HDR_TIME", {"time_ms": GENESIS.time_ms}),
        ("HDR_TIME", {"time_ms": 0}),
        ("HDR_TARGET", {"target": (1 << 200) + 1}),
        ("HDR_TARGET", {"target": (1 << 200) - 1}),
    ],
)
def test_each_rule_refuses(code: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        check_header(child(**changes), GENESIS, GENESIS, SPEC)
    assert caught.value.code == code


def test_one_millisecond_later_is_late_enough() -> None:
    check_header(child(time_ms=GENESIS.time_ms + 1), GENESIS, GENESIS, SPEC)


def test_a_block_from_the_future_is_held_not_refused() -> None:
    header = child()
    limit = header.time_ms - SPEC.pace.max_future_ms
    check_clock(header, limit, SPEC)
    with pytest.raises(TooEarly, match="HDR_FUTURE"):
        check_clock(header, limit - 1, SPEC)


def test_the_past_needs_no_clock() -> None:
    check_clock(child(), 1 << 60, SPEC)


def test_every_field_changes_id_and_work() -> None:
    """What is hashed as the block's name and what is worked on cover every field before the certificate's."""
    header = child()
    changed = [
        replace(header, version=2),
        replace(header, chain_id=b"x"),
        replace(header, parent=BlockHash(bytes(32))),
        replace(header, height=Height(9)),
        replace(header, time_ms=header.time_ms + 1),
        replace(header, target=5),
        replace(header, extra_nonce=1),
        replace(header, transaction_root=Hash32(bytes(32))),
        replace(header, state_root=Hash32(bytes(32))),
        replace(header, receipt_root=Hash32(bytes(32))),
        replace(header, votes_root=Hash32(bytes(32))),
        replace(header, miner=Address(b"\1" * 20)),
    ]
    assert header.miner == NO_ADDRESS
    assert len({h.id for h in (header, *changed)}) == len(changed) + 1
    assert len({h.sigma() for h in (header, *changed)}) == len(changed) + 1


def test_the_certificate_seals_the_id_but_not_the_work() -> None:
    header = child()
    sealed = header.with_certificate(b"proof")
    assert sealed.certificate_hash == certificate_hash(b"proof")
    assert sealed.sigma() == header.sigma()
    assert sealed.id != header.id
    assert Block(sealed, b"proof", (), ()).id == sealed.id


def test_no_certificate_is_the_zero_hash() -> None:
    assert certificate_hash(b"") == bytes(32)
    assert GENESIS.certificate_hash == bytes(32)
