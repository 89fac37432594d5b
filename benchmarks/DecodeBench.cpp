// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Feed-forward blocks on 1 to 4 rows as artefacts run them, on the runtime's
// threads, beside plain loops over the same memory (ReadLoops.h); block and
// loop take turns, and medians are printed.
// `DecodeBench [target] [rounds]`.
#include "FfnText.h"
#include "JitModel.h"
#include "ReadLoops.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

using namespace sparse_opt;

constexpr int64_t model = 4096;

/// A block compiled.
class Runner {
public:
  Runner(const char *name, const FfnBlock &block, const TargetInfo &target)
      : name(name), block(block), jit(block.text(), target) {}

  /// GB/s of weights in one run.
  double runOnce(Memory &memory, sparse_opt_pool *pool, int64_t rows) {
    jit.prepare(pool, {rows});
    std::vector<float> x(rows * model, 0.01f), y(rows * model);
    const void *inputs[5] = {x.data()};
    const uint8_t *weights = memory.take(block.bytes());
    double begin = seconds();
    jit.run(weights, inputs, y.data());
    return block.bytes() / (seconds() - begin) * 1e-9;
  }

  const char *const name;

private:
  const FfnBlock block;
  JitModel jit;
};

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
           it.runner->name, long(it.rows), median(it.rates), median(it.limits),
           100 * median(it.rates) / median(it.limits));
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
  auto add = [&](const char *name, int64_t hidden, bool isBf16, bool isInt8) {
    FfnBlock block = {model, hidden, hidden == 11008, isBf16, FfnBlock::Dense};
    block.isInt8 = isInt8;
    runners.push_back(std::make_unique<Runner>(name, block, *target));
  };
  add("gated 11008 f32", 11008, false, false);
  add("gated 11008 bf16", 11008, true, false);
  add("gated 11008 int8", 11008, false, true);
  add("gated 11008 bf16 x int8", 11008, true, true);
  add("plain 16384 f32", 16384, false, false);
  add("plain 16384 bf16", 16384, true, false);
  add("plain 16384 int8", 16384, false, true);
  printf("%s\n", target->name.str().c_str());
  Memory small(/*hugePages=*/false), huge(/*hugePages=*/true);
  for (uint32_t threads : {1, 2})
    for (Memory *memory : {&small, &huge})
      measure(runners, *memory, threads, rounds);
}
