// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Feed-forward blocks on 1 to 4 rows as artefacts run them, on the runtime's
// threads, beside plain loops that read the same memory on the same threads.
// All walk through one range, so that over 2 GB pass between two uses of a
// byte; block and loop take turns, and medians are printed.
// `DecodeBench [target] [rounds]`.
#include "Internal.h"
#include "KernelJit.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <immintrin.h>
#include <sys/mman.h>

using namespace sparse_opt;

constexpr int64_t model = 4096;
constexpr uint64_t footprint = 2700ull << 20, readBytes = 512ull << 20;

static double seconds() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

static double median(std::vector<double> values) {
  llvm::sort(values);
  return values[values.size() / 2];
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

/// A read loop: several streams through one range, each prefetched `ahead`
/// bytes (0: by hardware alone).
struct Reader {
  int streams, ahead;
  std::vector<double> rates;
};

struct ReadJob {
  const uint8_t *data;
  const Reader *reader;
};

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

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

/// Element types of a block, and bytes of a weight.
struct Types {
  const char *operands, *weights;
  int64_t bytes;
};

/// One product of a block's text. `extra` is a matrix beside the sum.
static std::string productLine(const char *x, int64_t k, int64_t n,
                               int64_t offset, const char *extra,
                               const char *out, const Types &types, bool isLast,
                               const char *epilogue) {
  const int64_t width = types.bytes == 1 ? 64 : 16;
  int64_t panels = llvm::divideCeil(n, width);
  const char *type = types.operands;
  const bool isBf16 = types.operands == std::string("bf16");
  std::string weight =
      types.weights == std::string("bf16")
          ? llvm::formatv("memref<{0}x{1}x16x2xbf16>", panels, k / 2).str()
          : llvm::formatv("memref<{0}x{1}x{2}x{3}>", panels, k, width,
                          types.weights)
                .str();
  std::string hidden = llvm::formatv("memref<?x{0}xf32>", n);
  std::string result = llvm::formatv("memref<?x{0}x{1}>", n,
                                     isLast || !*epilogue ? "f32" : type);
  bool rounds = isBf16 && !isLast && *epilogue;
  return llvm::formatv(
      R"(
    %o{0} = arith.constant {0} : index
    %w{0} = memref.view %base[%o{0}][] : memref<?xi8> to {1}
    kernel.product {2}, %w{0} {3} outs({4} : {5}) {{
    ^bb0(%a: f32{6}):
      {7}
      {8}
    } : memref<?x{9}x{10}>, {1})",
      offset, weight, x,
      *extra ? llvm::formatv("epilogue({0} : {1})", extra, hidden).str() : "",
      out, result, *extra ? ", %u: f32" : "",
      *epilogue ? epilogue : "%r = arith.negf %a : f32",
      rounds ? "%z = arith.truncf %r : f32 to bf16\n kernel.yield %z : bf16"
             : "kernel.yield %r : f32",
      k, type);
}

static const char *siluTimesUp = R"(
      %n = arith.negf %a : f32
      %e = math.exp %n : f32
      %one = arith.constant 1.0 : f32
      %d = arith.addf %e, %one : f32
      %s = arith.divf %a, %d : f32
      %r = arith.mulf %s, %u : f32)";
static const char *gelu = R"(
      %c = arith.constant 0.707106781 : f32
      %t = arith.mulf %a, %c : f32
      %e = math.erf %t : f32
      %one = arith.constant 1.0 : f32
      %g = arith.addf %e, %one : f32
      %half = arith.constant 0.5 : f32
      %p = arith.mulf %a, %half : f32
      %r = arith.mulf %p, %g : f32)";

/// A feed-forward block; weights follow each other from %base on.
struct Block {
  const char *name;
  int64_t hidden;
  bool isGated;
  Types types;

  int64_t matrixBytes() const { return model * hidden * types.bytes; }
  int64_t bytes() const { return matrixBytes() * (isGated ? 3 : 2); }
  std::string text() const;
};

std::string Block::text() const {
  const char *type = types.operands;
  std::string body = llvm::formatv(
      "    %h = memref.alloc(%rows) : memref<?x{0}x{1}>\n", hidden, type);
  if (isGated) {
    body += llvm::formatv("    %up = memref.alloc(%rows) : memref<?x{0}xf32>\n",
                          hidden);
    body += productLine("%x", model, hidden, 0, "", "%up", types, false, "");
    body += productLine("%x", model, hidden, matrixBytes(), "%up", "%h", types,
                        false, siluTimesUp);
  } else {
    body += productLine("%x", model, hidden, 0, "", "%h", types, false, gelu);
  }
  body += productLine("%h", hidden, model, bytes() - matrixBytes(), "", "%y",
                      types, true, "");
  return llvm::formatv(R"(
module attributes {{kernel.symbols = ["rows"]} {{
  func.func private @kernel_output_dims(%r: index {{kernel.symbol = "rows"})
      -> (index, index) {{
    %d = arith.constant {0} : index
    return %r, %d : index, index
  }
  func.func @main(
      %x: memref<?x{0}x{1}> {{kernel.input = 0, kernel.input_symbols = ["rows"]},
      %base: memref<?xi8> {{kernel.weights_base},
      %rows: index {{kernel.symbol = "rows"},
      %y: memref<?x{0}xf32> {{kernel.output = 0}) {{
{2}
    return
  }
})",
                       model, type, body);
}

//===----------------------------------------------------------------------===//
// Measuring
//===----------------------------------------------------------------------===//

/// A range that is walked through again and again.
class Memory {
public:
  explicit Memory(bool hugePages);
  ~Memory() { munmap(data, footprint); }
  /// The next `bytes` of it.
  const uint8_t *take(uint64_t bytes) {
    if (at + bytes > footprint)
      at = 0;
    at += bytes;
    return data + at - bytes;
  }
  const char *pages;

private:
  uint8_t *data;
  uint64_t at = 0;
};

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

/// GB/s of one read loop.
static double readOnce(const Reader &reader, Memory &memory,
                       sparse_opt_pool *pool) {
  ReadJob job = {memory.take(readBytes), &reader};
  double begin = seconds();
  pool->parallel(pool, pool->threads, readRange, &job, readBytes / pieceBytes,
                 1);
  return readBytes / (seconds() - begin) * 1e-9;
}

/// The fastest of several loops.
static Reader bestReader(Memory &memory, sparse_opt_pool *pool, int rounds) {
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

static void launch(so_call *call, so_body body, void *context, int64_t count,
                   int64_t grain) {
  auto *pool = static_cast<sparse_opt_pool *>(call->runtime);
  pool->parallel(pool, call->threads, body, context, count, grain);
}

/// A block compiled.
class Runner {
public:
  Runner(const Block &block, const TargetInfo &target)
      : block(block), jit(block.text(), target, KernelJit::Form::Model),
        plan(reinterpret_cast<so_plan_fn>(jit.entry("plan"))),
        run(reinterpret_cast<so_run_fn>(jit.entry("run"))) {}

  /// GB/s of weights in one run.
  double runOnce(Memory &memory, sparse_opt_pool *pool, int64_t rows);

  const Block block;

private:
  KernelJit jit;
  so_plan_fn plan;
  so_run_fn run;
  std::vector<uint8_t> arena;
};

double Runner::runOnce(Memory &memory, sparse_opt_pool *pool, int64_t rows) {
  int64_t dims[2], arenaBytes;
  plan(&rows, pool->threads, dims, &arenaBytes);
  arena.resize(arenaBytes + 128);
  std::vector<float> x(rows * model, 0.01f), y(rows * model);
  const void *inputs[] = {x.data()};
  void *outputs[] = {y.data()};
  so_call call = {};
  call.weights = memory.take(block.bytes());
  call.arena = reinterpret_cast<uint8_t *>(
      llvm::alignTo(reinterpret_cast<uintptr_t>(arena.data()), 64));
  call.inputs = inputs;
  call.outputs = outputs;
  call.symbols = &rows;
  call.threads = pool->threads;
  call.parallel = launch;
  call.runtime = pool;
  double begin = seconds();
  run(&call);
  return block.bytes() / (seconds() - begin) * 1e-9;
}

static void measure(std::vector<std::unique_ptr<Runner>> &runners,
                    Memory &memory, uint32_t threads, int rounds) {
  sparse_opt_pool *pool = nullptr;
  if (so_pool_create(threads, &pool) != SPARSE_OPT_OK)
    abort();
  struct Case {
    Runner *runner;
    int64_t rows;
    std::vector<double> rates, limits;
  };
  std::vector<Case> cases;
  for (auto &runner : runners)
    for (int64_t rows : {1, 2, 4})
      cases.push_back({runner.get(), rows, {}, {}});
  Reader reader = bestReader(memory, pool, std::min(rounds, 9));
  for (int round = 0; round < rounds; ++round)
    for (Case &it : cases) {
      it.limits.push_back(readOnce(reader, memory, pool));
      it.rates.push_back(it.runner->runOnce(memory, pool, it.rows));
    }
  pool->destroy(pool);

  printf("%s pages, threads %u: loops of %d streams, prefetch %d bytes ahead\n",
         memory.pages, threads, reader.streams, reader.ahead);
  for (const Case &it : cases)
    printf("  %-24s %ld rows %6.1f GB/s of %5.1f GB/s %4.0f %%\n",
           it.runner->block.name, long(it.rows), median(it.rates),
           median(it.limits), 100 * median(it.rates) / median(it.limits));
  fflush(stdout);
}

int main(int argc, char **argv) {
  const TargetInfo *target =
      argc > 1 ? lookupTarget(argv[1]) : hostTarget(/*bf16=*/true);
  if (!target || !hostRuns(*target)) {
    fprintf(stderr, "this machine has no such target; known are %s\n",
            targetNames().c_str());
    return 1;
  }
  int rounds = argc > 2 ? atoi(argv[2]) : 31;
  std::vector<std::unique_ptr<Runner>> runners;
  constexpr Types f32 = {"f32", "f32", 4}, bf16 = {"bf16", "bf16", 2},
                  int8 = {"f32", "i8", 1}, bf16Int8 = {"bf16", "i8", 1};
  for (Block block : {Block{"gated 11008 f32", 11008, true, f32},
                      Block{"gated 11008 bf16", 11008, true, bf16},
                      Block{"gated 11008 int8", 11008, true, int8},
                      Block{"gated 11008 bf16 x int8", 11008, true, bf16Int8},
                      Block{"plain 16384 f32", 16384, false, f32},
                      Block{"plain 16384 bf16", 16384, false, bf16},
                      Block{"plain 16384 int8", 16384, false, int8}})
    runners.push_back(std::make_unique<Runner>(block, *target));
  printf("%s\n", target->name.str().c_str());
  Memory small(/*hugePages=*/false), huge(/*hugePages=*/true);
  for (uint32_t threads : {1, 2})
    for (Memory *memory : {&small, &huge})
      measure(runners, *memory, threads, rounds);
}
