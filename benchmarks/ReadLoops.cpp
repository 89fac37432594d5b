// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ReadLoops.h"
#include "llvm/ADT/STLExtras.h"
#include <cstdlib>
#include <cstring>
#include <immintrin.h>
#include <sys/mman.h>
#include <time.h>

using namespace sparse_opt;

constexpr uint64_t footprint = 2700ull << 20, readBytes = 512ull << 20;

double sparse_opt::seconds() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + 1e-9 * time.tv_nsec;
}

double sparse_opt::median(std::vector<double> values) {
  llvm::sort(values);
  return values[values.size() / 2];
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// Numbers that are finite and small as bf16 and as f32.
Memory::Memory(bool hugePages) : pages(hugePages ? "2 MiB" : "4 KiB") {
  void *mapped = mmap(nullptr, footprint, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED)
    abort();
  data = static_cast<uint8_t *>(mapped);
  if (hugePages)
    madvise(data, footprint, MADV_HUGEPAGE);
  uint32_t state = 1;
  for (uint64_t i = 0; i < footprint; i += 2) {
    state = state * 1664525 + 1013904223;
    uint16_t value = 0x3c00 | (state >> 16 & 0x80ff);
    memcpy(data + i, &value, 2);
  }
}

Memory::~Memory() { munmap(data, footprint); }

const uint8_t *Memory::take(uint64_t bytes) {
  if (at + bytes > footprint)
    at = 0;
  at += bytes;
  return data + at - bytes;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

namespace {
struct ReadJob {
  const uint8_t *data;
  const Reader *reader;
};

} // namespace

constexpr int64_t pieceBytes = 1 << 20;

template <int streams>
[[gnu::noinline]] static void readStreams(const uint8_t *data, int64_t bytes,
                                          int64_t ahead) {
#ifndef __AVX512F__
  typedef float Vector __attribute__((vector_size(32)));
#endif
  int64_t each = bytes / streams;
  for (int64_t i = 0; i < each; i += 256)
    for (int stream = 0; stream < streams; ++stream) {
      const uint8_t *at = data + stream * each + i;
      for (int line = 0; line < 256; line += 64) {
        if (ahead)
          _mm_prefetch(reinterpret_cast<const char *>(at + line + ahead),
                       _MM_HINT_T0);
#ifdef __AVX512F__
        asm volatile("vmovups %0, %%zmm31" ::"m"(at[line]) : "xmm31");
#else
        Vector low, high;
        asm volatile("vmovups %2, %0; vmovups %3, %1"
                     : "=x"(low), "=x"(high)
                     : "m"(at[line]), "m"(at[line + 32]));
#endif
      }
    }
}

static void readRange(void *context, int64_t begin, int64_t end, int64_t) {
  auto *job = static_cast<ReadJob *>(context);
  const uint8_t *data = job->data + begin * pieceBytes;
  int64_t bytes = (end - begin) * pieceBytes;
  int ahead = job->reader->ahead;
  switch (job->reader->streams) {
  case 1:
    return readStreams<1>(data, bytes, ahead);
  case 2:
    return readStreams<2>(data, bytes, ahead);
  default:
    return readStreams<4>(data, bytes, ahead);
  }
}

/// GB/s of one read loop.
double sparse_opt::readOnce(const Reader &reader, Memory &memory,
                            sparse_opt_pool *pool) {
  ReadJob job = {memory.take(readBytes), &reader};
  double begin = seconds();
  pool->parallel(pool, pool->threads, readRange, &job, readBytes / pieceBytes,
                 1);
  return readBytes / (seconds() - begin) * 1e-9;
}

/// The fastest of several loops.
Reader sparse_opt::bestReader(Memory &memory, sparse_opt_pool *pool,
                              int rounds) {
  std::vector<Reader> readers;
  for (int streams : {1, 2, 4})
    for (int ahead : {0, 1024, 4096})
      readers.push_back({streams, ahead, {}});
  for (int round = 0; round < rounds; ++round)
    for (Reader &reader : readers)
      reader.rates.push_back(readOnce(reader, memory, pool));
  return *llvm::max_element(readers, [](const Reader &a, const Reader &b) {
    return median(a.rates) < median(b.rates);
  });
}
