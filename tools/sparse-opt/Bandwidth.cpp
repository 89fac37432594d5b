// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Whole registers are loaded and thrown away, in order; hardware prefetching
// is welcome, as it is to the kernels that are compared with this.
#include "Bandwidth.h"
#include "Peak.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include <atomic>
#include <chrono>
#include <cmath>
#include <immintrin.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <thread>

using namespace llvm;
using namespace sparse_opt::tool;
using Clock = std::chrono::steady_clock;

static constexpr uint64_t KiB = 1 << 10, MiB = 1 << 20, GiB = 1 << 30;
/// A step of the loops that read.
static constexpr uint64_t stepBytes = 512;

uint64_t sparse_opt::tool::availableMemory() {
  auto buffer = MemoryBuffer::getFileAsStream("/proc/meminfo");
  if (!buffer)
    return 0;
  StringRef rest = (*buffer)->getBuffer().split("MemAvailable:").second.ltrim();
  uint64_t kib = 0;
  return rest.consumeInteger(10, kib) ? 0 : kib * 1024;
}

ReadBuffer::ReadBuffer(uint64_t wanted) {
  struct sysinfo info;
  if (sysinfo(&info) != 0)
    return;
  uint64_t free = uint64_t(info.freeram + info.bufferram) * info.mem_unit;
  bytes = std::min(wanted, free / 8 / (2 * MiB) * (2 * MiB));
  void *mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (bytes == 0 || mapped == MAP_FAILED) {
    bytes = 0;
    return;
  }
  data = static_cast<uint8_t *>(mapped);
  madvise(data, bytes, MADV_HUGEPAGE);
  for (uint64_t i = 0; i < bytes; i += 4 * KiB)
    data[i] = 1; // else all pages are the one page of zeros
}

ReadBuffer::~ReadBuffer() {
  if (data)
    munmap(data, bytes);
}

__attribute__((target("avx512f"))) static void read512(const uint8_t *data,
                                                       uint64_t bytes) {
  __m512i sums[8] = {};
  for (const uint8_t *end = data + bytes; data != end; data += stepBytes)
    for (int i = 0; i < 8; ++i)
      sums[i] = _mm512_or_si512(sums[i], _mm512_loadu_si512(data + 64 * i));
  for (__m512i &sum : sums)
    __asm__ volatile("" ::"v"(sum));
}

__attribute__((target("avx2"))) static void read256(const uint8_t *data,
                                                    uint64_t bytes) {
  __m256i sums[8] = {};
  for (const uint8_t *end = data + bytes; data != end; data += stepBytes)
    for (int i = 0; i < 16; ++i)
      sums[i % 8] = _mm256_or_si256(
          sums[i % 8],
          _mm256_loadu_si256(reinterpret_cast<const __m256i *>(data + 32 * i)));
  for (__m256i &sum : sums)
    __asm__ volatile("" ::"x"(sum));
}

namespace {
/// Lets threads begin a turn together.
class Gate {
public:
  explicit Gate(unsigned threads) : threads(threads) {}
  void pass(unsigned turn) {
    ++arrived;
    while (arrived < threads * (turn + 1))
      std::this_thread::yield();
  }

private:
  unsigned threads;
  std::atomic<unsigned> arrived{0};
};

/// What a turn reads: `passes` times `bytes`, all turns the same or each what
/// follows in the buffer.
struct Turns {
  uint64_t bytes, passes;
  unsigned count;
  bool follow;
};
} // namespace

/// Rates of turns. The slowest thread of a turn decides.
static std::vector<double> measureTurns(const ReadBuffer &buffer,
                                        const Turns &turns, unsigned threads) {
  uint64_t share = turns.bytes / threads / stepBytes * stepBytes;
  uint64_t pieces = turns.follow ? buffer.getBytes() / turns.bytes : 1;
  bool wide = is_contained(hostArithmetic(), Arithmetic::Fma512);
  std::vector<std::vector<double>> seconds(threads,
                                           std::vector<double>(turns.count));
  Gate gate(threads);
  sumOverThreads(threads, [&](unsigned thread) {
    const uint8_t *first = buffer.getData() + thread * share;
    if (!turns.follow)
      (wide ? read512 : read256)(first, share);
    for (unsigned turn = 0; turn < turns.count; ++turn) {
      const uint8_t *begin = first + turn % pieces * turns.bytes;
      gate.pass(turn);
      auto start = Clock::now();
      for (uint64_t i = 0; i < turns.passes; ++i)
        (wide ? read512 : read256)(begin, share);
      std::chrono::duration<double> time = Clock::now() - start;
      seconds[thread][turn] = time.count();
    }
    return 0.0;
  });
  std::vector<double> rates;
  for (unsigned turn = 0; turn < turns.count; ++turn) {
    double slowest = 0;
    for (const std::vector<double> &times : seconds)
      slowest = std::max(slowest, times[turn]);
    rates.push_back(double(share * threads * turns.passes) / slowest);
  }
  return rates;
}

/// The best of some turns.
static double measureSize(const ReadBuffer &buffer, uint64_t bytes,
                          unsigned threads) {
  uint64_t share = bytes / threads / stepBytes * stepBytes;
  uint64_t passes = std::max<uint64_t>(1, 32 * MiB / std::max(share, KiB));
  return *max_element(measureTurns(
      buffer, {bytes, passes, bytes > 128 * MiB ? 3u : 8u, /*follow=*/false},
      threads));
}

std::vector<double> sparse_opt::tool::readThrough(const ReadBuffer &buffer,
                                                  uint64_t bytes,
                                                  unsigned threads) {
  uint64_t piece = std::min(128 * MiB, buffer.getBytes());
  return measureTurns(buffer,
                      {piece, /*passes=*/1, unsigned(divideCeil(bytes, piece)),
                       /*follow=*/true},
                      threads);
}

ReadBandwidth ReadBandwidth::measure(const ReadBuffer &buffer,
                                     unsigned threads) {
  std::vector<Point> points;
  if (hostArithmetic().empty()) // no AVX2: no variant of ours runs either
    return ReadBandwidth(points);
  for (uint64_t bytes : {32 * KiB, 256 * KiB, MiB, 4 * MiB, 16 * MiB, 64 * MiB,
                         256 * MiB, 2 * GiB})
    if (bytes <= buffer.getBytes() && bytes / threads >= stepBytes)
      points.push_back({bytes, measureSize(buffer, bytes, threads)});
  return ReadBandwidth(points);
}

double ReadBandwidth::at(double bytes) const {
  if (points.empty())
    return 0;
  auto above = find_if(
      points, [&](const Point &point) { return double(point.bytes) >= bytes; });
  if (above == points.end())
    return points.back().rate;
  if (above == points.begin())
    return points.front().rate;
  const Point &below = *std::prev(above);
  double part = std::log(bytes / double(below.bytes)) /
                std::log(double(above->bytes) / double(below.bytes));
  return below.rate + part * (above->rate - below.rate);
}

json::Array ReadBandwidth::toJson() const {
  json::Array array;
  for (const Point &point : points)
    array.push_back(json::Object{{"bytes", int64_t(point.bytes)},
                                 {"gbs", point.rate * 1e-9}});
  return array;
}
