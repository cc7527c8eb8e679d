"""Random markets against a naive model of royalties: who owns what, and to the grain who is owed what.

Spec: [ASSET-LINEAGE], [ASSET-SPLIT], [ASSET-REVENUE], [MONEY-IDENTITY]. The model knows no flat table: it walks the
family of what is sold, top down, in shares of basis points.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from chain.keys import SigningKey
from chain.types import AssetId
from tests.asset_cases import AUTHOR, BUYER, OTHER, Market, offered, parent, publication, purchase
from tests.builders import TILE
from vm.assets.limits import SLOTS
from vm.assets.record import asset_id
from vm.kinds.assets import AssetClaim, AssetRetire, AssetTransfer

PEOPLE = (AUTHOR, BUYER, OTHER)
PRICES = (1, 9_999, 10_000, 123_456_789)


@dataclass
class Thing:
    """One asset as the model sees it."""

    owner: SigningKey
    parents: list[tuple[AssetId, int]]
    price: int = 0
    retired: bool = False


@dataclass
class Naive:
    """All assets, and what each has earned for whom."""

    things: dict[AssetId, Thing] = field(default_factory=dict)
    owed: Counter[tuple[AssetId, bytes]] = field(default_factory=Counter)

    def shares(self, asset: AssetId, whole: int) -> Counter[AssetId]:
        """Who gets how much of `whole` basis points that belong to an asset, its family included."""
        found: Counter[AssetId] = Counter({asset: whole})
        above: Counter[AssetId] = Counter()
        for each, share in self.things[asset].parents:
            above.update(self.shares(each, share))
        for each, share in above.items():
            part = whole * share // 10_000
            found[each] += part
            found[asset] -= part
        return found

    def sell(self, asset: AssetId, price: int) -> None:
        left = price
        for each, share in self.shares(asset, 10_000).items():
            if each != asset:
                part = price * share // 10_000
                self.owed[each, self.things[each].owner.address] += part
                left -= part
        self.owed[asset, self.things[asset].owner.address] += left


@dataclass(frozen=True)
class Move:
    what: str
    who: int
    first: int
    second: int
    number: int


MOVES = st.builds(
    Move,
    st.sampled_from(("publish", "publish", "publish", "buy", "buy", "buy", "claim", "give", "retire")),
    st.integers(0, 2),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 2_500),
)


@dataclass
class Story:
    """The program and the model, side by side."""

    market: Market = field(default_factory=Market)
    naive: Naive = field(default_factory=Naive)
    count: int = 0

    def play(self, move: Move) -> None:
        ids = list(self.naive.things)
        if move.what == "publish" or not ids:
            self.publish(move, ids)
        else:
            getattr(self, move.what)(move, ids[move.first % len(ids)])
        self.check()

    def publish(self, move: Move, ids: list[AssetId]) -> None:
        who, price = PEOPLE[move.who], PRICES[move.number % len(PRICES)]
        chosen = (
            list(dict.fromkeys(ids[place % len(ids)] for place in (move.first, move.second))) if ids else []
        )
        parents = [(each, move.number // (1 + place)) for place, each in enumerate(chosen)]
        self.count += 1
        asset = asset_id(who.address, self.market.ledger.account(who.address).nonce)
        code = self.market.send(who, publication(self.count, *[parent(*each) for each in parents]))
        assert code == ("LICENCE" if any(self.naive.things[each].retired for each in chosen) else "")
        if not code:
            self.naive.things[asset] = Thing(who, parents, price)
            assert self.market.send(who, offered(asset, price)) == ""

    def buy(self, move: Move, asset: AssetId) -> None:
        thing, units = self.naive.things[asset], 1 + move.second
        code = self.market.send(PEOPLE[move.who], purchase(asset, units=units))
        assert code == ("INACTIVE" if thing.retired else "")
        if not code:
            self.naive.sell(asset, thing.price * units)

    def claim(self, move: Move, asset: AssetId) -> None:
        who = PEOPLE[move.who]
        owed = self.naive.owed.pop((asset, who.address), 0)
        if owed:
            assert self.market.cost(who, AssetClaim(asset)) == -owed
        else:
            assert self.market.send(who, AssetClaim(asset)) == "NOTHING"

    def give(self, move: Move, asset: AssetId) -> None:
        thing, to = self.naive.things[asset], PEOPLE[move.second % 3]
        right = thing.owner == PEOPLE[move.who]
        assert self.market.send(PEOPLE[move.who], AssetTransfer(asset, to.address)) == (
            "" if right else "NOT_OWNER"
        )
        if right:
            thing.owner = to

    def retire(self, move: Move, asset: AssetId) -> None:
        thing = self.naive.things[asset]
        expected = "BAD_STATE" if thing.retired else ""
        assert self.market.send(thing.owner, AssetRetire(asset, SLOTS)) == expected
        thing.retired = True

    def check(self) -> None:
        ledger = self.market.ledger
        ledger.audit()
        for asset in self.naive.things:
            for person in PEOPLE:
                assert self.market.accrued(asset, person) == self.naive.owed[asset, person.address]
        deposits = sum(TILE for thing in self.naive.things.values() if not thing.retired)
        stakes = sum(ledger.stake(person) for person in ledger.people)
        assert ledger.chain.locked_grains == stakes + deposits + sum(self.naive.owed.values())


@settings(max_examples=25)
@given(st.lists(MOVES, min_size=8, max_size=16))
def test_random_markets_pay_to_the_grain(moves: list[Move]) -> None:
    story = Story()
    for move in moves:
        story.play(move)


@settings(max_examples=10)
@given(st.lists(MOVES, min_size=4, max_size=10))
def test_whole_markets_are_undone_and_redone(moves: list[Move]) -> None:
    story = Story()
    ledger = story.market.ledger
    start, done = ledger.tree.root, len(ledger.undos)
    for move in moves:
        story.play(move)
    end, redo = ledger.tree.root, []
    while len(ledger.undos) > done:
        undo = ledger.undos[-1]
        redo.append({place: ledger.tree.get(place) for place in undo})
        ledger.undo()
    assert ledger.tree.root == start
    for changes in reversed(redo):
        ledger.put(changes)
    assert ledger.tree.root == end
