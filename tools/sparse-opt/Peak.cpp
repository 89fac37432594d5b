// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Independent chains of multiply-adds in registers: as many as hide the
// latency, nothing loaded, nothing stored. The asm statements hide the values
// from the optimiser and emit no instruction. Tiles are loaded, from
// first-level cache, as every use of them must.
#include "Peak.h"
#include "sparse-opt/Runtime/ModelAbi.h"
#include "sparse-opt/Target/TargetInfo.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"
#include <chrono>
#include <immintrin.h>
#include <numeric>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;
using Clock = std::chrono::steady_clock;

static constexpr int numChains = 12;

__attribute__((target("avx2,fma"))) static void fma256(int64_t steps) {
  __m256 sums[numChains];
  __m256 factor = _mm256_set1_ps(0.5f), term = _mm256_set1_ps(1.0f);
  for (__m256 &sum : sums)
    sum = term;
  for (int64_t i = 0; i < steps; ++i)
    for (__m256 &sum : sums) {
      sum = _mm256_fmadd_ps(sum, factor, term);
      __asm__ volatile("" : "+x"(sum));
    }
}

__attribute__((target("avx512f"))) static void fma512(int64_t steps) {
  __m512 sums[numChains];
  __m512 factor = _mm512_set1_ps(0.5f), term = _mm512_set1_ps(1.0f);
  for (__m512 &sum : sums)
    sum = term;
  for (int64_t i = 0; i < steps; ++i)
    for (__m512 &sum : sums) {
      sum = _mm512_fmadd_ps(sum, factor, term);
      __asm__ volatile("" : "+v"(sum));
    }
}

__attribute__((target("avx512f,avx512bf16"))) static void
dot512(int64_t steps) {
  __m512 sums[numChains];
  __m512 one = _mm512_set1_ps(1.0f);
  __m512bh ones = _mm512_cvtne2ps_pbh(one, one);
  for (__m512 &sum : sums)
    sum = one;
  for (int64_t i = 0; i < steps; ++i)
    for (__m512 &sum : sums) {
      sum = _mm512_dpbf16_ps(sum, ones, ones);
      __asm__ volatile("" : "+v"(sum));
    }
}

/// 32 x 32 of a product: two tiles from either side, four of sums.
__attribute__((target("amx-tile,amx-bf16"))) static void tiles(int64_t steps) {
  struct alignas(64) {
    uint8_t palette = 1, startRow = 0, reserved[14] = {};
    uint16_t rowBytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  alignas(64) static const uint16_t data[4][16][32] = {};
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t i = 0; i < steps; ++i) {
    _tile_loadd(4, data[0], 64);
    _tile_loadd(6, data[2], 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, data[1], 64);
    _tile_dpbf16ps(1, 5, 6);
    _tile_loadd(7, data[3], 64);
    _tile_dpbf16ps(2, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}

/// Linux lets a process use tile data only after it has asked.
static bool mayUseTiles() {
  const long requestPermission = 0x1023, tileData = 18;
  return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
}

namespace {
struct Entry {
  Arithmetic arithmetic;
  const char *name;
  std::vector<StringRef> features; // LLVM's names
  void (*run)(int64_t steps);
  double multiplyAdds; // of a step
  int64_t steps;       // of a slice: about 100 us
};
} // namespace

static const Entry &lookup(Arithmetic arithmetic) {
  static const Entry entries[] = {
      {Arithmetic::Fma256,
       "f32 FMA of 256 bits",
       {"avx2", "fma"},
       fma256,
       numChains * 8,
       50000},
      {Arithmetic::Fma512,
       "f32 FMA of 512 bits",
       {"avx512f"},
       fma512,
       numChains * 16,
       50000},
      {Arithmetic::Bf16Dot512,
       "bf16 dot products of 512 bits",
       {"avx512f", "avx512bf16"},
       dot512,
       numChains * 32,
       50000},
      {Arithmetic::Bf16Tiles,
       "bf16 tiles in L1",
       {"amx-tile", "amx-bf16"},
       tiles,
       4 * 16 * 16 * 32,
       5000},
  };
  return *find_if(entries, [&](const Entry &entry) {
    return entry.arithmetic == arithmetic;
  });
}

StringRef sparse_opt::tool::nameOf(Arithmetic arithmetic) {
  return lookup(arithmetic).name;
}

static bool hostHas(const Entry &entry) {
  static const StringMap<bool> host = sys::getHostCPUFeatures();
  return all_of(entry.features,
                [&](StringRef name) { return host.lookup(name); }) &&
         (entry.arithmetic != Arithmetic::Bf16Tiles || mayUseTiles());
}

ArrayRef<Arithmetic> sparse_opt::tool::hostArithmetic() {
  static const std::vector<Arithmetic> found = [] {
    std::vector<Arithmetic> all = {Arithmetic::Fma256, Arithmetic::Fma512,
                                   Arithmetic::Bf16Dot512,
                                   Arithmetic::Bf16Tiles};
    erase_if(all, [](Arithmetic one) { return !hostHas(lookup(one)); });
    return all;
  }();
  return found;
}

Arithmetic sparse_opt::tool::arithmeticOf(StringRef target, bool ofBf16) {
  const TargetInfo *info = lookupTarget(target);
  uint64_t bits = info ? info->isaBits
                  : is_contained(hostArithmetic(), Arithmetic::Fma512)
                      ? SO_ISA_X86_64_V4
                      : 0;
  if (ofBf16 && (bits & SO_ISA_AMX_BF16))
    return Arithmetic::Bf16Tiles;
  if (ofBf16 && (bits & SO_ISA_AVX512_BF16))
    return Arithmetic::Bf16Dot512;
  return bits & SO_ISA_X86_64_V4 ? Arithmetic::Fma512 : Arithmetic::Fma256;
}

/// The caller's CPUs, in order.
static std::vector<int> allowedCpus() {
  cpu_set_t allowed;
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
    for (int cpu = 0; cpu != CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &allowed))
        cpus.push_back(cpu);
  return cpus;
}

double
sparse_opt::tool::sumOverThreads(unsigned threads,
                                 function_ref<double(unsigned)> measure) {
  std::vector<double> rates(threads);
  std::vector<std::thread> workers;
  std::vector<int> cpus = allowedCpus();
  auto work = [&](unsigned i) {
    if (!cpus.empty()) {
      cpu_set_t own;
      CPU_ZERO(&own);
      CPU_SET(cpus[i % cpus.size()], &own);
      pthread_setaffinity_np(pthread_self(), sizeof(own), &own);
    }
    rates[i] = measure(i);
  };
  for (unsigned i = 0; i < threads; ++i)
    workers.emplace_back(work, i);
  for (std::thread &worker : workers)
    worker.join();
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

double sparse_opt::tool::measurePeak(Arithmetic arithmetic, unsigned threads) {
  const Entry &entry = lookup(arithmetic);
  if (!hostHas(entry))
    return 0;
  // The best of some slices, so that an interruption doesn't count.
  return sumOverThreads(threads, [&](unsigned) {
    double best = 0;
    for (int i = 0; i < 30; ++i) {
      auto start = Clock::now();
      entry.run(entry.steps);
      std::chrono::duration<double> time = Clock::now() - start;
      best = std::max(best,
                      double(entry.steps) * entry.multiplyAdds / time.count());
    }
    return best;
  });
}
