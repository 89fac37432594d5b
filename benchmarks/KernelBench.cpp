// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Speed of generated matrix products and attentions on one thread, beside the
// f32 FMA peak of the same run. `KernelBench [target] [bf16] [attention]`, the
// last for attentions only; not a test.
#include "KernelJit.h"
#include "KernelText.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <malloc.h>
#include <random>

using namespace sparse_opt;

static double seconds() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

/// Of this thread alone, whoever else uses the machine; slow to ask for.
static double threadSeconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return double(time.tv_sec) + double(time.tv_nsec) * 1e-9;
}

/// GFLOP/s of independent fused multiply-adds on registers.
template <int lanes> [[gnu::noinline]] static double peakOnce() {
  typedef float Vector __attribute__((vector_size(lanes * 4)));
  Vector sums[12] = {}, factor = {};
  double begin = seconds();
  for (int i = 0; i < 200000; ++i)
    for (Vector &sum : sums) {
      if constexpr (lanes == 16)
        asm volatile("vfmadd231ps %1, %1, %0" : "+v"(sum) : "v"(factor));
      else
        asm volatile("vfmadd231ps %1, %1, %0" : "+x"(sum) : "x"(factor));
    }
  return 12 * 2 * lanes * 200000.0 / (seconds() - begin) * 1e-9;
}

static double measurePeak(const TargetInfo &target) {
  double best = 0;
  for (int i = 0; i < 10; ++i)
#ifdef __AVX512F__
    best = std::max(best,
                    target.vectorBits == 512 ? peakOnce<16>() : peakOnce<8>());
#else
    best = std::max(best, peakOnce<8>());
#endif
  return best;
}

static std::vector<float> random(size_t count) {
  static std::mt19937 engine(1);
  std::vector<float> values(count);
  for (float &value : values)
    value = float(int(engine() % 2001) - 1000) / 1000;
  return values;
}

template <typename T> static std::vector<T> operands(size_t count) {
  if constexpr (std::is_same_v<T, uint16_t>)
    return toBf16(random(count));
  else
    return random(count);
}

/// Least seconds of one product when `copies` weights take turns.
template <typename T, typename Out>
static double measure(KernelJit &jit, int64_t rows, int64_t k, int64_t n,
                      int64_t copies) {
  int64_t panels = (n + 15) / 16, packedSize = panels * 16 * k;
  std::vector<T> x = operands<T>(rows * k), once = operands<T>(packedSize), w;
  for (int64_t i = 0; i < copies; ++i)
    w.insert(w.end(), once.begin(), once.end());
  std::vector<float> b = random(n), r = random(rows * n);
  std::vector<Out> out(rows * n);
  auto weight = [&](const T *data) {
    if constexpr (std::is_same_v<T, uint16_t>)
      return memRef(data, panels, k / 2, 16, 2);
    else
      return memRef(data, panels, k, 16);
  };
  std::vector<double> times;
  double until = seconds() + 0.3;
  while (times.size() < 8 || seconds() < until) {
    double begin = seconds();
    for (int64_t i = 0; i < copies; ++i)
      jit.call("f", memRef(x.data(), rows, k),
               weight(w.data() + i * packedSize), memRef(b.data(), n),
               memRef(r.data(), rows, n), memRef(out.data(), rows, n));
    times.push_back((seconds() - begin) / copies);
  }
  return *llvm::min_element(times);
}

/// Least seconds of one attention of 12 heads of 32 over `length` tokens.
template <typename T>
static double measureAttention(KernelJit &jit, int64_t length) {
  std::vector<T> q = operands<T>(length * 384), k = operands<T>(length * 384),
                 v = operands<T>(length * 384), out(length * 384);
  std::vector<float> mask(length);
  auto operand = [&](std::vector<T> &data) {
    return memRef(data.data(), 1, length, 12, 32);
  };
  double best = 1, until = 0;
  // The first call compiles.
  while (until == 0 || seconds() < until) {
    double begin = seconds();
    jit.call("f", operand(q), operand(k), operand(v),
             memRef(mask.data(), 1, 1, 1, length), operand(out));
    best = std::min(best, seconds() - begin);
    if (until == 0)
      until = seconds() + 0.3;
  }
  return best;
}

/// A plain loop over memory.
[[gnu::noinline]] static uint64_t readAll(const void *data, size_t bytes) {
  auto *words = static_cast<const uint64_t *>(data);
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes / 8; ++i)
    sum ^= words[i];
  return sum;
}

struct DecodeTimes {
  double attention = 1, reading = 1;
};

/// Least seconds of one attention of `rows` rows and nine heads over three of
/// keys and values, whose `copies` take turns, and of a loop that reads these.
template <typename T>
static DecodeTimes measureDecode(KernelJit &jit, int64_t rows, int64_t length,
                                 int64_t copies) {
  int64_t size = 3 * length * 64;
  std::vector<T> q = operands<T>(9 * rows * 64), once = operands<T>(size), k, v,
                 out(9 * rows * 64);
  for (int64_t i = 0; i < copies; ++i) {
    k.insert(k.end(), once.begin(), once.end());
    v.insert(v.end(), once.begin(), once.end());
  }
  std::vector<float> mask(length);
  DecodeTimes best;
  double until = seconds() + 0.7;
  for (int i = 0; i < 3 || seconds() < until; ++i) {
    double begin = seconds();
    for (int64_t copy = 0; copy < copies; ++copy)
      jit.call("f", memRef(q.data(), 1, 9, rows, 64),
               memRef(k.data() + copy * size, 1, 3, length, 64),
               memRef(v.data() + copy * size, 1, 3, length, 64),
               memRef(mask.data(), 1, 1, 1, length),
               memRef(out.data(), 1, rows, 9, 64));
    double between = seconds();
    static volatile uint64_t sink;
    for (int64_t copy = 0; copy < copies; ++copy)
      sink = readAll(k.data() + copy * size, size * sizeof(T)) ^
             readAll(v.data() + copy * size, size * sizeof(T));
    best.attention = std::min(best.attention, (between - begin) / copies);
    best.reading = std::min(best.reading, (seconds() - between) / copies);
  }
  return best;
}

/// Bytes of keys and values a second, in cache and from memory.
template <typename T> static void printDecodes(const TargetInfo &target) {
  KernelJit jit(
      attentionText(9, 64, 64, Layout::Cached, std::is_same_v<T, uint16_t>, 3),
      target);
  for (int64_t rows : {1, 2, 8})
    for (int64_t length : {128, 1024, 8192}) {
      double bytes = 2.0 * 3 * 64 * sizeof(T) * length;
      DecodeTimes cached = measureDecode<T>(jit, rows, length, 1);
      DecodeTimes streamed =
          measureDecode<T>(jit, rows, length, int64_t(120e6 / bytes) + 1);
      printf("decode 9 over 3 x 64, %ld rows, n %5ld: %6.1f GB/s in cache, "
             "%6.1f of %5.1f GB/s streamed, %8.1f us\n",
             long(rows), long(length), bytes / cached.attention * 1e-9,
             bytes / streamed.attention * 1e-9, bytes / streamed.reading * 1e-9,
             streamed.attention * 1e6);
    }
}

template <typename T>
static void printAttentions(const TargetInfo &target, double peak) {
  KernelJit jit(attentionText(12, 32, 32, Layout::Interleaved,
                              std::is_same_v<T, uint16_t>),
                target);
  for (int64_t length : {1, 16, 128, 512, 4096}) {
    double flops = 4.0 * 12 * 32 * length * length;
    double time = measureAttention<T>(jit, length);
    printf("%-24s %5ld %7.1f GF %7.0f %% %9.1f us\n", "attention 12 x 32",
           long(length), flops / time * 1e-9, 100 * flops / time * 1e-9 / peak,
           time * 1e6);
  }
}

/// Least seconds of up (GELU, a type `T` result) and down projection of `rows`
/// rows, `block` at a time, by `copies` weights in turns.
template <typename T>
static double measureBlocks(KernelJit &up, KernelJit &down, int64_t rows,
                            int64_t block, int64_t k, int64_t h,
                            int64_t copies) {
  std::vector<T> x = operands<T>(rows * k), once = operands<T>(k * h), w,
                 hidden(block * h);
  for (int64_t i = 0; i < copies; ++i)
    w.insert(w.end(), once.begin(), once.end());
  std::vector<float> b = random(h), r = random(rows * h), out(rows * k);
  auto weight = [&](int64_t i, int64_t depth, int64_t columns) {
    const T *data = w.data() + i % copies * k * h;
    if constexpr (std::is_same_v<T, uint16_t>)
      return memRef(data, columns / 16, depth / 2, 16, 2);
    else
      return memRef(data, columns / 16, depth, 16);
  };
  double best = 1, until = threadSeconds() + 0.5;
  do {
    double begin = threadSeconds();
    for (int64_t i = 0; i < copies; i += 2)
      for (int64_t first = 0; first < rows; first += block) {
        int64_t count = std::min(block, rows - first);
        auto ups = memRef(hidden.data(), count, h);
        up.call("f", memRef(x.data() + first * k, count, k), weight(i, k, h),
                memRef(b.data(), h), memRef(r.data(), count, h), ups);
        down.call("f", ups, weight(i + 1, h, k), memRef(b.data(), k),
                  memRef(r.data() + first * k, count, k),
                  memRef(out.data() + first * k, count, k));
      }
    best = std::min(best, (threadSeconds() - begin) / copies * 2);
  } while (threadSeconds() < until);
  return best;
}

/// Whether hidden rows that stay in cache would pay.
template <typename T> static void printBlocks(const TargetInfo &target) {
  constexpr bool isBf16 = std::is_same_v<T, uint16_t>;
  for (int64_t k : {384, 768}) {
    KernelJit up(productText(k, 4 * k, Epilogue::Gelu, isBf16, isBf16), target);
    KernelJit down(productText(4 * k, k, Epilogue::Residual, isBf16), target);
    for (int64_t rows : {128, 256, 512, 1024}) {
      double whole = 0;
      printf("%ldx%ld up and down, %ld rows:", long(k), long(4 * k),
             long(rows));
      for (int64_t block :
           {rows, int64_t(256), int64_t(128), int64_t(56), int64_t(28)}) {
        if (block > rows || (block == rows && whole != 0))
          continue;
        double time = measureBlocks<T>(up, down, rows, block, k, 4 * k,
                                       k == 384 ? 12 : 6);
        if (whole == 0)
          printf(" %.1f us", (whole = time) * 1e6);
        else
          printf(", by %ld %.2f", long(block), time / whole);
      }
      printf("\n");
    }
  }
}

template <typename T>
static void printAll(const TargetInfo &target, bool attentionsOnly) {
  constexpr bool isBf16 = std::is_same_v<T, uint16_t>;
  double peak = measurePeak(target);
  printf("%s, f32 FMA peak %.0f GFLOP/s\n", target.name.str().c_str(), peak);
  if (attentionsOnly) {
    printAttentions<T>(target, peak);
    return printDecodes<T>(target);
  }
  printf("%-24s %5s %9s %9s %7s\n", "product", "rows", "in cache", "of peak",
         "streamed");
  struct Shape {
    int64_t k, n;
    Epilogue epilogue;
    const char *name;
  };
  for (Shape shape :
       {Shape{384, 384, Epilogue::Bias, "384x384 bias"},
        Shape{384, 1536, Epilogue::Gelu, "384x1536 gelu"},
        Shape{384, 1536, Epilogue::Bias, "384x1536 bias"},
        Shape{384, 1536, Epilogue::GeluTanh, "384x1536 gelu (tanh)"},
        Shape{384, 1536, Epilogue::Silu, "384x1536 silu"},
        Shape{1536, 384, Epilogue::Residual, "1536x384 residual"}}) {
    // What only the next product reads is bf16.
    bool isOutBf16 = isBf16 && shape.epilogue != Epilogue::Residual;
    KernelJit jit(
        productText(shape.k, shape.n, shape.epilogue, isBf16, isOutBf16),
        target);
    auto measured = [&](int64_t rows, int64_t copies) {
      return isOutBf16
                 ? measure<T, uint16_t>(jit, rows, shape.k, shape.n, copies)
                 : measure<T, float>(jit, rows, shape.k, shape.n, copies);
    };
    for (int64_t rows : {1, 4, 7, 16, 24, 100, 128, 1024}) {
      double flops = 2.0 * rows * shape.k * shape.n;
      double weightBytes = 1.0 * sizeof(T) * shape.k * shape.n;
      double cached = measured(rows, 1);
      double streamed = measured(rows, int64_t(60e6 / weightBytes) + 1);
      printf("%-24s %5ld %7.1f GF %7.0f %% %7.1f GF %5.0f %% %6.1f GB/s\n",
             shape.name, long(rows), flops / cached * 1e-9,
             100 * flops / cached * 1e-9 / peak, flops / streamed * 1e-9,
             100 * flops / streamed * 1e-9 / peak,
             weightBytes / streamed * 1e-9);
    }
  }
  printAttentions<T>(target, peak);
  printBlocks<T>(target);
}

int main(int argc, char **argv) {
  // Artefacts have their scratch in one arena; fresh pages would cost more
  // than a small attention.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  bool isBf16 = argc > 2 && argv[2] == llvm::StringRef("bf16");
  const TargetInfo *target =
      argc > 1 ? lookupTarget(argv[1]) : hostTarget(isBf16);
  if (!target || !hostRuns(*target)) {
    fprintf(stderr, "this machine has no such target; known are %s\n",
            targetNames().c_str());
    return 1;
  }
  bool attentionsOnly =
      argc > 1 && argv[argc - 1] == llvm::StringRef("attention");
  isBf16 ? printAll<uint16_t>(*target, attentionsOnly)
         : printAll<float>(*target, attentionsOnly);
}
