// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs a model on 1, 2, 3 and 4 threads: every run must give the same bits.
#ifndef SPARSE_OPT_TEST_UNIT_THREADSFIXTURE_H
#define SPARSE_OPT_TEST_UNIT_THREADSFIXTURE_H
#include "JitModel.h"
#include <cstring>
#include <gtest/gtest.h>

namespace sparse_opt {

/// `output` is what all runs give.
template <typename T>
void runOnThreads(JitModel &model, const std::vector<int64_t> &symbols,
                  const void *weights, const void *const *inputs,
                  std::vector<T> &output) {
  std::vector<T> again(output.size());
  bool isFirst = true;
  for (uint32_t threads : {1, 2, 3, 4}) {
    sparse_opt_pool *pool = nullptr;
    ASSERT_EQ(so_pool_create(threads, &pool), SPARSE_OPT_OK);
    model.prepare(pool, symbols);
    for (int run = 0; run < 3; ++run) {
      // Not numbers in f32 and bf16.
      std::memset(again.data(), 0xff, again.size() * sizeof(T));
      model.run(weights, inputs, again.data());
      if (isFirst)
        output = again;
      isFirst = false;
      ASSERT_EQ(memcmp(again.data(), output.data(), output.size() * sizeof(T)),
                0)
          << threads << " threads";
    }
    pool->destroy(pool);
  }
}

} // namespace sparse_opt
#endif
