"""What a node answers to `work_template` and `work_submit`, read by whoever mines beside it.  Spec: [POW-WORKER-4]."""

from __future__ import annotations

from typing import Any

from chain.bech32m import decode, decode_address
from chain.blocks import Header
from chain.codec import unpack
from chain.errors import Invalid, Policy
from chain.types import ZERO_HASH, Address, BlockHash, Hash32
from compute.messages import MAX_SIGMA_BYTES
from compute.spec.profiles import PROFILES
from node.mining.work import WORK_RULES, Outcome, Submission, Work

_SHOWN_CHARACTERS = 200
"""Of an answer that cannot be read."""


def parse_work(form: Any, address: str | None) -> Work:
    """The work that `work_template` hands out, for the account `address`; None takes whatever account the node names.

    Height, parent and target are what the header inside sigma says: it is what the work is done over.

    Raises:
        Policy: WORK_RULES for work of other rules than ours, WORK_PROFILE for constants that are not known here.
        Invalid: WORK_TEMPLATE for anything else than work, and for work that somebody else would be paid for;
            ADDRESS_* if `address` is none.
    """
    try:
        _check_release(form)
        header = header_of(bytes.fromhex(form["sigma"]))
        work = Work(
            version=_number(form["version"]),
            sigma=header.sigma(),
            target=int(form["target"], 16),
            profile_id=_number(form["profile_id"]),
            height=header.height,
            parent=header.parent,
            block_time_ms=_number(form["block_time_ms"]),
        )
    except (KeyError, TypeError, ValueError, Invalid) as error:
        raise Invalid(
            "WORK_TEMPLATE", found=repr(error)[:_SHOWN_CHARACTERS], allowed="the answer of work_template"
        ) from error
    if work.target != header.target or not 1 <= work.target <= PROFILES[work.profile_id].max_target:
        raise Invalid(
            "WORK_TEMPLATE",
            found=f"target {work.target:x}, in the header {header.target:x}",
            allowed=f"the same twice, 1..{PROFILES[work.profile_id].max_target:x}",
        )
    if address is not None and header.miner != _account(address):
        raise Invalid(
            "WORK_TEMPLATE",
            found="a template for another miner",
            allowed=address,
            hint="This node would keep what you win: use another one.",
        )
    return work


def parse_submission(form: Any) -> Submission:
    """What `work_submit` says became of a win.  Raises: Invalid WORK_SUBMISSION if it says something else."""
    try:
        block = BlockHash(bytes.fromhex(form["block"])) if form["block"] else None
        return Submission(Outcome(form["outcome"]), str(form["reason"]), block)
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid(
            "WORK_SUBMISSION", found=repr(error)[:_SHOWN_CHARACTERS], allowed="the answer of work_submit"
        ) from error


def header_of(sigma: bytes) -> Header:
    """The header that a sigma stands for, its certificate hash zero.  Raises: Invalid WORK_TEMPLATE, ENC_*."""
    fields = unpack(sigma) if len(sigma) <= MAX_SIGMA_BYTES else None
    if not isinstance(fields, tuple):
        raise Invalid("WORK_TEMPLATE", found=f"{len(sigma)} bytes", allowed="the fields of a header")
    return Header.from_wire((*fields, Hash32(ZERO_HASH)))


def _check_release(form: Any) -> None:
    """Raises: Policy WORK_RULES, WORK_PROFILE; KeyError, TypeError if the form does not say."""
    if form["work_rules"] != WORK_RULES:
        raise Policy(
            "WORK_RULES",
            found=f"a node with work rules {form['work_rules']}",
            allowed=str(WORK_RULES),
            hint=_ONE_RELEASE,
        )
    if form["profile_id"] not in PROFILES:
        allowed = ", ".join(map(str, PROFILES))
        raise Policy("WORK_PROFILE", found=form["profile_id"], allowed=allowed, hint=_ONE_RELEASE)


def _number(value: Any) -> int:
    """Raises: ValueError if the value is no number that a message to a worker can hold."""
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise ValueError(value)
    return value


def _account(address: str) -> Address:
    """Of whatever network: whether it is the node's, the node says."""
    network, _ = decode(address)
    return decode_address(network, address)


_ONE_RELEASE = "Use the node and the miner of one release."
