"""`tilework work`: vectors that anybody can use, and proofs that stand or fall alone at the right check."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.types import NO_JOB, Hash32
from compute.spec.certificate import Certificate
from compute.spec.claim import Binding, kappa_of
from compute.spec.commit import Side, root_of_path
from compute.spec.profiles import PROFILES, TEST
from compute.vectors import build_files
from node.work_proof import MAX_FILE_BYTES, STEPS, Proof, check
from tests.unit.cli_runner import Tilework
from tests.unit.rpc_node import MemoryNode, served
from tests.vectors.make_work import PATH

CASE: dict[str, Any] = json.loads(PATH.read_text())[0]
SIGMA, TARGET = bytes.fromhex(CASE["sigma"]), int(CASE["target"], 16)
CERTIFICATE = Certificate.from_bytes(bytes.fromhex(CASE["certificate"]))


@pytest.fixture
def tilework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tilework:
    return Tilework(tmp_path, monkeypatch)


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(CASE))
    return path


# -------------------------------------------------------------------------------------------------------------- vectors


def test_vectors_are_written_once(tilework: Tilework) -> None:
    text = tilework.ok("work", "vectors", "--out", "made/here")
    written = {path.name: path.read_bytes() for path in Path("made/here").iterdir()}
    assert written == build_files()
    assert all(f"{len(content)} bytes  made/here/{name}" in text for name, content in written.items())
    line = tilework.refused(1, "work", "vectors", "--out", "made/here")
    assert "OUT_NOT_EMPTY" in line
    assert "--force" in line
    forced = tilework("work", "vectors", "--out", "made/here", "--force", "--json").json
    assert forced["files"] == {name: len(content) for name, content in written.items()}


def test_vectors_into_a_file(tilework: Tilework) -> None:
    Path("file").write_text("")
    assert tilework("work", "vectors", "--out", "file").code == 2
    assert "FILE_WRITE" in tilework.refused(5, "work", "vectors", "--out", "file/below")


@pytest.mark.parametrize("name", [profile.name for profile in PROFILES.values()])
def test_every_case_is_a_proof(tilework: Tilework, name: str) -> None:
    Path("case.json").write_bytes(build_files()[f"{name}.json"])
    form = tilework("work", "verify", "case.json", "--json").json
    case = json.loads(Path("case.json").read_text())
    assert form["valid"]
    assert form["code"] is None
    assert form["ticket"] == case["tickets"][case["opened"]]


# --------------------------------------------------------------------------------------------------------- good proofs


def test_each_check_has_a_line_in_the_order_of_the_specification(tilework: Tilework, proof: Path) -> None:
    lines = tilework.ok("work", "verify", proof).splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "note", *["ok"] * len(STEPS), "note"]
    assert [line[8:21].strip() for line in lines] == ["encoding", "header", *STEPS, "work"]
    assert CASE["tickets"][CASE["opened"]] in lines[-2]
    assert "262 kMAC" in lines[-1]


def test_the_checks_are_those_of_the_page() -> None:
    """[POW-VERIFY-1] lists the codes in the same order."""
    text = (Path(__file__).parents[2] / "docs/spec/work.md").read_text()
    table = text[text.index("[POW-VERIFY-1]") :]
    places = [table.index(f"`{code}`") for code in STEPS.values()]
    assert places == sorted(places)


def test_bytes_of_a_certificate_need_the_rest(tilework: Tilework) -> None:
    Path("certificate").write_bytes(CERTIFICATE.to_bytes())
    assert "no sigma" in tilework.refused(1, "work", "verify", "certificate")
    rest = ("--sigma", CASE["sigma"], "--target", "0x" + CASE["target"])
    assert "no profile" in tilework.refused(1, "work", "verify", "certificate", *rest)
    assert "ok      ticket" in tilework.ok("work", "verify", "certificate", *rest, "--profile", "test")


def test_a_block_gives_its_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = MemoryNode(tmp_path / "node")
    node.mine(1)
    with served(node) as url:
        tilework = Tilework(tmp_path, monkeypatch)
        assert "wrote the proof" in tilework.ok("block", "proof", "1", "--out", "p.json", "--rpc", url)
        assert "BLOCK_PROOF" in tilework.refused(1, "block", "proof", "0", "--out", "g.json", "--rpc", url)
    text = tilework.ok("work", "verify", "p.json")
    assert "height 1 of " in text
    header = node.chain.head
    form = json.loads(Path("p.json").read_text())
    assert form["block"] == header.id.hex()
    assert bytes.fromhex(form["sigma"]) == header.sigma()
    easier = f"{header.target + 1:064x}"
    assert "PROOF_TARGET" in tilework.refused(1, "work", "verify", "p.json", "--target", easier)


# ------------------------------------------------------------------------------------------------------------- refusals


def flipped(digest: Hash32) -> Hash32:
    return Hash32(bytes([digest[0] ^ 1]) + digest[1:])


def out_of_range() -> Certificate:
    """A product of one cube whose committed block of A holds 64."""
    mu = replace(CERTIFICATE.mu, m=16, n=16, k=64)
    kappa, block = kappa_of(SIGMA, mu), b"\x40" + CERTIFICATE.block_a[1:]
    return Certificate(
        mu=mu,
        root_a=root_of_path(Side.A, kappa, block, 0, 1, ()),
        root_b=root_of_path(Side.B, kappa, CERTIFICATE.block_b, 0, 1, ()),
        tile_row=0,
        tile_column=0,
        segment=0,
        block_a=block,
        block_b=CERTIFICATE.block_b,
        path_a=(),
        path_b=(),
    )


def refusals() -> Iterator[tuple[str, Certificate, int]]:
    mu = CERTIFICATE.mu
    yield "profile", replace(CERTIFICATE, mu=replace(mu, profile_id=2)), TARGET
    yield "shape", replace(CERTIFICATE, mu=replace(mu, m=47)), TARGET
    yield "binding", replace(CERTIFICATE, mu=replace(mu, binding=Binding(NO_JOB, 1))), TARGET
    yield "target", CERTIFICATE, TARGET + 1
    yield "cube", replace(CERTIFICATE, tile_row=3), TARGET
    yield "block sizes", replace(CERTIFICATE, block_a=b""), TARGET
    yield "path lengths", replace(CERTIFICATE, path_b=()), TARGET
    yield "path of A", replace(CERTIFICATE, root_a=flipped(CERTIFICATE.root_a)), TARGET
    yield "path of B", replace(CERTIFICATE, root_b=flipped(CERTIFICATE.root_b)), TARGET
    yield "entries", out_of_range(), TARGET
    yield "ticket", CERTIFICATE, 1


@pytest.mark.parametrize(("what", "certificate", "target"), list(refusals()), ids=list(STEPS))
def test_a_broken_proof_stops_at_its_check(what: str, certificate: Certificate, target: int) -> None:
    report = check(Proof(SIGMA, target, TEST, certificate.to_bytes()))
    assert report.code == STEPS[what]
    assert report.ticket is None
    assert [finding.what for finding in report.findings] == [
        "encoding", "header", *list(STEPS)[: list(STEPS).index(what) + 1]
    ]  # fmt: skip
    marks = [finding.mark.value for finding in report.findings]
    assert marks == ["ok", "note", *["ok"] * (len(marks) - 3), "FAILED"]


def test_a_refusal_has_its_code_and_exit_code(tilework: Tilework, proof: Path) -> None:
    """The classic theft: the same certificate under another header."""
    line = tilework.refused(1, "work", "verify", proof, "--sigma", CASE["sigma"] + "00")
    assert line == "Error: WORK_PATH_A: the proof is refused at check 'path of A'."
    ran = tilework("work", "verify", proof, "--target", "1", "--json")
    assert ran.code == 1
    assert ran.json["valid"] is False
    assert ran.json["code"] == "WORK_TARGET"
    assert ran.json["checks"][-1]["mark"] == "FAILED"


def test_trailing_bytes(tilework: Tilework, proof: Path) -> None:
    proof.write_text(json.dumps(CASE | {"certificate": CASE["certificate"] + "00"}))
    assert "ENC_" in tilework.refused(1, "work", "verify", proof)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "PROOF_INCOMPLETE"),
        (b"{", "PROOF_FORMAT"),
        (b"{}", "PROOF_INCOMPLETE"),
        (b'{"a":' * 50_000, "PROOF_FORMAT"),
        (b'{"a":' + b"9" * 10_000 + b"}", "PROOF_FORMAT"),
        (b'{"sigma": 5}', "PROOF_INCOMPLETE"),
        (json.dumps(CASE | {"sigma": "zz"}).encode(), "PROOF_SIGMA"),
        (json.dumps(CASE | {"sigma": "00" * 2049}).encode(), "PROOF_SIGMA"),
        (json.dumps(CASE | {"target": "-1"}).encode(), "PROOF_TARGET"),
        (json.dumps(CASE | {"target": "1" * 65}).encode(), "PROOF_TARGET"),
        (json.dumps(CASE | {"profile": "fast"}).encode(), "PROOF_PROFILE"),
        (json.dumps(CASE | {"certificate": "00" * 300_000}).encode(), "PROOF_FORMAT"),
    ],
)  # fmt: skip
def test_files_that_hold_no_proof(tilework: Tilework, content: bytes, code: str) -> None:
    Path("bad").write_bytes(content)
    assert code in tilework.refused(1, "work", "verify", "bad")


def test_files_are_bounded_before_they_are_read(tilework: Tilework) -> None:
    with Path("sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert f"{1 << 40} bytes" in tilework.refused(1, "work", "verify", "sparse")
    assert f"at most {MAX_FILE_BYTES}" in tilework.refused(1, "work", "verify", "sparse")


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no /dev/zero here")
def test_a_file_that_hides_its_size_is_read_to_the_bound(tilework: Tilework) -> None:
    assert f"{MAX_FILE_BYTES + 1} bytes" in tilework.refused(1, "work", "verify", "/dev/zero")


def test_files_that_are_not_there(tilework: Tilework, tmp_path: Path) -> None:
    assert "block proof" in tilework.refused(1, "work", "verify", "nowhere")
    assert "FILE_READ" in tilework.refused(5, "work", "verify", tmp_path)
