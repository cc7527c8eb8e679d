"""Ordering a product from the network and taking delivery, seen from the person who pays.

Nothing a node says about a result is believed: its rows must add up to the root the provider committed to.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chain.bech32m import decode_address
from chain.errors import Invalid, Policy
from chain.tensors import DType, TensorInfo, row_root
from chain.types import NO_PERMIT, Address, Grains, JobId, PermitId, TensorRoot
from compute.spec.arrays import Int8Array, Int32Array
from compute.spec.padding import round_up
from compute.spec.profiles import PROFILES
from genesis.spec import ChainSpec, JobRules
from node.amounts import tile
from node.rpc.blob_methods import MAX_PUT_BYTES
from node.rpc.client import RpcClient
from vm.jobs import money
from vm.jobs.inputs import NO_SLOT
from vm.kinds.jobs import JobOpen
from vm.tensor.program import Gemm, gemm_program, resolve
from vm.tensor.trace import trace_key

Progress = Callable[[str, int, int], None]
"""Told (what, bytes done, bytes in all) as data moves."""


MARKET_FACTOR = 4
"""Room above one node's asking price for providers that ask more."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What opening a job locks, in its parts; what is not earned comes back."""

    shape: Gemm
    price_per_gmac_grains: int
    price_grains: int
    protocol_grains: int
    audit_grains: int

    @property
    def escrow_grains(self) -> int:
        return self.price_grains + self.protocol_grains + self.audit_grains


def quote(
    rules: JobRules,
    rows: int,
    columns: int,
    depth: int,
    max_price_grains: int,
    per_gmac_grains: int | None,
    ask_grains: int,
) -> Quote:
    """The quote for C[rows, columns] = A[rows, depth] B[depth, columns] within `max_price_grains`.

    Without a price per GMAC, the highest that fits, up to MARKET_FACTOR times what the node we talk to asks: it is a
    ceiling, a provider is paid what it bids; but the bond grows with the escrow, and a needlessly high one is a job
    few providers can afford to claim.

    Raises: Invalid PROGRAM_* (shapes no job may have), Policy PRICE, Invalid RANGE.
    """
    shape = resolve(gemm_program(rows, columns, depth))
    cheapest = sum(money.escrow(rules, shape, 1))
    if cheapest > max_price_grains:
        raise _too_cheap(max_price_grains, cheapest, "even at 1 grain per GMAC, mostly for the committee")
    if per_gmac_grains is None:
        affordable = money.affordable_price_per_gmac(rules, shape, max_price_grains)
        per_gmac_grains = min(affordable, MARKET_FACTOR * ask_grains)
    parts = money.escrow(rules, shape, per_gmac_grains)
    if sum(parts) > max_price_grains:
        raise _too_cheap(max_price_grains, sum(parts), f"at {tile(per_gmac_grains)} per GMAC")
    return Quote(shape, per_gmac_grains, *parts)


def check_size(spec: ChainSpec, shape: Gemm) -> None:
    """Refuse what the chain would take but nobody could serve: a job like that expires, and its fees are gone.

    Raises: Policy JOB_SIZE.
    """
    profile = PROFILES[spec.profile_id]
    wide, deep = round_up(shape.n, profile.tile), round_up(shape.k, profile.segment)
    if wide > profile.max_n or deep > profile.max_k:
        raise Policy(
            "JOB_SIZE",
            found=f"k = {shape.k}, n = {shape.n}",
            allowed=f"k up to {profile.max_k} and n up to {profile.max_n} under this network's work profile",
            hint="Split the product: B by columns, or both by the inner dimension, and add the parts.",
        )
    largest = max(shape.m, shape.n) * shape.k
    if largest > MAX_PUT_BYTES:
        raise Policy(
            "JOB_SIZE",
            found=f"a matrix of {largest} entries",
            allowed=f"at most {MAX_PUT_BYTES}",
            hint="Split A by rows into several jobs.",
        )


def check_deadline(rules: JobRules, deadline_blocks: int) -> None:
    """Raises: Policy DEADLINE."""
    lowest, highest = rules.deadline_minimum_blocks, rules.deadline_maximum_blocks
    if not lowest <= deadline_blocks <= highest:
        raise Policy(
            "DEADLINE",
            found=f"{deadline_blocks} blocks",
            allowed=f"{lowest}..{highest}",
            hint="Change --deadline.",
        )


def order(
    quoted: Quote,
    roots: tuple[TensorRoot, TensorRoot],
    deadline_blocks: int,
    provider: Address,
    *,
    permit: PermitId = NO_PERMIT,
    slot: int = NO_SLOT,
) -> JobOpen:
    """The body of the transaction that opens the job."""
    shape = quoted.shape
    return JobOpen(
        program=gemm_program(shape.m, shape.n, shape.k),
        input_roots=roots,
        price_per_gmac_grains=Grains(quoted.price_per_gmac_grains),
        max_price_grains=Grains(quoted.escrow_grains),
        deadline_blocks=deadline_blocks,
        provider=provider,
        permit=permit,
        slot=slot,
    )


def upload(client: RpcClient, matrix: Int8Array) -> TensorRoot:
    """Put int8[rows, columns] into the node's store; the root is checked here, not believed.

    Raises: Policy BLOB_SIZE (from the node), Invalid BLOB_ROOT.
    """
    rows, columns = matrix.shape
    info = TensorInfo(rows, columns, DType.INT8)
    data = matrix.tobytes()
    text = base64.b64encode(data).decode()
    answer = client.call("blob_put", rows=info.rows, columns=info.columns, dtype="int8", data=text)
    root = row_root(info, data)
    if answer["root"] != root.hex():
        raise Invalid(
            "BLOB_ROOT", found=answer["root"], allowed=root, hint="The node is faulty: use another one."
        )
    return root


def fetch_result(client: RpcClient, spec: ChainSpec, job: dict[str, Any], progress: Progress) -> Int32Array:
    """The product of a settled job, int32[m, n], verified against the root its provider committed to.

    Raises: Policy JOB_NOT_SETTLED, Missing BLOB*, Invalid RESULT_ROOT.
    """
    if job["status"] != "SETTLED":
        raise Policy(
            "JOB_NOT_SETTLED",
            found=job["status"],
            allowed="SETTLED",
            hint=f"This job will have no result; see `tilework job show {job['id']}`."
            if job["terminal"]
            else f"Follow it with `tilework job wait {job['id']}`.",
        )
    info = TensorInfo(job["m"], job["n"], DType.INT32)
    data = bytearray()
    while len(data) < info.total_bytes:
        first = len(data) // info.row_bytes
        part = client.call("blob_get", root=job["result_root"], job=job["id"], first=first)
        rows = base64.b64decode(part["data"])
        if not rows or len(rows) % info.row_bytes or len(data) + len(rows) > info.total_bytes:
            raise Invalid(
                "RESULT_ROWS", found=f"{len(rows)} bytes", allowed=f"whole rows of {info.row_bytes} bytes"
            )
        data += rows
        progress("result", len(data), info.total_bytes)
    product = bytes(data)
    root = result_root(spec, job, product)
    if root.hex() != job["result_root"]:
        raise Invalid(
            "RESULT_ROOT",
            found=root,
            allowed=job["result_root"],
            hint="These are not the bytes the provider committed to: ask another node with --rpc.",
        )
    return np.frombuffer(product, "<i4").reshape(info.rows, info.columns)


def result_root(spec: ChainSpec, job: dict[str, Any], product: bytes) -> TensorRoot:
    """What a job's provider commits to if this is the product.  Raises: Invalid TENSOR_SIZE."""
    key = trace_key(JobId(bytes.fromhex(job["id"])), decode_address(spec.address_prefix, job["provider"]))
    return row_root(TensorInfo(job["m"], job["n"], DType.INT32), product, key)


def _too_cheap(found: int, needed: int, why: str) -> Policy:
    return Policy(
        "PRICE",
        found=f"at most {tile(found)}",
        allowed=f"at least {tile(needed)} ({why})",
        hint="Raise --max-price.",
    )
