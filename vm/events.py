"""Every event a block can carry, with the names of its fields: the one list that receipts, RPC and CLI read."""

from __future__ import annotations

from chain.blocks import Event

FIELDS: dict[str, tuple[str, ...]] = {
    "Transferred": ("sender", "to", "amount_grains"),
    "ValidatorRegistered": ("validator", "stake_grains"),
    "StakeAdded": ("validator", "stake_grains"),
    "JobOpened": ("job", "payer", "macs", "escrow_grains"),
    "JobClaimed": ("job", "provider", "bond_grains"),
    "JobCommitted": ("job", "provider", "result_root"),
    "CommitteeDrawn": ("job", "beacon"),
    "Attested": ("job", "member", "phase", "verdict"),
    "ChallengeUpheld": ("job", "prover", "reward_grains"),
    "JobSettled": (
        "job",
        "provider",
        "paid_grains",
        "committee_grains",
        "burned_grains",
        "treasury_grains",
        "stakers_grains",
        "bonus_grains",
        "refund_grains",
    ),
    "JobRefunded": ("job", "status", "payer", "refund_grains", "penalty_grains", "burned_grains"),
    "JobSlashed": ("job", "provider", "bond_grains", "burned_grains", "prover_grains", "payer_grains"),
    "BlockBound": ("job", "provider", "height"),
    "CoinbaseMatured": ("miner", "amount_grains"),
    "CoinbaseEarned": ("miner", "emission_grains", "tips_grains"),
    "EpochStarted": ("epoch", "validators", "stake_grains"),
}


def event(name: str, **values: int | bytes) -> Event:
    """An event with its values in the listed order; every listed field must be given."""
    names = FIELDS[name]
    assert set(values) == set(names), f"{name} takes {names}, got {tuple(values)}"
    return Event(name, tuple(_plain(values[field]) for field in names))


def described(found: Event) -> dict[str, int | bytes]:
    """Field name to value, in order."""
    return dict(zip(FIELDS[found.name], found.values, strict=True))


def _plain(value: int | bytes) -> int | bytes:
    """Members of enumerations travel as their numbers."""
    return int(value) if isinstance(value, int) else value
