"""Checking a block from its bytes alone, without database, network or node.  Pure.  Spec: [BLK-*], [JOB-FRAUD].

Everything but the state transition can be checked like this: form, commitments, the proof of work, signatures, and
every fraud proof inside, each judged again by recomputing the disputed element. With the genesis file of the network
its constants are checked too; without it they are taken from the block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from chain.bech32m import encode_address
from chain.blocks import Block, certificate_hash
from chain.errors import Invalid
from chain.hashing import Tag
from chain.keys import address_of
from chain.merkle import list_root
from compute.spec.certificate import Certificate
from compute.spec.profiles import PROFILES
from compute.spec.verify import verify_certificate
from consensus.work import block_work
from genesis.spec import ChainSpec
from node.amounts import scaled
from vm.execute import Parsed, parse
from vm.jobs.challenge import Fault, FraudProof, judge
from vm.kinds.audits import ChallengeProve


class Mark(Enum):
    """How a check ended."""

    OK = "ok"
    FAILED = "FAILED"
    NOTE = "note"
    """Neither right nor wrong: a fact, or something that cannot be checked from these bytes."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    mark: Mark
    what: str
    detail: str


def check(data: bytes, spec: ChainSpec | None = None) -> list[Finding]:
    """Every check of a block in its canonical bytes, cheapest first; a block is fine if none FAILED."""
    try:
        block = Block.from_bytes(data)
    except Invalid as error:
        return [Finding(Mark.FAILED, "encoding", str(error))]
    header = block.header
    findings = [
        Finding(Mark.OK, "encoding", f"{len(data)} bytes, canonical"),
        Finding(Mark.NOTE, "block", f"height {header.height}, {block.id.hex()}"),
    ]
    findings += _network(block, spec)
    findings += [
        _compared("transaction root", header.transaction_root, list_root(Tag.TX_LEAF, block.transactions)),
        _compared("votes root", header.votes_root, list_root(Tag.VOTE_LEAF, block.votes)),
        _compared("certificate hash", header.certificate_hash, certificate_hash(block.certificate)),
    ]
    findings += _work(block, spec)
    for index, transaction in enumerate(block.transactions):
        findings += _transaction(index, transaction, header.chain_id, spec)
    return findings


def passed(findings: list[Finding]) -> bool:
    """Whether nothing failed."""
    return all(finding.mark is not Mark.FAILED for finding in findings)


def _network(block: Block, spec: ChainSpec | None) -> Iterator[Finding]:
    chain_id = block.header.chain_id
    if spec is None:
        shown = repr(chain_id)[2:-1]
        yield Finding(Mark.NOTE, "network", f"{shown}, as the block says; name a genesis file to check it")
    else:
        yield _compared("network", chain_id, spec.chain_id)


def _work(block: Block, spec: ChainSpec | None) -> Iterator[Finding]:
    """Replay of the winning cube from the certificate."""
    header = block.header
    if not header.height and not block.certificate:
        yield Finding(Mark.OK, "work", "none, as befits a genesis block")
        return
    try:
        certificate = Certificate.from_bytes(block.certificate)
        profile_id = certificate.mu.profile_id if spec is None else spec.profile_id
        if profile_id not in PROFILES:
            raise Invalid("WORK_PROFILE", found=profile_id, allowed=", ".join(map(str, PROFILES)))
        profile = PROFILES[profile_id]
        ticket = verify_certificate(header.sigma(), header.target, certificate, profile)
    except Invalid as error:
        yield Finding(Mark.FAILED, "work", str(error))
        return
    mu, cube = certificate.mu, certificate.cube
    effort = scaled(block_work(header.target), "MAC")
    yield Finding(
        Mark.OK,
        "work",
        f"cube ({cube.tile_row}, {cube.tile_column}, {cube.segment}) of {mu.m}x{mu.n}x{mu.k} replayed, profile "
        f"{profile.name}: ticket {ticket.hex()[:16]}… wins where {effort} are expected",
    )
    if any(mu.binding.job):
        yield Finding(Mark.NOTE, "binding", f"won by job {mu.binding.job.hex()}, step {mu.binding.step}")


def _transaction(index: int, data: bytes, chain_id: bytes, spec: ChainSpec | None) -> Iterator[Finding]:
    what = f"transaction {index}"
    try:
        parsed = parse(data, chain_id)
    except Invalid as error:
        yield Finding(Mark.FAILED, what, str(error))
        return
    signers = parsed.transaction.signers
    own = [address_of(key) for key in signers] == [parsed.transaction.sender]
    signed = (
        "signature of its sender"
        if own
        else f"{len(signers)} signatures; for whom they speak, the state says"
    )
    yield Finding(Mark.OK, what, f"{parsed.kind.name} {parsed.id.hex()[:16]}…, {signed}")
    if isinstance(parsed.body, ChallengeProve):
        yield _challenge(index, parsed, parsed.body.proof, spec)


def _challenge(index: int, parsed: Parsed, proof: FraudProof, spec: ChainSpec | None) -> Finding:
    """Judge a fraud proof again. One that shows nothing costs its sender the fee, but does not spoil the block."""
    what = f"fraud proof in {index}"
    try:
        judge(proof)
    except Invalid as error:
        return Finding(Mark.NOTE, what, f"REJECTED, it shows nothing: {error}")
    provider = (
        encode_address(spec.address_prefix, proof.provider) if spec is not None else proof.provider.hex()
    )
    shown = f"job {proof.job.hex()[:16]}… of provider {provider}: "
    if proof.fault is Fault.MALFORMED:
        return Finding(
            Mark.OK, what, f"{shown}row {proof.openings[0].row} of tensor {proof.tensor} is malformed"
        )
    result, column = proof.openings[2], proof.column
    claimed = int.from_bytes(result.leaf[4 * column : 4 * column + 4], "little", signed=True)
    exact = sum(
        _signed(left) * _signed(right)
        for left, right in zip(proof.openings[0].leaf, proof.openings[1].leaf, strict=True)
    )
    return Finding(
        Mark.OK,
        what,
        f"{shown}element ({result.row}, {column}) was committed as {claimed}; row times column gives {exact}",
    )


def _compared(what: str, found: bytes, allowed: bytes) -> Finding:
    shown = [repr(text)[2:-1] if what == "network" else text.hex() for text in (found, allowed)]
    if found == allowed:
        return Finding(Mark.OK, what, shown[0])
    return Finding(Mark.FAILED, what, f"found {shown[0]}, allowed {shown[1]}")


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte
