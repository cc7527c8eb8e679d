"""The node's side of mining: templates for whoever works here, and the door for what they win.

A template is renewed when the head moves, when the pool has changed (at most twice per second), and for its time. Who
earns the coinbase is written in the header alone and takes effect one block later, so all addresses share one body.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable

import trio

from chain.blocks import Block
from chain.errors import LocalFault, Policy, TileworkError
from chain.types import Address
from consensus.upgrades import UPGRADE_UNKNOWN
from node.chain import Chain
from node.importer import Importer
from node.mempool import Mempool
from node.mining.work import Outcome, Submission, Work
from node.ports import Clock
from node.producer import Template, build_template

MAX_ADDRESSES = 64
"""Templates are kept for the operator and for so many others, those that asked last."""
MAX_WAITING = 32
"""Long polls at a time; a caller too many is told so instead of waiting unheard."""
REFRESH_MS = 500
"""How often a template takes up new transactions."""
KEPT_TEMPLATES = 64
"""Per address, all on the present head: what slow devices win on an earlier one still counts."""
_TIME_SHARE = 2
"""A template is renewed for its time alone after half a block time: difficulty follows the times in headers."""


class WorkDesk:
    """Templates given out by one node, and wins taken back."""

    def __init__(
        self,
        chain: Chain,
        mempool: Mempool,
        importer: Importer,
        clock: Clock,
        operator: Address,
        announce: Callable[[Block], Awaitable[None]],
    ) -> None:
        self._chain = chain
        self._mempool = mempool
        self._importer = importer
        self._clock = clock
        self._operator = operator
        self._announce = announce
        # Ahead of every number an earlier run of this node gave out, as long as it gave out fewer than 1000 a second.
        self._version = clock.now_ms()
        self._body: Template | None = None
        self._body_ms = 0
        self._pool_version = -1
        self._given: OrderedDict[Address, OrderedDict[int, Template]] = OrderedDict()
        self._waiting = 0

    def current(self, address: Address) -> Work:
        """The newest work for an address, made now if there is none that still stands.

        Raises: LocalFault UPGRADE_UNKNOWN if this release may make no further block.
        """
        now_ms = self._clock.now_ms()
        body = self._current_body(now_ms)
        given = self._given.setdefault(address, OrderedDict())
        self._given.move_to_end(address)
        newest = next(reversed(given.values()), None)
        if newest is None or not self._stands(newest, body, now_ms):
            newest = body.given_to(address, self._next_version(), now_ms)
            given[newest.number] = newest
            self._forget(given)
        return self._work(newest)

    async def newest(self, address: Address, after: int) -> Work:
        """The newest work for an address, as soon as its version is not `after`."""
        while True:
            seen = self._importer.heads.version
            work = self.current(address)
            if work.version != after:
                return work
            with trio.move_on_after(REFRESH_MS / 1000):
                await self._importer.heads.after(seen)

    async def head_moved(self) -> None:
        """Wait for another head than this one."""
        await self._importer.heads.after(self._importer.heads.version)

    async def poll(self, address: Address, after: int, wait_ms: int) -> Work:
        """The same for a caller who waits at most `wait_ms`, and gets the old version again if nothing is new.

        Raises:
            Policy: WORK_WAITING if too many wait already.
        """
        work = self.current(address)
        if work.version != after or not wait_ms:
            return work
        if self._waiting >= MAX_WAITING:
            raise Policy(
                "WORK_WAITING",
                found=f"{self._waiting} waiting callers",
                allowed=f"at most {MAX_WAITING}",
                hint="Ask again with wait_ms 0, or share one connection between devices.",
            )
        self._waiting += 1
        try:
            with trio.move_on_after(wait_ms / 1000):
                work = await self.newest(address, after)
        finally:
            self._waiting -= 1
        return work

    async def submit(self, version: int, certificate: bytes) -> Submission:
        """Make a block of a win, import it and tell the network."""
        template = self._template(version)
        if template is None or template.header.parent != self._chain.head.id:
            return Submission(Outcome.STALE)
        block = template.sealed(certificate)
        try:
            change = await self._importer.take(block)
        except TileworkError as error:
            return Submission(Outcome.REFUSED, str(error))
        await self._announce(block)
        if change is None:
            return Submission(Outcome.STALE)
        return Submission(Outcome.ACCEPTED, block=block.id)

    def _current_body(self, now_ms: int) -> Template:
        """A template on the head that knows everything that waits, or waited half a second ago."""
        body, pool = self._body, self._mempool.version
        if body is not None and body.header.parent == self._chain.head.id:
            if pool == self._pool_version or now_ms - self._body_ms < REFRESH_MS:
                return body
            renewed = self._build(now_ms)
            # The pool changed, but nothing that fits into this block.
            self._body = body if renewed.transactions == body.transactions else renewed
        else:
            # On the earlier head nobody can win any more.
            self._given.clear()
            self._body = self._build(now_ms)
        self._body_ms, self._pool_version = now_ms, pool
        return self._body

    def _build(self, now_ms: int) -> Template:
        return build_template(self._chain, self._mempool, self._operator, self._next_version(), now_ms)

    def _stands(self, template: Template, body: Template, now_ms: int) -> bool:
        is_young = now_ms - template.header.time_ms < self._chain.spec.pace.block_time_ms // _TIME_SHARE
        return is_young and template.transactions is body.transactions

    def _next_version(self) -> int:
        self._version += 1
        return self._version

    def _forget(self, given: OrderedDict[int, Template]) -> None:
        while len(given) > KEPT_TEMPLATES:
            given.popitem(last=False)
        while len(self._given) > MAX_ADDRESSES + (self._operator in self._given):
            del self._given[next(address for address in self._given if address != self._operator)]

    def _template(self, version: int) -> Template | None:
        return next((given[version] for given in self._given.values() if version in given), None)

    def _work(self, template: Template) -> Work:
        header = template.header
        return Work(
            version=template.number,
            sigma=header.sigma(),
            target=header.target,
            profile_id=self._chain.spec.profile_id,
            height=header.height,
            parent=header.parent,
            block_time_ms=self._chain.spec.pace.block_time_ms,
        )


class LocalSource:
    """The desk as the node's own miner sees it."""

    def __init__(self, desk: WorkDesk, address: Address) -> None:
        self._desk = desk
        self._address = address

    async def newest(self, after: int = 0) -> Work:
        """See `WorkSource`; there always is work, but for a release that may make no further block: that waits."""
        while True:
            try:
                return await self._desk.newest(self._address, after)
            except LocalFault as fault:
                if fault.code != UPGRADE_UNKNOWN:
                    raise
            await self._desk.head_moved()

    async def submit(self, version: int, certificate: bytes) -> Submission:
        """See `WorkDesk.submit`."""
        return await self._desk.submit(version, certificate)
