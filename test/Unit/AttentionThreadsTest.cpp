// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention as artefacts run it gives the same bits on every number of
// threads, however its work is split: by heads and rows, by ranges of keys
// where heads are few, with packed keys and without.
#include "KernelsFixture.h"
#include "ThreadsFixture.h"
#include <cmath>
#include <limits>

using namespace sparse_opt;

namespace {

/// Sizes of one run.
struct Sizes {
  int64_t batch, rows, keys;
};

class AttentionThreads : public KernelTest {
protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped() && isEmulated(*target))
      GTEST_SKIP() << "whole models are not emulated";
  }

  /// `heads` of 32 columns over `heads / group` of k and v.
  template <typename T>
  void check(int64_t heads, int64_t group, bool isMasked,
             const std::vector<Sizes> &runs) {
    JitModel model(
        attentionModelText(heads, 32, 32, sizeof(T) == 2, group, isMasked),
        *target);
    for (const Sizes &sizes : runs) {
      SCOPED_TRACE(testing::Message()
                   << sizes.batch << " x " << sizes.rows << " rows, "
                   << sizes.keys << " keys, bytes " << sizeof(T) << ", mask "
                   << isMasked);
      run<T>(model, heads, group, sizes);
    }
  }

private:
  template <typename T>
  void run(JitModel &model, int64_t heads, int64_t group, const Sizes &sizes) {
    int64_t wide = sizes.batch * sizes.rows * heads * 32;
    int64_t shared = sizes.batch * sizes.keys * heads / group * 32;
    std::vector<T> q = values<T>(wide), k = values<T>(shared),
                   v = values<T>(shared), out(wide);
    std::vector<float> mask(sizes.batch * sizes.keys);
    for (size_t i = 0; i < mask.size(); ++i)
      mask[i] = i % 5 == 2 ? std::numeric_limits<float>::lowest() : 0.0f;
    const void *inputs[] = {q.data(), k.data(), v.data(), mask.data()};
    runOnThreads(model, {sizes.batch, sizes.rows, sizes.keys}, nullptr, inputs,
                 out);
    for (T value : out)
      ASSERT_TRUE(isFinite(value));
  }

  template <typename T> static std::vector<T> values(int64_t count) {
    if constexpr (sizeof(T) == 2)
      return toBf16(random(count));
    else
      return random(count);
  }
  static bool isFinite(float value) { return std::isfinite(value); }
  static bool isFinite(uint16_t bits) { return (bits & 0x7f80) != 0x7f80; }
};

TEST_P(AttentionThreads, Encoder) {
  std::vector<Sizes> runs = {
      {1, 1, 1}, {1, 16, 16}, {3, 37, 37}, {1, 300, 300}};
  check<float>(12, 1, /*isMasked=*/true, runs);
  check<uint16_t>(12, 1, /*isMasked=*/false, runs);
}

/// Few rows behind many, of three heads that share one of keys: so few that
/// keys are split into ranges, whose sums are merged.
TEST_P(AttentionThreads, Decoder) {
  std::vector<Sizes> runs = {{1, 1, 1},   {1, 1, 130}, {2, 1, 2100},
                             {1, 5, 700}, {1, 60, 61}, {1, 130, 1300}};
  check<float>(3, 3, /*isMasked=*/false, runs);
  check<uint16_t>(3, 3, /*isMasked=*/true, runs);
}

INSTANTIATE_TEST_SUITE_P(Targets, AttentionThreads, allTargets(), targetOf);

} // namespace
