// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model of one output compiled in this process, run on the
// runtime's threads as artefacts are.
#ifndef SPARSE_OPT_TEST_UNIT_JITMODEL_H
#define SPARSE_OPT_TEST_UNIT_JITMODEL_H
#include "Internal.h"
#include "KernelJit.h"
#include "llvm/Support/MathExtras.h"
#include <vector>

namespace sparse_opt {

class JitModel {
public:
  JitModel(const std::string &text, const TargetInfo &target)
      : jit(text, target, KernelJit::Form::Model),
        planEntry(reinterpret_cast<so_plan_fn>(jit.entry("plan"))),
        runEntry(reinterpret_cast<so_run_fn>(jit.entry("run"))) {}

  /// Everything that a run needs but does not compute.
  void prepare(sparse_opt_pool *threads, std::vector<int64_t> sizes) {
    pool = threads;
    symbols = std::move(sizes);
    int64_t dims[8], bytes;
    planEntry(symbols.data(), pool->threads, dims, &bytes);
    arena.resize(bytes + 128);
  }

  void run(const void *weights, const void *const *inputs, void *output) {
    so_call call = {};
    call.weights = static_cast<const uint8_t *>(weights);
    call.arena = reinterpret_cast<uint8_t *>(
        llvm::alignTo(reinterpret_cast<uintptr_t>(arena.data()), 64));
    call.inputs = inputs;
    call.outputs = &output;
    call.symbols = symbols.data();
    call.threads = pool->threads;
    call.parallel = [](so_call *call, so_body body, void *context,
                       int64_t count, int64_t grain) {
      auto *pool = static_cast<sparse_opt_pool *>(call->runtime);
      pool->parallel(pool, call->threads, body, context, count, grain);
    };
    call.runtime = pool;
    runEntry(&call);
  }

private:
  KernelJit jit;
  so_plan_fn planEntry;
  so_run_fn runEntry;
  sparse_opt_pool *pool = nullptr;
  std::vector<int64_t> symbols;
  std::vector<uint8_t> arena;
};

} // namespace sparse_opt
#endif
