// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What tests of generated kernels share: every target as a parameter, those
// that this machine can't run reported as skipped.
#ifndef SPARSE_OPT_TEST_UNIT_KERNELSFIXTURE_H
#define SPARSE_OPT_TEST_UNIT_KERNELSFIXTURE_H
#include "KernelJit.h"
#include "KernelText.h"
#include <algorithm>
#include <gtest/gtest.h>
#include <iostream>
#include <random>

namespace sparse_opt {

/// Multiples of 0.001 in [-1, 1].
inline std::vector<float> random(size_t count) {
  static std::mt19937 engine(7);
  std::vector<float> values(count);
  for (float &value : values)
    value = float(int(engine() % 2001) - 1000) / 1000;
  return values;
}

/// One target, by name.
class KernelTest : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    target = lookupTarget(GetParam());
    if (!canRun(*target))
      GTEST_SKIP() << "this machine doesn't run " << GetParam();
    if (isEmulated(*target))
      std::cout << "[ EMULATED ] tile instructions of " << GetParam() << "\n";
    RecordProperty("tiles", isEmulated(*target) ? "emulated" : "native");
  }

  const TargetInfo *target = nullptr;
};

inline auto allTargets() {
  return testing::Values("x86-64-v3", "x86-64-v4", "x86-64-v4-bf16",
                         "sapphirerapids");
}

/// A target's name as part of a test's.
inline std::string targetOf(const testing::TestParamInfo<const char *> &info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

} // namespace sparse_opt
#endif
