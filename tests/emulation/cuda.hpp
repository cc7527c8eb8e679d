/* CUDA on a CPU, for tests: kernels of compute/engines/cuda run as they are; device.cu, ptx.cu and ptx_sm90.cu are
   replaced by what the documentation says their instructions do.

   A thread block's threads are fibers of one thread, in turn from one wait to the next; blocks run one after another.
   What runs in the background on a device (copies, wgmma) happens here at the last moment allowed, when somebody waits
   for it, so that a missing wait shows. Threads take turns upwards or downwards: a missing barrier between them shows
   in one order or the other. Not modelled: speed, caches, memory models, alignment of descriptors. */
#include <ucontext.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(...)
#define __syncthreads() emulation::block_barrier.wait(emulation::threads)

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;

struct Index { int x; };
struct int2 { int x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
static Index threadIdx, blockIdx, blockDim, gridDim;

static inline int2 make_int2(int x, int y) { return {x, y}; }
static inline int min(int a, int b) { return a < b ? a : b; }
template <class T> static void atomicXor(T* at, T value) { *at ^= value; }
static void atomicAdd(int* at, int value) { *at = (int)((unsigned)*at + (unsigned)value); }

namespace emulation {

constexpr int MAX_THREADS = 1024;
constexpr size_t STACK_BYTES = 64 << 10;
constexpr size_t SHARED_BYTES = 227 << 10;
constexpr long PATIENCE = 20'000'000; /* turns without progress after which a block counts as hanging */

struct Fiber {
  ucontext_t start;
  jmp_buf state;
  char* stack = nullptr;
  bool has_started = false, has_ended = false;
};

static Fiber fibers[MAX_THREADS];
static jmp_buf scheduler;
static int threads, running, direction = 1;
static long idle_turns;
static void (*entry)(void**);
static void** entry_arguments;

/* Let the next thread of the block run. */
static void yield() {
  if (_setjmp(fibers[running].state) == 0) _longjmp(scheduler, 1);
}

static void wait_a_turn() {
  idle_turns++;
  yield();
}

struct Barrier {
  int arrived = 0;
  unsigned generation = 0;
  void wait(int members) {
    unsigned own = generation;
    if (++arrived == members) {
      arrived = 0;
      generation++;
      idle_turns = 0;
      return;
    }
    while (generation == own) wait_a_turn();
  }
};

static Barrier block_barrier, warp_barriers[MAX_THREADS / 32], warpgroup_barriers[MAX_THREADS / 128];
static unsigned exchange[MAX_THREADS / 32][32][8];

struct Copy {
  unsigned char* to;
  const void* from;
  size_t bytes;
};
/* Per thread: groups of cp.async copies, oldest first; the last is the open one. */
static std::deque<std::vector<Copy>> groups[MAX_THREADS];

/* An mbarrier: a phase ends when all arrivals and all bytes expected have come. */
struct MemoryBarrier {
  int expected = 0, missing = 0;
  long missing_bytes = 0;
  unsigned phase = 0;
  std::vector<Copy> copies;
  void settle() {
    if (missing == 0 && missing_bytes == 0) {
      phase++;
      missing = expected;
      idle_turns = 0;
    }
  }
};
static std::map<unsigned, MemoryBarrier> memory_barriers;

struct Product {
  int (*sums)[4];
  u64 a, b;
};
/* Per thread: wgmma products begun and not finished. */
static std::vector<Product> products[MAX_THREADS];

static void fiber_main() {
  entry(entry_arguments);
  idle_turns = 0;
  fibers[running].has_ended = true;
  _longjmp(scheduler, 1);
}

/* Give thread `number` its turn; it ends when the thread waits or returns. */
static void resume(int number) {
  Fiber& fiber = fibers[number];
  if (fiber.has_ended) return;
  running = number;
  threadIdx.x = number;
  if (_setjmp(scheduler) != 0) return;
  if (fiber.has_started) _longjmp(fiber.state, 1);
  fiber.has_started = true;
  setcontext(&fiber.start);
}

static bool block_has_ended() {
  for (int number = 0; number < threads; number++)
    if (!fibers[number].has_ended) return false;
  return true;
}

/* False if the block hangs. */
static bool run_block() {
  block_barrier = Barrier();
  for (auto& barrier : warp_barriers) barrier = Barrier();
  for (auto& barrier : warpgroup_barriers) barrier = Barrier();
  memory_barriers.clear();
  for (int number = 0; number < threads; number++) {
    Fiber& fiber = fibers[number];
    if (!fiber.stack) fiber.stack = new char[STACK_BYTES];
    fiber.has_started = fiber.has_ended = false;
    getcontext(&fiber.start);
    fiber.start.uc_stack.ss_sp = fiber.stack;
    fiber.start.uc_stack.ss_size = STACK_BYTES;
    fiber.start.uc_link = nullptr;
    makecontext(&fiber.start, fiber_main, 0);
    groups[number].assign(1, {});
    products[number].clear();
  }
  idle_turns = 0;
  while (!block_has_ended()) {
    for (int turn = 0; turn < threads; turn++) resume(direction > 0 ? turn : threads - 1 - turn);
    if (idle_turns > PATIENCE) return false;
  }
  return true;
}

/* Values of a warp, word `slot` of each lane. */
static unsigned (&lanes())[32][8] { return exchange[threadIdx.x / 32]; }
static void warp_wait() { warp_barriers[threadIdx.x / 32].wait(32); }

}  // namespace emulation

/* --- in place of device.cu --- */

alignas(1024) static unsigned char dynamic_shared[emulation::SHARED_BYTES];

/* Addresses are distances from the start of dynamic shared memory; static variables lie at some other distance. */
static unsigned shared_address(const void* pointer) { return (unsigned)((const unsigned char*)pointer - dynamic_shared); }
static unsigned char* at_shared(unsigned address) { return dynamic_shared + (int)address; }

/* --- in place of ptx.cu --- */

static void copy_async_16(unsigned to, const void* from) {
  emulation::groups[threadIdx.x].back().push_back({at_shared(to), from, 16});
}
static void commit_copies() { emulation::groups[threadIdx.x].emplace_back(); }
template <int PENDING> static void wait_for_copies() {
  auto& groups = emulation::groups[threadIdx.x];
  while (groups.size() > PENDING + 1) {
    for (auto& copy : groups.front()) std::memcpy(copy.to, copy.from, copy.bytes);
    groups.pop_front();
  }
}

static void load_matrices(unsigned (&registers)[4], unsigned address) {
  int lane = threadIdx.x % 32;
  auto& lanes = emulation::lanes();
  lanes[lane][0] = address;
  emulation::warp_wait();
  for (int matrix = 0; matrix < 4; matrix++)
    std::memcpy(&registers[matrix], at_shared(lanes[matrix * 8 + lane / 4][0]) + 4 * (lane % 4), 4);
  emulation::warp_wait();
}

static int byte_of(unsigned word, int number) { return (signed char)(word >> (8 * number)); }

/* a: rows 16 by `depth` as depth / 8 registers per lane, b: `depth` by 8 as depth / 16 registers. */
static void multiply_fragments(int (&sums)[4], const unsigned* a, const unsigned* b, int depth) {
  int lane = threadIdx.x % 32;
  auto& lanes = emulation::lanes();
  for (int i = 0; i < depth / 8; i++) lanes[lane][i] = a[i];
  for (int i = 0; i < depth / 16; i++) lanes[lane][4 + i] = b[i];
  emulation::warp_wait();
  for (int e = 0; e < 4; e++) {
    int row = lane / 4 + (e >= 2 ? 8 : 0), column = lane % 4 * 2 + e % 2, sum = 0;
    for (int k = 0; k < depth; k++) {
      unsigned left = lanes[row % 8 * 4 + k % 16 / 4][row / 8 + k / 16 * 2];
      unsigned right = lanes[column * 4 + k % 16 / 4][4 + k / 16];
      sum += byte_of(left, k % 4) * byte_of(right, k % 4);
    }
    sums[e] = (int)((unsigned)sums[e] + (unsigned)sum);
  }
  emulation::warp_wait();
}
static void multiply_16x8x32(int (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  unsigned b[2] = {b0, b1};
  multiply_fragments(sums, a, b, 32);
}
static void multiply_16x8x16(int (&sums)[4], unsigned a0, unsigned a1, unsigned b0) {
  unsigned a[2] = {a0, a1};
  multiply_fragments(sums, a, &b0, 16);
}

static unsigned shuffle_xor(unsigned value, int mask) {
  int lane = threadIdx.x % 32;
  auto& lanes = emulation::lanes();
  lanes[lane][7] = value;
  emulation::warp_wait();
  unsigned received = lanes[lane ^ mask][7];
  emulation::warp_wait();
  return received;
}

static int afresh(int value) { return value; }

/* --- in place of ptx_sm90.cu --- */

static void init_barrier(unsigned barrier, unsigned arrivals) {
  auto& made = emulation::memory_barriers[barrier];
  made.expected = made.missing = (int)arrivals;
}
static void publish_barriers() {}
static void arrive_expecting(unsigned barrier, unsigned bytes) {
  auto& at = emulation::memory_barriers.at(barrier);
  at.missing_bytes += bytes;
  at.missing--;
  at.settle();
}
static void arrive(unsigned barrier) {
  auto& at = emulation::memory_barriers.at(barrier);
  at.missing--;
  at.settle();
}
static void copy_bulk(unsigned to, const void* from, unsigned bytes, unsigned barrier) {
  emulation::memory_barriers.at(barrier).copies.push_back({at_shared(to), from, bytes});
}
static void wait_for_phase(unsigned barrier, unsigned parity) {
  auto& at = emulation::memory_barriers.at(barrier);
  while (true) {
    if ((at.phase & 1) != parity) return;
    for (auto& copy : at.copies) {
      std::memcpy(copy.to, copy.from, copy.bytes);
      at.missing_bytes -= (long)copy.bytes;
    }
    bool has_copied = !at.copies.empty();
    at.copies.clear();
    if (has_copied) at.settle();
    else emulation::wait_a_turn();
  }
}
static void release_registers() {}
static void claim_registers() {}
static void begin_products() {}

static void multiply_64x256x32(int (&sums)[1][32][4], u64 a, u64 b) {
  emulation::products[threadIdx.x].push_back({sums[0], a, b});
}

/* 32 bytes of row `row` of an operand: rows of 128 bytes in groups of eight, bits 4 to 6 of an address XORed with bits
   7 to 9. */
static void operand_row(u64 descriptor, int row, signed char (&bytes)[32]) {
  unsigned start = (unsigned)(descriptor & 0x3FFF) << 4, group_stride = (unsigned)(descriptor >> 32 & 0x3FFF) << 4;
  for (int half = 0; half < 2; half++) {
    unsigned address = start + row / 8 * group_stride + row % 8 * 128 + half * 16;
    std::memcpy(bytes + half * 16, dynamic_shared + (address ^ (address >> 7 & 7) << 4), 16);
  }
}

static void finish_products() {
  auto& barrier = emulation::warpgroup_barriers[threadIdx.x / 128];
  barrier.wait(128);
  int lane = threadIdx.x % 32, warp = threadIdx.x % 128 / 32;
  for (auto& product : emulation::products[threadIdx.x]) {
    signed char left[2][32], right[32];
    for (int half = 0; half < 2; half++) operand_row(product.a, 16 * warp + lane / 4 + 8 * half, left[half]);
    for (int j = 0; j < 32; j++)
      for (int odd = 0; odd < 2; odd++) {
        operand_row(product.b, 8 * j + lane % 4 * 2 + odd, right);
        for (int half = 0; half < 2; half++) {
          int sum = 0;
          for (int k = 0; k < 32; k++) sum += left[half][k] * right[k];
          int& out = product.sums[j][half * 2 + odd];
          out = (int)((unsigned)out + (unsigned)sum);
        }
      }
  }
  emulation::products[threadIdx.x].clear();
  barrier.wait(128);
}

/* --- launching --- */

template <class... P, size_t... I>
static void call(void (*kernel)(P...), void** arguments, std::index_sequence<I...>) {
  kernel(*(typename std::remove_cv<P>::type*)arguments[I]...);
}

/* KERNEL(name) makes launch_name(grid, block, shared bytes, turns upwards or downwards, addresses of the arguments),
   which returns 0, 1 if a block hung, or 2 if the launch itself is impossible. */
#define KERNEL(name)                                                                                             \
  template <class... P> static void call_##name(void (*kernel)(P...), void** arguments) {                        \
    call(kernel, arguments, std::index_sequence_for<P...>());                                                    \
  }                                                                                                              \
  extern "C" int launch_##name(int grid, int block, long shared_bytes, int direction, void** arguments) {        \
    if (grid < 1 || block < 1 || block > emulation::MAX_THREADS || shared_bytes > (long)emulation::SHARED_BYTES) \
      return 2;                                                                                                  \
    gridDim.x = grid;                                                                                            \
    blockDim.x = emulation::threads = block;                                                                     \
    emulation::direction = direction;                                                                            \
    emulation::entry = [](void** given) { call_##name(name, given); };                                           \
    emulation::entry_arguments = arguments;                                                                      \
    for (blockIdx.x = 0; blockIdx.x < grid; blockIdx.x++) {                                                      \
      /* What shared memory holds at first is nobody's business. */                                              \
      std::memset(dynamic_shared, 0x4D, shared_bytes);                                                           \
      if (!emulation::run_block()) return 1;                                                                     \
    }                                                                                                            \
    return 0;                                                                                                    \
  }
