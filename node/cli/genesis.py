"""`tilework genesis`: founding a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from node.amounts import parse_amount, tile
from node.cli.context import json_amounts_option, show

if TYPE_CHECKING:
    from genesis.spec import ChainSpec


@click.group()
def genesis() -> None:
    """Chain specs: the constants and first balances of a network."""


@genesis.command()
@click.option(
    "--preset", "preset_name", default="dev", show_default=True, help="Constants to start from: dev or test."
)
@click.option("--chain-id", help="Name of the network, up to 32 characters.  [default: the preset's]")
@click.option(
    "--account", "accounts", multiple=True, metavar="ADDRESS=AMOUNT", help="A first balance; repeatable."
)
@click.option(
    "--validator",
    "validators",
    multiple=True,
    metavar="PUBKEY=STAKE",
    help="A founding validator; repeatable.",
)
@click.option("--target", help="First target as 0x…; see --hash-rate.")
@click.option(
    "--hash-rate", type=click.IntRange(min=1), help="First target from the MAC/s of all miners together."
)
@click.option(
    "--block-time", "block_time_s", help="Seconds per block, for example 2 or 0.5.  [default: the preset's]"
)
@click.option("--time-ms", type=click.IntRange(min=0), help="Genesis time, ms since 1970.  [default: now]")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
def build(
    preset_name: str,
    chain_id: str | None,
    accounts: tuple[str, ...],
    validators: tuple[str, ...],
    target: str | None,
    hash_rate: int | None,
    block_time_s: str | None,
    time_ms: int | None,
    out: Path,
) -> None:
    """Write a genesis file.

    \b
    tilework genesis build --chain-id my-net --hash-rate 2000000000 \\
        --account tiledev1…=1000tile --validator 9f3a…=5000tile --out genesis.json
    """
    from dataclasses import replace

    from chain.bech32m import decode_address
    from chain.errors import LocalFault
    from chain.types import Grains, PublicKey
    from genesis.build import check_spec
    from genesis.json_form import to_json
    from genesis.presets import preset
    from genesis.spec import Allocation, FoundingValidator
    from node.ports import WallClock

    if target is not None and hash_rate is not None:
        raise click.UsageError("--target and --hash-rate exclude each other.")
    spec = preset(preset_name)
    prefix = spec.address_prefix
    if chain_id is not None:
        spec = replace(spec, chain_id=_ascii(chain_id))
    if block_time_s is not None:
        spec = replace(spec, pace=replace(spec.pace, block_time_ms=_milliseconds(block_time_s)))
    spec = replace(
        spec,
        genesis_time_ms=WallClock().now_ms() if time_ms is None else time_ms,
        genesis_target=_target(spec, target, hash_rate),
        allocations=tuple(
            Allocation(decode_address(prefix, who), Grains(amount)) for who, amount in map(_pair, accounts)
        ),
        validators=tuple(
            FoundingValidator(PublicKey(_public_key(who)), Grains(amount))
            for who, amount in map(_pair, validators)
        ),
    )
    spec.to_bytes()  # every field within its bounds
    check_spec(spec)
    try:
        out.write_text(to_json(spec), encoding="utf-8")
    except OSError as error:
        raise LocalFault(
            "FILE_WRITE", found=f"{out}: {error.strerror}", allowed="a place we may write to"
        ) from error
    click.echo(f"Wrote {out}")
    _tell(_summary(spec))


@genesis.command("show")
@click.argument("file", type=click.Path(path_type=Path))
@json_amounts_option
def show_genesis(file: Path, as_json: bool) -> None:
    """Show a genesis file: its hash, the id of its first block, and what it founds."""
    summary = _summary(read_spec(file))
    if as_json:
        show(summary)
    else:
        _tell(summary)


def read_spec(file: Path) -> ChainSpec:
    """The chain spec in a file.  Raises: Missing FILE, LocalFault FILE_READ, Policy SPEC_*."""
    from chain.errors import LocalFault, Missing, Policy
    from genesis.json_form import from_json

    try:
        return from_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Missing(
            "FILE",
            found=f"no file {file}",
            hint="Make one with `tilework genesis build`, or copy the network's.",
        ) from error
    except UnicodeDecodeError as error:
        raise Policy(
            "SPEC_JSON", found=f"bytes that are no text in {file}", allowed="a genesis file"
        ) from error
    except OSError as error:
        raise LocalFault(
            "FILE_READ", found=f"{file}: {error.strerror}", allowed="a file we may read"
        ) from error


def _summary(spec: ChainSpec) -> dict[str, Any]:
    from chain.kv import MemoryKV
    from compute.spec.profiles import PROFILES
    from node.chain import Chain

    return {
        "chain_id": spec.chain_id.decode(),
        "preset": spec.preset,
        "hash": spec.hash().hex(),
        "genesis": Chain.open(MemoryKV(), spec).genesis.id.hex(),
        "address_prefix": spec.address_prefix,
        "genesis_time_ms": spec.genesis_time_ms,
        "block_time_ms": spec.pace.block_time_ms,
        "profile": PROFILES[spec.profile_id].name,
        "target": f"{spec.genesis_target:#x}",
        "block_macs": (1 << 256) // (spec.genesis_target + 1),
        "accounts": len(spec.allocations),
        "allocated_grains": sum(allocation.balance_grains for allocation in spec.allocations),
        "validators": len(spec.validators),
        "staked_grains": sum(validator.stake_grains for validator in spec.validators),
        "fault_injection": bool(spec.fault_injection),
    }


def _tell(summary: dict[str, Any]) -> None:
    from node.amounts import scaled

    block_time = f"{summary['block_time_ms'] // 1000}.{summary['block_time_ms'] % 1000:03}".rstrip(
        "0"
    ).rstrip(".")
    click.echo(f"chain      {summary['chain_id']} (preset {summary['preset']}, profile {summary['profile']})")
    click.echo(f"spec hash  {summary['hash']}")
    click.echo(f"genesis    {summary['genesis']}")
    click.echo(
        f"pace       a block every {block_time} s, {scaled(summary['block_macs'], 'MAC')} each at first"
    )
    click.echo(f"accounts   {summary['accounts']} with {tile(summary['allocated_grains'])}")
    click.echo(f"validators {summary['validators']} with {tile(summary['staked_grains'])} staked")
    if summary["fault_injection"]:
        click.echo("faults     allowed: nodes may be run with --fault, so this is no network for real money")


def _target(spec: ChainSpec, target: str | None, hash_rate: int | None) -> int:
    from compute.spec.profiles import PROFILES

    if target is not None:
        try:
            return int(target, 16)
        except ValueError:
            raise click.BadParameter(f"{target!r} is no hexadecimal number.", param_hint="--target") from None
    if hash_rate is None:
        return spec.genesis_target
    easiest = PROFILES[spec.profile_id].max_target
    macs_per_block = max(1, hash_rate * spec.pace.block_time_ms // 1000)
    return max(1, min((1 << 256) // macs_per_block, easiest))


def _pair(text: str) -> tuple[str, int]:
    who, separator, amount = text.partition("=")
    grains = parse_amount(amount)
    if not separator or grains is None:
        raise click.BadParameter(
            f"{text!r} is not WHO=AMOUNT, for example …=1000tile.", param_hint="--account/--validator"
        )
    return who, grains


def _public_key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise click.BadParameter(
            f"{text!r} is no public key: 64 hexadecimal digits, see `tilework keys show`.",
            param_hint="--validator",
        )
    return key


def _ascii(text: str) -> bytes:
    if not text.isascii() or not text.isprintable() or not 1 <= len(text) <= 32:
        raise click.BadParameter(
            f"{text!r} is no chain id: 1 to 32 plain characters.", param_hint="--chain-id"
        )
    return text.encode()


def _milliseconds(text: str) -> int:
    whole, _, part = text.partition(".")
    if not (whole + part).isdecimal() or not whole or len(part) > 3 or len(whole) > 6:
        raise click.BadParameter(
            f"{text!r} is no number of seconds with at most 3 decimals.", param_hint="--block-time"
        )
    return int(whole) * 1000 + int(part.ljust(3, "0"))
