"""Which asset a person means: an id, its first digits, or the title of one of the person's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chain.errors import Missing, Policy

if TYPE_CHECKING:
    from chain.types import AssetId
    from node.rpc.client import RpcClient


SHORT = 16
"""Digits of an id in tables: too many for somebody to make another asset with the same ones."""
_ALLOWED = "an id, at least its first 8 digits, or the title of an asset of your own"


def asset_named(client: RpcClient, text: str, owner: str | None = None) -> AssetId:
    """The one asset that is meant; titles count if they are of an asset of `owner`.

    Raises: Missing ASSET_UNKNOWN; Policy ASSET_AMBIGUOUS, ASSET_SEARCH if there are too many assets to be sure.
    """
    from chain.types import AssetId

    if len(text) == 64 and _is_hex(text):
        return AssetId(bytes.fromhex(text))
    found = client.call("asset_find", text=text, owner=owner)
    ids = [form["id"] for form in found["assets"]]
    if len(ids) > 1:
        raise Policy(
            "ASSET_AMBIGUOUS",
            found=f"{text} is {', '.join(ids)}",
            allowed=_ALLOWED,
            hint="Write more digits.",
        )
    if not found["complete"]:
        raise Policy(
            "ASSET_SEARCH",
            found=f"{text}, on a chain with more assets than are looked through for a name",
            allowed="the whole id",
        )
    if not ids:
        raise Missing("ASSET_UNKNOWN", found=text, allowed=_ALLOWED, hint="See `tilework model list`.")
    return AssetId(bytes.fromhex(ids[0]))


def _is_hex(text: str) -> bool:
    return all(letter in "0123456789abcdefABCDEF" for letter in text)
