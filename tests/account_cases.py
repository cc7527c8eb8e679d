"""One case for every code of the kinds about keys and sessions, read by test_error_codes.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.acts_base import SPARE_KEYS, seal
from tests.builders import TILE, key
from tests.edges import PAYER, PROVIDER, WATCHER, Edge, spec_with
from vm.accounts.session import MAX_SESSIONS

AGENT, OTHER = SPARE_KEYS[:2]
MEMBER = [AGENT.public_key, 1]


def keys_set(threshold: int = 1, members: Any = None, delay: int = 3) -> Callable[[Edge], str]:
    body = [threshold, [MEMBER] if members is None else members, delay]
    return lambda edge: edge.send(PAYER, "account.set_auth", body)


def session(edge: Edge, **changes: Any) -> list[Any]:
    """The body of a grant that is fine, but for these fields."""
    fields: dict[str, Any] = {
        "key": AGENT.public_key,
        "kinds": ["transfer"],
        "total": TILE,
        "window": 0,
        "per_window": 0,
        "counterparties": [],
        "objects": [],
        "votes": 0,
        "agent": 1,
        "expires": edge.twins.model.height + 5,
    }
    return list((fields | changes).values())


def granted(**changes: Any) -> Callable[[Edge], str]:
    return lambda edge: edge.send(PAYER, "session.grant", session(edge, **changes))


def twice(first: Callable[[Edge], str], again: Callable[[Edge], str]) -> Callable[[Edge], str]:
    def both(edge: Edge) -> str:
        assert first(edge) == ""
        return again(edge)

    return both


def too_many(edge: Edge) -> str:
    for number in range(MAX_SESSIONS):
        assert granted(key=key(200 + number).public_key)(edge) == ""
        if number % 10 == 9:
            edge.block()
    return granted()(edge)


def crowded(distance: int, then: Callable[[Edge], str]) -> Callable[[Edge], str]:
    """With no room left where the step would go, in the block after this one."""

    def full(edge: Edge) -> str:
        edge.fill_agenda(edge.twins.model.height + 1 + distance, 4_096)
        return then(edge)

    return full


ACCOUNT_FAILURES: dict[tuple[str, str], Callable[[Edge], str]] = {
    ("account.set_auth", "FORM"): keys_set(members=[MEMBER, MEMBER]),
    ("account.set_auth", "THRESHOLD"): keys_set(threshold=2),
    ("account.set_auth", "DELAY"): keys_set(delay=2),
    ("account.set_auth", "PENDING"): twice(keys_set(), keys_set()),
    ("account.set_auth", "AGENDA_FULL"): crowded(3, keys_set()),
    ("session.grant", "SELF"): granted(key=PAYER.public_key),
    ("session.grant", "DUPLICATE"): twice(granted(), granted()),
    ("session.grant", "TOO_MANY"): too_many,
    ("session.grant", "SCOPE_INVALID"): granted(kinds=["session.grant"]),
    ("session.grant", "FORM"): granted(window=3),
    ("session.grant", "EXPIRES"): granted(expires=0),
    ("session.grant", "AGENDA_FULL"): crowded(6, granted()),
    ("session.grant", "BALANCE"): lambda edge: granted()(Edge(spec_with({PAYER: 100_000}))),
    ("session.revoke", "NOT_FOUND"): lambda edge: edge.send(PAYER, "session.revoke", [AGENT.public_key]),
}


def by_agent(edge: Edge, kind: str, body: list[Any]) -> str:
    """What a session key tries in the payer's name."""
    return edge.twins.add(seal(AGENT, edge.acts.envelope(PAYER, kind, body)))


def beyond_its_scope(edge: Edge) -> str:
    assert granted()(edge) == ""
    return by_agent(edge, "stake.delegate", [WATCHER.address, TILE])


def beyond_its_limit(edge: Edge) -> str:
    assert granted()(edge) == ""
    return by_agent(edge, "transfer", [PROVIDER.address, TILE, b""])
