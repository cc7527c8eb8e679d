"""Every form of every kind that bench_kinds.py measures; a kind without one shows in tests/unit/test_weights.py."""

from __future__ import annotations

from tests.bench import kind_blocks_accounts, kind_blocks_assets, kind_blocks_jobs, kind_blocks_stakes
from vm.registry import KINDS

_LISTED = [
    each
    for module in (kind_blocks_accounts, kind_blocks_stakes, kind_blocks_jobs, kind_blocks_assets)
    for each in module.FORMS.listed
]
FORMS = sorted(_LISTED, key=lambda each: list(KINDS).index(each.kind))
