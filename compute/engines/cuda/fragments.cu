/* What the fused kernels do with accumulators in registers: fold them, hand in transcripts, write sums out.

   A thread holds sums[ROW_GROUPS][GROUPS][4]: row group a covers rows 16a..16a+15, column group j columns 8j..8j+7 of
   the warp's part. With g = lane / 4 and q = lane % 4 the four are (g, 2q), (g, 2q + 1), (g + 8, 2q), (g + 8, 2q + 1).
   TILE is the edge t of a tile, RANK the rank r. */

#define SUPER_ROWS 16 /* block rows that run side by side, so that they share columns of B in the L2 cache */

/* The output block of a thread block: columns of `rows` blocks at a time, SUPER_ROWS high. */
__device__ __forceinline__ void place_block(int number, int block_rows, int block_columns, int& row, int& column) {
  int group = number / (SUPER_ROWS * block_columns), within = number % (SUPER_ROWS * block_columns);
  int height = min(SUPER_ROWS, block_rows - group * SUPER_ROWS);
  row = group * SUPER_ROWS + within % height;
  column = within / height;
}


/* [POW-TILE-2]  A thread's share of each transcript: the words of lanes 2q, 2q + 1, 2q + 8, 2q + 9. Rotation and XOR
   commute with splitting a tile over threads, so shares are rotated here and joined once, at the end. */
template <int ROW_GROUPS, int GROUPS, int TILE_ROWS, int TILE_COLUMNS>
__device__ __forceinline__ void fold(const int (&sums)[ROW_GROUPS][GROUPS][4],
                                     u32 (&shares)[TILE_ROWS][TILE_COLUMNS][4]) {
#pragma unroll
  for (int row = 0; row < TILE_ROWS; row++)
#pragma unroll
    for (int column = 0; column < TILE_COLUMNS; column++) {
      u32 mixed[4] = {0, 0, 0, 0};
#pragma unroll
      for (int a = 0; a < ROW_GROUPS / TILE_ROWS; a++)
#pragma unroll
        for (int j = 0; j < TILE / 8; j++) {
          const int(&sum)[4] = sums[row * (ROW_GROUPS / TILE_ROWS) + a][column * (TILE / 8) + j];
          mixed[j % 2 * 2] ^= (u32)sum[0] ^ (u32)sum[2];
          mixed[j % 2 * 2 + 1] ^= (u32)sum[1] ^ (u32)sum[3];
        }
#pragma unroll
      for (int i = 0; i < 4; i++) {
        u32 word = shares[row][column][i];
        shares[row][column][i] = ((word << 13) | (word >> 19)) ^ mixed[i];
      }
    }
}

/* XOR the shares of a warp into the transcripts u32[m/t, n/t, 16] of a segment. The warp's part starts at (row, column)
   of the output; tiles beyond the committed m x n do not exist and draw no ticket. */
template <int TILE_ROWS, int TILE_COLUMNS>
__device__ __forceinline__ void hand_in(u32 (&shares)[TILE_ROWS][TILE_COLUMNS][4], u32* transcripts, int row,
                                        int column, int m, int n) {
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int i = 0; i < TILE_ROWS; i++)
#pragma unroll
    for (int j = 0; j < TILE_COLUMNS; j++) {
      u32(&words)[4] = shares[i][j];
#pragma unroll
      for (int mask = 4; mask < 32; mask *= 2)
#pragma unroll
        for (int word = 0; word < 4; word++) words[word] ^= shuffle_xor(words[word], mask);
      int tile_row = row / TILE + i, tile_column = column / TILE + j;
      if (lane < 4 && tile_row < m / TILE && tile_column < n / TILE) {
        u32* out = transcripts + ((u64)tile_row * (n / TILE) + tile_column) * 16;
        atomicXor(out + 2 * lane, words[0]);
        atomicXor(out + 2 * lane + 1, words[1]);
        atomicXor(out + 2 * lane + 8, words[2]);
        atomicXor(out + 2 * lane + 9, words[3]);
      }
    }
}

enum Store { OVERWRITE, ADD, SUBTRACT };

/* Write a warp's sums to int32[m, n] from (row, column) on; n is a multiple of 16. ADD is atomic, since other segments
   may be adding to the same entries; SUBTRACT is not, since nobody else is. */
template <int ROW_GROUPS, int GROUPS>
__device__ __forceinline__ void write_out(const int (&sums)[ROW_GROUPS][GROUPS][4], int* product, int row, int column,
                                          int m, int n, Store store) {
  int lane = threadIdx.x % 32;
#pragma unroll
  for (int a = 0; a < ROW_GROUPS; a++)
#pragma unroll
    for (int j = 0; j < GROUPS; j++)
#pragma unroll
      for (int half = 0; half < 2; half++) {
        int at_row = row + a * 16 + half * 8 + lane / 4, at_column = column + j * 8 + lane % 4 * 2;
        if (at_row >= m || at_column >= n) continue;
        int* out = product + (u64)at_row * n + at_column;
        int first = sums[a][j][half * 2], second = sums[a][j][half * 2 + 1];
        if (store == ADD) {
          atomicAdd(out, first);
          atomicAdd(out + 1, second);
        } else {
          int2 pair = make_int2(first, second);
          if (store == SUBTRACT) {
            int2 before = *(int2*)out;
            pair = make_int2((int)((u32)before.x - (u32)first), (int)((u32)before.y - (u32)second));
          }
          *(int2*)out = pair;
        }
      }
}
