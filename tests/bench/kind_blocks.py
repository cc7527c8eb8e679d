"""Every form of every kind that bench_kinds.py measures; a kind without one shows in tests/unit/test_kind_blocks.py."""

from __future__ import annotations

from tests.bench import kind_blocks_accounts as kind_blocks_accounts
from tests.bench import kind_blocks_assets as kind_blocks_assets
from tests.bench import kind_blocks_jobs as kind_blocks_jobs
from tests.bench import kind_blocks_stakes as kind_blocks_stakes
from tests.bench.kind_stage import FORMS as FORMS
