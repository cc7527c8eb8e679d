/* The instructions of sm_80 and later that the fused kernels use, one function each: the only part of them that the
   CPU emulation of the tests replaces. */

__device__ __forceinline__ u32 shared_address(const void* pointer) {
  return (u32)__cvta_generic_to_shared(pointer);
}

/* 16 bytes from global to shared memory, in the background. */
__device__ __forceinline__ void copy_async_16(u32 to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}

/* Ends this thread's current group of copies. */
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/* Until all but the `PENDING` youngest groups of this thread's copies have arrived. */
template <int PENDING>
__device__ __forceinline__ void wait_for_copies() { asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory"); }

/* Four 8x8 matrices of 16-bit elements (here: 8 rows of 16 int8): lane l gives the address of row l % 8 of matrix
   l / 8 and receives bytes 4 (l % 4) to 4 (l % 4) + 3 of row l / 4 of each. */
__device__ __forceinline__ void load_matrices(u32 (&registers)[4], u32 address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
               : "r"(address)
               : "memory");
}

/* sums += a b for a 16x32 a and a 32x8 b, int8 into int32. With g = lane / 4 and q = lane % 4: a[0] is row g, columns
   4q..4q+3, a[1] row g + 8, a[2] and a[3] the same 16 columns on; b0 is rows 4q..4q+3 of column g, b1 16 rows on;
   sums are (g, 2q), (g, 2q + 1), (g + 8, 2q), (g + 8, 2q + 1). */
__device__ __forceinline__ void multiply_16x8x32(int (&sums)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
               : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* The same for a 16x16 a and a 16x8 b. */
__device__ __forceinline__ void multiply_16x8x16(int (&sums)[4], u32 a0, u32 a1, u32 b0) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0,%1,%2,%3},{%4,%5},{%6},{%0,%1,%2,%3};"
               : "+r"(sums[0]), "+r"(sums[1]), "+r"(sums[2]), "+r"(sums[3])
               : "r"(a0), "r"(a1), "r"(b0));
}

__device__ __forceinline__ u32 shuffle_xor(u32 value, int mask) { return __shfl_xor_sync(0xFFFFFFFFu, value, mask); }

/* The same value, as far as the compiler can tell another one: what follows from it is computed where it is needed,
   not earlier and kept in registers. */
__device__ __forceinline__ int afresh(int value) {
  asm volatile("" : "+r"(value));
  return value;
}
