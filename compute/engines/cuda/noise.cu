/* Noise and seeded matrices, from the streams of a seed.  All sizes are multiples of 16, so that sixteen columns never span two slices. */

/* [POW-NOISE-1]  64 entries of the left factor per thread: low six bits of each stream byte, minus 32. */
extern "C" __global__ void fill_left_factor(const u32* key, s8* left, u64 entries) {
  u64 number = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  if (number * 64 >= entries) return;
  u32 words[16];
  blake3_stream(key, number, words);
  u32* out = (u32*)(left + number * 64);
#pragma unroll
  for (int i = 0; i < 16; i++) {
    /* Per byte x in [0, 63]: x - 32 in two's complement is (x ^ 32) with the sixth bit spread over the two above. */
    u32 shifted = (words[i] & 0x3F3F3F3Fu) ^ 0x20202020u;
    u32 sign = shifted & 0x20202020u;
    out[i] = shifted | (sign << 1) | (sign << 2);
  }
}

/* [POW-ENTRIES-1]  64 entries of a seeded matrix per thread: each stream byte scaled to 127 values, minus 63. The matrix
   has room for whole 64s. */
extern "C" __global__ void fill_entries(const u32* key, s8* matrix, u64 entries) {
  u64 number = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  if (number * 64 >= entries) return;
  u32 words[16];
  blake3_stream(key, number, words);
  u32* out = (u32*)(matrix + number * 64);
#pragma unroll
  for (int i = 0; i < 16; i++) {
    u32 four = 0;
#pragma unroll
    for (int shift = 0; shift < 32; shift += 8) {
      u32 scaled = (words[i] >> shift & 255) * 127 >> 8;
      four |= (scaled - 63 & 255) << shift;
    }
    out[i] = four;
  }
}

/* [POW-NOISE-2]  One thread block of r threads per slice. A word's place in the stable order is the number of words
   before it, so no sorting is needed: order[place] = word and place[word] = place. */
extern "C" __global__ void order_slices(const u32* key, u16* order, u16* place) {
  __shared__ u32 drawn[1024];
  int rank = blockDim.x, column = threadIdx.x;
  if (column < rank / 16) {
    u32 words[16];
    blake3_stream(key, (u64)blockIdx.x * (rank / 16) + column, words);
    for (int i = 0; i < 16; i++) drawn[column * 16 + i] = words[i];
  }
  __syncthreads();
  u32 own = drawn[column];
  int before = 0;
  for (int other = 0; other < rank; other++) before += drawn[other] < own || (drawn[other] == own && other < column);
  u64 first = (u64)blockIdx.x * rank;
  order[first + before] = (u16)column;
  place[first + column] = (u16)before;
}

/* Where an entry of a noised operand lies.  tile_rows = 0: row-major s8[rows, depth].  Otherwise in tiles of
   `tile_rows` rows by 128 columns, tile after tile along a row of tiles, as the matrix unit of sm_90 reads them from
   shared memory: the eight 16-byte pieces of row i in the order piece ^ (i mod 8). There a slice of fewer than 32
   columns is followed by zero columns up to 32, the depth of that unit's step. */
__device__ __forceinline__ u64 place_of(u64 row, int slice, int column, int slices, int rank, int tile_rows) {
  if (tile_rows == 0) return (row * slices + slice) * rank + column;
  int stride = rank < 32 ? 32 : rank;
  int stretched = slice * stride + column, tiles = slices * stride / 128;
  u64 tile = (row / tile_rows) * tiles + stretched / 128;
  int piece = stretched % 128 / 16 ^ (int)(row % 8);
  return (tile * tile_rows + row % tile_rows) * 128 + piece * 16 + stretched % 16;
}

/* [POW-NOISE-4]  noised[row, c] = plain[row, c] + left[row, order[c]] - left[row, order[c + 1]], the last term absent
   in the last column of a slice. Sixteen entries per thread. */
extern "C" __global__ void add_noise(const s8* plain, const s8* left, const u16* order, s8* noised, u64 sixteens,
                                     int slices, int rank, int tile_rows) {
  u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= sixteens) return;
  int pieces = rank / 16;
  int slice = (int)(at / pieces % slices), first = (int)(at % pieces) * 16;
  u64 row = at / pieces / slices;
  const s8* factors = left + row * rank;
  const u16* chain = order + slice * rank + first;
  union { uint4 whole; s8 entry[16]; } sum;
  sum.whole = ((const uint4*)plain)[at];
  int current = factors[chain[0]];
#pragma unroll
  for (int i = 0; i < 16; i++) {
    int following = first + i + 1 < rank ? factors[chain[i + 1]] : 0;
    sum.entry[i] = (s8)(sum.entry[i] + current - following);
    current = following;
  }
  *(uint4*)(noised + place_of(row, slice, first, slices, rank, tile_rows)) = sum.whole;
}
