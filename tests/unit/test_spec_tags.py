"""Code and specification speak of the same rules: every cited tag is defined, every defined one is cited."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from genesis.presets import PRESETS
from genesis.spec import ChainSpec
from vm.registry import KINDS

ROOT = Path(__file__).resolve().parents[2]
SPEC_PAGES = sorted((ROOT / "docs" / "spec").glob("*.md"))
PACKAGES = ("chain", "genesis", "vm", "consensus", "compute", "p2p", "node")
TAG = re.compile(r"\[([A-Z]+(?:-[A-Z0-9]+)+)\]")
FAMILY = re.compile(r"\[([A-Z]+(?:-[A-Z0-9]+)*)-\*\]")
PARAGRAPH = re.compile(r"^#+ .*|\*\*\[[A-Z0-9-]+\]\*\*", re.MULTILINE)
"""Where a rule is stated: a heading, or a tag in bold."""
ROW = re.compile(r"^\|.*\|$", re.MULTILINE)
ELSEWHERE = {"RPC", "KEY"}
"""Families of the node's own interface, which no other node can observe; their page is the reference."""


def sources() -> Iterator[tuple[Path, str]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path, path.read_text()


def defined() -> dict[str, str]:
    """Tag to page; a rule that is one row of a table has no other place."""
    found: dict[str, str] = {}
    for page in SPEC_PAGES:
        for place in PARAGRAPH.findall(page.read_text()):
            for tag in TAG.findall(place):
                assert tag not in found, f"{tag} is defined in {found[tag]} and in {page.name}"
                found[tag] = page.name
    for page in SPEC_PAGES:
        for row in ROW.findall(page.read_text()):
            for tag in TAG.findall(row):
                found.setdefault(tag, page.name)
    return found


def cited() -> dict[str, str]:
    """Tag to one of the files that cite it, wildcards not counted."""
    return {tag: str(path.relative_to(ROOT)) for path, text in sources() for tag in TAG.findall(text)}


def test_every_tag_cited_in_code_is_defined() -> None:
    known = defined()
    missing = [f"{tag} in {path}" for tag, path in cited().items() if tag not in known]
    assert not [each for each in missing if each.split("-")[0] not in ELSEWHERE]


def test_every_family_named_in_code_has_rules() -> None:
    known = defined()
    for path, text in sources():
        for family in FAMILY.findall(text):
            if family not in ELSEWHERE:
                assert any(tag == family or tag.startswith(f"{family}-") for tag in known), (
                    f"{family} in {path}"
                )


def test_every_defined_rule_is_cited_by_code() -> None:
    """A tag's own line, or its family in the docstring of the module that implements it."""
    exact = set(cited())
    families = {family for _, text in sources() for family in FAMILY.findall(text)}
    parents = {tag.rsplit("-", 1)[0] for tag in exact}
    unknown = [
        tag
        for tag in defined()
        if tag not in exact
        and tag not in parents
        and not any(tag == f or tag.startswith(f"{f}-") for f in families)
    ]
    assert not unknown


def test_tags_inside_the_pages_are_defined() -> None:
    known = defined()
    for page in SPEC_PAGES:
        for tag in TAG.findall(page.read_text()):
            assert tag in known or tag.split("-")[0] in ELSEWHERE, f"{tag} in {page.name}"


def test_the_table_of_kinds_is_the_code() -> None:
    text = (ROOT / "docs/spec/chain.md").read_text()
    rows = re.findall(r"^\| `([a-z._]+)` \| (\d+) \| (\d+) \|", text, re.MULTILINE)
    assert rows == [(kind.name, str(kind.weight), str(kind.max_bytes)) for kind in KINDS.values()]


@pytest.mark.parametrize("spec", PRESETS.values(), ids=lambda spec: spec.preset)
def test_the_table_of_windows_is_the_code(spec: ChainSpec) -> None:
    rules = spec.jobs
    text = (ROOT / "docs/spec/jobs.md").read_text()
    rows = {
        "minimum open, open expires after": f"{rules.minimum_open_blocks}, {rules.open_expiry_blocks}",
        "commit deadline: least, most, default": f"{rules.deadline_minimum_blocks}, {rules.deadline_maximum_blocks}, "
        f"{rules.deadline_default_blocks}",
        "beacon blocks": f"c+{rules.beacon_first_block} .. c+{rules.beacon_last_block}",
        "committee drawn": f"c+{rules.draw_offset}",
        "attest: commit": f"c+{rules.draw_offset} .. c+{rules.reveal_offset - 1}",
        "attest: reveal": f"c+{rules.reveal_offset} .. c+{rules.reveal_end_offset - 1}",
        "settled or void": f"c+{rules.settle_offset}",
        "committee, quorum": f"{rules.committee_size}, {rules.quorum}",
    }
    for name, value in rows.items():
        assert f"| {name} | {value} |" in text
