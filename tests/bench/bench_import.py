"""Cost of taking in a block of transfers, cold, with every write durable, beside its signatures alone.

    python -m tests.bench.bench_import [transfers per block]

CPU time of one thread, medians over blocks. `check` is everything that needs no state (work, roots, signatures); `add`
is the transition, the state root and the batch; `template` is what a producer does for the same block.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from chain.keys import SigningKey, verify
from chain.leveldb import LevelKV
from chain.types import Grains, Height
from genesis.spec import Allocation
from node.chain import Chain
from node.checks import check_block
from tests.builders import funded_spec
from tests.mining import Node
from vm.envelope import Transaction
from vm.kinds.accounts import Transfer

BLOCKS = 5


def main(transfers: int = 1_000) -> None:
    keys = [SigningKey(number.to_bytes(32, "big")) for number in range(1, transfers + 1)]
    funded = tuple(Allocation(key.address, Grains(10**12)) for key in keys)
    spec = replace(funded_spec(), allocations=funded)
    times: dict[str, list[float]] = {name: [] for name in ("signatures", "template", "check", "add")}
    with tempfile.TemporaryDirectory() as directory:
        producer, kv = Node(spec), LevelKV.open(Path(directory) / "db")
        chain = Chain.open(kv, spec)
        for nonce in range(BLOCKS):
            signed = [_transfer(spec.chain_id, key, nonce, keys[i - 1]) for i, key in enumerate(keys)]
            for transaction in signed:
                producer.mempool.add(transaction.to_bytes())
            times["signatures"].append(_cpu_s(lambda batch=signed: _verify(batch)))
            times["template"].append(_cpu_s(producer.template))
            block = producer.next_block()
            parent = chain.header(block.header.parent)
            assert parent is not None
            assert len(block.transactions) == transfers
            started = time.process_time()
            checked = check_block(block, parent, chain.genesis, spec)
            times["check"].append(time.process_time() - started)
            times["add"].append(_cpu_s(lambda ready=checked: chain.add(ready)))
            producer.take(block)
        kv.close()
    medians = {name: statistics.median(values) * 1e3 for name, values in times.items()}
    whole = medians["check"] + medians["add"]
    print(f"{transfers} transfers per block, {BLOCKS} blocks, LevelDB, fsync")
    for name, value in medians.items():
        print(f"  {name:<10} {value:8.1f} ms   {value / medians['signatures']:5.2f} x signatures")
    per_second = transfers / whole * 1e3
    ratio = whole / medians["signatures"]
    print(f"  {'import':<10} {whole:8.1f} ms   {ratio:5.2f} x signatures, {per_second:,.0f} transfers/s")


def _transfer(chain_id: bytes, key: SigningKey, nonce: int, to: SigningKey) -> Transaction:
    body = Transfer(to.address, Grains(5_000), b"").to_bytes()
    return Transaction(
        1, chain_id, "transfer", key.address, nonce, Grains(10**7), Grains(0), Height(1000), body, ()
    ).signed(key)


def _verify(transactions: list[Transaction]) -> None:
    for transaction in transactions:
        (authorisation,) = transaction.authorisations
        assert verify(authorisation.public_key, transaction.id, authorisation.signature)


def _cpu_s(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
