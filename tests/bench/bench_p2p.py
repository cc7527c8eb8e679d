"""Throughput and latency of requests between two processes over loopback.

    python -m tests.bench.bench_p2p [blobs]

Prints one line per figure.  Not a test: numbers depend on the machine.
"""

from __future__ import annotations

import multiprocessing
import sys
from multiprocessing.connection import Connection

import trio

from p2p.addresses import ListenOn
from p2p.host import Libp2pNetwork
from p2p.interface import PeerId
from p2p.keys import NodeSeed
from p2p.wire import REQUESTS, RequestKind

NETWORK_ID = "bench"
BLOB_BYTES = REQUESTS[RequestKind.BLOB].max_response_bytes


def serve(pipe: Connection) -> None:
    """Server process: blobs of the largest size, and status replies."""
    blob = bytes(BLOB_BYTES)

    async def rows(_peer: PeerId, _data: bytes) -> bytes:
        return blob

    async def echo(_peer: PeerId, data: bytes) -> bytes:
        return data

    async def main() -> None:
        network = Libp2pNetwork(NodeSeed(b"s" * 32), NETWORK_ID, ListenOn("127.0.0.1", 0))
        network.on_request(RequestKind.BLOB, rows)
        network.on_request(RequestKind.STATUS, echo)
        async with trio.open_nursery() as nursery:
            await nursery.start(network.run)
            pipe.send(network.listen_addresses()[0])
            await trio.to_thread.run_sync(pipe.recv)
            nursery.cancel_scope.cancel()

    trio.run(main)


async def measure(address: str, blobs: int) -> None:
    """Client process: fetch blobs one after the other and four at a time, with polls in between."""
    network = Libp2pNetwork(NodeSeed(b"c" * 32), NETWORK_ID, ListenOn("127.0.0.1", 0))
    async with trio.open_nursery() as nursery:
        await nursery.start(network.run)
        peer = await network.dial(address)

        async def fetch(count: int) -> None:
            for _ in range(count):
                await network.request(peer, RequestKind.BLOB, b"", timeout_s=30)

        polls_s: list[float] = []

        async def poll() -> None:
            while True:
                started = trio.current_time()
                await network.request(peer, RequestKind.STATUS, b"", timeout_s=30)
                polls_s.append(trio.current_time() - started)
                await trio.sleep(0.3)  # below the rate limit of the kind

        await fetch(3)  # let the receive window grow
        for width in (1, 4):
            polls_s.clear()
            started = trio.current_time()
            async with trio.open_nursery() as work:
                work.start_soon(poll)
                async with trio.open_nursery() as fetches:
                    for _ in range(width):
                        fetches.start_soon(fetch, blobs // width)
                work.cancel_scope.cancel()
            spent_s = trio.current_time() - started
            speed = blobs // width * width * BLOB_BYTES / 1e6 / spent_s
            print(
                f"blobs width={width} bytes={BLOB_BYTES} MB_per_s={speed:.0f} worst_poll_ms={max(polls_s) * 1e3:.0f}"
            )
        started = trio.current_time()
        for _ in range(30):
            await network.request(peer, RequestKind.STATUS, b"", timeout_s=5)
        print(f"status round_trip_ms={(trio.current_time() - started) / 30 * 1e3:.1f}")
        nursery.cancel_scope.cancel()


def main() -> None:
    """Start the server process, measure, stop it."""
    blobs = int(sys.argv[1]) if len(sys.argv) > 1 else 48
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,))
    server.start()
    try:
        trio.run(measure, here.recv(), blobs)
    finally:
        here.send("stop")
        server.join()


if __name__ == "__main__":
    main()
