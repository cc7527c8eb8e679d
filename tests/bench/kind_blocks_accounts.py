"""Blocks of the kinds about money, keys and sessions, see kind_stage.py."""

from __future__ import annotations

from dataclasses import replace

from chain.keys import SigningKey
from chain.types import Address, Grains, Hash32, Height, PublicKey
from tests.asset_cases import offered
from tests.bench.kind_blocks_assets import published
from tests.bench.kind_blocks_jobs import LARGE, cases, opened
from tests.bench.kind_stage import COUNT, Block, Forms, Stage
from tests.builders import TILE, key
from vm.accounts.authority import MAX_KEYS, KeyWeight
from vm.accounts.session import MAX_KINDS, MAX_NAMED, MAX_SESSIONS
from vm.envelope import Transaction
from vm.jobs.record import job_id
from vm.kinds.accounts import Transfer
from vm.kinds.batch import MAX_OPERATIONS, Batch, Operation
from vm.kinds.keys import SetAuth
from vm.kinds.sessions import SessionGrant, SessionRevoke
from vm.registry import KINDS

FORMS = Forms()

DELAY_BLOCKS = 10
LIFE_BLOCKS = 30
OTHERS = 100
"""Number of the first person, after those who send, who is paid."""


def payment(place: int) -> Transfer:
    return Transfer(key(OTHERS + place).address, Grains(TILE), b"")


@FORMS.form("transfer", "to somebody who has an account")
def usual(stage: Stage) -> Block:
    yield stage.sent(*((who, payment(place)) for place, who in enumerate(stage.people())))


@FORMS.form("transfer", "to a new account, with a note")
def to_strangers(stage: Stage) -> Block:
    pay = [Transfer(key(10_000 + place).address, Grains(TILE), b"n" * 64) for place in range(COUNT)]
    yield stage.sent(*zip(stage.people(), pay, strict=True))


@FORMS.form("transfer", "2 signatures")
def two_signatures(stage: Stage) -> Block:
    yield by_several(stage, 2)


@FORMS.form("transfer", f"{MAX_KEYS} signatures")
def many_signatures(stage: Stage) -> Block:
    yield by_several(stage, MAX_KEYS)


def by_several(stage: Stage, count: int) -> list[Transaction]:
    owners, signers = stage.people(), ascending(count)
    stage.did(*((who, keys_set(signers, count)) for who in owners))
    stage.ledger.mine_to(stage.ledger.height + DELAY_BLOCKS)
    return [
        stage.ledger.sign(signers[0], payment(place), *signers[1:], sender=who.address)
        for place, who in enumerate(owners)
    ]


@FORMS.form("transfer", "by a session key")
def by_session(stage: Stage) -> Block:
    owners = stage.people()
    stage.did(*((who, granted(agent(place))) for place, who in enumerate(owners)))
    yield by_agents(stage, owners)


@FORMS.form("transfer", "by a session key with every limit, one of the most")
def by_limited_session(stage: Stage) -> Block:
    owners = stage.people()
    crowd(stage, owners)
    stage.did(*((who, limited(agent(place), place)) for place, who in enumerate(owners)))
    yield by_agents(stage, owners)


def by_agents(stage: Stage, owners: list[SigningKey]) -> list[Transaction]:
    return [
        stage.ledger.sign(agent(place), payment(place), sender=who.address)
        for place, who in enumerate(owners)
    ]


@FORMS.form("batch", "of 4 transfers")
def four(stage: Stage) -> Block:
    yield stage.sent(*((who, batch_of(place, 4)) for place, who in enumerate(stage.people())))


@FORMS.form("batch", f"of {MAX_OPERATIONS} transfers")
def most(stage: Stage) -> Block:
    yield stage.sent(*((who, batch_of(place, MAX_OPERATIONS)) for place, who in enumerate(stage.people())))


@FORMS.form("batch", f"of {MAX_OPERATIONS} offers of assets")
def most_offers(stage: Stage) -> Block:
    owners = stage.people(LARGE)
    bodies = []
    for who in owners:
        assets = [asset for _ in range(MAX_OPERATIONS) for asset in published(stage, [who])]
        bodies.append(Batch(tuple(Operation("asset.offer", offered(each)) for each in assets)))
    yield stage.sent(*zip(owners, bodies, strict=True))


@FORMS.form("batch", f"of {MAX_OPERATIONS} claims of jobs, which are late")
def most_claims(stage: Stage) -> Block:
    made = cases(stage, LARGE)
    for _ in range(MAX_OPERATIONS):
        opened(stage, made)
    jobs = [[job_id(case.payer.address, nonce) for nonce in range(MAX_OPERATIONS)] for case in made]
    offer = made[0].claim_body()
    bodies = [Batch(tuple(Operation("job.claim", replace(offer, job=each)) for each in ids)) for ids in jobs]
    yield stage.sent(*zip((case.provider for case in made), bodies, strict=True))
    stage.wait(made[0].deadline_blocks + 1)


def batch_of(place: int, count: int) -> Batch:
    """Transfers to people of their own."""
    places = range(place * count, place * count + count)
    return Batch(tuple(Operation("transfer", payment(each % 384)) for each in places))


def ascending(count: int, first: int = 5_000) -> list[SigningKey]:
    """Keys that are nobody's account, in the order in which a set names them."""
    return sorted((key(first + n) for n in range(count)), key=lambda each: each.public_key)


def keys_set(members: list[SigningKey], threshold: int = 1) -> SetAuth:
    named = tuple(KeyWeight(PublicKey(each.public_key), 1) for each in members)
    return SetAuth(threshold, named, DELAY_BLOCKS)


@FORMS.form("account.set_auth", "2 keys")
def two_keys(stage: Stage) -> Block:
    yield stage.sent(*((who, keys_set(ascending(2))) for who in stage.people()))
    stage.wait(DELAY_BLOCKS + 1)


@FORMS.form("account.set_auth", f"{MAX_KEYS} keys instead of {MAX_KEYS}")
def many_keys(stage: Stage) -> Block:
    owners, before, after = stage.people(), ascending(MAX_KEYS), ascending(MAX_KEYS, 5_100)
    stage.did(*((who, keys_set(before)) for who in owners))
    stage.ledger.mine_to(stage.ledger.height + DELAY_BLOCKS)
    yield [stage.ledger.sign(before[0], keys_set(after), sender=who.address) for who in owners]
    stage.wait(DELAY_BLOCKS + 1)


# -- sessions -----------------------------------------------------------------------------------------------------


def agent(place: int) -> SigningKey:
    return key(6_000 + place)


def granted(to: SigningKey, expires: int = LIFE_BLOCKS) -> SessionGrant:
    """The right to make transfers."""
    return SessionGrant(
        PublicKey(to.public_key),
        ("transfer",),
        Grains(1_000 * TILE),
        0,
        Grains(0),
        counterparties=(),
        objects=(),
        vote_scope=0,
        agent=1,
        expires=Height(expires),
    )


def limited(to: SigningKey, place: int, expires: int = LIFE_BLOCKS) -> SessionGrant:
    """The same with as many limits as there may be."""
    names = [each.name for each in KINDS.values() if not each.owner_only and each.name != "batch"]
    kinds = sorted({*names[: MAX_KINDS - 1], "transfer"})
    people = [Address(key(OTHERS + place + n).address) for n in reversed(range(MAX_NAMED))]
    return SessionGrant(
        PublicKey(to.public_key),
        tuple(kinds),
        Grains(1_000 * TILE),
        5,
        Grains(100 * TILE),
        counterparties=tuple(people),
        objects=tuple(Hash32(bytes([n]) * 32) for n in range(1, MAX_NAMED + 1)),
        vote_scope=0,
        agent=1,
        expires=Height(expires),
    )


def crowd(stage: Stage, owners: list[SigningKey], count: int = MAX_SESSIONS - 1) -> None:
    """Everybody has so many sessions already."""
    crowded = [key(7_000 + number) for number in range(count)]
    stage.did(*((who, granted(each, 500)) for who in owners for each in crowded))


@FORMS.form("session.grant", "one kind")
def grant(stage: Stage) -> Block:
    yield stage.sent(*((who, granted(agent(place))) for place, who in enumerate(stage.people())))
    stage.wait(LIFE_BLOCKS + 1)


@FORMS.form("session.grant", f"every limit, number {MAX_SESSIONS} of its owner")
def grant_of_many(stage: Stage) -> Block:
    owners = stage.people()
    crowd(stage, owners)
    yield stage.sent(*((who, limited(agent(place), place)) for place, who in enumerate(owners)))
    stage.wait(LIFE_BLOCKS + 1)


@FORMS.form("session.revoke", "the only one")
def revoke(stage: Stage) -> Block:
    owners = stage.people()
    stage.did(*((who, granted(agent(place))) for place, who in enumerate(owners)))
    yield stage.sent(*((who, revoked(place)) for place, who in enumerate(owners)))


@FORMS.form("session.revoke", f"one of {MAX_SESSIONS}, with every limit")
def revoke_of_many(stage: Stage) -> Block:
    owners = stage.people()
    crowd(stage, owners)
    stage.did(*((who, limited(agent(place), place)) for place, who in enumerate(owners)))
    yield stage.sent(*((who, revoked(place)) for place, who in enumerate(owners)))


def revoked(place: int) -> SessionRevoke:
    return SessionRevoke(PublicKey(agent(place).public_key))
