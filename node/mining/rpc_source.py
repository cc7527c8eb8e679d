"""Work from a node that is asked over RPC, by long polls; a node that goes away is waited for."""

from __future__ import annotations

import logging
from typing import Any

from chain.blocks import Header
from chain.codec import unpack
from chain.errors import Invalid, LocalFault, Policy, TileworkError
from chain.types import ZERO_HASH, Address, BlockHash, Hash32
from compute.messages import MAX_SIGMA_BYTES
from compute.spec.profiles import PROFILES
from node.mining.work import WORK_RULES, Outcome, Submission, Work
from node.ports import Clock
from node.rpc.client import AsyncRpcClient

log = logging.getLogger("tilework.miner")
WAIT_MS = 20_000
"""Of a long poll; the connection has to wait a little longer."""
FIRST_PAUSE_MS = 1_000
LONGEST_PAUSE_MS = 15_000
_DELIVERIES = 3
"""Attempts to hand in a win: a connection may break without the node having gone."""
_AWAY = ("NODE_UNREACHABLE", "RPC_ANSWER", "RPC_ERROR", "RPC_INTERNAL", "WORK_WAITING")


class RpcSource:
    """One node, one address that earns the coinbase."""

    def __init__(
        self, client: AsyncRpcClient, genesis: str, address: Address, address_text: str, clock: Clock
    ) -> None:
        """`genesis` is the id of the network's first block; a node of another one is refused."""
        self._client = client
        self._genesis = genesis
        self._address = address
        self._address_text = address_text
        self._clock = clock
        self._is_away = False

    async def newest(self, after: int = 0) -> Work | None:
        """See `WorkSource`; None as soon as the node does not answer, and the next call waits until it does.

        Raises:
            Policy: WORK_NETWORK, WORK_RULES, WORK_PROFILE if the node has become one that cannot be mined for.
            Invalid: WORK_TEMPLATE if it hands out work for somebody else, or no work at all.
            TileworkError: another refusal of the node.
        """
        pause_ms = FIRST_PAUSE_MS
        while True:
            try:
                if self._is_away:
                    await self._return()
                form = await self._client.call(
                    "work_template", address=self._address_text, after=after, wait_ms=WAIT_MS
                )
            except TileworkError as error:
                if error.code not in _AWAY:
                    raise
                if not self._is_away:
                    log.warning("node-away url=%s why=%s", self._client.url, error)
                    self._is_away = True
                if after:
                    return None
                await self._clock.sleep_ms(pause_ms)
                pause_ms = min(2 * pause_ms, LONGEST_PAUSE_MS)
                continue
            work = self._checked(form)
            if work.version != after:
                return work

    async def submit(self, version: int, certificate: bytes) -> Submission:
        """See `WorkSource`.  Raises: LocalFault NODE_UNREACHABLE if the node has gone."""
        for attempt in range(_DELIVERIES):
            if attempt:
                await self._clock.sleep_ms(FIRST_PAUSE_MS)
            try:
                form = await self._client.call("work_submit", version=version, certificate=certificate.hex())
            except LocalFault as fault:
                failed = fault
                continue
            except TileworkError as error:
                return Submission(Outcome.REFUSED, str(error))
            block = BlockHash(bytes.fromhex(form["block"])) if form["block"] else None
            return Submission(Outcome(form["outcome"]), form["reason"], block)
        raise failed

    async def _return(self) -> None:
        """Raises: Policy WORK_NETWORK if another network answers now."""
        info = await self._client.call("node_info")
        if info["genesis"] != self._genesis:
            raise Policy(
                "WORK_NETWORK",
                found=f"genesis {info['genesis'][:16]} at {self._client.url}",
                allowed=f"genesis {self._genesis[:16]}, as before",
                hint="Another network uses this port now: start the miner again.",
            )
        log.info("node-back url=%s", self._client.url)
        self._is_away = False

    def _checked(self, form: dict[str, Any]) -> Work:
        """The template, if it is one, and for us."""
        try:
            return self._parsed(form)
        except (KeyError, TypeError, ValueError) as error:
            raise Invalid(
                "WORK_TEMPLATE", found=repr(error), allowed="the answer of work_template"
            ) from error

    def _parsed(self, form: dict[str, Any]) -> Work:
        if form["work_rules"] != WORK_RULES:
            raise Policy(
                "WORK_RULES",
                found=f"a node with work rules {form['work_rules']}",
                allowed=str(WORK_RULES),
                hint="Use the node and the miner of one release.",
            )
        if form["profile_id"] not in PROFILES:
            allowed = ", ".join(map(str, PROFILES))
            raise Policy("WORK_PROFILE", found=form["profile_id"], allowed=allowed)
        sigma, target = bytes.fromhex(form["sigma"]), int(form["target"], 16)
        header = header_of(sigma)
        if header.miner != self._address or header.target != target:
            raise Invalid(
                "WORK_TEMPLATE",
                found="a template for another miner or target",
                allowed=self._address_text,
                hint="This node would keep what you win: use another one.",
            )
        return Work(
            version=form["version"],
            sigma=sigma,
            target=target,
            profile_id=form["profile_id"],
            height=header.height,
            parent=header.parent,
            block_time_ms=form["block_time_ms"],
        )


def header_of(sigma: bytes) -> Header:
    """The header that a sigma stands for, its certificate hash zero.  Raises: Invalid WORK_TEMPLATE, ENC_*."""
    fields = unpack(sigma)
    if len(sigma) > MAX_SIGMA_BYTES or not isinstance(fields, tuple):
        raise Invalid("WORK_TEMPLATE", found=f"{len(sigma)} bytes", allowed="the fields of a header")
    return Header.from_wire((*fields, Hash32(ZERO_HASH)))
