"""Every code of the kinds of governance is produced by a transaction that pays its fee and does nothing else."""

from __future__ import annotations

import pytest

from tests.governance_cases import GOVERNANCE_FAILURES, Forum


@pytest.mark.parametrize(("kind", "code"), GOVERNANCE_FAILURES)
def test_a_failure(kind: str, code: str) -> None:
    forum = Forum()
    assert GOVERNANCE_FAILURES[kind, code](forum) == code
    assert not forum.ledger.outcomes[-1].receipts[-1].events
