"""Frames between a node and its worker.  Spec: [POW-WORKER-1]."""

from __future__ import annotations

import pytest

from chain.errors import Invalid
from chain.types import NO_JOB, Hash32
from compute.messages import (
    LENGTH_BYTES,
    MAX_FRAME_BYTES,
    Bench,
    Drop,
    Failed,
    Found,
    Idle,
    PanelDone,
    Ready,
    Stop,
    parse_command,
    parse_event,
    payload_bytes,
    to_frame,
)
from compute.spec.certificate import Certificate
from compute.spec.profiles import GPU
from tests.unit.test_work_workbench import MINE, PANEL, loaded
from tests.work_samples import random_matrix, sample_certificate

COMMANDS = [
    loaded(Hash32(b"x" * 32), random_matrix(3, 4)),
    Drop(matrix=Hash32(b"x" * 32)),
    MINE,
    PANEL,
    Bench(profile_id=2, duration_ms=10),
    Idle(),
    Stop(),
]
EVENTS = [
    Ready(engine="numpy", detail="NumPy"),
    Found(template=1, certificate=b"certificate", ticket=Hash32(bytes(32))),
    PanelDone(
        template=1,
        job=NO_JOB,
        step=0,
        row_start=0,
        row_count=1,
        product=bytes(4),
        tickets=1,
        winners=0,
        macs=1,
    ),
    Failed(code="CODE", text="text", job=NO_JOB),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda message: type(message).__name__)
def test_commands_travel(command: object) -> None:
    frame = to_frame(command)  # type: ignore[arg-type]
    payload = frame[LENGTH_BYTES:]
    assert payload_bytes(frame[:LENGTH_BYTES]) == len(payload)
    assert parse_command(payload) == command
    with pytest.raises(Invalid, match="WORKER_KIND"):
        parse_event(payload)


@pytest.mark.parametrize("event", EVENTS, ids=lambda message: type(message).__name__)
def test_events_travel(event: object) -> None:
    payload = to_frame(event)[LENGTH_BYTES:]  # type: ignore[arg-type]
    assert parse_event(payload) == event
    with pytest.raises(Invalid, match="WORKER_KIND"):
        parse_command(payload)


@pytest.mark.parametrize("size", [0, MAX_FRAME_BYTES + 1, (1 << 32) - 1])
def test_frames_are_bounded(size: int) -> None:
    with pytest.raises(Invalid, match="WORKER_FRAME"):
        payload_bytes(size.to_bytes(4, "big"))
    assert payload_bytes(MAX_FRAME_BYTES.to_bytes(4, "big")) == MAX_FRAME_BYTES


def test_largest_certificate_fits_a_found() -> None:
    block = bytes(GPU.block_bytes)
    path = (Hash32(bytes(32)),) * 16
    largest = Certificate(
        mu=sample_certificate().mu,
        root_a=Hash32(bytes(32)),
        root_b=Hash32(bytes(32)),
        tile_row=(1 << 63) - 1,
        tile_column=(1 << 63) - 1,
        segment=(1 << 63) - 1,
        block_a=block,
        block_b=block,
        path_a=path,
        path_b=path,
    ).to_bytes()
    assert len(largest) <= Certificate.MAX_BYTES
    found = Found(template=(1 << 63) - 1, certificate=largest, ticket=Hash32(bytes(32)))
    assert parse_event(to_frame(found)[LENGTH_BYTES:]) == found
