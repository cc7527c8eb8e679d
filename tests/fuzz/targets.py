"""What meets bytes from outside, each as one function: it returns, or raises an error of the tree, and nothing else.

A target calls the decoder and then what the program does next with the value, as far as that is pure: showing it,
checking it, encoding it again.
"""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from chain.bech32m import decode_address
from chain.blocks import Block, Header, Receipt
from chain.codec import Record, pack
from chain.errors import TileworkError
from chain.state.chunks import verified
from chain.state.pages import parse_page
from chain.state_proof import parse as parse_state_proof
from chain.state_proof import to_json as state_proof_json
from chain.types import Hash32
from compute.engines.numpy_blocks import NumpyEngine
from compute.messages import Load, parse_command, parse_event, payload_bytes, to_frame
from compute.spec.certificate import Certificate
from compute.spec.profiles import PROFILES, TEST
from compute.spec.verify import verify_certificate
from compute.workbench import Workbench
from genesis.json_form import from_json, to_json
from genesis.presets import PRESETS
from node.amounts import parse_amount
from node.block_check import check
from node.keyfile import read_key
from node.matrix_files import load_matrix
from node.rpc import jsonrpc
from node.rpc.forms import block_form, certificate_form, record_form, transaction_form
from node.rpc.registry import bind
from node.rpc.table import METHODS, method_named
from node.snapshot import manifest
from p2p.addresses import DialAddress, ListenOn
from p2p.frames import answer_head, read_error, request_length
from tests.strategies import every_record
from tests.work_samples import SIGMA
from vm.execute import parse
from vm.jobs.challenge import FraudProof, judge
from vm.tensor.program import Program, resolve

CHAIN_ID = b"tilework-test"
PREFIX = "twd"
MAX_ERROR_LETTERS = 200_000
"""Of a message for people; what a peer sent may be quoted, up to the bound on an input."""


@dataclass(frozen=True, slots=True)
class Target:
    """One way in; `words` are pieces its inputs are likely made of."""

    name: str
    run: Callable[[bytes], None]
    words: tuple[bytes, ...] = ()


def _allowed(call: Callable[[], object]) -> None:
    """Run one of several decoders; its refusal does not keep the bytes from the next, and can be shown."""
    text = ""
    try:
        call()
    except TileworkError as error:
        text = str(error)
    assert len(text) < MAX_ERROR_LETTERS, "a refusal repeats what was sent"
    assert text.isprintable(), "a peer's control characters reach logs and terminals"


def _again(value: Record, data: bytes) -> None:
    assert value.to_bytes() == data, "another encoding was accepted"
    assert type(value).from_bytes(value.to_bytes()) == value


def _record(record: type[Record], data: bytes) -> None:
    value = record.from_bytes(data)
    _again(value, data)
    json.dumps(record_form(value, PREFIX))


def _records(data: bytes) -> None:
    for record in every_record():
        _allowed(lambda record=record: _record(record, data))


def _certificate(data: bytes) -> None:
    json.dumps(certificate_form(data))
    certificate = Certificate.from_bytes(data)
    _again(certificate, data)
    for profile in PROFILES.values():
        _allowed(lambda profile=profile: verify_certificate(SIGMA, TEST.max_target, certificate, profile))


def _worker(data: bytes) -> None:
    _allowed(lambda: payload_bytes(data[:4]))
    for parse_frame in (parse_command, parse_event):
        _allowed(lambda parse_frame=parse_frame: _frame(parse_frame, data))


def _frame(parse_frame: Callable[[bytes], Any], data: bytes) -> None:
    message = parse_frame(data)
    assert to_frame(message)[4:] == data
    if isinstance(message, Load):
        Workbench(NumpyEngine()).load(message)


def _p2p(data: bytes) -> None:
    if len(data) >= 5:
        _allowed(lambda: answer_head(data[:5]))
        request_length(data[:4])
    code, text = read_error(data)
    assert code.isascii()
    assert text.isprintable()


def _text(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    _allowed(lambda: ListenOn.parse(text).multiaddr())
    _allowed(lambda: DialAddress.parse(text))
    _allowed(lambda: decode_address(PREFIX, text))
    _allowed(lambda: parse_amount(text))


def _rpc(data: bytes) -> None:
    try:
        message = jsonrpc.parse(data)
    except ValueError:
        return
    response = _finished(jsonrpc.answer(message, _bound))
    encoded = jsonrpc.encode(response)
    json.loads(encoded, parse_constant=_no_constant)
    for each in response if isinstance(response, list) else [response]:
        if each and "error" in each:
            assert each["error"]["code"] != jsonrpc.INTERNAL_ERROR, encoded


async def _bound(name: str, parameters: jsonrpc.Parameters) -> Any:
    """All of a call but its handler."""
    return sorted(bind(method_named(name), parameters))


def _finished(steps: Coroutine[Any, Any, Any]) -> Any:
    try:
        steps.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("waited for something")


def _no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")


def _transaction(data: bytes) -> None:
    _allowed(lambda: json.dumps(transaction_form(data, PREFIX)))
    parse(data, CHAIN_ID)


def _block(data: bytes) -> None:
    _allowed(lambda: _record(Header, data))
    _allowed(lambda: _record(Receipt, data))
    for finding in check(data, PRESETS["dev"]):
        assert finding.detail.isprintable()
    block = Block.from_bytes(data)
    _again(block, data)
    json.dumps(block_form(block, (), PREFIX))


def _program(data: bytes) -> None:
    _allowed(lambda: resolve(Program.from_bytes(data)))
    judge(FraudProof.from_bytes(data))


def _page(data: bytes) -> None:
    parse_page(1, data)


def _state_proof(data: bytes) -> None:
    proof = parse_state_proof(data)
    assert state_proof_json(proof) == data, "another text was accepted"
    proof.check()


def _snapshot(data: bytes) -> None:
    _allowed(lambda: verified(Hash32(data[:32]), 1, data[32:], ()))
    read = manifest.parse_manifest(data)
    assert manifest.to_json(read) == data, "another text was accepted"
    assert {part.file.name for part in read.chunks} == {
        manifest.chunk_name(number) for number in range(len(read.chunks))
    }


def _genesis(data: bytes) -> None:
    spec = from_json(data.decode("utf-8", "replace"))
    assert from_json(to_json(spec)) == spec


@cache
def _scratch() -> Path:
    path = Path(tempfile.mkdtemp(prefix="tilework-fuzz-"))
    atexit.register(shutil.rmtree, path, True)
    return path


def _file(data: bytes) -> Path:
    """`data` as a file only we may read."""
    path = _scratch() / "input"
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def _matrix(data: bytes) -> None:
    matrix = load_matrix(_file(data))
    assert matrix.ndim == 2
    assert abs(matrix.astype(int)).max() <= 63


def _key(data: bytes) -> None:
    read_key(_file(data))


JSON_WORDS = (
    b"null", b"true", b"-1", b"1e999", b"-0.0", b"1" * 30, b"9" * 5000, b"NaN", b'"\\ud800"', b'"\\u0000"', b"{", b"}",
    b"[", b"]", b'"', b":", b",", b"[" * 500, b'{"a":' * 300, b"\xff", b"\xef\xbb\xbf", b"[]", b"{}", b'""',
)  # fmt: skip
RPC_WORDS = (
    *JSON_WORDS,
    b'"id":',
    b'"method":',
    b'"params":',
    b'"jsonrpc":"2.0"',
    *(f'"{m}"'.encode() for m in METHODS),
)
NPY_WORDS = (
    b"\x93NUMPY", b"\x01\x00", b"\x02\x00", b"\x03\x00", b"'descr': '|O'", b"'<i4'", b"'>i8'", b"'<f8'", b"'|V16'",
    b"'|S0'",
    b"'<M8[ns]'", b"[('a', '<i4')]", b"'fortran_order': True", b"'shape': (-1, 4)", b"(1000000000000, 4)", b"(0, 0)",
    b"()", b"(4,)", b"(2, 2, 2)", b"(True, 4)", b"(4.0, 4)", b"\n", b"(" * 300, b"{", b"}", b"9" * 5000,
)  # fmt: skip
TEXT_WORDS = (
    b"/ip4/",
    b"/ip6/",
    b"/dns4/",
    b"/tcp/",
    b"/p2p/",
    b"127.0.0.1",
    b"[::1]",
    b":",
    b"65536",
    b"\xff",
    b"twd1",
)
KIND_WORDS = (pack("transfer"), pack("job.open"), pack(CHAIN_ID))

TARGETS = {
    target.name: target
    for target in (
        Target("records", _records),
        Target("certificate", _certificate),
        Target(
            "worker", _worker, tuple(bytes([kind]) for kind in (1, 2, 3, 4, 5, 6, 7, 65, 66, 67, 68, 69, 70))
        ),
        Target("p2p", _p2p, (b"\0", b"\1", b"\2", b"\3", b"TX_FEE\0")),
        Target("text", _text, TEXT_WORDS),
        Target("rpc", _rpc, RPC_WORDS),
        Target("transaction", _transaction, KIND_WORDS),
        Target("block", _block, KIND_WORDS),
        Target("program", _program),
        Target("page", _page),
        Target("state-proof", _state_proof, (*JSON_WORDS, b'"present": true', b'"account"')),
        Target("snapshot", _snapshot, (*JSON_WORDS, b'"prefix"', b"../", b"0101")),
        Target("genesis", _genesis, JSON_WORDS),
        Target("matrix", _matrix, NPY_WORDS),
        Target("key", _key, (*JSON_WORDS, b'"seed"', b'"public_key"')),
    )
}
