"""Every code a kind declares is produced here, and no code is raised that nobody declares.  Spec: [TX-CHECK]."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chain.codec import Record
from chain.errors import Invalid
from chain.keys import SigningKey
from chain.ledger import AgendaLength, Namespace, height_key
from chain.tensors import DType
from chain.types import Grains, JobId
from tests.builders import FUNDS_GRAINS, KIND_OF, STAKE_GRAINS, ZERO, Ledger, funded_spec, key
from tests.cases import Case
from vm.context import AGENDA_ROOM
from vm.execute import ENVELOPE_RULES
from vm.jobs.challenge import Fault
from vm.jobs.record import Verdict
from vm.kinds.accounts import Transfer
from vm.kinds.audits import ChallengeProve
from vm.kinds.batch import Batch, Operation
from vm.kinds.jobs import JobCancel
from vm.kinds.staking import StakeRegister
from vm.registry import KINDS
from vm.tensor.program import Program, gemm_program

ROOT = Path(__file__).resolve().parents[2]
UNKNOWN = JobId(b"\x07" * 32)
MOST = Grains((1 << 63) - 1)


@dataclass(frozen=True)
class Try:
    """A transaction that is about to be sent."""

    ledger: Ledger
    signer: SigningKey
    body: Record

    def code(self) -> str:
        """What comes of it; that the kind declares the code is checked here too."""
        signed = self.ledger.sign(self.signer, self.body)
        transition = self.ledger.begin()
        data = signed.to_bytes()
        try:
            code = transition.add(data, self.ledger.parse(data)).code
        except Invalid as error:
            code = error.code
        return code


def transfer(amount_grains: int, to: int = 6) -> Transfer:
    return Transfer(key(to).address, Grains(amount_grains), b"")


def plain(body: Record, signer: int = 5, ledger: Ledger | None = None) -> Try:
    return Try(ledger or Ledger(), key(signer), body)


def order(**changes: Any) -> Try:
    case = Case()
    return Try(case.ledger, case.payer, case.open_body(**changes))


def product(m: int, n: int, k: int, **changes: Any) -> Try:
    return order(program=gemm_program(m, n, k), **changes)


def program(change: Callable[[Program], Program]) -> Try:
    return order(program=change(gemm_program(5, 3, 4)))


def opened(**changes: Any) -> Case:
    return Case().open(**changes)


def drawn() -> Case:
    return opened().claim().commit().draw()


def wrong() -> Case:
    return opened().claim().commit(Case().product.wrong_result()).draw()


def claim(case: Case, signer: SigningKey | None = None, bid: int | None = None) -> Try:
    return Try(case.ledger, signer or case.provider, case.claim_body(bid))


def cancel(case: Case, signer: SigningKey | None = None, job: JobId | None = None) -> Try:
    return Try(case.ledger, signer or case.payer, JobCancel(job or case.job_id))


def commit(case: Case, signer: SigningKey | None = None, **changes: Any) -> Try:
    return Try(case.ledger, signer or case.provider, replace(case.commit_body(), **changes))


def seal(case: Case, member: SigningKey | None = None, **changes: Any) -> Try:
    who = member or case.members[0]
    return Try(case.ledger, who, replace(case.attest_commit(who), **changes))


def prove(case: Case, **changes: Any) -> Try:
    proof = replace(case.element_proof(case.product.wrong_result()), **changes)
    return Try(case.ledger, case.watcher, ChallengeProve(proof))


def old_validator(stake_grains: int) -> Try:
    return plain(StakeRegister(Grains(stake_grains)), signer=0)


def without_room() -> Try:
    case = opened()
    height = case.ledger.height + 1 + case.deadline_blocks + 1
    case.ledger.put({height_key(Namespace.AGENDA, height): AgendaLength(AGENDA_ROOM).to_bytes()})
    return claim(case)


def few_judges() -> Try:
    return claim(Case(Ledger(funded_spec(validators=(0, 1)))).open())


def late() -> Try:
    case = opened().claim()
    case.ledger.mine_to(case.now.commit_deadline + 1)
    return commit(case)


def poor_provider() -> Try:
    case = opened()
    return claim(case, signer=key(15))


def second_seal() -> Try:
    case = drawn()
    member = case.members[0]
    assert case.do(member, case.attest_commit(member)) == ""
    return seal(case, member)


def other_verdict() -> Try:
    case = drawn()
    member = case.members[0]
    assert case.do(member, case.attest_commit(member)) == ""
    case.ledger.mine_to(case.now.committed_height + case.ledger.spec.jobs.reveal_offset - 1)
    return Try(case.ledger, member, case.attest_reveal(Verdict.WRONG))


def too_soon() -> Try:
    case = drawn()
    return Try(case.ledger, case.members[0], case.attest_reveal())


def unopened_path() -> Try:
    case = wrong()
    proof = case.element_proof(case.product.wrong_result())
    first = proof.openings[0]
    bent = replace(first, path=(ZERO, *first.path[1:]))
    return prove(case, openings=(bent, *proof.openings[1:]))


def nothing_wrong() -> Try:
    case = drawn()
    return Try(case.ledger, case.watcher, ChallengeProve(case.element_proof(case.product.result)))


REFUSED: list[tuple[str, str, Callable[[], Try]]] = [
    ("transfer", "DUST", lambda: plain(transfer(1, to=42))),
    ("transfer", "BALANCE", lambda: plain(transfer(FUNDS_GRAINS))),
    ("batch", "BATCH", lambda: plain(Batch((Operation("transfer", transfer(FUNDS_GRAINS)),)))),
    ("stake.register", "RANGE", lambda: old_validator(MOST)),
    ("stake.register", "MIN_STAKE", lambda: plain(StakeRegister(Grains(1)))),
    ("stake.register", "VALIDATORS_FULL", lambda: plain(StakeRegister(Grains(STAKE_GRAINS)))),
    ("stake.register", "BALANCE", lambda: old_validator(FUNDS_GRAINS)),
    ("job.open", "PROGRAM_STEPS", lambda: program(lambda p: replace(p, steps=p.steps * 2))),
    ("job.open", "PROGRAM_WIRING", lambda: program(lambda p: replace(p, inputs=p.inputs * 2))),
    (
        "job.open",
        "PROGRAM_DTYPE",
        lambda: program(lambda p: replace(p, inputs=(p.inputs[0], replace(p.inputs[1], dtype=DType.INT32)))),
    ),
    (
        "job.open",
        "PROGRAM_SHAPE",
        lambda: program(lambda p: replace(p, inputs=(p.inputs[0], replace(p.inputs[1], columns=9)))),
    ),
    ("job.open", "PROGRAM_SIZE", lambda: product(1 << 16, 1 << 14, 1)),
    ("job.open", "PROGRAM_INPUTS", lambda: order(input_roots=())),
    ("job.open", "DEADLINE", lambda: order(deadline_blocks=0)),
    ("job.open", "SELF", lambda: order(provider=key(5).address)),
    ("job.open", "RANGE", lambda: product(4096, 4096, 4096, price_per_gmac_grains=MOST)),
    ("job.open", "ESCROW", lambda: order(max_price_grains=Grains(1))),
    (
        "job.open",
        "BALANCE",
        lambda: product(1000, 1000, 1000, price_per_gmac_grains=Grains(FUNDS_GRAINS), max_price_grains=MOST),
    ),
    ("job.cancel", "NOT_FOUND", lambda: cancel(opened(), job=UNKNOWN)),
    ("job.cancel", "NOT_OWNER", lambda: cancel(opened(), signer=key(7))),
    ("job.cancel", "BAD_STATE", lambda: cancel(opened().claim())),
    ("job.cancel", "BAD_STATE", lambda: cancel(opened())),
    ("job.claim", "NOT_FOUND", lambda: plain(replace(opened().claim_body(), job=UNKNOWN))),
    ("job.claim", "BAD_STATE", lambda: claim(opened().claim(), signer=key(7))),
    ("job.claim", "SELF", lambda: claim(opened(), signer=key(5))),
    ("job.claim", "NOT_CHOSEN", lambda: claim(opened(provider=key(6).address), signer=key(7))),
    ("job.claim", "BID", lambda: claim(opened(), bid=MOST)),
    ("job.claim", "NO_COMMITTEE", few_judges),
    ("job.claim", "AGENDA_FULL", without_room),
    ("job.claim", "BALANCE", poor_provider),
    ("job.commit", "NOT_FOUND", lambda: commit(opened().claim(), job=UNKNOWN)),
    ("job.commit", "LATE", late),
    ("job.commit", "BAD_STATE", lambda: commit(opened())),
    ("job.commit", "NOT_OWNER", lambda: commit(opened().claim(), signer=key(7))),
    ("job.commit", "PATH", lambda: commit(opened().claim(), trace_root=ZERO)),
    ("job.attest", "NOT_FOUND", lambda: seal(drawn(), job=UNKNOWN)),
    ("job.attest", "BAD_STATE", lambda: seal(opened().claim(), member=key(0))),
    ("job.attest", "CONFLICT", lambda: seal(drawn(), member=key(7))),
    ("job.attest", "WINDOW", too_soon),
    ("job.attest", "FORM", lambda: seal(drawn(), verdict=Verdict.OK)),
    ("job.attest", "BAD_STATE", second_seal),
    ("job.attest", "MISMATCH", other_verdict),
    ("challenge.prove", "NOT_FOUND", lambda: prove(wrong(), job=UNKNOWN)),
    ("challenge.prove", "BAD_STATE", lambda: prove(opened().claim())),
    ("challenge.prove", "CHALLENGE_FACTS", lambda: prove(wrong(), provider=key(7).address)),
    ("challenge.prove", "CHALLENGE_FORM", lambda: prove(wrong(), fault=Fault.MALFORMED)),
    ("challenge.prove", "PATH", unopened_path),
    ("challenge.prove", "NOT_WRONG", nothing_wrong),
]
"""How each declared code is produced, in the order of the declarations."""


@pytest.mark.parametrize(("kind", "code", "story"), REFUSED, ids=[f"{k}-{c}" for k, c, _ in REFUSED])
def test_the_code_is_produced(
    kind: str, code: str, story: Callable[[], Try], monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = story()
    if code == "VALIDATORS_FULL":
        monkeypatch.setattr("vm.kinds.staking.MAX_VALIDATORS", 5)
    if kind == "job.claim" and code == "BALANCE":
        attempt = rich_enough_for_the_fee(attempt)
    assert KIND_OF[type(attempt.body)] == kind
    assert attempt.code().split("(")[0] == code


def rich_enough_for_the_fee(attempt: Try) -> Try:
    """A provider that can pay for the transaction and not for the bond."""
    giver = key(7)
    gift = Transfer(attempt.signer.address, Grains(10**6), b"")
    attempt.ledger.mine(attempt.ledger.sign(giver, gift))
    return attempt


def test_no_declared_code_is_left_out() -> None:
    declared = Counter((kind.name, rule.code) for kind in KINDS.values() for rule in kind.rules)
    assert Counter((kind, code) for kind, code, _ in REFUSED) == declared


def raised(*places: str) -> Iterator[tuple[str, str]]:
    """(code, file) of every `raise Invalid("CODE"…)`."""
    for place in places:
        for path in sorted(ROOT.glob(place)):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                    arguments = node.exc.args
                    if arguments and isinstance(arguments[0], ast.Constant):
                        yield str(arguments[0].value), path.name


def test_what_helpers_raise_is_declared_by_a_kind() -> None:
    declared = {rule.code for kind in KINDS.values() for rule in (*kind.rules, *ENVELOPE_RULES)}
    found = dict(raised("vm/**/*.py"))
    codes = {code for code in found if not code.startswith("ENC_")}
    assert codes - declared == set(), found


def test_the_envelope_declares_what_it_raises() -> None:
    found = {code for code, _ in raised("vm/execute.py", "vm/envelope.py", "vm/registry.py")} | {"BATCH_KIND"}
    assert {rule.code for rule in ENVELOPE_RULES} == found | {"ENC_*"}
