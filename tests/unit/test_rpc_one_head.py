"""What one RPC answer says belongs to one block, whenever blocks come.  Spec: [STATE-READ]."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

from chain.errors import Missing, TooEarly
from chain.types import Grains, JobId
from node.rpc.one_head import ATTEMPTS, at_one_head
from node.rpc.registry import bind
from node.rpc.table import METHODS, method_named
from tests.unit.rpc_node import OPERATOR, MemoryNode
from vm.kinds.jobs import JobClaim

CHAIN_READS = re.compile(r"\bchain\.(state|context|head|block|receipts|transaction|jobs|prove)\b|\bload\(")


@pytest.fixture
def node(tmp_path: Path) -> MemoryNode:
    return MemoryNode(tmp_path)


@pytest.fixture
def jobs(node: MemoryNode) -> list[JobId]:
    """Three open jobs, the newest first."""
    found = []
    for _ in range(3):
        found.append(node.open_job(np.ones((4, 8), np.int8), np.ones((8, 4), np.int8)))
    node.mine()
    assert set(node.chain.jobs(9)) == set(found)
    return list(node.chain.jobs(9))


async def ask(node: MemoryNode, name: str, **parameters: Any) -> Any:
    declared = method_named(name)
    return await declared.handler(node, **bind(declared, parameters))


def at_pause(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], None]) -> list[int]:
    """Do something when a handler lets other tasks run for the `number`-th time; counts the times."""
    times = [0]

    async def pause() -> None:
        times[0] += 1
        if times[0] == number:
            act()

    monkeypatch.setattr(trio.lowlevel, "checkpoint", pause)
    return times


def claim_all(node: MemoryNode, jobs: list[JobId]) -> Callable[[], None]:
    def act() -> None:
        for job in jobs:
            node.send(OPERATOR, "job.claim", JobClaim(job, Grains(node.settings.ask_per_gmac_grains)))
        node.mine()

    return act


async def test_a_block_in_the_middle_of_a_list_does_not_show_half_of_it(
    node: MemoryNode, jobs: list[JobId], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All jobs of a list are claimed by one block, so no list may show some claimed and some open."""
    times = at_pause(monkeypatch, 2, claim_all(node, jobs))
    listed = await ask(node, "job_list")
    assert [job["status"] for job in listed["jobs"]] == ["CLAIMED"] * 3
    assert times[0] > 3, "the list was read again"


async def test_a_block_in_the_middle_of_a_job_does_not_leave_its_timeline_behind(
    node: MemoryNode, jobs: list[JobId], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_pause(monkeypatch, 1, claim_all(node, jobs))
    shown = await ask(node, "job_get", id=jobs[0].hex())
    assert shown["status"] == "CLAIMED"
    assert [event["event"] for event in shown["timeline"]] == ["JobOpened", "JobClaimed"]


async def test_a_read_that_nobody_disturbs_runs_once(
    node: MemoryNode, jobs: list[JobId], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = at_pause(monkeypatch, 99, lambda: None)
    await ask(node, "job_list")
    assert times[0] == len(jobs)


async def test_a_refusal_counts_only_at_one_head(node: MemoryNode) -> None:
    """What is gone because a block came in between may be there again when the read is repeated."""
    seen: list[int] = []

    async def read() -> str:
        seen.append(node.chain.head.height)
        if len(seen) == 1:
            node.mine()
            raise Missing("JOB_UNKNOWN")
        return "there"

    assert await at_one_head(node.chain, read) == "there"
    assert seen == [0, 1]

    async def refuse() -> None:
        raise Missing("JOB_UNKNOWN")

    with pytest.raises(Missing, match="JOB_UNKNOWN"):
        await at_one_head(node.chain, refuse)


async def test_a_read_slower_than_the_chain_is_refused_instead_of_repeated_for_ever(node: MemoryNode) -> None:
    async def read() -> None:
        node.mine()

    with pytest.raises(TooEarly, match="STATE_MOVED"):
        await at_one_head(node.chain, read)
    assert node.chain.head.height == ATTEMPTS


def may_mix_heads(source: str) -> bool:
    """Whether a handler waits and reads the chain itself, without holding on to one head."""
    return "await " in source and bool(CHAIN_READS.search(source)) and "at_one_head" not in source


def test_no_handler_waits_between_reads() -> None:
    assert [name for name, m in METHODS.items() if may_mix_heads(inspect.getsource(m.handler))] == []
    assert may_mix_heads("async def f(node):\n    await pause()\n    return node.chain.head")
    assert not may_mix_heads("async def f(node):\n    return node.chain.head")
