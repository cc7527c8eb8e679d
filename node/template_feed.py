"""Block templates from a node by long poll, for programs that mine with products of their own.

with TemplateFeed(url) as feed:
    product, tickets = multiply(a, b, feed.newest().template)
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

from chain.errors import Invalid, LocalFault, TileworkError
from chain.types import BlockHash
from compute.api import Template
from compute.spec.profiles import PROFILES
from node.mining.work import WORK_RULES, Outcome, Submission
from node.rpc.client import RpcClient

WAIT_MS = 20_000
"""How long a node may hold an answer back while nothing changes."""
_RETRY_S = 1.0
_TIMEOUT_S = WAIT_MS / 1000 + 10


class Caller(Protocol):
    """What a feed needs of a client."""

    def call(self, name: str, **parameters: Any) -> Any: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class NodeTemplate:
    """One version of the block that the node would build now."""

    version: int
    height: int
    block_time_ms: int
    template: Template


class TemplateFeed:
    """The newest template, kept new by a thread of its own for as long as the feed is open."""

    def __init__(
        self,
        url: str,
        address: str | None = None,
        client: Callable[[str], Caller] = lambda url: RpcClient(url, timeout_s=_TIMEOUT_S),
    ) -> None:
        """`address` earns the reward; the node's own does if there is none."""
        self.url = url
        self._poller, self._submitter = client(url), client(url)
        self._address = {} if address is None else {"address": address}
        self._closing = threading.Event()
        self._arrived = threading.Condition()
        self._thread = threading.Thread(target=self._poll, name="templates", daemon=True)
        self._newest: NodeTemplate | None = None
        self.fault: TileworkError | None = None
        """Why the last poll failed; None while the node answers."""

    def __enter__(self) -> Self:
        """Fetch the first template.  Raises: LocalFault NODE_UNREACHABLE, or the node's refusal."""
        try:
            self._newest = parse_template(self._submitter.call("work_template", **self._address))
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

    def newest(self) -> NodeTemplate:
        """The last template that arrived."""
        assert self._newest is not None
        return self._newest

    def wait_beyond(self, version: int, timeout_s: float) -> None:
        """Return when another version than `version` has arrived, or after `timeout_s`."""
        with self._arrived:
            self._arrived.wait_for(lambda: self.newest().version != version, timeout_s)

    def submit(self, version: int, certificate: bytes) -> Submission:
        """Hand in a win.  Raises: LocalFault NODE_UNREACHABLE, RPC_ANSWER; the node's refusal to look at it."""
        form = self._submitter.call("work_submit", version=version, certificate=certificate.hex())
        try:
            block = None if form["block"] is None else BlockHash(bytes.fromhex(form["block"]))
            return Submission(outcome=Outcome(form["outcome"]), reason=str(form["reason"]), block=block)
        except (KeyError, TypeError, ValueError) as error:
            raise _misunderstood("what became of a win", error) from error

    def _poll(self) -> None:
        while not self._closing.is_set():
            after = self.newest().version
            try:
                form = self._poller.call("work_template", after=after, wait_ms=WAIT_MS, **self._address)
                newest = parse_template(form)
            except TileworkError as error:
                self.fault = error
                self._closing.wait(_RETRY_S)
                continue
            with self._arrived:
                self._newest, self.fault = newest, None
                self._arrived.notify_all()
        self._poller.close()


def parse_template(form: Any) -> NodeTemplate:
    """What `work_template` answers.

    Raises:
        LocalFault: RPC_ANSWER if that is no template, WORK_RULES if it is one of other rules than ours.
    """
    try:
        if form["work_rules"] != WORK_RULES:
            raise LocalFault(
                "WORK_RULES",
                found=f"a node with version {form['work_rules']} of the rules of the work",
                allowed=f"version {WORK_RULES}",
                hint="Install the release of the node here.",
            )
        return NodeTemplate(
            version=int(form["version"]),
            height=int(form["height"]),
            block_time_ms=int(form["block_time_ms"]),
            template=Template(
                sigma=bytes.fromhex(form["sigma"]),
                target=int(form["target"], 16),
                profile=PROFILES[form["profile_id"]],
            ),
        )
    except (KeyError, TypeError, ValueError, Invalid) as error:
        raise _misunderstood("a template", error) from error


def _misunderstood(expected: str, error: Exception) -> LocalFault:
    return LocalFault(
        "RPC_ANSWER",
        found=f"something else ({error!r})",
        allowed=expected,
        hint="Are the node and this program of one release?",
    )
