"""RPC methods that move matrices in and out of a node.  Spec: [RPC-BLOB]."""

from __future__ import annotations

import base64
import binascii
from functools import partial

import numpy as np
import trio

from chain.errors import Missing, Policy
from chain.tensors import DType, TensorInfo
from chain.types import JobId, TensorRoot
from node.rpc.backend import ChainView, NodeBackend
from node.rpc.forms import Json
from node.rpc.job_methods import load
from node.rpc.registry import Cost, Field, Form, Parameter, method
from vm.tensor.program import MAX_DEPTH, MAX_ROWS, QUANTISED_MAX, resolve
from vm.tensor.trace import trace_key

MAX_PUT_BYTES = 64 << 20
MAX_GET_BYTES = 16 << 20
SEARCHED_JOBS = 200
"""Newest jobs looked through for a root that the caller names without its job."""


@method(
    "blob_put",
    "Store a matrix in this node, so that a job can name it by its root.",
    parameters=(
        Parameter("rows", Form.INTEGER, f"1..{MAX_ROWS}"),
        Parameter("columns", Form.INTEGER, f"1..{MAX_DEPTH}"),
        Parameter("dtype", Form.TEXT, "int8 (entries in [-63, 63]) or int32"),
        Parameter(
            "data", Form.BASE64, f"elements row by row, little-endian, at most {MAX_PUT_BYTES >> 20} MiB"
        ),
    ),
    result=(Field("root", Form.HASH, "public root of the matrix"),),
    cost=Cost.BULK,
)
async def blob_put(node: NodeBackend, *, rows: int, columns: int, dtype: str, data: str) -> Json:
    if not (1 <= rows <= MAX_ROWS and 1 <= columns <= MAX_DEPTH):
        raise Policy(
            "BLOB_SHAPE", found=f"{rows}x{columns}", allowed=f"1..{MAX_ROWS} rows, 1..{MAX_DEPTH} columns"
        )
    if dtype.upper() not in DType.__members__:
        raise Policy("BLOB_DTYPE", found=dtype, allowed="int8 or int32")
    info = TensorInfo(rows, columns, DType[dtype.upper()])
    if info.total_bytes > MAX_PUT_BYTES:
        raise Policy("BLOB_SIZE", found=f"{info.total_bytes} bytes", allowed=f"at most {MAX_PUT_BYTES} bytes")
    return {"root": (await trio.to_thread.run_sync(_store, node, info, data)).hex()}


@method(
    "blob_get",
    "Rows of a matrix by its root; one this node lacks is fetched from peers if a job names it.",
    parameters=(
        Parameter("root", Form.HASH, "root of the matrix"),
        Parameter("first", Form.INTEGER, "first row", required=False, default=0),
        Parameter("count", Form.INTEGER, "number of rows; all that fit if left out", required=False),
        Parameter(
            "job", Form.HASH, "job whose input or result this is; found by search if left out", required=False
        ),
    ),
    result=(
        Field("rows, columns", Form.INTEGER, "shape of the whole matrix"),
        Field("dtype", Form.TEXT, "int8 or int32"),
        Field("first, count", Form.INTEGER, "rows in this answer"),
        Field("data", Form.BASE64, f"elements row by row, little-endian, at most {MAX_GET_BYTES >> 20} MiB"),
    ),
    cost=Cost.BULK,
)
async def blob_get(node: NodeBackend, *, root: str, first: int, count: int | None, job: str | None) -> Json:
    wanted = TensorRoot(bytes.fromhex(root))
    if not node.blobs.has(wanted):
        info, key = _named_by_a_job(
            node.chain, wanted, JobId(bytes.fromhex(job)) if job is not None else None
        )
        await node.fetch(wanted, info, key)
    known = node.blobs.info(wanted)
    most = max(1, MAX_GET_BYTES // known.row_bytes)
    asked = min(known.rows - first, most) if count is None else count
    if not (first < known.rows and 1 <= asked <= min(most, known.rows - first)):
        raise Policy(
            "BLOB_ROWS",
            found=f"{asked} rows from {first}",
            allowed=f"0..{known.rows - 1}, {most} at once",
        )
    data = await trio.to_thread.run_sync(partial(_rows_text, node, wanted, first, asked))
    return {
        "rows": known.rows,
        "columns": known.columns,
        "dtype": known.dtype.name.lower(),
        "first": first,
        "count": asked,
        "data": data,
    }


def _store(node: NodeBackend, info: TensorInfo, text: str) -> TensorRoot:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Policy("BLOB_BASE64", found=str(error), allowed="base64 with padding") from error
    if len(data) != info.total_bytes:
        raise Policy(
            "BLOB_SIZE", found=f"{len(data)} bytes", allowed=f"{info.total_bytes} bytes for this shape"
        )
    if info.dtype is DType.INT8:
        _check_entries(info, data)
    return node.blobs.put(info, data)


def _check_entries(info: TensorInfo, data: bytes) -> None:
    """Refuse a matrix nobody could claim: providers range-check before they lock a bond."""
    entries = np.frombuffer(data, np.int8)
    wrong = np.flatnonzero((entries > QUANTISED_MAX) | (entries < -QUANTISED_MAX))
    if len(wrong):
        row, column = divmod(int(wrong[0]), info.columns)
        raise Policy(
            "BLOB_RANGE", found=f"an entry out of range at row {row}, column {column}", allowed="[-63, 63]"
        )


def _rows_text(node: NodeBackend, root: TensorRoot, first: int, count: int) -> str:
    return base64.b64encode(node.blobs.rows(root, first, count)).decode()


def _named_by_a_job(chain: ChainView, root: TensorRoot, job: JobId | None) -> tuple[TensorInfo, bytes | None]:
    """Shape and key of a tensor, as the job that names it tells them.  Raises: Missing BLOB_UNKNOWN, JOB_UNKNOWN."""
    for identity in [job] if job is not None else chain.jobs(SEARCHED_JOBS):
        record = load(chain, identity)
        if root == record.result_root and record.committed_height:
            return resolve(record.program).output, trace_key(identity, record.provider)
        if root in record.input_roots:
            return record.program.inputs[record.input_roots.index(root)], None
    raise Missing(
        "BLOB_UNKNOWN",
        found=root,
        allowed="a matrix this node holds, or the input or result of a job on this chain",
        hint="Upload it with blob_put, or name its job.",
    )


METHODS = (blob_put, blob_get)
