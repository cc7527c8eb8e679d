"""Watching a running local network: one line per block, and a word about every node that ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from chain.errors import TileworkError
from node.devnet.launch import Running
from node.devnet.processes import log_tail
from node.devnet.record import Devnet
from node.rpc.client import RpcClient

_POLL_S = 0.5


def follow(network: Running, say: Callable[[str], None]) -> None:
    """Tell what happens until every node has ended, or the caller is interrupted."""
    told = 0
    dead: set[str] = set()
    while len(dead) < len(network.devnet.nodes):
        for node in network.dead():
            if node.name not in dead:
                dead.add(node.name)
                say(f"{node.name} has ended; its last words:\n{log_tail(Path(node.log))}")
        watched = next((node for node in network.devnet.nodes if node.name not in dead), None)
        if watched is not None:
            told = _tell_blocks(watched.rpc, told, network.devnet, say)
        time.sleep(_POLL_S)


def _tell_blocks(url: str, told: int, devnet: Devnet, say: Callable[[str], None]) -> int:
    """Say one line per block above `told`; returns the height told last."""
    try:
        with RpcClient(url, timeout_s=5) as client:
            height = client.call("chain_status")["height"]
            for number in range(told + 1, height + 1):
                say(block_line(client.call("chain_block", id=str(number)), devnet))
    except TileworkError:
        return told  # a busy or stopping node: the next look will tell
    return max(told, int(height))


def block_line(block: dict[str, object], devnet: Devnet) -> str:
    """`block 12 3fa9… by node-1, 2 transactions`, and the job that won it, if one did."""
    header, certificate, transactions = block["header"], block["certificate"], block["transactions"]
    assert isinstance(header, dict)
    assert isinstance(transactions, list)
    miner = next((node.name for node in devnet.nodes if node.address == header["miner"]), header["miner"])
    kinds = ", ".join(transaction["kind"] for transaction in transactions)
    line = f"block {header['height']} {str(block['id'])[:16]} by {miner}" + (f": {kinds}" if kinds else "")
    job = certificate.get("job") if isinstance(certificate, dict) else None
    return f"{line} (won by job {job[:16]})" if job else line
