"""What a field means, in words, beside its wire type: `Annotated[Grains, U63, Doc("how much is moved")]`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Doc:
    """The meaning of a field; codecs pass over it, manuals and command lines show it."""

    text: str
