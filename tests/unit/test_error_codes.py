"""Every code with which a transaction can fail is produced by one, on the program and on the naive model.

The codes are read from the declarations of the kinds and from the text of the program, so a new one without a case
here shows.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vm
from tests.account_cases import ACCOUNT_FAILURES, beyond_its_limit, beyond_its_scope
from tests.acts import GOOD, commitment, first_word
from tests.asset_cases import ASSET_FAILURES
from tests.builders import TILE
from tests.edges import (
    LARGEST,
    PAYER,
    PROVIDER,
    STRANGER,
    U63_MAX,
    WATCHER,
    Edge,
    founded_by,
    order,
    spec_with,
)
from tests.governance_cases import GOVERNANCE_FAILURES, RUN_FAILURES
from tests.provider_cases import PROVIDER_FAILURES
from tests.staking_cases import STAKE_FAILURES
from vm.registry import KINDS

NOTHING = bytes(32)
(LEFT, RIGHT), (STEP,) = GOOD.program


def shaped(*inputs: list[int], steps: list[Any] | None = None) -> list[Any]:
    """An order for another program."""
    return order(program=[list(inputs), [STEP] if steps is None else steps])


# -- after the fee is paid ------------------------------------------------------------------------------------------


def opened(**changes: Any) -> Callable[[Edge], str]:
    return lambda edge: edge.send(PAYER, "job.open", order(**changes))


def cancelled(job_of: Callable[[Edge], bytes], by: Any = PAYER) -> Callable[[Edge], str]:
    return lambda edge: edge.send(by, "job.cancel", [job_of(edge)])


def taken(job_of: Callable[[Edge], bytes], by: Any = PROVIDER, bid: int = 1) -> Callable[[Edge], str]:
    return lambda edge: edge.send(by, "job.claim", [job_of(edge), bid])


def delivered(
    job_of: Callable[[Edge], bytes], by: Any = PROVIDER, owner: Any = PROVIDER
) -> Callable[[Edge], str]:
    return lambda edge: edge.send(by, "job.commit", commitment(GOOD, job_of(edge), owner.address, 0))


def said(edge: Edge, member: Any, job_id: bytes, place: int = 0, value: Any = 1, tip: int = 0) -> str:
    """A member's commitment with one field changed."""
    body = first_word(job_id, member.address)
    body[place or 1] = value
    return edge.send(member, "job.attest", body, tip)


def member_of(edge: Edge) -> tuple[bytes, Any]:
    job_id = edge.judged()
    return job_id, edge.members(job_id)[0]


def shown(edge: Edge, place: int, value: Any) -> str:
    """A proof about a right result, with one field changed."""
    proof = edge.proof(edge.committed())
    proof[place] = value
    return edge.send(WATCHER, "challenge.prove", [proof])


def late(edge: Edge) -> bytes:
    job_id = edge.claimed()
    edge.blocks(6)
    return job_id


def crowded(edge: Edge) -> str:
    job_id = edge.open()
    edge.fill_agenda(edge.twins.model.height + 1 + 5 + 1, 4_096)
    return edge.send(PROVIDER, "job.claim", [job_id, 1])


def nothing(edge: Edge) -> bytes:
    return NOTHING


def still_open(edge: Edge) -> bytes:
    return edge.open()


FAILURES: dict[tuple[str, str], Callable[[Edge], str]] = {
    **ACCOUNT_FAILURES,
    ("transfer", "DUST"): lambda edge: edge.transfer(1, STRANGER),
    ("transfer", "BALANCE"): lambda edge: edge.transfer(U63_MAX),
    ("batch", "BATCH"): lambda edge: edge.send(PAYER, "batch", [[["transfer", [bytes(20), 1, b""]]]]),
    ("job.open", "PROGRAM_STEPS"): opened(program=[[LEFT, RIGHT], [STEP, STEP]]),
    ("job.open", "PROGRAM_WIRING"): opened(program=[[LEFT, RIGHT], [[1, [1, 0]]]]),
    ("job.open", "PROGRAM_DTYPE"): opened(program=[[LEFT, [3, 4, 2]], [STEP]]),
    ("job.open", "PROGRAM_SHAPE"): opened(program=[[LEFT, [3, 5, 1]], [STEP]]),
    ("job.open", "PROGRAM_SIZE"): opened(program=[[[65_537, 4, 1], RIGHT], [STEP]]),
    ("job.open", "PROGRAM_INPUTS"): opened(roots=GOOD.roots[:1]),
    ("job.open", "DEADLINE"): opened(deadline=1),
    ("job.open", "SELF"): opened(provider=PAYER.address),
    ("job.open", "RANGE"): opened(program=LARGEST, offer=U63_MAX),
    ("job.open", "ESCROW"): opened(most=1),
    ("job.open", "BALANCE"): opened(program=LARGEST),
    ("job.cancel", "NOT_FOUND"): cancelled(nothing),
    ("job.cancel", "NOT_OWNER"): cancelled(still_open, WATCHER),
    ("job.cancel", "BAD_STATE"): cancelled(still_open),
    ("job.claim", "NOT_FOUND"): taken(nothing),
    ("job.claim", "BAD_STATE"): taken(Edge.claimed),
    ("job.claim", "SELF"): taken(still_open, PAYER),
    ("job.claim", "NOT_CHOSEN"): taken(lambda edge: edge.open(provider=WATCHER.address)),
    ("job.claim", "BID"): taken(still_open, bid=U63_MAX),
    ("job.claim", "NO_COMMITTEE"): lambda edge: taken(still_open)(Edge(founded_by({0: TILE, 1: TILE}))),
    ("job.claim", "AGENDA_FULL"): crowded,
    ("job.claim", "BALANCE"): lambda edge: taken(still_open)(Edge(spec_with({PROVIDER: 10_000}))),
    ("job.commit", "NOT_FOUND"): delivered(nothing),
    ("job.commit", "LATE"): delivered(late),
    ("job.commit", "BAD_STATE"): delivered(Edge.committed),
    ("job.commit", "NOT_OWNER"): delivered(Edge.claimed, WATCHER),
    ("job.commit", "PATH"): delivered(Edge.claimed, owner=WATCHER),
    ("challenge.prove", "NOT_FOUND"): lambda edge: shown(edge, 0, NOTHING),
    ("challenge.prove", "BAD_STATE"): lambda edge: edge.send(
        WATCHER, "challenge.prove", [edge.proof(edge.claimed())]
    ),
    ("challenge.prove", "CHALLENGE_FACTS"): lambda edge: shown(edge, 4, NOTHING),
    ("challenge.prove", "CHALLENGE_FORM"): lambda edge: shown(edge, 6, 1),
    ("challenge.prove", "PATH"): lambda edge: shown(edge, 8, [[0, b"row", []]] * 3),
    ("challenge.prove", "NOT_WRONG"): lambda edge: shown(edge, 7, 0),
}

# -- may not be in a block --------------------------------------------------------------------------------------------


def mismatched(edge: Edge) -> str:
    """A reveal without a commitment."""
    job_id, member = member_of(edge)
    edge.blocks(edge.spec.jobs.attest_commit_blocks)
    return edge.send(member, "job.attest", [job_id, 1, 2, NOTHING, 1, NOTHING, NOTHING, 0])


ATTESTATIONS: dict[str, Callable[[Edge], str]] = {
    "NOT_FOUND": lambda edge: said(edge, WATCHER, NOTHING),
    "BAD_STATE": lambda edge: said(edge, WATCHER, edge.claimed()),
    "CONFLICT": lambda edge: said(edge, STRANGER, edge.judged()),
    "WINDOW": lambda edge: said(edge, *reversed(member_of(edge)), 2, 2),
    "FORM": lambda edge: said(edge, *reversed(member_of(edge)), 4, 1),
    "MISMATCH": mismatched,
}


def filled(edge: Edge) -> str:
    codes = [edge.transfer(1) for _ in range(edge.spec.money.block_weight_limit)]
    assert set(codes) == {""}
    return edge.transfer(1)


def paused(edge: Edge) -> str:
    edge.pause("job.open")
    return edge.send(PAYER, "job.open", order())


ENVELOPES: dict[str, Callable[[Edge], str]] = {
    "ENC": lambda edge: edge.transfer(1, version=2),
    "KIND": lambda edge: edge.send(PAYER, "mint", []),
    "BATCH_KIND": lambda edge: edge.send(PAYER, "batch", [[["batch", [[]]]]]),
    "SIZE": lambda edge: edge.send(PAYER, "transfer", [NOTHING[:20], 1, bytes(1_024)]),
    "CHAIN_ID": lambda edge: edge.transfer(1, chain_id=b"elsewhere"),
    "BAD_AUTH": lambda edge: edge.transfer(1, sender=WATCHER.address),
    "BLOCK_FULL": filled,
    "PAUSED": paused,
    "EXPIRED": lambda edge: edge.transfer(1, valid_until=0),
    "NONCE": lambda edge: edge.transfer(1, nonce=1),
    "RANGE": lambda edge: edge.transfer(1, tip=U63_MAX),
    "FEE_TOO_LOW": lambda edge: edge.transfer(1, max_fee=1),
    "BALANCE": lambda edge: edge.transfer(1, signer=STRANGER),
    "SCOPE": beyond_its_scope,
    "TIP": lambda edge: said(edge, *reversed(member_of(edge)), tip=1),
}


@pytest.mark.parametrize(("kind", "code"), FAILURES)
def test_a_failure_that_pays_its_fee(kind: str, code: str) -> None:
    assert FAILURES[kind, code](Edge()).partition("(")[0] == code


def test_a_debit_beyond_the_limits_of_a_session() -> None:
    """May happen to any kind that takes money."""
    assert beyond_its_limit(Edge()) == "SCOPE"


@pytest.mark.parametrize("code", ATTESTATIONS)
def test_an_attestation_that_may_not_be_in_a_block(code: str) -> None:
    assert ATTESTATIONS[code](Edge()) == f"refused {code}"


@pytest.mark.parametrize("code", ENVELOPES)
def test_a_transaction_that_may_not_be_in_a_block(code: str) -> None:
    assert ENVELOPES[code](Edge()) == f"refused {code}"


# -- the lists are complete -------------------------------------------------------------------------------------------


EVERY_FAILURE = (*FAILURES, *ASSET_FAILURES, *STAKE_FAILURES, *PROVIDER_FAILURES, *GOVERNANCE_FAILURES)


def test_every_declared_failure_has_a_case() -> None:
    declared = {(kind.name, rule.code) for kind in KINDS.values() for rule in kind.rules}
    assert declared == set(EVERY_FAILURE) | {("job.attest", code) for code in ATTESTATIONS}


def test_every_code_in_the_text_of_the_program_has_a_case() -> None:
    """Literal codes of `Invalid`, `Rule` and `check` anywhere below vm/."""
    cases = {code for _, code in EVERY_FAILURE}
    cases |= set(ATTESTATIONS) | set(ENVELOPES) | set(RUN_FAILURES)
    written = {"ENC" if code.startswith("ENC_") else code for code in codes_in_text()}
    assert written - cases == set()
    assert len(written) > 30, "the search sees something"


def codes_in_text() -> Iterator[str]:
    for path in Path(vm.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if named and node.func.id in ("Invalid", "Rule", "check") and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value
