"""Bounds and amounts of the asset family; fixed for every network.  Spec: [ASSET-LIMITS]."""

from __future__ import annotations

from genesis.spec import GRAINS_PER_TILE

MAX_TITLE_BYTES = 64
MAX_METRIC_BYTES = 32
MAX_PARENTS = 8
MAX_PAYEES = 32
"""Assets that a sale pays besides the one that is sold."""
MAX_DEPTH = 16
"""Generations above an asset."""
MAX_SHARES_BP = 5_000
"""What all parents together may take, in hundredths of a per cent."""
SLOTS = 8
"""Offers per asset, numbered from 0."""
DEPOSIT_GRAINS = GRAINS_PER_TILE
"""Locked per asset that is not retired."""
NOTICE_BLOCKS = 100
"""How long dearer terms wait."""
MAX_CODE = 8
"""Programs that a permit names."""
MAX_PERMITTED = 8
"""Providers that a permit names."""
PERMIT_DEPOSIT_GRAINS = GRAINS_PER_TILE // 10
"""Locked per permit until it expires."""
