/* [POW-COMMIT-1], [POW-COMMIT-2]  Leaves of the commitment to a padded matrix s8[rows, depth]. */

#define CHUNK_BYTES 1024

/* One thread block per leaf: keyed BLAKE3 of a t x S block in row-major order, into u32[leaf, 8]. A chunk is one
   thread's work at a time; the tree over them stands in shared memory, two generations of `chunks` nodes. An odd last
   node goes up unchanged, which gives BLAKE3's tree. The block's size is a multiple of 1024, S one of 64. */
extern "C" __global__ void hash_leaves(const s8* matrix, const u32* key, u32* leaves, int depth, int tile,
                                       int segment) {
  int chunks = tile * segment / CHUNK_BYTES;
  int segments = depth / segment;
  const s8* corner = matrix + (u64)(blockIdx.x / segments) * tile * depth + (u64)(blockIdx.x % segments) * segment;
  u32* below = (u32*)dynamic_shared;
  u32* above = below + chunks * 8;

  for (int chunk = threadIdx.x; chunk < chunks; chunk += blockDim.x) {
    u32 chaining[8], words[16];
#pragma unroll
    for (int i = 0; i < 8; i++) chaining[i] = key[i];
    for (int block = 0; block < CHUNK_BYTES / 64; block++) {
      int at = chunk * CHUNK_BYTES + block * 64;
      const uint4* from = (const uint4*)(corner + (u64)(at / segment) * depth + at % segment);
#pragma unroll
      for (int i = 0; i < 4; i++) {
        uint4 four = from[i];
        words[4 * i] = four.x; words[4 * i + 1] = four.y; words[4 * i + 2] = four.z; words[4 * i + 3] = four.w;
      }
      u32 flags = KEYED_HASH;
      if (block == 0) flags |= CHUNK_START;
      if (block == CHUNK_BYTES / 64 - 1) flags |= CHUNK_END | (chunks == 1 ? ROOT : 0);
      blake3_compress(chaining, words, (u64)chunk, 64, flags);
#pragma unroll
      for (int i = 0; i < 8; i++) chaining[i] = words[i];
    }
    for (int i = 0; i < 8; i++) below[chunk * 8 + i] = chaining[i];
  }
  __syncthreads();

  for (int count = chunks; count > 1; count = (count + 1) / 2) {
    u32 flags = PARENT | KEYED_HASH | (count == 2 ? ROOT : 0);
    for (int node = threadIdx.x; node < (count + 1) / 2; node += blockDim.x) {
      u32 words[16];
      bool is_pair = 2 * node + 1 < count;
      for (int i = 0; i < (is_pair ? 16 : 8); i++) words[i] = below[node * 16 + i];
      if (is_pair) blake3_compress(key, words, 0, 64, flags);
      for (int i = 0; i < 8; i++) above[node * 8 + i] = words[i];
    }
    __syncthreads();
    u32* done = above; above = below; below = done;
  }
  if (threadIdx.x < 8) leaves[(u64)blockIdx.x * 8 + threadIdx.x] = below[threadIdx.x];
}
