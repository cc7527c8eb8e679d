"""Two implementations, one written from the page alone, agree on every stage: the page is enough.  Spec: [POW-*]."""

from __future__ import annotations

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from chain.errors import Invalid
from compute.spec.certificate import Certificate
from compute.spec.profiles import PROFILES as ALL_PROFILES
from compute.spec.profiles import TEST, Profile
from compute.spec.verify import verify_certificate
from compute.vectors import build_case
from tests.second_implementation import plain_work
from tests.second_implementation.plain_work import PROFILES, Matrix, Refused
from tests.vectors.make_work import PATH
from tests.work_example import COLUMNS, CUBE, DEPTH, ROWS, SIGMA, example_facts
from tests.work_samples import BINDING, random_matrix, sample_attempt
from tests.work_samples import SIGMA as HEADER

CASES: dict[str, Any] = {case["profile"]: case for case in json.loads(PATH.read_text(encoding="ascii"))}


def sha256(matrix: Matrix, width: int) -> str:
    """Digest of a matrix as the vectors take it: row-major, little-endian."""
    data = b"".join(entry.to_bytes(width, "little", signed=True) for line in matrix for entry in line)
    return hashlib.sha256(data).hexdigest()


def words(transcript: list[int]) -> str:
    return b"".join(word.to_bytes(4, "little") for word in transcript).hex()


def test_it_uses_nothing_of_the_program() -> None:
    """Only what everybody has, and BLAKE3."""
    parsed = ast.parse(Path(plain_work.__file__).read_text())
    imported = {
        (node.module or "").split(".")[0] if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(parsed)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported == {"__future__", "blake3", "dataclasses", "hashlib", "typing"}


def test_a_whole_attempt() -> None:
    """Every stage of the `test` case, from the seed of its matrices to the product."""
    case, profile = CASES["test"], PROFILES["test"]
    seed = bytes.fromhex(case["seed"])
    a = plain_work.seeded(seed, 0, case["rows"], case["depth"])
    b_t = plain_work.seeded(seed, 1, case["columns"], case["depth"])
    assert (sha256(a, 1), sha256(b_t, 1)) == (case["a_sha256"], case["b_t_sha256"])

    made = plain_work.attempt(bytes.fromhex(case["sigma"]), profile, a, b_t, b"\x07" * 32, 3)
    assert plain_work.pack(made.mu).hex() == case["mu"]
    assert made.kappa.hex() == case["kappa"]
    assert [leaf.hex() for leaf in made.tree_a[0]] == case["leaves_a"]
    assert [leaf.hex() for leaf in made.tree_b[0]] == case["leaves_b"]
    assert (made.tree_a[-1][0].hex(), made.tree_b[-1][0].hex()) == (case["root_a"], case["root_b"])
    assert (made.seed_b.hex(), made.seed_a.hex()) == (case["seed_b"], case["seed_a"])
    assert bytes(plain_work.permutation(made.seed_a, 0, profile)).hex() == case["permutation_e_first_slice"]
    a_noised = plain_work.noised(made.a, made.seed_a, 0, 0, profile)
    assert sha256(a_noised, 1) == case["a_noised_sha256"]
    for place, stages in case["cubes"].items():
        i, j, s = map(int, place.split(","))
        assert [words(step) for step in made.steps[i, j, s]] == stages["transcript_after_each_slice"]
    assert {f"{i},{j},{s}": ticket.hex() for (i, j, s), ticket in made.tickets.items()} == case["tickets"]
    target = int(case["target"], 16)
    winners = [cube for cube, ticket in made.tickets.items() if plain_work.wins(ticket, target, profile)]
    assert [f"{i},{j},{s}" for i, j, s in winners] == case["winners"]
    certificate = made.certificate(winners[0], profile)
    assert certificate.hex() == case["certificate"]
    assert plain_work.certificate_hash(certificate).hex() == case["certificate_hash"]
    assert sha256(made.product, 4) == case["product_sha256"]


def test_odd_trees_and_ragged_edges() -> None:
    """15 and 18 leaves, 90 cubes: every ticket, and the certificate of every winner byte by byte."""
    program = sample_attempt()
    a, b_t = random_matrix(75, 190, 1).tolist(), random_matrix(96, 190, 2).tolist()
    made = plain_work.attempt(HEADER, PROFILES["test"], a, b_t, bytes(BINDING.job), BINDING.step)
    tickets = {
        (cube.tile_row, cube.tile_column, cube.segment): ticket for cube, ticket in program.tickets.items()
    }
    assert made.tickets == tickets
    assert made.product == program.product.tolist()
    for cube in program.winners(TEST.max_target):
        place = (cube.tile_row, cube.tile_column, cube.segment)
        assert made.certificate(place, PROFILES["test"]) == program.certificate(cube).to_bytes()


def test_the_worked_example() -> None:
    facts, profile = example_facts(), PROFILES["test"]
    a = [[(7 * i + 5 * d + 3 * i * d) % 127 - 63 for d in range(DEPTH)] for i in range(ROWS)]
    b_t = [[(11 * j + 4 * d + 5 * j * d) % 127 - 63 for d in range(DEPTH)] for j in range(COLUMNS)]
    made = plain_work.attempt(SIGMA, profile, a, b_t, bytes(32), 0)
    cube = (CUBE.tile_row, CUBE.tile_column, CUBE.segment)
    assert made.tickets[cube].hex() == facts["ticket"]
    assert [words(step) for step in made.steps[cube]] == [facts[f"T after slice {at}"] for at in range(4)]
    assert plain_work.certificate_hash(made.certificate(cube, profile)).hex() == facts["certificate_hash"]
    assert " ".join(map(str, made.product[19][14:])) == facts["C[19, 14:18]"]
    assert made.product == plain_work.times(a, b_t)


@pytest.mark.parametrize("profile", ALL_PROFILES.values(), ids=lambda profile: profile.name)
def test_certificates_of_the_program_verify(profile: Profile) -> None:
    case = build_case(profile)
    sigma, target = bytes.fromhex(case["sigma"]), int(case["target"], 16)
    ticket = plain_work.verify(sigma, target, bytes.fromhex(case["certificate"]), PROFILES[profile.name])
    assert ticket.hex() == case["tickets"][case["opened"]]


# ---------------------------------------------------------------------------------------- the same verdict on bad ones

SEALED = bytes.fromhex(CASES["test"]["certificate"])
SEALED_SIGMA, TARGET = bytes.fromhex(CASES["test"]["sigma"]), int(CASES["test"]["target"], 16)


def verdicts(certificate: bytes, target: int = TARGET, sigma: bytes = SEALED_SIGMA) -> tuple[str, str]:
    """What the program and the second implementation say: the code of the refusal, or the ticket."""
    try:
        program = verify_certificate(sigma, target, Certificate.from_bytes(certificate), TEST).hex()
    except Invalid as error:
        program = "ENC" if error.code.startswith("ENC_") else error.code
    try:
        second = plain_work.verify(sigma, target, certificate, PROFILES["test"]).hex()
    except Refused as error:
        second = str(error)
    return program, second


def test_every_changed_byte_is_refused_for_the_same_reason() -> None:
    """Every byte outside the two blocks, and some inside, in three ways."""
    seen = set()
    for at in (*range(120), *range(120, 2160, 97), *range(2160, len(SEALED))):
        for flip in (0x01, 0x40, 0x80):
            changed = SEALED[:at] + bytes([SEALED[at] ^ flip]) + SEALED[at + 1 :]
            program, second = verdicts(changed)
            assert program == second, (at, flip)
            assert not program.islower(), (at, flip)
            seen.add(program)
    assert seen >= {"ENC", "WORK_PROFILE", "WORK_SHAPE", "WORK_INDEX", "WORK_PATH_A", "WORK_PATH_B"}


def changes() -> dict[str, tuple[Any, str]]:
    """Label to changed fields and the code both must give."""
    fields = plain_work.unpack(SEALED)
    mu, block, path = fields[0], fields[6], fields[9]
    none = [mu[0], *mu[1:4], [bytes(32), 1]]
    return {
        "nothing": (fields, ""),
        "a field more": ([*fields, 0], "ENC"),
        "a field less": (fields[:-1], "ENC"),
        "an integer for a root": ([fields[0], 7, *fields[2:]], "ENC"),
        "a large integer": ([*fields[:3], 1 << 63, *fields[4:]], "ENC"),
        "a block for no profile": ([*fields[:6], bytes(131073), *fields[7:]], "ENC"),
        "a path for no tree": ([*fields[:9], path * 9], "ENC"),
        "the profile after it": ([[2, *mu[1:]], *fields[1:]], "WORK_PROFILE"),
        "a ragged shape": ([[mu[0], mu[1] + 1, *mu[2:]], *fields[1:]], "WORK_SHAPE"),
        "too large a shape": ([[mu[0], 1040, *mu[2:]], *fields[1:]], "WORK_SHAPE"),
        "a step without a job": ([none, *fields[1:]], "WORK_STEP"),
        "a cube outside": ([*fields[:3], 3, *fields[4:]], "WORK_INDEX"),
        "a short block": ([*fields[:6], block[1:], *fields[7:]], "WORK_BLOCK_SIZE"),
        "a sibling more": ([*fields[:9], [*path, path[0]]], "WORK_PATH_LENGTH"),
        "siblings in another order": ([*fields[:9], path[::-1]], "WORK_PATH_B"),
        "the roots exchanged": ([mu, fields[2], fields[1], *fields[3:]], "WORK_PATH_A"),
    }


@pytest.mark.parametrize("label", list(changes()))
def test_the_same_code_for_the_same_fault(label: str) -> None:
    fields, code = changes()[label]
    program, second = verdicts(plain_work.pack(fields))
    assert program == second
    assert program == code or not code


def test_the_same_answer_to_targets_and_headers() -> None:
    ticket = int(verdicts(SEALED)[1], 16)
    assert ticket
    lowest = int.from_bytes(bytes.fromhex(verdicts(SEALED)[1]), "little") // 16384 + 1
    for target, code in (
        (lowest, ""),
        (lowest - 1, "WORK_TARGET"),
        (0, "WORK_TARGET_RANGE"),
        (TARGET + 1, "WORK_TARGET_RANGE"),
    ):
        program, second = verdicts(SEALED, target)
        assert program == second
        assert not code or program == code
    assert verdicts(SEALED, sigma=SEALED_SIGMA + b"x") == ("WORK_PATH_A", "WORK_PATH_A")


def test_the_same_refusal_of_other_encodings() -> None:
    assert verdicts(SEALED + b"\x00") == ("ENC", "ENC")
    assert verdicts(SEALED[:-1]) == ("ENC", "ENC")
    assert verdicts(b"") == ("ENC", "ENC")
    assert verdicts(b"\xdc\x00\x0a" + SEALED[1:]) == ("ENC", "ENC")
    assert verdicts(b"\x91" * 5000) == ("ENC", "ENC")


def test_committed_entries_out_of_range() -> None:
    """Openings that are right, of a matrix that is not: the range is checked on its own."""
    for entry in (64, -64, -128, 63):
        a = [[entry] + [0] * 63 for _ in range(16)]
        made = plain_work.attempt(b"range", PROFILES["test"], a, a, bytes(32), 0)
        program, second = verdicts(made.certificate((0, 0, 0), PROFILES["test"]), sigma=b"range")
        assert program == second
        assert (program == "WORK_RANGE") == (abs(entry) > 63)
