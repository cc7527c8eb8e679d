"""Acts around jobs: products to be bought, work done well or badly, judges, and proofs of fraud."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chain.codec import pack
from chain.hashing import BulkTag, Tag, b3, b3_keyed, h256
from chain.tensors import DType, TensorInfo, row_path, row_root
from chain.types import NO_ADDRESS
from tests.acts_base import EVERYBODY, U63_MAX, ZERO, Act, person, spread
from tests.acts_money import MoneyActs
from tests.model.state import CLAIMED, COMMITTED, LATE, OPEN, SETTLED, Item
from tests.twins import PEOPLE

JOBS = (
    *("open", "misopen", "misopen", "cancel", "cancel", "claim", "claim"),
    *("commit", "commit", "attest", "challenge"),
)
NONE, OK, UNAVAILABLE, WRONG = range(4)
COMMIT, REVEAL = 1, 2
NO_SLOT = 8
LARGEST = [[[65_536, 16_384, 1], [1_024, 16_384, 1]], [[1, [0, 1]]]]
ENOUGH_JOBS = 4
"""At one time; with more of them none would get far."""


@dataclass(frozen=True)
class Product:
    """Matrices of a job; `a` int8[m, k], `b_t` int8[n, k]."""

    a: np.ndarray[Any, Any]
    b_t: np.ndarray[Any, Any]

    @cached_property
    def infos(self) -> list[TensorInfo]:
        """Of A, B transposed and the result."""
        (m, k), n = self.a.shape, self.b_t.shape[0]
        return [TensorInfo(m, k, DType.INT8), TensorInfo(n, k, DType.INT8), TensorInfo(m, n, DType.INT32)]

    @cached_property
    def program(self) -> list[Any]:
        return [[[info.rows, info.columns, int(info.dtype)] for info in self.infos[:2]], [[1, [0, 1]]]]

    @cached_property
    def roots(self) -> list[bytes]:
        matrices = zip(self.infos, (self.a, self.b_t), strict=False)
        return [row_root(info, matrix.tobytes()) for info, matrix in matrices]

    def result(self, wrong: int = 0) -> bytes:
        """The product; `wrong` is added to its first element."""
        exact = self.a.astype(np.int32) @ self.b_t.astype(np.int32).T
        exact[0, 0] += wrong
        return exact.astype("<i4").tobytes()


def _random(m: int, n: int, k: int) -> Product:
    source = np.random.default_rng(m)
    return Product(
        source.integers(-63, 64, (m, k), dtype=np.int8), source.integers(-63, 64, (n, k), dtype=np.int8)
    )


GOOD, ONE_ROW, MALFORMED = _random(5, 3, 4), _random(1, 2, 3), _random(2, 2, 2)
MALFORMED.a[1, 0] = -64
PRODUCTS = (GOOD, GOOD, ONE_ROW, MALFORMED)
SHORT_LEAF = b"short"
"""What a cheat hashes in place of the only row of a result."""


class JobActs(MoneyActs):
    """Where there is nothing to do for a job, somebody pays somebody."""

    MAKERS = ("open", "misopen", "cancel", "claim", "commit", "attest", "challenge", "push")

    def open(self, act: Act) -> bytes:
        """A request for work, unless there is enough of it already."""
        live = [job for job in self.twins.model.state.jobs.values() if job["status"] < SETTLED]
        return self.opened(act) if len(live) < ENOUGH_JOBS else self.push(act)

    def opened(self, act: Act) -> bytes:
        signer, rules = PEOPLE[act.who % len(PEOPLE)], self.twins.ledger.spec.jobs
        product = PRODUCTS[act.job % len(PRODUCTS)]
        offer = (1, 10**13, 10**15, 10**16)[act.amount % 4]
        deadline = rules.deadline_minimum_blocks + act.amount % 3
        named = PEOPLE[act.amount % len(PEOPLE)].address
        chosen = NO_ADDRESS if act.choice % 3 or named == signer.address else named
        body = [product.program, product.roots, offer, U63_MAX, deadline, chosen, ZERO, NO_SLOT]
        return self.signed(signer, "job.open", body, act.choice)

    def misopen(self, act: Act) -> bytes:
        """One of the ways in which a request for work is refused."""
        signer = PEOPLE[act.who % len(PEOPLE)]
        (left, right), (step,) = GOOD.program
        program, roots, offer, most, deadline, chosen = (
            GOOD.program,
            GOOD.roots,
            10**13,
            U63_MAX,
            5,
            NO_ADDRESS,
        )
        variants: list[list[Any]] = [
            [[[left, right], [step, step]], roots, offer, most, deadline, chosen, ZERO, NO_SLOT],
            [[[left, right], [[1, [1, 0]]]], roots, offer, most, deadline, chosen, ZERO, NO_SLOT],
            [[[left, right, right], [step]], roots, offer, most, deadline, chosen, ZERO, NO_SLOT],
            [[[left, [3, 4, 2]], [step]], roots, offer, most, deadline, chosen, ZERO, NO_SLOT],
            [[[left, [3, 5, 1]], [step]], roots, offer, most, deadline, chosen, ZERO, NO_SLOT],
            [[[[65_537, 4, 1], right], [step]], roots, offer, most, deadline, chosen, ZERO, NO_SLOT],
            [[[[8_192, 1, 1], [8_193, 1, 1]], [step]], roots, offer, most, deadline, chosen, ZERO, NO_SLOT],
            [program, roots[:1], offer, most, deadline, chosen, ZERO, NO_SLOT],
            [program, roots, offer, most, 1, chosen, ZERO, NO_SLOT],
            [program, roots, offer, most, 10, chosen, ZERO, NO_SLOT],
            [program, roots, offer, most, deadline, signer.address, ZERO, NO_SLOT],
            [program, roots, offer, act.amount % 10_000, deadline, chosen, ZERO, NO_SLOT],
            [program, roots, U63_MAX, most, deadline, chosen, ZERO, NO_SLOT],
            [LARGEST, roots, U63_MAX, most, deadline, chosen, ZERO, NO_SLOT],
            [program, roots, 0, most, deadline, chosen, ZERO, NO_SLOT],
        ]
        return self.signed(signer, "job.open", variants[spread(act, len(variants))])

    def find(self, act: Act, live: bool = False) -> tuple[bytes, Item] | None:
        """One of the latest jobs, or of those that have not ended."""
        jobs = [
            (job_id, job)
            for job_id, job in self.twins.model.state.jobs.items()
            if not live or job["status"] < SETTLED
        ]
        return jobs[-4:][act.job % len(jobs[-4:])] if jobs else None

    def target(self, act: Act) -> bytes:
        """The id of a job, or of none."""
        found = self.find(act)
        return found[0] if found and act.choice % 8 else h256(Tag.JOB_ID, b"nothing")

    def cancel(self, act: Act) -> bytes:
        job_id = self.still_open(act)
        jobs = self.twins.model.state.jobs
        owner = jobs[job_id]["payer"] if job_id in jobs and act.choice % 4 else EVERYBODY[act.who].address
        return self.signed(person(owner), "job.cancel", [job_id])

    def claim(self, act: Act) -> bytes:
        bid = (1, 10**12, 10**13, 10**17)[spread(act, 4)]
        return self.signed(PEOPLE[act.who % 7], "job.claim", [self.still_open(act), bid])

    def still_open(self, act: Act) -> bytes:
        """An open job if there is one."""
        found = [job_id for job_id, job in self.twins.model.state.jobs.items() if job["status"] == OPEN]
        return found[act.job % len(found)] if found and act.choice % 6 else self.target(act)

    def commit(self, act: Act) -> bytes:
        """The wrong one, of the wrong job, by the wrong one, or too late."""
        found = self.find(act)
        late = [job_id for job_id, job in self.twins.model.state.jobs.items() if job["status"] == LATE]
        if act.choice < 4 and late:
            return self.signed(PEOPLE[act.who % 8], "job.commit", commitment(GOOD, late[-1], NO_ADDRESS, 0))
        who = found[1]["provider"] if found and act.choice % 3 else EVERYBODY[act.who].address
        signer = person(who) if who != NO_ADDRESS else PEOPLE[0]
        job_id = self.target(act)
        owner = EVERYBODY[act.amount % len(EVERYBODY)].address if act.amount % 5 == 0 else signer.address
        body = commitment(GOOD, job_id, owner, act.amount % 3)
        if act.amount % 7 == 0:
            body[3] = [ZERO]
        return self.signed(signer, "job.commit", body)

    def attest(self, act: Act) -> bytes:
        """Mostly out of turn; now and then a member with the right form at the right time."""
        found = self.find(act, live=True)
        if found is None or not found[1]["seats"]:
            return self.signed(PEOPLE[act.who % 8], "job.attest", first_word(self.target(act), NO_ADDRESS))
        job_id, job = found
        member = person(job["seats"][act.who % len(job["seats"])]["member"])
        body = self.word(job_id, job, member.address, REVEAL if act.amount % 2 else COMMIT)
        spoilt = {0: (3, ZERO), 1: (4, WRONG), 2: (5, b"\1" * 32), 3: (6, b"\2" * 32), 4: (3, b"\3" * 32)}
        if act.choice in spoilt:
            place, value = spoilt[act.choice]
            body[place] = value
        signer = PEOPLE[act.who % 8] if act.choice == 5 else member
        return self.signed(signer, "job.attest", body, tip=int(act.choice == 6))

    def word(self, job_id: bytes, job: Item, member: bytes, phase: int) -> list[Any]:
        """What a member says, always the same about one job: it is drawn from both names."""
        said = self.opinion(job_id, job, member)
        if phase == COMMIT:
            return first_word(job_id, member, *said)
        return [job_id, 1, REVEAL, ZERO, said[0], said[1], said[2], 0]

    def opinion(self, job_id: bytes, job: Item, member: bytes) -> tuple[int, bytes, bytes]:
        """(verdict, salt, evidence root)."""
        salt = h256(Tag.AUDIT_SALT, job_id + member)
        cheated = commitment_kind(job_id, job)
        if cheated and salt[0] % 3:
            return WRONG, salt, h256(Tag.FRAUD_PROOF, pack(self.proof(job_id, job, cheated)))
        return (OK, OK, OK, OK, OK, UNAVAILABLE)[salt[0] % 6], salt, ZERO

    def challenge(self, act: Act) -> bytes:
        found = self.find(act, live=bool(act.choice % 4))
        signer = PEOPLE[act.who % 6]
        if found is None:
            found = h256(Tag.JOB_ID, b"nothing"), NOWHERE
        job_id, job = found
        proof = self.proof(job_id, job, commitment_kind(job_id, job) or 1)
        self._vary(proof, act.choice)
        return self.signed(signer, "challenge.prove", [proof])

    def _vary(self, proof: list[Any], choice: int) -> None:
        """Break a proof, or leave it."""
        openings = proof[8]
        if choice == 1:
            proof[4] = h256(Tag.FRAUD_PROOF, b"another result")
        elif choice == 2:
            proof[8] = openings[:2] or openings
            proof[7] = 1
        elif choice == 3:
            openings[0][2] = [*openings[0][2], ZERO]
        elif choice == 4:
            openings[-1][1] += b"\0"
        elif choice == 5 and len(openings) == 3:
            openings[0][0] += 1
        elif choice == 6:
            proof[5:8] = [2, 1, 0]
            proof[8] = openings[1:2] or openings
        elif choice == 7:
            proof[6] = 3

    def proof(self, job_id: bytes, job: Item, cheated: int) -> list[Any]:
        """What somebody who holds the tensors of a job can write about element (0, 0), or about a malformed row."""
        product = next((p for p in PRODUCTS if p.roots == job["input_roots"]), GOOD)
        head = [job_id, job["program"], job["input_roots"], job["provider"], job["result_root"]]
        secret = h256(Tag.TRACE_KEY, pack([job_id, job["provider"]]))
        if product is MALFORMED:
            return [*head, 2, 0, 0, [opening(product.infos[0], product.a.tobytes(), 1)]]
        if cheated == 2 and product is ONE_ROW:
            return [*head, 2, 2, 0, [[0, SHORT_LEAF, []]]]
        wrong = int(commitment_kind(job_id, job) > 0)
        return [
            *head,
            1,
            2,
            0,
            [
                opening(product.infos[0], product.a.tobytes(), 0),
                opening(product.infos[1], product.b_t.tobytes(), 0),
                opening(product.infos[2], product.result(wrong), 0, secret),
            ],
        ]

    def push(self, act: Act) -> bytes:
        """What moves a job on, from somebody who may do it; mostly one that is being judged, for that has an end."""
        jobs = self.twins.model.state.jobs
        judged = [job_id for job_id in jobs if self.silent(jobs[job_id])]
        chosen = judged[act.job % len(judged)] if judged and act.choice % 4 else None
        found = (chosen, jobs[chosen]) if chosen else self.find(act, live=True)
        if found is None:
            return self.opened(act)
        job_id, job = found
        if 2 <= act.choice <= 5 and job["status"] in (OPEN, CLAIMED):
            return self.transfer(act)
        if job["status"] == OPEN:
            taker = next(p for p in PEOPLE[act.who % 6 :] + PEOPLE if p.address != job["payer"])
            named = job["chosen_provider"]
            signer = taker if named == NO_ADDRESS else person(named)
            return self.signed(signer, "job.claim", [job_id, 1 + act.amount % job["offer"]])
        product = next(p for p in PRODUCTS if p.roots == job["input_roots"])
        if job["status"] == CLAIMED:
            body = commitment(product, job_id, job["provider"], max(0, act.choice - 9))
            return self.signed(person(job["provider"]), "job.commit", body)
        return self._judged(job_id, job, act)

    def silent(self, job: Item) -> list[bytes]:
        """Members that have not yet said what they can say now."""
        rules, age = self.twins.ledger.spec.jobs, self.twins.model.height - job["committed"]
        if job["status"] != COMMITTED or age >= rules.reveal_end_offset:
            return []
        if age < rules.reveal_offset:
            return [seat["member"] for seat in job["seats"] if seat["commitment"] == ZERO]
        return [s["member"] for s in job["seats"] if s["commitment"] != ZERO and not s["verdict"]]

    def _judged(self, job_id: bytes, job: Item, act: Act) -> bytes:
        rules, age = self.twins.ledger.spec.jobs, self.twins.model.height - job["committed"]
        phase = REVEAL if age >= rules.reveal_offset else COMMIT
        silent = self.silent(job)
        if silent:
            member = silent[act.who % len(silent)]
            return self.signed(person(member), "job.attest", self.word(job_id, job, member, phase))
        cheated = commitment_kind(job_id, job)
        if age >= rules.reveal_offset and cheated:
            proof = self.proof(job_id, job, cheated)
            return self.signed(PEOPLE[act.who % 6], "challenge.prove", [proof])
        return self.transfer(act)


# -- parts ------------------------------------------------------------------------------------------------------------


NOWHERE: Item = {
    "program": GOOD.program,
    "input_roots": GOOD.roots,
    "provider": NO_ADDRESS,
    "result_root": ZERO,
    "status": OPEN,
}
"""Facts of a job that does not exist."""


def commitment(product: Product, job_id: bytes, owner: bytes, cheat: int) -> list[Any]:
    """The body of a commit: 0 honest, 1 a wrong element, 2 a row of the wrong length where there is one row."""
    secret = h256(Tag.TRACE_KEY, pack([job_id, owner]))
    output = product.infos[2]
    root = result_root(product, secret, cheat)
    record = pack([0, 1, [output.rows, output.columns, int(output.dtype)], root])
    leaf = h256(Tag.TRACE_LEAF, secret + record)
    return [job_id, h256(Tag.LIST_ROOT, (1).to_bytes(8, "big") + leaf), root, []]


def result_root(product: Product, secret: bytes, cheat: int) -> bytes:
    output = product.infos[2]
    if cheat == 2 and product is ONE_ROW:
        leaf = b3_keyed(b3(BulkTag.TENSOR_LEAF, secret), SHORT_LEAF)
        head = output.rows.to_bytes(8, "big") + output.columns.to_bytes(8, "big") + bytes([output.dtype])
        return b3_keyed(b3(BulkTag.TENSOR_ROOT, secret), head + leaf)
    return row_root(output, product.result(int(cheat > 0)), secret)


def commitment_kind(job_id: bytes, job: Item) -> int:
    """How a committed result was falsified; 0 for an honest one, or none yet."""
    product = next((p for p in PRODUCTS if p.roots == job["input_roots"]), GOOD)
    if job["status"] != COMMITTED:
        return 0
    if product is MALFORMED:
        return 1
    secret = h256(Tag.TRACE_KEY, pack([job_id, job["provider"]]))
    return next((c for c in (1, 2) if result_root(product, secret, c) == job["result_root"]), 0)


def first_word(
    job_id: bytes, member: bytes, verdict: int = OK, salt: bytes = ZERO, evidence: bytes = ZERO
) -> list[Any]:
    """The commitment to a verdict."""
    digest = h256(Tag.ATTEST, pack([job_id, member, verdict, salt, evidence]))
    return [job_id, 1, COMMIT, digest, NONE, ZERO, ZERO, 0]


def opening(info: TensorInfo, data: bytes, row: int, secret: bytes | None = None) -> list[Any]:
    leaf = data[row * info.row_bytes : (row + 1) * info.row_bytes]
    return [row, leaf, list(row_path(info, data, row, secret))]
