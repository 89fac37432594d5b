// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Densities of blocks whose curves are simple enough to work out by hand.
#include "sparse-opt/Numerics/Allocation.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace sparse_opt::numerics;

namespace {
/// error(density) at 1/n, ... 1.
template <typename F> ErrorCurve curve(double neurons, F error) {
  constexpr int n = 64;
  ErrorCurve block{neurons, {}};
  for (int i = 1; i <= n; ++i)
    block.errors.push_back(error(double(i) / n));
  return block;
}

double mean(const std::vector<ErrorCurve> &blocks,
            const std::vector<double> &densities) {
  double kept = 0, all = 0;
  for (size_t i = 0; i < blocks.size(); ++i) {
    kept += blocks[i].neurons * densities[i];
    all += blocks[i].neurons;
  }
  return kept / all;
}
} // namespace

TEST(Allocation, EqualCurvesShareEqually) {
  auto error = [](double p) { return (1 - p) * (1 - p); };
  std::vector<ErrorCurve> blocks(3, curve(100, error));
  for (double density : {0.1, 0.5, 0.9, 1.0})
    for (double found : equalErrors(blocks, density))
      EXPECT_NEAR(found, density, 1e-9);
}

TEST(Allocation, ErrorsAreEqual) {
  // 1 - p and 3 (1 - p), the second of twice the neurons: at the error e they
  // keep 1 - e and 1 - e/3, in the mean 1 - 5/9 e.
  std::vector<ErrorCurve> blocks = {
      curve(100, [](double p) { return 1 - p; }),
      curve(200, [](double p) { return 3 * (1 - p); })};
  std::vector<double> found = equalErrors(blocks, 0.8);
  EXPECT_NEAR(found[0], 1 - 0.36, 1e-9);
  EXPECT_NEAR(found[1], 1 - 0.12, 1e-9);
  EXPECT_NEAR(mean(blocks, found), 0.8, 1e-9);
  // One that loses nothing keeps the least there is.
  blocks.push_back(curve(300, [](double) { return 0; }));
  found = equalErrors(blocks, 0.4);
  EXPECT_DOUBLE_EQ(found[2], 1.0 / 64);
  EXPECT_NEAR(1 - found[0], 3 * (1 - found[1]), 1e-9);
  EXPECT_NEAR(mean(blocks, found), 0.4, 1e-9);
}

TEST(Allocation, SmallDensitiesStayUniform) {
  std::vector<ErrorCurve> blocks = {
      curve(100, [](double p) { return 1 - p; }),
      curve(100, [](double p) { return 3 * (1 - p); })};
  for (const auto &found :
       {equalErrors(blocks, 0.01), leastErrors(blocks, 0.01)})
    for (double density : found)
      EXPECT_NEAR(density, 0.01, 1e-9);
}

TEST(Allocation, TheSumIsLeast) {
  // Slopes of (1 - p)^2 and 3 (1 - p)^2 are equal where 1 - p is three times as
  // large in the first.
  std::vector<ErrorCurve> blocks = {
      curve(100, [](double p) { return (1 - p) * (1 - p); }),
      curve(100, [](double p) { return 3 * (1 - p) * (1 - p); })};
  std::vector<double> found = leastErrors(blocks, 0.6);
  EXPECT_NEAR(mean(blocks, found), 0.6, 1e-9);
  EXPECT_NEAR(1 - found[0], 3 * (1 - found[1]), 0.05);
  for (double density : leastErrors(blocks, 1.0))
    EXPECT_NEAR(density, 1, 1e-9);
}

TEST(Allocation, FlatStretchesAreCrossed) {
  // Nothing is gained up to a half, then all at once.
  std::vector<ErrorCurve> blocks = {
      curve(100, [](double p) { return p < 0.5 ? 1.0 : 0.0; }),
      curve(100, [](double p) { return 0.1 * (1 - p); })};
  std::vector<double> found = leastErrors(blocks, 0.3);
  EXPECT_NEAR(found[0], 0.5, 1e-9);
  EXPECT_NEAR(found[1], 0.1, 1e-9);
}

TEST(Allocation, NoiseIsNoReasonToKeepLess) {
  std::vector<ErrorCurve> blocks = {
      curve(100, [](double p) { return 1 - p + (p == 0.75 ? 0.2 : 0); }),
      curve(100, [](double p) { return 1 - p; })};
  std::vector<double> found = equalErrors(blocks, 0.7);
  EXPECT_GT(found[0], 0.7);
  EXPECT_NEAR(mean(blocks, found), 0.7, 1e-9);
}
