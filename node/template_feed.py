"""Block templates from a node by long poll, for programs that mine with products of their own.

with TemplateFeed(url) as feed:
    product, tickets = multiply(a, b, template_of(feed.newest()))
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self

from chain.errors import TileworkError
from compute.api import Template
from compute.spec.profiles import PROFILES
from node.mining.work import Submission, Work
from node.mining.work_forms import parse_submission, parse_work
from node.rpc.client import RpcClient

WAIT_MS = 20_000
"""How long a node may hold an answer back while nothing changes."""
_RETRY_S = 1.0
_TIMEOUT_S = WAIT_MS / 1000 + 10


class Caller(Protocol):
    """What a feed needs of a client."""

    def call(self, name: str, **parameters: Any) -> Any: ...

    def close(self) -> None: ...


class TemplateFeed:
    """The newest template, kept new by a thread of its own for as long as the feed is open."""

    def __init__(
        self,
        url: str,
        address: str | None = None,
        client: Callable[[str], Caller] = lambda url: RpcClient(url, timeout_s=_TIMEOUT_S),
    ) -> None:
        """`address` earns the rewards; the node's own account does if there is none."""
        self.url = url
        self._poller, self._submitter = client(url), client(url)
        self._address = address
        self._closing = threading.Event()
        self._arrived = threading.Condition()
        self._thread = threading.Thread(target=self._poll, name="templates", daemon=True)
        self._newest: Work | None = None
        self.fault: TileworkError | None = None
        """Why the last poll failed; None while the node answers."""

    def __enter__(self) -> Self:
        """Fetch the first template.

        Raises: LocalFault NODE_UNREACHABLE, what `parse_work` raises, or the node's refusal.
        """
        try:
            self._newest = self._fetched(self._submitter)
        except BaseException:
            self._poller.close()
            self._submitter.close()
            raise
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Returns at once; the thread ends, and closes its connection, when its last poll is answered."""
        self._closing.set()
        self._submitter.close()

    def newest(self) -> Work:
        """The last template that arrived."""
        assert self._newest is not None
        return self._newest

    def wait_beyond(self, version: int, timeout_s: float) -> None:
        """Return when another version than `version` has arrived, or after `timeout_s`."""
        with self._arrived:
            self._arrived.wait_for(lambda: self.newest().version != version, timeout_s)

    def submit(self, version: int, certificate: bytes) -> Submission:
        """Hand in a win.

        Raises: LocalFault NODE_UNREACHABLE, Invalid WORK_SUBMISSION, or the node's refusal to look at it.
        """
        return parse_submission(
            self._submitter.call("work_submit", version=version, certificate=certificate.hex())
        )

    def _poll(self) -> None:
        while not self._closing.is_set():
            after = self.newest().version
            try:
                newest = self._fetched(self._poller, after=after, wait_ms=WAIT_MS)
            except TileworkError as error:
                self.fault = error
                self._closing.wait(_RETRY_S)
                continue
            with self._arrived:
                self._newest, self.fault = newest, None
                self._arrived.notify_all()
        self._poller.close()

    def _fetched(self, client: Caller, **waiting: int) -> Work:
        return parse_work(client.call("work_template", address=self._address, **waiting), self._address)


def template_of(work: Work) -> Template:
    """What `compute.multiply` takes."""
    return Template(sigma=work.sigma, target=work.target, profile=PROFILES[work.profile_id])
