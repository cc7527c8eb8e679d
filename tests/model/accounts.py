"""Keys and sessions on the naive state.  Spec: docs/spec/accounts.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chain.hashing import Tag, h256
from chain.keys import address_of
from chain.types import PublicKey
from tests.model.books import Books, Entry, Item
from tests.model.forms import KINDS, require

if TYPE_CHECKING:
    from tests.model.ledger import Model

AUTHORITY, SESSION, SESSION_INDEX = 12, 13, 14
"""Namespaces."""
KEYS_CHANGE, SESSION_ENDS = 8, 9
"""Automatic steps."""
NEVER_BY_SESSION = ("account.set_auth", "session.grant", "session.revoke", "stake.register", "batch")
NAMED = {
    "transfer": ((0,), ()),
    "stake.delegate": ((0,), ()),
    "stake.undelegate": ((0,), ()),
    "stake.redelegate": ((0, 1), ()),
    "stake.update": ((), ()),
    "stake.unjail": ((), ()),
    "stake.claim": ((0,), ()),
    "job.open": ((5,), ()),
    "job.cancel": ((), (0,)),
    "job.claim": ((), (0,)),
    "job.commit": ((), (0,)),
    "job.attest": ((), (0,)),
    "asset.version": ((), (0, 5)),
    "asset.offer": ((), (0,)),
    "asset.acquire": ((4,), (0,)),
    "asset.attest": ((), (0, 4, 8)),
    "asset.transfer": ((1,), (0,)),
    "asset.retire": ((), (0,)),
    "asset.claim": ((), (0,)),
    "gov.propose": ((6,), ()),
    "gov.deposit": ((), (0,)),
    "gov.vote": ((1,), (0,)),
    "gov.cancel": ((), (0,)),
}
"""Kind to the places of addresses, and of ids, in its body; of the kinds that acts let sessions do."""


@dataclass
class Keys(Books):
    """[AUTH-KEYS], [SESSION-GRANT]"""

    current: dict[bytes, list[Any]] = field(default_factory=dict)
    """Account to [threshold, [[key, weight]], delay]."""
    pending: dict[bytes, list[Any]] = field(default_factory=dict)
    """Account to [such a set, height]."""
    sessions: dict[tuple[bytes, bytes], Item] = field(default_factory=dict)
    """Account and key to the fields of the session, in the order of its record."""

    @property
    def locked(self) -> int:
        return sum(session["deposit"] for session in self.sessions.values())

    def of(self, owner: bytes) -> list[bytes]:
        """Keys of its sessions."""
        return sorted(key for account, key in self.sessions if account == owner)

    def entries(self) -> Iterator[Entry]:
        for account in {**self.current, **self.pending}:
            held = [[each[account]] if account in each else [] for each in (self.current, self.pending)]
            yield f"authority of {account.hex()}", AUTHORITY, account, held
        for (owner, key), session in self.sessions.items():
            yield f"session {key.hex()}", SESSION, identity(owner, key), list(session.values())
        for owner in {owner for owner, _ in self.sessions}:
            yield f"sessions of {owner.hex()}", SESSION_INDEX, owner, [self.of(owner)]


def identity(owner: bytes, key: bytes) -> bytes:
    return h256(Tag.SESSION_ID, owner + key)


def books_of(model: Model) -> Keys:
    found = model.state.books["accounts"]
    assert isinstance(found, Keys)
    return found


# -- who signs ------------------------------------------------------------------------------------------------------


def spender(model: Model, sender: bytes, signers: list[bytes], kind: str, body: Any) -> Item | None:
    """The session whose key signed, None for keys of the account [TX-AUTH].  Raises: Refused BAD_AUTH, SCOPE."""
    books = books_of(model)
    if sender in books.current:
        threshold, members, _ = books.current[sender]
        weights = dict(members)
        if set(signers) <= set(weights) and sum(weights[key] for key in signers) >= threshold:
            return None
    elif [address_of(PublicKey(key)) for key in signers] == [sender]:
        return None
    require(len(signers) == 1 and (sender, signers[0]) in books.sessions, "BAD_AUTH")
    session = books.sessions[sender, signers[0]]
    for name, part in body[0] if kind == "batch" else [(kind, body)]:
        require(name in session["kinds"], "SCOPE")
        addresses, ids = NAMED[name]
        for places, granted in ((addresses, session["counterparties"]), (ids, session["objects"])):
            named = [part[place] for place in places if any(part[place])]
            require(not granted or all(value in granted or value == sender for value in named), "SCOPE")
    return session


def count(session: Item, amount: int, height: int) -> None:
    """A debit [SESSION-LIMITS].  Raises: Refused SCOPE, with nothing counted."""
    require(session["spent"] + amount <= session["total"], "SCOPE")
    if session["window"]:
        over = height >= session["begins"] + session["window"]
        before = 0 if over else session["window_spent"]
        require(before + amount <= session["per_window"], "SCOPE")
        session["begins"] = height if over else session["begins"]
        session["window_spent"] = before + amount
    session["spent"] += amount


# -- changing keys --------------------------------------------------------------------------------------------------


def set_auth(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    """[AUTH-CHANGE]"""
    threshold, members, delay = body
    books, least = books_of(model), model.spec.accounts.key_delay_blocks
    if not members:
        require(threshold == 0 and delay == 0, "FORM")
        require(sender in books.pending, "PENDING")
        del books.pending[sender]
        return
    keys = [key for key, _ in members]
    require(sorted(set(keys)) == keys, "FORM")
    require(0 < threshold <= sum(weight for _, weight in members), "THRESHOLD")
    require(delay >= least, "DELAY")
    require(sender not in books.pending, "PENDING")
    wait = max(least, books.current[sender][2] if sender in books.current else 0)
    model.require_room(model.height + wait)
    books.pending[sender] = [[threshold, [list(member) for member in members], delay], model.height + wait]
    model.schedule(model.height + wait, KEYS_CHANGE, sender)


def change(model: Model, account: bytes) -> None:
    books = books_of(model)
    if account in books.pending and books.pending[account][1] == model.height:
        books.current[account] = books.pending.pop(account)[0]
        model.state.accounts[account]["keyed"] = 1


# -- sessions -------------------------------------------------------------------------------------------------------


def grant(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    """[SESSION-GRANT]"""
    key, kinds, total, window, per_window, counterparties, objects, votes, agent, expires = body
    books, deposit = books_of(model), model.spec.accounts.session_deposit_grains
    require(address_of(PublicKey(key)) != sender, "SELF")
    require((sender, key) not in books.sessions, "DUPLICATE")
    require(len(books.of(sender)) < 32, "TOO_MANY")
    known = all(kind in KINDS and kind not in NEVER_BY_SESSION for kind in kinds)
    require(known and sorted(set(kinds)) == list(kinds), "SCOPE_INVALID")
    require((window > 0) == (per_window > 0), "FORM")
    require(model.height < expires < model.height + (1 << 32), "EXPIRES")
    model.require_room(expires + 1)
    model.debit(sender, deposit)
    books.sessions[sender, key] = {
        "owner": sender,
        "key": key,
        "kinds": list(kinds),
        "total": total,
        "window": window,
        "per_window": per_window,
        "counterparties": list(counterparties),
        "objects": list(objects),
        "votes": votes,
        "agent": agent,
        "expires": expires,
        "deposit": deposit,
        "spent": 0,
        "begins": model.height,
        "window_spent": 0,
    }
    model.schedule(expires + 1, SESSION_ENDS, identity(sender, key))


def revoke(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    """[SESSION-END]"""
    require((sender, body[0]) in books_of(model).sessions, "NOT_FOUND")
    model.credit(sender, books_of(model).sessions.pop((sender, body[0]))["deposit"])


def end(model: Model, wanted: bytes) -> None:
    """The one session of this name that is over now, if it is still there."""
    sessions = books_of(model).sessions
    for (owner, key), session in list(sessions.items()):
        if identity(owner, key) == wanted and session["expires"] + 1 == model.height:
            model.credit(owner, sessions.pop((owner, key))["deposit"])


EFFECTS = {"account.set_auth": set_auth, "session.grant": grant, "session.revoke": revoke}
AGENDA_STEPS = {KEYS_CHANGE: change, SESSION_ENDS: end}
