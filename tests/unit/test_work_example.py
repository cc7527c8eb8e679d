"""The worked example of docs/spec/work.md: every number on the page is the reference's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compute.spec.profiles import PROFILES, TEST, Profile
from tests.work_example import CUBE, example_attempt, example_facts

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
    assert profile.slices <= 32


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
