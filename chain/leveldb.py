"""LevelDB behind the KV protocol; the only file that imports plyvel.  Spec: [STATE-STORE].

Checksums are verified on every read and damage found at opening is an error instead of being dropped silently: a
corrupt database must never be taken for the truth. Every failure is a `LocalFault`; no peer is ever to blame for it.

After a failed write the store takes no more: LevelDB would go on behind half a record in its log, and what follows that
record cannot be read back. Opening again drops the half record and is safe.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self, TextIO

import plyvel

from chain.errors import LocalFault
from chain.kv import Batch, Sync, prefix_end

CACHE_BYTES = 32 << 20
WRITE_BUFFER_BYTES = 16 << 20
"""A block's batch is about 1 MB; a few blocks per table file keep compaction cheap."""
BLOOM_BITS = 10
"""Per key; answers 99 % of reads of absent keys (new accounts, unknown ids) without a disk access."""
OWNER_FILE = "OWNER"
"""Locked by, and naming, the process that holds the directory. LevelDB's own lock is lost as soon as the same process
tries to open the directory twice (closing any descriptor of a file drops a POSIX lock)."""


class LevelKV:
    """One LevelDB directory, held by one process at a time."""

    __slots__ = ("_db", "_failed", "_owner", "_path")

    def __init__(self, db: plyvel.DB, owner: TextIO, path: Path) -> None:
        self._db = db
        self._owner = owner
        self._path = path
        self._failed: LocalFault | None = None

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open the directory, creating it if it is absent.

        Raises:
            LocalFault: DB_LOCKED (another process holds it), DB_CORRUPT, DB_IO.
        """
        place = Path(path)
        owner = _take_ownership(place)
        try:
            db = plyvel.DB(
                str(place),
                create_if_missing=True,
                paranoid_checks=True,
                lru_cache_size=CACHE_BYTES,
                write_buffer_size=WRITE_BUFFER_BYTES,
                bloom_filter_bits=BLOOM_BITS,
                compression=None,  # digests and signatures do not shrink; trying costs time at every compaction
            )
        except (OSError, plyvel.Error) as error:
            owner.close()
            raise _fault(error, place) from error
        return cls(db, owner, place)

    def get(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._db.get(key, verify_checksums=True)
        except (OSError, plyvel.Error) as error:
            raise _fault(error, self._path) from error
        return value

    def write(self, batch: Batch, *, sync: Sync) -> None:
        if self._failed is not None:
            raise self._failed
        try:
            with self._db.write_batch(transaction=True, sync=sync is Sync.DURABLE) as writes:
                for key, value in batch:
                    if value is None:
                        writes.delete(key)
                    else:
                        writes.put(key, value)
        except (OSError, plyvel.Error) as error:
            self._failed = _fault(error, self._path)
            raise self._failed from error

    def iterate(self, prefix: bytes, *, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        rows = self._db.iterator(start=max(prefix, start), stop=prefix_end(prefix), verify_checksums=True)
        return self._checked(rows)

    def close(self) -> None:
        self._db.close()
        self._owner.close()

    def _checked(self, rows: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        try:
            yield from rows
        except (OSError, plyvel.Error) as error:
            raise _fault(error, self._path) from error


def _take_ownership(place: Path) -> TextIO:
    """Lock the directory for this process.  Raises: LocalFault DB_LOCKED, DB_IO."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        owner = (place / OWNER_FILE).open("a+")
    except OSError as error:
        raise _fault(error, place) from error
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner.seek(0)
        holder = owner.read().strip()
        owner.close()
        raise LocalFault(
            "DB_LOCKED",
            found=f"process {holder} in {place}",
            allowed="one process per data directory",
            hint="Stop the other node or give this one its own directory.",
        ) from error
    owner.truncate(0)
    owner.write(str(os.getpid()))
    owner.flush()
    return owner


def _fault(error: Exception, path: Path) -> LocalFault:
    """Name what went wrong and what the operator can do about it."""
    detail = error.args[0] if isinstance(error, plyvel.Error) and error.args else str(error)
    text = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
    if isinstance(error, plyvel.CorruptionError) or "orruption" in text:
        return LocalFault(
            "DB_CORRUPT",
            found=text,
            hint=f"Check the disk; then move {path} away and let the node fetch the chain again.",
        )
    return LocalFault("DB_IO", found=text, hint=f"Check free space and permissions of {path}, then restart.")
