// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Independent chains of fused multiply-adds in registers: as many as hide the
// latency, nothing loaded, nothing stored. The asm statements hide the values
// from the optimiser and emit no instruction.
#include "Peak.h"
#include <chrono>
#include <immintrin.h>
#include <thread>
#include <vector>

using Clock = std::chrono::steady_clock;

__attribute__((target("avx512f"))) static double chains512(int64_t steps) {
  __m512 sums[12], factor = _mm512_set1_ps(0.5f), term = _mm512_set1_ps(1.0f);
  for (__m512 &sum : sums)
    sum = term;
  for (int64_t i = 0; i < steps; ++i)
    for (__m512 &sum : sums) {
      sum = _mm512_fmadd_ps(sum, factor, term);
      __asm__("" : "+v"(sum));
    }
  for (__m512 &sum : sums)
    term = _mm512_add_ps(term, sum);
  return double(_mm512_cvtss_f32(term));
}

__attribute__((target("avx2,fma"))) static double chains256(int64_t steps) {
  __m256 sums[12], factor = _mm256_set1_ps(0.5f), term = _mm256_set1_ps(1.0f);
  for (__m256 &sum : sums)
    sum = term;
  for (int64_t i = 0; i < steps; ++i)
    for (__m256 &sum : sums) {
      sum = _mm256_fmadd_ps(sum, factor, term);
      __asm__("" : "+x"(sum));
    }
  for (__m256 &sum : sums)
    term = _mm256_add_ps(term, sum);
  return double(_mm256_cvtss_f32(term));
}

/// The best of some slices, so that an interruption doesn't count.
static double measureOne(bool wide) {
  const int64_t steps = 100000;
  double best = 0;
  for (int i = 0; i < 20; ++i) {
    auto start = Clock::now();
    volatile double sink = wide ? chains512(steps) : chains256(steps);
    (void)sink;
    std::chrono::duration<double> time = Clock::now() - start;
    best = std::max(best, steps * 12 * (wide ? 16 : 8) / time.count());
  }
  return best;
}

double sparse_opt::tool::measurePeak(llvm::StringRef target, unsigned threads) {
  bool wide = target != "x86-64-v3";
  std::vector<double> rates(threads);
  std::vector<std::thread> workers;
  for (unsigned i = 1; i < threads; ++i)
    workers.emplace_back([&rates, i, wide] { rates[i] = measureOne(wide); });
  rates[0] = measureOne(wide);
  double sum = rates[0];
  for (unsigned i = 1; i < threads; ++i) {
    workers[i - 1].join();
    sum += rates[i];
  }
  return sum;
}
