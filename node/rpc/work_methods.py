"""RPC methods for miners of their own: the newest template, and what was won on it.  Spec: [RPC-WORK]."""

from __future__ import annotations

from chain.bech32m import decode_address
from chain.blocks import MAX_CERTIFICATE_BYTES
from chain.errors import Policy
from node.mining.work import WORK_RULES
from node.rpc.backend import NodeBackend
from node.rpc.forms import Json
from node.rpc.registry import Cost, Field, Form, Parameter, method

MAX_WAIT_MS = 30_000


@method(
    "work_template",
    "The newest block template for a miner, at once or as soon as there is a newer one than it has.",
    parameters=(
        Parameter("address", Form.ADDRESS, "who earns the coinbase; null for the operator", required=False),
        Parameter("after", Form.INTEGER, "version the caller has", required=False, default=0),
        Parameter(
            "wait_ms",
            Form.INTEGER,
            f"how long to wait for another version, at most {MAX_WAIT_MS}",
            required=False,
            default=0,
        ),
    ),
    result=(
        Field("version", Form.INTEGER, "names the template; the one given as after if the time ran out"),
        Field("sigma", Form.HEX, "header without its certificate hash: what attempts are made over"),
        Field("target", Form.HASH, "tickets below it win, 32 bytes, most significant first"),
        Field("profile_id", Form.INTEGER, "constants of the work"),
        Field("height", Form.INTEGER, "of the block it may become"),
        Field("parent", Form.HASH, "block it builds on: another parent makes older work worthless"),
        Field("block_time_ms", Form.INTEGER, "average time between blocks"),
        Field("work_rules", Form.INTEGER, "version of the rules of the work"),
    ),
    cost=Cost.WAIT,
)
async def work_template(node: NodeBackend, *, address: str | None, after: int, wait_ms: int) -> Json:
    check_wait(wait_ms)
    prefix = node.chain.spec.address_prefix
    miner = decode_address(prefix, address) if address is not None else node.address
    work = await node.work.poll(miner, after, wait_ms)
    return {
        "version": work.version,
        "sigma": work.sigma.hex(),
        "target": f"{work.target:064x}",
        "profile_id": work.profile_id,
        "height": work.height,
        "parent": work.parent.hex(),
        "block_time_ms": work.block_time_ms,
        "work_rules": WORK_RULES,
    }


@method(
    "work_submit",
    "Make a block of a winning certificate, import it and pass it on.",
    parameters=(
        Parameter("version", Form.INTEGER, "template it was won on"),
        Parameter("certificate", Form.HEX, "canonical bytes of the certificate"),
    ),
    result=(
        Field("outcome", Form.TEXT, "accepted, stale (the head has moved) or refused"),
        Field("reason", Form.TEXT, "code and text of a refusal, or empty"),
        Field("block", Form.HASH, "id of the block it became; null unless accepted"),
    ),
    cost=Cost.SCAN,
)
async def work_submit(node: NodeBackend, *, version: int, certificate: str) -> Json:
    if len(certificate) > 2 * MAX_CERTIFICATE_BYTES:
        raise Policy(
            "WORK_CERTIFICATE",
            found=f"{len(certificate) // 2} bytes",
            allowed=f"at most {MAX_CERTIFICATE_BYTES} bytes",
        )
    submission = await node.work.submit(version, bytes.fromhex(certificate))
    return {
        "outcome": submission.outcome.value,
        "reason": submission.reason,
        "block": submission.block.hex() if submission.block is not None else None,
    }


def check_wait(wait_ms: int) -> None:
    """Raises: Policy WORK_WAIT."""
    if wait_ms > MAX_WAIT_MS:
        raise Policy("WORK_WAIT", found=f"{wait_ms} ms", allowed=f"0..{MAX_WAIT_MS} ms")


METHODS = (work_template, work_submit)
