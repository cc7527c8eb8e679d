"""Work from a node that is asked over RPC, by long polls; a node that goes away is waited for."""

from __future__ import annotations

import logging

from chain.errors import LocalFault, Policy, TileworkError
from node.mining.pause import GrowingPause
from node.mining.work import Outcome, Submission, Work
from node.mining.work_forms import parse_submission, parse_work
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

    def __init__(self, client: AsyncRpcClient, genesis: str, address: str, clock: Clock) -> None:
        """`genesis` is the id of the network's first block; a node of another one is refused."""
        self._client = client
        self._genesis = genesis
        self._address = address
        self._clock = clock
        self._is_away = False

    async def newest(self, after: int = 0) -> Work | None:
        """See `WorkSource`; None as soon as the node does not answer, and the next call waits until it does.

        Raises:
            Policy: WORK_NETWORK, WORK_RULES, WORK_PROFILE if the node has become one that cannot be mined for.
            Invalid: WORK_TEMPLATE if it hands out work for somebody else, or no work at all.
            TileworkError: another refusal of the node.
        """
        pause = GrowingPause(FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
        while True:
            try:
                if self._is_away:
                    await self._return()
                form = await self._client.call(
                    "work_template", address=self._address, after=after, wait_ms=WAIT_MS
                )
            except TileworkError as error:
                if error.code not in _AWAY:
                    raise
                if not self._is_away:
                    log.warning("node-away url=%s why=%s", self._client.url, error)
                    self._is_away = True
                if after:
                    return None
                await self._clock.sleep_ms(pause.take())
                continue
            work = parse_work(form, self._address)
            if work.version != after:
                return work

    async def submit(self, version: int, certificate: bytes) -> Submission:
        """See `WorkSource`.  Raises: LocalFault NODE_UNREACHABLE if the node has gone."""
        for attempt in range(_DELIVERIES):
            if attempt:
                await self._clock.sleep_ms(FIRST_PAUSE_MS)
            try:
                form = await self._client.call("work_submit", version=version, certificate=certificate.hex())
                return parse_submission(form)
            except LocalFault as fault:
                failed = fault
            except TileworkError as error:
                return Submission(Outcome.REFUSED, str(error))
        raise failed

    async def _return(self) -> None:
        """Raises: Policy WORK_NETWORK if another network answers now."""
        info = await self._client.call("node_info")
        genesis = str(info.get("genesis"))
        if genesis != self._genesis:
            raise Policy(
                "WORK_NETWORK",
                found=f"genesis {genesis[:16]} at {self._client.url}",
                allowed=f"genesis {self._genesis[:16]}, as before",
                hint="Another network uses this port now: start the miner again.",
            )
        log.info("node-back url=%s", self._client.url)
        self._is_away = False
