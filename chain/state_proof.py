"""A proof about the state standing alone: its file form, and its check against a header.  Pure.  Spec: [STATE-FILE].

Nothing but bytes is needed: no store, no node, no network. What the check shows is true of the header inside the
file; that this header belongs to the chain one follows is for the reader to know, by its block id.

In JSON, integers are numbers and bytes are hex. A file has one form: the fields that follow from others, and the bytes
of the text, must be the ones that writing it again gives, so no bit of a file can change unnoticed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from chain.blocks import Header
from chain.errors import Invalid
from chain.ledger import Namespace, state_key
from chain.state.proofs import (
    MAX_PROOF_BYTES,
    AbsenceProof,
    InclusionProof,
    verify_absence,
    verify_inclusion,
)
from chain.types import StateKey

FORMAT = "tilework-state-proof-1"
MAX_IDENTIFIER_BYTES = 64
"""The longest identifier of a namespace is a digest of 32 bytes."""
MAX_FILE_BYTES = 2 * (MAX_PROOF_BYTES + Header.MAX_BYTES + MAX_IDENTIFIER_BYTES) + 2048
"""Hex of the largest parts, and the rest of the text."""


@dataclass(frozen=True, slots=True)
class StateProof:
    """That the state after a block holds a value, or nothing, under an identifier of a namespace."""

    header: Header
    namespace: Namespace
    identifier: bytes
    proof: InclusionProof | AbsenceProof

    @property
    def key(self) -> StateKey:
        return state_key(self.namespace, self.identifier)

    @property
    def value(self) -> bytes | None:
        """The value shown, canonical bytes of a record; None if absence is shown."""
        return self.proof.value if isinstance(self.proof, InclusionProof) else None

    def check(self) -> None:
        """Follow the proof to the state root in the header.  Raises: Invalid STATE_PROOF_ROOT."""
        root = self.header.state_root
        if isinstance(self.proof, InclusionProof):
            holds = verify_inclusion(root, self.key, self.proof)
        else:
            holds = verify_absence(root, self.key, self.proof)
        if not holds:
            raise Invalid(
                "STATE_PROOF_ROOT",
                found="a path that does not lead there",
                allowed=f"state root {root.hex()} of block {self.header.height}",
            )


def to_form(proof: StateProof) -> dict[str, Any]:
    """The fields of the file, in their order; RPC answers with the same."""
    return {
        "format": FORMAT,
        "chain_id": proof.header.chain_id.decode(errors="replace"),
        "height": proof.header.height,
        "block": proof.header.id.hex(),
        "header": proof.header.to_bytes().hex(),
        "namespace": proof.namespace.name.lower(),
        "identifier": proof.identifier.hex(),
        "key": proof.key.hex(),
        "present": proof.value is not None,
        "proof": proof.proof.to_bytes().hex(),
    }


def to_json(proof: StateProof) -> bytes:
    """The one text of a proof."""
    return text_of(to_form(proof))


def text_of(form: dict[str, Any]) -> bytes:
    """The text of a form."""
    return (json.dumps(form, indent=1) + "\n").encode("ascii")


def parse(data: bytes) -> StateProof:
    """Read a file; the proof in it is still to be checked.

    Raises:
        Invalid: STATE_PROOF_SIZE, STATE_PROOF_FORM (the text), STATE_PROOF_FIELD (a field that is missing, no hex or
            contradicts another, which is named), ENC_* (header or proof).
    """
    if len(data) > MAX_FILE_BYTES:
        raise Invalid("STATE_PROOF_SIZE", found=f"{len(data)} bytes", allowed=f"at most {MAX_FILE_BYTES}")
    given = _object(data)
    present = given.get("present")
    if type(present) is not bool:
        raise _field("present", _short(present), "true or false")
    proof = StateProof(
        header=Header.from_bytes(_bytes(given, "header")),
        namespace=_namespace(given),
        identifier=_bytes(given, "identifier"),
        proof=(InclusionProof if present else AbsenceProof).from_bytes(_bytes(given, "proof")),
    )
    if len(proof.identifier) > MAX_IDENTIFIER_BYTES:
        raise _field("identifier", f"{len(proof.identifier)} bytes", f"at most {MAX_IDENTIFIER_BYTES} bytes")
    form = to_form(proof)
    for name, value in form.items():
        if given.get(name) != value:
            raise _field(name, _short(given.get(name)), _short(value))
    if text_of(form) != data:
        raise Invalid(
            "STATE_PROOF_FORM",
            found="other fields, spaces or letters than this proof is written with",
            allowed="the bytes as `tilework proof account` wrote them",
        )
    return proof


def namespace_named(name: str) -> Namespace:
    """The namespace of a name in lower case.  Raises: Invalid STATE_PROOF_FIELD."""
    for namespace in Namespace:
        if namespace.name.lower() == name:
            return namespace
    names = ", ".join(namespace.name.lower() for namespace in Namespace)
    raise _field("namespace", _short(name), names)


def _object(data: bytes) -> dict[str, Any]:
    try:
        given = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Invalid("STATE_PROOF_FORM", found="no JSON", allowed="one JSON object") from error
    if not isinstance(given, dict):
        raise Invalid("STATE_PROOF_FORM", found="JSON that is no object", allowed="one JSON object")
    return given


def _bytes(given: dict[str, Any], name: str) -> bytes:
    text = given.get(name)
    try:
        if isinstance(text, str):
            return bytes.fromhex(text)
    except ValueError:
        pass
    raise _field(name, _short(text), "hexadecimal digits")


def _namespace(given: dict[str, Any]) -> Namespace:
    name = given.get("namespace")
    return namespace_named(name if isinstance(name, str) else "")


def _field(name: str, found: str, allowed: str) -> Invalid:
    return Invalid("STATE_PROOF_FIELD", found=f"{name} {found}", allowed=allowed)


def _short(value: object) -> str:
    text = str(value) if isinstance(value, str | int | None) else type(value).__name__
    return text if len(text) <= 80 else f"{text[:77]}..."
