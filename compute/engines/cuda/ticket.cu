/* [POW-TICKET-1], [POW-TICKET-2]  Keyed BLAKE3 of one 64-byte block per transcript, with i, j, s in the first words.
   Transcripts are in the order (segment, tile row, tile column). */
extern "C" __global__ void hash_tickets(const u32* transcripts, const u32* key, u32* tickets, int count,
                                        int tile_rows, int tile_columns) {
  int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= count) return;
  u32 words[16];
#pragma unroll
  for (int i = 0; i < 16; i++) words[i] = transcripts[(u64)at * 16 + i];
  words[0] ^= (u32)(at / tile_columns % tile_rows);
  words[1] ^= (u32)(at % tile_columns);
  words[2] ^= (u32)(at / tile_columns / tile_rows);
  blake3_compress(key, words, 0, 64, CHUNK_START | CHUNK_END | ROOT | KEYED_HASH);
#pragma unroll
  for (int i = 0; i < 8; i++) tickets[(u64)at * 8 + i] = words[i];
}
