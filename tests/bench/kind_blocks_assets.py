"""Blocks of the kinds about assets, permits and providers, see kind_stage.py."""

from __future__ import annotations

from chain.keys import SigningKey
from chain.types import NO_PERMIT, AssetId, Grains, Hash32, Height
from tests.asset_cases import new_version, offered, parent, publication, purchase, rating
from tests.bench.kind_blocks_jobs import LARGE, cases, committed, full_registration, settle
from tests.bench.kind_stage import Block, Forms, Stage
from tests.builders import TILE, key
from tests.provider_cases import EXIT, permission, permit_named, registration, revocation, updated
from vm.assets.limits import MAX_CODE, MAX_PARENTS, MAX_PAYEES, MAX_PERMITTED, NOTICE_BLOCKS, SLOTS
from vm.assets.opinion import OpinionKind
from vm.assets.record import AssetType, asset_id
from vm.assets.sales import OfferKind
from vm.kinds.assets import AssetClaim, AssetRetire, AssetTransfer
from vm.kinds.providers import ProviderHeartbeat, ProviderUpdate
from vm.providers.heartbeat import answer, challenge
from vm.providers.record import MAX_SERVED, ProviderStatus

FORMS = Forms()

EXPIRY_BLOCKS = 40


def published(stage: Stage, owners: list[SigningKey], *parents: AssetId, **changes: object) -> list[AssetId]:
    """An asset of everybody."""
    ids = [asset_id(who.address, stage.nonce(who)) for who in owners]
    above = tuple(parent(each) for each in parents)
    stage.did(
        *(
            (who, publication((name, stage.ledger.height), *above, **changes))
            for who, name in zip(owners, ids, strict=True)
        )
    )
    return ids


def families(stage: Stage, count: int = LARGE) -> list[list[AssetId]]:
    """For each, as many parents as an asset may have, who have as many payees together as a sale may have."""
    ancestors = MAX_PAYEES // MAX_PARENTS - 1
    found = []
    for _ in range(count):
        people = iter(stage.people(MAX_PAYEES, 200))
        parents = []
        for _ in range(MAX_PARENTS):
            above = published(stage, [next(people) for _ in range(ancestors)])
            parents += published(stage, [next(people)], *above)
        found.append(parents)
    return found


@FORMS.form("asset.publish", "without parents")
def usual_publish(stage: Stage) -> Block:
    yield stage.sent(*((who, publication(place)) for place, who in enumerate(stage.people())))


@FORMS.form("asset.publish", f"{MAX_PARENTS} parents, {MAX_PAYEES} payees")
def publish_of_many(stage: Stage) -> Block:
    bodies = [
        publication(place, *(parent(each, 400) for each in above), title="n" * 64)
        for place, above in enumerate(families(stage))
    ]
    yield stage.sent(*zip(stage.people(LARGE), bodies, strict=True))


@FORMS.form("asset.version", "without a job")
def usual_version(stage: Stage) -> Block:
    owners = stage.people()
    assets = published(stage, owners)
    yield stage.sent(*((who, new_version(each, each)) for who, each in zip(owners, assets, strict=True)))


@FORMS.form("asset.version", "made by a job")
def verified_version(stage: Stage) -> Block:
    made = settle(stage, committed(stage, cases(stage)))
    owner, input_root = key(300), Hash32(made[0].product.input_roots[0])
    (asset,) = published(stage, [owner], content_root=input_root)
    stage.later_us = stage.later_transfers = 0
    results = [
        new_version(asset, content_root=Hash32(case.now.result_root), job=case.job_id) for case in made
    ]
    yield stage.sent(*((owner, body) for body in results))


@FORMS.form("asset.transfer", "to somebody")
def transfer(stage: Stage) -> Block:
    owners = stage.people()
    pairs = zip(owners, published(stage, owners), strict=True)
    yield stage.sent(*((who, AssetTransfer(each, key(1).address)) for who, each in pairs))


@FORMS.form("asset.retire", "the asset")
def retire(stage: Stage) -> Block:
    owners = stage.people()
    pairs = zip(owners, published(stage, owners), strict=True)
    yield stage.sent(*((who, AssetRetire(each, SLOTS)) for who, each in pairs))


@FORMS.form("asset.retire", "an offer")
def retire_offer(stage: Stage) -> Block:
    owners, assets = for_sale(stage)
    yield stage.sent(*((who, AssetRetire(each, 0)) for who, each in zip(owners, assets, strict=True)))


def for_sale(stage: Stage, **changes: object) -> tuple[list[SigningKey], list[AssetId]]:
    owners = stage.people()
    assets = published(stage, owners)
    stage.did(*((who, offered(each, **changes)) for who, each in zip(owners, assets, strict=True)))
    return owners, assets


def bought(stage: Stage, assets: list[AssetId]) -> list[SigningKey]:
    """Each by somebody else, who may use it."""
    buyers = stage.people(len(assets), 100)
    pairs = zip(buyers, assets, strict=True)
    stage.did(*((who, purchase(each, beneficiary=who.address)) for who, each in pairs))
    return buyers


@FORMS.form("asset.claim", "what one sale brought")
def claim(stage: Stage) -> Block:
    owners, assets = for_sale(stage, price=TILE)
    bought(stage, assets)
    yield stage.sent(*((who, AssetClaim(each)) for who, each in zip(owners, assets, strict=True)))


@FORMS.form("asset.offer", "a new one")
def usual_offer(stage: Stage) -> Block:
    owners = stage.people()
    pairs = zip(owners, published(stage, owners), strict=True)
    yield stage.sent(*((who, offered(each)) for who, each in pairs))


@FORMS.form("asset.offer", "dearer than before, again")
def dearer_offer(stage: Stage) -> Block:
    owners, assets = for_sale(stage)
    pairs = list(zip(owners, assets, strict=True))
    stage.did(*((who, offered(each, 200)) for who, each in pairs))
    stage.ledger.mine_to(stage.ledger.height + NOTICE_BLOCKS)
    yield stage.sent(
        *((who, offered(each, TILE, kind=OfferKind.SUBSCRIPTION, period_blocks=9)) for who, each in pairs)
    )


@FORMS.form("asset.acquire", "of an asset without parents")
def usual_acquire(stage: Stage) -> Block:
    _, assets = for_sale(stage, price=TILE)
    buyers = stage.people(len(assets), 100)
    pairs = zip(buyers, assets, strict=True)
    yield stage.sent(*((who, purchase(each, beneficiary=who.address)) for who, each in pairs))


@FORMS.form("asset.acquire", f"{MAX_PAYEES} payees, a subscription that goes on")
def acquire_of_many(stage: Stage) -> Block:
    sellers, assets = stage.people(LARGE), []
    for place, above in enumerate(families(stage)):
        assets += published(stage, [sellers[place]], *above)
    terms = {"kind": OfferKind.SUBSCRIPTION, "period_blocks": 50, "price": TILE}
    stage.did(*((who, offered(each, **terms)) for who, each in zip(sellers, assets, strict=True)))
    buyers = bought(stage, assets)
    pairs = zip(buyers, assets, strict=True)
    yield stage.sent(*((who, purchase(each, beneficiary=who.address)) for who, each in pairs))


@FORMS.form("asset.attest", "a rating")
def rate(stage: Stage) -> Block:
    _, assets = for_sale(stage)
    pairs = list(zip(bought(stage, assets), assets, strict=True))
    yield stage.sent(*((who, rating(each)) for who, each in pairs))


@FORMS.form("asset.attest", "a measurement by a job on an eval set")
def measurement(stage: Stage) -> Block:
    made = settle(stage, committed(stage, cases(stage)))
    owner, input_root = key(300), Hash32(made[0].product.input_roots[0])
    (asset,) = published(stage, [owner], content_root=input_root)
    (evalset,) = published(stage, [owner], type=AssetType.EVAL_SET)
    stage.later_us = stage.later_transfers = 0
    changes = {"kind": OpinionKind.EVAL, "evalset": evalset, "metric": "m" * 32}
    yield stage.sent(
        *(
            (
                case.payer,
                rating(asset, job=case.job_id, evidence_root=Hash32(case.now.result_root), **changes),
            )
            for case in made
        )
    )


# -- permits ------------------------------------------------------------------------------------------------------


@FORMS.form("asset.permit", "for one program")
def usual_permit(stage: Stage) -> Block:
    owners = stage.people()
    assets = published(stage, owners, type=AssetType.DATASET)
    yield stage.sent(
        *(
            (who, permission(each, expiry=Height(EXPIRY_BLOCKS)))
            for who, each in zip(owners, assets, strict=True)
        )
    )
    stage.wait(EXPIRY_BLOCKS + 1 - stage.ledger.height)


@FORMS.form("asset.permit", f"for {MAX_CODE} programs and {MAX_PERMITTED} providers")
def large_permit(stage: Stage) -> Block:
    owners = stage.people()
    assets = published(stage, owners, type=AssetType.DATASET)
    changes = {
        "code": tuple(Hash32(bytes([n]) * 32) for n in range(MAX_CODE)),
        "providers": tuple(key(9_000 + n).address for n in range(MAX_PERMITTED)),
        "expiry": Height(EXPIRY_BLOCKS),
    }
    yield stage.sent(*((who, permission(each, **changes)) for who, each in zip(owners, assets, strict=True)))
    stage.wait(EXPIRY_BLOCKS + 1 - stage.ledger.height)


@FORMS.form("asset.permit", "revoked")
def revoke(stage: Stage) -> Block:
    owners = stage.people()
    assets = published(stage, owners, type=AssetType.DATASET)
    permits = [permit_named(who, stage.nonce(who)) for who in owners]
    stage.did(*((who, permission(each)) for who, each in zip(owners, assets, strict=True)))
    assert NO_PERMIT not in permits
    bodies = [revocation(asset, permit) for asset, permit in zip(assets, permits, strict=True)]
    yield stage.sent(*zip(owners, bodies, strict=True))


# -- providers --------------------------------------------------------------------------------------------------------


@FORMS.form("provider.register", "no versions")
def usual_register(stage: Stage) -> Block:
    yield stage.sent(*((who, registration()) for who in stage.people()))


@FORMS.form("provider.register", f"{MAX_SERVED} versions, every text and class")
def large_register(stage: Stage) -> Block:
    owner = key(300)
    (asset,) = published(stage, [owner])
    bodies = [full_registration(stage, asset, place) for place in range(LARGE)]
    yield stage.sent(*zip(stage.people(LARGE), bodies, strict=True))


def registered(stage: Stage) -> list[SigningKey]:
    who = stage.people()
    stage.did(*((each, registration()) for each in who))
    return who


@FORMS.form("provider.update", "another price")
def usual_update(stage: Stage) -> Block:
    body = updated(price_per_gmac_grains=Grains(7))
    yield stage.sent(*((who, body) for who in registered(stage)))


@FORMS.form("provider.update", "leave the list")
def leave(stage: Stage) -> Block:
    yield stage.sent(*((who, EXIT) for who in registered(stage)))


@FORMS.form("provider.update", f"{MAX_SERVED} versions, every text and class, as before")
def large_update(stage: Stage) -> Block:
    owner, providers = key(300), stage.people(LARGE)
    (asset,) = published(stage, [owner])
    bodies = [full_registration(stage, asset, place) for place in range(LARGE)]
    stage.did(*zip(providers, bodies, strict=True))
    again = [ProviderUpdate(ProviderStatus.PAUSED, each.declared) for each in bodies]
    yield stage.sent(*zip(providers, again, strict=True))


@FORMS.form("provider.heartbeat", "in the first block of an epoch")
def heartbeat(stage: Stage) -> Block:
    who = registered(stage)
    stage.to_epoch()
    context = stage.ledger.begin().context
    seeds = [challenge(context, each.address) for each in who]
    beats = [ProviderHeartbeat(answer(seed)) for seed in seeds if seed is not None]
    yield stage.sent(*zip(who, beats, strict=True))
