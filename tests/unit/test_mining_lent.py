"""Jobs computed with devices that miners lend: shared, slow, vanished, lying; the node waits for none of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio

import node.mining.lending
from chain.errors import Invalid, LocalFault, Policy
from chain.tensors import DType, TensorInfo
from chain.types import Hash32, JobId
from compute.messages import Command, Event, Failed, Load, Panel, PanelDone
from node.app import Node
from node.mining.devices import Device, cpu_devices
from node.mining.lending import parse_offer
from node.mining.lent import ABSENT_S, MAX_LENT, LentDevice, LentDevices, Offer
from node.mining.status import State
from node.mining.work_forms import header_of
from tests.lenders import BesideMiner, MemoryClient, inline
from tests.node_world import InlineWorker, SeededRng, World, four_nodes, world
from vm.jobs.record import Status

JOB = JobId(b"job".ljust(32, b"."))
A = np.random.default_rng(21).integers(-63, 64, (240, 100)).astype(np.int8)
B = np.random.default_rng(22).integers(-63, 64, (100, 96)).astype(np.int8)
TALL = np.tile(A, (4, 1))
"""Enough rows for a panel of every device."""
SESSION = "5e" * 32


@pytest.fixture(autouse=True)
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trio.to_thread, "run_sync", inline)


class MakesNoPanels(InlineWorker):
    """A local device that is of no use for jobs."""

    async def send(self, command: Command) -> None:
        if isinstance(command, Panel):
            self._events.append(Failed("WORK_MEMORY", "9 GiB", command.job))
            self._wake.set()
        else:
            await super().send(command)


class Lies(InlineWorker):
    """Gets one entry of every panel wrong."""

    async def receive(self) -> Event:
        event = await super().receive()
        if not isinstance(event, PanelDone):
            return event
        wrong = np.frombuffer(event.product, "<i4").copy()
        wrong[7] += 1
        fields = {name: getattr(event, name) for name in event.__slots__}
        return PanelDone(**fields | {"product": wrong.tobytes()})


class NeverFinishes(InlineWorker):
    """Takes panels and says nothing."""

    async def send(self, command: Command) -> None:
        if not isinstance(command, Panel):
            await super().send(command)


def stored(node: Node, a: np.ndarray) -> tuple[Load, Load]:
    """Two matrices in the node's store, as the provider hands them to the miner."""
    loads = []
    for matrix in (a, np.ascontiguousarray(B.T)):
        root = node.blobs.put(TensorInfo(*matrix.shape, DType.INT8), matrix.tobytes())
        loads.append(Load(Hash32(root), *matrix.shape, matrix.tobytes()))
    return loads[0], loads[1]


async def multiplied(node: Node, a: np.ndarray = A) -> bytes:
    assert node.miner is not None
    return await node.miner.multiply(JOB, *stored(node, a))


def exact(a: np.ndarray = A) -> bytes:
    return (a.astype(np.int32) @ B.astype(np.int32)).astype("<i4").tobytes()


async def beside(net: World, node: Node, count: int = 1, **options: Any) -> BesideMiner:
    """A miner of so many devices, all of them known to the node with their rate."""
    before = len(node.lent.present)
    made = BesideMiner(net, node, devices=cpu_devices(count), **options)
    net.nursery.start_soon(made.run)
    await net.until(
        lambda: len(node.lent.present) == before + count and all(d.rate for d in node.lent.present)
    )
    return made


async def useless_alone(net: World, **settings: Any) -> Node:
    """A node whose own device makes no panels."""
    net.worker_kinds = {("cpu", engine): MakesNoPanels for engine in ("numba", "numpy", "reference")}
    node = await net.start(0, **settings)
    await net.until(lambda: node.miner is not None and all(slot.rate for slot in node.miner.slots))
    return node


def panels(miner: BesideMiner) -> int:
    return sum(status.panels for status in miner.miner.devices)


async def test_a_product_is_made_on_a_lent_device(tmp_path: Path, autojump_clock: object) -> None:
    async with world(tmp_path) as net:
        node = await useless_alone(net)
        miner = await beside(net, node)
        assert await multiplied(node) == exact()
        work = node.miner.job_work[JOB]
        assert panels(miner) == work.panels == miner.miner.job_work[JOB].panels > 1
        assert work.tickets >= 240 // 16 * 96 // 16
        shown = [status for status in node.devices if "@" in status.device]
        assert [(s.state, s.panels, s.tickets) for s in shown] == [(State.RUNNING, work.panels, work.tickets)]
        await net.until(lambda: not miner.lender._matrices._held, limit_s=1)
        assert len(miner.client.called("blob_get")) == 2, "each matrix was fetched once"


async def test_two_miners_and_the_node_share_a_product(tmp_path: Path, autojump_clock: object) -> None:
    async with world(tmp_path) as net:
        node = await net.start(0, mine=False)
        await net.until(lambda: node.miner is not None and node.miner.slots[0].rate > 0)
        miners = [await beside(net, node, 2, name="first"), await beside(net, node, name="second")]
        assert await multiplied(node, TALL) == exact(TALL)
        assert all(panels(miner) for miner in miners)
        own = sum(slot.status.panels for slot in node.miner.slots)
        assert own > 0
        assert own + sum(map(panels, miners)) == node.miner.job_work[JOB].panels
        assert len(miners[0].client.called("blob_get")) == 2, "two devices share what was fetched"


async def test_a_liar_is_refused_for_good_and_its_panels_are_made_again(
    tmp_path: Path, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path) as net:
        node = await net.start(0)
        liar = await beside(net, node, worker=Lies)
        assert await multiplied(node) == exact()
        assert panels(liar) > 0
        await trio.sleep(60)
        assert node.lent.present == ()
        assert [s.state for s in node.lent.statuses] == [State.QUARANTINED]
        lines = [record.getMessage() for record in caplog.records]
        assert sum(line.startswith("lent-device-refused") for line in lines) == 1
        assert sum(line.startswith("lending-ended device=cpu why=WORK_LENT_REFUSED") for line in lines) == 1
        made = panels(liar)
        assert await multiplied(node) == exact()
        assert panels(liar) == made


async def test_one_that_vanishes_with_a_panel_loses_it(tmp_path: Path, autojump_clock: object) -> None:
    async with world(tmp_path) as net:
        node = await net.start(0)
        async with trio.open_nursery() as nursery:
            miner = BesideMiner(net, node, worker=NeverFinishes)
            nursery.start_soon(miner.run)
            await net.until(lambda: any(device.rate for device in node.lent.present))
            started_s = trio.current_time()

            async def vanish() -> None:
                await net.until(lambda: node.lent.present[0].owed is not None)
                miner.client.node = None
                nursery.cancel_scope.cancel()

            nursery.start_soon(vanish)
            with trio.CancelScope(shield=True):
                assert await multiplied(node) == exact()
        assert trio.current_time() - started_s < 60
        await trio.sleep(2 * ABSENT_S)
        assert node.lent.present == ()
        assert all("@" not in status.device for status in node.devices)


async def test_one_that_is_stopped_gives_its_panel_back(tmp_path: Path, autojump_clock: object) -> None:
    async with world(tmp_path) as net:
        node = await net.start(0)
        async with trio.open_nursery() as nursery:
            miner = BesideMiner(net, node, worker=NeverFinishes)
            nursery.start_soon(miner.run)
            await net.until(lambda: any(device.rate for device in node.lent.present))

            async def stop() -> None:
                await net.until(lambda: node.lent.present[0].owed is not None)
                nursery.cancel_scope.cancel()

            nursery.start_soon(stop)
            started_s = trio.current_time()
            with trio.CancelScope(shield=True):
                assert await multiplied(node) == exact()
        assert trio.current_time() - started_s < 3
        (given_back,) = miner.client.called("work_panel_failed")
        assert given_back["code"] == "WORKER_LOST"


async def test_many_liars_at_once_cost_one_product_no_new_start(
    tmp_path: Path, autojump_clock: object
) -> None:
    async with world(tmp_path) as net:
        node = await net.start(0, mine=False)
        await net.until(lambda: node.miner is not None and node.miner.slots[0].rate > 0)
        await beside(net, node, 5, worker=Lies)
        assert await multiplied(node, TALL) == exact(TALL)
        assert [status.state for status in node.lent.statuses] == [State.QUARANTINED] * 5


async def test_the_cpu_that_takes_over_from_a_broken_gpu_is_lent_too(
    tmp_path: Path, autojump_clock: object
) -> None:
    async with world(tmp_path) as net:
        node = await useless_alone(net)
        miner = BesideMiner(net, node, devices=(Device("gpu-0", "GPU-0"),), worker=InlineWorker)
        net.nursery.start_soon(miner.run)
        await net.until(lambda: any(device.rate for device in node.lent.present))
        gpu = miner.miner.slots[0]
        gpu.status = replace(gpu.status, state=State.QUARANTINED)
        gpu.distrust(gpu.life, LocalFault("X"))
        await net.until(lambda: len(miner.miner.slots) == 2 and len(miner.lender._lent) == 2)
        await net.until(lambda: "cpu@" in " ".join(each.device.name for each in node.lent.present))
        assert await multiplied(node) == exact()
        assert miner.miner.slots[1].status.panels > 0


async def test_one_that_is_slow_keeps_nobody_waiting_and_its_late_product_is_not_taken(
    tmp_path: Path, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    class Slow(InlineWorker):
        async def send(self, command: Command) -> None:
            if isinstance(command, Panel):
                await trio.sleep(40)
            await super().send(command)

    async with world(tmp_path) as net:
        node = await net.start(0)
        slow = await beside(net, node, worker=Slow)
        started_s = trio.current_time()
        assert await multiplied(node) == exact()
        assert trio.current_time() - started_s < 30
        await trio.sleep(60)
        assert panels(slow) == 1
        assert slow.miner.job_work == {}
        assert any("panel-not-taken device=cpu why=WORK_PANEL_LATE" in r.getMessage() for r in caplog.records)
        assert len(node.lent.present) == 1, "it may try again"


async def test_a_device_that_comes_in_the_middle_helps(tmp_path: Path, autojump_clock: object) -> None:
    async with world(tmp_path) as net:
        node = await useless_alone(net)
        other = await beside(net, node, worker=NeverFinishes, name="hangs")
        product: list[bytes] = []

        async def multiply() -> None:
            product.append(await multiplied(node))

        net.nursery.start_soon(multiply)
        await net.until(lambda: other.client.node.lent.present[0].owed is not None)
        helper = await beside(net, node, name="late")
        await net.until(lambda: bool(product))
        assert product == [exact()]
        assert panels(helper) > 0


async def test_a_restarted_node_takes_no_old_panel_and_gets_the_devices_back(
    tmp_path: Path, autojump_clock: object
) -> None:
    async with world(tmp_path) as net:
        node = await useless_alone(net)
        miner = await beside(net, node)
        assert await multiplied(node) == exact()
        old = {"session": SESSION, "panel": "ab" * 32, "tickets": 0, "winners": 0, "macs": 0}
        miner.client.node = None
        await net.stop(0)
        await trio.sleep(30)
        again = await net.start(0, kv=net.stores["node-0"])
        await net.until(lambda: again.miner is not None and again.miner.slots[0].rate > 0)
        miner.client.node = again
        with pytest.raises(Policy) as caught:
            await miner.client.call("work_panel_done", product="", **old)
        assert caught.value.code == "WORK_PANEL_LATE"
        await net.until(lambda: len(again.lent.present) == 1, limit_s=60)
        made = panels(miner)
        assert await multiplied(again) == exact()
        assert panels(miner) > made


async def test_a_paid_job_settles_with_lent_devices_only(tmp_path: Path, autojump_clock: object) -> None:
    async with world(tmp_path) as net:
        net.worker_kinds = {("cpu", engine): MakesNoPanels for engine in ("numba", "numpy", "reference")}
        await four_nodes(net, miners=(0,))
        node = net.nodes["node-0"]
        miner = await beside(net, node)
        identity = await net.open_job(net.nodes["node-3"], A.astype(int), B.astype(int))
        job = await net.until_status(node, identity, Status.SETTLED, Status.LATE, Status.VOID)
        assert job.status is Status.SETTLED
        assert job.provider == node.address
        assert panels(miner) == node.miner.job_work[identity].panels > 0


async def test_without_memory_for_the_matrices_somebody_else_makes_the_panel(
    tmp_path: Path, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.mining.lending, "available_bytes", lambda: 1_000)
    async with world(tmp_path) as net:
        asking = await net.start(0)
        miner = await beside(net, asking)
        assert await multiplied(asking) == exact()
        assert panels(miner) == 0
        assert miner.client.called("blob_get") == []
        (status,) = asking.lent.statuses
        assert status.failure.startswith("WORK_MEMORY")


@pytest.mark.parametrize("change", [{"data": "AAAA"}, {"count": 0}, {"count": 10**6}])
async def test_a_matrix_that_is_cut_short_is_not_multiplied(
    tmp_path: Path, autojump_clock: object, change: dict[str, Any]
) -> None:
    async with world(tmp_path) as net:
        asking = await net.start(0)
        miner = await beside(net, asking)
        call = miner.client.call

        async def changed(name: str, **parameters: Any) -> Any:
            answer = await call(name, **parameters)
            return answer | change if name == "blob_get" else answer

        miner.client.call = changed  # type: ignore[method-assign]
        assert await multiplied(asking) == exact()
        assert panels(miner) == 0
        (status,) = asking.lent.statuses
        assert status.failure.startswith("WORK_MATRIX")


async def test_beside_a_node_of_an_earlier_release_it_mines_only(
    tmp_path: Path, autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with world(tmp_path) as net:
        old = await net.start(0, mine=False, provide=False)
        miner = BesideMiner(net, old, idle_mining=True)
        call = miner.client.call

        async def without_panels(name: str, **parameters: Any) -> Any:
            if name == "work_panel":
                raise Policy("RPC_METHOD", found=name)
            return await call(name, **parameters)

        miner.client.call = without_panels  # type: ignore[method-assign]
        net.nursery.start_soon(miner.run)
        await net.until(lambda: old.chain.head.height >= 3)
    assert sum(record.getMessage().startswith("lending-ended") for record in caplog.records) == 1


async def test_wins_on_a_lent_device_pay_the_provider(tmp_path: Path, autojump_clock: object) -> None:
    """The binding of a certificate is valid only in a block whose miner is the job's provider [WORK-BIND]."""
    async with world(tmp_path) as net:
        node = await useless_alone(net, mine=False)
        miner = await beside(net, node)
        orders = []
        poll = node.lent.poll

        async def seen(*arguments: Any) -> Offer | None:
            offer = await poll(*arguments)
            if offer is not None:
                orders.append(offer.order)
            return offer

        node.lent.poll = seen  # type: ignore[method-assign]
        for row in range(8):  # whether the tickets of one product win is luck; the chance is in its matrices
            await multiplied(node, np.roll(A, row, axis=0))
            if miner.client.called("work_submit"):
                break
        assert {header_of(order.sigma).miner for order in orders} == {node.address}
        assert {order.job for order in orders} == {JOB}
        assert miner.client.called("work_submit")


# -- what a careless or hostile caller may send -----------------------------------------------------------------


async def asked(node: Node, **changes: Any) -> Any:
    given = {
        "session": SESSION,
        "device": "cpu",
        "engine": "numpy",
        "macs_per_second": 10**6,
        "wait_ms": 1_000,
    }
    return await MemoryClient(node).call("work_panel", **given | changes)


async def test_what_is_not_asked_for_properly_is_refused(tmp_path: Path, autojump_clock: object) -> None:
    async with world(tmp_path) as net:
        node = await net.start(0)
        for changes, code in (
            ({"wait_ms": 10**6}, "WORK_WAIT"),
            ({"device": "a line\nof mine"}, "WORK_PANEL_TEXT"),
            ({"engine": "x" * 33}, "WORK_PANEL_TEXT"),
            ({"session": "5e"}, "RPC_PARAMS"),
        ):
            with pytest.raises(Policy) as caught:
                await asked(node, **changes)
            assert caught.value.code == code
        assert await asked(node) == dict.fromkeys(("panel", "order", "a_rows", "b_rows", "columns"))
        assert parse_offer(await asked(node)) is None
        for name, rest in (
            ("work_panel_done", {"product": "", "tickets": 0, "winners": 0, "macs": 0}),
            ("work_panel_failed", {"code": "CODE", "text": ""}),
        ):
            for session in (SESSION, "77" * 32):
                with pytest.raises(Policy) as caught:
                    await MemoryClient(node).call(name, session=session, panel="00" * 32, **rest)
                assert caught.value.code == "WORK_PANEL_LATE"


@pytest.mark.parametrize("product", ["", "AAAA", "!" * 4 * ((16 * 96 * 4 + 2) // 3), "A" * 40_000])
async def test_a_product_of_a_wrong_size_costs_the_panel(
    tmp_path: Path, autojump_clock: object, product: str
) -> None:
    async with world(tmp_path) as net:
        node = await net.start(0)
        net.nursery.start_soon(multiplied, node)
        form = await asked(node, macs_per_second=1, wait_ms=5_000)
        offer = parse_offer(form)
        assert offer is not None
        assert offer.order.row_count == 16
        with pytest.raises(Policy) as caught:
            await MemoryClient(node).call(
                "work_panel_failed", session=SESSION, panel="ab" * 32, code="CODE", text="of another panel"
            )
        assert caught.value.code == "WORK_PANEL_LATE"
        with pytest.raises(Policy) as caught:
            await MemoryClient(node).call(
                "work_panel_done",
                session=SESSION,
                panel=form["panel"],
                product=product,
                tickets=0,
                winners=0,
                macs=0,
            )
        assert caught.value.code == "WORK_PANEL_SIZE"
        assert node.lent.present[0].owed is None or node.lent.present[0].owed.offer != offer
        await net.until(
            lambda: JOB in node.miner.job_work and not node.miner._multiplying.locked(), limit_s=60
        )


async def test_no_more_devices_than_may_wait(tmp_path: Path, autojump_clock: object) -> None:
    lent = LentDevices(SeededRng("lent"))
    for number in range(MAX_LENT):
        await lent.poll(Hash32(bytes([number]) * 32), "cpu", "numpy", 1, 0)
    with pytest.raises(Policy) as caught:
        await lent.poll(Hash32(b"x" * 32), "cpu", "numpy", 1, 0)
    assert caught.value.code == "WORK_LENT_FULL"
    await trio.sleep(ABSENT_S)
    assert lent.present == ()
    lent._devices[Hash32(bytes(32))].distrust(0, Policy("WRONG"))  # type: ignore[arg-type]
    for number in range(MAX_LENT):
        await lent.poll(Hash32(bytes([100 + number]) * 32), "cpu", "numpy", 1, 0)
    assert len(lent._devices) == MAX_LENT
    with pytest.raises(Policy) as caught:
        await lent.poll(Hash32(bytes(32)), "cpu", "numpy", 1, 0)
    assert caught.value.code == "WORK_LENT_REFUSED", "forgotten, but not what it did"


async def test_who_asks_twice_gets_the_panel_once_and_last(autojump_clock: object) -> None:
    """A connection that broke may have left a call behind whose answer nobody reads."""
    device = LentDevice("cpu@0000", SeededRng("x"))
    answers: list[tuple[str, Offer | None]] = []
    a, b = Load(Hash32(b"a" * 32), 16, 64, bytes(1024)), Load(Hash32(b"b" * 32), 16, 64, bytes(1024))
    order = Panel(1, b"sigma", 1, 1, JOB, 0, a.matrix, 0, 16, b.matrix)

    async def ask(name: str) -> None:
        answers.append((name, await device.next("numpy", 10**6, 20_000)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, "first")
        await trio.sleep(1)
        nursery.start_soon(ask, "second")
        await trio.sleep(1)
        nursery.start_soon(device.panel, order, a, b)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert [(name, offer is not None) for name, offer in answers] == [("first", False), ("second", True)]


@pytest.mark.parametrize(
    "changes",
    [
        {"panel": 5},
        {"order": "00"},
        {"a_rows": 0},
        {"a_rows": 8},
        {"columns": 0},
        {"b_rows": 1 << 40},
        {"b_rows": None},
    ],
)
def test_an_answer_that_is_no_panel_is_refused(changes: dict[str, Any]) -> None:
    order = Panel(1, b"sigma", 1, 1, JOB, 0, Hash32(b"a" * 32), 0, 16, Hash32(b"b" * 32))
    form = {"panel": "ab" * 32, "order": order.to_bytes().hex(), "a_rows": 16, "b_rows": 4, "columns": 64}
    assert parse_offer(form) is not None
    for broken in (form | changes, [], None, "text"):
        with pytest.raises(Invalid) as caught:
            parse_offer(broken)
        assert caught.value.code == "WORK_OFFER"
