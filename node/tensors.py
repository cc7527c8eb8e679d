"""Getting tensors by root from peers, and serving ours."""

from __future__ import annotations

import logging

import numpy as np

from chain.errors import Invalid, Missing, TileworkError
from chain.tensors import TensorInfo
from chain.types import TensorRoot
from node.blobs import BlobStore
from node.messages import MAX_BLOB_BYTES, BlobRequest, BlobRows
from node.ports import Cpu
from p2p.interface import Network, PeerId
from p2p.wire import REQUESTS, RequestKind
from vm.tensor.program import QUANTISED_MAX

log = logging.getLogger("tilework.tensors")


class TensorExchange:
    """Fetches verified tensors; a peer that serves other bytes is banned, the next one is asked."""

    def __init__(self, network: Network, blobs: BlobStore, cpu: Cpu) -> None:
        self._network = network
        self._blobs = blobs
        self._cpu = cpu
        network.on_request(RequestKind.BLOB, self._serve)

    async def fetch(self, root: TensorRoot, info: TensorInfo, key: bytes | None = None) -> None:
        """Have the tensor in the store, from whichever peer serves it.

        Raises: Missing BLOB if no connected peer does.
        """
        if self._blobs.has(root):
            return
        for peer in self._network.peers():
            try:
                data = await self._download(peer.peer_id, root, info)
            except Invalid as error:
                await self._network.ban(peer.peer_id, error.code)
                continue
            except TileworkError as error:
                log.debug("tensor-not-served root=%s peer=%s why=%s", root.hex()[:16], peer.peer_id, error)
                continue
            stored = await self._cpu.run(self._blobs.put, info, data, key)
            if stored == root:
                log.info(
                    "tensor-fetched root=%s bytes=%d peer=%s", root.hex()[:16], info.total_bytes, peer.peer_id
                )
                return
            await self._network.ban(peer.peer_id, "TENSOR_ROOT")
        raise Missing("BLOB", found=root, hint="No connected peer serves this tensor.")

    async def _download(self, peer: PeerId, root: TensorRoot, info: TensorInfo) -> bytearray:
        """All rows from one peer, in bounded chunks.  Raises: Invalid if the answer has another shape."""
        chunk = max(1, MAX_BLOB_BYTES // info.row_bytes)
        data = bytearray()
        for first in range(0, info.rows, chunk):
            count = min(chunk, info.rows - first)
            request = BlobRequest(root, first, count).to_bytes()
            reply = BlobRows.from_bytes(
                await self._network.request(
                    peer, RequestKind.BLOB, request, timeout_s=REQUESTS[RequestKind.BLOB].timeout_s
                )
            )
            if reply.info != info or len(reply.data) != count * info.row_bytes:
                raise Invalid(
                    "TENSOR_ROWS", found=f"{len(reply.data)} bytes", allowed=f"{count} rows of {info}"
                )
            data += reply.data
        return data

    async def _serve(self, peer: PeerId, data: bytes) -> bytes:
        request = BlobRequest.from_bytes(data)
        info = self._blobs.info(request.root)
        if request.count * info.row_bytes > MAX_BLOB_BYTES:
            raise Invalid(
                "BLOB_SIZE", found=request.count, allowed=f"{MAX_BLOB_BYTES // info.row_bytes} rows"
            )
        rows = await self._cpu.run(self._blobs.rows, request.root, request.first, request.count)
        return BlobRows(info, rows).to_bytes()


def first_malformed_row(info: TensorInfo, data: bytes) -> int | None:
    """The first row of an input tensor with an entry outside [-63, 63], or None."""
    entries = np.frombuffer(data, np.int8).reshape(info.rows, info.columns)
    rows = np.flatnonzero(((entries < -QUANTISED_MAX) | (entries > QUANTISED_MAX)).any(axis=1))
    return int(rows[0]) if rows.size else None
