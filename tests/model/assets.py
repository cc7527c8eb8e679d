"""Assets on the naive state: published, sold, used, judged, taken back.  Spec: docs/spec/assets.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chain.hashing import Tag, h256
from tests.model.books import Books, Entry, Item
from tests.model.forms import in_range, pack, require
from tests.model.state import SETTLED

if TYPE_CHECKING:
    from tests.model.ledger import Model

ASSET, HOLDING, VERSION, NUMBER, CONTENT, OFFER, GRANT, REVENUE, ATTESTATION = range(32, 41)
"""Namespaces."""
FREE, PER_CALL, PER_GMAC, SUBSCRIPTION, PERPETUAL, C2D = range(1, 7)
RATING, EVAL, SAFETY, LICENCE = range(1, 5)
EVAL_SET = 5
ZERO = bytes(32)
DEPOSIT, NOTICE = 10**9, 100
GENERATIONS, PAYEES, ALL_PARENTS_BP = 16, 32, 5_000
WHOLE = 8
"""In place of a slot: the asset itself."""
INVISIBLE = [(0x00, 0x1F), (0x7F, 0x9F), (0x200B, 0x200F), (0x2028, 0x202E), (0x2066, 0x206F)]


@dataclass
class Assets(Books):
    """[ASSET-STATE]"""

    facts: dict[bytes, Item] = field(default_factory=dict)
    """Id to what was published, in the order of numbers; the fields in the order of the record, as below."""
    holdings: dict[bytes, Item] = field(default_factory=dict)
    versions: dict[tuple[bytes, int], Item] = field(default_factory=dict)
    offers: dict[tuple[bytes, int], Item] = field(default_factory=dict)
    """Asset and slot to `terms`, `coming`, `since` (when the coming ones hold, 0: none wait) and `sold`."""
    grants: dict[tuple[bytes, int, bytes], Item] = field(default_factory=dict)
    """Asset, slot and beneficiary to `units`, `expiry` (0: never) and `version`."""
    earned: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    """Asset and owner to what was not taken."""
    said: dict[tuple[bytes, int, int, bytes], Item] = field(default_factory=dict)
    """Asset, version, kind and speaker to the attestation."""

    @property
    def locked(self) -> int:
        deposits: int = sum(holding["deposit"] for holding in self.holdings.values())
        return deposits + sum(self.earned.values())

    @property
    def contents(self) -> dict[bytes, tuple[bytes, int]]:
        """Content root to the version that published it."""
        return {version["content"]: place for place, version in self.versions.items()}

    def entries(self) -> Iterator[Entry]:
        for number, (asset, facts) in enumerate(self.facts.items()):
            yield f"asset {asset.hex()}", ASSET, asset, list(facts.values())
            yield f"holding {asset.hex()}", HOLDING, asset, list(self.holdings[asset].values())
            yield f"number {number}", NUMBER, _long(number), [asset]
        if self.facts:
            yield "number of assets", NUMBER, b"", [len(self.facts)]
        for (asset, place), version in self.versions.items():
            what = f"version {place} of {asset.hex()}"
            yield what, VERSION, asset + _long(place), list(version.values())
            yield f"content of {what}", CONTENT, version["content"], [asset, place]
        for (asset, slot), offer in self.offers.items():
            yield f"offer {slot} of {asset.hex()}", OFFER, asset + bytes([slot]), list(offer.values())
        for (asset, slot, who), grant in self.grants.items():
            what = f"grant of {asset.hex()} to {who.hex()}"
            yield what, GRANT, asset + bytes([slot]) + who, list(grant.values())
        for (asset, owner), amount in self.earned.items():
            yield f"revenue of {asset.hex()} for {owner.hex()}", REVENUE, asset + owner, [amount]
        for (asset, place, kind, who), opinion in self.said.items():
            what = f"attestation {kind} of {asset.hex()} by {who.hex()}"
            yield what, ATTESTATION, asset + _long(place) + bytes([kind]) + who, list(opinion.values())


def _long(number: int) -> bytes:
    return number.to_bytes(8, "big")


# -- what is published --------------------------------------------------------------------------------------------


def publish(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    """[ASSET-ID], [ASSET-LINEAGE]"""
    kind, title, content, size, manifest, licence, about, consent, allowed, least, parents = body
    books = books_of(model)
    require(readable(title), "TEXT")
    require(content not in books.contents, "DUPLICATE")
    require(all(parent in books.facts for parent, _, _ in parents), "NOT_FOUND")
    for parent, _, _ in parents:
        require(books.facts[parent]["derivatives"] == 1 and not books.holdings[parent]["retired"], "LICENCE")
    require(len({parent for parent, _, _ in parents}) == len(parents), "LINEAGE")
    require(all(share >= books.facts[parent]["least"] for parent, _, share in parents), "SHARE")
    require(sum(share for _, _, share in parents) <= ALL_PARENTS_BP, "SHARE")
    depth = max([books.facts[parent]["depth"] + 1 for parent, _, _ in parents], default=0)
    royalties = table(books, parents)
    require(depth <= GENERATIONS and len(royalties) <= PAYEES, "LINEAGE")
    model.debit(sender, DEPOSIT)
    asset = h256(Tag.ASSET_ID, pack(origin))
    books.facts[asset] = {
        "type": kind,
        "title": title,
        "publisher": sender,
        "height": model.height,
        "number": len(books.facts),
        "licence": licence,
        "about": about,
        "consent": consent,
        "derivatives": allowed,
        "least": least,
        "depth": depth,
        "parents": parents,
        "royalties": royalties,
    }
    books.holdings[asset] = {"owner": sender, "versions": 0, "retired": 0, "deposit": DEPOSIT, "last_end": 0}
    books.holdings[asset]["permits"] = 0
    add_version(model, asset, [0, content, size, manifest, ZERO])


def table(books: Assets, parents: list[Any]) -> list[list[Any]]:
    """Who earns on every sale of a descendant besides itself, as [asset, share]."""
    shares: dict[bytes, int] = {}
    for parent, _, share in parents:
        above = [(payee, share * part // 10_000) for payee, part in books.facts[parent]["royalties"]]
        rest = share - sum(part for _, part in above)
        for payee, part in [(parent, rest), *above]:
            shares[payee] = shares.get(payee, 0) + part
    return [[payee, share] for payee, share in shares.items() if share > 0]


def version(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    asset, parent, content, size, manifest, job = body
    books = books_of(model)
    owned(model, sender, asset)
    require(not books.holdings[asset]["retired"], "BAD_STATE")
    require((asset, parent) in books.versions, "NOT_FOUND")
    require(content not in books.contents, "DUPLICATE")
    require(job == ZERO or made(model, job, books.versions[asset, parent]["content"], content), "RECEIPT")
    add_version(model, asset, [parent, content, size, manifest, job])


def add_version(model: Model, asset: bytes, values: list[Any]) -> None:
    books = books_of(model)
    books.holdings[asset]["versions"] += 1
    names = ("parent", "content", "size", "manifest", "job")
    books.versions[asset, books.holdings[asset]["versions"]] = {
        **dict(zip(names, values, strict=True)),
        "verified": int(values[-1] != ZERO),
        "height": model.height,
    }


def transfer(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    asset, to = body
    owned(model, sender, asset)["owner"] = to


def retire(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    """[ASSET-RETIRE]"""
    asset, slot = body
    books, holding = books_of(model), owned(model, sender, asset)
    if slot != WHOLE:
        require((asset, slot) in books.offers, "NOT_FOUND")
        require(not holding["retired"], "BAD_STATE")
        offer = books.offers[asset, slot]
        ended = [*terms_now(model, offer)[:5], 0]
        offer |= {"terms": ended, "coming": ended, "since": 0}
        return
    over = model.height > holding["last_end"]
    if holding["retired"]:
        require(holding["deposit"] > 0, "BAD_STATE")
        require(over, "GRANTS_LIVE")
    holding["retired"] = 1
    if over:
        model.credit(sender, holding["deposit"])
        holding["deposit"] = 0


def claim(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    """[ASSET-REVENUE]"""
    books, (asset,) = books_of(model), body
    require((asset, sender) in books.earned, "NOTHING")
    model.credit(sender, books.earned.pop((asset, sender)))


# -- what is sold -------------------------------------------------------------------------------------------------


def offer(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    """[ASSET-OFFER]"""
    asset, slot, *terms = body
    books = books_of(model)
    holding = owned(model, sender, asset)
    require(not holding["retired"], "BAD_STATE")
    kind, price, period = terms[:3]
    require((price == 0) == (kind == FREE), "FORM")
    require(kind != SUBSCRIPTION or period > 0, "FORM")
    require(kind != PERPETUAL or period == 0, "FORM")
    known = books.offers.get((asset, slot))
    if known is None:
        books.offers[asset, slot] = {"terms": terms, "coming": terms, "since": 0, "sold": 0}
        return
    now = terms_now(model, known)
    dearer = kind != now[0] or price > now[1] or (period or 1 << 64) < (now[2] or 1 << 64)
    if dearer:
        known |= {"terms": now, "coming": terms, "since": model.height + NOTICE}
    else:
        known |= {"terms": terms, "coming": terms, "since": 0}


def terms_now(model: Model, offer: Item) -> list[int]:
    """Kind, price, period, quota, supply, and whether it is for sale."""
    waits = model.height < offer["since"]
    terms: list[int] = offer["terms"] if waits or not offer["since"] else offer["coming"]
    return terms


def acquire(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    """[ASSET-BUY]"""
    asset, slot, most, units, beneficiary, wanted = body
    books = books_of(model)
    require(asset in books.facts, "NOT_FOUND")
    holding, offer = books.holdings[asset], books.offers.get((asset, slot))
    require(offer is not None, "INACTIVE")
    assert offer is not None
    kind, price, period, quota, supply, active = terms_now(model, offer)
    require(active == 1 and not holding["retired"], "INACTIVE")
    number = wanted or holding["versions"]
    require((asset, number) in books.versions, "NOT_FOUND")
    cost, sold = in_range(price * units), in_range(offer["sold"] + units)
    place = (asset, slot, beneficiary)
    held = books.grants.get(place)
    if held is not None and 0 < held["expiry"] < model.height:
        held = None
    grant = {
        "units": in_range((held["units"] if held else 0) + units),
        "expiry": in_range(end_of(held["expiry"] if held else None, kind, period, units, model.height)),
        "version": number,
    }
    require(cost <= most, "PRICE_MOVED")
    require(quota == 0 or grant["units"] <= quota, "QUOTA")
    require(supply == 0 or sold <= supply, "SOLD_OUT")
    model.debit(sender, cost)
    left = cost
    for payee, share in books.facts[asset]["royalties"]:
        part = cost * share // 10_000
        earn(books, payee, part)
        left -= part
    earn(books, asset, left)
    offer["sold"] = sold
    books.grants[place] = grant
    holding["last_end"] = max(holding["last_end"], grant["expiry"])


def end_of(before: int | None, kind: int, period: int, units: int, height: int) -> int:
    """[ASSET-GRANT]; nothing before is None."""
    if before == 0 or period == 0:
        return 0
    if kind == SUBSCRIPTION:
        return (height if before is None else before) + period * units
    return max(before or 0, height + period)


def earn(books: Assets, asset: bytes, amount: int) -> None:
    """[ASSET-SPLIT]: whoever owns it now."""
    if amount:
        place = (asset, books.holdings[asset]["owner"])
        books.earned[place] = books.earned.get(place, 0) + amount


# -- what is said -------------------------------------------------------------------------------------------------


def attest(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    """[ASSET-ATTEST]"""
    asset, number, kind, slot, evalset, metric, score, evidence, job = body
    books = books_of(model)
    require(asset in books.facts and (asset, number) in books.versions, "NOT_FOUND")
    require(readable(metric), "TEXT")
    if evalset != ZERO:
        require(evalset in books.facts and books.facts[evalset]["type"] == EVAL_SET, "EVALSET")
    require(job == ZERO or kind == EVAL, "FORM")
    require(kind != RATING or (asset, slot, sender) in books.grants, "NO_GRANT")
    if job != ZERO:
        require(made(model, job, books.versions[asset, number]["content"], evidence), "RECEIPT")
    elif kind != RATING:
        stake = model.state.validators.get(sender, {"stake": 0})["stake"]
        require(stake >= model.spec.money.minimum_stake_grains, "ROLE")
    books.said[asset, number, kind, sender] = {
        "evalset": evalset,
        "metric": metric,
        "score": score,
        "evidence": evidence,
        "job": job,
        "verified": int(job != ZERO),
        "height": model.height,
    }


# -- parts --------------------------------------------------------------------------------------------------------


def books_of(model: Model) -> Assets:
    books = model.state.books["assets"]
    assert isinstance(books, Assets)
    return books


def owned(model: Model, sender: bytes, asset: bytes) -> Item:
    """The holding of an asset of the sender's."""
    books = books_of(model)
    require(asset in books.facts, "NOT_FOUND")
    require(books.holdings[asset]["owner"] == sender, "NOT_OWNER")
    return books.holdings[asset]


def made(model: Model, job_id: bytes, given: bytes, result: bytes) -> bool:
    """[ASSET-RECEIPT]"""
    job = model.state.jobs.get(job_id)
    if job is None or job["status"] != SETTLED:
        return False
    return given in job["input_roots"] and bool(job["result_root"] == result)


def readable(words: str) -> bool:
    """[ASSET-LIMITS]"""
    return words != "" and not any(low <= ord(letter) <= high for letter in words for low, high in INVISIBLE)


EFFECTS = {
    "asset.publish": publish,
    "asset.version": version,
    "asset.transfer": transfer,
    "asset.retire": retire,
    "asset.claim": claim,
    "asset.offer": offer,
    "asset.acquire": acquire,
    "asset.attest": attest,
}
