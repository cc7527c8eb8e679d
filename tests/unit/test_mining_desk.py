"""Templates for miners: when they are renewed, whom they pay, how long a poll waits, what becomes of a win."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from chain.bech32m import encode_address
from chain.blocks import Block, Header
from chain.errors import Invalid, Policy
from chain.types import Address
from compute.engines.reference import ReferenceEngine
from compute.messages import Mine
from compute.workbench import Workbench
from node.importer import Importer
from node.mining.desk import KEPT_TEMPLATES, MAX_ADDRESSES, MAX_WAITING, REFRESH_MS, WorkDesk
from node.mining.lent import MAX_LENT
from node.mining.work import WORK_RULES, Outcome, Work
from node.mining.work_forms import header_of
from node.rpc.registry import Cost, bind
from node.rpc.server import RpcApp
from node.rpc.table import METHODS, method_named
from tests import mining
from tests.builders import key
from tests.node_world import InlineCpu, VirtualClock
from tests.unit.rpc_node import BOB, OPERATOR, PREFIX, MemoryNode

SPEC = replace(mining.SPEC, pace=replace(mining.SPEC.pace, block_time_ms=4_000))
MINER = key(3).address


class Desk:
    """A desk on a chain that mines when told to."""

    def __init__(self) -> None:
        self.node = mining.Node(SPEC)
        self.clock = VirtualClock(SPEC.genesis_time_ms + 10**6)
        self.importer = Importer(self.node.chain, self.node.mempool, InlineCpu(), self.clock)
        self.announced: list[Block] = []
        self.desk = WorkDesk(
            self.node.chain, self.node.mempool, self.importer, self.clock, key(0).address, self._announce
        )

    async def _announce(self, block: Block) -> None:
        self.announced.append(block)


@pytest.fixture
async def built() -> Desk:
    return Desk()


def win(work: Work) -> bytes:
    """A certificate that wins."""
    workbench = Workbench(ReferenceEngine())
    order = Mine(work.version, work.sigma, work.target, work.profile_id, bytes(32))
    for attempt in range(10_000):
        found = workbench.mine(order, attempt).found
        if found is not None:
            return found.certificate
    raise AssertionError


async def test_a_template_stands_until_something_changes(built: Desk, autojump_clock: object) -> None:
    desk, half_ms = built.desk, SPEC.pace.block_time_ms // 2
    first = desk.current(MINER)
    assert desk.current(MINER) is not first
    assert desk.current(MINER) == first
    header = header_of(first.sigma)
    assert (header.miner, header.height, header.target) == (MINER, 1, first.target)

    built.node.mempool.add(mining.transfer(1, 0, 5))
    assert desk.current(MINER) == first, "not before half a second has passed"
    await trio.sleep(REFRESH_MS / 1000)
    second = desk.current(MINER)
    assert second.version > first.version
    assert header_of(second.sigma).transaction_root != header.transaction_root
    assert desk.current(MINER) == second

    await trio.sleep(half_ms / 1000)
    third = desk.current(MINER)
    assert header_of(third.sigma).time_ms >= header_of(second.sigma).time_ms + half_ms

    await built.importer.take(built.node.next_block())
    fourth = desk.current(MINER)
    assert (fourth.height, fourth.parent) == (2, built.node.chain.head.id)


async def test_a_change_of_the_pool_that_does_not_reach_the_block_renews_nothing(
    built: Desk, autojump_clock: object
) -> None:
    first = built.desk.current(MINER)
    built.node.mempool.version += 1
    await trio.sleep(REFRESH_MS / 1000)
    assert built.desk.current(MINER) == first


async def test_all_addresses_share_the_body_and_none_its_version(built: Desk) -> None:
    works = [built.desk.current(key(number).address) for number in range(4)]
    headers = [header_of(work.sigma) for work in works]
    assert len({work.version for work in works}) == 4
    assert {header.miner for header in headers} == {key(number).address for number in range(4)}
    assert len({(h.state_root, h.transaction_root, h.receipt_root, h.parent) for h in headers}) == 1


async def test_versions_of_an_earlier_run_mean_nothing(built: Desk, autojump_clock: object) -> None:
    before = built.desk.current(MINER)
    await trio.sleep(1)
    again = WorkDesk(
        built.node.chain, built.node.mempool, built.importer, built.clock, key(0).address, built._announce
    )
    assert again.current(MINER).version > before.version
    assert (await again.submit(before.version, b"")).outcome is Outcome.STALE


async def test_templates_on_an_earlier_head_are_not_kept(built: Desk, autojump_clock: object) -> None:
    """Also those of addresses that ask no more; an empty block's body is the same on every head."""
    before = [built.desk.current(key(number).address) for number in range(4)]
    await built.importer.take(built.node.next_block())
    after = built.desk.current(key(0).address)
    assert after.parent == built.node.chain.head.id
    assert list(built.desk._given) == [key(0).address]
    assert (await built.desk.submit(before[0].version, b"")).outcome is Outcome.STALE


async def test_a_win_becomes_a_block_that_pays_its_miner(built: Desk, autojump_clock: object) -> None:
    work = built.desk.current(MINER)
    submission = await built.desk.submit(work.version, win(work))
    assert (submission.outcome, submission.block) == (Outcome.ACCEPTED, built.node.chain.head.id)
    assert built.node.chain.head.miner == MINER
    assert [block.id for block in built.announced] == [submission.block]

    late = await built.desk.submit(work.version, win(work))
    assert late.outcome is Outcome.STALE
    assert len(built.announced) == 1


async def test_a_win_on_a_renewed_template_still_counts(built: Desk, autojump_clock: object) -> None:
    work = built.desk.current(MINER)
    built.node.mempool.add(mining.transfer(1, 0, 5))
    await trio.sleep(REFRESH_MS / 1000)
    assert built.desk.current(MINER).version != work.version
    assert (await built.desk.submit(work.version, win(work))).outcome is Outcome.ACCEPTED


async def test_a_certificate_of_another_template_is_refused_with_the_code(
    built: Desk, autojump_clock: object
) -> None:
    own, other = built.desk.current(MINER), built.desk.current(key(4).address)
    submission = await built.desk.submit(own.version, win(other))
    assert submission.outcome is Outcome.REFUSED
    assert submission.reason.split(":")[0].isupper()
    assert (await built.desk.submit(own.version, b"no certificate")).outcome is Outcome.REFUSED
    assert built.node.chain.head.height == 0
    assert not built.announced


async def test_templates_and_addresses_are_bounded(built: Desk, autojump_clock: object) -> None:
    operator = built.desk.current(key(0).address)
    for number in range(3 * MAX_ADDRESSES):
        built.desk.current(Address(number.to_bytes(20, "big")))
    assert built.desk._template(operator.version) is not None, "the node's own work is never pushed out"
    assert len(built.desk._given) == MAX_ADDRESSES + 1
    for _ in range(2 * KEPT_TEMPLATES):
        await trio.sleep(SPEC.pace.block_time_ms / 1000)
        built.desk.current(MINER)
    assert len(built.desk._given[MINER]) == KEPT_TEMPLATES


async def test_a_poll_waits_for_news_and_no_longer_than_asked(built: Desk, autojump_clock: object) -> None:
    work = built.desk.current(MINER)
    started_s = trio.current_time()
    same = await built.desk.poll(MINER, work.version, 300)
    assert (same, round(trio.current_time() - started_s, 3)) == (work, 0.3)
    assert await built.desk.poll(MINER, 0, 30_000) == work, (
        "another version than the caller's is news already"
    )

    news: list[Work] = []

    async def wait() -> None:
        news.append(await built.desk.poll(MINER, work.version, 30_000))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(0.1)
        await built.importer.take(built.node.next_block())
        started_s = trio.current_time()
    assert trio.current_time() == started_s, "told at once, not at the next look"
    assert news[0].height == 2


async def test_callers_that_wait_are_bounded_and_the_others_are_answered(
    tmp_path: Path, autojump_clock: object
) -> None:
    assert Cost.WAIT.value > MAX_WAITING + MAX_LENT, "waiting callers leave places for those that do not wait"
    rpc = RpcApp(MemoryNode(tmp_path), frozenset())
    version = (await rpc.call("work_template", {}))["version"]
    waiting = {"after": version, "wait_ms": 30_000}
    async with trio.open_nursery() as nursery:
        for _ in range(MAX_WAITING):
            nursery.start_soon(rpc.call, "work_template", waiting)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Policy) as caught:
            await rpc.call("work_template", waiting)
        assert caught.value.code == "WORK_WAITING"
        assert (await rpc.call("work_template", {"after": version}))["version"] == version
        nursery.cancel_scope.cancel()
    assert (await rpc.call("work_template", {"after": version, "wait_ms": 1}))["version"] == version


async def ask(node: MemoryNode, name: str, **parameters: Any) -> Any:
    declared = method_named(name)
    return await declared.handler(node, **bind(declared, parameters))


async def test_the_rpc_hands_out_work_and_takes_wins(tmp_path: Path) -> None:
    node = MemoryNode(tmp_path)
    form = await ask(node, "work_template", address=encode_address(PREFIX, BOB.address))
    header = header_of(bytes.fromhex(form["sigma"]))
    assert header.miner == BOB.address
    assert int(form["target"], 16) == header.target
    assert (form["height"], form["parent"]) == (1, node.chain.head.id.hex())
    assert (form["work_rules"], form["profile_id"]) == (WORK_RULES, node.chain.spec.profile_id)
    own = await ask(node, "work_template")
    assert header_of(bytes.fromhex(own["sigma"])).miner == OPERATOR.address

    work = node.work.current(BOB.address)
    certificate = win(work)
    refused = await ask(node, "work_submit", version=own["version"], certificate=certificate.hex())
    assert (refused["outcome"], refused["block"]) == ("refused", None)
    assert refused["reason"]
    accepted = await ask(node, "work_submit", version=work.version, certificate=certificate.hex())
    assert accepted == {"outcome": "accepted", "reason": "", "block": node.chain.head.id.hex()}
    stale = await ask(node, "work_submit", version=work.version, certificate=certificate.hex())
    assert stale == {"outcome": "stale", "reason": "", "block": None}


@pytest.mark.parametrize(
    ("name", "parameters", "code"),
    [
        ("work_template", {"wait_ms": 30_001}, "WORK_WAIT"),
        ("work_template", {"address": encode_address("tilemain", BOB.address)}, "ADDRESS_NETWORK"),
        ("work_template", {"address": "nobody"}, "ADDRESS_PREFIX"),
        ("work_submit", {"version": 1, "certificate": "00" * 400_000}, "WORK_CERTIFICATE"),
    ],
)
async def test_what_the_rpc_refuses(tmp_path: Path, name: str, parameters: dict[str, Any], code: str) -> None:
    with pytest.raises((Policy, Invalid)) as caught:
        await ask(MemoryNode(tmp_path), name, **parameters)
    assert caught.value.code == code


async def test_sigma_stands_for_its_header(built: Desk) -> None:
    template = built.node.template()
    assert header_of(template.header.sigma()) == template.header
    assert isinstance(template.header, Header)
    for wrong in (b"", b"\x90", template.header.to_bytes(), bytes(3000)):
        with pytest.raises(Invalid):
            header_of(wrong)
    assert "work_template" in METHODS
