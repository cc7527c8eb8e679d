/* [POW-DENOISE-1]  A B = A' B' - (A F_L) F_R - E_L (E_R B'): the thin products and the digits of what they yield. */

#define ROWS_AT_ONCE 4

/* out[row, c] = (matrix times the transposed right factor)[row, c], s8[rows, depth] into int32[rows, rank].
   [POW-NOISE-3]: row c of a slice of the right factor has +1 at column place[c] and -1 at the one before it, so each
   slice adds two entries. One thread block of `rank` threads per four rows; `tile_rows` as in place_of. */
extern "C" __global__ void multiply_chains(const s8* matrix, const u16* place, int* out, int slices, int tile_rows) {
  int rank = blockDim.x, factor_row = threadIdx.x;
  u64 first = (u64)blockIdx.x * ROWS_AT_ONCE;
  int sums[ROWS_AT_ONCE] = {0, 0, 0, 0};
  for (int slice = 0; slice < slices; slice++) {
    int column = place[(u64)slice * rank + factor_row];
#pragma unroll
    for (int i = 0; i < ROWS_AT_ONCE; i++) {
      sums[i] += matrix[place_of(first + i, slice, column, slices, rank, tile_rows)];
      if (column > 0) sums[i] -= matrix[place_of(first + i, slice, column - 1, slices, rank, tile_rows)];
    }
  }
#pragma unroll
  for (int i = 0; i < ROWS_AT_ONCE; i++) out[(first + i) * rank + factor_row] = sums[i];
}

/* Signed base-128 digit number `digit` of int32[rows, rank], into the columns [first, first + rank) of s8[rows, width];
   digits lie in [-64, 63], so that they can be multiplied as int8. */
extern "C" __global__ void take_digit(const int* values, s8* out, u64 entries, int rank, int width, int first,
                                      int digit) {
  u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= entries) return;
  int value = values[at];
  for (int below = 0; below < digit; below++) value = (value + 64) >> 7;
  value = ((value + 64) & 127) - 64;
  out[at / rank * width + first + at % rank] = (s8)value;
}
