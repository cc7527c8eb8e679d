"""What every command that signs one transaction has in common: its options, and the way from a body to a block.

Before anything is sent, the node is asked what it would do: what the chain would refuse costs no fee.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from node.cli.amounts import AMOUNT
from node.cli.context import (
    address_named,
    connect,
    json_amounts_option,
    key_option,
    rpc_option,
    signing_key,
)
from node.cli.cosigning import keep, shared_account, shared_options

if TYPE_CHECKING:
    from chain.codec import Record
    from chain.keys import SigningKey
    from chain.types import Address
    from node.cli.heights import Heights
    from node.rpc.client import RpcClient
    from node.wallet import Shared, Situation
    from vm.envelope import Transaction

C = TypeVar("C", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Writing:
    """How a person wants a transaction to be made and sent."""

    tip_grains: int
    dry_run: bool
    wait: bool
    timeout_s: int
    sender_name: str | None
    cosigner_names: tuple[str, ...]
    later: Path | None
    key_name: str | None
    keys_dir: Path | None
    url: str | None
    as_json: bool

    @staticmethod
    def taken_from(given: dict[str, Any]) -> Writing:
        """Out of the options of a command; what is left in `given` is the command's own."""
        return Writing(**{name: given.pop(name) for name in Writing.__slots__})


@dataclass(frozen=True, slots=True)
class Intent:
    """One transaction, and what to say of it."""

    kind: str
    body: Record
    done: str
    """What it did, once it is in a block."""
    spends_grains: int = 0
    spends: str = ""
    """What else than the fee is paid from the balance, in a word."""
    told: tuple[str, ...] = ()
    """Lines to read before it is signed."""
    afterwards: str = ""
    """What to do next."""
    more: dict[str, Any] = field(default_factory=dict)
    """What JSON says beside what the node says."""
    asked_before: bool = True
    """Whether nothing is sent that the node says would fail."""
    sponsored: bool = False
    """Whether somebody else pays the fee."""


@dataclass(frozen=True, slots=True)
class Desk:
    """A key, a node, and the situation on its chain."""

    client: RpcClient
    key: SigningKey
    now: Situation
    how: Writing
    shared: Shared | None = None
    """Set if the key does not act for its own account."""

    @property
    def heights(self) -> Heights:
        from node.cli.heights import Heights

        return Heights.of(self.now)

    @property
    def own(self) -> str:
        """The account that acts."""
        return self.text(self.shared.sender if self.shared is not None else self.key.address)

    def address(self, name: str) -> Address:
        """Whom an address or a name means.  Raises: Invalid ADDRESS_*, Missing KEY_UNKNOWN."""
        return address_named(name, self.now.spec.address_prefix, self.how.keys_dir)

    def text(self, address: Address) -> str:
        from chain.bech32m import encode_address

        return encode_address(self.now.spec.address_prefix, address)

    def carry_out(self, intent: Intent) -> None:
        """Tell what it would do, or do it.

        Raises: Policy BALANCE; CommandFailed: exit 1 if it would fail, exit 4 if that was all that was asked, or if it
            has failed in a block.
        """
        from node.cli.dry_run import tell
        from node.cli.sending import deliver
        from node.wallet import build, require_funds

        how = self.how
        transaction = build(
            self.now, self.key, intent.kind, intent.body, tip_grains=how.tip_grains, shared=self.shared
        )
        if not how.as_json:
            for line in intent.told:
                click.echo(line)
        if how.dry_run:
            tell(self.client, self.now, transaction, as_json=how.as_json, more=intent.more)
            return
        if not intent.sponsored:
            require_funds(self.now, transaction, intent.spends_grains, intent.spends)
        if how.later is not None:
            keep(transaction, how.later, self.now.spec.address_prefix, as_json=how.as_json)
            return
        if intent.asked_before:
            self._require_success(transaction)
        wait_s = how.timeout_s if how.wait else None
        deliver(self.client, transaction, intent.done, wait_s=wait_s, as_json=how.as_json, more=intent.more)
        if intent.afterwards and not how.as_json:
            click.echo(intent.afterwards)

    def _require_success(self, transaction: Transaction) -> None:
        """While other transactions of the sender wait, only the chain can tell: this one may build on them."""
        from node.cli.dry_run import reason, simulated
        from node.cli.errors import REFUSED, CommandFailed

        if self.now.waiting:
            return
        found = simulated(self.client, transaction)
        if found["code"]:
            raise CommandFailed(f"{reason(found, self.now, transaction)} Nothing was sent.", REFUSED)


@contextmanager
def desk(how: Writing) -> Iterator[Desk]:
    """Connect to the node that was asked for.  Raises: as `connect` and `signing_key`."""
    from node.cli.sending import situation

    key = signing_key(how.key_name, how.keys_dir)
    with connect(how.url) as client:
        shared = shared_account(client, how)
        yield Desk(client, key, situation(client, key, shared), how, shared)


def writing(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of commands that sign; the command gets them as `how`."""

    @wraps(command)
    def run(**given: Any) -> None:
        how = Writing.taken_from(given)
        command(how=how, **given)

    return writing_options(run)


def writing_options(command: C) -> C:
    """Adds every option that `Writing` is made from."""
    return sending_options(shared_options(key_option(rpc_option(json_amounts_option(command)))))


def sending_options(command: C) -> C:
    """Adds --tip, --dry-run, --wait and --timeout."""
    for option in (
        click.option(
            "--timeout",
            "timeout_s",
            type=click.IntRange(min=0),
            default=120,
            show_default=True,
            help="Seconds to wait.",
        ),
        click.option("--wait", is_flag=True, help="Return once it is in a block."),
        click.option(
            "--dry-run",
            is_flag=True,
            help="Show fee and effects on the present state; sign and send nothing.",
        ),
        click.option(
            "--tip",
            "tip_grains",
            type=AMOUNT,
            default=0,
            help="For the producer of the block; moves it ahead in a queue.",
        ),
    ):
        command = option(command)
    return command
