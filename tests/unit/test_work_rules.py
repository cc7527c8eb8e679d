"""The work rule of a block: commitment, binding, weight in fork choice.  Spec: [WORK-*]."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from chain.blocks import Header
from chain.errors import Invalid
from chain.types import NO_JOB, Address, Hash32, JobId
from compute.spec.certificate import Certificate
from compute.spec.claim import NO_BINDING, Binding, Mu
from compute.spec.profiles import TEST
from compute.spec.reference import reference_attempt
from consensus.work import block_work, check_binding, check_work
from tests.builders import Ledger
from tests.cases import Case, Product
from tests.work_samples import random_matrix
from vm.jobs.record import Verdict

LEDGER = Ledger()
HEADER = replace(LEDGER.genesis, target=TEST.max_target)


@cache
def proof() -> Certificate:
    attempt = reference_attempt(
        HEADER.sigma(), TEST, random_matrix(75, 190, 1), random_matrix(96, 190, 2), NO_BINDING
    )
    return attempt.certificate(next(iter(attempt.winners(TEST.max_target))))


def sealed(certificate: bytes, header: Header = HEADER) -> Header:
    return header.with_certificate(certificate)


def refuse(code: str, header: Header, certificate: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        check_work(header, certificate, LEDGER.spec)
    assert caught.value.code == code


def test_a_winning_certificate_passes() -> None:
    data = proof().to_bytes()
    decoded, ticket = check_work(sealed(data), data, LEDGER.spec)
    assert decoded == proof()
    assert int.from_bytes(ticket, "little") < TEST.max_target * TEST.cube_macs


def test_the_header_commits_to_these_bytes() -> None:
    data = proof().to_bytes()
    refuse("WORK_COMMITMENT", HEADER, data)
    refuse("WORK_COMMITMENT", sealed(data), data + b"\x00")
    refuse("WORK_COMMITMENT", sealed(data), b"")
    refuse("WORK_COMMITMENT", sealed(b""), b"")


def test_only_the_canonical_certificate_decodes() -> None:
    data = proof().to_bytes() + b"\x00"
    refuse("ENC_MSGPACK", sealed(data), data)


def test_work_is_done_over_every_header_field() -> None:
    data = proof().to_bytes()
    for changed in (
        replace(HEADER, extra_nonce=1),
        replace(HEADER, state_root=Hash32(b"\1" * 32)),
        replace(HEADER, miner=Address(b"\1" * 20)),
        replace(HEADER, time_ms=HEADER.time_ms + 1),
    ):
        refuse("WORK_PATH_A", sealed(data, changed), data)


def test_a_ticket_above_the_target_does_not_win() -> None:
    harder = replace(HEADER, target=1)
    attempt = reference_attempt(
        harder.sigma(), TEST, random_matrix(16, 64, 1), random_matrix(16, 64, 2), NO_BINDING
    )
    data = attempt.certificate(next(iter(attempt.winners((1 << 256) // TEST.cube_macs)))).to_bytes()
    refuse("WORK_TARGET", sealed(data, harder), data)


def test_another_profile_is_another_network() -> None:
    data = replace(proof(), mu=replace(proof().mu, profile_id=2)).to_bytes()
    refuse("WORK_PROFILE", sealed(data), data)


# -- binding --------------------------------------------------------------------------------------------------------


PRODUCT = Product.random(m=40, n=20, k=70)
"""Padded under the test profile (tile 16, segment 64): m 48, n 32, k 128."""


@cache
def claimed() -> Case:
    return Case(product=PRODUCT).open().claim()


def bound(case: Case, **changes: object) -> Certificate:
    mu = Mu(TEST.profile_id, 48, 32, 128, Binding(case.job_id, 0))
    return replace(proof(), mu=replace(mu, **changes))  # type: ignore[arg-type]


def header_of(miner: Address) -> Header:
    return replace(HEADER, miner=miner)


def refuse_binding(case: Case, header: Header, certificate: Certificate) -> None:
    with pytest.raises(Invalid, match="WORK_BINDING"):
        check_binding(case.ledger.tree, header, certificate, case.ledger.spec)


@pytest.mark.parametrize("rows", [16, 32, 48])
def test_a_row_panel_of_a_claimed_job_may_be_bound(rows: int) -> None:
    case = claimed()
    check_binding(case.ledger.tree, header_of(case.provider.address), bound(case, m=rows), case.ledger.spec)


def test_an_unbound_block_needs_no_job() -> None:
    check_binding(LEDGER.tree, HEADER, proof(), LEDGER.spec)


def test_only_the_provider_may_bind() -> None:
    case = claimed()
    for other in (case.payer, case.watcher):
        refuse_binding(case, header_of(other.address), bound(case))


def test_only_a_job_that_exists_and_its_step() -> None:
    case = claimed()
    header = header_of(case.provider.address)
    refuse_binding(case, header, bound(case, binding=Binding(JobId(b"\1" * 32), 0)))
    refuse_binding(case, header, bound(case, binding=Binding(case.job_id, 1)))


@pytest.mark.parametrize("changes", [{"m": 64}, {"n": 16}, {"n": 48}, {"k": 64}, {"k": 192}])
def test_only_the_jobs_own_shape(changes: dict[str, int]) -> None:
    case = claimed()
    refuse_binding(case, header_of(case.provider.address), bound(case, **changes))


def test_only_between_claim_and_commit() -> None:
    case = Case(product=PRODUCT).open()
    header = header_of(case.provider.address)
    refuse_binding(case, header, bound(case))
    case.claim()
    check_binding(case.ledger.tree, header, bound(case), case.ledger.spec)
    case.commit()
    refuse_binding(case, header, bound(case))


def test_a_bound_block_is_counted_by_its_child_until_the_job_ends() -> None:
    case = Case(product=PRODUCT).open().claim()
    provider, binding = case.provider.address, Binding(case.job_id, 0)
    case.ledger.mine(miner=provider, binding=binding)
    assert case.now.bound_blocks == 0
    case.ledger.mine(miner=provider, binding=binding)
    assert case.now.bound_blocks == 1
    assert ("BlockBound", (case.job_id, provider, case.ledger.height - 1)) in case.ledger.events()
    case.commit()
    assert case.now.bound_blocks == 2
    case.ledger.audit()


def test_a_bound_block_of_a_job_that_has_ended_counts_nothing() -> None:
    case = Case(product=PRODUCT, deadline_blocks=5).open().claim()
    case.ledger.mine_to(case.now.commit_deadline - 1)
    case.ledger.mine(miner=case.provider.address, binding=Binding(case.job_id, 0))
    case.ledger.mine()
    assert case.now.bound_blocks == 1, "the agenda ends it after the parent was credited"
    late = Case(product=PRODUCT, deadline_blocks=5).open().claim()
    late.ledger.mine_to(late.now.commit_deadline)
    late.ledger.mine(miner=late.provider.address, binding=Binding(late.job_id, 0))
    late.ledger.mine()
    assert late.now.bound_blocks == 0
    late.ledger.audit()


def test_bonus_is_paid_once_out_of_the_burn() -> None:
    """Ten bound blocks pay what one pays, and less than is burned."""

    def run(blocks: int) -> tuple[int, int]:
        case = Case(product=PRODUCT, price_per_gmac=10**15).open().claim()
        for _ in range(blocks):
            case.ledger.mine(miner=case.provider.address, binding=Binding(case.job_id, 0))
        case.commit().draw().attest(*case_verdicts).finish()
        (values,) = [v for name, v in case.ledger.events() if name == "JobSettled"]
        case.ledger.audit()
        burned, bonus = values[4], values[7]
        assert isinstance(burned, int)
        assert isinstance(bonus, int)
        return burned - case.now.attest_fees_grains, bonus

    case_verdicts = (Verdict.OK,) * 3
    plain, none = run(0)
    once, bonus = run(1)
    assert none == 0
    assert 0 < bonus < plain
    assert once + bonus == plain
    assert run(10) == (once, bonus)


# -- weight ---------------------------------------------------------------------------------------------------------


def test_work_is_the_expected_number_of_macs() -> None:
    assert block_work((1 << 256) - 1) == 1
    assert block_work((1 << 255) - 1) == 2
    assert block_work(1) == 1 << 255
    assert block_work(TEST.max_target) >= TEST.cube_macs * 16


def test_a_harder_block_weighs_more() -> None:
    works = [block_work(target) for target in (1 << 10, 1 << 100, 1 << 200, TEST.max_target)]
    assert works == sorted(works, reverse=True)
    assert bytes(32) == NO_JOB
