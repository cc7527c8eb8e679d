"""`tilework bench`: what this machine can do, measured."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from node.cli.context import json_option, show
from node.cli.profile import profile_option

if TYPE_CHECKING:
    from compute.bench import CertificateCost
    from compute.engines.base import Engine
    from compute.engines.measure import BenchRow
    from compute.spec.profiles import Profile

ALL = "all"
DEFAULT_SIZES = (1024, 2048, 4096)
_SLOW = "reference"
"""Left out of `all`: the specification itself, hundreds of times slower than the rest."""
_MAX_DIGITS = 9
_COLUMNS = {
    "engine": 9,
    "m x n x k": 17,
    "plain ms": 10,
    "attempt ms": 12,
    "ratio": 7,
    "GMAC/s": 9,
    "tickets/s": 11,
    "certificate": 13,
    "verify ms": 11,
}
"""Headings and widths."""


class Sizes(click.ParamType[Any]):
    """1024,2048 (cubes) or 512x4096x1024 (m x n x k), separated by commas."""

    name = "sizes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of shapes (m, n, k)."""
        if not isinstance(value, str):
            return value
        shapes = []
        for part in value.split(","):
            numbers = [number.strip() for number in part.split("x")]
            if len(numbers) not in (1, 3) or not all(map(_is_size, numbers)):
                self.fail(
                    f"{part!r} is neither an edge such as 1024 nor a shape such as 512x4096x1024.", param, ctx
                )
            shapes.append(tuple(int(number) for number in numbers) if len(numbers) == 3 else (int(part),) * 3)
        return tuple(shapes)


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and int(text) > 0


@click.group()
def bench() -> None:
    """Benchmarks: what this machine can do."""


@bench.command()
@click.option(
    "--engine",
    "engine_name",
    default=ALL,
    show_default=True,
    help="One engine, or all that run here but the reference.",
)
@profile_option
@click.option(
    "--sizes",
    type=Sizes(),
    default=",".join(map(str, DEFAULT_SIZES)),
    show_default=True,
    help="Edges of cubes, or shapes m x n x k such as 512x4096x1024.",
)
@click.option(
    "--rounds", type=click.IntRange(1, 1000), default=5, show_default=True, help="Medians are of so many."
)
@click.option("--stages", is_flag=True, help="Also where the time of an attempt goes.")
@json_option
def work(
    engine_name: str,
    profile: Profile,
    sizes: tuple[tuple[int, int, int], ...],
    rounds: int,
    stages: bool,
    as_json: bool,
) -> None:
    """What mining costs: an attempt (committed, noised, multiplied, drawn, denoised) against the plain product.

    Medians of interleaved rounds; CPU time of one thread, on a GPU the time of the device. Every product is compared
    with the plain one before it is timed. A certificate is checked by any CPU in the same time, whoever won it.
    """
    from compute.blas_threads import use_one_blas_thread

    use_one_blas_thread()

    from compute.bench import certificate_cost
    from compute.engines.measure import measure
    from compute.spec.claim import NO_BINDING, check_mu
    from compute.spec.padding import padded_mu

    for shape in sizes:
        check_mu(padded_mu(profile, *shape, NO_BINDING), profile)
    chosen = _choose(engine_name, profile)
    tell = _nothing if as_json else click.echo
    tell(f"profile {profile.name}: r = {profile.noise_rank}, t = {profile.tile}, S = {profile.segment}")
    for name, reason in chosen.skipped.items():
        tell(f"{name}: not measured: {reason}")
    tell(heading())
    forms = []
    for shape in sizes:
        cost = certificate_cost(profile, shape)
        for row in measure(chosen.engines, profile, shape, rounds):
            forms.append(_form(row, cost))
            tell(table_line(row, cost))
            if stages:
                tell(shares(row))
    if as_json:
        show({"profile": profile.name, "rounds": rounds, "rows": forms, "skipped": chosen.skipped})


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Engines that can be measured, and why the others cannot."""

    engines: list[Engine]
    skipped: dict[str, str]


def _choose(name: str, profile: Profile) -> _Chosen:
    """The engines asked for that pass their self-test here.

    Raises: Policy WORK_ENGINE_NAME; LocalFault WORK_ENGINE_UNUSABLE or WORK_SELF_TEST for one that was named.
    """
    from chain.errors import LocalFault
    from compute.engines.select import ENGINES, choose_engine

    if name != ALL:
        return _Chosen([choose_engine(name, profile, secrets.token_bytes(32))[0]], {})
    chosen = _Chosen([], {})
    for candidate in ENGINES:
        if candidate == _SLOW:
            continue
        try:
            chosen.engines.append(choose_engine(candidate, profile, secrets.token_bytes(32))[0])
        except LocalFault as fault:
            chosen.skipped[candidate] = str(fault.found)
    return chosen


def _form(row: BenchRow, cost: CertificateCost) -> dict[str, Any]:
    return {
        "engine": row.engine,
        "m": row.m,
        "n": row.n,
        "k": row.k,
        "plain_ns": row.plain_ns,
        "attempt_ns": row.attempt_ns,
        "ratio": round(row.ratio, 3),
        "macs_per_second": row.macs_per_second,
        "tickets": row.tickets,
        "tickets_per_second": row.tickets_per_second,
        "certificate_bytes": cost.size_bytes,
        "verify_ns": cost.verify_ns,
        "stages_ns": {stage.value: taken_ns for stage, taken_ns in row.stage_ns.items()},
        "lottery_share": round(row.lottery_share, 3),
    }


def heading() -> str:
    """First line of the table."""
    return _line(tuple(_COLUMNS))


def table_line(row: BenchRow, cost: CertificateCost) -> str:
    """One measurement."""
    return _line(
        (
            row.engine,
            f"{row.m}x{row.n}x{row.k}",
            f"{row.plain_ns / 1e6:,.1f}",
            f"{row.attempt_ns / 1e6:,.1f}",
            f"{row.ratio:.2f}",
            f"{row.macs_per_second / 1e9:,.1f}",
            f"{row.tickets_per_second:,}",
            f"{cost.size_bytes:,} B",
            f"{cost.verify_ns / 1e6:.2f}",
        )
    )


def shares(row: BenchRow) -> str:
    """Where the time of an attempt goes."""
    total_ns = max(1, sum(row.stage_ns.values()))
    parts = ", ".join(
        f"{stage.value} {100 * taken_ns / total_ns:.1f} %" for stage, taken_ns in row.stage_ns.items()
    )
    return f"  {parts}; noise + commitment + tickets {100 * row.lottery_share:.1f} %"


def _line(cells: tuple[str, ...]) -> str:
    """Text to the left, numbers to the right."""
    first, *others = zip(cells, _COLUMNS.values(), strict=True)
    return first[0].ljust(first[1]) + "".join(cell.rjust(width) for cell, width in others)


def _nothing(_: str) -> None:
    pass
