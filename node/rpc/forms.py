"""JSON faces of chain objects: lower hex, bech32m addresses, amounts in grains, targets as 0x…  Spec: [RPC-FORM].

Records are shown field by field from their declared wire types, so a new transaction kind needs no code here.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from chain.bech32m import encode_address
from chain.blocks import Block, Event, Header, Receipt
from chain.codec import BigUint, Blob, Nested, Raw, Record, Seq, WireType, layout
from chain.errors import Invalid
from chain.types import NO_ADDRESS, NO_JOB, Address
from compute.spec.certificate import Certificate
from consensus.events import described
from vm.envelope import Transaction
from vm.kinds.batch import OperationField
from vm.registry import kind_named

Json = dict[str, Any]
LONG_BYTES = 256
"""Longer byte strings inside decoded records are shown by their size; the raw form has them."""


def address_form(prefix: str, address: bytes) -> str | None:
    """An address as text; null for the zero address, which stands for nobody."""
    return encode_address(prefix, Address(address)) if address != NO_ADDRESS else None


def record_form(record: Record, prefix: str) -> Json:
    """A record as an object of its fields."""
    return {name: _value(kind, getattr(record, name), prefix) for name, kind in layout(type(record))}


def header_form(header: Header, prefix: str) -> Json:
    """A header, with its id and a readable chain id."""
    form = record_form(header, prefix)
    return {"id": header.id.hex(), **form, "chain_id": header.chain_id.decode(errors="replace")}


def event_form(event: Event, prefix: str) -> Json:
    """An event with named fields."""
    return {"event": event.name, **record_form(described(event), prefix)}


def receipt_form(receipt: Receipt, prefix: str) -> Json:
    """What a transaction did: an empty code means success."""
    return {
        "code": receipt.code,
        "weight": receipt.weight,
        "burned_grains": receipt.burned_grains,
        "tip_grains": receipt.tip_grains,
        "events": [event_form(event, prefix) for event in receipt.events],
    }


def transaction_form(data: bytes, prefix: str) -> Json:
    """A transaction with its body decoded by kind."""
    transaction = Transaction.from_bytes(data)
    body = kind_named(transaction.kind).body.from_bytes(transaction.body)
    return {
        "id": transaction.id.hex(),
        "kind": transaction.kind,
        "sender": address_form(prefix, transaction.sender),
        "nonce": transaction.nonce,
        "max_fee_grains": transaction.max_fee_grains,
        "tip_grains": transaction.tip_grains,
        "valid_until": transaction.valid_until,
        "size_bytes": len(data),
        "body": record_form(body, prefix),
    }


def certificate_form(data: bytes) -> Json | None:
    """What a block's proof of work says of itself; null for genesis."""
    if not data:
        return None
    try:
        proof = Certificate.from_bytes(data)
    except Invalid:
        return {"size_bytes": len(data)}
    mu = proof.mu
    bound = mu.binding.job != NO_JOB
    return {
        "size_bytes": len(data),
        "profile_id": mu.profile_id,
        "shape": {"m": mu.m, "n": mu.n, "k": mu.k},
        "tile_row": proof.tile_row,
        "tile_column": proof.tile_column,
        "segment": proof.segment,
        "job": mu.binding.job.hex() if bound else None,
        "step": mu.binding.step if bound else None,
    }


def block_form(block: Block, receipts: tuple[Receipt, ...], prefix: str) -> Json:
    """A whole block; `receipts` is empty for a block outside the canonical chain."""
    transactions = [transaction_form(data, prefix) for data in block.transactions]
    for form, receipt in zip(transactions, receipts[1:], strict=False):
        form["receipt"] = receipt_form(receipt, prefix)
    return {
        "header": header_form(block.header, prefix),
        "certificate": certificate_form(block.certificate),
        "transactions": transactions,
        "votes": len(block.votes),
        "events": [event_form(event, prefix) for event in receipts[0].events] if receipts else [],
    }


def _value(kind: WireType, value: Any, prefix: str) -> Any:
    if isinstance(kind, Nested):
        return record_form(value, prefix)
    if isinstance(kind, Seq):
        return [_value(kind.item, item, prefix) for item in value]
    if isinstance(kind, OperationField):
        return {"kind": value.kind, "body": record_form(value.body, prefix)}
    if isinstance(kind, BigUint):
        return f"{value:#x}"
    if isinstance(kind, Raw) and kind.size == 20:
        return address_form(prefix, value)
    if isinstance(kind, Blob) and len(value) > LONG_BYTES:
        return {"size_bytes": len(value)}
    if isinstance(value, bytes):
        return value.hex()
    return value.name if isinstance(value, IntEnum) else value
