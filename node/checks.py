"""Everything about a block that can be checked without its state, in one pure function that runs off the main task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chain.blocks import MAX_BODY_BYTES, Block, Header
from chain.errors import Invalid
from chain.hashing import Tag
from chain.merkle import list_root
from chain.types import BlockHash, Hash32
from compute.spec.certificate import Certificate
from consensus.headers import check_header
from consensus.transition import EMPTY_VOTES_ROOT
from consensus.work import check_work
from genesis.spec import ChainSpec
from node.signatures import CORES, check_authorisations
from vm.execute import Parsed, decode


@dataclass(frozen=True, slots=True)
class Checked:
    """A block that is right in itself: header, work, body commitments and signatures; only its state is open."""

    block: Block
    block_id: BlockHash
    certificate: Certificate
    ticket: Hash32
    parsed: tuple[Parsed, ...]

    def transactions(self) -> Iterator[tuple[bytes, Parsed]]:
        """Each transaction with its parsed form, in block order."""
        return zip(self.block.transactions, self.parsed, strict=True)

    @staticmethod
    def trusted(block: Block, ticket: Hash32, spec: ChainSpec) -> Checked:
        """The checked form of a block that passed `check_block` before it was stored."""
        parsed = tuple(decode(data, spec.chain_id) for data in block.transactions)
        return Checked(block, block.id, Certificate.from_bytes(block.certificate), ticket, parsed)


NOTHING_KNOWN: Mapping[bytes, Parsed] = {}


def check_block(
    block: Block,
    parent: Header,
    genesis: Header,
    spec: ChainSpec,
    known: Mapping[bytes, Parsed] = NOTHING_KNOWN,
    threads: int = CORES,
) -> Checked:
    """Check a block against its parent's header, cheapest first: header, work, body, signatures.

    Transactions whose bytes are among `known` were checked before; the signatures of the others are checked by as many
    threads as told.

    Raises: Invalid HDR_*, WORK_*, BLOCK_*, ROOT_* and the codes of `vm.execute.parse`.
    """
    check_header(block.header, parent, genesis, spec)
    certificate, ticket = check_work(block.header, block.certificate, spec)
    size_bytes = sum(map(len, block.transactions))
    if size_bytes > MAX_BODY_BYTES:
        raise Invalid("BLOCK_SIZE", found=f"{size_bytes} bytes", allowed=f"{MAX_BODY_BYTES} bytes")
    if block.votes or block.header.votes_root != EMPTY_VOTES_ROOT:
        raise Invalid("ROOT_VOTES", found=block.header.votes_root, allowed=EMPTY_VOTES_ROOT)
    transaction_root = list_root(Tag.TX_LEAF, block.transactions)
    if block.header.transaction_root != transaction_root:
        raise Invalid("ROOT_TRANSACTIONS", found=block.header.transaction_root, allowed=transaction_root)
    parsed = tuple(known.get(data) or decode(data, spec.chain_id) for data in block.transactions)
    check_authorisations(
        [new for data, new in zip(block.transactions, parsed, strict=True) if data not in known], threads
    )
    return Checked(block, block.id, certificate, ticket, parsed)
