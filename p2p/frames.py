"""Frames of the request protocols: one request and one answer per stream.  Pure.  Spec: [NET-FRAME].

    request := length(4, big-endian) | payload
    answer  := reply code(1) | length(4, big-endian) | payload

The receiver knows the limit before it reads a payload byte.  An error's payload is `code NUL text`, both
bounded, and is cleaned before anybody sees it: a peer's words never carry control characters into logs or
terminals.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

from chain.errors import Invalid
from p2p.wire import ERROR_CODE_BYTES, ERROR_TEXT_BYTES

REQUEST_HEAD_BYTES = 4
ANSWER_HEAD_BYTES = 5
MAX_ERROR_BYTES = ERROR_CODE_BYTES + 1 + ERROR_TEXT_BYTES
_CODE_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
UNKNOWN_CODE = "UNKNOWN"


class Reply(Enum):
    """First byte of an answer."""

    OK = 0
    ERROR = 1
    """The handler raised; the payload says what."""
    BUSY = 2
    """Too many requests, from this peer or altogether; come back later."""
    TOO_LARGE = 3
    """The request is over its limit."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer."""

    reply: Reply
    payload: bytes


def request_frame(payload: bytes) -> bytes:
    """A request as it travels; the caller has checked its size."""
    return struct.pack(">I", len(payload)) + payload


def request_length(head: bytes) -> int:
    """Length announced by the first REQUEST_HEAD_BYTES of a request."""
    return int(struct.unpack(">I", head)[0])


def answer_frame(answer: Answer) -> bytes:
    """An answer as it travels; the caller has checked its size."""
    return struct.pack(">BI", answer.reply.value, len(answer.payload)) + answer.payload


def answer_head(head: bytes) -> tuple[Reply, int]:
    """Reply code and length announced by the first ANSWER_HEAD_BYTES of an answer.

    Raises:
        Invalid: NET_REPLY_CODE.
    """
    code, length = struct.unpack(">BI", head)
    try:
        return Reply(code), int(length)
    except ValueError:
        raise Invalid("NET_REPLY_CODE", found=code, allowed="0 to 3") from None


def error_answer(code: str, text: str) -> Answer:
    """An ERROR answer for the asker to read."""
    payload = _clean_code(code).encode() + b"\0" + _clean_text(text).encode()[:ERROR_TEXT_BYTES]
    return Answer(Reply.ERROR, payload)


def read_error(payload: bytes) -> tuple[str, str]:
    """Code and text of an ERROR answer; total, since a peer chose the bytes."""
    code, _, text = payload.partition(b"\0")
    return (
        _clean_code(code.decode("ascii", "replace")),
        _clean_text(text[:ERROR_TEXT_BYTES].decode("utf-8", "ignore")),
    )


def _clean_code(code: str) -> str:
    return code if 0 < len(code) <= ERROR_CODE_BYTES and _CODE_LETTERS.issuperset(code) else UNKNOWN_CODE


def _clean_text(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:ERROR_TEXT_BYTES]
