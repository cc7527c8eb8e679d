"""State tree at size: stage, write and apply blocks of random changes; load; prove; cut into chunks.

Times are CPU times of this process, which a busy machine inflates less, but for the write, which waits for the disk.

    python -m tests.bench.bench_state [accounts] [changes per block]
"""

from __future__ import annotations

import hashlib
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from chain.kv import MemoryKV, Sync
from chain.ledger import Namespace, state_key
from chain.leveldb import LevelKV
from chain.state import StateTree, encode_undo, verify_inclusion
from chain.state.chunks import cut_chunks, verified
from chain.state.pages import page_key
from chain.state.tree import cut_pages
from chain.state_proof import StateProof, parse, to_json
from chain.types import Height, StateKey
from genesis.build import genesis_header
from genesis.presets import PRESETS

BATCH = 20_000
BLOCKS = 15
PROOFS = 2_000


def key_of(number: int) -> StateKey:
    return StateKey(hashlib.blake2b(number.to_bytes(8, "big"), digest_size=32).digest())


def value_of(number: int) -> bytes:
    return hashlib.shake_128(number.to_bytes(8, "big")).digest(24)


def fill(tree: StateTree, store: LevelKV, accounts: int) -> None:
    for first in range(0, accounts, BATCH):
        numbers = range(first, min(first + BATCH, accounts))
        staged = tree.stage({key_of(number): value_of(number) for number in numbers})
        store.write(staged.writes, sync=Sync.BUFFERED)
        tree.apply(staged)


def blocks(tree: StateTree, store: LevelKV, accounts: int, changes: int) -> dict[str, float]:
    times: dict[str, list[float]] = {
        "stage ms": [],
        "write ms": [],
        "apply ms": [],
        "batch kB": [],
        "undo kB": [],
    }
    for block in range(BLOCKS):
        picked = {
            key_of(int.from_bytes(value_of(block * changes + i), "big") % accounts): value_of(
                ~(block * i) & 0xFFFFFFFF
            )
            for i in range(changes)
        }
        start = time.process_time()
        staged = tree.stage(picked)
        times["stage ms"].append((time.process_time() - start) * 1000)
        start = time.perf_counter()
        store.write(staged.writes, sync=Sync.DURABLE)
        times["write ms"].append((time.perf_counter() - start) * 1000)
        start = time.process_time()
        tree.apply(staged)
        times["apply ms"].append((time.process_time() - start) * 1000)
        times["batch kB"].append(sum(len(value or b"") + len(key) for key, value in staged.writes) / 1000)
        times["undo kB"].append(len(encode_undo(staged.undo)) / 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def file_check_us(tree: StateTree, accounts: int) -> float:
    """CPU time to check one proof from the text of its file: JSON, header, canonical form, path."""
    header = replace(genesis_header(PRESETS["test"], tree.root), height=Height(1))
    shown = StateProof(header, Namespace.ACCOUNT, b"", tree.prove_either(state_key(Namespace.ACCOUNT, b"")))
    text = to_json(shown)
    rounds = min(PROOFS, accounts)
    start = time.process_time()
    for _ in range(rounds):
        parse(text).check()
    return (time.process_time() - start) / rounds * 1e6


def chunks(tree: StateTree, store: LevelKV) -> dict[str, float]:
    """CPU time to cut the state into chunks, to check them, and to lay them out as pages again."""
    start = time.process_time()
    found = list(cut_chunks(store, tree))
    cut = time.process_time()
    pages = [(chunk.place, verified(tree.root, chunk.place, chunk.data, chunk.path)) for chunk in found]
    checked = time.process_time()
    again = MemoryKV()
    for place, page in pages:
        rows = [(page_key(at), part.to_bytes()) for at, part in cut_pages(place, page).items()]
        again.write(rows, sync=Sync.BUFFERED)
    laid_out = time.process_time()
    return {
        "chunks": len(found),
        "chunks MB": sum(len(chunk.data) for chunk in found) / 1e6,
        "cut s": cut - start,
        "check s": checked - cut,
        "lay out s": laid_out - checked,
    }


def main(accounts: int, changes: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        store = LevelKV.open(Path(place) / "db")
        tree = StateTree.load(store)
        start = time.process_time()
        fill(tree, store, accounts)
        print(f"{accounts} accounts: fill {time.process_time() - start:.1f} s")
        for name, value in blocks(tree, store, accounts, changes).items():
            print(f"{name:>10} {value:9.2f}")
        start = time.process_time()
        loaded = StateTree.load(store)
        print(
            f"      load {(time.process_time() - start) * 1000:9.0f} ms, same root {loaded.root == tree.root}"
        )
        start = time.process_time()
        proofs = [tree.prove(key_of(number)) for number in range(0, accounts, max(1, accounts // PROOFS))]
        made_at = time.process_time()
        sizes = [len(proof.to_bytes()) for proof in proofs if proof]
        checked_from = time.process_time()
        keys = (key_of(number) for number in range(0, accounts, max(1, accounts // PROOFS)))
        sound = all(
            proof and verify_inclusion(tree.root, key, proof) for key, proof in zip(keys, proofs, strict=True)
        )
        checked = time.process_time()
        print(f"     prove {(made_at - start) / len(proofs) * 1e6:9.1f} us")
        print(f"    verify {(checked - checked_from) / len(proofs) * 1e6:9.1f} us, all good {sound}")
        print(f"      file {file_check_us(tree, accounts):9.1f} us to read and check a proof file")
        print(f"     proof {statistics.mean(sizes):9.0f} bytes mean, {max(sizes)} most")
        print(f"       rss {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:9.0f} MB")
        for name, value in chunks(tree, store).items():
            print(f"{name:>10} {value:9.2f}")
        store.close()


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]] + [100_000, 2_000][len(sys.argv) - 1 :]
    main(*numbers)
