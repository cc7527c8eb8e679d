"""The worked example of docs/spec/work.md: every number on the page is the reference's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chain.hashing import BulkTag
from chain.types import Hash32
from compute.messages import _COMMANDS, _EVENTS
from compute.spec.certificate import MAX_BLOCK_BYTES, MAX_PATH_LENGTH, Certificate
from compute.spec.claim import Mu
from compute.spec.commit import leaf_count, path_length
from compute.spec.profiles import PROFILES, TEST, Profile
from tests.work_example import CUBE, example_attempt, example_facts
from tests.work_samples import BINDING

PAGE = (Path(__file__).parents[2] / "docs/spec/work.md").read_text(encoding="utf-8")
EXAMPLE = PAGE[PAGE.index("## Worked example") : PAGE.index("## [POW-EXACT]")]


def written_facts() -> dict[str, str]:
    """Name to value of the example's blocks; the parts of a hex value that goes on below are joined."""
    facts: dict[str, str] = {}
    name = ""
    for block in re.findall(r"^```text\n(.*?)^```$", EXAMPLE, re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\n {4}", "\n+", block).splitlines():
            if line.startswith("+"):
                facts[name] += line  # a marked continuation
                continue
            name, _, value = line.partition(" = ")
            assert name not in facts, name
            facts[name] = value
    return facts


def same(written: str, computed: str) -> bool:
    """Equal but for where a line was broken: numbers at a space, hex anywhere."""
    return written.replace("+", " ") == computed or written.replace("+", "") == computed


def test_every_number_is_the_references() -> None:
    written, computed = written_facts(), example_facts()
    assert list(written) == list(computed)
    assert [name for name in computed if not same(written[name], computed[name])] == []


def test_the_offsets_cover_the_certificate() -> None:
    """Field by field from the first byte to the last, the blocks by their first entries."""
    encoded = example_attempt().certificate(CUBE).to_bytes()
    ranges = [
        tuple(map(int, re.findall(r"\d+", name)))
        for name in written_facts()
        if name.startswith("certificate[")
    ]
    starts = {start for start, _ in ranges}
    for start, end in ranges:
        in_block = 114 <= start < 2168
        assert in_block or end in starts or end == len(encoded)
    assert str(len(encoded)) == written_facts()["length of certificate"]


def test_the_prose_of_the_example_is_true() -> None:
    attempt = example_attempt()
    assert attempt.winners(TEST.max_target) == [CUBE]
    assert (
        len(attempt.tickets),
        len(attempt.commitment_a.levels[0]),
        len(attempt.commitment_b.levels[0]),
    ) == (8, 4, 4)
    assert (attempt.mu.m, attempt.mu.n, attempt.mu.k) == (32, 32, 128)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name)
def test_the_table_of_profiles_is_the_code(profile: Profile) -> None:
    rows = {row[0]: row[1:] for row in table("## [POW-PROFILE]")}
    column = [name.strip("`") for name in rows[""]].index(profile.name)

    def number(name: str) -> str:
        return rows[name][column].split(":")[0].split(" %")[0].replace(",", "")

    assert number("id") == str(profile.profile_id)
    assert number("r") == str(profile.noise_rank)
    assert number("t") == str(profile.tile)
    assert number("S") == str(profile.segment)
    assert {str(profile.max_m), str(profile.max_n), str(profile.max_k)} == {number("m, n, k at most")}
    assert number("MACs of one ticket, t·t·S") == str(profile.cube_macs)
    assert number("slices of a cube, S/r") == str(profile.slices)
    assert float(number("folds: XORs per MAC, 1/r")) == pytest.approx(100 / profile.noise_rank, abs=0.06)
    assert number("hashes per GMAC, 10^9/(t·t·S)") == str(round(10**9 / profile.cube_macs))
    share, depth = re.findall(r"[\d.]+(?:,\d+)?", rows["denoising, 2r/k"][column])
    assert float(share) == pytest.approx(200 * profile.noise_rank / int(depth.replace(",", "")), abs=0.06)
    largest = Certificate(
        mu=Mu(profile.profile_id, profile.max_m, profile.max_n, profile.max_k, BINDING),
        root_a=Hash32(bytes(32)),
        root_b=Hash32(bytes(32)),
        tile_row=profile.max_m // profile.tile - 1,
        tile_column=profile.max_n // profile.tile - 1,
        segment=profile.max_k // profile.segment - 1,
        block_a=bytes(profile.block_bytes),
        block_b=bytes(profile.block_bytes),
        path_a=longest_path(profile.max_m, profile),
        path_b=longest_path(profile.max_n, profile),
    )
    kilobytes = int(number("certificate, at most").removesuffix(" KB"))
    assert kilobytes == pytest.approx(len(largest.to_bytes()) / 1000, abs=0.5)
    assert profile.slices <= 32


def longest_path(rows: int, profile: Profile) -> tuple[Hash32, ...]:
    return (Hash32(bytes(32)),) * path_length(0, leaf_count(rows, profile.max_k, profile))


def table(heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, without its ruler."""
    lines = PAGE[PAGE.index(heading) :].splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return [row for row in rows if not set("".join(row)) <= set("-:")]


def test_the_bounds_of_decoding_are_the_code() -> None:
    for bound in (MAX_BLOCK_BYTES, MAX_PATH_LENGTH, Certificate.MAX_BYTES):
        assert f" {bound:,} " in PAGE[PAGE.index("## [POW-CERT]") : PAGE.index("## [POW-VERIFY]")]


def test_the_context_strings_are_the_code() -> None:
    """Every tag of bulk hashing that the work uses stands in the table, and no other."""
    written = set(re.findall(r"`(tilework v1 [a-z ]+)`", PAGE[: PAGE.index("## [POW-PROFILE]")]))
    assert written == {tag.value for tag in BulkTag if tag.name.startswith(("POW_", "FREIVALDS"))}


def test_the_table_of_frames_is_the_code() -> None:
    cells = [cell for row in table("**[POW-WORKER-1]**")[1:] for cell in row]
    frames = re.findall(r"(\d+)\n(\w+)", "\n".join(cells))
    assert {int(kind): name for kind, name in frames} == {
        kind: record.__name__ for kinds in (_COMMANDS, _EVENTS) for kind, record in kinds.items()
    }
