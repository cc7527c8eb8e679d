/* What every kernel file starts from: short type names and the one block of dynamic shared memory.
   Offsets are 64-bit, sizes 32-bit. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;

extern __shared__ __align__(1024) u8 dynamic_shared[];
