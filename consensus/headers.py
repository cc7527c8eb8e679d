"""Header rules.  Spec: [HDR-*].  Pure: no clock, no disk, no network."""

from __future__ import annotations

from chain.blocks import HEADER_VERSION, Header
from chain.errors import Invalid, TooEarly
from consensus.difficulty import next_target
from genesis.spec import ChainSpec


def check_header(header: Header, parent: Header, genesis: Header, spec: ChainSpec) -> None:
    """Refuse a header that can never follow `parent`.

    Checks, cheapest first: a) version and chain id  b) linkage  c) time  d) target.

    Raises:
        Invalid: HDR_VERSION, HDR_CHAIN, HDR_LINK, HDR_TIME or HDR_TARGET.
    """
    if header.version != HEADER_VERSION:  # [HDR-VERSION]
        raise Invalid("HDR_VERSION", found=header.version, allowed=HEADER_VERSION)
    if header.chain_id != spec.chain_id:  # [HDR-CHAIN]
        raise Invalid(
            "HDR_CHAIN", found=header.chain_id.decode(errors="replace"), allowed=spec.chain_id.decode()
        )
    if header.parent != parent.id or header.height != parent.height + 1:  # [HDR-LINK]
        raise Invalid("HDR_LINK", found=f"height {header.height} on {header.parent.hex()}", allowed=parent.id)
    if header.time_ms <= parent.time_ms:  # [HDR-TIME-1]
        raise Invalid("HDR_TIME", found=header.time_ms, allowed=f"later than {parent.time_ms}")
    target = next_target(spec, genesis, parent)
    if header.target != target:  # [HDR-TARGET]
        raise Invalid("HDR_TARGET", found=header.target, allowed=target)


def check_clock(header: Header, now_ms: int, spec: ChainSpec) -> None:
    """A block from too far ahead is held until its time comes, never called invalid [HDR-TIME-2].

    Raises: TooEarly HDR_FUTURE.
    """
    latest = now_ms + spec.pace.max_future_ms
    if header.time_ms > latest:
        raise TooEarly("HDR_FUTURE", found=header.time_ms, allowed=f"at most {latest}")
