"""RPC methods that prove what the state holds.  Spec: [RPC-STATE], [STATE-FILE]."""

from __future__ import annotations

from chain.errors import Policy
from chain.state_proof import MAX_IDENTIFIER_BYTES, namespace_named, to_form
from node.rpc.backend import NodeBackend
from node.rpc.forms import Json
from node.rpc.registry import Field, Form, Parameter, method


@method(
    "state_proof",
    "A proof, checkable offline, of what the state after the head holds under an identifier, or that it holds nothing.",
    parameters=(
        Parameter("namespace", Form.TEXT, "account, validator, job, chain, … in lower case"),
        Parameter(
            "identifier", Form.HEX, f"identifier in the namespace, at most {MAX_IDENTIFIER_BYTES} bytes"
        ),
        Parameter("block", Form.HASH, "refuse if the head is another block than this", required=False),
    ),
    result=(
        Field("format", Form.TEXT, "name of the format"),
        Field("chain_id", Form.TEXT, "name of the network"),
        Field("height", Form.INTEGER, "height of the block after which this holds"),
        Field("block", Form.HASH, "its id"),
        Field("header", Form.HEX, "its header, canonical bytes; the state root is inside"),
        Field("namespace", Form.TEXT, "as asked"),
        Field("identifier", Form.HEX, "as asked"),
        Field("key", Form.HASH, "state key of the identifier"),
        Field("present", Form.BOOLEAN, "whether the state holds a value; else absence is proven"),
        Field("proof", Form.HEX, "canonical bytes of the inclusion or absence proof, the value included"),
    ),
)
async def state_proof(node: NodeBackend, *, namespace: str, identifier: str, block: str | None) -> Json:
    chain = node.chain
    if block is not None and block.lower() != chain.head.id.hex():
        raise Policy(
            "STATE_MOVED",
            found=block,
            allowed=f"the head, block {chain.head.height} {chain.head.id.hex()}",
            hint="A node proves the state of its head alone: ask again without naming a block.",
        )
    if len(identifier) > 2 * MAX_IDENTIFIER_BYTES:
        raise Policy(
            "STATE_IDENTIFIER",
            found=f"{len(identifier) // 2} bytes",
            allowed=f"at most {MAX_IDENTIFIER_BYTES} bytes",
        )
    return to_form(chain.prove(namespace_named(namespace), bytes.fromhex(identifier)))


METHODS = (state_proof,)
