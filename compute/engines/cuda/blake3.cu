/* The compression function of BLAKE3. */

enum Blake3Flag { CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8, KEYED_HASH = 16 };

__device__ __forceinline__ u32 rotate_right(u32 value, int bits) { return (value >> bits) | (value << (32 - bits)); }

__device__ __forceinline__ void mix(u32& a, u32& b, u32& c, u32& d, u32 x, u32 y) {
  a = a + b + x; d = rotate_right(d ^ a, 16); c = c + d; b = rotate_right(b ^ c, 12);
  a = a + b + y; d = rotate_right(d ^ a, 8);  c = c + d; b = rotate_right(b ^ c, 7);
}

/* `words` is the message block on entry and the 16 words of output on return; the first eight of them are the hash or
   the chaining value. */
__device__ __forceinline__ void blake3_compress(const u32* chaining, u32 (&words)[16], u64 counter, u32 block_bytes,
                                                u32 flags) {
  const int order[16] = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};
  u32 v[16], next[16];
#pragma unroll
  for (int i = 0; i < 8; i++) v[i] = chaining[i];
  v[8] = 0x6A09E667u; v[9] = 0xBB67AE85u; v[10] = 0x3C6EF372u; v[11] = 0xA54FF53Au;
  v[12] = (u32)counter; v[13] = (u32)(counter >> 32); v[14] = block_bytes; v[15] = flags;
#pragma unroll
  for (int round = 0; round < 7; round++) {
    mix(v[0], v[4], v[8], v[12], words[0], words[1]);
    mix(v[1], v[5], v[9], v[13], words[2], words[3]);
    mix(v[2], v[6], v[10], v[14], words[4], words[5]);
    mix(v[3], v[7], v[11], v[15], words[6], words[7]);
    mix(v[0], v[5], v[10], v[15], words[8], words[9]);
    mix(v[1], v[6], v[11], v[12], words[10], words[11]);
    mix(v[2], v[7], v[8], v[13], words[12], words[13]);
    mix(v[3], v[4], v[9], v[14], words[14], words[15]);
#pragma unroll
    for (int i = 0; i < 16; i++) next[i] = words[order[i]];
#pragma unroll
    for (int i = 0; i < 16; i++) words[i] = next[i];
  }
#pragma unroll
  for (int i = 0; i < 8; i++) {
    words[i] = v[i] ^ v[i + 8];
    words[i + 8] = v[i + 8] ^ chaining[i];
  }
}

/* Output block `number` of the stream of the empty input under a key. */
__device__ __forceinline__ void blake3_stream(const u32* key, u64 number, u32 (&words)[16]) {
#pragma unroll
  for (int i = 0; i < 16; i++) words[i] = 0;
  blake3_compress(key, words, number, 0, CHUNK_START | CHUNK_END | ROOT | KEYED_HASH);
}
