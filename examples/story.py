"""How the demo talks: short lines, each with the second it was told at, and one sentence per event of a job."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from node.amounts import tile

Json = dict[str, Any]
Names = Mapping[str, str]
_CLEAR_LINE = "\r\x1b[K"
_WIDTH = 120


class Story:
    """Prints lines with the time since the start; on a terminal also a last line that shows that time passes."""

    def __init__(self) -> None:
        self._started_s = time.monotonic()
        self._live = sys.stdout.isatty()

    def elapsed_s(self) -> float:
        return time.monotonic() - self._started_s

    def heading(self, text: str) -> None:
        self._print(f"\n{text}")

    def say(self, text: str) -> None:
        time_told = f"{self.elapsed_s():6.1f} s  "
        self._print(textwrap.fill(text, _WIDTH, initial_indent=time_told, subsequent_indent=" " * 19))

    def command(self, text: str) -> None:
        self._print(f"{self.elapsed_s():6.1f} s  $ {text}")

    def quote(self, text: str) -> None:
        """What a command printed."""
        for line in text.splitlines():
            if line:
                self._print(f"{' ' * 10}{line}")

    def passing(self, text: str) -> None:
        """A line that the next one replaces; not shown where output goes to a file."""
        if self._live:
            print(f"{_CLEAR_LINE}{self.elapsed_s():6.1f} s  {text}", end="", flush=True)

    def _print(self, line: str) -> None:
        print(f"{_CLEAR_LINE if self._live else ''}{line}", flush=True)


def sentences(job: Json, told: list[Json], names: Names) -> Iterator[str]:
    """What a job's timeline tells beyond the entries in `told`, which takes up the new ones.

    A reorganisation may replace entries: what is new is told again. Events that need no sentence are passed over.
    """
    entries = [entry for entry in job["timeline"] if entry not in told]
    told += entries
    for height, group in groupby(entries, key=lambda entry: entry["height"]):
        parts = list(_merged(list(group), job, names))
        if parts:
            yield f"block {height}: {'; '.join(parts)}"


def _merged(entries: list[Json], job: Json, names: Names) -> Iterator[str]:
    """Sentences of one block's events; verdicts revealed and rewards earned together are told together."""
    revealed: dict[str, list[str]] = {}
    provers = [
        names.get(entry["prover"], entry["prover"])
        for entry in entries
        if entry["event"] == "ChallengeUpheld"
    ]
    for entry in entries:
        if entry["event"] == "Attested" and entry["phase"] == "REVEAL":
            revealed.setdefault(entry["verdict"].lower(), []).append(
                names.get(entry["member"], entry["member"])
            )
        elif text := _sentence(entry, job, names):
            yield text
    for verdict, members in revealed.items():
        yield f"checked by {', '.join(members)}: {verdict}"
    if provers:
        yield f"a fraud proof of {', '.join(provers)} shows it, and every node has re-run the proof"


def _sentence(entry: Json, job: Json, names: Names) -> str:
    def name(field: str) -> str:
        return str(names.get(entry[field], entry[field]))

    match entry["event"]:
        case "JobOpened":
            return f"opened by {name('payer')}, who locks {tile(entry['escrow_grains'])}"
        case "JobClaimed":
            return f"claimed by {name('provider')}, who locks a bond of {tile(entry['bond_grains'])}"
        case "JobCommitted":
            return f"multiplied; {name('provider')} commits to result {entry['result_root'][:12]}"
        case "BlockBound":
            return "this block was won by the job's own multiplications"
        case "CommitteeDrawn":
            return "committee drawn: " + ", ".join(
                names.get(seat["member"], seat["member"]) for seat in job["seats"]
            )
        case "JobSettled":
            return "settled"
        case "JobRefunded":
            return f"ends {entry['status']}, {tile(entry['refund_grains'])} go back to {name('payer')}"
    return ""


def settlement_rows(job: Json, names: Names) -> tuple[list[tuple[str, int]], int]:
    """Where the money of an ended job went, and how much there was: the amounts must add up to it."""
    end = job["ending"]
    payer, provider = (names.get(job[role], job[role]) for role in ("payer", "provider"))
    if end["event"] == "JobSettled":
        rows = [
            (provider, end["paid_grains"] + end["bonus_grains"]),
            ("committee", end["committee_grains"]),
            ("treasury", end["treasury_grains"]),
            ("stakers", end["stakers_grains"]),
            ("burned", end["burned_grains"]),
            (f"back to {payer}", end["refund_grains"]),
        ]
        return rows, job["escrow_grains"]
    upheld = [entry for entry in job["timeline"] if entry["event"] == "ChallengeUpheld"]
    provers = ", ".join(names.get(entry["prover"], entry["prover"]) for entry in upheld)
    rows = [
        (f"back to {payer}", end["payer_grains"]),
        (f"{provers} (proof)", end["prover_grains"]),
        ("burned", end["burned_grains"] + job["attest_fees_grains"]),
    ]
    return rows, job["escrow_grains"] + job["bond_grains"]
