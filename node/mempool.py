"""Transactions waiting for a block: one queue per account in nonce order, best payers first.

Invariants: everything here is well formed and signed; queues start at the account's next nonce and have no gaps; each
transaction may be in a block, as far as nonce, fees and sponsor go, once those before it are; size is bounded, and who
pays nothing never keeps out who pays. Which transactions really fit is decided by the transition when a block is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from heapq import heapify, heappop, heapreplace

from chain.blocks import Block
from chain.errors import Invalid, Policy, TileworkError
from chain.types import Address, Grains, TxId
from node.chain import Chain, HeadChange
from vm.context import Context
from vm.envelope import Transaction
from vm.execute import Parsed, check_includable, parse
from vm.fees import fee

MAX_TRANSACTIONS = 20_000
MAX_POOL_BYTES = 32 << 20
MAX_PER_ACCOUNT = 256
_LENGTH_BYTES = 5
"""Most that a byte string costs in a batch besides its bytes."""
_HINT_FEE = "Raise the fee and send it again."


class Mempool:
    """The pool of one node; every change of the head must be reported to it."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._queues: dict[Address, dict[int, tuple[bytes, Parsed]]] = {}
        self._by_id: dict[TxId, tuple[Address, int]] = {}
        self._by_data: dict[bytes, Parsed] = {}
        self._bytes = 0
        self.version = 0
        """Changes whenever the content does."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, transaction: TxId) -> bool:
        return transaction in self._by_id

    def get(self, transaction: TxId) -> bytes | None:
        place = self._by_id.get(transaction)
        return self._queues[place[0]][place[1]][0] if place is not None else None

    def known(self, transactions: Iterable[bytes]) -> dict[bytes, Parsed]:
        """Those of some transactions that wait here, byte for byte: their form and signatures are right."""
        return {data: self._by_data[data] for data in transactions if data in self._by_data}

    def add(self, data: bytes) -> TxId:
        """Take a transaction.

        Raises:
            Invalid: it can never be right (form, signature, chain).
            Policy: it is not wanted now (stale or distant nonce, full pool, cannot pay, not includable on this head).
        """
        parsed = parse(data, self._chain.spec.chain_id)
        return self.add_parsed(data, parsed)

    def add_parsed(self, data: bytes, parsed: Parsed) -> TxId:
        """Take a transaction whose form and signature are already checked.  Raises: Policy."""
        transaction = parsed.transaction
        identity = parsed.id
        if identity in self._by_id:
            return identity
        context = self._chain.context()
        queue = self._queues.get(transaction.sender, {})
        self._check_nonce(transaction, context.account(transaction.sender).nonce)
        try:
            check_includable(_after(context, transaction, queue), parsed)
        except Invalid as error:
            raise Policy(error.code, found=error.found, allowed=error.allowed, hint=error.hint) from error
        rival = queue.get(transaction.nonce)
        if rival is None:
            self._make_room(parsed, len(data))
        elif _outbids(parsed, rival[1]):
            self._drop(transaction.sender, transaction.nonce)
        else:
            raise Policy(
                "REPLACEMENT", found=transaction.tip_grains, allowed="a tip one tenth higher", hint=_HINT_FEE
            )
        self._queues.setdefault(transaction.sender, {})[transaction.nonce] = (data, parsed)
        self._by_id[identity] = (transaction.sender, transaction.nonce)
        self._by_data[data] = parsed
        self._bytes += len(data)
        self.version += 1
        return identity

    def _check_nonce(self, transaction: Transaction, expected: int) -> None:
        """A gap would let transactions wait for ever that nobody ever has to pay for.  Raises: Policy NONCE_*."""
        nonce, following = transaction.nonce, self.next_nonce(transaction.sender)
        if nonce < expected:
            raise Policy("NONCE_USED", found=nonce, allowed=f"{following} or one that waits")
        if nonce >= expected + MAX_PER_ACCOUNT:
            raise Policy("NONCE_FAR", found=nonce, allowed=f"at most {expected + MAX_PER_ACCOUNT - 1}")
        if nonce > following:
            raise Policy(
                "NONCE_GAP", found=nonce, allowed=following, hint="Send the transactions before it first."
            )

    def _make_room(self, parsed: Parsed, size_bytes: int) -> None:
        """Drop the cheapest last-in-line for a better payer if the pool is full.  Raises: Policy POOL_FULL."""
        while len(self) >= MAX_TRANSACTIONS or self._bytes + size_bytes > MAX_POOL_BYTES:
            price = _price(parsed)
            lasts = ((address, max(queue)) for address, queue in self._queues.items())
            others = ((a, n) for a, n in lasts if a != parsed.transaction.sender) if price else ()
            cheapest = min(
                others, key=lambda place: _price(self._queues[place[0]][place[1]][1]), default=None
            )
            if cheapest is None or _price(self._queues[cheapest[0]][cheapest[1]][1]) >= price:
                raise Policy(
                    "POOL_FULL", found=len(self), allowed=f"{MAX_TRANSACTIONS} transactions", hint=_HINT_FEE
                )
            self._drop(*cheapest)

    def next_nonce(self, address: Address) -> int:
        """The nonce after everything of this account that is in the chain or waits without a gap."""
        nonce = self._chain.context().account(address).nonce
        queue = self._queues.get(address, {})
        while nonce in queue:
            nonce += 1
        return nonce

    def candidates(self) -> Iterator[tuple[bytes, Parsed]]:
        """Transactions in the order a producer should try them: per account by nonce, best tip per weight first.

        Equal prices go by address, the highest first, so that every producer with this pool offers the same.
        """
        context = self._chain.context()
        firsts = ((address, context.account(address).nonce) for address in self._queues)
        heap = [
            (-_price(queue[nonce][1]), _descending(address), nonce)
            for address, nonce in firsts
            if nonce in (queue := self._queues[address])
        ]
        heapify(heap)
        while heap:
            _, place, nonce = heap[0]
            queue = self._queues[_descending(place)]
            yield queue[nonce]
            if nonce + 1 in queue:
                heapreplace(heap, (-_price(queue[nonce + 1][1]), place, nonce + 1))
            else:
                heappop(heap)

    def waiting(self, limit_bytes: int) -> list[bytes]:
        """Some waiting transactions, for a peer that asks; those of an account in the order of their nonces."""
        found: list[bytes] = []
        for queue in self._queues.values():
            for data in (queue[nonce][0] for nonce in sorted(queue)):
                limit_bytes -= len(data) + _LENGTH_BYTES
                if limit_bytes < 0:
                    return found
                found.append(data)
        return found

    def head_changed(self, change: HeadChange) -> None:
        """Drop what the chain now holds, take back what it lost, forget what can no longer be included."""
        for block in reversed(change.left):  # the oldest first, as nonces follow each other
            self._take_back(block)
        for address in list(self._queues):
            self._prune(address)

    def _take_back(self, block: Block) -> None:
        for data in block.transactions:
            try:
                self.add(data)
            except TileworkError:
                continue  # included on the new branch too, or no longer payable: its sender sees that in the chain

    def _prune(self, address: Address) -> None:
        """Keep what may still be included: without gaps, and the first of them on this head."""
        context = self._chain.context()
        nonce = context.account(address).nonce
        queue = self._queues[address]
        for used in [each for each in queue if each < nonce]:
            self._drop(address, used)
        if nonce in queue:
            try:
                check_includable(context, queue[nonce][1])
            except Invalid:
                self._drop(address, nonce)
        following = self.next_nonce(address)
        for stranded in [each for each in queue if each > following]:
            self._drop(address, stranded)

    def _drop(self, address: Address, nonce: int) -> None:
        data, parsed = self._queues[address].pop(nonce)
        del self._by_id[parsed.id]
        del self._by_data[data]
        self._bytes -= len(data)
        self.version += 1
        if not self._queues[address]:
            del self._queues[address]


def _after(context: Context, transaction: Transaction, queue: Mapping[int, tuple[bytes, Parsed]]) -> Context:
    """The head's context as it will be for a transaction once those before it in its queue have paid their fees."""
    account, base_fee = context.account(transaction.sender), context.chain.base_fee_grains
    before = (queue[nonce][1] for nonce in range(account.nonce, transaction.nonce))
    fees = sum(
        fee(
            context.spec.money,
            base_fee,
            weight=parsed.weight,
            size_bytes=parsed.size_bytes,
            tip_grains=parsed.transaction.tip_grains,
        ).total
        for parsed in before
        if parsed.kind.sponsor is None
    )
    left = Grains(max(0, account.balance_grains - fees))
    context.put_account(transaction.sender, account.but(nonce=transaction.nonce, balance_grains=left))
    return context


def _descending(address: Address) -> Address:
    """Sorts the other way round; its own inverse."""
    return Address(bytes(255 - byte for byte in address))


def _price(parsed: Parsed) -> int:
    """Tip per weight unit in thousandths, protocol duties (sponsored kinds) before all others."""
    if parsed.kind.sponsor is not None:
        return 1 << 63
    return parsed.transaction.tip_grains * 1000 // parsed.weight


def _outbids(new: Parsed, old: Parsed) -> bool:
    return new.transaction.tip_grains * 10 >= old.transaction.tip_grains * 11 + 1
