"""Files that commands read and write: bounded, and with one line about what went wrong."""

from __future__ import annotations

import os
from pathlib import Path

from chain.errors import LocalFault, Missing, Policy


def read_bounded(file: Path, maximum: int, *, hint: str) -> bytes:
    """The content of a file of at most `maximum` bytes; a larger one is refused by its size, before it is read.

    A file that hides its size, such as a device or a pipe, is read up to the bound and no further.

    Raises:
        Missing: FILE, with `hint` on how to make one.
        Policy: FILE_SIZE.
        LocalFault: FILE_READ.
    """
    try:
        with file.open("rb") as source:
            size_bytes = os.fstat(source.fileno()).st_size
            data = source.read(maximum + 1) if size_bytes <= maximum else b""
    except FileNotFoundError as error:
        raise Missing("FILE", found=f"no file {file}", hint=hint) from error
    except OSError as error:
        raise LocalFault(
            "FILE_READ", found=f"{file}: {error.strerror}", allowed="a file we may read"
        ) from error
    size_bytes = max(size_bytes, len(data))
    if size_bytes > maximum:
        raise Policy("FILE_SIZE", found=f"{size_bytes} bytes in {file}", allowed=f"at most {maximum} bytes")
    return data


def write_file(file: Path, data: bytes) -> None:
    """Write a whole file.  Raises: LocalFault FILE_WRITE."""
    try:
        file.write_bytes(data)
    except OSError as error:
        raise LocalFault(
            "FILE_WRITE", found=f"{file}: {error.strerror}", allowed="a place we may write to"
        ) from error
