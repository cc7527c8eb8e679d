/* [POW-TILE-2]  Folding of partial sums that lie in device memory.

   One block of 128 threads per tile of a panel int32[rows, columns]; a thread keeps to one lane, because 128 and the
   tile edge are multiples of 16. Tiles of the panel start at (first_row, first_column) of the tile grid of one
   segment, whose transcripts start at `transcripts`. */
extern "C" __global__ void fold_tiles(const int* partial, u32* transcripts, int columns, int tile, int first_row,
                                      int first_column, int tiles_per_row) {
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
