"""Every way to be refused between the bytes of a certificate and its ticket: one tamper per condition.

A *site* is one `raise` in `MODULES`. A *tamper* is a call that must end at exactly that statement, so it names the
check that refuses and not merely an error that looks like it. `tests/unit/test_work_tampers.py` compares this table
with the source: a new rejection without a tamper, or a condition more than there are tampers, goes red.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from chain.codec import BigUint, Nested, OneOf, Seq, Text, Uint, pack, unpack
from chain.types import NO_JOB, Hash32, JobId
from compute.spec.certificate import Certificate
from compute.spec.claim import Binding, Mu, check_mu, kappa_of
from compute.spec.commit import Side, commit
from compute.spec.padding import check_entries, pad
from compute.spec.profiles import DEV, TEST
from compute.spec.verify import verify_certificate
from consensus.work import check_binding, check_work
from tests.cases import Case
from tests.unit.test_work_rules import HEADER, LEDGER, PRODUCT, bound, header_of, proof, sealed
from tests.work_samples import SIGMA, random_matrix, sample_attempt, sample_certificate
from vm.jobs.record import Status

ROOT = Path(__file__).resolve().parents[1]
MODULES = (
    "chain/codec.py",
    "compute/spec/certificate.py",
    "compute/spec/claim.py",
    "compute/spec/commit.py",
    "compute/spec/noise.py",
    "compute/spec/padding.py",
    "compute/spec/profiles.py",
    "compute/spec/ticket.py",
    "compute/spec/tiles.py",
    "compute/spec/verify.py",
    "consensus/work.py",
)
EXEMPT = {
    (
        "chain/codec.py",
        "_wire_type",
        "TypeError",
    ): "a mistake in the source of a record, seen when it is imported",
}
TARGET = TEST.max_target
TOO_BIG = 1 << 63


@dataclass(frozen=True, slots=True)
class Site:
    """One `raise`: where it stands and what guards it."""

    path: str
    function: str
    code: str
    """The error code, or the name of the exception where it has none."""
    first_line: int
    last_line: int
    conditions: int
    """Comparisons in the `if` around it: each can be the one that refuses."""

    @property
    def name(self) -> tuple[str, str, str]:
        return self.path, self.function, self.code


@dataclass(frozen=True, slots=True)
class Tamper:
    """A call that must be refused at one site."""

    label: str
    path: str
    function: str
    code: str
    call: Callable[[], object]


@cache
def sites() -> tuple[Site, ...]:
    """Every `raise` with an argument in the modules; a bare re-raise would show here as well."""
    return tuple(site for path in MODULES for site in _sites_of(path))


def _sites_of(path: str) -> Iterator[Site]:
    tree = ast.parse((ROOT / path).read_text())

    def visit(node: ast.AST, function: str, guard: ast.expr | None) -> Iterator[Site]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                yield from visit(child, f"{function}.{child.name}".lstrip("."), None)
            elif isinstance(child, ast.If):
                yield from visit(child, function, child.test)
            elif isinstance(child, ast.ExceptHandler):
                yield from visit(child, function, None)
            elif isinstance(child, ast.Raise):
                assert child.end_lineno is not None
                count = _conditions(guard) if guard is not None else 1
                yield Site(path, function, _code(child), child.lineno, child.end_lineno, count)
            else:
                yield from visit(child, function, guard)

    yield from visit(tree, "", None)


def _code(node: ast.Raise) -> str:
    match node.exc:
        case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(code)), *_]) if (
            name != "TypeError"
        ):
            return code
        case ast.Call(func=ast.Name(id=name)):
            return name
    return "raise"


def _conditions(test: ast.expr) -> int:
    match test:
        case ast.BoolOp(values=values):
            return sum(map(_conditions, values))
        case ast.UnaryOp(operand=operand):
            return _conditions(operand)
        case ast.Compare(ops=ops):
            return len(ops)
    return 1


# ------------------------------------------------------------------------------------------------------------- encoding


def _fields() -> list[Any]:
    """The wire form of a good certificate, as nested lists."""
    return list(unpack(sample_certificate().to_bytes()))


def _decode(**changes: Any) -> Callable[[], object]:
    """Decode a certificate with some fields replaced on the wire."""
    names = list(Certificate.__dataclass_fields__)

    def call() -> object:
        fields = _fields()
        for name, value in changes.items():
            fields[names.index(name)] = value
        return Certificate.from_bytes(pack(fields))

    return call


def _mu(place: int, value: Any) -> list[Any]:
    mu = list(_fields()[0])
    mu[place] = value
    return mu


def _codec() -> Iterator[tuple[str, str, str, Callable[[], object]]]:
    yield "Uint.decode", "ENC_INT", "text for an integer", _decode(segment="1")
    yield "Uint.decode", "ENC_INT", "True for an integer", _decode(segment=True)
    yield "Uint.decode", "ENC_INT", "a float", _decode(segment=1.0)
    yield "Uint.decode", "ENC_INT", "nil", _decode(segment=None)
    yield "Uint.decode", "ENC_INT", "minus one", _decode(segment=-1)
    yield "Uint.decode", "ENC_INT", "2^63", _decode(mu=_mu(1, TOO_BIG))
    yield "Raw.decode", "ENC_BYTES", "text for a root", _decode(root_a="x" * 32)
    yield "Raw.decode", "ENC_BYTES", "a short root", _decode(root_a=bytes(31))
    yield "Raw.decode", "ENC_BYTES", "a long sibling", _decode(path_a=[bytes(33)])
    yield "Blob.decode", "ENC_BYTES", "text for a block", _decode(block_a="x")
    too_long = Certificate.MAX_BYTES // 2
    yield (
        "Blob.decode",
        "ENC_BYTES",
        "a block over the bound",
        _decode(block_a=bytes(too_long), block_b=b"", path_b=[]),
    )
    yield "Seq.decode", "ENC_LIST", "bytes for a path", _decode(path_a=b"")
    yield "Seq.decode", "ENC_LIST", "17 siblings", _decode(path_a=[bytes(32)] * 17)
    yield "Seq.decode", "ENC_LIST", "fewer items than the least", lambda: Seq(Uint(), 3, 1).decode(())
    yield "Record.from_wire", "ENC_RECORD", "not an array", lambda: Certificate.from_bytes(pack(7))
    yield (
        "Record.from_wire",
        "ENC_RECORD",
        "a field less",
        lambda: Certificate.from_bytes(pack(_fields()[:-1])),
    )
    yield "Record.from_wire", "ENC_RECORD", "a binding of three", _decode(mu=_mu(4, [bytes(32), 0, 0]))
    yield (
        "Record.from_bytes",
        "ENC_SIZE",
        "a byte over the bound",
        lambda: Certificate.from_bytes(bytes(Certificate.MAX_BYTES + 1)),
    )
    yield (
        "Record.from_bytes",
        "ENC_CANON",
        "a longer integer",
        lambda: Certificate.from_bytes(_long_integer()),
    )
    yield (
        "unpack",
        "ENC_MSGPACK",
        "trailing bytes",
        lambda: Certificate.from_bytes(sample_certificate().to_bytes() + b"\0"),
    )
    # What a certificate does not hold, other records do: the same decoders, asked directly.
    yield "Text.decode", "ENC_TEXT", "bytes for text", lambda: Text(4).decode(b"x")
    yield "Text.decode", "ENC_TEXT", "a lone surrogate", lambda: Text(4).decode("\ud800")
    yield "Text.decode", "ENC_TEXT", "five letters of four", lambda: Text(4).decode("abcde")
    yield "BigUint.decode", "ENC_BYTES", "an integer for a big one", lambda: BigUint(4).decode(1)
    yield "BigUint.decode", "ENC_BYTES", "a narrow big integer", lambda: BigUint(4).decode(b"\1")
    yield "OneOf.decode", "ENC_ENUM", "bytes for a number", lambda: OneOf(Status).decode(b"\1")
    yield "OneOf.decode", "ENC_ENUM", "a number without a name", lambda: OneOf(Status).decode(10_000)
    yield "BigUint.encode", "ENC_INT", "bytes for a big integer", lambda: BigUint(4).encode(b"\1")
    yield "BigUint.encode", "ENC_INT", "a negative big integer", lambda: BigUint(4).encode(-1)
    yield "BigUint.encode", "ENC_INT", "a wide big integer", lambda: BigUint(4).encode(1 << 32)
    yield "Seq.encode", "ENC_LIST", "a list for a tuple", lambda: Seq(Uint(), 3, 1).encode([1])
    yield "Seq.encode", "ENC_LIST", "an empty tuple", lambda: Seq(Uint(), 3, 1).encode(())
    yield "Seq.encode", "ENC_LIST", "four of three", lambda: Seq(Uint(), 3, 1).encode((1, 2, 3, 4))
    yield "Nested.encode", "ENC_RECORD", "another record", lambda: Nested(Mu).encode(sample_certificate())


def _long_integer() -> bytes:
    """The segment number as a two-byte integer; it is one byte in the canonical form."""
    data = sample_certificate().to_bytes()
    fields = _fields()
    head = b"\x9a" + b"".join(pack(field) for field in fields[:5])
    assert data.startswith(head + bytes([fields[5]]))
    return head + b"\xcc" + data[len(head) :]


# --------------------------------------------------------------------------------------------------- claim and padding


def _claim(**changes: Any) -> Callable[[], object]:
    def call() -> object:
        certificate = sample_certificate()
        changed = replace(certificate, mu=replace(certificate.mu, **changes))
        return verify_certificate(SIGMA, TARGET, changed, TEST)

    return call


def _claims() -> Iterator[tuple[str, str, str, Callable[[], object]]]:
    yield "check_mu", "WORK_PROFILE", "another profile", _claim(profile_id=2)
    yield (
        "check_mu",
        "WORK_PROFILE",
        "under another profile",
        lambda: verify_certificate(SIGMA, TARGET, sample_certificate(), DEV),
    )
    for name, unit, largest in (("m", 16, 1024), ("n", 16, 1024), ("k", 64, 1024)):
        for size in (0, unit - 1, unit + 1, largest + unit, TOO_BIG - 1):
            yield "check_mu", "WORK_SHAPE", f"{name} = {size}", _claim(**{name: size})
    yield "check_mu", "WORK_STEP", "a step of no job", _claim(binding=Binding(NO_JOB, 2))
    yield (
        "check_mu",
        "WORK_STEP",
        "the first step of no job",
        lambda: check_mu(Mu(1, 16, 16, 64, Binding(NO_JOB, 1)), TEST),
    )


def _padding() -> Iterator[tuple[str, str, str, Callable[[], object]]]:
    for side in Side:
        for entry in (64, -64, 127, -128):
            yield "check_entries", "WORK_RANGE", f"{entry} in {side.name}", _opened(side, entry)
    yield "check_entries", "WORK_RANGE", "both ends", lambda: check_entries(np.array([[-64, 64]], np.int8))


def _opened(side: Side, entry: int) -> Callable[[], object]:
    """A committed entry that no honest matrix holds: everything before the range check is right."""

    def call() -> object:
        attempt, certificate = sample_attempt(), sample_certificate()
        mu, kappa = attempt.mu, kappa_of(SIGMA, attempt.mu)
        matrices = {
            Side.A: pad(random_matrix(75, 190, 1), mu.m, mu.k).copy(),
            Side.B: pad(random_matrix(96, 190, 2), mu.n, mu.k).copy(),
        }
        block_row = certificate.tile_row if side is Side.A else certificate.tile_column
        matrices[side][block_row * 16 + 3, certificate.segment * 64 + 5] = entry
        bad = replace(
            attempt,
            commitment_a=commit(Side.A, kappa, matrices[Side.A], TEST),
            commitment_b=commit(Side.B, kappa, matrices[Side.B], TEST),
        )
        return verify_certificate(SIGMA, TARGET, bad.certificate(certificate.cube), TEST)

    return call


# -------------------------------------------------------------------------------------------------------- verification


def _changed(**changes: Any) -> Callable[[], object]:
    return lambda: verify_certificate(SIGMA, TARGET, replace(sample_certificate(), **changes), TEST)


def _against(target: int) -> Callable[[], object]:
    return lambda: verify_certificate(SIGMA, target, sample_certificate(), TEST)


def flipped(digest: Hash32) -> Hash32:
    """A digest that differs in one bit."""
    return Hash32(bytes([digest[0] ^ 1]) + digest[1:])


def _verification() -> Iterator[tuple[str, str, str, Callable[[], object]]]:
    function, good = "verify_certificate", sample_certificate()
    for target in (0, -1, TARGET + 1, 1 << 255):
        yield function, "WORK_TARGET_RANGE", f"target {target:#x}", _against(target)
    for field, count in (("tile_row", 5), ("tile_column", 6), ("segment", 3)):
        for place in (count, TOO_BIG - 1, -1):
            yield function, "WORK_INDEX", f"{field} {place}", _changed(**{field: place})
    for field in ("block_a", "block_b"):
        block = getattr(good, field)
        for label, changed in (("short", block[:-1]), ("long", block + b"\0"), ("empty", b"")):
            yield function, "WORK_BLOCK_SIZE", f"{label} {field}", _changed(**{field: changed})
    for field in ("path_a", "path_b"):
        path = getattr(good, field)
        for label, siblings in (("short", path[:-1]), ("long", (*path, path[0])), ("no", ())):
            yield function, "WORK_PATH_LENGTH", f"{label} {field}", _changed(**{field: siblings})
    for side in ("a", "b"):
        code, path, block = (
            f"WORK_PATH_{side.upper()}",
            getattr(good, f"path_{side}"),
            getattr(good, f"block_{side}"),
        )
        for level, sibling in enumerate(path):
            other = (*path[:level], flipped(sibling), *path[level + 1 :])
            yield function, code, f"sibling {level} of {side}", _changed(**{f"path_{side}": other})
        root = flipped(getattr(good, f"root_{side}"))
        yield function, code, f"root {side}", _changed(**{f"root_{side}": root})
        other_block = bytes([block[0] ^ 1]) + block[1:]
        yield function, code, f"block {side}", _changed(**{f"block_{side}": other_block})
    yield function, "WORK_TARGET", "a target below the ticket", _losing


def _losing() -> object:
    certificate = sample_certificate()
    ticket = int.from_bytes(sample_attempt().tickets[certificate.cube], "little")
    return verify_certificate(SIGMA, ticket // TEST.cube_macs, certificate, TEST)


# ----------------------------------------------------------------------------------------------------------- consensus


@cache
def _claimed() -> Case:
    return Case(product=PRODUCT).open().claim()


@cache
def _unclaimed() -> Case:
    return Case(product=PRODUCT).open()


def _bound(miner: str = "provider", is_claimed: bool = True, **changes: Any) -> Callable[[], object]:
    def call() -> object:
        case = _claimed() if is_claimed else _unclaimed()
        header = header_of(getattr(case, miner).address)
        return check_binding(case.ledger.tree, header, bound(case, **changes), case.ledger.spec)

    return call


def _consensus() -> Iterator[tuple[str, str, str, Callable[[], object]]]:
    data = proof().to_bytes()
    for label, header, certificate in (
        ("a header of no certificate", HEADER, data),
        ("other bytes", sealed(data), data + b"\0"),
        ("no certificate", sealed(b""), b""),
    ):
        yield (
            "check_work",
            "WORK_COMMITMENT",
            label,
            lambda header=header, certificate=certificate: check_work(header, certificate, LEDGER.spec),
        )
    function, code = "check_binding", "WORK_BINDING"
    yield function, code, "a job nobody opened", _bound(binding=Binding(JobId(b"\1" * 32), 0))
    yield function, code, "a job nobody claimed", _bound(is_claimed=False)
    yield function, code, "another miner", _bound(miner="payer")
    yield function, code, "step 1", lambda: _bound(binding=Binding(_claimed().job_id, 1))()
    yield function, code, "too many rows", _bound(m=64)
    yield function, code, "another width", _bound(n=16)
    yield function, code, "another depth", _bound(k=192)


def tampers() -> list[Tamper]:
    """The whole table."""
    families = (
        ("chain/codec.py", _codec()),
        ("compute/spec/claim.py", _claims()),
        ("compute/spec/padding.py", _padding()),
        ("compute/spec/verify.py", _verification()),
        ("consensus/work.py", _consensus()),
    )
    return [
        Tamper(label, path, function, code, call)
        for path, rows in families
        for function, code, label, call in rows
    ]
