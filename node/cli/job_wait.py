"""Following a job to its end, one line per thing that happens to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chain.errors import Missing
from node.amounts import tile
from node.cli.errors import unfulfilled

if TYPE_CHECKING:
    from node.rpc.client import RpcClient

POLL_S = 0.5
_ENDS = {
    "CANCELLED": "its payer took it back",
    "EXPIRED": "no provider claimed it in time; offer a higher price, or run a provider yourself",
    "LATE": "its provider did not deliver in time; the escrow went back, the provider paid a penalty",
    "VOID": "its committee did not approve the result; the escrow went back, the provider paid a penalty",
    "SLASHED": "its provider was proved to have committed a wrong result; the payer was refunded, the bond is gone",
}


def follow(client: RpcClient, identity: str, timeout_s: int, say: Callable[[str], None]) -> dict[str, Any]:
    """The job once it has settled.

    Raises: CommandFailed (exit 4) if it ends otherwise or does not end in time; Missing JOB_UNKNOWN if it never opens.
    """
    deadline = time.monotonic() + timeout_s
    told: list[dict[str, Any]] = []
    while True:
        form = _look(client, identity)
        if form is not None:
            for entry in form["timeline"]:
                if entry not in told:  # a reorganisation may replace entries: what is new is told again
                    told.append(entry)
                    say(event_line(entry, form))
            if form["status"] == "SETTLED":
                return form
            if form["terminal"]:
                raise unfulfilled(f"JOB_{form['status']}: {_ENDS[form['status']]}.")
        if time.monotonic() > deadline:
            if form is None:
                client.call("job_get", id=identity)  # the node's own words about an unknown job
            status = form["status"] if form is not None else "UNKNOWN"
            raise unfulfilled(
                f"JOB_TIMEOUT: still {status} after {timeout_s} s. Go on with `tilework job wait {identity}`."
            )
        time.sleep(POLL_S)


def event_line(entry: dict[str, Any], form: dict[str, Any]) -> str:
    """One event of a job in words."""
    return f"block {entry['height']}: {_words(entry, form)}"


def _look(client: RpcClient, identity: str) -> dict[str, Any] | None:
    """The job, or None while its opening transaction waits for a block."""
    try:
        found: dict[str, Any] = client.call("job_get", id=identity)
    except Missing as error:
        if error.code != "JOB_UNKNOWN":
            raise
        return None
    return found


def _words(entry: dict[str, Any], form: dict[str, Any]) -> str:
    match entry["event"]:
        case "JobOpened":
            return f"opened, {tile(entry['escrow_grains'])} in escrow"
        case "JobClaimed":
            return f"claimed by {entry['provider']} with a bond of {tile(entry['bond_grains'])}"
        case "JobCommitted":
            return f"result committed, root {entry['result_root'][:16]}…; the committee is drawn from later blocks"
        case "CommitteeDrawn":
            members = ", ".join(_short(seat["member"]) for seat in form["seats"])
            return f"committee drawn by stake: {members}"
        case "Attested" if entry["phase"] == "COMMIT":
            return f"{_short(entry['member'])} checked the result and sealed its verdict"
        case "Attested":
            return (
                f"{_short(entry['member'])} says {entry['verdict'].lower()} ({form['quorum']} ok are needed)"
            )
        case "BlockBound":
            return "won by this job's own product"
        case "ChallengeUpheld":
            return f"proved wrong by {entry['prover']}, who earns {tile(entry['reward_grains'])}"
        case "JobSettled":
            return (
                f"settled: provider {tile(entry['paid_grains'])}, committee {tile(entry['committee_grains'])}, burned "
                f"{tile(entry['burned_grains'])}, bonus {tile(entry['bonus_grains'])}, "
                f"refunded {tile(entry['refund_grains'])}"
            )
        case "JobRefunded":
            return f"{entry['status'].lower()}: {tile(entry['refund_grains'])} back to the payer"
        case "JobSlashed":
            return (
                f"slashed: bond of {tile(entry['bond_grains'])} gone ({tile(entry['burned_grains'])} burned), "
                f"{tile(entry['payer_grains'])} to the payer"
            )
        case name:
            return str(name)


def _short(address: str) -> str:
    return f"{address[:14]}…{address[-4:]}"
