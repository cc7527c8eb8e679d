/* The fused kernels of sm_80 and later: mma.sync with accumulators in registers from the first slice to the last.

   A thread block of eight warps makes 128 x 256 of the output, a warp 64 x 64 of that. Operands are row-major
   s8[rows, depth], B transposed, rows padded to whole blocks with anything. A stage of the pipeline is 64 deep:
   384 rows of 64 bytes, whose four 16-byte pieces are permuted so that ldmatrix meets no bank twice. */

#define BLOCK_ROWS 128
#define BLOCK_COLUMNS 256
#define STEP 64
#define STAGES 4
#define STAGE_BYTES ((BLOCK_ROWS + BLOCK_COLUMNS) * STEP)
#define ROW_GROUPS 4 /* of 16 rows */
#define GROUPS 8     /* of 8 columns */

/* Unrolling over a fold costs registers that do not exist, so shallow slices do without. */
constexpr int HALVES_AT_ONCE = RANK < 64 ? 1 : 2;

static_assert(TILE == 16 || TILE == 32 || TILE == 64, "a tile lies within one warp's part");
static_assert(RANK == 16 || RANK == 32 || RANK % 64 == 0, "a slice ends with a step of 16, 32 or 64");

__device__ __forceinline__ u32 stage_place(int row, int piece) { return row * STEP + ((piece ^ ((row >> 1) & 3)) << 4); }

__device__ __forceinline__ void load_stage(u32 stage, const s8* a, const s8* b, u64 stride) {
#pragma unroll
  for (int i = 0; i < BLOCK_ROWS / 64; i++) {
    int row = i * 64 + threadIdx.x / 4, piece = threadIdx.x % 4;
    copy_async_16(stage + stage_place(row, piece), a + row * stride + piece * 16);
  }
#pragma unroll
  for (int i = 0; i < BLOCK_COLUMNS / 64; i++) {
    int row = i * 64 + threadIdx.x / 4, piece = threadIdx.x % 4;
    copy_async_16(stage + stage_place(BLOCK_ROWS + row, piece), b + row * stride + piece * 16);
  }
}

/* sums += a b over `steps` steps, for the block's rows of a and of b, consecutive rows `stride` bytes apart.
   after_depth(d) is called with the depth multiplied so far, every DEPTH. */
template <int DEPTH, class AfterDepth>
__device__ __forceinline__ void multiply(const s8* a, const s8* b, u64 stride, int steps,
                                         int (&sums)[ROW_GROUPS][GROUPS][4], AfterDepth after_depth) {
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int first_row = warp / 4 * 64, first_column = BLOCK_ROWS + warp % 4 * 64;
  u32 stages = shared_address(dynamic_shared);
  /* Nobody may still be reading the stages of an earlier call. */
  __syncthreads();
  for (int step = 0; step < STAGES - 1; step++) {
    if (step < steps) load_stage(stages + step * STAGE_BYTES, a + step * STEP, b + step * STEP, stride);
    commit_copies();
  }
  for (int step = 0; step < steps; step++) {
    wait_for_copies<STAGES - 2>();
    __syncthreads();
    int ahead = step + STAGES - 1;
    if (ahead < steps)
      load_stage(stages + ahead % STAGES * STAGE_BYTES, a + (u64)ahead * STEP, b + (u64)ahead * STEP, stride);
    commit_copies();
    u32 stage = stages + step % STAGES * STAGE_BYTES;
#pragma unroll(HALVES_AT_ONCE)
    for (int half = 0; half < 2; half++) {
      u32 left[ROW_GROUPS][4], right[GROUPS / 2][4];
#pragma unroll
      for (int i = 0; i < ROW_GROUPS; i++)
        load_matrices(left[i], stage + stage_place(first_row + i * 16 + lane % 16, half * 2 + lane / 16));
#pragma unroll
      for (int j = 0; j < GROUPS / 2; j++)
        load_matrices(right[j], stage + stage_place(first_column + j * 16 + lane % 8 + lane / 16 * 8,
                                                    half * 2 + lane / 8 % 2));
#pragma unroll
      for (int part = 0; part < 32 / DEPTH; part++) {
#pragma unroll
        for (int i = 0; i < ROW_GROUPS; i++)
#pragma unroll
          for (int j = 0; j < GROUPS; j++) {
            const u32* b_part = right[j / 2] + j % 2 * 2;
            if (DEPTH == 32) multiply_16x8x32(sums[i][j], left[i], b_part[0], b_part[1]);
            else multiply_16x8x16(sums[i][j], left[i][part * 2], left[i][part * 2 + 1], b_part[part]);
          }
        after_depth(step * STEP + half * 32 + (part + 1) * DEPTH);
      }
    }
  }
  wait_for_copies<0>();
}

__device__ __forceinline__ void clear(int (&sums)[ROW_GROUPS][GROUPS][4]) {
#pragma unroll
  for (int i = 0; i < ROW_GROUPS; i++)
#pragma unroll
    for (int j = 0; j < GROUPS; j++)
#pragma unroll
      for (int e = 0; e < 4; e++) sums[i][j][e] = 0;
}

/* [POW-TILE-1], [POW-TILE-2]  A' B', `segment_depth` columns a segment; see share_of for the numbering of blocks.
   `transcripts` u32[k/S, m/t, n/t, 16] are zero before; `product` is int32[m, n], zero before if blocks share it, or
   null. A block that takes several segments finds the product of the earlier ones still in the L2 cache. */
extern "C" __global__ void __launch_bounds__(256, 1)
multiply_and_fold(const s8* a, const s8* b, int* product, u32* transcripts, int m, int n, int k, int segment_depth,
                  int segments_at_once, int first_block) {
  Share share = share_of(first_block, m, n, k / segment_depth, segments_at_once, BLOCK_ROWS, BLOCK_COLUMNS);
  int warp = threadIdx.x / 32;
  int row = share.row + warp / 4 * 64, column = share.column + warp % 4 * 64;
  for (int at = 0; at < share.segments; at++) {
    int segment = share.first_segment + at;
    u64 depth_offset = (u64)segment * segment_depth;
    int sums[ROW_GROUPS][GROUPS][4];
    clear(sums);
    u32 shares[64 / TILE][64 / TILE][4] = {};
    const int depth = RANK < 32 ? 16 : 32;
    multiply<depth>(a + (u64)share.row * k + depth_offset, b + (u64)share.column * k + depth_offset, k,
                    segment_depth / STEP, sums, [&](int done) {
                      if (done % RANK == 0) fold(sums, shares);
                    });
    int here = afresh(row);
    hand_in(shares, transcripts + (u64)segment * (m / TILE) * (n / TILE) * 16, here, column, m, n);
    if (product) write_out(sums, product, here, column, m, n, store_of(share, at));
  }
}

/* [POW-DENOISE-1]  product -= sum over digits d of 128^d outer[d] inner[d]^T, for outer s8[digits, outer_rows, width]
   and inner s8[digits, inner_rows, width]: highest digit first, the sum so far taken times 128 before each next one,
   so that the product is read and written once. Wraps, as the product does. */
extern "C" __global__ void __launch_bounds__(256, 1)
subtract_digits(const s8* outer, const s8* inner, int* product, int m, int n, int width, int digits, int outer_rows,
                int inner_rows) {
  Share share = share_of(0, m, n, 1, 1, BLOCK_ROWS, BLOCK_COLUMNS);
  int sums[ROW_GROUPS][GROUPS][4];
  clear(sums);
  for (int digit = digits - 1; digit >= 0; digit--) {
#pragma unroll
    for (int i = 0; i < ROW_GROUPS; i++)
#pragma unroll
      for (int j = 0; j < GROUPS; j++)
#pragma unroll
        for (int e = 0; e < 4; e++) sums[i][j][e] = (int)((u32)sums[i][j][e] << 7);
    multiply<32>(outer + ((u64)digit * outer_rows + share.row) * width,
                 inner + ((u64)digit * inner_rows + share.column) * width, width, width / STEP, sums, [](int) {});
  }
  int warp = threadIdx.x / 32;
  write_out(sums, product, share.row + warp / 4 * 64, share.column + warp % 4 * 64, m, n, SUBTRACT);
}
