"""The one error tree of Tilework.

    TileworkError
    ├── Invalid     the bytes can never be right: permanent, the sender is penalised
    ├── Missing     something we do not hold: ask elsewhere
    ├── TooEarly    may become right later: keep it and retry
    ├── Policy      valid, but unwanted here and now (full pool, low fee, wrong input from a user)
    └── LocalFault  our own disk, key, port, GPU or clock: never punishes a peer

Every error has a stable upper-case `code` (tests, RPC and peers match on it), what was `found`, what was `allowed`, and
where a person reads it, a `hint` that says what to do next.
"""

from __future__ import annotations


class TileworkError(Exception):
    """Base of every expected failure; `code` is stable, the text is for people."""

    __slots__ = ("allowed", "code", "found", "hint")

    def __init__(self, code: str, *, found: object = None, allowed: object = None, hint: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.found = found
        self.allowed = allowed
        self.hint = hint

    def __str__(self) -> str:
        text = self.code
        if self.found is not None:
            text += f": found {_shown(self.found)}"
        if self.allowed is not None:
            text += f"{',' if self.found is not None else ':'} allowed {_shown(self.allowed)}"
        return f"{text}. {self.hint}" if self.hint else text


class Invalid(TileworkError):
    """Can never be right, whatever else becomes known; a peer that sent it is penalised."""


class Missing(TileworkError):
    """Not held here (block, state, tensor, job); another peer may have it."""


class TooEarly(TileworkError):
    """Not acceptable yet; keep it and try again later (a block from the future, an orphan)."""


class Policy(TileworkError):
    """Well formed, but not wanted by this node or not possible in the present state."""


class LocalFault(TileworkError):
    """A fault of this machine or its set-up; no peer is to blame."""


def _shown(value: object) -> str:
    """Bytes as hex, anything else as text in which a peer's control characters are only named."""
    text = value.hex() if isinstance(value, bytes) else str(value)
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )
