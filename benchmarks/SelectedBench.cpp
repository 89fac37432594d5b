// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Feed-forward blocks of d = 4096 that compute selected neurons, another random
// selection each run, beside the same blocks with all neurons and plain loops
// over the same memory (ReadLoops.h). They take turns; medians are printed, and
// what the bytes that a form touches allow.
// `SelectedBench [target] [rounds] [rows] [threads]`; `threads` "cpu": one, by
// its CPU time.
#include "FfnText.h"
#include "JitModel.h"
#include "ReadLoops.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>

using namespace sparse_opt;

namespace {

constexpr int64_t model = 4096;

/// What a run is given, and what comes out.
struct Inputs {
  std::vector<float> x, uniform, y;
  std::vector<int32_t> list;
  int32_t count;
  float share;
};

Inputs draw(const FfnBlock &block, int64_t rows, double density) {
  static std::mt19937 engine(1);
  Inputs inputs;
  inputs.x.assign(rows * model, 0.01f);
  inputs.y.resize(rows * model);
  for (int64_t i = 0; i < rows * block.hidden; ++i)
    inputs.uniform.push_back((engine() >> 8) * 0x1p-24f);
  inputs.share = density;
  for (int32_t i = 0; i < block.hidden; ++i)
    if (llvm::any_of(llvm::seq<int64_t>(rows), [&](int64_t r) {
          return inputs.uniform[r * block.hidden + i] < inputs.share;
        }))
      inputs.list.push_back(i);
  inputs.count = inputs.list.size();
  inputs.list.resize(block.hidden, 0);
  return inputs;
}

/// One form of a block at one density.
struct Case {
  JitModel *jit;
  FfnBlock block;
  double density;
  std::vector<double> times = {}, bytes = {}, limits = {};

  void runOnce(Memory &memory, sparse_opt_pool *pool, int64_t rows) {
    Inputs inputs = draw(block, rows, density);
    jit->prepare(pool, {rows});
    const void *pointers[] = {inputs.x.data(), inputs.list.data(),
                              &inputs.count, inputs.uniform.data(),
                              &inputs.share};
    const uint8_t *weights = memory.take(block.bytes());
    double begin = seconds();
    jit->run(weights, pointers, inputs.y.data());
    times.push_back(seconds() - begin);
    double share = double(inputs.count) / block.hidden;
    int64_t whole = block.execution == FfnBlock::Dense       ? block.matrices()
                    : block.execution == FfnBlock::GateFirst ? 1
                                                             : 0;
    bytes.push_back(block.matrixBytes() *
                    (whole + share * (block.matrices() - whole)));
  }
};

const char *nameOf(FfnBlock::Execution execution) {
  switch (execution) {
  case FfnBlock::Dense:
    return "dense";
  case FfnBlock::Given:
    return "given";
  case FfnBlock::GateFirst:
    return "gate first";
  }
  return "";
}

void measure(bool isGated, bool isBf16, const TargetInfo &target,
             Memory &memory, int rounds, int64_t rows, uint32_t threads) {
  sparse_opt_pool *pool = nullptr;
  if (so_pool_create(threads, &pool) != SPARSE_OPT_OK)
    abort();
  std::vector<std::unique_ptr<JitModel>> jits;
  std::vector<Case> cases;
  for (auto execution :
       {FfnBlock::Dense, FfnBlock::Given, FfnBlock::GateFirst}) {
    FfnBlock block = {model, isGated ? 11008 : 16384, isGated, isBf16,
                      execution};
    jits.push_back(std::make_unique<JitModel>(block.text(), target));
    llvm::SmallVector<double> densities = {0.1, 0.15, 0.5, 1};
    if (execution == FfnBlock::Dense)
      densities = {1};
    for (double density : densities)
      cases.push_back({jits.back().get(), block, density});
  }
  Reader reader = bestReader(memory, pool, std::min(rounds, 9));
  for (int round = 0; round < rounds; ++round)
    for (Case &it : cases) {
      it.limits.push_back(readOnce(reader, memory, pool));
      it.runOnce(memory, pool, rows);
    }
  pool->destroy(pool);

  printf("%s %s, %s pages, threads %u, rows %ld\n",
         isGated ? "gated 11008" : "plain 16384", isBf16 ? "bf16" : "f32",
         memory.pages, threads, long(rows));
  for (const Case &it : cases) {
    // Of the best times as well: other users of the machine only add to them.
    double bytes = median(it.bytes), most = *llvm::max_element(it.limits),
           limit = median(it.limits), time = median(it.times),
           least = *llvm::min_element(it.times);
    printf("  %-10s %4.0f %% %8.3f ms %6.1f GB/s of %5.1f %4.0f %% (best %4.0f "
           "%%), %5.2f x dense (best %5.2f), bytes say %5.2f\n",
           nameOf(it.block.execution), 100 * it.density, time * 1e3,
           bytes / time * 1e-9, limit, 100e-9 * bytes / time / limit,
           100e-9 * bytes / least / most, median(cases[0].times) / time,
           *llvm::min_element(cases[0].times) / least,
           median(cases[0].bytes) / bytes);
  }
  fflush(stdout);
}

} // namespace

int main(int argc, char **argv) {
  const TargetInfo *target =
      argc > 1 ? lookupTarget(argv[1]) : hostTarget(/*bf16=*/true);
  if (!target || !hostRuns(*target)) {
    fprintf(stderr, "this machine has no such target; known are %s\n",
            targetNames().c_str());
    return 1;
  }
  int rounds = argc > 2 ? atoi(argv[2]) : 31;
  int64_t rows = argc > 3 ? atoi(argv[3]) : 1;
  bool byCpuTime = argc > 4 && argv[4] == llvm::StringRef("cpu");
  uint32_t wanted = byCpuTime ? 1 : argc > 4 ? atoi(argv[4]) : 0;
  if (byCpuTime)
    useCpuTime();
  printf("%s\n", target->name.str().c_str());
  Memory memory(/*hugePages=*/false);
  for (uint32_t threads : {1, 2}) {
    if (wanted && threads != wanted)
      continue;
    for (bool isGated : {true, false})
      for (bool isBf16 : {false, true})
        measure(isGated, isBf16, *target, memory, rounds, rows, threads);
  }
}
