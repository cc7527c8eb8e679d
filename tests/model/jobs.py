"""What transactions and the agenda do to jobs.  Spec: docs/spec/jobs.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chain.hashing import Tag, h256
from tests.model import permits, providers
from tests.model.forms import in_range, pack, require
from tests.model.fraud import INT32, judge, shape_of
from tests.model.state import (
    CANCELLED,
    CLAIMED,
    COMMITTED,
    EXPIRED,
    JOB_DRAW,
    JOB_EXPIRES,
    JOB_LATE,
    JOB_SETTLES,
    LATE,
    OPEN,
    SETTLED,
    SLASHED,
    VOID,
    Item,
    escrow_of,
)

if TYPE_CHECKING:
    from tests.model.ledger import Model

ZERO, NOBODY = bytes(32), bytes(20)
NONE, OK, UNAVAILABLE, WRONG = range(4)
COMMIT, REVEAL = 1, 2


def find(model: Model, job_id: bytes) -> Item:
    require(job_id in model.state.jobs, "NOT_FOUND")
    return model.state.jobs[job_id]


def trace_key(job_id: bytes, provider: bytes) -> bytes:
    return h256(Tag.TRACE_KEY, pack([job_id, provider]))


# -- transactions ---------------------------------------------------------------------------------------------------


def open_job(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    program, roots, offer, most, deadline, chosen, permit, _ = body
    rules = model.spec.jobs
    m, n, k = shape_of(program)
    require(len(roots) == 2, "PROGRAM_INPUTS")
    require(rules.deadline_minimum_blocks <= deadline <= rules.deadline_maximum_blocks, "DEADLINE")
    require(chosen != sender, "SELF")
    price = price_of(m * n * k, offer)
    protocol = price * rules.protocol_fee_bp // 10_000
    each = up(((m * k + k * n + m * n) * rules.audit_price_millis), 1000) + 2 * rules.attest_allowance_grains
    audit = in_range(rules.committee_size * each)
    require(in_range(price + protocol + audit) <= most, "ESCROW")
    bond = max((price + protocol + audit) // 4, rules.bond_floor_grains)
    permits.check_order(model, sender, body, bond)
    model.debit(sender, price + protocol + audit)
    job_id = h256(Tag.JOB_ID, pack(origin))
    model.state.jobs[job_id] = {
        "payer": sender,
        "program": program,
        "input_roots": roots,
        "offer": offer,
        "deadline_blocks": deadline,
        "chosen_provider": chosen,
        "permit": permit,
        "status": OPEN,
        "macs": m * n * k,
        "opened": model.height,
        "escrow_price": price,
        "escrow_protocol": protocol,
        "escrow_audit": audit,
        "provider": NOBODY,
        "bid": 0,
        "bond": 0,
        "claimed": 0,
        "weights_epoch": 0,
        "trace_root": ZERO,
        "result_root": ZERO,
        "committed": 0,
        "round": 0,
        "escalated": 0,
        "beacon": ZERO,
        "seats": [],
        "attest_fees": 0,
        "bound_blocks": 0,
        "closed": 0,
    }
    model.schedule(model.height + rules.open_expiry_blocks, JOB_EXPIRES, job_id)


def cancel(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    job = find(model, body[0])
    require(job["payer"] == sender, "NOT_OWNER")
    require(job["status"] == OPEN, "BAD_STATE")
    require(model.height >= job["opened"] + model.spec.jobs.minimum_open_blocks, "BAD_STATE")
    give_back(model, job, CANCELLED)


def claim(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    job_id, bid = body
    job, rules = find(model, job_id), model.spec.jobs
    require(job["status"] == OPEN, "BAD_STATE")
    require(job["payer"] != sender, "SELF")
    require(job["chosen_provider"] in (NOBODY, sender), "NOT_CHOSEN")
    require(bid <= job["offer"], "BID")
    bond = max(escrow_of(job) // 4, rules.bond_floor_grains)
    if job["permit"] != ZERO:
        permits.check_run(model, job["permit"], sender, bond)
    epoch = model.height // model.spec.pace.epoch_blocks
    require(len(judges(model, epoch, job["payer"], sender)) >= rules.committee_size, "NO_COMMITTEE")
    late_height = model.height + job["deadline_blocks"] + 1
    model.require_room(late_height)
    model.debit(sender, bond)
    job |= {"status": CLAIMED, "provider": sender, "bid": bid, "bond": bond}
    job |= {"claimed": model.height, "weights_epoch": epoch}
    model.schedule(late_height, JOB_LATE, job_id)
    permits.use(model, job["permit"])
    providers.recount(model, sender)


def commit(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    job_id, trace_root, result_root, path = body
    job, rules = find(model, job_id), model.spec.jobs
    require(job["status"] != LATE, "LATE")
    require(job["status"] == CLAIMED, "BAD_STATE")
    require(job["provider"] == sender, "NOT_OWNER")
    m, n, _ = shape_of(job["program"])
    last = pack([0, 1, [m, n, INT32], result_root])
    leaf = h256(Tag.TRACE_LEAF, trace_key(job_id, sender) + last)
    require(path == [] and trace_root == h256(Tag.LIST_ROOT, (1).to_bytes(8, "big") + leaf), "PATH")
    job |= {"status": COMMITTED, "trace_root": trace_root, "result_root": result_root}
    job["committed"] = model.height
    model.schedule(model.height + rules.draw_offset, JOB_DRAW, job_id)
    model.schedule(model.height + rules.settle_offset, JOB_SETTLES, job_id)


def check_attest(model: Model, sender: bytes, body: Any) -> None:
    """Whether an attestation may be in the block at all [JOB-AUDIT-1]."""
    job_id, _, phase, commitment, verdict, salt, evidence, _ = body
    job, rules = find(model, job_id), model.spec.jobs
    require(job["status"] == COMMITTED, "BAD_STATE")
    seat = seat_of(job, sender)
    require(seat is not None, "CONFLICT")
    assert seat is not None
    windows = {
        COMMIT: range(rules.draw_offset, rules.reveal_offset),
        REVEAL: range(rules.reveal_offset, rules.reveal_end_offset),
    }
    require(model.height - job["committed"] in windows[phase], "WINDOW")
    if phase == COMMIT:
        require((verdict, salt, evidence) == (NONE, ZERO, ZERO), "FORM")
        require(seat["commitment"] == ZERO and commitment != ZERO, "BAD_STATE")
    else:
        require(commitment == ZERO and verdict != NONE and seat["verdict"] == NONE, "FORM")
        opened = h256(Tag.ATTEST, pack([job_id, sender, verdict, salt, evidence]))
        require(opened == seat["commitment"], "MISMATCH")


def burn_attest_fee(model: Model, job_id: bytes, fee: int) -> int:
    """Burn the fee out of the audit escrow, as far as its allowance goes; returns how much."""
    job = model.state.jobs[job_id]
    allowance = 2 * model.spec.jobs.attest_allowance_grains * len(job["seats"])
    paid = min(fee, allowance - job["attest_fees"])
    job["attest_fees"] += paid
    model.state.burned += paid
    return paid


def attest(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    job_id, _, phase, commitment, verdict, _, evidence, _ = body
    seat = seat_of(model.state.jobs[job_id], sender)
    assert seat is not None
    if phase == COMMIT:
        seat["commitment"] = commitment
    else:
        seat |= {"verdict": verdict, "evidence_root": evidence}


def prove(model: Model, sender: bytes, origin: list[Any], body: Any) -> None:
    (proof,) = body
    job_id, program, roots, provider, result_root = proof[:5]
    job = find(model, job_id)
    require(job["status"] == COMMITTED, "BAD_STATE")
    facts = [job["program"], job["input_roots"], job["provider"], job["result_root"]]
    require([program, roots, provider, result_root] == facts, "CHALLENGE_FACTS")
    judge(proof, trace_key(job_id, provider))
    digest = h256(Tag.FRAUD_PROOF, pack(proof))
    known = [s["member"] for s in job["seats"] if s["verdict"] == WRONG and s["evidence_root"] == digest]
    provers, bond = known or [sender], job["bond"]
    part = bond // 4 // len(provers)
    for prover in provers:
        model.credit(prover, part)
    model.credit(job["payer"], escrow_of(job) - job["attest_fees"] + bond // 4)
    model.state.burned += bond - part * len(provers) - bond // 4
    close(model, job, SLASHED)


# -- automatic steps ----------------------------------------------------------------------------------------------


def expire(model: Model, job_id: bytes) -> None:
    if model.state.jobs[job_id]["status"] == OPEN:
        give_back(model, model.state.jobs[job_id], EXPIRED)


def lapse(model: Model, job_id: bytes) -> None:
    if model.state.jobs[job_id]["status"] == CLAIMED:
        give_back(model, model.state.jobs[job_id], LATE)


def draw(model: Model, job_id: bytes) -> None:
    job, rules = model.state.jobs[job_id], model.spec.jobs
    if job["status"] != COMMITTED:
        return
    known = dict(model.state.tickets)
    beacon_blocks = range(rules.beacon_first_block, rules.beacon_last_block + 1)
    tickets = [known[job["committed"] + offset] for offset in beacon_blocks]
    beacon = h256(Tag.BEACON, pack([job_id, tickets]))
    urn = judges(model, job["weights_epoch"], job["payer"], job["provider"])
    members: list[bytes] = []
    while urn and len(members) < rules.committee_size:
        digest = h256(Tag.DRAW, pack([beacon, len(members)]))
        point = int.from_bytes(digest, "big") % sum(stake for _, stake in urn)
        ends = [sum(stake for _, stake in urn[: index + 1]) for index in range(len(urn))]
        hit = next(index for index, end in enumerate(ends) if point < end)
        members.append(urn.pop(hit)[0])
    seats = [
        {"member": m, "commitment": ZERO, "verdict": NONE, "evidence_root": ZERO, "deposit": 0}
        for m in members
    ]
    job |= {"beacon": beacon, "seats": seats, "round": 1}


def settle(model: Model, job_id: bytes) -> None:
    job, rules, state = model.state.jobs[job_id], model.spec.jobs, model.state
    if job["status"] != COMMITTED:
        return
    approving = [seat["member"] for seat in job["seats"] if seat["verdict"] == OK]
    if len(approving) < rules.quorum:
        give_back(model, job, VOID)
        return
    paid = price_of(job["macs"], job["bid"])
    fee = min(paid * rules.protocol_fee_bp // 10_000, job["escrow_protocol"])
    treasury, stakers = fee * rules.treasury_bp // 10_000, fee * rules.stakers_bp // 10_000
    burn = fee - treasury - stakers
    bonus = burn * rules.bonus_bp // 10_000 if job["bound_blocks"] else 0
    share = (job["escrow_audit"] - job["attest_fees"]) // rules.committee_size
    left = escrow_of(job) - job["attest_fees"] - paid - fee - share * len(approving)
    model.credit(job["provider"], job["bond"] + paid + bonus)
    for member in approving:
        model.credit(member, share)
    model.credit(job["payer"], left)
    state.treasury += treasury
    state.staker_pool += stakers
    state.burned += burn - bonus
    state.settled_macs += job["macs"]
    close(model, job, SETTLED)


AGENDA_STEPS = {JOB_EXPIRES: expire, JOB_LATE: lapse, JOB_DRAW: draw, JOB_SETTLES: settle}
EFFECTS = {
    "job.open": open_job,
    "job.cancel": cancel,
    "job.claim": claim,
    "job.commit": commit,
    "job.attest": attest,
    "challenge.prove": prove,
}


# -- parts --------------------------------------------------------------------------------------------------------


def give_back(model: Model, job: Item, status: int) -> None:
    """The end of a job without a result [JOB-MONEY-4]."""
    rules, bond = model.spec.jobs, job["bond"]
    penalty = 0
    if status in (LATE, VOID):
        penalty = min(bond, max(escrow_of(job) // 10, rules.penalty_floor_grains))
    model.credit(job["payer"], escrow_of(job) - job["attest_fees"] + penalty // 2)
    model.credit(job["provider"], bond - penalty)
    model.state.burned += penalty - penalty // 2
    close(model, job, status)


def close(model: Model, job: Item, status: int) -> None:
    assert job["status"] < SETTLED, "a job ends once"
    job |= {"status": status, "closed": model.height}
    if job["provider"] != NOBODY:
        providers.recount(model, job["provider"])
    if status == SETTLED:
        providers.settled(model, job["provider"], job["macs"])


def judges(model: Model, epoch: int, payer: bytes, provider: bytes) -> list[tuple[bytes, int]]:
    """Who may judge, with stakes, in the snapshot of an epoch."""
    weights = model.state.weights[epoch]
    return [(who, stake) for who, stake in weights if stake and who not in (payer, provider)]


def seat_of(job: Item, member: bytes) -> Item | None:
    return next((seat for seat in job["seats"] if seat["member"] == member), None)


def price_of(macs: int, per_gmac: int) -> int:
    """Raises: Refused RANGE."""
    return in_range(max(1, up(macs * per_gmac, 10**9)))


def up(numerator: int, denominator: int) -> int:
    """Division rounded up."""
    return (numerator + denominator - 1) // denominator
