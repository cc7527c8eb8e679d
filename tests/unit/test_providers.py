"""The list of providers, open jobs, proofs of life, and what is measured.  Spec: [PROV-*]."""

from __future__ import annotations

from dataclasses import replace

import pytest
from blake3 import blake3

from chain.hashing import b3_keyed
from chain.types import Grains, Hash32
from tests.asset_cases import AUTHOR, BUYER, new_version
from tests.builders import TILE, Ledger, funded_spec, key
from tests.provider_cases import (
    EXIT,
    INT8,
    PROVIDER_FAILURES,
    SELLER,
    Fair,
    registration,
    slow_spec,
    updated,
)
from vm.context import CHAIN_KEY
from vm.jobs.record import Status, Verdict
from vm.kinds.providers import REGISTER, UPDATE, Heartbeat
from vm.providers.heartbeat import answer, averaged, challenge
from vm.providers.record import (
    COUNT_KEY,
    IDLE,
    MAX_SERVED,
    ProviderCount,
    ProviderNumber,
    ProviderStatus,
    Served,
    activity_key,
    number_key,
    provider_key,
)


@pytest.fixture
def fair() -> Fair:
    return Fair()


@pytest.mark.parametrize(("kind", "code"), PROVIDER_FAILURES)
def test_every_code_of_providers_and_permits(kind: str, code: str, fair: Fair) -> None:
    assert PROVIDER_FAILURES[kind, code](fair) == code
    fair.ledger.audit()


# -- the list ---------------------------------------------------------------------------------------------------------


def test_a_provider_locks_a_deposit_and_gets_it_back(fair: Fair) -> None:
    assert fair.cost(SELLER, registration()) == TILE
    entry = fair.entry()
    assert entry is not None
    assert (entry.status, entry.registered_height, entry.deposit_grains) == (ProviderStatus.ACTIVE, 1, TILE)
    fair.ledger.audit()
    assert fair.cost(SELLER, EXIT) == -TILE
    assert (fair.entry(), fair.activity()) == (None, IDLE)
    assert fair.ledger.tree.get(COUNT_KEY) is None
    fair.ledger.audit()


def test_the_deposit_that_was_locked_is_what_comes_back(fair: Fair) -> None:
    """Whatever the network asks of others by then."""
    fair.register()
    entry = fair.entry()
    assert entry is not None
    fair.ledger.put({provider_key(SELLER.address): entry.but(deposit_grains=Grains(TILE // 2)).to_bytes()})
    chain = fair.ledger.chain
    less = chain.but(locked_grains=Grains(chain.locked_grains - TILE // 2))
    fair.ledger.put({CHAIN_KEY: less.to_bytes()})
    assert fair.cost(SELLER, EXIT) == -TILE // 2


def test_what_is_declared_is_kept_and_replaced(fair: Fair) -> None:
    fair.register()
    assert fair.did(SELLER, updated(ProviderStatus.PAUSED, region="", max_parallel=7)) == ["ProviderUpdated"]
    entry = fair.entry()
    assert entry is not None
    assert (entry.status, entry.declared.max_parallel, entry.declared.region) == (
        ProviderStatus.PAUSED,
        7,
        "",
    )
    assert (entry.registered_height, entry.deposit_grains) == (1, TILE)


def listed(fair: Fair) -> list[bytes]:
    data = fair.ledger.tree.get(COUNT_KEY)
    count = ProviderCount.from_bytes(data).providers if data is not None else 0
    found = [fair.ledger.tree.get(number_key(number)) for number in range(count + 1)]
    assert found.pop() is None
    return [ProviderNumber.from_bytes(each).provider for each in found if each is not None]


@pytest.mark.parametrize(
    ("leaving", "left"), [(0, [3, 1, 2]), (1, [0, 3, 2]), (2, [0, 1, 3]), (3, [0, 1, 2])]
)
def test_the_list_has_no_holes(fair: Fair, leaving: int, left: list[int]) -> None:
    for number in range(4):
        fair.register(key(number))
    assert listed(fair) == [key(number).address for number in range(4)]
    assert fair.send(key(leaving), EXIT) == ""
    assert listed(fair) == [key(number).address for number in left]
    assert [fair.activity(key(number)).number for number in left] == [0, 1, 2]
    fair.ledger.audit()
    fair.register(key(leaving))
    assert listed(fair)[3] == key(leaving).address


def test_undo_and_redo_of_a_departure_are_the_same(fair: Fair) -> None:
    fair.register(AUTHOR)
    fair.register()
    ledger = fair.ledger
    before = ledger.tree.root
    assert fair.send(AUTHOR, EXIT) == ""
    ledger.undo()
    assert ledger.tree.root == before


def test_a_served_version_exists(fair: Fair) -> None:
    asset = fair.publish()
    two = registration(versions=(Served(asset, 1), Served(asset, 2)))
    assert fair.send(SELLER, two) == "NOT_FOUND"
    assert fair.send(AUTHOR, new_version(asset)) == ""
    assert fair.send(SELLER, two) == ""


def test_versions_weigh(fair: Fair) -> None:
    asset = fair.publish()
    weights = [
        REGISTER.weight_of(registration(versions=(Served(asset, 1),) * count)) for count in (0, 1, 8, 9, 64)
    ]
    assert weights == [2, 3, 3, 4, 10]
    assert UPDATE.weight_of(updated(versions=(Served(asset, 1),) * 9)) == 3


def test_the_longest_registration_fits(fair: Fair) -> None:
    asset = fair.publish()
    full = registration(
        endpoints=("x" * 128,) * 4,
        classes=(INT8,) * 8,
        versions=(Served(asset, 1),) * MAX_SERVED,
        region="y" * 32,
    )
    assert fair.send(SELLER, full) == ""
    fair.ledger.audit()


# -- open jobs --------------------------------------------------------------------------------------------------------


def test_claims_and_ends_are_counted(fair: Fair) -> None:
    one, two = fair.case().open().claim(), fair.case().open().claim()
    assert fair.activity() == replace(IDLE, open_jobs=2)
    one.commit().draw().attest(*[Verdict.OK] * 3).finish()
    assert (one.status, two.status) == (Status.SETTLED, Status.CLAIMED)
    assert fair.activity() == replace(IDLE, open_jobs=1), "of who is not listed, no work is counted"
    fair.ledger.mine_to(two.now.commit_deadline + 1)
    assert two.status is Status.LATE
    assert fair.activity() == IDLE
    fair.ledger.audit()


def test_a_job_nobody_claimed_counts_for_nobody(fair: Fair) -> None:
    case = fair.case().open()
    fair.ledger.mine()
    assert case.cancel() == ""
    fair.ledger.audit()


def test_who_registers_later_takes_open_jobs_along(fair: Fair) -> None:
    case = fair.case().open().claim()
    fair.register()
    assert fair.send(SELLER, EXIT) == "BUSY"
    assert fair.send(SELLER, updated(ProviderStatus.PAUSED)) == ""
    fair.ledger.mine_to(case.now.commit_deadline + 1)
    assert fair.send(SELLER, EXIT) == ""
    fair.ledger.audit()


def test_a_slashed_job_is_open_no_more(fair: Fair) -> None:
    fair.register()
    case = fair.case().open().claim()
    wrong = case.product.wrong_result()
    case.commit(wrong)
    assert case.challenge(case.element_proof(wrong)) == ""
    assert (fair.activity().open_jobs, fair.activity().settled_macs) == (0, 0)
    assert fair.send(SELLER, EXIT) == ""


# -- proofs of life ---------------------------------------------------------------------------------------------------


def test_a_heartbeat_an_epoch(fair: Fair) -> None:
    fair.register()
    fair.to_epoch(1)
    assert fair.did(SELLER, fair.beat()) == ["Heartbeat"]
    assert fair.activity().heartbeat_epoch == 1
    assert fair.send(SELLER, fair.beat()) == "TOO_SOON"
    fair.to_epoch(2)
    assert fair.send(SELLER, fair.beat()) == ""
    fair.ledger.audit()


def test_registering_is_the_heartbeat_of_its_epoch(fair: Fair) -> None:
    fair.to_epoch(1)
    fair.register()
    assert fair.send(SELLER, fair.beat()) == "TOO_SOON"


def test_the_window_ends() -> None:
    fair = Fair(Ledger(slow_spec()))
    fair.register()
    fair.to_epoch(1, 1)
    assert fair.send(SELLER, fair.beat()) == ""
    fair.to_epoch(2, 2)
    assert fair.send(SELLER, fair.beat()) == "LATE"


def test_the_ticket_is_known_in_the_last_block_of_the_longest_window() -> None:
    plain = funded_spec()
    spec = replace(
        plain,
        pace=replace(plain.pace, epoch_blocks=20),
        providers=replace(plain.providers, heartbeat_blocks=16),
    )
    fair = Fair(Ledger(spec))
    fair.register()
    fair.to_epoch(1, 15)
    assert fair.send(SELLER, fair.beat()) == ""
    fair.to_epoch(2, 16)
    assert challenge(fair.ledger.begin().context, SELLER.address) is None
    assert fair.send(SELLER, fair.beat()) == "LATE"


def test_an_answer_is_of_one_provider_and_epoch(fair: Fair) -> None:
    fair.register()
    fair.register(BUYER)
    fair.to_epoch(1)
    other = fair.beat(BUYER)
    assert fair.send(SELLER, other) == "CHALLENGE"
    first = fair.beat()
    fair.to_epoch(2)
    assert fair.send(SELLER, first) == "CHALLENGE"
    assert fair.beat() != first


def test_the_answer_is_the_digest_of_a_product() -> None:
    """Computed in plain integers, from the text of the specification."""
    seed = Hash32(bytes(range(32)))
    drawn = [byte - 256 if byte > 127 else byte for byte in blake3(b"", key=seed).digest(length=8192)]
    left, right = drawn[:4096], drawn[4096:]
    product = [
        sum(left[64 * row + k] * right[64 * k + column] for k in range(64))
        for row in range(64)
        for column in range(64)
    ]
    data = b"".join(entry.to_bytes(4, "little", signed=True) for entry in product)
    assert answer(seed) == b3_keyed(seed, data)


# -- what is measured -------------------------------------------------------------------------------------------------


def test_settled_work_is_measured(fair: Fair) -> None:
    fair.register()
    case = fair.case().open().claim().commit().draw().attest(*[Verdict.OK] * 3).finish()
    macs = case.now.macs
    assert fair.activity().settled_macs == macs
    epoch = fair.ledger.height // 8 + 1
    fair.to_epoch(epoch)
    (receipt,) = fair.ledger.mine(fair.ledger.sign(SELLER, fair.beat()))
    measured = macs // epoch // 4
    assert receipt.events == (Heartbeat(SELLER.address, epoch, measured).to_event(),)
    assert (fair.activity().settled_macs, fair.activity().measured_macs) == (0, measured)
    fair.to_epoch(epoch + 1)
    assert fair.send(SELLER, fair.beat()) == ""
    assert fair.activity().measured_macs == 3 * measured // 4


def test_the_average_moves_by_a_quarter() -> None:
    assert averaged(0, 400, 1) == 100
    assert averaged(100, 400, 1) == 175
    assert averaged(100, 401, 2) == 125
    assert averaged(3, 0, 5) == 2
    assert averaged(1 << 100, 1 << 102, 1) == 7 << 98


def test_what_is_measured_may_outgrow_63_bits(fair: Fair) -> None:
    fair.register()
    huge = replace(fair.activity(), settled_macs=1 << 80)
    fair.ledger.put({activity_key(SELLER.address): huge.to_bytes()})
    fair.to_epoch(1)
    assert fair.did(SELLER, fair.beat()) == ["Heartbeat"]
    assert fair.activity().measured_macs == 1 << 78
