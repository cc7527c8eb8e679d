"""RPC methods for miners that lend their devices to this node's jobs.  Spec: [POW-WORKER-5], [RPC-PANEL]."""

from __future__ import annotations

import base64
import binascii
import re

import trio

from chain.errors import Policy
from chain.types import Hash32
from compute.messages import MAX_TEXT_BYTES
from node.mining.lent import MAX_PRODUCT_BYTES
from node.rpc.backend import NodeBackend
from node.rpc.forms import Json
from node.rpc.registry import Cost, Field, Form, Parameter, method
from node.rpc.work_methods import check_wait

_NAME = re.compile(r"[a-z0-9-]{1,32}")
_CODE = re.compile(r"[A-Z0-9_]{1,64}")
_SESSION = Parameter("session", Form.HASH, "secret name that the miner gave the device when it started")
_PANEL = Parameter("panel", Form.HASH, "panel that the device owes, as work_panel named it")


@method(
    "work_panel",
    "The next row panel of a job's product for a lent device, at once or as soon as there is one.",
    parameters=(
        _SESSION,
        Parameter("device", Form.TEXT, "cpu, gpu-0: small letters, digits and hyphens, at most 32"),
        Parameter("engine", Form.TEXT, "what multiplies there; the same letters"),
        Parameter("macs_per_second", Form.INTEGER, "measured rate: panels are made to fit it"),
        Parameter("wait_ms", Form.INTEGER, "how long to wait for one", required=False, default=0),
    ),
    result=(
        Field("panel", Form.HASH, "names the order; null, like all the others, if there is nothing to do"),
        Field("order", Form.HEX, "canonical record Panel [POW-WORKER-1]; a and b are roots, see blob_get"),
        Field("a_rows, b_rows", Form.INTEGER, "rows of A, and of B transposed"),
        Field("columns", Form.INTEGER, "of both"),
    ),
    cost=Cost.WAIT,
)
async def work_panel(
    node: NodeBackend, *, session: str, device: str, engine: str, macs_per_second: int, wait_ms: int
) -> Json:
    check_wait(wait_ms)
    _check_text(_NAME, device, "small letters, digits and hyphens, at most 32")
    _check_text(_NAME, engine, "small letters, digits and hyphens, at most 32")
    offer = await node.lent.poll(Hash32(bytes.fromhex(session)), device, engine, macs_per_second, wait_ms)
    if offer is None:
        return dict.fromkeys(("panel", "order", "a_rows", "b_rows", "columns"))
    return {
        "panel": offer.panel.hex(),
        "order": offer.order.to_bytes().hex(),
        "a_rows": offer.a_rows,
        "b_rows": offer.b_rows,
        "columns": offer.columns,
    }


@method(
    "work_panel_done",
    "Hand in the product of a panel.",
    parameters=(
        _SESSION,
        _PANEL,
        Parameter(
            "product",
            Form.BASE64,
            f"int32 little-endian, row by row, at most {MAX_PRODUCT_BYTES >> 20} MiB",
        ),
        Parameter("tickets", Form.INTEGER, "drawn by the panel"),
        Parameter("winners", Form.INTEGER, "how many of them won; each is handed in with work_submit"),
        Parameter("macs", Form.INTEGER, "multiply-accumulates, padding included"),
    ),
    result=(Field("taken", Form.BOOLEAN, "always true: anything else is an error"),),
    cost=Cost.BULK,
)
async def work_panel_done(
    node: NodeBackend, *, session: str, panel: str, product: str, tickets: int, winners: int, macs: int
) -> Json:
    names = Hash32(bytes.fromhex(session)), Hash32(bytes.fromhex(panel))
    size_bytes = node.lent.owed_bytes(*names)
    # A text of another length is not worth decoding: nothing in its place is refused for its size.
    is_likely = len(product) == (size_bytes + 2) // 3 * 4
    data = await trio.to_thread.run_sync(_decoded, product) if is_likely else b""
    node.lent.deliver(*names, data, tickets, winners, macs)
    return {"taken": True}


@method(
    "work_panel_failed",
    "Say that a device cannot make a panel, so that another one does.",
    parameters=(
        _SESSION,
        _PANEL,
        Parameter("code", Form.TEXT, "capital letters, digits and _, at most 64"),
        Parameter("text", Form.TEXT, f"what happened; {MAX_TEXT_BYTES} characters are kept"),
    ),
    result=(Field("taken", Form.BOOLEAN, "always true: anything else is an error"),),
)
async def work_panel_failed(node: NodeBackend, *, session: str, panel: str, code: str, text: str) -> Json:
    _check_text(_CODE, code, "capital letters, digits and _, at most 64")
    shown = " ".join(text[:MAX_TEXT_BYTES].split())
    node.lent.give_back(Hash32(bytes.fromhex(session)), Hash32(bytes.fromhex(panel)), code, shown)
    return {"taken": True}


def _check_text(form: re.Pattern[str], text: str, allowed: str) -> None:
    if form.fullmatch(text) is None:
        raise Policy("WORK_PANEL_TEXT", found=repr(text[:64]), allowed=allowed)


def _decoded(text: str) -> bytes:
    """Nothing, which is no product, if the text is no base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


METHODS = (work_panel, work_panel_done, work_panel_failed)
