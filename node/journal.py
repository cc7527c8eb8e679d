"""Transactions handed to this node, kept on disk until the chain holds them: an accepted payment survives a kill."""

from __future__ import annotations

import logging

from chain.errors import TileworkError
from chain.kv import KV, Sync
from chain.types import TxId
from node.mempool import Mempool
from node.tables import journal_key
from vm.envelope import Transaction

log = logging.getLogger("tilework.pool")


class Journal:
    """Written before a submission is acknowledged; entries go when their transaction leaves the pool."""

    def __init__(self, kv: KV) -> None:
        self._kv = kv

    def record(self, transaction: TxId, data: bytes) -> None:
        """Keep a transaction, on disk when this returns.  Raises: LocalFault DB_IO."""
        self._kv.write([(journal_key(transaction), data)], sync=Sync.DURABLE)

    def restore(self, pool: Mempool) -> list[tuple[TxId, bytes]]:
        """Put what is kept back into the pool after a restart; returns what should be gossiped again."""
        restored = []
        kept = (data for _, data in self._kv.iterate(journal_key(TxId(b""))))
        for transaction, data in sorted(((Transaction.from_bytes(data), data) for data in kept), key=_place):
            try:
                restored.append((pool.add(data), data))
            except TileworkError as error:
                log.info("journal-entry-dropped id=%s why=%s", transaction.id.hex()[:16], error)
        self.prune(pool)
        return restored

    def prune(self, pool: Mempool) -> None:
        """Forget what the pool no longer holds: it is in the chain, was replaced, or can never be included."""
        gone = [key for key, _ in self._kv.iterate(journal_key(TxId(b""))) if TxId(key[1:]) not in pool]
        if gone:
            self._kv.write([(key, None) for key in gone], sync=Sync.BUFFERED)


def _place(entry: tuple[Transaction, bytes]) -> tuple[bytes, int]:
    """The pool takes an account's transactions in the order of their nonces."""
    return entry[0].sender, entry[0].nonce
