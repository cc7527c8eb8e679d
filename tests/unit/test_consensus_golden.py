"""Digests of fixed chain objects: whoever changes one of these changes the protocol, and must mean to.

Nothing here depends on a preset.
"""

from __future__ import annotations

import pytest

from chain.blocks import Event, Header, Receipt
from chain.hashing import Tag
from chain.ledger import Ticket, Weight
from chain.merkle import list_root
from chain.tensors import TensorInfo, row_root
from chain.types import Address, BlockHash, Grains, Hash32, Height, JobId, TensorRoot, TxId
from genesis.presets import preset
from tests.builders import key
from vm.envelope import Transaction
from vm.jobs.committee import attest_commitment, beacon, draw
from vm.jobs.record import Verdict, job_id
from vm.kinds.accounts import Transfer
from vm.tensor.program import Op, gemm_program
from vm.tensor.trace import TraceRecord, trace_key, trace_root

ALICE, BOB = key(1), key(2)
JOB = job_id(ALICE.address, 7)
HEADER = Header(
    version=1,
    chain_id=b"golden",
    parent=BlockHash(b"\x01" * 32),
    height=Height(300),
    time_ms=1_700_000_000_000,
    target=1 << 200,
    extra_nonce=65_536,
    transaction_root=Hash32(b"\x02" * 32),
    state_root=Hash32(b"\x03" * 32),
    receipt_root=Hash32(b"\x04" * 32),
    votes_root=Hash32(b"\x05" * 32),
    miner=Address(b"\x06" * 20),
    certificate_hash=Hash32(b"\x07" * 32),
)
TRANSFER = Transaction(
    version=1,
    chain_id=b"golden",
    kind="transfer",
    sender=ALICE.address,
    nonce=7,
    max_fee_grains=Grains(10_000),
    tip_grains=Grains(3),
    valid_until=Height(100),
    body=Transfer(BOB.address, Grains(1_000_000_000), b"memo").to_bytes(),
    authorisations=(),
).signed(ALICE)
PROGRAM = gemm_program(2, 3, 4)
SECRET = trace_key(JOB, BOB.address)
RESULT = row_root(TensorInfo(2, 3, PROGRAM.inputs[0].dtype), bytes(range(6)), SECRET)
TICKETS = [Ticket(Height(height), Hash32(bytes([height]) * 32)) for height in range(8, 16)]
BEACON = beacon(JOB, TICKETS, preset("test").jobs, 10)
RECEIPT = Receipt(TxId(TRANSFER.id), "BALANCE", 1, Grains(5), Grains(3), (Event("Named", (1, b"two")),))

GOLDEN = {
    "address": ALICE.address,
    "transaction id": TRANSFER.id,
    "transaction": list_root(Tag.TX_LEAF, [TRANSFER.to_bytes()]),
    "receipt": list_root(Tag.RECEIPT_LEAF, [RECEIPT.to_bytes()]),
    "block id": HEADER.id,
    "sigma": list_root(Tag.TX_LEAF, [HEADER.sigma()]),
    "sealed block id": HEADER.with_certificate(b"certificate").id,
    "job id": JOB,
    "program": PROGRAM.to_bytes(),
    "trace key": SECRET,
    "trace root": trace_root(SECRET, [TraceRecord(0, Op.GEMM, PROGRAM.inputs[0], TensorRoot(RESULT))]),
    "beacon": BEACON,
    "draw": b"".join(draw(BEACON, [Weight(key(i).address, Grains(10 + i)) for i in range(5)], 2)),
    "attestation": attest_commitment(JobId(JOB), BOB.address, Verdict.WRONG, b"\x08" * 32, b"\x09" * 32),
}
EXPECTED = {
    "address": "a2c1f9c7080b20b74792f71e9c67730177736b65",
    "transaction id": "3a6930557e75499d2f42c191b021ac16d216eebb1ce36270b92ffa6afb437b1a",
    "transaction": "91aeb089c397780328c0f6f576ab26321eb723a29721572c464f1cefbfd41836",
    "receipt": "fa9b6d1b2170869f00e28dab6c284dcc0d3a787e21a91131f6071266f285c957",
    "block id": "5bd70251cb588a034f3f7eadaf80ff3e589e60d2b78bad758a2da4430e6061b3",
    "sigma": "b4764343ac712fe7c9b54ea68615aff18fe66443b2f512cdf1ed4e4888ac8ca4",
    "sealed block id": "436c4132e3c22070a4d87f90f548e88b6d94adc3e25abae1973ac0e32c7a5967",
    "job id": "f26f163c21bf351b667416ce9e1e97444ea82c7351c85727e5130cb2067726b7",
    "program": "92929302040193030401919201920001",
    "trace key": "1d7b052af415ff3031b5474ff142901b2d05af5960b5daf8c32a1f18ef12161a",
    "trace root": "bbf21e80b2449cc09bac9dba884a2e6e3e12326f3e85f46cfe65b78a4f60a997",
    "beacon": "132d36a7c5f807f5a80a975d4c9b8683e005f6df852c4bce6313489e5e658663",
    "draw": "adf4ea14fa06861efc53b3e20da7bd94457615b7a2c1f9c7080b20b74792f71e9c67730177736b65",
    "attestation": "e3fb00cf2e36a06c718d662c16c464f41d55fd18fe3ba6514ef1f84d77a007bd",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    assert GOLDEN[name].hex() == EXPECTED[name]
