"""CUDA C++ source of the GPU engine, compiled at run time.  Spec: the rules of compute.spec, one kernel each.

Plain kernels for any device that multiplies int8 (compute capability 6.1 and later): no tensor-core instruction and no
shuffle appears here, cuBLAS does the multiplying. Offsets are 64-bit, sizes 32-bit.
"""

from __future__ import annotations

SOURCE = r"""
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned long long u64;
typedef signed char s8;

/* [POW-NOISE-4]  noised[row, c] = plain[row, c] + left[row, order[c]] - left[row, order[c + 1]],
   the last term absent in the last column of a slice of `rank` columns. One thread per entry. */
extern "C" __global__ void add_noise(const s8* plain, const s8* left, const u16* order, s8* noised,
                                     u64 entries, int depth, int rank) {
  u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= entries) return;
  u64 row = at / (u64)depth;
  int column = (int)(at % (u64)depth);
  const s8* factors = left + row * (u64)rank;
  int value = plain[at] + factors[order[column]];
  if (column % rank != rank - 1) value -= factors[order[column + 1]];
  noised[at] = (s8)value;
}

/* [POW-TILE-2]  One block of 128 threads per tile of a panel of partial sums int32[rows, columns]; a thread keeps to
   one lane, because 128 and the tile edge are multiples of 16. Tiles of the panel start at (first_row, first_column)
   of the tile grid of one segment, whose transcripts start at `transcripts`. */
extern "C" __global__ void fold_tiles(const int* partial, u32* transcripts, int columns, int tile,
                                      int first_row, int first_column, int tiles_per_row) {
  __shared__ u32 lanes[16];
  int thread = threadIdx.x;
  if (thread < 16) lanes[thread] = 0;
  __syncthreads();
  int panel_tiles = columns / tile;
  int tile_row = blockIdx.x / panel_tiles, tile_column = blockIdx.x % panel_tiles;
  const int* corner = partial + (u64)tile_row * tile * columns + (u64)tile_column * tile;
  u32 mixed = 0;
  for (int entry = thread; entry < tile * tile; entry += blockDim.x)
    mixed ^= (u32)corner[(u64)(entry / tile) * columns + entry % tile];
  atomicXor(&lanes[thread % 16], mixed);
  __syncthreads();
  if (thread < 16) {
    u64 cube = (u64)(first_row + tile_row) * tiles_per_row + first_column + tile_column;
    u32* word = transcripts + cube * 16 + thread;
    *word = ((*word << 13) | (*word >> 19)) ^ lanes[thread];
  }
}

/* [POW-TICKET-1], [POW-TICKET-2]  Keyed BLAKE3 of one 64-byte block per transcript, with i, j, s in the first words.
   Transcripts are in the order (segment, tile row, tile column). */
#define G(a, b, c, d, x, y) \
  a = a + b + (x); d ^= a; d = (d >> 16) | (d << 16); c += d; b ^= c; b = (b >> 12) | (b << 20); \
  a = a + b + (y); d ^= a; d = (d >> 8) | (d << 24); c += d; b ^= c; b = (b >> 7) | (b << 25);
extern "C" __global__ void hash_tickets(const u32* transcripts, const u32* key, u32* tickets, int count,
                                        int tile_rows, int tile_columns) {
  int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= count) return;
  u32 m[16], next[16];
  for (int word = 0; word < 16; word++) m[word] = transcripts[(u64)at * 16 + word];
  m[0] ^= (u32)(at / tile_columns % tile_rows);
  m[1] ^= (u32)(at % tile_columns);
  m[2] ^= (u32)(at / tile_columns / tile_rows);
  const int order[16] = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};
  u32 v0 = key[0], v1 = key[1], v2 = key[2], v3 = key[3], v4 = key[4], v5 = key[5], v6 = key[6], v7 = key[7];
  u32 v8 = 0x6A09E667u, v9 = 0xBB67AE85u, v10 = 0x3C6EF372u, v11 = 0xA54FF53Au;
  u32 v12 = 0, v13 = 0, v14 = 64, v15 = 1 | 2 | 8 | 16; /* counter 0, 64 bytes, start, end, root, keyed */
#pragma unroll
  for (int round = 0; round < 7; round++) {
    G(v0, v4, v8, v12, m[0], m[1]) G(v1, v5, v9, v13, m[2], m[3])
    G(v2, v6, v10, v14, m[4], m[5]) G(v3, v7, v11, v15, m[6], m[7])
    G(v0, v5, v10, v15, m[8], m[9]) G(v1, v6, v11, v12, m[10], m[11])
    G(v2, v7, v8, v13, m[12], m[13]) G(v3, v4, v9, v14, m[14], m[15])
#pragma unroll
    for (int word = 0; word < 16; word++) next[word] = m[order[word]];
#pragma unroll
    for (int word = 0; word < 16; word++) m[word] = next[word];
  }
  u32* out = tickets + (u64)at * 8;
  out[0] = v0 ^ v8; out[1] = v1 ^ v9; out[2] = v2 ^ v10; out[3] = v3 ^ v11;
  out[4] = v4 ^ v12; out[5] = v5 ^ v13; out[6] = v6 ^ v14; out[7] = v7 ^ v15;
}

/* Signed base-128 digit number `digit` of int32[rows, rank], into the columns [first, first + rank) of s8[rows, width];
   digits lie in [-64, 63], so that cuBLAS can multiply them as int8. */
extern "C" __global__ void take_digit(const int* values, s8* out, u64 entries, int rank, int width, int first,
                                      int digit) {
  u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= entries) return;
  int value = values[at];
  for (int below = 0; below < digit; below++) value = (value + 64) >> 7;
  value = ((value + 64) & 127) - 64;
  out[at / rank * width + first + at % rank] = (s8)value;
}

/* product -= correction * 2^shift, wrapping. */
extern "C" __global__ void subtract_shifted(int* product, const int* correction, u64 entries, int shift) {
  u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  if (at < entries) product[at] = (int)((u32)product[at] - ((u32)correction[at] << shift));
}
"""
