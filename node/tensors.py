"""Getting tensors by root from peers, and serving ours."""

from __future__ import annotations

import logging

import numpy as np

from chain.errors import Invalid, Missing, Policy, TileworkError
from chain.tensors import TensorInfo, row_root
from chain.types import TensorRoot
from node.blobs import BlobStore
from node.messages import MAX_BLOB_BYTES, BlobRequest, BlobRows
from node.ports import Cpu
from p2p.interface import Network, PeerId
from p2p.wire import REQUESTS, RequestKind
from vm.tensor.program import QUANTISED_MAX

log = logging.getLogger("tilework.tensors")


class TensorExchange:
    """Fetches verified tensors; a peer that serves other bytes than it should is banned, the next one is asked.

    What a root stands for is told by a job, and a job may lie: about the shape, or by naming a root that was keyed for
    another job. Peers who hold the tensor and serve it honestly are not to blame for that.
    """

    def __init__(self, network: Network, blobs: BlobStore, cpu: Cpu) -> None:
        self._network = network
        self._blobs = blobs
        self._cpu = cpu
        network.on_request(RequestKind.BLOB, self._serve)

    async def fetch(self, root: TensorRoot, info: TensorInfo, key: bytes | None = None) -> None:
        """Have the tensor in the store, from whichever peer serves it, with this shape and under this key.

        Raises: Missing BLOB if no connected peer serves it; Missing BLOB_OTHER if the root stands for another tensor.
        """
        if self._blobs.has(root):
            if self._blobs.info(root) != info or not await self._opens(
                root, info, self._blobs.data(root), key
            ):
                raise _other_tensor(root, info)
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
            if await self._opens(root, info, data, key):
                await self._cpu.run(self._blobs.put, info, data, key)
                log.info(
                    "tensor-fetched root=%s bytes=%d peer=%s", root.hex()[:16], info.total_bytes, peer.peer_id
                )
                return
            if key is None:  # a public root has one meaning, so these bytes were made up
                await self._network.ban(peer.peer_id, "TENSOR_ROOT")
        raise Missing("BLOB", found=root, hint="No connected peer serves this tensor.")

    async def _opens(
        self, root: TensorRoot, info: TensorInfo, data: bytes | bytearray, key: bytes | None
    ) -> bool:
        """Whether these bytes are what `root` stands for under `key`."""
        return await self._cpu.run(row_root, info, data, key) == root

    async def _download(self, peer: PeerId, root: TensorRoot, info: TensorInfo) -> bytearray:
        """All rows from one peer, in bounded chunks.

        Raises: Missing BLOB_OTHER if the peer holds another shape under this root; Invalid TENSOR_ROWS if it sends
            another number of bytes than its own shape says.
        """
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
            if reply.info != info:
                raise _other_tensor(root, info)
            if len(reply.data) != count * info.row_bytes:
                raise Invalid(
                    "TENSOR_ROWS", found=f"{len(reply.data)} bytes", allowed=f"{count} rows of {info}"
                )
            data += reply.data
        return data

    async def _serve(self, peer: PeerId, data: bytes) -> bytes:
        request = BlobRequest.from_bytes(data)
        info = self._blobs.info(request.root)
        if request.count * info.row_bytes > MAX_BLOB_BYTES:
            # No fault of the asker: it may believe a job that lies about the shape.
            raise Policy("BLOB_SIZE", found=request.count, allowed=f"{MAX_BLOB_BYTES // info.row_bytes} rows")
        rows = await self._cpu.run(self._blobs.rows, request.root, request.first, request.count)
        return BlobRows(info, rows).to_bytes()


def _other_tensor(root: TensorRoot, info: TensorInfo) -> Missing:
    return Missing(
        "BLOB_OTHER",
        found=root,
        allowed=f"a root of {info.rows}x{info.columns} {info.dtype.name.lower()} under the job's key",
        hint="The job names a root that stands for another tensor.",
    )


def first_malformed_row(info: TensorInfo, data: bytes) -> int | None:
    """The first row of an input tensor with an entry outside [-63, 63], or None."""
    entries = np.frombuffer(data, np.int8).reshape(info.rows, info.columns)
    rows = np.flatnonzero(((entries < -QUANTISED_MAX) | (entries > QUANTISED_MAX)).any(axis=1))
    return int(rows[0]) if rows.size else None


def as_matrix(info: TensorInfo, data: bytes) -> np.ndarray[tuple[int, int], np.dtype[np.int8]]:
    """int8[rows, columns] view of an input tensor's bytes."""
    return np.frombuffer(data, np.int8).reshape(info.rows, info.columns)
