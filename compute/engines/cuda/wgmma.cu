/* The fused kernel of sm_90a: wgmma fed by bulk copies, accumulators in registers from the first slice to the last.

   A thread block of three warpgroups makes 128 x 256 of the output: one copies, each of the other two makes 64 x 256.
   Operands lie in tiles of 128 (A') and 256 (B') rows by 128 columns, as place_of in noise.cu says: a stage is one tile
   of each, two contiguous copies. A slice of fewer than 32 columns is stretched to 32. */

#define BLOCK_ROWS 128
#define BLOCK_COLUMNS 256
#define STEP 128
#define STAGES 4
#define A_BYTES (BLOCK_ROWS * STEP)
#define B_BYTES (BLOCK_COLUMNS * STEP)
#define STAGE_BYTES (A_BYTES + B_BYTES)
#define STRETCHED (RANK < 32 ? 32 : RANK)

static_assert(TILE == 16 || TILE == 32 || TILE == 64, "the tiles this kernel was written for");
static_assert(STRETCHED == 32 || STRETCHED == 64 || STRETCHED % STEP == 0, "a slice ends with a product or a stage");

/* Descriptor of an operand at a shared address: rows of 128 bytes, swizzled, groups of eight rows 1024 bytes apart. */
__device__ __forceinline__ u64 operand_at(u32 address) {
  return (u64)((address & 0x3FFFF) >> 4) | ((u64)1 << 16) | ((u64)(1024 >> 4) << 32) | ((u64)1 << 62);
}

/* [POW-TILE-1], [POW-TILE-2]  As multiply_and_fold of mma.cu; k and segment_depth count stretched columns. The warpgroup
   that copies runs through all segments of the block without a pause. */
extern "C" __global__ void __launch_bounds__(384, 1)
multiply_and_fold(const s8* a, const s8* b, int* product, u32* transcripts, int m, int n, int k, int segment_depth,
                  int segments_at_once, int first_block) {
  __shared__ __align__(8) u64 barriers[2 * STAGES];
  u32 stages = (shared_address(dynamic_shared) + 1023u) & ~1023u;
  u32 full = shared_address(barriers), empty = full + 8 * STAGES;
  Share share = share_of(first_block, m, n, k / segment_depth, segments_at_once, BLOCK_ROWS, BLOCK_COLUMNS);
  int steps = segment_depth / STEP, warpgroup = threadIdx.x / 128;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < STAGES; stage++) {
      init_barrier(full + 8 * stage, 1);
      init_barrier(empty + 8 * stage, 2);
    }
    publish_barriers();
  }
  __syncthreads();

  if (warpgroup == 0) {
    release_registers();
    if (threadIdx.x == 0) {
      /* A row of tiles is as long as the block's rows times k. */
      const s8* from_a = a + (u64)share.row * k + (u64)share.first_segment * steps * A_BYTES;
      const s8* from_b = b + (u64)share.column * k + (u64)share.first_segment * steps * B_BYTES;
      for (int step = 0; step < steps * share.segments; step++) {
        int stage = step % STAGES;
        if (step >= STAGES) wait_for_phase(empty + 8 * stage, (step / STAGES - 1) & 1);
        u32 to = stages + stage * STAGE_BYTES, barrier = full + 8 * stage;
        arrive_expecting(barrier, STAGE_BYTES);
        copy_bulk(to, from_a + (u64)step * A_BYTES, A_BYTES, barrier);
        copy_bulk(to + A_BYTES, from_b + (u64)step * B_BYTES, B_BYTES, barrier);
      }
    }
    return;
  }

  claim_registers();
  int first_row = (warpgroup - 1) * 64;
  int row = share.row + first_row + threadIdx.x % 128 / 32 * 16;
  int step = 0;
  for (int at = 0; at < share.segments; at++) {
    int sums[1][32][4];
#pragma unroll
    for (int j = 0; j < 32; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) sums[0][j][e] = 0;
    u32 shares[1][BLOCK_COLUMNS / TILE][4] = {};
    for (int end = step + steps; step < end; step++) {
      int stage = step % STAGES;
      wait_for_phase(full + 8 * stage, (step / STAGES) & 1);
      u64 left = operand_at(stages + stage * STAGE_BYTES + first_row * STEP);
      u64 right = operand_at(stages + stage * STAGE_BYTES + A_BYTES);
#pragma unroll
      for (int part = 0; part < STEP / 32; part++) {
        if (part == 0 || part * 32 % STRETCHED == 0) begin_products();
        /* 32 columns further on are 32 bytes, in units of 16. */
        multiply_64x256x32(sums, left + 2 * part, right + 2 * part);
        if (STRETCHED < STEP && (part + 1) * 32 % STRETCHED == 0) {
          finish_products();
          fold(sums, shares);
        }
      }
      if (STRETCHED >= STEP) finish_products();
      if (threadIdx.x % 128 == 0) arrive(empty + 8 * stage);
      /* A segment is a whole number of slices, so the step counts alike within it and from the first on. */
      if (STRETCHED >= STEP && (step + 1) * STEP % STRETCHED == 0) fold(sums, shares);
    }
    int segment = share.first_segment + at;
    int here = afresh(row);
    hand_in(shares, transcripts + (u64)segment * (m / TILE) * (n / TILE) * 16, here, share.column, m, n);
    if (product) write_out(sums, product, here, share.column, m, n, store_of(share, at));
  }
}
