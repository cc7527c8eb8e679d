"""The draw: linear in stake, without replacement, from a beacon nobody owns.  Spec: [JOB-DRAW]."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.codec import pack
from chain.hashing import Tag, h256
from chain.ledger import Ticket, Weight, WeightSnapshot
from chain.types import Address, Grains, Hash32, Height, JobId
from genesis.presets import preset
from vm.jobs.committee import attest_commitment, beacon, draw, eligible
from vm.jobs.record import Verdict

RULES = preset("test").jobs
JOB = JobId(b"\7" * 32)
DRAWS = 3_000


def person(number: int) -> Address:
    return Address(number.to_bytes(20, "big"))


def seed(number: int) -> Hash32:
    return h256(Tag.BEACON, number.to_bytes(8, "big"))


def urn(*stakes: int) -> list[Weight]:
    return [Weight(person(i), Grains(stake)) for i, stake in enumerate(stakes)]


@given(
    st.lists(st.integers(1, 1 << 60), min_size=1, max_size=20), st.integers(1, 25), st.integers(0, 1 << 60)
)
def test_members_are_different_and_fill_the_seats(stakes: list[int], seats: int, number: int) -> None:
    drawn = draw(seed(number), urn(*stakes), seats)
    assert len(drawn) == min(seats, len(stakes)) == len(set(drawn))
    assert drawn == draw(seed(number), urn(*stakes), seats)


def test_the_first_seat_is_linear_in_stake() -> None:
    """1 : 2 : 3 : 4 within five standard deviations."""
    counts = Counter(draw(seed(i), urn(10, 20, 30, 40), 1)[0] for i in range(DRAWS))
    for number, percent in enumerate((10, 20, 30, 40)):
        expected = DRAWS * percent // 100
        assert (counts[person(number)] - expected) ** 2 < 25 * expected * (100 - percent) // 100


def test_the_second_seat_is_linear_among_the_rest() -> None:
    """After the first, the others keep their proportions: P(B second | A first) = 20 / (20 + 70)."""
    pairs = [draw(seed(i), urn(10, 20, 70), 2) for i in range(3 * DRAWS)]
    after = [second for first, second in pairs if first == person(0)]
    expected = len(after) * 20 // 90
    assert (after.count(person(1)) - expected) ** 2 < 25 * expected * 70 // 90


def test_splitting_a_stake_does_not_help() -> None:
    """Seats held by one owner of 30 %, whole or in ten parts: linear draws pay nothing for more names."""

    def held(stakes: tuple[int, ...], names: int) -> int:
        mine = {person(i) for i in range(names)}
        return sum(len(mine.intersection(draw(seed(i), urn(*stakes), 1))) for i in range(DRAWS))

    whole = held((300, 100, 200, 400), 1)
    parts = held((*[30] * 10, 100, 200, 400), 10)
    assert abs(whole - parts) < 5 * 36, "two samples of 3,000 at 30 % differ by less than 5 sigma"
    assert abs(whole - DRAWS * 3 // 10) < 5 * 26


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(1, 6), st.integers(0, 1 << 60))
def test_the_draw_is_that_of_an_urn_with_a_slip_per_grain(stakes: list[int], seats: int, number: int) -> None:
    """The rule written the slow way: number the slips, take one, remove all of its owner's."""
    slips = [person(i) for i, stake in enumerate(stakes) for _ in range(stake)]
    drawn = []
    for seat in range(min(seats, len(stakes))):
        point = int.from_bytes(h256(Tag.DRAW, pack([seed(number), seat])), "big")
        drawn.append(slips[point % len(slips)])
        slips = [owner for owner in slips if owner != drawn[-1]]
    assert draw(seed(number), urn(*stakes), seats) == tuple(drawn)


def test_boundaries_of_the_urn() -> None:
    """A stake of nothing is never drawn, everything always."""
    assert draw(seed(1), [], 3) == ()
    assert {draw(seed(i), urn(1, 1 << 60), 1)[0] for i in range(200)} == {person(1)}


def test_payer_provider_and_the_unstaked_never_judge() -> None:
    snapshot = WeightSnapshot(0, tuple(urn(10, 10, 0, 10, 10)))
    assert [w.address for w in eligible(snapshot, person(0), person(4))] == [person(1), person(3)]


def tickets(first: int, last: int) -> list[Ticket]:
    return [Ticket(Height(h), Hash32(bytes([h]) * 32)) for h in range(first, last + 1)]


def test_the_beacon_is_made_of_exactly_the_beacon_tickets() -> None:
    committed = 10
    ring = tickets(1, 16)
    made = beacon(JOB, ring, RULES, committed)
    inside = range(committed + RULES.beacon_first_block, committed + RULES.beacon_last_block + 1)
    assert len(inside) == 2
    for at, ticket in enumerate(ring):
        other = [*ring]
        other[at] = replace(ticket, ticket=Hash32(b"\xff" * 32))
        assert (beacon(JOB, other, RULES, committed) != made) == (ticket.height in inside)
    assert beacon(JobId(b"\x08" * 32), ring, RULES, committed) != made
    assert beacon(JOB, ring, RULES, committed - 1) != made


def test_a_beacon_before_its_tickets_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError):
        beacon(JOB, tickets(1, 12), RULES, 10)


def test_a_commitment_binds_everything_it_will_reveal() -> None:
    salt, evidence = bytes(32), bytes(32)
    plain = attest_commitment(JOB, person(1), Verdict.OK, salt, evidence)
    others = [
        attest_commitment(JobId(b"\x08" * 32), person(1), Verdict.OK, salt, evidence),
        attest_commitment(JOB, person(2), Verdict.OK, salt, evidence),
        attest_commitment(JOB, person(1), Verdict.WRONG, salt, evidence),
        attest_commitment(JOB, person(1), Verdict.OK, b"\1" * 32, evidence),
        attest_commitment(JOB, person(1), Verdict.OK, salt, b"\1" * 32),
    ]
    assert len({plain, *others}) == 6
