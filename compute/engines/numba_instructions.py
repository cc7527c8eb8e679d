"""Vector instructions of the `numba` engine, as LLVM IR in compiled functions.  Spec: [POW-TILE-*], [POW-TICKET-2].

Every address is a plain integer, every stride is in bytes, and whoever calls answers for the bounds. Four bytes are one
*step*: four int8 or two int16 entries of one row, multiplied by the four bytes of one column.

Tiles are 4 rows by `columns` of a `Kind`. Their sums stay in registers from the first step to the last fold.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from compute.engines.blake3_block import (
    BLOCK_BYTES,
    COLUMNS_THEN_DIAGONALS,
    FLAGS,
    IV,
    MESSAGE_ORDER,
    ROUNDS,
)
from compute.spec.profiles import LANES
from compute.spec.tiles import ROTATION_BITS

TILE_ROWS = 4
_LINE_BYTES = 64
_FOR_WRITING = (1, 3, 1)
"""Arguments of llvm.prefetch: to be written, into the first-level cache, data."""
_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))


class Kind(IntEnum):
    """What multiplies: the number is what compiled code holds."""

    BYTES_512 = 0
    """AVX512-VNNI vpdpbusd: u8 of A times s8 of B, four products into an int32; does not saturate."""
    WORDS_512 = 1
    """AVX512-VNNI vpdpwssd: int16 times int16, two products into an int32."""
    WORDS_256 = 2
    """AVX2 vpmaddwd and vpaddd: the same in two instructions and half the width."""


@dataclass(frozen=True, slots=True)
class _Instruction:
    name: str
    lanes: int
    """int32 lanes of a register."""
    registers: int
    """Registers per row of a tile: with four rows, as many as the register file holds beside the operands."""
    accumulates: bool
    """It adds to its first operand; otherwise an addition follows."""
    has_bias: bool
    """A holds entries plus 128, so sums start at a correction."""


_INSTRUCTIONS = {
    Kind.BYTES_512: _Instruction("llvm.x86.avx512.vpdpbusd.512", 16, 4, True, True),
    Kind.WORDS_512: _Instruction("llvm.x86.avx512.vpdpwssd.512", 16, 4, True, False),
    Kind.WORDS_256: _Instruction("llvm.x86.avx2.pmadd.wd", 8, 2, False, False),
}


def _constant(value: int) -> Any:
    return ir.Constant(_I64, value)


def _vector(element: Any, values: list[int]) -> Any:
    return ir.Constant(ir.VectorType(element, len(values)), values)


def _load(builder: Any, address: Any, of: Any, align: int = 4) -> Any:
    return builder.load(builder.inttoptr(address, of.as_pointer()), align=align)


def _store(builder: Any, value: Any, address: Any, align: int = 4) -> None:
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=align)


def _broadcast(builder: Any, value: Any, lanes: int) -> Any:
    """A vector with `value` in every lane."""
    undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, undefined, _vector(_I32, [0] * lanes))


def _rotate_left(builder: Any, value: Any, bits: int) -> Any:
    """Each u32 lane rotated."""
    lanes = value.type.count
    declared = ir.FunctionType(value.type, [value.type] * 3)
    rotate = cgutils.get_or_insert_function(builder.module, declared, f"llvm.fshl.v{lanes}i32")
    return builder.call(rotate, [value, value, _vector(_I32, [bits] * lanes)])


class _Tile:
    """Accumulators of 4 rows by `registers` vectors and the code that adds steps to them."""

    def __init__(self, builder: Any, kind: Kind, a: Any, a_stride: Any, b: Any) -> None:
        self.builder = builder
        self.instruction = _INSTRUCTIONS[kind]
        lanes = self.instruction.lanes
        self.vector = ir.VectorType(_I32, lanes)
        self.places = [
            (row, register) for row in range(TILE_ROWS) for register in range(self.instruction.registers)
        ]
        zero = _vector(_I32, [0] * lanes)
        self.sums = {place: cgutils.alloca_once_value(builder, zero) for place in self.places}
        self._a = cgutils.alloca_once_value(builder, a)
        self._b = cgutils.alloca_once_value(builder, b)
        self._row_offsets = [builder.mul(a_stride, _constant(row)) for row in range(TILE_ROWS)]
        if self.instruction.accumulates:
            operands = [self.vector] * 3
        else:
            operands = [ir.VectorType(_I16, 2 * lanes)] * 2
        self._multiply = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(self.vector, operands), self.instruction.name
        )

    def offset(self, register: int) -> int:
        """Bytes of int32 columns before a register of a row."""
        return 4 * self.instruction.lanes * register

    def add_steps(self, steps: Any) -> None:
        """sums += A B over the next `steps` times four bytes of depth."""
        builder, instruction = self.builder, self.instruction
        with cgutils.for_range(builder, steps):
            a, b = builder.load(self._a), builder.load(self._b)
            columns = [
                _load(builder, builder.add(b, _constant(self.offset(register))), self.vector)
                for register in range(instruction.registers)
            ]
            for row, row_offset in enumerate(self._row_offsets):
                word = _load(builder, builder.add(a, row_offset), _I32)
                entries = _broadcast(builder, word, instruction.lanes)
                for register, column in enumerate(columns):
                    place = self.sums[row, register]
                    builder.store(self._multiply_add(builder.load(place), entries, column), place)
            builder.store(builder.add(a, _constant(4)), self._a)
            builder.store(builder.add(b, _constant(self.offset(instruction.registers))), self._b)

    def add_start(self, address: Any) -> None:
        """sums += the int32 of every column at `address`, in every row."""
        builder = self.builder
        starts = [
            _load(builder, builder.add(address, _constant(self.offset(register))), self.vector)
            for register in range(self.instruction.registers)
        ]
        for row, register in self.places:
            place = self.sums[row, register]
            builder.store(builder.add(builder.load(place), starts[register]), place)

    def write(self, c: Any, accumulate: bool) -> None:
        """int32[4, columns] C = sums, or C += sums, wrapping."""
        builder = self.builder
        for row, register in self.places:
            register_number = row * self.instruction.registers + register
            address = builder.add(c, _constant(self.offset(register_number)))
            value = builder.load(self.sums[row, register])
            if accumulate:
                value = builder.add(value, _load(builder, address, self.vector))
            _store(builder, value, address)

    def prefetch(self, c: Any) -> None:
        """Have int32[4, columns] C, or whatever lies there, in the cache when the sums are done."""
        pointer = _I8.as_pointer()
        declared = ir.FunctionType(ir.VoidType(), [pointer, _I32, _I32, _I32])
        fetch = cgutils.get_or_insert_function(self.builder.module, declared, "llvm.prefetch.p0")
        hints = [ir.Constant(_I32, hint) for hint in _FOR_WRITING]
        for line in range(0, self.offset(len(self.places)), _LINE_BYTES):
            address = self.builder.add(c, _constant(line))
            self.builder.call(fetch, [self.builder.inttoptr(address, pointer), *hints])

    def _multiply_add(self, total: Any, entries: Any, column: Any) -> Any:
        builder = self.builder
        if self.instruction.accumulates:
            return builder.call(self._multiply, [total, entries, column])
        words = ir.VectorType(_I16, 2 * self.vector.count)
        pair = [builder.bitcast(entries, words), builder.bitcast(column, words)]
        return builder.add(total, builder.call(self._multiply, pair))


def _largest_shift(instruction: _Instruction) -> int:
    """log2 of the groups of 16 columns of a tile."""
    return (instruction.lanes * instruction.registers // LANES).bit_length() - 1


def _xor_into(builder: Any, address: Any, value: Any) -> None:
    _store(builder, builder.xor(_load(builder, address, value.type), value), address)


@intrinsic(prefer_literal=True)
def fold_tile(
    _context: Any,
    kind: Any,
    a: Any,
    a_stride: Any,
    b: Any,
    start: Any,
    c: Any,
    adds: Any,
    transcript: Any,
    group_shift: Any,
    steps: Any,
    slices: Any,
) -> Any:
    """One segment of a tile: P from zero, `slices` times `steps` steps, a fold after each slice [POW-TILE-2].

    `start`: int32[slices, columns], the corrections of the bias. `c`: int32[4, columns] where P is added if `adds`, and
    stored otherwise; 0 for nowhere. `transcript`:
    uint32[columns / 16 >> group_shift, 16]; the folds of 2^group_shift neighbouring groups of 16 columns are XORed in,
    which equals folding them together, because rotation and XOR commute.
    """
    chosen = Kind(kind.literal_value)

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        _, a, a_stride, b, start, c, adds, transcript, group_shift, steps, slices = arguments
        tile = _Tile(builder, chosen, a, a_stride, b)
        lanes, registers = tile.instruction.lanes, tile.instruction.registers
        tile.prefetch(c)
        folds = [cgutils.alloca_once_value(builder, _vector(_I32, [0] * lanes)) for _ in range(registers)]
        corrections = cgutils.alloca_once_value(builder, start)
        with cgutils.for_range(builder, slices):
            if tile.instruction.has_bias:
                tile.add_start(builder.load(corrections))
                following = builder.add(builder.load(corrections), _constant(tile.offset(registers)))
                builder.store(following, corrections)
            tile.add_steps(steps)
            for register, fold in enumerate(folds):
                mixed = _rotate_left(builder, builder.load(fold), ROTATION_BITS)
                for row in range(TILE_ROWS):
                    mixed = builder.xor(mixed, builder.load(tile.sums[row, register]))
                builder.store(mixed, fold)
        is_joined = builder.icmp_unsigned("==", group_shift, _constant(_largest_shift(tile.instruction)))
        with builder.if_else(is_joined) as (then, otherwise):
            with then:
                # The one case that needs no more than one transcript: no waiting for a store to be read again.
                for part in range(LANES // lanes):
                    joined = builder.load(folds[part])
                    for fold in folds[part + LANES // lanes :: LANES // lanes]:
                        joined = builder.xor(joined, builder.load(fold))
                    _xor_into(builder, builder.add(transcript, _constant(tile.offset(part))), joined)
            with otherwise:
                for register, fold in enumerate(folds):
                    group, lane = divmod(register * lanes, LANES)
                    words = builder.shl(builder.lshr(_constant(group), group_shift), _constant(6))
                    address = builder.add(transcript, builder.add(words, _constant(4 * lane)))
                    _xor_into(builder, address, builder.load(fold))
        is_wanted = builder.icmp_unsigned("!=", c, _constant(0))
        with builder.if_then(builder.and_(is_wanted, builder.icmp_unsigned("!=", adds, _constant(0)))):
            tile.write(c, accumulate=True)
        with builder.if_then(builder.and_(is_wanted, builder.icmp_unsigned("==", adds, _constant(0)))):
            tile.write(c, accumulate=False)
        return context.get_dummy_value()

    return types.void(kind, *[types.intp] * 10), generate


@intrinsic(prefer_literal=True)
def store_tile(_context: Any, kind: Any, a: Any, a_stride: Any, b: Any, c: Any, steps: Any) -> Any:
    """int32[4, columns] C = A B for one tile of int16 operands, without a fold."""
    chosen = Kind(kind.literal_value)

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        _, a, a_stride, b, c, steps = arguments
        tile = _Tile(builder, chosen, a, a_stride, b)
        tile.add_steps(steps)
        tile.write(c, accumulate=False)
        return context.get_dummy_value()

    return types.void(kind, *[types.intp] * 5), generate


@intrinsic
def sum_columns(_context: Any, b: Any, factor: Any, out: Any, steps: Any) -> Any:
    """int32[64] out = factor times the sum of each column of packed s8 B over `steps` steps (AVX512-VNNI)."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        b, factor, out, steps = arguments
        instruction = _INSTRUCTIONS[Kind.BYTES_512]
        vector = ir.VectorType(_I32, instruction.lanes)
        declared = ir.FunctionType(vector, [vector] * 3)
        add = cgutils.get_or_insert_function(builder.module, declared, instruction.name)
        ones = _vector(_I32, [0x01010101] * instruction.lanes)
        zero = _vector(_I32, [0] * instruction.lanes)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(instruction.registers)]
        offsets = [_constant(4 * instruction.lanes * register) for register in range(len(sums))]
        row_bytes = _constant(4 * instruction.lanes * len(sums))
        with cgutils.for_range(builder, steps) as loop:
            row = builder.add(b, builder.mul(loop.index, row_bytes))
            for place, offset in zip(sums, offsets, strict=True):
                column = _load(builder, builder.add(row, offset), vector)
                builder.store(builder.call(add, [builder.load(place), ones, column]), place)
        scale = _broadcast(builder, builder.trunc(factor, _I32), instruction.lanes)
        for place, offset in zip(sums, offsets, strict=True):
            _store(builder, builder.mul(builder.load(place), scale), builder.add(out, offset))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), generate


@intrinsic
def transpose_words(_context: Any, source: Any, source_stride: Any, target: Any, target_stride: Any) -> Any:
    """uint32[16, 16] target = source transposed, in four rounds of shuffles of two vectors."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        source, source_stride, target, target_stride = arguments
        size = LANES
        vector = ir.VectorType(_I32, size)
        rows = [
            _load(builder, builder.add(source, builder.mul(source_stride, _constant(row))), vector)
            for row in range(size)
        ]
        # Swapping the off-diagonal quarters at distance 8, 4, 2, 1 transposes: element (row, column) moves bit by bit.
        for distance in (8, 4, 2, 1):
            low = [lane if lane & distance == 0 else lane - distance + size for lane in range(size)]
            high = [lane + distance if lane & distance == 0 else lane + size for lane in range(size)]
            for row in range(size):
                if row & distance == 0:
                    pair = rows[row], rows[row + distance]
                    rows[row] = builder.shuffle_vector(*pair, _vector(_I32, low))
                    rows[row + distance] = builder.shuffle_vector(*pair, _vector(_I32, high))
        for number, row in enumerate(rows):
            _store(builder, row, builder.add(target, builder.mul(target_stride, _constant(number))))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), generate


@intrinsic
def copy_bytes(_context: Any, target: Any, source: Any, count: Any) -> Any:
    """`count` bytes from source to target, which do not overlap."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        target, source, count = arguments
        pointers = [builder.inttoptr(address, _I8.as_pointer()) for address in (target, source)]
        cgutils.raw_memcpy(builder, *pointers, count, 1)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3), generate


CHUNK = 64
"""Bytes one permutation reaches."""


def _differences(builder: Any, table: Any, first: Any, second: Any, kept: Any) -> Any:
    """<64 x i8>: table[first] and table[second] & kept, two byte permutations (AVX512-VBMI vpermb)."""
    octets = ir.VectorType(_I8, CHUNK)
    permute = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(octets, [octets, octets]), "llvm.x86.avx512.permvar.qi.512"
    )
    values = _load(builder, table, octets, 1)
    plus = builder.call(permute, [values, _load(builder, first, octets, 1)])
    minus = builder.call(permute, [values, _load(builder, second, octets, 1)])
    return plus, builder.and_(minus, _load(builder, kept, octets, 1))


@intrinsic
def noise_chunk(
    _context: Any, out: Any, plain: Any, table: Any, first: Any, second: Any, kept: Any, flip: Any
) -> Any:
    """64 bytes of out = (plain + table[first] - (table[second] & kept)) XOR flip."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        out, plain, table, first, second, kept, flip = arguments
        octets = ir.VectorType(_I8, CHUNK)
        plus, minus = _differences(builder, table, first, second, kept)
        noised = builder.sub(builder.add(_load(builder, plain, octets, 1), plus), minus)
        mask = _broadcast(builder, builder.trunc(flip, _I8), CHUNK)
        _store(builder, builder.xor(noised, mask), out, 1)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 7), generate


@intrinsic
def sum_chunk(_context: Any, sums: Any, table: Any, first: Any, second: Any, kept: Any) -> Any:
    """int16[64] sums += table[first] - (table[second] & kept), for entries that differ by at most 127."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        sums, table, first, second, kept = arguments
        words = ir.VectorType(_I16, CHUNK)
        plus, minus = _differences(builder, table, first, second, kept)
        total = builder.add(_load(builder, sums, words, 2), builder.sext(builder.sub(plus, minus), words))
        _store(builder, total, sums, 2)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), generate


TICKETS_AT_ONCE = 16


@intrinsic
def hash_blocks(_context: Any, words: Any, key: Any, highest: Any) -> Any:
    """The highest two words of 16 keyed BLAKE3 digests of one block each.

    `words`: uint32[16, 16], word by ticket; `key`: uint32[8]; `highest`: uint32[2, 16] receives words 6 and 7.
    Source: the BLAKE3 specification, section 2.2 (compression function).
    """

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        words, key, highest = arguments
        vector = ir.VectorType(_I32, TICKETS_AT_ONCE)

        def at(base: Any, place: int, size: int) -> Any:
            return builder.add(base, _constant(size * place))

        def key_word(place: int) -> Any:
            return _broadcast(builder, _load(builder, at(key, place, 4), _I32), TICKETS_AT_ONCE)

        def mix(state: list[Any], a: int, b: int, c: int, d: int, x: Any, y: Any) -> None:
            for message, bits_d, bits_b in ((x, 16, 20), (y, 24, 25)):
                state[a] = builder.add(builder.add(state[a], state[b]), message)
                state[d] = _rotate_left(builder, builder.xor(state[d], state[a]), bits_d)
                state[c] = builder.add(state[c], state[d])
                state[b] = _rotate_left(builder, builder.xor(state[b], state[c]), bits_b)

        message = [_load(builder, at(words, word, 64), vector) for word in range(LANES)]
        constants = (*IV, 0, 0, BLOCK_BYTES, FLAGS)
        state = [key_word(place) for place in range(8)]
        state += [_vector(_I32, [value] * TICKETS_AT_ONCE) for value in constants]
        for _ in range(ROUNDS):
            for number, places in enumerate(COLUMNS_THEN_DIAGONALS):
                mix(state, *places, message[2 * number], message[2 * number + 1])
            message = [message[place] for place in MESSAGE_ORDER]
        for row, word in enumerate((6, 7)):
            _store(builder, builder.xor(state[word], state[word + 8]), at(highest, row, 64))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 3), generate
