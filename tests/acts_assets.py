"""Acts with assets: publishing families of them, selling and buying, judging, passing on, taking back.

What an act becomes is drawn from its own numbers, so that one act is always the same on one state.
"""

from __future__ import annotations

import random
from typing import Any

from chain.codec import pack
from chain.hashing import Tag, h256
from chain.keys import SigningKey
from chain.types import NO_JOB
from tests.acts_base import EVERYBODY, TILE, U63_MAX, ZERO, Act, person
from tests.acts_jobs import PRODUCTS
from tests.acts_money import MoneyActs
from tests.model.assets import (
    C2D,
    EVAL,
    EVAL_SET,
    FREE,
    PAYEES,
    PER_CALL,
    PER_GMAC,
    PERPETUAL,
    RATING,
    SUBSCRIPTION,
    WHOLE,
    Assets,
    books_of,
    table,
    terms_now,
)
from tests.model.books import Item
from tests.model.state import SETTLED
from tests.twins import PEOPLE

ASSETS = (
    *("publish", "publish", "publish", "mispublish", "begin_sales", "begin_family", "add_version"),
    *("set_offer", "set_offer", "set_offer", "buy", "buy", "buy", "buy", "buy", "judge", "judge", "judge"),
    *("give_away", "take_back", "take_back", "earn", "earn", "asset_batch", "asset_batch"),
)
TRADERS = PEOPLE[:6]
"""Who own things; few, so that one of them often has what an act asks for."""
PRICES = (1, 9_999, 10_000, 123_456_789, 10**9 + 7)
NOTHING = h256(Tag.ASSET_ID, b"nothing")


class AssetActs(MoneyActs):
    """Settled jobs are receipts for versions and measurements: their matrices are published, too."""

    MAKERS = (
        *("publish", "mispublish", "begin_sales", "begin_family", "add_version", "set_offer", "buy"),
        *("judge", "give_away", "take_back", "earn", "asset_batch"),
    )

    @property
    def books(self) -> Assets:
        return books_of(self.twins.model)

    def owner(self, act: Act, draw: random.Random) -> tuple[SigningKey, bytes]:
        """Somebody with something of theirs; now and then something of others, or that is not there."""
        signer = TRADERS[act.who % len(TRADERS)]
        mine = [asset for asset, holding in self.books.holdings.items() if holding["owner"] == signer.address]
        if mine and draw.random() < 0.9:
            return signer, draw.choice(mine[-6:])
        return signer, self.any_asset(draw)

    def any_asset(self, draw: random.Random) -> bytes:
        found = list(self.books.facts)
        return draw.choice(found[-12:]) if found and draw.random() < 0.95 else NOTHING

    # -- publishing -----------------------------------------------------------------------------------------------

    def publish(self, act: Act) -> bytes:
        draw = drawn(act)
        signer = TRADERS[act.who % len(TRADERS)] if draw.random() < 0.95 else self.poor(draw)
        return self.signed(signer, "asset.publish", self.publication(draw, self.parents(draw)))

    def poor(self, draw: random.Random) -> SigningKey:
        """Somebody who has the fee and not much more, if there is one."""
        balances = {each: self.twins.model.account(each.address)["balance"] for each in EVERYBODY}
        return draw.choice([each for each, grains in balances.items() if 10_000 < grains < TILE] or EVERYBODY)

    def publication(self, draw: random.Random, parents: list[Any], **changes: Any) -> list[Any]:
        """The body, mostly right."""
        fields = {
            "type": draw.choice((1, 1, 2, 3, 4, EVAL_SET)),
            "title": draw.choice(("a model", "ein schönes Modell", "模型", "x" * 64)),
            "content": self.content(draw),
            "size": draw.choice((0, 1, 10**9, U63_MAX)),
            "manifest": h256(Tag.LIST_NODE, b"manifest"),
            "licence": draw.choice((ZERO, h256(Tag.LIST_NODE, b"licence"))),
            "about": ZERO,
            "consent": ZERO,
            "derivatives": int(draw.random() < 0.93),
            "least": draw.choice((0, 0, 0, 10, 500)),
            "parents": parents,
        }
        return list((fields | changes).values())

    def content(self, draw: random.Random) -> bytes:
        """A root that is new, that of a matrix of some job, or one that is taken already."""
        taken = self.books.contents
        roots = [root for product in PRODUCTS for root in product.roots if root not in taken]
        if roots and draw.random() < 0.4:
            return draw.choice(roots)
        return h256(Tag.LIST_NODE, draw.randbytes(8))

    def parents(self, draw: random.Random) -> list[Any]:
        """None, some of the newest, or those with which a sale has just as many payees as it may, or one more."""
        allowed = [asset for asset in self.books.facts if self.may_descend(asset)]
        count = draw.choice((0, 0, 1, 1, 1, 2, 2, 3, 8))
        if count < 8:
            return self.some(draw, allowed[-4:] if draw.random() < 0.7 else allowed, count)
        aim = PAYEES + draw.randrange(2)
        wide = sorted(allowed, key=lambda asset: -len(self.books.facts[asset]["royalties"]))
        samples = [draw.sample(wide[:12], min(draw.randint(2, 8), len(wide[:12]))) for _ in range(16)]
        families = [[[asset, 1, 5_000 // len(chosen)] for asset in chosen] for chosen in samples if chosen]
        return min(families, key=lambda parents: abs(len(table(self.books, parents)) - aim), default=[])

    def some(self, draw: random.Random, allowed: list[bytes], count: int) -> list[Any]:
        chosen = draw.sample(allowed, min(count, len(allowed)))
        return [self.parent(draw, asset, 5_000 // len(chosen)) for asset in chosen]

    def may_descend(self, asset: bytes) -> bool:
        return bool(self.books.facts[asset]["derivatives"]) and not self.books.holdings[asset]["retired"]

    def parent(self, draw: random.Random, asset: bytes, most: int) -> list[Any]:
        """With a share that is mostly enough and not too much."""
        least = self.books.facts[asset]["least"] if asset in self.books.facts else 0
        shares = [share for share in (0, 1, 99, 333, 1_250, 2_499, most) if least <= share <= most]
        return [asset, draw.randint(1, 7), draw.choice(shares or [most])]

    def mispublish(self, act: Act) -> bytes:
        """One of the ways in which a publication is refused."""
        draw = drawn(act)
        known = [*self.books.facts, NOTHING]
        facts, holdings = self.books.facts, self.books.holdings
        closed = [asset for asset in facts if not self.may_descend(asset)]
        asking = [asset for asset, each in facts.items() if each["least"] and not holdings[asset]["retired"]]
        one, deep = draw.choice(known), max(facts, key=lambda each: facts[each]["depth"], default=NOTHING)
        several = [[asset, 1, 5_000 // min(3, len(known)) + 1] for asset in known[:-1][-3:]]
        body = self.publication(draw, [])
        place, value = draw.choice(
            (
                (1, ""),
                (1, draw.choice(("a\u202eb", "\x00", "a\u200b", "\x9f", "tab\t"))),
                (1, "x" * 65),
                (0, draw.choice((0, 6))),
                (2, draw.choice([*self.books.contents, ZERO])),
                (9, 5_001),
                (10, [[NOTHING, 1, 1]]),
                (10, [[draw.choice(closed or [NOTHING]), 1, 500]]),
                (10, [[one, 1, 500], [one, 2, 500]]),
                (10, [[draw.choice(asking or [NOTHING]), 1, 9]]),
                (10, several),
                (10, [[one, 8, 1]]),
                (10, [[one, 1, 5_001]]),
                (10, [[deep, 1, 1_000]]),
                (10, [[deep, 1, 600]]),
                (10, [[one, 1, 1]] * 9),
            )
        )
        body[place] = value
        return self.signed(draw.choice(EVERYBODY), "asset.publish", body)

    def begin_sales(self, act: Act) -> bytes:
        """Published, offered, sold, passed on and earned from, in one batch: the id is known before."""
        draw = drawn(act)
        signer, other = TRADERS[act.who % len(TRADERS)], draw.choice(EVERYBODY)
        asset = self.named(signer, 0)
        steps: list[list[Any]] = [
            ["asset.publish", self.publication(draw, self.parents(draw))],
            ["asset.offer", [asset, 0, *_terms(draw)]],
            ["asset.acquire", [asset, 0, U63_MAX, draw.randint(1, 3), other.address, 0]],
            ["asset.version", [asset, 1, h256(Tag.LIST_NODE, draw.randbytes(8)), 1, ZERO, NO_JOB]],
            ["asset.attest", [asset, 1, RATING, 0, ZERO, "stars", 5, ZERO, NO_JOB]],
            ["asset.claim", [asset]],
            ["asset.retire", [asset, draw.choice((0, WHOLE))]],
            ["asset.transfer", [asset, other.address]],
        ]
        kept = [step for step in steps[1:] if draw.random() < 0.6]
        return self.signed(signer, "batch", [[steps[0], *kept]])

    def begin_family(self, act: Act) -> bytes:
        """Several at once with a descendant of all, or a line of them, each made from the one before."""
        draw, signer = drawn(act), TRADERS[act.who % len(TRADERS)]
        count = draw.randint(4, 8)
        names = [self.named(signer, place) for place in range(count)]
        if draw.random() < 0.5:
            above = [[asset, 1, 5_000 // count] for asset in names]
            parents: list[list[Any]] = [*([] for _ in names), above]
        else:
            line = [[[asset, 1, draw.choice((2_500, 4_999, 5_000))]] for asset in names]
            parents = [self.parents(draw), *line]
        changes = {"derivatives": 1, "least": 0}
        steps = [["asset.publish", self.publication(draw, each, **changes)] for each in parents]
        return self.signed(signer, "batch", [steps])

    def named(self, signer: SigningKey, place: int) -> bytes:
        """What operation number `place` of the signer's next transaction would publish."""
        nonce = self.twins.model.account(signer.address)["nonce"]
        return h256(Tag.ASSET_ID, pack([signer.address, nonce, place]))

    def add_version(self, act: Act) -> bytes:
        draw = drawn(act)
        signer, asset = self.owner(act, draw)
        known = self.books.holdings.get(asset, {"versions": 1})["versions"]
        parent, content, job = draw.randint(1, known), h256(Tag.LIST_NODE, draw.randbytes(8)), NO_JOB
        jobs = self.answered(draw)
        receipts = [
            (place, job_id, each)
            for place, version in self.books.versions.items()
            for job_id, each in jobs.items()
            if version["content"] in each["input_roots"] and each["result_root"] not in self.books.contents
        ]
        if receipts and draw.random() < 0.7:
            (asset, parent), job, made = draw.choice(receipts)
            content = made["result_root"] if draw.random() < 0.8 else content
            if draw.random() < 0.2:
                asset, parent = draw.choice(list(self.books.versions))
            signer = person(self.books.holdings[asset]["owner"])
        elif draw.random() < 0.3:
            parent, content, job = draw.choice(
                (
                    (0, content, NO_JOB),
                    (known + 1, content, NO_JOB),
                    (parent, draw.choice([*self.books.contents, content]), NO_JOB),
                    (parent, content, draw.choice([*self.twins.model.state.jobs, NOTHING])),
                )
            )
        return self.signed(signer, "asset.version", [asset, parent, content, 7, ZERO, job])

    def answered(self, draw: random.Random) -> dict[bytes, Item]:
        """Settled jobs; now and then any that have a result."""
        jobs = self.twins.model.state.jobs
        done = {job_id: job for job_id, job in jobs.items() if job["status"] == SETTLED}
        if done and draw.random() < 0.8:
            return done
        return {job_id: job for job_id, job in jobs.items() if job["result_root"] != ZERO}

    # -- selling --------------------------------------------------------------------------------------------------

    def set_offer(self, act: Act) -> bytes:
        draw = drawn(act)
        signer, asset = self.owner(act, draw)
        slots = [slot for each, slot in self.books.offers if each == asset]
        slot = draw.choice(slots) if slots and draw.random() < 0.7 else draw.choice((0, 0, 1, 7, 8))
        known = self.books.offers.get((asset, slot))
        terms = _terms(draw)
        if known is not None and draw.random() < 0.8:
            terms = self.changed(draw, known)
        if draw.random() < 0.1:
            place, value = draw.choice(((0, FREE), (1, 0), (0, SUBSCRIPTION), (0, PERPETUAL), (0, 7), (5, 2)))
            terms[place] = value
        return self.signed(signer, "asset.offer", [asset, slot, *terms])

    def changed(self, draw: random.Random, known: Item) -> list[int]:
        """Terms that differ in one thing from those that hold."""
        terms = list(terms_now(self.twins.model, known))
        if not terms[5]:
            terms[5] = 1
        place, difference = draw.choice(((1, 1), (1, 1), (1, -1), (2, 1), (2, -1), (3, 1), (4, 7), (4, -7)))
        terms[place] = max(0, terms[place] + difference)
        if draw.random() < 0.1:
            terms[5] = 0
        return terms

    def buy(self, act: Act) -> bytes:
        """Mostly what can be had, at its exact price."""
        draw = drawn(act)
        signer = TRADERS[act.who % len(TRADERS)] if draw.random() < 0.93 else self.poor(draw)
        other = draw.choice(EVERYBODY)
        wanted = [
            place
            for place, each in self.books.offers.items()
            if terms_now(self.twins.model, each)[5] and not self.books.holdings[place[0]]["retired"]
        ]
        if not wanted or draw.random() < 0.07:
            body = [self.any_asset(draw), draw.choice((0, 0, 5)), U63_MAX, 1, other.address, 0]
            return self.signed(signer, "asset.acquire", body)
        timely = [place for place in wanted if self.is_timely(place)]
        asset, slot = draw.choice(timely if timely and draw.random() < 0.6 else wanted[-10:])
        _, price, _, quota, supply, _ = terms_now(self.twins.model, self.books.offers[asset, slot])
        left = (supply or U63_MAX) - self.books.offers[asset, slot]["sold"]
        users = [who for *place, who in self.books.grants if place == [asset, slot]]
        beneficiary = draw.choice([signer.address, signer.address, other.address, *users[-2:]])
        held = self.books.grants.get((asset, slot, beneficiary), {"units": 0})["units"]
        rest = (quota or U63_MAX) - held
        units = draw.choice((1, 1, 1, 2, 3, 3, left, left + 1, rest, rest + 1, U63_MAX))
        units = min(max(1, units), U63_MAX)
        most = min(max(0, price * units + draw.choice((0, 0, 0, 0, 1, -1))), U63_MAX)
        version = draw.choice((0, 0, 0, 1, 2, U63_MAX))
        return self.signed(signer, "asset.acquire", [asset, slot, most, units, beneficiary, version])

    def is_timely(self, place: tuple[bytes, int]) -> bool:
        """Whether the terms change or a grant ends about now."""
        moments = [each["expiry"] for held, each in self.books.grants.items() if held[:2] == place]
        moments.append(self.books.offers[place]["since"])
        return any(abs(moment - self.twins.model.height) <= 1 for moment in moments)

    # -- judging --------------------------------------------------------------------------------------------------

    def judge(self, act: Act) -> bytes:
        draw = drawn(act)
        signer, asset = draw.choice(PEOPLE), self.any_asset(draw)
        number = draw.randint(1, self.books.holdings.get(asset, {"versions": 1})["versions"])
        evidence, job, slot = h256(Tag.LIST_NODE, b"evidence"), NO_JOB, 0
        kind = draw.choice((RATING, RATING, RATING, EVAL, EVAL, 3, 4))
        users = list(self.books.grants)
        jobs = self.answered(draw)
        receipts = [
            (place, job_id, each["result_root"])
            for place, version in self.books.versions.items()
            for job_id, each in jobs.items()
            if version["content"] in each["input_roots"]
        ]
        if kind == RATING and users and draw.random() < 0.8:
            asset, slot, who = draw.choice(users)
            signer, number = person(who), 1
        elif kind == EVAL and receipts and draw.random() < 0.7:
            (asset, number), job, evidence = draw.choice(receipts)
            evidence = evidence if draw.random() < 0.8 else ZERO
            if draw.random() < 0.2:
                asset, number = draw.choice(list(self.books.versions))
        evalsets = [each for each, facts in self.books.facts.items() if facts["type"] == EVAL_SET]
        evalset = draw.choice([*evalsets, ZERO]) if draw.random() < 0.9 else self.any_asset(draw)
        body = [asset, number, kind, slot, evalset, "accuracy", draw.randrange(10**6), evidence, job]
        if draw.random() < 0.15:
            known = [*self.twins.model.state.jobs, NOTHING]
            changes = ((1, 0), (1, 9), (5, ""), (5, "\u200f"), (5, "x" * 33), (8, draw.choice(known)), (2, 5))
            place, value = draw.choice(changes)
            body[place] = value
        return self.signed(signer, "asset.attest", body)

    # -- passing on and taking back -------------------------------------------------------------------------------

    def give_away(self, act: Act) -> bytes:
        draw = drawn(act)
        signer, asset = self.owner(act, draw)
        to = draw.choice(TRADERS if draw.random() < 0.9 else EVERYBODY)
        return self.signed(signer, "asset.transfer", [asset, to.address])

    def take_back(self, act: Act) -> bytes:
        """One offer, or all of it; again, if the deposit had to wait."""
        draw = drawn(act)
        signer, asset = self.owner(act, draw)
        slots = [slot for each, slot in self.books.offers if each == asset]
        slot = draw.choice([*slots, *slots, WHOLE, draw.randrange(8)])
        waiting = [
            each for each, holding in self.books.holdings.items() if holding["retired"] and holding["deposit"]
        ]
        if waiting and draw.random() < 0.4:
            asset, slot = draw.choice(waiting), WHOLE
            signer = person(self.books.holdings[asset]["owner"])
        return self.signed(signer, "asset.retire", [asset, slot])

    def earn(self, act: Act) -> bytes:
        draw = drawn(act)
        due = list(self.books.earned)
        if due and draw.random() < 0.9:
            asset, owner = draw.choice(due)
            return self.signed(person(owner), "asset.claim", [asset])
        return self.signed(draw.choice(EVERYBODY), "asset.claim", [self.any_asset(draw)])

    def asset_batch(self, act: Act) -> bytes:
        """Acts with assets, in the name of whoever does the first."""
        whats = (
            "buy",
            "give_away",
            "publish",
            "set_offer",
            "take_back",
            "add_version",
            "judge",
            "mispublish",
        )
        return self.bundle(act, whats)


def drawn(act: Act) -> random.Random:
    """What an act leaves open, drawn from all of it."""
    return random.Random(repr(act))


def _terms(draw: random.Random) -> list[int]:
    """Of an offer that makes sense."""
    kind = draw.choice((FREE, PER_CALL, PER_CALL, PER_GMAC, SUBSCRIPTION, SUBSCRIPTION, PERPETUAL, C2D))
    period = draw.choice((0, 0, 3, 12, 40))
    if kind in (SUBSCRIPTION, PERPETUAL):
        period = draw.choice((1, 3, 20, 1 << 32)) if kind == SUBSCRIPTION else 0
    price = 0 if kind == FREE else draw.choice(PRICES)
    return [kind, price, period, draw.choice((0, 0, 3, 8)), draw.choice((0, 0, 6, 20)), 1]
