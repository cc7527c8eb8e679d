"""Acts with providers and permits: standing on the list, proofs of life, data that is lent, and jobs on it."""

from __future__ import annotations

import random
from typing import Any

from chain.hashing import Tag, h256
from chain.keys import SigningKey
from chain.types import NO_ADDRESS
from tests.acts_assets import NOTHING, AssetActs, drawn
from tests.acts_base import EVERYBODY, U63_MAX, ZERO, Act, person
from tests.acts_jobs import GOOD, NO_SLOT, PRODUCTS, JobActs
from tests.model import permits, providers
from tests.model.books import Item
from tests.model.forms import pack
from tests.model.state import OPEN
from tests.twins import PEOPLE

PROVIDERS = (
    *("enlist", "enlist", "enlist", "redeclare", "leave", "beat", "beat", "beat", "publish"),
    *("lend", "permit", "permit", "revoke_permit", "order", "order", "order", "run", "run"),
)
SELLERS = PEOPLE[:6]


class ProviderActs(JobActs, AssetActs):
    """Jobs on data that was lent are worth something only if somebody lends data: `lend` publishes a matrix."""

    MAKERS = (
        *("enlist", "redeclare", "leave", "beat", "lend", "permit", "revoke_permit", "order"),
        "run",
    )

    # -- the list ---------------------------------------------------------------------------------------------------

    def enlist(self, act: Act) -> bytes:
        draw = drawn(act)
        signer = SELLERS[act.who % 6] if draw.random() < 0.9 else self.poor(draw)
        return self.signed(signer, "provider.register", [self.declaration(draw)])

    def declaration(self, draw: random.Random) -> list[Any]:
        """Mostly right; what is wrong now and then is a text or a version."""
        versions = list(self.books.versions)
        served = [list(draw.choice(versions)) for _ in range(draw.choice((0, 1, 2, 9)))] if versions else []
        fields: list[Any] = [
            ["/ip4/192.0.2.1/tcp/1"] * draw.randint(0, 4),
            draw.randbytes(32),
            ZERO,
            [[draw.randint(1, 2), 1_024, U63_MAX] for _ in range(draw.randint(0, 3))],
            draw.choice((0, 1, U63_MAX)),
            served,
            draw.randint(0, 3),
            draw.choice(("", "", "nowhere", "über")),
        ]
        wrong: list[tuple[int, Any]] = [
            (0, [""]),
            (0, ["ok", "a\u200bb"]),
            (7, "\x7f"),
            (5, [[NOTHING, 1]]),
            (5, [[each[0], 99] for each in served] or [[NOTHING, 0]]),
            (0, ["x" * 129]),
            (3, [[3, 1, 1]]),
        ]
        if draw.random() < 0.25:
            place, value = draw.choice(wrong)
            fields[place] = value
        return fields

    def seller(self, act: Act, draw: random.Random) -> SigningKey:
        """Somebody on the list, mostly."""
        listed = self.listed.order
        return person(draw.choice(listed)) if listed and draw.random() < 0.9 else EVERYBODY[act.who]

    @property
    def listed(self) -> providers.Providers:
        return providers.books_of(self.twins.model)

    def redeclare(self, act: Act) -> bytes:
        draw = drawn(act)
        body = [draw.choice((1, 1, 1, 2, 2, 2, 3)), self.declaration(draw)]
        return self.signed(self.seller(act, draw), "provider.update", body)

    def leave(self, act: Act) -> bytes:
        draw = drawn(act)
        body = [providers.EXITING, [[], ZERO, ZERO, [], 0, [], 0, ""]]
        return self.signed(self.seller(act, draw), "provider.update", body)

    def beat(self, act: Act) -> bytes:
        draw = drawn(act)
        signer = self.seller(act, draw)
        other = signer if draw.random() < 0.9 else draw.choice(SELLERS)
        digest = providers.answer(self.twins.model, other.address)
        return self.signed(signer, "provider.heartbeat", [digest])

    # -- permits ----------------------------------------------------------------------------------------------------

    def lend(self, act: Act) -> bytes:
        """A matrix as a dataset, with an offer and a permit, in one batch; or something else if all are published."""
        draw, signer = drawn(act), SELLERS[act.who % 6]
        free = [root for product in PRODUCTS for root in product.roots if root not in self.books.contents]
        if not free:
            return self.order(act)
        asset = self.named(signer, 0)
        changes = {"type": permits.DATASET, "content": draw.choice(free), "title": "data"}
        steps = [
            ["asset.publish", self.publication(draw, [], **changes)],
            ["asset.offer", [asset, draw.choice((0, 1)), 1, 0, draw.choice((0, 5)), 0, 0, 1]],
            ["asset.permit", self.permission(draw, asset)],
        ]
        return self.signed(signer, "batch", [steps])

    def permission(self, draw: random.Random, asset: bytes) -> list[Any]:
        digests = [h256(Tag.PROGRAM, pack(product.program)) for product in PRODUCTS]
        code = [draw.choice(digests), *(draw.choice(list(self.books.facts) or [NOTHING]) for _ in range(2))]
        return [
            asset,
            ZERO,
            draw.choice((NO_ADDRESS, NO_ADDRESS, draw.choice(PEOPLE).address)),
            code if draw.random() < 0.3 else [*code, *digests],
            draw.choice(([], [], [], [draw.choice(PEOPLE).address for _ in range(3)])),
            draw.choice((0, 0, 0, 0, 10**9, U63_MAX)),
            draw.choice((0, 0, 0, 1, 2)),
            draw.choice((1, 1, 2, 3, U63_MAX)),
            draw.randint(1, 3),
            self.twins.model.height + draw.choice((1, 8, 20, 40)),
        ]

    def permit(self, act: Act) -> bytes:
        draw = drawn(act)
        data = [asset for asset, facts in self.books.facts.items() if facts["type"] == permits.DATASET]
        if data and draw.random() < 0.8:
            asset = draw.choice(data)
            signer = person(self.books.holdings[asset]["owner"])
        else:
            signer, asset = self.owner(act, draw)
        if draw.random() < 0.05:
            signer = draw.choice(EVERYBODY)
        body = self.permission(draw, asset)
        if draw.random() < 0.2:
            place, value = draw.choice(
                ((3, []), (7, 0), (9, self.twins.model.height), (9, 0), (8, 4), (6, 3))
            )
            body[place] = value
        return self.signed(signer, "asset.permit", body)

    def revoke_permit(self, act: Act) -> bytes:
        draw = drawn(act)
        held = permits.books_of(self.twins.model).held
        if not held:
            return self.lend(act)
        named = draw.choice(list(held))
        asset = held[named]["asset"] if draw.random() < 0.9 else self.any_asset(draw)
        owner = person(self.books.holdings[asset]["owner"] if asset in self.books.holdings else NO_ADDRESS)
        body = [asset, named, NO_ADDRESS, [], [], 0, 0, 0, 1, 0]
        if draw.random() < 0.15:
            place, value = draw.choice(((1, NOTHING), (3, [ZERO]), (7, 1)))
            body[place] = value
        return self.signed(owner, "asset.permit", body)

    # -- jobs on data -----------------------------------------------------------------------------------------------

    def order(self, act: Act) -> bytes:
        """A job that names a permit, or a slot, or neither."""
        draw, held = drawn(act), permits.books_of(self.twins.model).held
        signer, product = draw.choice(PEOPLE), draw.choice(PRODUCTS)
        named, slot, chosen = ZERO, draw.choice((NO_SLOT, NO_SLOT, 0, 1)), NO_ADDRESS
        usable = [each for each in held if not held[each]["revoked"]] if draw.random() < 0.9 else list(held)
        if usable and draw.random() < 0.8:
            named = draw.choice(usable)
            product = self.on_data(held[named]) or GOOD
            if held[named]["grantee"] != NO_ADDRESS and draw.random() < 0.8:
                signer = person(held[named]["grantee"])
            if held[named]["providers"] and draw.random() < 0.5:
                chosen = draw.choice([*held[named]["providers"], PEOPLE[0].address])
        elif draw.random() < 0.1:
            named = NOTHING
        body = [
            product.program,
            product.roots,
            draw.choice((10**13, 10**15)),
            U63_MAX,
            5,
            chosen,
            named,
            slot,
        ]
        return self.signed(signer, "job.open", body)

    def on_data(self, permit: Item) -> Any:
        """A product of which a matrix is the permit's dataset."""
        roots = [
            each["content"] for (asset, _), each in self.books.versions.items() if asset == permit["asset"]
        ]
        return next((product for product in PRODUCTS if set(product.roots) & set(roots)), None)

    def run(self, act: Act) -> bytes:
        """Claim a job under a permit, if there is one, mostly as somebody who may."""
        draw, held = drawn(act), permits.books_of(self.twins.model).held
        jobs = self.twins.model.state.jobs
        waiting = [each for each, job in jobs.items() if job["status"] == OPEN and job["permit"] != ZERO]
        if not waiting:
            return self.order(act)
        named = draw.choice(waiting)
        permit = held.get(jobs[named]["permit"])
        allowed = [each.address for each in SELLERS if each.address != jobs[named]["payer"]]
        if permit is not None and permit["providers"] and draw.random() < 0.7:
            allowed = permit["providers"]
        elif permit is not None and permit["dtype"] and self.listed.order and draw.random() < 0.7:
            allowed = self.listed.order
        return self.signed(person(draw.choice(allowed)), "job.claim", [named, 10**13])
