"""What a kind costs per unit of its weight, beside a transfer: a block of each kind, state root included.

    python -m tests.bench.bench_kinds [transactions per block]

CPU time of one thread: decoding, signature, execution and staging of the state, in memory; the best of several tries of
the same block, because the smaller the block the more a busy machine shows. A ratio far above 1 means a kind that is
too cheap for what it makes others do; the target is between a half and two.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from chain.blocks import MAX_BLOCK_TRANSACTIONS
from chain.codec import Record
from chain.keys import SigningKey
from chain.types import Grains
from tests.builders import TILE, Ledger, funded_spec, key
from tests.cases import Case
from vm.jobs.record import job_id
from vm.kinds.accounts import Transfer
from vm.kinds.batch import Batch, Operation
from vm.kinds.jobs import JobCancel, JobClaim

TRIES = 9
FIRST = 10
"""Number of the first person who sends: those before validate."""


def blocks(
    ledger: Ledger, senders: list[SigningKey]
) -> Iterator[tuple[str, list[tuple[SigningKey, Record]]]]:
    """(what, a block of it), each on top of those before."""
    pay = Transfer(key(1).address, Grains(TILE), b"")
    yield "transfer", [(sender, pay) for sender in senders]
    batch = Batch(tuple(Operation("transfer", pay) for _ in range(4)))
    yield "batch of 4 transfers", [(sender, batch) for sender in senders]
    body = Case(ledger).open_body()
    opened = [job_id(sender.address, ledger.account(sender.address).nonce) for sender in senders]
    yield "job.open", [(sender, body) for sender in senders]
    ledger.mine_to(ledger.height + ledger.spec.jobs.minimum_open_blocks)
    half = len(senders) // 2
    offer = body.price_per_gmac_grains
    claims = [JobClaim(job, offer) for job in opened[:half]]
    yield "job.claim", list(zip(senders[half:], claims, strict=False))
    cancelled = [JobCancel(job) for job in opened[half:]]
    yield "job.cancel", list(zip(senders[half:], cancelled, strict=False))


def main(count: int = 200) -> None:
    spec = funded_spec(accounts=FIRST + count)
    ledger = Ledger(replace(spec, money=replace(spec.money, block_weight_limit=MAX_BLOCK_TRANSACTIONS)))
    transfer_us = 0.0
    for name, requests in blocks(ledger, [key(FIRST + number) for number in range(count)]):
        signed = [ledger.sign(sender, body) for sender, body in requests]
        data = [transaction.to_bytes() for transaction in signed]
        weight = sum(ledger.parse(each).weight for each in data)
        unit_us = min(_cpu_s(ledger, data) for _ in range(TRIES)) / weight * 1e6
        transfer_us = transfer_us or unit_us
        each_us = unit_us * weight / len(data)
        ratio = unit_us / transfer_us
        print(
            f"{name:<22} weight {weight / len(data):>4.0f}  {each_us:>6.0f} us each, per unit {ratio:.2f} x"
        )
        failed = {receipt.code for receipt in ledger.mine(*signed)} - {""}
        assert not failed, f"{name}: {failed}"


def _cpu_s(ledger: Ledger, data: list[bytes]) -> float:
    started = time.process_time()
    transition = ledger.begin()
    for each in data:
        transition.add(each, ledger.parse(each))
    ledger.tree.stage(transition.finish().changes)
    return time.process_time() - started


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
