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

/* What a thread block makes of a product: one block of the output, over consecutive segments. */
struct Share {
  int row, column;           /* where its output starts */
  int first_segment, segments;
  bool is_shared;            /* whether other thread blocks add other segments to the same entries */
};

/* The work of block number first_block + blockIdx.x. Blocks are numbered through the output first; if each takes
   `segments_at_once` segments and these are not all, layer after layer of them follows. */
__device__ __forceinline__ Share share_of(int first_block, int m, int n, int segments, int segments_at_once, int height,
                                          int width) {
  int block_rows = (m + height - 1) / height, block_columns = (n + width - 1) / width;
  int number = first_block + (int)blockIdx.x, row, column;
  place_block(number % (block_rows * block_columns), block_rows, block_columns, row, column);
  return {row * height, column * width, number / (block_rows * block_columns) * segments_at_once, segments_at_once,
          segments_at_once < segments};
}

enum Store { OVERWRITE, ADD, ADD_ATOMICALLY, SUBTRACT };

/* How the sums of one of a share's segments, the first being number 0, join the product: zeros if blocks share it,
   whatever there was otherwise. */
__device__ __forceinline__ Store store_of(const Share& share, int segment) {
  if (share.is_shared) return ADD_ATOMICALLY;
  return segment == 0 ? OVERWRITE : ADD;
}

/* Write a warp's sums to int32[m, n] from (row, column) on; n is a multiple of 16. */
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
        if (store == ADD_ATOMICALLY) {
          atomicAdd(out, first);
          atomicAdd(out + 1, second);
        } else {
          u32 sign = store == SUBTRACT ? (u32)-1 : 1;
          int2 before = store == OVERWRITE ? make_int2(0, 0) : *(int2*)out;
          *(int2*)out = make_int2((int)((u32)before.x + sign * (u32)first), (int)((u32)before.y + sign * (u32)second));
        }
      }
}
