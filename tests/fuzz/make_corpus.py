"""Writes the valid inputs of the corpus: `python -m tests.fuzz.make_corpus`.

One for every record, message, method and file format. Files called `found-*` are inputs that once broke something, or
that show a limit; they are kept by hand and never written here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from chain import state_proof
from chain.bech32m import encode_address
from chain.blocks import Atom, Block
from chain.codec import BigUint, Blob, Nested, OneOf, Raw, Record, Seq, Text, Uint, WireType, layout
from chain.ledger import Namespace
from chain.state.chunks import cut_chunks
from chain.types import Hash32
from compute import messages
from compute.messages import Load, to_frame
from genesis.json_form import to_json
from genesis.presets import PRESETS
from node.rpc.registry import Form
from node.rpc.table import METHODS
from node.snapshot import manifest
from p2p.frames import Answer, Reply, answer_frame, error_answer, request_frame
from tests.builders import key
from tests.cases import Case
from tests.fuzz.fuzzer import CORPUS
from tests.fuzz.targets import CHAIN_ID, PREFIX
from tests.mining import SPEC, Node, transfer
from tests.state_proof_cases import ProvingState, accounts, address
from tests.strategies import every_record
from tests.work_samples import random_matrix, sample_certificate
from vm.envelope import Transaction
from vm.kinds.accounts import Transfer
from vm.kinds.batch import Operation, OperationField
from vm.registry import KINDS
from vm.tensor.program import gemm_program

Input = tuple[str, bytes]
"""File name without its ending, contents."""


def example(record: type[Record], random: Random) -> Record:
    """Some valid instance."""
    return record(**{name: _value(kind, random) for name, kind in layout(record)})


def _value(kind: WireType, random: Random) -> Any:
    match kind:
        case Uint():
            return random.randint(kind.minimum, min(kind.maximum, kind.minimum + 300))
        case BigUint():
            return random.getrandbits(8 * kind.size)
        case Raw():
            return random.randbytes(kind.size)
        case Blob():
            return random.randbytes(min(kind.maximum, 5))
        case Text():
            return "text"[: kind.maximum]
        case OneOf():
            return random.choice(list(kind.members))
        case Seq():
            return tuple(_value(kind.item, random) for _ in range(max(kind.minimum, min(kind.maximum, 2))))
        case Nested():
            return example(kind.record, random)
        case OperationField():
            return Operation("transfer", example(Transfer, random))
        case Atom():
            return 7
    raise TypeError(f"no example for fields of {type(kind).__name__}: add it here")


def _records() -> Iterator[Input]:
    for record in every_record():
        data = example(record, Random(record.__qualname__)).to_bytes()
        if len(data) <= 2000:
            yield f"{record.__module__}.{record.__qualname__}", data


def _certificates() -> Iterator[Input]:
    good = sample_certificate()
    yield "winner", good.to_bytes()
    yield "empty", replace(good, block_a=b"", block_b=b"", path_a=(), path_b=()).to_bytes()


def _frames() -> Iterator[Input]:
    for record in (*messages._COMMANDS.values(), *messages._EVENTS.values()):
        yield record.__name__, to_frame(example(record, Random(1)))[4:]  # type: ignore[arg-type]
    matrix = random_matrix(4, 6)
    yield "Load-matrix", to_frame(Load(Hash32(bytes(32)), 4, 6, matrix.tobytes()))[4:]


def _answers() -> Iterator[Input]:
    yield "request", request_frame(b"payload")
    yield "answer", answer_frame(Answer(Reply.OK, b"payload"))
    yield "error", error_answer("TX_FEE", "found 1, allowed 2").payload


def _texts() -> Iterator[Input]:
    peer = "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq"
    yield "listen", b"127.0.0.1:4001"
    yield "listen6", b"[::1]:4001"
    yield "dial", f"/ip4/127.0.0.1/tcp/4001/p2p/{peer}".encode()
    yield "address", encode_address(PREFIX, key(1).address).encode()
    yield "amount", b"12.345678901"


def _requests() -> Iterator[Input]:
    values = {
        Form.INTEGER: 1,
        Form.GRAINS: 1,
        Form.BOOLEAN: True,
        Form.HASH: "ab" * 32,
        Form.HEX: "ab",
        Form.LIST: [1],
    }
    values |= {Form.OBJECT: {"a": 1}, Form.ADDRESS: encode_address(PREFIX, key(1).address)}
    calls = []
    for number, declared in enumerate(METHODS.values()):
        named = {p.name: values.get(p.form, "text") for p in declared.parameters}
        calls.append({"jsonrpc": "2.0", "id": number, "method": declared.name, "params": named})
    yield "batch", json.dumps(calls).encode()
    yield "call", json.dumps(calls[1]).encode()
    yield "positional", json.dumps({**calls[1], "params": list(calls[1]["params"].values())}).encode()
    yield "notification", b'{"jsonrpc":"2.0","method":"node_status"}'


def _transactions() -> Iterator[Input]:
    for name, kind in KINDS.items():
        body = example(kind.body, Random(name)).to_bytes()
        unsigned = Transaction(1, CHAIN_ID, name, key(1).address, 3, 10**9, 0, 1000, body, ())  # type: ignore[arg-type]
        yield name, unsigned.signed(key(1)).to_bytes()


def _blocks() -> Iterator[Input]:
    node = Node(SPEC)
    node.mine()
    node.mempool.add(transfer(1, 0, 5))
    (block,) = node.mine()
    yield "mined", block.to_bytes()
    yield "empty", replace(block, transactions=(), certificate=b"").to_bytes()
    assert Block.from_bytes(block.to_bytes()).transactions
    yield "header", block.header.to_bytes()


def _programs() -> Iterator[Input]:
    yield "gemm", gemm_program(3, 4, 5).to_bytes()
    case = Case().open().claim()
    case = case.commit(case.product.wrong_result()).draw()
    yield "element", case.element_proof(case.product.wrong_result()).to_bytes()


def _pages() -> Iterator[Input]:
    entries = [bytes([first]) * 32 + (3).to_bytes(4, "big") + b"abc" for first in (1, 40, 200)]
    yield "three", b"".join(entries)


def _state_proofs() -> Iterator[Input]:
    state = accounts(40)
    yield "present", state_proof.to_json(state.prove(Namespace.ACCOUNT, address(3)))
    yield "absent", state_proof.to_json(state.prove(Namespace.ACCOUNT, address(99)))
    yield "empty", state_proof.to_json(ProvingState({}).prove(Namespace.CHAIN, b""))


def _snapshots() -> Iterator[Input]:
    state = accounts(40)
    chunks = tuple(
        manifest.ChunkPart(
            manifest.part_of(manifest.chunk_name(number), chunk.data), chunk.place, 3, chunk.path
        )
        for number, chunk in enumerate(cut_chunks(state.kv, state.tree, 800))
    )
    files = (manifest.part_of(name, b"") for name in (manifest.HEADERS, manifest.BLOCK))
    yield (
        "manifest",
        manifest.to_json(manifest.Manifest("tilework-test", state.header.id, state.header, *files, chunks)),
    )
    (whole,) = cut_chunks(state.kv, state.tree)
    yield "chunk", state.tree.root + whole.data


def _geneses() -> Iterator[Input]:
    for name, spec in PRESETS.items():
        yield name, to_json(spec).encode()


def _matrices() -> Iterator[Input]:
    matrix = random_matrix(4, 6)
    for name, array in (
        ("int8", matrix),
        ("fortran", np.asfortranarray(matrix)),
        ("int64", matrix.astype(">i8")),
        ("float", matrix.astype(float)),
    ):
        file = io.BytesIO()
        np.lib.format.write_array(file, array, allow_pickle=False)
        yield name, file.getvalue()


def _keys() -> Iterator[Input]:
    form = {
        "name": "a",
        "address": encode_address(PREFIX, key(1).address),
        "public_key": key(1).public_key.hex(),
    }
    yield "key", json.dumps({**form, "seed": key(1).seed().hex()}, indent=2).encode()


FAMILIES = {
    "records": _records,
    "certificate": _certificates,
    "worker": _frames,
    "p2p": _answers,
    "text": _texts,
    "rpc": _requests,
    "transaction": _transactions,
    "block": _blocks,
    "program": _programs,
    "page": _pages,
    "state-proof": _state_proofs,
    "snapshot": _snapshots,
    "genesis": _geneses,
    "matrix": _matrices,
    "key": _keys,
}


def main() -> None:
    for target, family in FAMILIES.items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("seed-*.bin"):
            old.unlink()
        for name, data in family():
            (folder / f"seed-{name}.bin").write_bytes(data)


if __name__ == "__main__":
    main()
