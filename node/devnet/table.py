"""What `devnet up` prints: nodes, funded accounts and the facts of the network, ready to be copied from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from genesis.presets import preset
from node.amounts import tile
from node.devnet.rate import LEFT_FOR_MINING_PERCENT
from node.devnet.record import Devnet

FEWEST_FOR_JOBS = preset("dev").jobs.committee_size + 1


def overview(devnet: Devnet, here: Path) -> str:
    """The whole screen; paths are shown relative to `here` where that is shorter."""
    return "\n".join(_lines(devnet, here))


def aligned(rows: Sequence[Sequence[str]], gap: str = "   ") -> list[str]:
    """Rows as lines with columns of equal width."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return [gap.join(row).rstrip() for row in padded]


def _lines(devnet: Devnet, here: Path) -> Iterator[str]:
    miners = sum("mine" in node.roles.split() for node in devnet.nodes)
    seconds = devnet.block_time_ms / 1000
    yield f"Network    {devnet.chain_id}   genesis {devnet.genesis[:16]}   a block every {seconds:g} s"
    yield (
        f"Target     for {devnet.macs_per_second / 10**9:.1f} GMAC/s: {miners} miner{'s'[: miners != 1]} measured at "
        f"once, less {100 - LEFT_FOR_MINING_PERCENT} % for the nodes' own work"
    )
    yield ""
    yield from aligned(
        [
            ("Node", "RPC", "p2p", "roles", "operator account"),
            *((node.name, node.rpc, node.listen, node.roles, node.address) for node in devnet.nodes),
        ]
    )
    if len(devnet.nodes) < FEWEST_FOR_JOBS:
        yield f"Jobs need {FEWEST_FOR_JOBS} nodes: one that computes, three others as its committee."
    yield ""
    rows = [("Account", "balance", "address", "key file")]
    for account in (*devnet.accounts, devnet.spare):
        rows.append(
            (account.name, tile(account.balance_grains), account.address, _short(account.key_file, here))
        )
    yield from aligned(rows)
    yield f"{devnet.spare.name} is for a node that joins later. Keys here are plain text: never use them elsewhere."


def _short(path: str, here: Path) -> str:
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
