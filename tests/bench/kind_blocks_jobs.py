"""Blocks of the kinds about jobs and their checking, see kind_stage.py."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from chain.keys import SigningKey
from chain.tensors import DType, row_root
from chain.types import Hash32, Height, PermitId, TensorRoot
from tests.asset_cases import publication
from tests.bench.kind_stage import COUNT, EVERYBODY, SPARE, Block, Forms, Stage
from tests.builders import key
from tests.cases import Case, Product, opening
from tests.provider_cases import INT8, declaration, permission, permit_named
from vm.assets.limits import MAX_CODE, MAX_PERMITTED
from vm.assets.permits import program_digest
from vm.assets.record import AssetType, Version, asset_id, version_key
from vm.envelope import Transaction
from vm.jobs.challenge import FraudProof, element_proof, malformed_proof
from vm.jobs.record import Verdict, job_id
from vm.kinds.assets import AssetPublish
from vm.kinds.audits import ChallengeProve
from vm.kinds.jobs import JobCancel
from vm.kinds.providers import ProviderRegister
from vm.providers.record import MAX_CLASSES, MAX_SERVED, Served
from vm.tensor.program import gemm_program
from vm.tensor.trace import trace_key

FORMS = Forms()

LARGE = 8
"""Blocks of things that are large have so many."""


def cases(stage: Stage, count: int = COUNT, product: Product | None = None) -> list[Case]:
    """Jobs to be, each of a payer and a provider of its own."""
    payers, providers = stage.people(count), stage.people(count, 100)
    made = product or Product.random()
    return [
        Case(stage.ledger, made, payer=payer, provider=provider, deadline_blocks=10)
        for payer, provider in zip(payers, providers, strict=True)
    ]


def opened(stage: Stage, made: list[Case], **changes: object) -> list[Case]:
    for case in made:
        case.job_id = job_id(case.payer.address, stage.nonce(case.payer))
    stage.did(*((case.payer, case.open_body(**changes)) for case in made))
    return made


def claimed(stage: Stage, made: list[Case]) -> list[Case]:
    stage.did(*((case.provider, case.claim_body()) for case in opened(stage, made)))
    return made


def committed(stage: Stage, made: list[Case]) -> list[Case]:
    stage.did(*((case.provider, case.commit_body()) for case in claimed(stage, made)))
    return made


def drawn(stage: Stage, made: list[Case]) -> list[Case]:
    """The same jobs, in the block that draws their committees."""
    stage.ledger.mine_to(stage.ledger.height + stage.ledger.spec.jobs.draw_offset)
    return made


def members_of(case: Case) -> list[SigningKey]:
    people = _validators()
    return [people[seat.member] for seat in case.now.seats]


@cache
def _validators() -> dict[bytes, SigningKey]:
    numbers = (*range(5), *range(SPARE, SPARE + EVERYBODY))
    return {key(number).address: key(number) for number in numbers}


def judge(stage: Stage, made: list[Case], wait_blocks: int) -> None:
    """All members of all committees approve; the committees are known, this many blocks are left to the reveal."""
    pairs = [(member, case) for case in made for member in members_of(case)]
    stage.did(*((member, case.attest_commit(member)) for member, case in pairs))
    stage.wait(wait_blocks)
    stage.did(*((member, case.attest_reveal(Verdict.OK)) for member, case in pairs))


def settle(stage: Stage, made: list[Case]) -> list[Case]:
    """Jobs that are committed in the last block go on to their end."""
    rules, height = stage.ledger.spec.jobs, stage.ledger.height
    stage.wait(rules.draw_offset)
    judge(stage, made, rules.reveal_offset - rules.draw_offset - 2)
    stage.wait(height + rules.settle_offset - stage.ledger.height)
    return made


# -- opening ----------------------------------------------------------------------------------------------------------


@FORMS.form("job.open", "for anybody to claim, and nobody does")
def usual_open(stage: Stage) -> Block:
    yield stage.sent(*((case.payer, case.open_body()) for case in cases(stage)))
    stage.wait(stage.ledger.spec.jobs.open_expiry_blocks)


@FORMS.form("job.open", "under a permit with every condition, for a listed provider with every version")
def guarded_open(stage: Stage) -> Block:
    made = cases(stage, LARGE)
    permits = guarded(stage, made)
    bodies = [
        case.open_body(permit=permit, provider=case.provider.address)
        for case, permit in zip(made, permits, strict=True)
    ]
    yield stage.sent(*zip((case.payer for case in made), bodies, strict=True))
    stage.wait(stage.ledger.spec.jobs.open_expiry_blocks)


def guarded(stage: Stage, made: list[Case]) -> list[PermitId]:
    """Permits of the dearest sort, one for each job, on a dataset that they all use; their providers are listed."""
    program, (owner,) = made[0].product.program, stage.people(1, 300)
    stage.did((owner, dataset(made[0])))
    asset = asset_id(owner.address, 0)
    stage.did((owner, replace(dataset(made[0]), content_root=program_digest(program), type=AssetType.CODE)))
    code = asset_id(owner.address, 1)
    listed(stage, [case.provider for case in made], asset)
    others = tuple(key(9_000 + number).address for number in range(MAX_PERMITTED - 1))
    permits = [
        permission(
            asset,
            grantee=case.payer.address,
            code=(*(Hash32(bytes([n]) * 32) for n in range(MAX_CODE - 1)), Hash32(code)),
            providers=(*others, case.provider.address),
            dtype=int(DType.INT8),
        )
        for case in made
    ]
    nonce = stage.nonce(owner)
    stage.did(*((owner, permit) for permit in permits))
    return [permit_named(owner, nonce + place) for place in range(len(made))]


def dataset(case: Case) -> AssetPublish:
    return publication("data", content_root=Hash32(case.product.input_roots[0]), type=AssetType.DATASET)


def listed(stage: Stage, who: list[SigningKey], asset: object) -> None:
    """These are on the list of providers, with all that one may declare."""
    stage.did(*((each, full_registration(stage, asset, place)) for place, each in enumerate(who)))


def full_registration(stage: Stage, asset: object, place: int = 0) -> ProviderRegister:
    """A registration with as much as there may be, versions of an asset that nobody else serves."""
    numbers = range(1_000 + place * MAX_SERVED, 1_000 + (place + 1) * MAX_SERVED)
    root = Hash32(bytes(32))
    version = Version(0, root, 1, root, job_id(key(1).address, 0), 0, Height(1)).to_bytes()
    stage.ledger.put({version_key(asset, number): version for number in numbers})  # type: ignore[arg-type]
    return ProviderRegister(
        declaration(
            endpoints=("/ip4/192.0.2.1/tcp/9000".ljust(128, "0"),) * 4,
            classes=(INT8,) * MAX_CLASSES,
            versions=tuple(Served(asset, number) for number in numbers),  # type: ignore[arg-type]
            region="n" * 32,
        )
    )


@FORMS.form("job.cancel", "once it may be")
def usual_cancel(stage: Stage) -> Block:
    made = opened(stage, cases(stage))
    stage.ledger.mine_to(stage.ledger.height + stage.ledger.spec.jobs.minimum_open_blocks)
    yield stage.sent(*((case.payer, JobCancel(case.job_id)) for case in made))


# -- claiming, committing -----------------------------------------------------------------------------------------


@FORMS.form("job.claim", "and commit in time")
def usual_claim(stage: Stage) -> Block:
    made = opened(stage, cases(stage))
    yield stage.sent(*((case.provider, case.claim_body()) for case in made))
    stage.did(*((case.provider, case.commit_body()) for case in made))
    stage.ledger.mine_to(stage.ledger.height + made[0].deadline_blocks - 2)
    stage.wait(2)


@FORMS.form("job.claim", "and be late")
def late_claim(stage: Stage) -> Block:
    made = opened(stage, cases(stage))
    yield stage.sent(*((case.provider, case.claim_body()) for case in made))
    stage.wait(made[0].deadline_blocks + 1)


@FORMS.form("job.claim", f"{EVERYBODY:,} validators, and be late", EVERYBODY)
def claim_of_many(stage: Stage) -> Block:
    yield from late_claim(stage)


@FORMS.form("job.claim", "under a permit with every condition, by a provider with every version, and be late")
def guarded_claim(stage: Stage) -> Block:
    made = cases(stage, LARGE)
    for case, permit in zip(made, guarded(stage, made), strict=True):
        opened(stage, [case], permit=permit)
    yield stage.sent(*((case.provider, case.claim_body()) for case in made))
    stage.wait(made[0].deadline_blocks + 1)


@FORMS.form("job.commit", "to a result that is approved")
def usual_commit(stage: Stage) -> Block:
    made = claimed(stage, cases(stage))
    yield stage.sent(*((case.provider, case.commit_body()) for case in made))
    settle(stage, made)


@FORMS.form("job.commit", f"{EVERYBODY:,} validators", EVERYBODY)
def commit_of_many(stage: Stage) -> Block:
    yield from usual_commit(stage)


@FORMS.form("job.attest", "seal")
def seal(stage: Stage) -> Block:
    made = drawn(stage, committed(stage, cases(stage)))
    pairs = [(members_of(case)[0], case) for case in made]
    yield stage.sent(*((member, case.attest_commit(member)) for member, case in pairs))


@FORMS.form("job.attest", "reveal")
def reveal(stage: Stage) -> Block:
    made = drawn(stage, committed(stage, cases(stage)))
    pairs = [(members_of(case)[0], case) for case in made]
    stage.did(*((member, case.attest_commit(member)) for member, case in pairs))
    rules = stage.ledger.spec.jobs
    stage.ledger.mine_to(made[0].now.committed_height + rules.reveal_offset - 1)
    yield stage.sent(*((member, case.attest_reveal(Verdict.OK)) for member, case in pairs))


# -- challenges -----------------------------------------------------------------------------------------------------


@FORMS.form("challenge.prove", "an element of 5x3 from 4")
def small_element(stage: Stage) -> Block:
    made = claimed(stage, cases(stage))
    wrong = made[0].product.wrong_result()
    stage.did(*((case.provider, case.commit_body(wrong)) for case in made))
    yield stage.sent(*((case.watcher, ChallengeProve(case.element_proof(wrong))) for case in made))


ROWS, EDGE = 64, 16_384
ZEROS, BAD_ROW = bytes(EDGE * EDGE), bytes(EDGE - 1) + b"\x7f"


@FORMS.form("challenge.prove", f"an element, rows of {EDGE:,}")
def large_element(stage: Stage) -> Block:
    made = large(stage, ZEROS[: ROWS * EDGE])
    program, roots = made[0].product.program, _roots(ZEROS[: ROWS * EDGE])
    result = (b"\1" + bytes(4 * EDGE - 1)) * ROWS
    proofs = []
    for case in made:
        secret = trace_key(case.job_id, case.provider.address)
        root = row_root(case.product.output, result, secret)
        stage.did((case.provider, case.commit_root(root, secret)))
        rows = (
            opening(program.inputs[0], ZEROS[: ROWS * EDGE], 0),
            opening(program.inputs[1], ZEROS, 0),
            opening(case.product.output, result, 0, secret),
        )
        facts = (case.job_id, program, roots, case.provider.address, root)
        proofs.append(element_proof(*facts, column=0, rows=rows))
    yield proven(stage, made, proofs)


@FORMS.form("challenge.prove", f"the last entry of a row of {EDGE:,} is out of range")
def large_malformed(stage: Stage) -> Block:
    left = BAD_ROW * ROWS
    made = large(stage, left)
    program, roots = made[0].product.program, _roots(left)
    proofs = []
    for case in made:
        root, secret = TensorRoot(Hash32(case.job_id)), trace_key(case.job_id, case.provider.address)
        stage.did((case.provider, case.commit_root(root, secret)))
        facts = (case.job_id, program, roots, case.provider.address, root)
        proofs.append(malformed_proof(*facts, tensor=0, opening=opening(program.inputs[0], left, 0)))
    yield proven(stage, made, proofs)


def large(stage: Stage, left: bytes) -> list[Case]:
    """Claimed jobs on matrices as wide as they may be."""
    wide = Product(np.zeros((ROWS, EDGE), np.int8), np.zeros((EDGE, EDGE), np.int8))
    made = cases(stage, LARGE, wide)
    for case in made:
        case.price_per_gmac = 1
        opened(stage, [case], input_roots=_roots(left))
    stage.did(*((case.provider, case.claim_body()) for case in made))
    return made


@cache
def _roots(left: bytes) -> tuple[TensorRoot, TensorRoot]:
    info_a, info_b = gemm_program(ROWS, EDGE, EDGE).inputs
    return row_root(info_a, left), row_root(info_b, ZEROS)


def proven(stage: Stage, made: list[Case], proofs: list[FraudProof]) -> list[Transaction]:
    return stage.sent(*((key(200 + n), ChallengeProve(proof)) for n, proof in enumerate(proofs)))
