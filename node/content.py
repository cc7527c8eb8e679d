"""Roots of what people publish: of a file, of a directory, of a matrix that jobs know.  Spec: [ASSET-CONTENT].

Nothing is read into memory whole. A file that changes while it is read is refused, because nobody could tell which of
its states the root stands for.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from blake3 import blake3

from chain.codec import pack
from chain.errors import LocalFault, Missing, Policy
from chain.hashing import BulkTag, b3
from chain.tensors import DType, TensorInfo, row_root
from chain.types import Hash32
from node.matrix_files import load_matrix

MAX_FILES = 100_000
"""In a directory; their paths and roots are held in memory."""
_PART_BYTES = 1 << 20


class Operand(Enum):
    """Which side of a product a matrix is; jobs commit to B by its columns."""

    A = "a"
    B = "b"


@dataclass(frozen=True, slots=True)
class Content:
    """A commitment to content, and how much of it there is."""

    root: Hash32
    size_bytes: int
    files: int = 1


def content_of(path: Path) -> Content:
    """The content of a file or a directory.

    Raises: Missing FILE; Policy CONTENT_ENTRY, CONTENT_NAME, CONTENT_EMPTY, CONTENT_FILES, CONTENT_CHANGED;
        LocalFault FILE_READ.
    """
    try:
        if not path.exists():
            raise Missing("FILE", found=f"no file or directory {path}", hint="Check the path.")
        content = _directory(path) if path.is_dir() else _file(path)
    except OSError as error:
        raise LocalFault(
            "FILE_READ", found=f"{error.filename or path}: {error.strerror}", allowed="files we may read"
        ) from error
    if not content.size_bytes:
        raise Policy("CONTENT_EMPTY", found=f"nothing in {path}", allowed="at least one byte")
    return content


def matrix_content(path: Path, operand: Operand) -> Content:
    """The content of a .npy matrix, under the root that jobs have for it as an operand.  Raises: as `load_matrix`."""
    matrix = load_matrix(path)
    rows = matrix.T.copy() if operand is Operand.B else matrix
    root = row_root(TensorInfo(rows.shape[0], rows.shape[1], DType.INT8), rows.tobytes())
    return Content(Hash32(root), rows.nbytes)


def _file(path: Path) -> Content:
    if not path.is_file():
        raise Policy("CONTENT_ENTRY", found=str(path), allowed="a file or a directory")
    digest, size_bytes = blake3(derive_key_context=BulkTag.CONTENT_FILE.value), 0
    with path.open("rb") as source:
        expected = os.fstat(source.fileno())
        while part := source.read(_PART_BYTES):
            digest.update(part)
            size_bytes += len(part)
        found = os.fstat(source.fileno())
    if (size_bytes, found.st_mtime_ns) != (expected.st_size, expected.st_mtime_ns):
        raise Policy(
            "CONTENT_CHANGED",
            found=f"{path} changed while it was read",
            allowed="files that nobody writes to",
            hint="Try again once it is written.",
        )
    return Content(Hash32(digest.digest()), size_bytes)


def _directory(top: Path) -> Content:
    found: list[tuple[bytes, Path]] = []
    for path in _below(top):
        if len(found) == MAX_FILES:
            raise Policy(
                "CONTENT_FILES",
                found=f"more than {MAX_FILES:,} files in {top}",
                allowed=f"at most {MAX_FILES:,}",
                hint="Pack them into one file.",
            )
        found.append((_name(path.relative_to(top).as_posix()), path))
    entries, size_bytes = [], 0
    for name, path in sorted(found):
        content = _file(path)
        entries.append([name.decode(), content.size_bytes, content.root])
        size_bytes += content.size_bytes
    return Content(b3(BulkTag.CONTENT_TREE, pack(entries)), size_bytes, len(entries))


def _below(directory: Path) -> Iterator[Path]:
    """Every file below a directory; no link is followed."""
    with os.scandir(directory) as entries:
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from _below(path)
            elif entry.is_file(follow_symlinks=False):
                yield path
            else:
                raise Policy(
                    "CONTENT_ENTRY",
                    found=str(path),
                    allowed="files and directories, no links or devices",
                    hint="Put a copy of what it leads to in its place.",
                )


def _name(path: str) -> bytes:
    """A path as it is committed to."""
    try:
        name = path.encode()
    except UnicodeEncodeError as error:
        raise _bad_name(path) from error
    if unicodedata.normalize("NFC", path) != path:
        raise _bad_name(path)
    return name


def _bad_name(path: str) -> Policy:
    return Policy(
        "CONTENT_NAME",
        found=ascii(path),
        allowed="names in UTF-8, in Unicode's normal form C",
        hint="Rename it, so that everybody gets the same root.",
    )
