"""Tensors on disk, named by their roots: one file each, complete or absent.

A file appears under its name only after its root was computed from its bytes, so whatever is here is right. Written to
a temporary name, flushed and renamed: a crash leaves at most a stray temporary file, which the next start removes.
"""

from __future__ import annotations

import os
from pathlib import Path

from chain.errors import LocalFault, Missing, Policy
from chain.tensors import TensorInfo, row_root
from chain.types import TensorRoot

_SUFFIX, _PARTIAL = ".tensor", ".partial"
_HEAD_BYTES = 32


class BlobStore:
    """The tensors one node holds."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        for stray in directory.glob(f"*{_PARTIAL}"):
            stray.unlink()

    def put(self, info: TensorInfo, data: bytes | memoryview, key: bytes | None = None) -> TensorRoot:
        """Store a tensor and return its root.  Raises: Invalid TENSOR_SIZE, LocalFault DISK."""
        root = row_root(info, data, key)
        if not self.has(root):
            self._write(root, info, data)
        return root

    def has(self, root: TensorRoot) -> bool:
        return self._path(root).exists()

    def info(self, root: TensorRoot) -> TensorInfo:
        """Shape and type of a stored tensor.  Raises: Missing BLOB."""
        try:
            with self._path(root).open("rb") as file:
                head = file.read(_HEAD_BYTES)
        except FileNotFoundError:
            hint = "Nobody has handed this tensor to this node."
            raise Missing("BLOB", found=root, hint=hint) from None
        return TensorInfo.from_bytes(head[1 : 1 + head[0]])

    def rows(self, root: TensorRoot, first: int, count: int) -> bytes:
        """Bytes of some rows.  Raises: Missing BLOB, Policy BLOB_ROWS."""
        info = self.info(root)
        if count < 1 or first + count > info.rows:
            raise Policy(
                "BLOB_ROWS", found=f"rows {first}..{first + count}", allowed=f"within {info.rows} rows"
            )
        with self._path(root).open("rb") as file:
            file.seek(_HEAD_BYTES + first * info.row_bytes)
            return file.read(count * info.row_bytes)

    def data(self, root: TensorRoot) -> bytes:
        """The whole tensor.  Raises: Missing BLOB."""
        return self.rows(root, 0, self.info(root).rows)

    def _write(self, root: TensorRoot, info: TensorInfo, data: bytes | memoryview) -> None:
        encoded = info.to_bytes()
        head = (bytes([len(encoded)]) + encoded).ljust(_HEAD_BYTES, b"\0")
        partial = self._directory / f"{root.hex()}{_PARTIAL}"
        try:
            with partial.open("wb") as file:
                file.write(head)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(self._path(root))
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise LocalFault(
                "DISK",
                found=str(error),
                allowed=f"{info.total_bytes} bytes",
                hint="Free some space and try again.",
            ) from error

    def _path(self, root: TensorRoot) -> Path:
        return self._directory / f"{root.hex()}{_SUFFIX}"
