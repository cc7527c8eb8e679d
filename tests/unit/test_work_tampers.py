"""The verifier's refusals against its source: every `raise` is reached, by at least one tamper per condition.

Spec: [POW-VERIFY-1], [ENC-TOTAL].
"""

from __future__ import annotations

import traceback
from collections import Counter
from pathlib import Path

import pytest

from chain.errors import Invalid
from tests.tampers import EXEMPT, MODULES, ROOT, Site, Tamper, sites, tampers

TAMPERS = tampers()


def site_of(error: Invalid) -> Site | None:
    """The `raise` of the modules that made `error`."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    path = Path(last.filename).resolve()
    for site in sites():
        if path == ROOT / site.path and last.lineno and site.first_line <= last.lineno <= site.last_line:
            return site
    return None


def refused_at(tamper: Tamper) -> Site:
    with pytest.raises(Invalid) as caught:
        tamper.call()
    site = site_of(caught.value)
    assert site is not None, f"{caught.value.code} is raised outside {', '.join(MODULES)}"
    return site


@pytest.mark.parametrize("tamper", TAMPERS, ids=lambda tamper: f"{tamper.code}: {tamper.label}")
def test_each_tamper_is_refused_by_its_own_check(tamper: Tamper) -> None:
    assert refused_at(tamper).name == (tamper.path, tamper.function, tamper.code)


def test_every_rejection_has_a_tamper_for_each_of_its_conditions() -> None:
    """Fails when a `raise` is added, or a condition to one that exists, and nobody says how it is reached."""
    reached = Counter(refused_at(tamper) for tamper in TAMPERS)
    needed = {site for site in sites() if site.name not in EXEMPT}
    assert needed
    missing = [
        f"{site.path}:{site.first_line} {site.code}: {reached[site]} tampers, {site.conditions} conditions"
        for site in needed
        if reached[site] < site.conditions
    ]
    assert not missing
    assert {site.name for site in sites()} >= set(EXEMPT), "an exemption for nothing"


def test_every_code_of_the_specification_is_raised_and_the_other_way_round() -> None:
    """The table of [POW-VERIFY-1] is the set of codes the verifier can give."""
    text = (ROOT / "docs/spec/work.md").read_text().split("**[POW-VERIFY-1]**")[1].split("\n## ")[0]
    stated = [word.strip("`") for word in text.replace(",", " ").split() if word.startswith("`WORK_")]
    raised = {
        site.code
        for site in sites()
        if site.path in ("compute/spec/claim.py", "compute/spec/padding.py", "compute/spec/verify.py")
    }
    assert set(stated) == raised
    assert len(stated) == len(set(stated))
