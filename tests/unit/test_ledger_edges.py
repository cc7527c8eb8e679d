"""The edges of the ledger: one block too late, one grain too few, one unit beyond the range.  Spec: [TX-*], [MONEY-*].

Every transaction runs on the program and on the naive model, and both must give the code that stands here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chain.codec import pack
from chain.hashing import Tag, h256
from chain.ledger import Namespace, state_key
from chain.types import Grains
from genesis.spec import ChainSpec
from tests.acts import GOOD, commitment, first_word
from tests.builders import TILE, key
from tests.edges import (
    LARGEST,
    PAYER,
    PLENTY,
    PROVIDER,
    STRANGER,
    U63_MAX,
    WATCHER,
    Edge,
    founded_by,
    order,
    spec_with,
    staking,
)
from tests.model.forms import KINDS
from tests.model.state import EXPIRED, LATE, SETTLED, SLASHED, VOID
from tests.twins import Twins

# -- once, here, in time ----------------------------------------------------------------------------------------


def test_a_replay_in_the_same_block_in_the_next_and_after_a_reorganisation() -> None:
    edge = Edge()
    data = edge.made(PAYER, "transfer", [PROVIDER.address, 1, b""])
    assert edge.twins.add(data) == ""
    assert edge.twins.add(data) == "refused NONCE"
    edge.block()
    assert edge.twins.add(data) == "refused NONCE"
    edge.twins.undo()
    assert edge.twins.add(data) == ""
    assert edge.twins.add(data) == "refused NONCE"


@pytest.mark.parametrize("chain_id", [b"tilework-dev", b"", b"tilework-test\0", b"Tilework-test"])
def test_another_chain(chain_id: bytes) -> None:
    assert Edge().transfer(1, chain_id=chain_id) == "refused CHAIN_ID"


def test_the_last_block_of_a_transaction() -> None:
    edge = Edge()
    edge.blocks(4)
    height = edge.twins.model.height
    assert edge.transfer(1, valid_until=height - 1) == "refused EXPIRED"
    assert edge.transfer(1, valid_until=0) == "refused EXPIRED"
    assert edge.transfer(1, valid_until=height) == ""
    assert edge.transfer(1, valid_until=U63_MAX) == ""
    assert edge.transfer(1, valid_until=U63_MAX + 1) == "refused ENC"


def test_nonces_have_no_gaps() -> None:
    edge = Edge()
    assert edge.transfer(1) == edge.transfer(1) == ""
    for nonce in (0, 1, 3, U63_MAX):
        assert edge.transfer(1, nonce=nonce) == "refused NONCE"
    assert edge.transfer(1, nonce=U63_MAX + 1) == "refused ENC"
    assert edge.transfer(1, nonce=2) == ""


# -- one grain too few ------------------------------------------------------------------------------------------


def test_a_bound_on_the_fee_is_met_to_the_grain() -> None:
    edge = Edge()
    bound = edge.fee(edge.made(PAYER, "transfer", [PROVIDER.address, 1, b""], 7, max_fee=1_500)) + 7
    assert 256 <= bound <= 65_535, "both bounds encode alike"
    assert edge.transfer(1, tip=7, max_fee=bound - 1) == "refused FEE_TOO_LOW"
    assert edge.transfer(1, tip=8, max_fee=bound) == "refused FEE_TOO_LOW"
    assert edge.transfer(1, tip=7, max_fee=bound) == ""


@pytest.mark.parametrize(("short", "code"), [(0, ""), (1, "refused BALANCE")])
def test_a_balance_of_exactly_the_fee(short: int, code: str) -> None:
    body = [PROVIDER.address, 0, b""]
    fee = Edge().fee(Edge().made(STRANGER, "transfer", body))
    edge = Edge(spec_with({STRANGER: fee - short}))
    assert edge.send(STRANGER, "transfer", body) == code
    assert edge.balance(STRANGER) == (0 if not short else fee - 1)


BODIES: dict[str, Callable[[Edge], tuple[list[Any], int]]] = {
    "transfer": lambda edge: ([PROVIDER.address, 10**12, b""], 10**12),
    "stake.register": lambda edge: (staking(1_000 * TILE), 1_000 * TILE),
    "job.open": lambda edge: (order(), escrow(edge)),
    "job.claim": lambda edge: ([edge.open(), 10**13], escrow(edge) // 4),
}
"""What each kind that takes money out of a balance carries, and how much it takes."""


def escrow(edge: Edge) -> int:
    """Of `order()`: 60 MACs at 10^13 a GMAC, and three times 47 entries and two allowances."""
    price = 600_000
    return price + price * edge.spec.jobs.protocol_fee_bp // 10_000 + 3 * (47 + 2 * 2_000)


@pytest.mark.parametrize(("short", "code"), [(0, ""), (1, "BALANCE")])
@pytest.mark.parametrize("kind", BODIES)
def test_what_a_kind_takes_must_be_there_besides_the_fee(kind: str, short: int, code: str) -> None:
    rich = Edge(spec_with({STRANGER: 1 << 60}, money={"cap_grains": U63_MAX}))
    body, taken = BODIES[kind](rich)
    fee = rich.fee(rich.made(STRANGER, kind, body))
    edge = Edge(spec_with({STRANGER: fee + taken - short}))
    assert BODIES[kind](edge) == (body, taken)
    assert edge.send(STRANGER, kind, body) == code
    assert edge.balance(STRANGER) == (0 if not short else taken - 1)


def test_an_escrow_fits_the_offer_to_the_grain() -> None:
    edge = Edge()
    assert edge.send(PAYER, "job.open", order(most=escrow(edge) - 1)) == "ESCROW"
    assert edge.send(PAYER, "job.open", order(most=escrow(edge))) == ""


def test_the_least_stake() -> None:
    edge = Edge()
    least = edge.spec.money.minimum_stake_grains
    for stake, code in ((0, "MIN_STAKE"), (least - 1, "MIN_STAKE"), (least, ""), (0, "MIN_STAKE"), (1, "")):
        assert edge.send(PAYER, "stake.register", staking(stake)) == code
    assert edge.twins.model.state.validators[PAYER.address]["stake"] == least + 1


@pytest.mark.parametrize("amount", [0, 1, 999])
def test_dust_makes_no_account(amount: int) -> None:
    empty = key(21)
    edge = Edge(spec_with({empty: 0}))
    assert edge.spec.money.dust_grains == 1_000
    for person in (STRANGER, empty):
        assert edge.transfer(amount, person) == "DUST"
        assert edge.transfer(1_000, person) == ""
        assert edge.transfer(amount, person) == ""


def test_an_account_that_was_emptied_is_not_new() -> None:
    body = [PROVIDER.address, 0, b""]
    fee = Edge().fee(Edge().made(STRANGER, "transfer", body))
    edge = Edge(spec_with({STRANGER: fee}))
    assert edge.send(STRANGER, "transfer", body) == ""
    assert edge.balance(STRANGER) == 0
    assert edge.transfer(1, STRANGER) == ""


# -- beyond the range -------------------------------------------------------------------------------------------


def test_amounts_at_the_end_of_the_range() -> None:
    edge = Edge()
    assert edge.transfer(U63_MAX) == "BALANCE"
    assert edge.transfer(U63_MAX + 1) == "refused ENC"
    assert edge.transfer((1 << 64) - 1) == "refused ENC"
    assert edge.transfer(-1) == "refused ENC"
    assert edge.send(PAYER, "stake.register", staking(U63_MAX)) == "BALANCE"
    assert edge.send(WATCHER, "stake.register", staking(U63_MAX)) == "RANGE", "on top of what it has"


def test_fees_at_the_end_of_the_range() -> None:
    edge = Edge()
    assert edge.transfer(1, tip=U63_MAX) == "refused RANGE"
    assert edge.transfer(1, tip=U63_MAX, max_fee=U63_MAX) == "refused RANGE"
    fee = edge.fee(edge.made(PAYER, "transfer", [PROVIDER.address, 1, b""], U63_MAX, max_fee=U63_MAX))
    assert edge.transfer(1, tip=U63_MAX - fee, max_fee=U63_MAX) == "refused BALANCE"
    assert edge.transfer(1, tip=U63_MAX - fee + 1, max_fee=U63_MAX) == "refused RANGE"


def test_a_base_fee_at_the_end_of_the_range() -> None:
    edge = Edge(spec_with(money={"base_fee_grains": 1 << 62}))
    assert edge.transfer(1, max_fee=U63_MAX) == "refused BALANCE"
    assert edge.send(PAYER, "stake.register", staking(TILE), max_fee=U63_MAX) == "refused RANGE"


def test_the_largest_product_at_every_price() -> None:
    """2^40 MACs, 1,100 GMAC: the price leaves the range long before the offer does, and never wraps."""
    last = U63_MAX * 10**9 // (1 << 40)
    edge = Edge()
    for offer, code in (
        (last * 9 // 10, "BALANCE"),
        (last, "RANGE"),
        (last + 1, "RANGE"),
        (U63_MAX, "RANGE"),
    ):
        assert edge.send(PAYER, "job.open", order(program=LARGEST, offer=offer)) == code


def test_an_audit_fee_beyond_the_range() -> None:
    edge = Edge(spec_with(jobs={"audit_price_millis": U63_MAX}))
    assert edge.send(PAYER, "job.open", order(program=LARGEST)) == "RANGE"


# -- the cap ----------------------------------------------------------------------------------------------------


def given(spec: ChainSpec) -> int:
    balances = sum(allocation.balance_grains for allocation in spec.allocations)
    return balances + sum(validator.stake_grains for validator in spec.validators)


@pytest.mark.parametrize(("room", "minted"), [(0, 0), (9, 0), (10, 1), (19, 1), (20, 2)])
def test_emission_stops_under_the_cap(room: int, minted: int) -> None:
    spec = spec_with(money={"emission_divisor": 10})
    edge = Edge(replace(spec, money=replace(spec.money, cap_grains=Grains(given(spec) + room))))
    edge.block()
    state = edge.twins.model.state
    assert state.minted == given(spec) + minted
    edge.blocks(100)
    left = edge.spec.money.cap_grains - edge.twins.model.state.minted
    assert left == min(room, 9)


def test_at_the_cap_tips_are_paid_and_nothing_else_is_scheduled() -> None:
    spec = spec_with(pace={"epoch_blocks": 1_000})
    edge = Edge(replace(spec, money=replace(spec.money, cap_grains=Grains(given(spec)))))
    edge.blocks(3)
    assert not edge.twins.model.state.agenda
    before = edge.balance(WATCHER)
    assert edge.transfer(1, tip=12) == ""
    edge.block()
    assert edge.twins.model.state.immature == 12
    edge.blocks(edge.spec.money.coinbase_maturity_blocks)
    assert edge.balance(WATCHER) == before + 12


def test_all_coins_there_can_ever_be_in_one_account() -> None:
    rest = given(spec_with({STRANGER: 0}))
    edge = Edge(
        spec_with({STRANGER: U63_MAX - rest - 1}, money={"cap_grains": U63_MAX, "emission_divisor": 1})
    )
    edge.blocks(10)
    assert edge.twins.model.state.minted == U63_MAX
    assert edge.transfer(PLENTY // 2, STRANGER) == ""
    assert edge.transfer(U63_MAX - rest, PAYER, STRANGER) == ""


# -- full -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "code"), [(4_095, ""), (4_096, "AGENDA_FULL")])
def test_a_claim_needs_room_on_the_agenda(steps: int, code: str) -> None:
    edge = Edge()
    job_id = edge.open()
    edge.fill_agenda(edge.twins.model.height + 1 + 5 + 1, steps)
    assert edge.send(PROVIDER, "job.claim", [job_id, 1]) == code
    another = edge.open(deadline=6)
    assert edge.send(PROVIDER, "job.claim", [another, 1]) == "", "the next height has room"


def test_validators_are_a_bounded_number() -> None:
    edge = Edge(founded_by(dict.fromkeys(range(100, 100 + 1_023), TILE)))
    least = edge.spec.money.minimum_stake_grains
    for person, code in ((PAYER, ""), (PROVIDER, "VALIDATORS_FULL"), (PAYER, "")):
        assert edge.send(person, "stake.register", staking(least)) == code


def test_a_claim_needs_enough_other_judges() -> None:
    """Four validators, two without stake; payer and provider do not count."""
    edge = Edge(founded_by({0: TILE, 1: TILE, 2: TILE, 4: TILE, 6: 0}))
    theirs = [edge.open(), edge.open()]
    assert edge.send(key(0), "job.open", order()) == ""
    own = list(edge.twins.model.state.jobs)[-1]
    assert edge.send(PROVIDER, "job.claim", [own, 1]) == "NO_COMMITTEE"
    assert edge.send(PROVIDER, "job.claim", [theirs[0], 1]) == ""
    assert edge.send(WATCHER, "job.claim", [theirs[1], 1]) == ""


def test_a_full_block() -> None:
    edge = Edge(spec_with(money={"block_weight_limit": 30}))
    job_id = edge.committed(cheat=1)
    edge.block()
    proof = edge.proof(job_id)
    assert [edge.transfer(1) for _ in range(28)] == [""] * 28
    assert edge.send(WATCHER, "challenge.prove", [proof]) == "refused BLOCK_FULL"
    edge.block()
    assert [edge.transfer(1) for _ in range(27)] == [""] * 27
    assert edge.send(WATCHER, "challenge.prove", [proof]) == ""
    assert edge.transfer(1) == "refused BLOCK_FULL"
    assert edge.transfer(1, nonce=10**6) == "refused BLOCK_FULL", "before anything that asks the state"


# -- nothing but the fee ----------------------------------------------------------------------------------------

PUBLICATION = [1, "a model", bytes(32), 1, *[bytes(32)] * 4, 1, 0, []]


def sold(edge: Edge) -> bytes:
    """An asset of somebody else's, for sale at a price that nobody has."""
    asset = h256(Tag.ASSET_ID, pack([WATCHER.address, edge.twins.model.account(WATCHER.address)["nonce"]]))
    assert edge.send(WATCHER, "asset.publish", PUBLICATION) == ""
    assert edge.send(WATCHER, "asset.offer", [asset, 0, 2, U63_MAX, 0, 0, 0, 1]) == ""
    return asset


FAILING: dict[str, tuple[str, Callable[[Edge], list[Any]]]] = {
    "transfer": ("BALANCE", lambda edge: [STRANGER.address, U63_MAX, b""]),
    "batch": (
        "BATCH(2,SELF)",
        lambda edge: [
            [
                ["transfer", [STRANGER.address, TILE, b""]],
                ["job.open", order()],
                ["job.claim", [h256(Tag.JOB_ID, pack([*edge.next_origin(), 1])), 1]],
            ]
        ],
    ),
    "stake.register": ("BALANCE", lambda edge: staking(U63_MAX)),
    "stake.update": ("NOT_FOUND", lambda edge: [1_000, 100, bytes(32)]),
    "stake.unjail": ("NOT_FOUND", lambda edge: []),
    "stake.redelegate": ("SHARES", lambda edge: [PROVIDER.address, WATCHER.address, 1]),
    "stake.delegate": ("CAPPED", lambda edge: [WATCHER.address, 20_000 * TILE]),
    "stake.undelegate": ("SHARES", lambda edge: [PAYER.address, 1]),
    "stake.claim": ("NO_REWARD", lambda edge: [WATCHER.address]),
    "job.open": ("BALANCE", lambda edge: order(program=LARGEST)),
    "job.cancel": ("BAD_STATE", lambda edge: [edge.open()]),
    "job.claim": ("SELF", lambda edge: [edge.open(), 1]),
    "job.commit": ("NOT_OWNER", lambda edge: commitment(GOOD, edge.claimed(), PAYER.address, 0)),
    "job.attest": ("refused CONFLICT", lambda edge: first_word(edge.judged(), PAYER.address)),
    "challenge.prove": ("NOT_WRONG", lambda edge: [edge.proof(edge.committed())]),
    "asset.publish": (
        "LINEAGE",
        lambda edge: [*PUBLICATION[:2], b"\1" * 32, *PUBLICATION[3:-1], [[sold(edge), 1, 9]] * 2],
    ),
    "asset.version": ("NOT_OWNER", lambda edge: [sold(edge), 1, b"\1" * 32, 1, bytes(32), bytes(32)]),
    "asset.transfer": ("NOT_OWNER", lambda edge: [sold(edge), PAYER.address]),
    "asset.retire": ("NOT_OWNER", lambda edge: [sold(edge), 8]),
    "asset.claim": ("NOTHING", lambda edge: [sold(edge)]),
    "asset.offer": ("NOT_OWNER", lambda edge: [sold(edge), 0, 1, 0, 0, 0, 0, 1]),
    "asset.acquire": ("BALANCE", lambda edge: [sold(edge), 0, U63_MAX, 1, PAYER.address, 0]),
    "asset.attest": ("ROLE", lambda edge: [sold(edge), 1, 3, 0, bytes(32), "risk", 1, bytes(32), bytes(32)]),
    "account.set_auth": ("DELAY", lambda edge: [1, [[PAYER.public_key, 1]], 0]),
    "session.grant": (
        "SELF",
        lambda edge: [PAYER.public_key, ["transfer"], 1, 0, 0, [], [], 0, 0, 99],
    ),
    "session.revoke": ("NOT_FOUND", lambda edge: [bytes(32)]),
    "gov.propose": ("TEXT", lambda edge: [4, "", bytes(32), [], "", 0, bytes(20), 0, [], 0, 0]),
    "gov.deposit": ("NOT_FOUND", lambda edge: [bytes(32), 1]),
    "gov.vote": ("NOT_FOUND", lambda edge: [bytes(32), PAYER.address, 10_000, 0, 0, 0]),
    "gov.cancel": ("NOT_FOUND", lambda edge: [bytes(32)]),
    "asset.permit": (
        "NOT_FOUND",
        lambda edge: [bytes(32), bytes(32), bytes(20), [bytes(32)], [], 0, 0, 1, 1, 99],
    ),
    "provider.register": ("TEXT", lambda edge: [[[""], bytes(32), bytes(32), [], 0, [], 0, ""]]),
    "provider.update": ("NOT_FOUND", lambda edge: [1, [[], bytes(32), bytes(32), [], 0, [], 0, ""]]),
    "provider.heartbeat": ("NOT_FOUND", lambda edge: [bytes(32)]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_leaves_the_fee_and_the_nonce_and_nothing_else(kind: str) -> None:
    edge = Edge()
    code, body_of = FAILING[kind]
    body = body_of(edge)
    transition = edge.twins.transition
    assert transition is not None
    before = dict(transition.context.state.changes())
    chain = transition.context.chain
    account = edge.twins.model.account(PAYER.address).copy()
    tip = 0 if kind == "job.attest" else 5
    data = edge.made(PAYER, kind, body, tip)
    fee = edge.fee(data)
    assert edge.twins.add(data) == code
    after = dict(transition.context.state.changes())
    if code.startswith("refused"):
        assert after == before
        return
    touched = {place for place in before | after if before.get(place) != after.get(place)}
    assert touched == {state_key(Namespace.ACCOUNT, PAYER.address), state_key(Namespace.CHAIN, b"")}
    assert transition.context.chain == replace(
        chain,
        burned_grains=Grains(chain.burned_grains + fee),
        pending_tips_grains=Grains(chain.pending_tips_grains + 5),
    )
    left = account | {"nonce": account["nonce"] + 1, "balance": account["balance"] - fee - 5}
    assert edge.twins.model.account(PAYER.address) == left


# -- there and back ---------------------------------------------------------------------------------------------


def settled(edge: Edge) -> bytes:
    job_id = edge.judged()
    for phase in (1, 2):
        for member in edge.members(job_id):
            body = first_word(job_id, member.address) if phase == 1 else spoken(job_id)
            assert edge.send(member, "job.attest", body) == ""
        edge.blocks(edge.spec.jobs.attest_commit_blocks)
    edge.blocks(edge.spec.jobs.settle_offset)
    return job_id


def spoken(job_id: bytes) -> list[Any]:
    return [job_id, 1, 2, bytes(32), 1, bytes(32), bytes(32), 0]


def void(edge: Edge) -> bytes:
    job_id = edge.committed()
    edge.blocks(edge.spec.jobs.settle_offset + 1)
    return job_id


def slashed(edge: Edge) -> bytes:
    job_id = edge.judged(cheat=1)
    assert edge.send(WATCHER, "challenge.prove", [edge.proof(job_id)]) == ""
    edge.block()
    return job_id


def late(edge: Edge) -> bytes:
    job_id = edge.claimed()
    edge.blocks(7)
    return job_id


def expired(edge: Edge) -> bytes:
    job_id = edge.open()
    edge.blocks(edge.spec.jobs.open_expiry_blocks + 1)
    return job_id


ENDS = {"settled": (settled, SETTLED), "void": (void, VOID), "slashed": (slashed, SLASHED)}
ENDS |= {"late": (late, LATE), "expired": (expired, EXPIRED)}


@pytest.mark.parametrize("end", ENDS)
def test_undo_then_redo_is_the_original_after_every_automatic_step(end: str) -> None:
    """Block by block back to genesis, then forward again: the same entries, roots and receipts at every height."""
    edge = Edge()
    story, status = ENDS[end]
    job_id = story(edge)
    assert edge.job(job_id)["status"] == status
    edge.twins.give_up()
    twins = edge.twins
    states = []
    left = []
    while twins.chain:
        states.append(dict(twins.ledger.tree.items()))
        left.append(twins.undo())
    assert dict(twins.ledger.tree.items()) == dict(Twins(edge.spec).ledger.tree.items())
    for block, state in zip(reversed(left), reversed(states), strict=True):
        twins.redo(block)
        assert dict(twins.ledger.tree.items()) == state
    assert edge.job(job_id)["status"] == status


def test_another_branch_is_not_the_original() -> None:
    """Other tickets, another committee: what is drawn belongs to the branch."""
    edge = Edge()
    job_id = edge.committed()
    edge.block()
    beacons = set()
    for _ in range(2):
        edge.blocks(edge.spec.jobs.draw_offset)
        beacons.add(edge.job(job_id)["beacon"])
        for _ in range(edge.spec.jobs.draw_offset):
            edge.twins.undo()
    assert len(beacons) == 2
