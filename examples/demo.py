"""The story of Tilework in two minutes: `make demo`.

Four nodes start as separate processes and found a network. Alice pays it for one layer of a digits classifier and for a
larger product; the multiplications that compute them draw the lottery tickets that make blocks, and a drawn committee
checks the results. Meanwhile a fifth node joins and cheats Bob, and loses its bond to a proof that every node re-runs.

Everything goes through the command line and the RPC that any user has. --keep leaves the network running.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from story import Story, sentences, settlement_rows

from chain.errors import TileworkError
from node.amounts import tile
from node.cli.context import DEVNET_VARIABLE
from node.devnet import launch, processes, record
from node.devnet.environment import process_environment
from node.rpc.client import RpcClient

DIGITS = Path(__file__).resolve().parent / "digits"
DIRECTORY = Path(".devnet-demo")
NODES = 4
LIMIT_S = 175
"""The demo promises less than three minutes; past this something is wrong, and it says what it was waiting for."""
POLL_S = 0.4
CHEAT = "corrupt-result"
MATRICES = {"digits": ("A.npy", "B.npy", "0.005tile"), "strips": ("strips-A.npy", "strips-B.npy", "0.1tile")}
"""Two products: their files, and the most TILE that anybody pays for them."""


class DemoFailed(Exception):
    """The story went another way than it must."""


@dataclass(slots=True)
class Job:
    """A job we follow, and how much of its timeline has been told."""

    label: str
    id: str
    wanted: str
    form: dict[str, Any] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> str:
        return str(self.form.get("status", "SUBMITTED"))


class Demo:
    """The network, its jobs, and what was measured."""

    def __init__(self, directory: Path, block_time_s: float) -> None:
        self.directory = directory
        self.work = directory / "work"
        self.block_time_s = block_time_s
        self.story = Story()
        self.numbers: dict[str, Any] = {}
        self.jobs: dict[str, Job] = {}
        self.fifth: record.NodeEntry | None = None
        self.owns_network = False

    # -- the acts ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """The whole story.  Raises: DemoFailed, TileworkError."""
        self.story.heading(
            f"1. A network of {NODES} nodes: processes with a directory, a key and a database each"
        )
        with self._timed("network_start_s"):
            self._start_network()
        self.story.heading("2. Alice pays for two products of real matrices")
        with self._timed("paid_jobs_s"):
            for script in ("train.py", "strips.py"):
                self._python(script, self.work)
            self._submit("digits", "digits", payer="alice", wanted="SETTLED")
            self._submit("strips", "strips", payer="alice", wanted="SETTLED")
            self._wait_for("COMMITTED", "digits", "strips")
            self.story.heading(f"3. Meanwhile a fifth node joins, and cheats Bob (--fault {CHEAT})")
            with self._timed("cheat_s"):
                cheater = self._start_cheater()
                self._submit("cheated", "digits", payer="bob", wanted="SLASHED", provider=cheater.name)
                self._wait_for("SLASHED", "cheated")
                self._show_fraud_proof(self.jobs["cheated"])
            self.story.heading("4. Back to Alice: the committees reveal, the jobs settle")
            self._wait_for("SETTLED", "digits", "strips")
            self._check_results()
        self.story.heading("5. All five nodes")
        self._check_agreement()

    def _start_network(self) -> None:
        launch.throw_away(self.directory)  # refuses if a network that somebody kept still runs there
        self.owns_network = True
        shown = ["devnet", "up", "-n", str(NODES), "--block-time", f"{self.block_time_s:g}", "--detach"]
        overview = self._tilework(*shown, "--dir", str(self.directory), quiet=True).splitlines()
        first = next(number for number, line in enumerate(overview) if line.startswith("Network"))
        last = next(number for number, line in enumerate(overview) if line.startswith("Account"))
        self.story.quote("\n".join(overview[first:last]))
        self.devnet = record.load(self.directory)
        people = (*self.devnet.nodes, *self.devnet.accounts, self.devnet.spare)
        self.names = {person.address: person.name for person in people}
        self.client = RpcClient(self.devnet.nodes[0].rpc)
        funded = ", ".join(
            f"{account.name} {tile(account.balance_grains)}" for account in self.devnet.accounts
        )
        self.story.quote(f"{len(self.devnet.nodes)} nodes answer; {funded}")

    def _start_cheater(self) -> record.NodeEntry:
        """Start the fifth node, wait until it has caught up, and compare state roots."""
        entry = launch.prepare_spare(self.devnet, self.directory.resolve(), roles="provide")
        join = [node.multiaddr for node in self.devnet.nodes]
        self.story.command(f"tilework node run --fault {CHEAT} --join {join[0][:40]}… …")
        started_s = time.monotonic()
        process = processes.start(entry, processes.node_command(entry, join=join, options=("--fault", CHEAT)))
        self.fifth = replace(entry, pid=process.pid)
        processes.wait_ready(entry, process, started_s + processes.START_TIMEOUT_S)
        goal = self._status(self.client)["height"]
        with RpcClient(entry.rpc) as fifth:
            while (height := self._status(fifth)["height"]) < goal:
                self._look(f"{entry.name} is at block {height} of {goal}")
            root = self._common_state_root([self.client, fifth], goal)
        taken_s = time.monotonic() - started_s
        self.numbers["late_joiner_s"] = round(taken_s, 2)
        self.story.say(
            f"{entry.name} has fetched and checked {goal} blocks {taken_s:.1f} s after its start, "
            f"and agrees on the state root {root[:16]}"
        )
        return entry

    def _show_fraud_proof(self, job: Job) -> None:
        self._show_money(job)
        height = next(e["height"] for e in job.form["timeline"] if e["event"] == "ChallengeUpheld")
        block = self.work / f"block-{height}"
        self._tilework("block", "show", str(height), "--out", str(block), quiet=True)
        checks = self._tilework("block", "verify", str(block), quiet=True).splitlines()
        telling = [line for line in checks if line.startswith(("ok      work ", "ok      fraud proof"))]
        self.story.quote(
            "\n".join(
                [*telling, f"and {len(checks) - len(telling)} more lines, from the block's bytes alone"]
            )
        )

    def _check_results(self) -> None:
        for label in MATRICES:
            job, result = self.jobs[label], self.work / f"{label}-C.npy"
            self._show_money(job)
            tickets = self._tickets(job)
            self.numbers[f"{label}_tickets"] = tickets
            self.story.say(
                f"{label:8} the multiplications that made the product drew {tickets:,} lottery tickets"
                f"{_bound(job.form['bound_blocks'])}"
            )
            self._tilework("job", "result", job.id, "--out", str(result), quiet=True)
        self._python("evaluate.py", self.work, self.work / "digits-C.npy")
        self._python(
            "compare.py", *(self.work / name for name in MATRICES["strips"][:2]), self.work / "strips-C.npy"
        )

    def _check_agreement(self) -> None:
        assert self.fifth is not None
        with ExitStack() as stack:
            clients = [stack.enter_context(RpcClient(node.rpc)) for node in (*self.devnet.nodes, self.fifth)]
            height = min(self._status(client)["height"] for client in clients)
            root = self._common_state_root(clients, height)
        self.story.say(f"agree on block {height} and its state root {root[:16]}")
        self.story.say(self._count_money())
        header = self.client.call("chain_block", id=str(height))["header"]
        genesis = self.client.call("chain_block", id="0")["header"]
        self.numbers["blocks"] = height
        self.numbers["seconds_per_block"] = round((header["time_ms"] - genesis["time_ms"]) / 1000 / height, 2)
        self.numbers["macs_per_second"] = self.devnet.macs_per_second
        everybody = (*self.devnet.nodes, self.fifth)
        self.numbers["memory_mib"] = {node.name: processes.memory_mib(node.pid) for node in everybody}

    # -- jobs -------------------------------------------------------------------------------------------------------

    def _submit(self, label: str, matrices: str, *, payer: str, wanted: str, provider: str = "") -> None:
        a, b, most = MATRICES[matrices]
        command = ["job", "submit", "--a", str(self.work / a), "--b", str(self.work / b), "--max-price", most]
        command += ["--key", payer, *(["--provider", provider] if provider else [])]
        identity = json.loads(self._tilework(*command, "--json", quiet=True))["id"]
        self.jobs[label] = Job(label, identity, wanted)

    def _wait_for(self, status: str, *labels: str) -> None:
        """Tell about all jobs until these have come to `status`.  Raises: DemoFailed if one ends another way."""
        while not all(self._has_reached(self.jobs[label], status) for label in labels):
            self._look(", ".join(f"{job.label} {job.status.lower()}" for job in self.jobs.values()))

    def _has_reached(self, job: Job, status: str) -> bool:
        if job.form.get("terminal") and job.status != job.wanted:
            raise DemoFailed(f"job {job.label} ended {job.status} instead of {job.wanted}")
        return job.status == status or (status == "COMMITTED" and bool(job.form.get("committed_height")))

    def _look(self, waiting: str) -> None:
        """Tell what is new about the jobs, then let a moment pass.  Raises: DemoFailed if the time is up."""
        if self.story.elapsed_s() > LIMIT_S:
            raise DemoFailed(f"not finished after {LIMIT_S} s: {waiting}")
        for job in self.jobs.values():
            self._tell(job)
        self.story.passing(f"block {self._status(self.client)['height']}: {waiting}")
        time.sleep(POLL_S)

    def _tell(self, job: Job) -> None:
        if job.form.get("terminal"):
            return
        try:
            job.form = self.client.call("job_get", id=job.id)
        except TileworkError as error:
            if error.code != "JOB_UNKNOWN":
                raise
            return  # its transaction still waits for a block
        for text in sentences(job.form, job.told, self.names):
            self.story.say(f"{job.label:8} {text}")
        if job.form["terminal"]:
            blocks = job.form["closed_height"] - job.form["opened_height"]
            self.numbers[f"{job.label}_blocks"] = blocks

    def _tickets(self, job: Job) -> int:
        """Lottery tickets the product drew; only the node that computed it knows."""
        provider = next(node for node in self.devnet.nodes if node.address == job.form["provider"])
        with RpcClient(provider.rpc) as client:
            return int(client.call("job_get", id=job.id)["tickets_drawn"])

    def _show_money(self, job: Job) -> None:
        rows, total = settlement_rows(job.form, self.names)
        shown = " + ".join(f"{what} {tile(grains).removesuffix(' TILE')}" for what, grains in rows if grains)
        self.story.say(f"{job.label:8} {tile(total)} locked = {shown}")
        if sum(grains for _, grains in rows) != total:
            raise DemoFailed(f"the money of job {job.label} does not add up: {rows} of {total} grains")

    def _count_money(self) -> str:
        """Every grain ever minted is in an account, locked, waiting, or burned.  Raises: DemoFailed."""
        while True:
            before = self._status(self.client)
            held = sum(
                self.client.call("account_get", address=address)["balance_grains"] for address in self.names
            )
            if self._status(self.client)["head"] == before["head"]:
                break
        supply = dict(before["supply"])
        minted = supply.pop("minted_grains")
        if minted != held + sum(supply.values()):
            raise DemoFailed(f"minted {minted}, found {held} in accounts and {supply}")
        return f"every grain is accounted for: {tile(minted)} minted, {tile(supply['burned_grains'])} of them burned"

    # -- the network ------------------------------------------------------------------------------------------------

    def _status(self, client: RpcClient) -> dict[str, Any]:
        status = client.call("chain_status")
        assert isinstance(status, dict)
        return status

    def _common_state_root(self, clients: Sequence[RpcClient], height: int) -> str:
        """The state root all of them have at a height.  Raises: DemoFailed if they differ."""
        roots = {client.call("chain_block", id=str(height))["header"]["state_root"] for client in clients}
        if len(roots) != 1:
            raise DemoFailed(f"different state roots at block {height}: {', '.join(sorted(roots))}")
        return str(roots.pop())

    def stop(self) -> None:
        """Stop whatever runs and is ours."""
        if not self.owns_network:
            return
        nodes = [self.fifth] if self.fifth is not None else []
        if (self.directory / record.FILE_NAME).exists():
            nodes += record.load(self.directory).nodes
        killed = processes.stop(nodes)
        self.story.say(f"had to kill {', '.join(killed)}" if killed else "all nodes stopped")

    def log_tails(self) -> str:
        """The last words of every node, for a failure that needs an explanation."""
        logs = sorted(self.directory.glob("node-*.log")) if self.owns_network else []
        tails = {log.name: processes.log_tail(log, lines=6) for log in logs}
        return "".join(f"--- {name}\n{tail}\n" for name, tail in tails.items() if tail)

    # -- commands ---------------------------------------------------------------------------------------------------

    def _tilework(self, *arguments: str, quiet: bool = False) -> str:
        self.story.command(f"tilework {shlex.join(_shortened(arguments))}")
        return self._run([sys.executable, "-m", "node.cli.main", *arguments], quiet)

    def _python(self, script: str, *paths: Path) -> None:
        self.story.command(f"python {shlex.join(['examples/digits/' + script, *map(str, paths)])}")
        self._run([sys.executable, str(DIGITS / script), *map(str, paths)], quiet=False)

    def _run(self, command: Sequence[str], quiet: bool) -> str:
        environment = {**process_environment(), DEVNET_VARIABLE: str(self.directory)}
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode or not quiet:
            self.story.quote(done.stdout)
        if done.returncode:
            raise DemoFailed(f"the command above ended with {done.returncode}")
        return done.stdout

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        started_s = time.monotonic()
        yield
        self.numbers[name] = round(time.monotonic() - started_s, 2)


def _bound(blocks: int) -> str:
    """How many of a product's tickets won a block; usually none, since a small product draws few."""
    return f", and won {blocks} block{'s'[: blocks != 1]}" if blocks else ""


def _shortened(arguments: Sequence[str]) -> list[str]:
    """Long ids and addresses as people read them."""
    return [f"{text[:14]}…" if len(text) > 40 and "/" not in text else text for text in arguments]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dir", type=Path, default=DIRECTORY, help=f"where the network lives (default {DIRECTORY})"
    )
    parser.add_argument("--block-time", type=float, default=2.0, help="seconds per block (default 2)")
    parser.add_argument("--keep", action="store_true", help="leave the network running at the end")
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):  # a polite kill and a closed terminal are a Ctrl-C
        signal.signal(number, signal.default_int_handler)
    demo = Demo(options.dir, options.block_time)
    raise SystemExit(tell(demo, keep=options.keep, report=options.json))


def tell(demo: Demo, *, keep: bool, report: Path | None) -> int:
    """Run the story, leave nothing running unless asked to; returns the exit code."""
    reason = ""
    try:
        demo.run()
    except (DemoFailed, TileworkError) as error:
        reason = str(error)
    except KeyboardInterrupt:
        reason = "interrupted"
    finally:
        if reason or not keep or sys.exc_info()[0] is not None:
            demo.stop()
    total_s = demo.story.elapsed_s()
    if reason:
        print(f"\nThe demo failed: {reason}\n{demo.log_tails()}", end="", file=sys.stderr)
        return 1
    demo.numbers["total_s"] = round(total_s, 2)
    if report is not None:
        report.write_text(json.dumps(demo.numbers, indent=2) + "\n", encoding="utf-8")
    spans = {
        name: demo.numbers[name] for name in ("network_start_s", "paid_jobs_s", "cheat_s", "late_joiner_s")
    }
    parts = ", ".join(
        f"{name.removesuffix('_s').replace('_', ' ')} {value:.0f} s" for name, value in spans.items()
    )
    print(f"\nDone in {total_s:.0f} s: {parts}.")
    return 0


if __name__ == "__main__":
    main()
