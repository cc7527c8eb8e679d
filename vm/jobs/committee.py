"""Drawing the committee that checks a result.  Spec: [JOB-DRAW].

Linear in stake, without replacement: splitting a stake over several names changes nothing. The beacon is made of
winning tickets of blocks that come after the commitment, so the provider cannot know its judges when it commits, and
no single producer chooses them.
"""

from __future__ import annotations

from collections.abc import Sequence

from chain.codec import pack
from chain.hashing import Tag, h256
from chain.ledger import Ticket, Weight, WeightSnapshot
from chain.types import Address, Hash32, JobId
from genesis.spec import JobRules


def eligible(snapshot: WeightSnapshot, payer: Address, provider: Address) -> list[Weight]:
    """Validators that may judge a job: never its payer or provider [JOB-DRAW-1]."""
    return [
        weight
        for weight in snapshot.weights
        if weight.stake_grains and weight.address not in (payer, provider)
    ]


def beacon(job: JobId, tickets: Sequence[Ticket], rules: JobRules, committed_height: int) -> Hash32:
    """Digest of the winning tickets of the beacon blocks, in height order [JOB-DRAW-2]."""
    first, last = committed_height + rules.beacon_first_block, committed_height + rules.beacon_last_block
    chosen = [ticket.ticket for ticket in tickets if first <= ticket.height <= last]
    assert len(chosen) == last - first + 1, "the ticket ring outlives every beacon"
    return h256(Tag.BEACON, pack([job, chosen]))


def draw(seed: Hash32, candidates: Sequence[Weight], seats: int) -> tuple[Address, ...]:
    """`seats` different members, each drawn in proportion to stake among those still in the urn [JOB-DRAW-3].

    The 256-bit digest is reduced modulo the remaining stake (below 2^63), a bias of less than 2^-190.
    """
    urn = list(candidates)
    drawn: list[Address] = []
    for seat in range(min(seats, len(urn))):
        point = int.from_bytes(h256(Tag.DRAW, pack([seed, seat])), "big") % sum(w.stake_grains for w in urn)
        for index, weight in enumerate(urn):
            if point < weight.stake_grains:
                drawn.append(weight.address)
                del urn[index]
                break
            point -= weight.stake_grains
    return tuple(drawn)


def attest_commitment(job: JobId, member: Address, verdict: int, salt: bytes, evidence_root: bytes) -> Hash32:
    """What a member commits to before anybody reveals; binds job and member, so a copied commitment never opens."""
    return h256(Tag.ATTEST, pack([job, member, verdict, salt, evidence_root]))
