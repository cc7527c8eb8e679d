"""A proof of work standing alone: its file form, and its checks in their order.  Pure.  Spec: [POW-VERIFY-1].

Four things are enough: the header bytes that the work was done over, the target, the profile, and the certificate.
In JSON they are `sigma`, `target`, `certificate` in hex and `profile` by name; other fields are ignored, so every case
of the golden vectors is such a file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from chain.blocks import Block, Header
from chain.codec import unpack
from chain.errors import Invalid, Policy
from chain.types import Hash32
from compute.messages import MAX_SIGMA_BYTES
from compute.spec.certificate import Certificate
from compute.spec.claim import NO_BINDING
from compute.spec.profiles import PROFILES, Profile
from compute.spec.verify import verify_certificate
from consensus.work import block_work
from node.amounts import scaled
from node.block_check import Finding, Mark

MAX_JSON_BYTES = 1 << 20
"""A golden case of the largest profile has half of it, nearly all certificate."""
MAX_FILE_BYTES = max(MAX_JSON_BYTES, Certificate.MAX_BYTES)
MAX_TARGET_DIGITS = 64

STEPS = {
    "profile": "WORK_PROFILE",
    "shape": "WORK_SHAPE",
    "binding": "WORK_STEP",
    "target": "WORK_TARGET_RANGE",
    "cube": "WORK_INDEX",
    "block sizes": "WORK_BLOCK_SIZE",
    "path lengths": "WORK_PATH_LENGTH",
    "path of A": "WORK_PATH_A",
    "path of B": "WORK_PATH_B",
    "entries": "WORK_RANGE",
    "ticket": "WORK_TARGET",
}
"""Checks in the order of the specification and the code with which each refuses: a code tells how far it came."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A certificate with what it is checked against."""

    sigma: bytes
    target: int
    profile: Profile
    certificate: bytes


@dataclass(frozen=True, slots=True)
class Report:
    """What the checks found; `code` is empty and the ticket is there if the proof holds."""

    findings: tuple[Finding, ...]
    code: str = ""
    ticket: Hash32 | None = None


def proof_of_block(block: Block, profile: Profile) -> Proof:
    """The proof in a block of a network that mines under `profile`.  Raises: Policy BLOCK_PROOF for a genesis block."""
    if not block.certificate:
        raise Policy(
            "BLOCK_PROOF", found=f"block {block.header.height} without a proof", allowed="a mined block"
        )
    return Proof(block.header.sigma(), block.header.target, profile, block.certificate)


def to_json(proof: Proof) -> dict[str, str]:
    """The file form of a proof."""
    return {
        "profile": proof.profile.name,
        "sigma": proof.sigma.hex(),
        "target": f"{proof.target:064x}",
        "certificate": proof.certificate.hex(),
    }


def parse(
    data: bytes, sigma: str | None = None, target: str | None = None, profile: str | None = None
) -> Proof:
    """The proof in a file: JSON, or the bytes of a certificate. What is given beside the file replaces what it says.

    Raises:
        Policy: PROOF_FORMAT, PROOF_INCOMPLETE, PROOF_SIGMA, PROOF_TARGET or PROOF_PROFILE.
    """
    form = _json_object(data) if data.lstrip()[:1] == b"{" else {"certificate": data.hex()}
    given = {"sigma": sigma, "target": target, "profile": profile}
    form |= {name: value for name, value in given.items() if value is not None}
    for name in ("sigma", "target", "profile", "certificate"):
        if not isinstance(form.get(name), str):
            raise Policy(
                "PROOF_INCOMPLETE",
                found=f"no {name}",
                allowed="sigma, target, profile and certificate as text",
                hint="Give --sigma, --target and --profile with the bytes of a certificate.",
            )
    return Proof(
        sigma=_bytes(form["sigma"], MAX_SIGMA_BYTES, "PROOF_SIGMA"),
        target=_target(form["target"]),
        profile=_profile(form["profile"]),
        certificate=_bytes(form["certificate"], Certificate.MAX_BYTES, "PROOF_FORMAT"),
    )


def check(proof: Proof) -> Report:
    """Every check of a proof, in order; the first failure ends it."""
    try:
        certificate = Certificate.from_bytes(proof.certificate)
    except Invalid as error:
        return Report((Finding(Mark.FAILED, "encoding", str(error)),), error.code)
    findings = [Finding(Mark.OK, "encoding", f"{len(proof.certificate)} bytes, canonical"), _header(proof)]
    if findings[-1].mark is Mark.FAILED:
        return Report(tuple(findings), "PROOF_TARGET")
    details = _details(proof, certificate)
    try:
        ticket = verify_certificate(proof.sigma, proof.target, certificate, proof.profile)
    except Invalid as error:
        for what, code in STEPS.items():
            if code == error.code:
                findings.append(Finding(Mark.FAILED, what, str(error)))
                break
            findings.append(Finding(Mark.OK, what, details[what]))
        return Report(tuple(findings), error.code)
    details["ticket"] = f"{ticket.hex()}, below the target times {proof.profile.cube_macs}"
    findings += [Finding(Mark.OK, what, details[what]) for what in STEPS]
    effort = scaled(block_work(proof.target), "MAC")
    findings.append(Finding(Mark.NOTE, "work", f"a win under this target takes {effort} on average"))
    return Report(tuple(findings), ticket=ticket)


def _details(proof: Proof, certificate: Certificate) -> dict[str, str]:
    """What each check looked at, for people."""
    profile, mu, cube = proof.profile, certificate.mu, certificate.cube
    bound = mu.binding != NO_BINDING
    return {
        "profile": f"{profile.name}: r {profile.noise_rank}, t {profile.tile}, S {profile.segment}",
        "shape": f"{mu.m}x{mu.k} times {mu.k}x{mu.n}",
        "binding": f"job {mu.binding.job.hex()}, step {mu.binding.step}" if bound else "none",
        "target": f"{proof.target:064x}",
        "cube": f"tile row {cube.tile_row}, tile column {cube.tile_column}, segment {cube.segment}",
        "block sizes": f"{len(certificate.block_a)} bytes each",
        "path lengths": f"{len(certificate.path_a)} and {len(certificate.path_b)} siblings",
        "path of A": f"leads to {certificate.root_a.hex()}",
        "path of B": f"leads to {certificate.root_b.hex()}",
        "entries": "all in [-63, 63]",
    }


def _header(proof: Proof) -> Finding:
    """What header the work was done over; a header names its target itself."""
    header = _decoded(proof.sigma)
    if header is None:
        return Finding(Mark.NOTE, "header", f"sigma, {len(proof.sigma)} bytes, is no header of a block")
    if header.target != proof.target:
        found, allowed = f"{proof.target:064x}", f"{header.target:064x} as the header says"
        return Finding(Mark.FAILED, "header", f"PROOF_TARGET: found {found}, allowed {allowed}")
    chain = header.chain_id.decode(errors="replace")
    return Finding(
        Mark.OK, "header", f"height {header.height} of {chain}, miner {header.miner.hex()}, names this target"
    )


def _decoded(sigma: bytes) -> Header | None:
    try:
        wire = unpack(sigma)
        header = Header.from_wire((*wire, bytes(32))) if isinstance(wire, tuple) else None
    except Invalid:
        return None
    return header if header is not None and header.sigma() == sigma else None


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        form = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Policy(
            "PROOF_FORMAT", found="broken JSON", allowed="one object, or a certificate's bytes"
        ) from error
    assert isinstance(form, dict), "text that starts with a brace is an object or nothing"
    return form


def _bytes(text: str, maximum: int, code: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError as error:
        raise Policy(code, found="text that is not hex", allowed="hexadecimal digits") from error
    if len(data) > maximum:
        raise Policy(code, found=f"{len(data)} bytes", allowed=f"at most {maximum} bytes")
    return data


def _target(text: str) -> int:
    digits = text.removeprefix("0x")
    if not 1 <= len(digits) <= MAX_TARGET_DIGITS or not set(digits) <= set("0123456789abcdefABCDEF"):
        raise Policy("PROOF_TARGET", found=text[:80], allowed=f"up to {MAX_TARGET_DIGITS} hexadecimal digits")
    return int(digits, 16)


def _profile(name: str) -> Profile:
    for profile in PROFILES.values():
        if profile.name == name:
            return profile
    allowed = ", ".join(profile.name for profile in PROFILES.values())
    raise Policy("PROOF_PROFILE", found=name[:80], allowed=allowed)
