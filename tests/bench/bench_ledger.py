"""Blocks of signed transfers at size, end to end: checks with signatures, transition, state root, durable batch.

    python -m tests.bench.bench_ledger [--peers PYTHON] [--bare SCRIPT] [accounts ...]

Without numbers of accounts it takes 10,000, 100,000 and 1,000,000; 4,000,000 takes minutes more. PYTHON is an
interpreter that has py-evm, which then takes in blocks of native transfers in the same run (see peer_py_evm.py).
SCRIPT is a bare pipeline without node, receipts, kinds or network (`pipeline.py` of the design's prototypes): what is
left of its speed in the same run says more than any figure alone, since machines differ by factors.

A founder process fills the state, makes the blocks and copies the database; a fresh process takes the blocks in
through `check_block` and `Chain.add`, every batch on disk before the next, so its caches hold what a node's would and
its memory is a node's. Rounds of the three cases are interleaved; figures are medians, with the least and the most:

    cold     nothing known of the block, one thread: transfers per second of CPU time
    pool     every transaction was admitted by the mempool before: transfers per second of CPU time
    two      cold, signatures on two threads: transfers per second of wall time

Targets stand beside the figures; nothing here fails because of a slow machine.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import math
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from chain.blocks import MAX_BLOCK_TRANSACTIONS, Block
from chain.codec import pack, unpack
from chain.keys import SigningKey
from chain.kv import Sync
from chain.ledger import Account
from chain.leveldb import LevelKV
from chain.state import StateTree, state_key, verify_inclusion
from chain.types import Address, Grains, Height
from genesis.spec import ChainSpec
from node.chain import Chain
from node.checks import check_block
from node.collector import collection_paused, freeze_start
from node.mempool import Mempool
from node.producer import build_template
from node.signatures import check_authorisations
from tests.builders import funded_spec
from tests.mining import solved
from vm.envelope import Transaction
from vm.execute import Parsed, decode, parse
from vm.kinds.accounts import Transfer

SIZES = (10_000, 100_000, 1_000_000)
SENDERS = 6_000
SMALL, LARGE = 1_000, 5_000
ROUNDS = {SMALL: 5, LARGE: 2}
CASES = ("cold", "pool", "two")
ACCOUNT = 1
"""Namespace of accounts in the state."""
FILL_BATCH = 20_000
PROOFS = 2_000


def bench_spec() -> ChainSpec:
    """The test preset with room for 5,000 transfers in a block."""
    spec = funded_spec()
    return replace(spec, money=replace(spec.money, block_weight_limit=MAX_BLOCK_TRANSACTIONS))


def holder(number: int) -> Address:
    """Address of the account `number`; the first `SENDERS` have keys."""
    if number < SENDERS:
        return sender(number).address
    return Address(hashlib.blake2b(number.to_bytes(8, "big"), digest_size=20).digest())


def sender(number: int) -> SigningKey:
    return SigningKey(hashlib.blake2b(b"sender %d" % number, digest_size=32).digest())


# -- the founder -----------------------------------------------------------------------------------------------------


def found(directory: Path, accounts: int) -> None:
    """Fill a database with `accounts`, copy it for the importer, and write the blocks that follow to a file."""
    spec = bench_spec()
    kv = LevelKV.open(directory / "founder")
    chain = Chain.open(kv, spec)
    tree = StateTree.load(kv)
    _fill(tree, kv, accounts)
    chain = Chain(kv, spec, chain.genesis, chain.anchor, tree, chain.head)
    _mine(chain, [])  # from here on the head's root covers the accounts
    kv._db.compact_range()  # what a founding leaves to clean up is no part of importing a block
    kv.close()
    shutil.copytree(directory / "founder", directory / "importer")
    kv = LevelKV.open(directory / "founder")
    chain = Chain.open(kv, spec)
    keys = [sender(number) for number in range(SENDERS)]
    nonces = [0] * SENDERS
    numbers = random.Random(4)
    blocks = []
    for size in (SMALL, LARGE):
        for _ in range(ROUNDS[size] * len(CASES)):
            transfers = []
            for index in numbers.sample(range(SENDERS), size):
                to = holder(numbers.randrange(SENDERS, accounts))
                transfers.append(_transfer(spec.chain_id, keys[index], nonces[index], to))
                nonces[index] += 1
            blocks.append(_mine(chain, transfers).to_bytes())
    kv.close()
    (directory / "blocks").write_bytes(pack(blocks))


def _fill(tree: StateTree, kv: LevelKV, accounts: int) -> None:
    value = Account(0, Grains(10**12), 0).to_bytes()
    keys = sorted(state_key(ACCOUNT, holder(number)) for number in range(accounts))
    for first in range(0, accounts, FILL_BATCH):
        staged = tree.stage(dict.fromkeys(keys[first : first + FILL_BATCH], value))
        kv.write(staged.writes, sync=Sync.BUFFERED)
        tree.apply(staged)


def _transfer(chain_id: bytes, key: SigningKey, nonce: int, to: Address) -> bytes:
    body = Transfer(to, Grains(5_000), b"").to_bytes()
    unsigned = Transaction(
        1, chain_id, "transfer", key.address, nonce, Grains(10**9), Grains(1), Height(1000), body, ()
    )
    return unsigned.signed(key).to_bytes()


class _Waiting:
    """What a producer needs of a mempool: transactions in the order to try them."""

    def __init__(self, transactions: list[tuple[bytes, Parsed]]) -> None:
        self._transactions = transactions

    def candidates(self) -> Iterator[tuple[bytes, Parsed]]:
        return iter(self._transactions)


def _mine(chain: Chain, transactions: list[bytes]) -> Block:
    waiting = _Waiting([(data, parse(data, chain.spec.chain_id)) for data in transactions])
    now_ms = chain.head.time_ms + chain.spec.pace.block_time_ms
    template = build_template(chain, cast(Mempool, waiting), holder(0), 1, now_ms)
    assert len(template.transactions) == len(transactions), "every transfer fits into its block"
    block = solved(template, chain.spec.profile_id)
    chain.add(check_block(block, chain.head, chain.genesis, chain.spec))
    return block


# -- the importer ----------------------------------------------------------------------------------------------------


def take(directory: Path) -> dict[str, Any]:
    """Take in the founder's blocks; medians per block size and case, memory and proofs."""
    spec = bench_spec()
    kv = LevelKV.open(directory / "importer")
    started = time.process_time()
    chain = Chain.open(kv, spec)
    result: dict[str, Any] = {"load s": time.process_time() - started}
    blocks = [Block.from_bytes(data) for data in unpack((directory / "blocks").read_bytes())]
    freeze_start()
    measured: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for number, block in enumerate(blocks):
        case = CASES[number % len(CASES)]
        measured.setdefault((len(block.transactions), case), []).append(_import(chain, block, case))
    for (size, case), seconds in measured.items():
        rates = [size / (wall if case == "two" else cpu) for cpu, wall in seconds]
        result[f"{case} {size}"] = statistics.median(rates), min(rates), max(rates)
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    result["signature us"] = _signature_us(blocks[-1], chain.spec)
    result["rss MB"] = next(int(line.split()[1]) / 1000 for line in status if line.startswith("VmHWM"))
    result |= _proofs(chain)
    kv.close()
    return result


def _import(chain: Chain, block: Block, case: str) -> tuple[float, float]:
    """(CPU, wall) seconds of one block."""
    admitted = block.transactions if case == "pool" else ()
    known = {data: parse(data, chain.spec.chain_id) for data in admitted}
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    threads = 2 if case == "two" else 1
    with collection_paused():
        checked = check_block(block, chain.head, chain.genesis, chain.spec, known, threads)
    with collection_paused():
        chain.add(checked)
    return time.process_time() - cpu, time.perf_counter() - wall


def _signature_us(block: Block, spec: ChainSpec) -> float:
    """CPU time of one signature check alone, the yardstick of how busy the machine is: 55 us where it is quiet."""
    parsed = [decode(data, spec.chain_id) for data in block.transactions[:SMALL]]
    started = time.process_time()
    check_authorisations(parsed, threads=1)
    return (time.process_time() - started) / len(parsed) * 1e6


def _proofs(chain: Chain) -> dict[str, float]:
    tree = cast(StateTree, chain.state)
    keys = [state_key(ACCOUNT, holder(number)) for number in range(SENDERS, SENDERS + PROOFS)]
    proofs = [tree.prove(key) for key in keys]
    started = time.process_time()
    sound = all(
        proof and verify_inclusion(tree.root, key, proof) for key, proof in zip(keys, proofs, strict=True)
    )
    taken = time.process_time() - started
    assert sound
    sizes = [len(proof.to_bytes()) for proof in proofs if proof]
    return {
        "proof bytes": statistics.mean(sizes),
        "largest proof": max(sizes),
        "verify us": taken / PROOFS * 1e6,
    }


# -- the table -------------------------------------------------------------------------------------------------------


def main(sizes: tuple[int, ...], peer: str | None, bare: str | None) -> None:
    results = {}
    for accounts in sizes:
        with tempfile.TemporaryDirectory() as name:
            started = time.perf_counter()
            found(Path(name), accounts)
            command = [sys.executable, "-m", "tests.bench.bench_ledger", "--take", name]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            results[accounts] = json.loads(output)
            _show(accounts, results[accounts], time.perf_counter() - started)
    _show_growth(results)
    _show_bare(results, bare)
    _show_peer(results, peer)


def _show(accounts: int, found: dict[str, Any], took: float) -> None:
    print(f"{accounts:,} accounts ({took:.0f} s in all)")
    for case, unit, target in (
        ("cold", "CPU s", 6_000),
        ("two", "s, two cores", 9_000),
        ("pool", "CPU s", 11_000),
    ):
        for size in (SMALL, LARGE):
            median, least, most = found[f"{case} {size}"]
            spread = f"({least:,.0f}-{most:,.0f})"
            print(
                f"  {case:<5} {size:>5} per block {median:>8,.0f} {spread:<15} transfers/{unit:<13} target {target:,}"
            )
    print(f"  a signature alone takes {found['signature us']:.0f} us of CPU (55 on a quiet machine)")
    print(
        f"  memory {found['rss MB']:>6.0f} MB at most (target 500 at 10^6); loaded in {found['load s']:.1f} s"
    )
    print(
        f"  proof {found['proof bytes']:.0f} bytes mean, {found['largest proof']:.0f} most (target 1,024);"
        f" verified in {found['verify us']:.1f} us (target 50)",
        flush=True,
    )


def _show_growth(results: dict[int, dict[str, Any]]) -> None:
    """Cost per transfer against the smallest state, beside the growth of the logarithm: at most 1 is the target."""
    smallest = min(results)
    for accounts, found in results.items():
        logarithm = math.log(accounts) / math.log(smallest)
        for case in ("cold", "pool"):
            for size in (SMALL, LARGE):
                growth = results[smallest][f"{case} {size}"][0] / found[f"{case} {size}"][0]
                print(
                    f"growth {accounts:>9,} {case} {size:>5} per block: cost x {growth:.2f}, "
                    f"log(accounts) x {logarithm:.2f}, ratio {growth / logarithm:.2f} (target 1)"
                )


def _show_bare(results: dict[int, dict[str, Any]], bare: str | None) -> None:
    """The bare pipeline on the largest of these states, one core, and what part of its speed the whole ledger has."""
    if bare is None:
        print("bare pipeline skipped: no --bare SCRIPT")
        return
    accounts = max(results)
    for case, mode, first_measured, target in (
        ("cold", "seq", 9_280, 6_000),
        ("pool", "cached", 19_260, 11_000),
    ):
        command = [sys.executable, bare, str(accounts), str(SMALL), "12", "1", mode]
        with tempfile.TemporaryDirectory() as name:
            process = subprocess.run(
                command, check=True, capture_output=True, text=True, env=os.environ | {"TMPDIR": name}
            )
        rate = int(re.findall(r"-> (\d+) per cpu-s", process.stdout)[-1])
        part = results[accounts][f"{case} {SMALL}"][0] / rate
        print(
            f"bare pipeline, {accounts:,} accounts, {case}: {rate:,} transfers/CPU s; the ledger does {part:.2f} of "
            f"it (target {target / first_measured:.2f}: {target:,} of {first_measured:,})"
        )


def _show_peer(results: dict[int, dict[str, Any]], peer: str | None) -> None:
    """Another node in the same run; the state nearest to its 10,000 accounts is the fair comparison."""
    if peer is None:
        print("peers skipped: no --peers PYTHON, an interpreter that has py-evm")
        return
    command = [peer, str(Path(__file__).with_name("peer_py_evm.py")), str(SMALL)]
    process = subprocess.run(command, check=False, capture_output=True, text=True)
    if process.returncode:
        print(f"peers skipped: {peer} ended with {process.stderr.strip().splitlines()[-1:]}")
        return
    rate = json.loads(process.stdout)
    print(
        f"py-evm, in memory, 10,000 accounts: {rate['median']:,.0f} ({rate['least']:,.0f}-{rate['most']:,.0f}) "
        "transfers/CPU s, cold import_block"
    )
    for accounts, found in results.items():
        print(f"  {accounts:>9,} accounts, cold: {found[f'cold {SMALL}'][0] / rate['median']:.1f} x py-evm")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--take"]:
        print(json.dumps(take(Path(sys.argv[2]))))
    else:
        arguments = argparse.ArgumentParser()
        arguments.add_argument("--peers", metavar="PYTHON")
        arguments.add_argument("--bare", metavar="SCRIPT")
        arguments.add_argument("accounts", type=int, nargs="*", default=SIZES)
        asked = arguments.parse_args()
        main(tuple(asked.accounts), asked.peers, asked.bare)
