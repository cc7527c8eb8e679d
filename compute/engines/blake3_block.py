"""Constants of BLAKE3 for one keyed block of 64 bytes, the only input of a ticket.

Source: BLAKE3 specification (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020), sections 2.1 to 2.3.
"""

from __future__ import annotations

ROUNDS = 7
IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A)
MESSAGE_ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
"""Place in this round's message of each word of the next round's."""
BLOCK_BYTES = 64
FLAGS = 1 | 2 | 8 | 16
"""CHUNK_START, CHUNK_END, ROOT and KEYED_HASH: a lone block under a key."""
COLUMNS_THEN_DIAGONALS = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)
"""The words of the state that each quarter-round mixes."""
