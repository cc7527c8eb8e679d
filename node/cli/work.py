"""`tilework work`: a product of one's own, golden vectors, and checking a proof standing alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from node.cli.context import json_option, show
from node.cli.errors import REFUSED, CommandFailed
from node.cli.work_multiply import multiply

if TYPE_CHECKING:
    from node.work_proof import Report


@click.group()
def work() -> None:
    """The work itself: your own products, golden vectors, proofs."""


work.add_command(multiply)


@work.command()
@click.option(
    "--out",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Directory to write; made if it is not there.",
)
@click.option("--force", is_flag=True, help="Write although the directory holds something.")
@json_option
def vectors(directory: Path, force: bool, as_json: bool) -> None:
    """Write golden vectors of every stage of the work, for whoever writes another implementation.

    One JSON file per profile: claim, commitments, seeds, noise, transcripts after every slice, tickets, winners, a
    certificate and the product. The same release writes the same bytes.
    """
    from compute.vectors import build_files
    from node.cli.files import write_file

    _require_empty(directory, force)
    files = build_files()
    for name, content in files.items():
        write_file(directory / name, content)
    if as_json:
        show({"directory": str(directory), "files": {name: len(content) for name, content in files.items()}})
        return
    for name, content in files.items():
        click.echo(f"{len(content):>8} bytes  {directory / name}")


@work.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--sigma", metavar="HEX", help="Header bytes without the proof.  [default: what the file says]")
@click.option("--target", metavar="HEX", help="The target, big-endian.  [default: what the file says]")
@click.option("--profile", metavar="NAME", help="test, dev, cpu or gpu.  [default: what the file says]")
@json_option
def verify(file: Path, sigma: str | None, target: str | None, profile: str | None, as_json: bool) -> None:
    """Check a proof of work standing alone: no node, no database, no network, no GPU.

    FILE is what `block proof` or `work vectors` wrote, or the bytes of a certificate, which need --sigma, --target and
    --profile. One line per check, in their order; the first failure ends them.
    """
    from node.block_check import Mark
    from node.cli.files import read_bounded
    from node.work_proof import MAX_FILE_BYTES, check, parse

    data = read_bounded(file, MAX_FILE_BYTES, hint="Save one with `tilework block proof ID --out FILE`.")
    report = check(parse(data, sigma, target, profile))
    if as_json:
        show(_form(report))
    else:
        for finding in report.findings:
            click.echo(f"{finding.mark.value:<7} {finding.what:<13} {finding.detail}")
    if report.code:
        stopped = next(finding.what for finding in report.findings if finding.mark is Mark.FAILED)
        raise CommandFailed(f"{report.code}: the proof is refused at check {stopped!r}.", REFUSED)


def _form(report: Report) -> dict[str, object]:
    return {
        "valid": not report.code,
        "code": report.code or None,
        "ticket": report.ticket.hex() if report.ticket is not None else None,
        "checks": [
            {"mark": finding.mark.value, "what": finding.what, "detail": finding.detail}
            for finding in report.findings
        ],
    }


def _require_empty(directory: Path, force: bool) -> None:
    from chain.errors import LocalFault, Policy

    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not force and any(directory.iterdir()):
            raise Policy(
                "OUT_NOT_EMPTY",
                found=f"files in {directory}",
                allowed="an empty directory",
                hint="Choose another, or write over them with --force.",
            )
    except OSError as error:
        raise LocalFault(
            "FILE_WRITE", found=f"{directory}: {error.strerror}", allowed="a directory we may write to"
        ) from error
