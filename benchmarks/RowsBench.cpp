// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products of many rows whose weights are neuron-major beside those of the same
// size in panels, on one thread, by its CPU time. Weights are larger than any
// cache, or four take turns. `RowsBench [target] [bf16]`.
#include "KernelJit.h"
#include "KernelText.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <cstdio>
#include <ctime>

using namespace sparse_opt;

/// Of this thread alone, whoever else uses the machine.
static double seconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return double(time.tv_sec) + double(time.tv_nsec) * 1e-9;
}

namespace {
struct Form {
  KernelJit jit;
  WeightRows rows;
  double best = 1e9;
};
} // namespace

template <typename T>
static void compare(const TargetInfo &target, int64_t k, int64_t n,
                    WeightRows rows) {
  constexpr bool isBf16 = sizeof(T) == 2;
  Form forms[] = {{KernelJit(productText(k, n, Epilogue::Bias, isBf16), target),
                   WeightRows::Panels},
                  {KernelJit(productText(k, n, Epilogue::Bias, isBf16, false,
                                         nullptr, rows),
                             target),
                   rows}};
  constexpr int64_t copies = 4;
  std::vector<T> weights(copies * k * n);
  std::vector<float> bias(n);
  for (int64_t count : {17, 64, 256}) {
    std::vector<T> x(count * k);
    std::vector<float> other(count * n), out(count * n);
    for (Form &form : forms)
      form.best = 1e9;
    for (int64_t turn = 0; turn < 4 * copies; ++turn)
      for (Form &form : forms) {
        const T *data = weights.data() + turn % copies * k * n;
        auto call = [&](auto weight) {
          double begin = seconds();
          form.jit.call("f", memRef(x.data(), count, k), weight,
                        memRef(bias.data(), n), memRef(other.data(), count, n),
                        memRef(out.data(), count, n));
          form.best = std::min(form.best, seconds() - begin);
        };
        if (form.rows == WeightRows::Outputs)
          call(memRef(data, n, k));
        else if (form.rows == WeightRows::Inputs)
          call(memRef(data, k, n));
        else if constexpr (isBf16)
          call(memRef(data, n / 16, k / 2, 16, 2));
        else
          call(memRef(data, n / 16, k, 16));
      }
    double flops = 2.0 * count * k * n;
    printf("%5ld x %5ld by %s, %3ld rows: panels %6.1f GF, rows %6.1f GF, "
           "%.2f of the time\n",
           long(k), long(n), rows == WeightRows::Inputs ? "input " : "output",
           long(count), flops / forms[0].best * 1e-9,
           flops / forms[1].best * 1e-9, forms[1].best / forms[0].best);
    fflush(stdout);
  }
}

template <typename T> static void compareAll(const TargetInfo &target) {
  for (auto [d, h] : {std::pair(4096, 11008), std::pair(576, 1536)}) {
    compare<T>(target, d, h, WeightRows::Outputs);
    compare<T>(target, d, h, WeightRows::Inputs); // of lists of x's columns
    compare<T>(target, h, d, WeightRows::Inputs);
  }
}

int main(int argc, char **argv) {
  bool isBf16 = argc > 2 && argv[2] == llvm::StringRef("bf16");
  const TargetInfo *target =
      argc > 1 ? lookupTarget(argv[1]) : hostTarget(isBf16);
  if (!target || !hostRuns(*target)) {
    fprintf(stderr, "this machine has no such target; known are %s\n",
            targetNames().c_str());
    return 1;
  }
  printf("%s %s\n", target->name.str().c_str(), isBf16 ? "bf16" : "f32");
  isBf16 ? compareAll<uint16_t>(*target) : compareAll<float>(*target);
}
