"""A market with providers and guarded data, and one case for every code that they bring.

The codes are read by test_error_codes.py, so that a new one without a case shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chain.codec import Record, pack
from chain.hashing import Tag, h256
from chain.keys import SigningKey
from chain.ledger import AgendaItem, AgendaKind, AgendaLength, Namespace, agenda_key, height_key
from chain.tensors import DType
from chain.types import NO_ADDRESS, NO_PERMIT, AssetId, Grains, Hash32, Height, PermitId
from genesis.spec import ChainSpec
from tests.asset_cases import AUTHOR, BUYER, NOTHING, OTHER, POOR, Market, root
from tests.builders import Ledger, funded_spec
from tests.cases import Case
from vm.assets.limits import PERMIT_DEPOSIT_GRAINS
from vm.assets.permits import Output, Permit, permit_key, program_digest
from vm.assets.record import AssetType
from vm.context import AGENDA_ROOM
from vm.jobs.record import job_id
from vm.kinds.assets import AssetTransfer
from vm.kinds.permits import AssetPermit
from vm.kinds.providers import ProviderHeartbeat, ProviderRegister, ProviderUpdate
from vm.providers.heartbeat import answer, challenge
from vm.providers.record import (
    IDLE,
    Activity,
    Declaration,
    Provider,
    ProviderStatus,
    Served,
    WorkClass,
    activity_key,
    provider_key,
)

SELLER = OTHER
INT8 = WorkClass(DType.INT8, 16_384, 1 << 33)


def declaration(**changes: Any) -> Declaration:
    fields: dict[str, Any] = {
        "endpoints": ("/ip4/192.0.2.1/tcp/9000",),
        "transport_key": bytes(32),
        "exchange_key": bytes(32),
        "classes": (INT8,),
        "price_per_gmac_grains": Grains(100),
        "versions": (),
        "max_parallel": 2,
        "region": "nowhere",
    }
    return Declaration(**(fields | changes))


def registration(**changes: Any) -> ProviderRegister:
    return ProviderRegister(declaration(**changes))


def updated(status: ProviderStatus = ProviderStatus.ACTIVE, **changes: Any) -> ProviderUpdate:
    return ProviderUpdate(status, declaration(**changes))


EXIT = updated(ProviderStatus.EXITING)


def permission(asset: AssetId, **changes: Any) -> AssetPermit:
    """For a program that a `Case` runs, by anybody, for a long time."""
    fields: dict[str, Any] = {
        "asset": asset,
        "permit": NO_PERMIT,
        "grantee": NO_ADDRESS,
        "code": (program_digest(Case().product.program),),
        "providers": (),
        "min_bond_grains": Grains(0),
        "dtype": 0,
        "max_runs": 1,
        "output": Output.METRICS,
        "expiry": Height(1_000),
    }
    return AssetPermit(**(fields | changes))


def revocation(asset: AssetId, permit: PermitId) -> AssetPermit:
    return permission(asset, permit=permit, code=(), max_runs=0, expiry=Height(0))


class Fair(Market):
    """A market where people also sell work, and lend data."""

    def case(self, **changes: Any) -> Case:
        """A job in the making: the buyer pays, the seller runs it."""
        return Case(self.ledger, payer=BUYER, provider=SELLER, **changes)

    def register(self, who: SigningKey = SELLER, **changes: Any) -> None:
        assert self.send(who, registration(**changes)) == ""

    def entry(self, who: SigningKey = SELLER) -> Provider | None:
        data = self.ledger.tree.get(provider_key(who.address))
        return Provider.from_bytes(data) if data is not None else None

    def activity(self, who: SigningKey = SELLER) -> Activity:
        data = self.ledger.tree.get(activity_key(who.address))
        return Activity.from_bytes(data) if data is not None else IDLE

    def beat(self, who: SigningKey = SELLER) -> ProviderHeartbeat:
        """The right heartbeat for the next block, if it may have one."""
        seed = challenge(self.ledger.begin().context, who.address)
        return ProviderHeartbeat(Hash32(bytes(32)) if seed is None else answer(seed))

    def to_epoch(self, epoch: int, block: int = 0) -> None:
        """Mine until the next block is this one of an epoch."""
        self.ledger.mine_to(epoch * self.ledger.spec.pace.epoch_blocks + block - 1)

    def dataset(self) -> AssetId:
        """The first matrix of every `Case`, published by the author."""
        content = Hash32(Case().product.input_roots[0])
        return self.publish(content_root=content, type=AssetType.DATASET)

    def permit(self, asset: AssetId, by: SigningKey = AUTHOR, **changes: Any) -> PermitId:
        named = permit_named(by, self.ledger.account(by.address).nonce)
        assert self.send(by, permission(asset, **changes)) == ""
        return named

    def permitted(self, **changes: Any) -> tuple[AssetId, PermitId]:
        """A dataset that is guarded, and the permit on it."""
        asset = self.dataset()
        return asset, self.permit(asset, **changes)

    def found(self, permit: PermitId) -> Permit | None:
        data = self.ledger.tree.get(permit_key(permit))
        return Permit.from_bytes(data) if data is not None else None

    def order(self, by: SigningKey = BUYER, **changes: Any) -> str:
        """Open a job on the first dataset; returns the code."""
        named = job_id(by.address, self.ledger.account(by.address).nonce)
        code = self.send(by, replace(self.case().open_body(), **changes))
        self.ledger.jobs += [] if code else [named]
        return code


def permit_named(owner: SigningKey, nonce: int) -> PermitId:
    return PermitId(h256(Tag.PERMIT_ID, pack([owner.address, nonce])))


def slow_spec() -> ChainSpec:
    """Heartbeats are due in the first two blocks of eight."""
    spec = funded_spec()
    return replace(spec, providers=replace(spec.providers, heartbeat_blocks=2))


# -- one case per code ------------------------------------------------------------------------------------------------

FairCase = Callable[[Fair], str]


def sent(body: Record, by: SigningKey = SELLER) -> FairCase:
    return lambda fair: fair.send(by, body)


def listed(body: Record) -> FairCase:
    """The same from somebody on the list."""

    def case(fair: Fair) -> str:
        fair.register()
        return fair.send(SELLER, body)

    return case


def too_poor(body: Callable[[Fair], Record], by: SigningKey = POOR) -> FairCase:
    def case(fair: Fair) -> str:
        fair.ledger.mine(fair.ledger.transfer(AUTHOR, POOR.address, PERMIT_DEPOSIT_GRAINS // 2))
        fair.ledger.people.add(POOR.address)
        return fair.send(by, body(fair))

    return case


def busy(fair: Fair) -> str:
    fair.register()
    fair.case().open().claim()
    return fair.send(SELLER, EXIT)


def beaten(epoch: int, block: int = 0, right: bool = True, spec: ChainSpec | None = None) -> FairCase:
    """A heartbeat of somebody registered in epoch 0."""

    def case(fair: Fair) -> str:
        fair = Fair(Ledger(spec)) if spec is not None else fair
        fair.register()
        fair.to_epoch(epoch, block)
        return fair.send(SELLER, fair.beat() if right else ProviderHeartbeat(Hash32(bytes(32))))

    return case


def on_dataset(make: Callable[[AssetId], Record], by: SigningKey = AUTHOR) -> FairCase:
    return lambda fair: fair.send(by, make(fair.dataset()))


def crowded(fair: Fair) -> str:
    """Whatever a permit expires with has no room for one step more."""
    asset, height = fair.dataset(), 1_001
    item = AgendaItem(AgendaKind.WEIGHTS_PRUNED, bytes(32), 10**6).to_bytes()
    steps: dict[Any, bytes | None] = {agenda_key(height, index): item for index in range(AGENDA_ROOM)}
    steps[height_key(Namespace.AGENDA, height)] = AgendaLength(AGENDA_ROOM).to_bytes()
    fair.ledger.put(steps)
    return fair.send(AUTHOR, permission(asset))


def poor_owner(fair: Fair) -> str:
    asset = fair.dataset()
    assert fair.send(AUTHOR, AssetTransfer(asset, POOR.address)) == ""
    return too_poor(lambda fair: permission(asset))(fair)


def guarded(fair: Fair) -> str:
    fair.permitted()
    return fair.order()


def under(**changes: Any) -> FairCase:
    """A job under a permit with these changes."""
    return lambda fair: fair.order(permit=fair.permitted(**changes)[1])


def claimed_by_another(fair: Fair) -> str:
    _, permit = fair.permitted(providers=(AUTHOR.address,))
    case = fair.case().open(permit=permit)
    return case.do(SELLER, case.claim_body())


PROVIDER_FAILURES: dict[tuple[str, str], FairCase] = {
    ("provider.register", "BAD_STATE"): listed(registration()),
    ("provider.register", "TEXT"): sent(registration(endpoints=("a\u202eb",))),
    ("provider.register", "NOT_FOUND"): sent(registration(versions=(Served(NOTHING, 1),))),
    ("provider.register", "BALANCE"): too_poor(lambda fair: registration()),
    ("provider.update", "NOT_FOUND"): sent(updated()),
    ("provider.update", "TEXT"): listed(updated(region="\x00")),
    ("provider.update", "BUSY"): busy,
    ("provider.heartbeat", "NOT_FOUND"): sent(ProviderHeartbeat(Hash32(bytes(32)))),
    ("provider.heartbeat", "TOO_SOON"): beaten(0, 3),
    ("provider.heartbeat", "LATE"): beaten(1, 2, spec=slow_spec()),
    ("provider.heartbeat", "CHALLENGE"): beaten(1, right=False),
    ("asset.permit", "NOT_FOUND"): sent(permission(NOTHING)),
    ("asset.permit", "NOT_OWNER"): on_dataset(permission, by=OTHER),
    ("asset.permit", "TYPE"): lambda fair: fair.send(AUTHOR, permission(fair.publish())),
    ("asset.permit", "FORM"): on_dataset(lambda asset: permission(asset, code=())),
    ("asset.permit", "EXPIRY"): on_dataset(lambda asset: permission(asset, expiry=Height(2))),
    ("asset.permit", "AGENDA_FULL"): crowded,
    ("asset.permit", "BALANCE"): poor_owner,
    ("job.open", "NO_GRANT"): guarded,
    ("job.open", "PERMIT"): under(code=(root("other code"),)),
    ("job.claim", "PERMIT"): claimed_by_another,
}
