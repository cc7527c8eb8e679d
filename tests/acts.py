"""What random people try on a chain: any kind of transaction, right or wrong, as bytes.

An act is drawn blindly, as three numbers; what it becomes depends on the state, so that random sequences get far into
the life of a job and also try what is not allowed there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import msgpack
import numpy as np

from chain.codec import pack
from chain.hashing import BulkTag, Tag, b3, b3_keyed, h256
from chain.keys import SigningKey
from chain.tensors import DType, TensorInfo, row_path, row_root
from chain.types import NO_ADDRESS
from tests.model.state import CLAIMED, COMMITTED, LATE, OPEN, SETTLED, Item
from tests.twins import PEOPLE, STRANGERS, Twins

ZERO = bytes(32)
U63_MAX = (1 << 63) - 1
TILE = 10**9
NONE, OK, UNAVAILABLE, WRONG = range(4)
COMMIT, REVEAL = 1, 2
EVERYBODY = (*PEOPLE, *STRANGERS)
ENOUGH_JOBS = 4
"""At one time; with more of them none would get far."""


@dataclass(frozen=True)
class Act:
    """One attempt: what, by whom, about which job; `choice` and `amount` fill in the rest."""

    what: str
    who: int
    job: int
    choice: int
    amount: int


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


class Acts:
    """Turns acts into signed bytes for one pair of ledgers."""

    def __init__(self, twins: Twins) -> None:
        self.twins = twins
        self.makers: dict[str, Callable[[Act], bytes]] = {
            "transfer": self.transfer,
            "batch": self.batch,
            "register": self.register,
            "undelegate": self.undelegate,
            "delegate": self.delegate,
            "collect": self.collect,
            "open": self.open,
            "misopen": self.misopen,
            "cancel": self.cancel,
            "claim": self.claim,
            "commit": self.commit,
            "attest": self.attest,
            "challenge": self.challenge,
            "push": self.push,
            "spoil": self.spoil,
            "again": self.again,
        }

    def __call__(self, act: Act) -> str:
        """Try it; returns the code."""
        self.twins.begin()
        return self.twins.add(self.makers[act.what](act))

    # -- signing ------------------------------------------------------------------------------------------------------

    def envelope(self, signer: SigningKey, kind: str, body: Any, tip: int = 0) -> list[Any]:
        model = self.twins.model
        nonce = model.account(signer.address)["nonce"]
        chain_id, until = self.twins.ledger.spec.chain_id, model.height + 2
        return [1, chain_id, kind, signer.address, nonce, 10 * TILE, tip, until, pack(body)]

    def signed(self, signer: SigningKey, kind: str, body: Any, tip: int = 0) -> bytes:
        return seal(signer, self.envelope(signer, kind, body, tip))

    # -- money --------------------------------------------------------------------------------------------------------

    def transfer(self, act: Act) -> bytes:
        signer, to = EVERYBODY[act.who], EVERYBODY[(act.who + act.choice) % len(EVERYBODY)].address
        tip = act.choice * 7
        if act.choice > 8:
            nobody = h256(Tag.ADDRESS, bytes([act.amount % 256]))[:20]
            amount = self.twins.ledger.spec.money.dust_grains - 1 + act.job % 2
            return self.signed(signer, "transfer", [nobody, amount, b""], tip)
        if act.choice:
            return self.signed(signer, "transfer", [to, act.amount, b"memo"], tip)
        return self.everything(signer, to, act.job % 3 - 1)

    def everything(self, signer: SigningKey, to: bytes, more: int) -> bytes:
        """What is left after the fee, and `more` than that."""
        model, amount = self.twins.model, self.twins.model.account(signer.address)["balance"]
        data = b""
        for _ in range(3):  # the amount changes the size, the size the fee
            data = self.signed(signer, "transfer", [to, max(0, amount), b""])
            burned = model.state.base_fee + self.twins.ledger.spec.money.byte_fee_grains * len(data)
            amount = model.account(signer.address)["balance"] - burned + more
        return data

    def register(self, act: Act) -> bytes:
        minimum = self.twins.ledger.spec.money.minimum_stake_grains
        stake = (0, 1, minimum - 1, minimum, 2 * minimum, U63_MAX)[act.choice % 6]
        return self.signed(EVERYBODY[act.who], "stake.register", [stake], act.choice)

    def undelegate(self, act: Act) -> bytes:
        """A part, all, or more than there is of what somebody staked."""
        staker = EVERYBODY[act.who]
        operator = PEOPLE[act.job].address if act.choice % 4 == 0 else staker.address
        state = self.twins.model.state
        own = state.validators.get(operator, {"stake": 0})["stake"]
        mine = [place for place in state.delegations if place[1] == staker.address]
        if mine and act.choice % 2:
            operator = mine[act.job % len(mine)][0]
            own = state.delegations[operator, staker.address]["shares"]
        minimum = self.twins.ledger.spec.money.minimum_stake_grains
        shares = (1, own // 9, 0, own // 5, own + 1, own - minimum + 1, own, U63_MAX)[act.amount % 8]
        return self.signed(staker, "stake.undelegate", [operator, max(0, shares)], act.choice)

    def delegate(self, act: Act) -> bytes:
        """Somebody's trust in somebody, within the cap or beyond it."""
        amounts = (TILE, 3 * TILE + 1, 999, 0, 8_000 * TILE, 1_000, 40_000 * TILE, U63_MAX)
        operator = EVERYBODY[act.choice % 6].address
        return self.signed(
            EVERYBODY[act.who], "stake.delegate", [operator, amounts[act.amount % 8]], act.choice
        )

    def collect(self, act: Act) -> bytes:
        """What stake has earned, if there is such a thing."""
        state = self.twins.model.state
        due = [(operator, operator) for operator, pool in state.pools.items() if pool["operator"]]
        due += [place for place in state.delegations if state.pools[place[0]]["owed"]]
        if due and act.choice % 4:
            operator, staker = due[act.amount % len(due)]
            return self.signed(_person(staker), "stake.claim", [operator])
        return self.signed(EVERYBODY[act.who], "stake.claim", [PEOPLE[act.job].address])

    def batch(self, act: Act) -> bytes:
        """Some of the other acts, in the name of whoever does the first."""
        whats = ("transfer", "register", "open", "push", "claim", "push", "cancel", "transfer", "commit")
        parts = []
        for place in range(1 + act.choice % 4):
            part = replace(
                act, what=whats[(act.choice + place + act.amount) % len(whats)], amount=act.amount + place
            )
            parts.append(msgpack.unpackb(self.makers[part.what](part)))
        operations = [[part[2], msgpack.unpackb(part[8])] for part in parts]
        if act.choice == 0:
            operations.append(["batch", [[]]])
        return self.signed(_person(parts[0][3]), "batch", [operations], act.choice)

    # -- jobs ---------------------------------------------------------------------------------------------------------

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
        body = [product.program, product.roots, offer, U63_MAX, deadline, chosen]
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
            [[[left, right], [step, step]], roots, offer, most, deadline, chosen],
            [[[left, right], [[1, [1, 0]]]], roots, offer, most, deadline, chosen],
            [[[left, right, right], [step]], roots, offer, most, deadline, chosen],
            [[[left, [3, 4, 2]], [step]], roots, offer, most, deadline, chosen],
            [[[left, [3, 5, 1]], [step]], roots, offer, most, deadline, chosen],
            [[[[65_537, 4, 1], right], [step]], roots, offer, most, deadline, chosen],
            [[[[8_192, 1, 1], [8_193, 1, 1]], [step]], roots, offer, most, deadline, chosen],
            [program, roots[:1], offer, most, deadline, chosen],
            [program, roots, offer, most, 1, chosen],
            [program, roots, offer, most, 10, chosen],
            [program, roots, offer, most, deadline, signer.address],
            [program, roots, offer, act.amount % 10_000, deadline, chosen],
            [program, roots, U63_MAX, most, deadline, chosen],
            [[[[65_536, 16_384, 1], [1_024, 16_384, 1]], [step]], roots, U63_MAX, most, deadline, chosen],
            [program, roots, 0, most, deadline, chosen],
        ]
        return self.signed(signer, "job.open", variants[_spread(act, len(variants))])

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
        return self.signed(_person(owner), "job.cancel", [job_id])

    def claim(self, act: Act) -> bytes:
        bid = (1, 10**12, 10**13, 10**17)[_spread(act, 4)]
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
        signer = _person(who) if who != NO_ADDRESS else PEOPLE[0]
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
        member = _person(job["seats"][act.who % len(job["seats"])]["member"])
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

    # -- what moves on ------------------------------------------------------------------------------------------------

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
            signer = taker if named == NO_ADDRESS else _person(named)
            return self.signed(signer, "job.claim", [job_id, 1 + act.amount % job["offer"]])
        product = next(p for p in PRODUCTS if p.roots == job["input_roots"])
        if job["status"] == CLAIMED:
            body = commitment(product, job_id, job["provider"], max(0, act.choice - 9))
            return self.signed(_person(job["provider"]), "job.commit", body)
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
            return self.signed(_person(member), "job.attest", self.word(job_id, job, member, phase))
        cheated = commitment_kind(job_id, job)
        if age >= rules.reveal_offset and cheated:
            proof = self.proof(job_id, job, cheated)
            return self.signed(PEOPLE[act.who % 6], "challenge.prove", [proof])
        return self.transfer(act)

    # -- broken envelopes ------------------------------------------------------------------------------------------

    def spoil(self, act: Act) -> bytes:
        """A good transfer with one thing wrong with it."""
        signer, other = EVERYBODY[act.who], EVERYBODY[act.who - 1]
        envelope = self.envelope(signer, "transfer", [other.address, 5_000, b""])
        model = self.twins.model
        burned = model.state.base_fee + self.twins.ledger.spec.money.byte_fee_grains * len(
            seal(signer, envelope)
        )
        breaks: list[tuple[int, Any]] = [
            (0, 2),
            (1, b"tilework-dev"),
            (2, "mint"),
            (3, other.address),
            (4, envelope[4] + 1),
            (4, max(0, envelope[4] - 1)),
            (5, burned - 5),
            (6, U63_MAX),
            (6, 10 * TILE),
            (7, model.height - 1),
            (7, model.height),
            (8, envelope[8] + b"\0"),
            (8, envelope[8].replace(pack(5_000), b"\xce\0\0\x13\x88")),
            (8, pack([other.address, -1, b""])),
            (8, pack([other.address, 1 << 63, b""])),
            (8, pack([other.address, True, b""])),
            (8, pack([other.address, 5_000, bytes(65)])),
            (8, pack([other.address, 5_000])),
            (8, b""),
            (8, bytes(2_000)),
        ]
        place, value = breaks[_spread(act, len(breaks))]
        envelope[place] = value
        data = bytearray(seal(signer, envelope))
        if act.choice == 0:
            data[act.amount % len(data)] ^= 1 << act.job
        return bytes(data) + b"\0" * (act.choice == 1)

    def again(self, act: Act) -> bytes:
        """A transaction that was in a block or is in this one."""
        known = [data for block in self.twins.chain[-3:] for data in block.transactions] + self.twins.pending
        return known[act.amount % len(known)] if known else self.transfer(act)


# -- parts ------------------------------------------------------------------------------------------------------------


NOWHERE: Item = {
    "program": GOOD.program,
    "input_roots": GOOD.roots,
    "provider": NO_ADDRESS,
    "result_root": ZERO,
    "status": OPEN,
}
"""Facts of a job that does not exist."""


def seal(signer: SigningKey, envelope: list[Any]) -> bytes:
    """The bytes of an envelope with its one signature."""
    signature = signer.sign(h256(Tag.TX_ID, pack(envelope)))
    return pack([*envelope, [[signer.public_key, signature]]])


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


def _person(address: bytes) -> SigningKey:
    return next((person for person in EVERYBODY if person.address == address), PEOPLE[0])


def _spread(act: Act, ways: int) -> int:
    """A choice among many: amounts alone favour a few."""
    return (act.amount + 5 * act.choice + act.job) % ways
