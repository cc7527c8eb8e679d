"""Why the chain refuses a transaction, and what to try next: the words behind the code of a receipt.

The rule is quoted from where it is declared (vm/rules.py); only what to try next is written here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from vm.execute import ENVELOPE_RULES
from vm.registry import KINDS

_OPERATION = re.compile(r"BATCH\((?P<place>\d+),(?P<code>[A-Z_]+)\)")

_ASSET = "`tilework model show {asset}`."
_SEE_ASSET = "See " + _ASSET
_SEE_STAKE = "See `tilework stake list --mine`."
_NEXT = {
    ("", "BALANCE"): "See `tilework account show NAME`; pay from another account with --key.",
    ("", "NONCE"): "Try again: another transaction of this account came first.",
    ("", "FEE_TOO_LOW"): "Try again: the base fee has risen.",
    ("", "EXPIRED"): "Try again.",
    (
        "asset.",
        "NOT_FOUND",
    ): "See `tilework model list` for assets, `tilework model show ID` for one's versions.",
    ("asset.", "NOT_OWNER"): _SEE_ASSET + " Sign with its owner's key: --key.",
    ("asset.", "BAD_STATE"): _SEE_ASSET,
    ("asset.publish", "DUPLICATE"): "Whoever publishes content first owns it: see `tilework model list`.",
    ("asset.publish", "LICENCE"): "See `tilework model show ID` of each --parent: its derivatives line.",
    ("asset.publish", "SHARE"): "See `tilework model show ID` of each --parent for the least share it asks.",
    ("asset.publish", "LINEAGE"): "See `tilework model lineage ID` of each --parent.",
    ("asset.version", "DUPLICATE"): "This content is published already: "
    + _SEE_ASSET[0].lower()
    + _SEE_ASSET[1:],
    (
        "asset.version",
        "RECEIPT",
    ): "See `tilework job show JOB`; its input is the parent version's content root.",
    ("asset.acquire", "INACTIVE"): _SEE_ASSET,
    ("asset.acquire", "PRICE_MOVED"): "Without --max-price, `tilework model buy {asset} --slot {slot}` "
    "takes the present price.",
    ("asset.acquire", "QUOTA"): "Buy fewer --units; see " + _ASSET,
    ("asset.acquire", "SOLD_OUT"): "Buy fewer --units; see " + _ASSET,
    ("asset.retire", "GRANTS_LIVE"): "Try again then: `tilework model retire {asset}`.",
    ("asset.claim", "NOTHING"): "See what yours have earned: `tilework model list --mine`, then "
    "`tilework model show ID`.",
    ("asset.attest", "NO_GRANT"): "Who rates has used it: `tilework model buy {asset}`.",
    ("asset.attest", "ROLE"): "Become a validator with `tilework stake register AMOUNT`, or name a job.",
    ("gov.", "NOT_FOUND"): "See `tilework gov list`.",
    ("gov.", "PHASE"): "See `tilework gov show {proposal}`.",
    ("gov.deposit", "DEPOSIT"): "See `tilework gov show {proposal}`.",
    ("gov.vote", "NO_POWER"): "See `tilework gov show {proposal} --power NAME`.",
    ("gov.cancel", "NOT_OWNER"): "Sign with the proposer's key: --key.",
    ("gov.propose", "PARAM_BOUNDS"): "See `tilework gov parameters`.",
    ("gov.propose", "BUSY"): "Try again when one of `tilework gov list --active` has ended.",
    ("provider.", "NOT_FOUND"): "Stand on the list first: `tilework provider register`.",
    ("provider.register", "BAD_STATE"): "Change what the list says with `tilework provider update`.",
    ("provider.register", "NOT_FOUND"): "See `tilework model show ID` for the versions of an asset.",
    ("provider.update", "BUSY"): "Leave once they have ended: `tilework provider show`.",
    (
        "job.open",
        "NO_GRANT",
    ): "Ask its owner for a permit and name it with --permit, or buy its use and name the slot.",
    ("asset.permit", "TYPE"): _SEE_ASSET,
    ("stake.", "NOT_FOUND"): "See `tilework stake list`.",
    ("stake.delegate", "SELF"): "Add to your own stake with `tilework stake register AMOUNT`.",
    ("stake.delegate", "CAPPED"): "Choose a smaller amount, or another validator of `tilework stake list`.",
    ("stake.register", "MIN_STAKE"): "Stake more, or delegate: `tilework stake delegate VALIDATOR AMOUNT`.",
    ("stake.undelegate", "SHARES"): _SEE_STAKE,
    ("stake.redelegate", "SHARES"): _SEE_STAKE,
    ("stake.redelegate", "REDELEGATING"): _SEE_STAKE,
    ("stake.redelegate", "CAPPED"): "Choose a smaller amount, or another validator of `tilework stake list`.",
    ("stake.", "JAILED"): "See `tilework stake list`.",
    ("stake.update", "PENDING"): _SEE_STAKE,
    (
        "stake.update",
        "CHANGE_RATE",
    ): "Rise in several steps, each by `tilework stake update --commission PERCENT`.",
    ("stake.unjail", "MIN_STAKE"): "Add to your own stake with `tilework stake register AMOUNT`.",
    ("stake.claim", "NO_REWARD"): _SEE_STAKE + " Earnings are shared out when an epoch begins.",
}
"""By the kind, the beginning of its name, or nothing; the longest that fits counts."""


def explained(transaction: dict[str, Any], code: str) -> str:
    """The rule behind a receipt's code, and what to try next; `transaction` has kind and body as RPC shows them."""
    kind, body, plain = _operation(transaction, code)
    rules = [*ENVELOPE_RULES, *(KINDS[kind].rules if kind in KINDS else ())]
    broken = list(dict.fromkeys(rule.requires for rule in rules if rule.code == plain))
    rule = f"The rule: {', or '.join(broken)}." if broken else ""
    return f"{rule} {_next(kind, plain, body)}".strip()


def next_step(transaction: dict[str, Any], code: str) -> str:
    """What to try next; empty if there is nothing better than the reason itself."""
    kind, body, plain = _operation(transaction, code)
    return _next(kind, plain, body)


def _operation(transaction: dict[str, Any], code: str) -> tuple[str, dict[str, Any], str]:
    """(kind, body, code) of what failed: the transaction, or the operation of a batch that `BATCH(…)` names."""
    match = _OPERATION.fullmatch(code)
    if match is None:
        return transaction["kind"], transaction["body"], code
    failed = transaction["body"]["operations"][int(match["place"])]
    return failed["kind"], failed["body"], match["code"]


def _next(kind: str, code: str, body: dict[str, Any]) -> str:
    for prefix in _prefixes(kind):
        if (prefix, code) in _NEXT:
            return _NEXT[prefix, code].format_map({key: str(value) for key, value in body.items()})
    return ""


def _prefixes(kind: str) -> Iterator[str]:
    yield kind
    yield kind.partition(".")[0] + "."
    yield ""
