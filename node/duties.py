"""Transactions the node sends by itself as provider and validator: signed with the operator's key, sent once.

A duty has a name (job and act). It is issued again only if its transaction is neither waiting nor in the chain, so a
restart, a lost message or a reorg never leaves a duty undone, and never doubles it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from chain.codec import Record
from chain.errors import TileworkError
from chain.keys import SigningKey
from chain.types import Grains, Height, TxId
from node.chain import Chain
from node.mempool import Mempool
from vm.envelope import TRANSACTION_VERSION, Transaction
from vm.registry import kind_named

log = logging.getLogger("tilework.duty")
_VALID_BLOCKS = 100
_TIP_PER_WEIGHT_GRAINS = 10
"""Next to nothing, but more than the nothing that fills pools."""
_FEE_HEADROOM = 4
"""The base fee may double and double again before a duty's transaction is refused."""
Duty = tuple[bytes, str]


class Duties:
    """Signs and submits what this node owes the network."""

    def __init__(
        self, chain: Chain, mempool: Mempool, key: SigningKey, submit: Callable[[bytes], Awaitable[TxId]]
    ) -> None:
        self._chain = chain
        self._mempool = mempool
        self._key = key
        self._submit = submit
        self._sent: dict[Duty, TxId] = {}

    def pending(self, duty: Duty) -> bool:
        """Whether the duty's transaction waits in the pool or stands in the chain."""
        sent = self._sent.get(duty)
        return sent is not None and (sent in self._mempool or self._chain.transaction(sent) is not None)

    async def perform(self, duty: Duty, kind: str, body: Record) -> None:
        """Send the duty's transaction unless it is pending; a refusal is logged and tried again at the next head."""
        if self.pending(duty):
            return
        transaction = self._signed(kind, body)
        try:
            self._sent[duty] = await self._submit(transaction.to_bytes())
        except TileworkError as error:
            log.info("duty-postponed act=%s job=%s why=%s", duty[1], duty[0].hex()[:16], error)
            return
        log.info("duty-sent act=%s job=%s", duty[1], duty[0].hex()[:16])

    def _signed(self, kind: str, body: Record) -> Transaction:
        context = self._chain.context()
        encoded = body.to_bytes()
        declared = kind_named(kind)
        money = context.spec.money
        tip, fee = 0, 0
        if declared.sponsor is None:
            weight = declared.weight_of(body)
            tip = _TIP_PER_WEIGHT_GRAINS * weight
            base_fee = context.chain.base_fee_grains * weight * _FEE_HEADROOM
            fee = base_fee + money.byte_fee_grains * (len(encoded) + 512) + tip
        return Transaction(
            version=TRANSACTION_VERSION,
            chain_id=self._chain.spec.chain_id,
            kind=kind,
            sender=self._key.address,
            nonce=self._mempool.next_nonce(self._key.address),
            max_fee_grains=Grains(fee),
            tip_grains=Grains(tip),
            valid_until=Height(context.height + _VALID_BLOCKS),
            body=encoded,
            authorisations=(),
        ).signed(self._key)
