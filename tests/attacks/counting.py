"""Counting what a miner does, so that attacks are judged by operations and not by the clock.

Three things are counted: multiply-accumulates, word operations (additions, subtractions and XORs of words, table
lookups) and BLAKE3 compressions. One word operation is exchanged for `word_cost` multiply-accumulates:

- 1 is the rate most generous to an attacker: float32 units add exactly as fast as they multiply and add.
- 4 is the rate of AVX512-VNNI, where one instruction makes 64 multiply-accumulates of bytes or 16 additions of words.
- 64 is about the rate of an H100, whose tensor cores multiply bytes 64 times faster than its other units add words.

A compression is 7 rounds of 8 mixing steps with 14 word operations each, and 16 more: 800 word operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod

import numpy as np
import numpy.typing as npt

GENEROUS_WORD_COST = 1
VECTOR_WORD_COST = 4
TENSOR_WORD_COST = 64
COMPRESSION_WORDS = 800
_COMPRESSED_BYTES = 64
_CHUNK_BYTES = 1024

Integers = npt.NDArray[np.int64]


@dataclass
class Operations:
    """A miner's account; every method does its step exactly and books it."""

    macs: int = 0
    words: int = 0
    compressions: int = 0

    def total(self, word_cost: int = GENEROUS_WORD_COST) -> int:
        """Everything in multiply-accumulates."""
        return self.macs + word_cost * (self.words + COMPRESSION_WORDS * self.compressions)

    @property
    def without_hashing(self) -> int:
        """Products, folds and noise alone: what does not shrink beside them as the shape grows."""
        return self.macs + self.words

    def product(self, left: npt.NDArray[np.integer], right: npt.NDArray[np.integer]) -> Integers:
        """int64[m, n] = int[m, k] int[k, n], exact while every sum stays within 2^53: m k n multiply-accumulates."""
        self.macs += left.shape[0] * left.shape[1] * right.shape[1]
        return (left.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)

    def word_product(
        self, left: npt.NDArray[np.uint32], right: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.uint32]:
        """uint32[m, n] = uint32[m, k] uint32[k, n] modulo 2^32; the wider factors are not even charged for."""
        self.macs += left.shape[0] * left.shape[1] * right.shape[1]
        return left @ right

    def apply_sparse(
        self, left: npt.NDArray[np.uint32], right: npt.NDArray[np.uint32], sparse: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.uint32]:
        """uint32 left right modulo 2^32 by additions: one word operation per entry of `sparse`, one of the two, that
        is not zero, and per row or column of the other."""
        dense = right if sparse is left else left
        lines = dense.shape[1] if sparse is left else dense.shape[0]
        self.words += int(np.count_nonzero(sparse)) * lines
        return left @ right

    def book_words(self, *shape: int) -> None:
        """One word operation per entry of an array of that shape."""
        self.words += prod(shape)

    def book_hash(self, size_bytes: int, times: int = 1) -> None:
        """BLAKE3 of that many bytes, or as many bytes of output."""
        self.compressions += times * compressions(size_bytes)


def compressions(size_bytes: int) -> int:
    """Compressions of one BLAKE3 hash: blocks of 64 bytes, and the tree over chunks of 1,024."""
    blocks = -(-size_bytes // _COMPRESSED_BYTES)
    return max(blocks, 1) + max(-(-size_bytes // _CHUNK_BYTES) - 1, 0)


@dataclass(frozen=True)
class Yield:
    """What a miner spent and how many tickets came out that a verifier accepts as drawn."""

    operations: Operations
    tickets: int

    def per_ticket(self, word_cost: int = GENEROUS_WORD_COST) -> Fraction:
        return Fraction(self.operations.total(word_cost), self.tickets)

    def relative_to(self, honest: Yield, word_cost: int = GENEROUS_WORD_COST) -> float:
        """Cost per ticket over the honest miner's: below 1 the shortcut pays."""
        return float(self.per_ticket(word_cost) / honest.per_ticket(word_cost))

    def product_relative_to(self, honest: Yield) -> float:
        """The same without the hashing: a shape large enough makes commitments vanish, this remains."""
        return (self.operations.without_hashing / self.tickets) / (
            honest.operations.without_hashing / honest.tickets
        )
