"""Permits on the naive state, and whose data a job is given.  Spec: [ASSET-PERMIT], [JOB-DATA]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chain.hashing import Tag, h256
from tests.model.assets import books_of as assets_of
from tests.model.assets import owned
from tests.model.books import Books, Entry, Item
from tests.model.forms import pack, require
from tests.model.providers import books_of as providers_of

if TYPE_CHECKING:
    from tests.model.ledger import Model

PERMIT = 22
"""Namespace."""
PERMIT_ENDS = 15
"""Automatic step."""
DATASET = 3
DEPOSIT = 10**8
NO_SLOT = 8
AGENDA_ROOM = 4096
ZERO, NOBODY = bytes(32), bytes(20)


@dataclass
class Permits(Books):
    """Those that have not expired."""

    held: dict[bytes, Item] = field(default_factory=dict)
    """Id to the fields of the record, in its order."""

    @property
    def locked(self) -> int:
        return sum(permit["deposit"] for permit in self.held.values())

    def entries(self) -> Iterator[Entry]:
        for identity, permit in self.held.items():
            yield f"permit {identity.hex()}", PERMIT, identity, list(permit.values())


def permit(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    asset, named, grantee, code, providers, bond, dtype, runs, output, expiry = body
    books = books_of(model)
    owned(model, sender, asset)
    require(assets_of(model).facts[asset]["type"] == DATASET, "TYPE")
    if named != ZERO:
        require(not runs and not code, "FORM")
        require(named in books.held and books.held[named]["asset"] == asset, "NOT_FOUND")
        books.held[named]["revoked"] = 1
        return
    require(runs > 0 and len(code) > 0, "FORM")
    require(expiry > model.height, "EXPIRY")
    require(len(model.state.agenda.get(expiry + 1, [])) < AGENDA_ROOM, "AGENDA_FULL")
    model.debit(sender, DEPOSIT)
    identity = h256(Tag.PERMIT_ID, pack(origin))
    books.held[identity] = {
        "asset": asset,
        "grantor": sender,
        "grantee": grantee,
        "code": code,
        "providers": providers,
        "bond": bond,
        "dtype": dtype,
        "allowed": runs,
        "used": 0,
        "output": output,
        "expiry": expiry,
        "revoked": 0,
        "deposit": DEPOSIT,
    }
    model.schedule(expiry + 1, PERMIT_ENDS, identity)
    recount(model, asset)


def end(model: Model, identity: bytes) -> None:
    gone = books_of(model).held.pop(identity)
    model.credit(gone["grantor"], gone["deposit"])
    recount(model, gone["asset"])


def recount(model: Model, asset: bytes) -> None:
    """The holding says how many there are."""
    there = [each for each in books_of(model).held.values() if each["asset"] == asset]
    assets_of(model).holdings[asset]["permits"] = len(there)


# -- jobs ---------------------------------------------------------------------------------------------------------


def check_order(model: Model, payer: bytes, body: Any, bond: int) -> None:
    """[JOB-DATA], when a job is opened."""
    program, roots, _, _, _, chosen, named, slot = body
    needing = closed(model, payer, roots, slot)
    held = books_of(model).held
    if named != ZERO:
        check_run(model, named, chosen, bond)
        found = held[named]
        require(found["asset"] in needing, "PERMIT")
        require(found["grantee"] in (NOBODY, payer), "PERMIT")
        digest = h256(Tag.PROGRAM, pack(program))
        publisher = assets_of(model).contents.get(digest, (None, 0))[0]
        require(digest in found["code"] or publisher in found["code"], "PERMIT")
    under = held[named]["asset"] if named != ZERO else None
    require(all(asset == under for asset in needing), "NO_GRANT")


def closed(model: Model, payer: bytes, roots: list[bytes], slot: int) -> list[bytes]:
    """Guarded datasets among the inputs that somebody may use under a permit only."""
    books, found = assets_of(model), []
    guarded = {each["asset"] for each in books_of(model).held.values()}
    for root in roots:
        asset = books.contents.get(root, (ZERO, 0))[0]
        if asset not in guarded or books.holdings[asset]["owner"] == payer:
            continue
        grant = books.grants.get((asset, slot, payer)) if slot != NO_SLOT else None
        if grant is None or 0 < grant["expiry"] < model.height:
            found.append(asset)
    return found


def check_run(model: Model, named: bytes, provider: bytes, bond: int) -> None:
    """What is asked when a job is opened, of a chosen provider, and again of whoever claims it."""
    found = books_of(model).held.get(named)
    require(found is not None, "PERMIT")
    assert found is not None
    require(not found["revoked"] and found["used"] < found["allowed"], "PERMIT")
    require(bond >= found["bond"], "PERMIT")
    if provider == NOBODY:
        return
    require(not found["providers"] or provider in found["providers"], "PERMIT")
    if found["dtype"]:
        entry = providers_of(model).listed.get(provider)
        classes = entry["declared"][3] if entry is not None else []
        require(any(dtype == found["dtype"] for dtype, _, _ in classes), "PERMIT")


def use(model: Model, named: bytes) -> None:
    """A claim uses up a run."""
    if named != ZERO:
        books_of(model).held[named]["used"] += 1


EFFECTS = {"asset.permit": permit}
AGENDA_STEPS = {PERMIT_ENDS: end}


def books_of(model: Model) -> Permits:
    books = model.state.books["permits"]
    assert isinstance(books, Permits)
    return books
