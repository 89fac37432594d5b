// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What `bench` measures with: errors of pooled outputs, and peaks of exactly
// the instructions that this CPU has.
#include "tools/sparse-opt/Bandwidth.h"
#include "tools/sparse-opt/Compare.h"
#include "tools/sparse-opt/Peak.h"
#include "llvm/ADT/STLExtras.h"
#include "gtest/gtest.h"
#include <atomic>
#include <cstring>

using namespace sparse_opt;
using namespace sparse_opt::tool;

namespace {

NpyArray floats(std::vector<int64_t> shape, std::vector<float> values) {
  NpyArray array;
  array.elementType = 1; // FLOAT
  array.shape = std::move(shape);
  array.data.resize(values.size() * sizeof(float));
  std::memcpy(array.data.data(), values.data(), array.data.size());
  return array;
}

TEST(PooledCosine, AveragesStepsBeforeComparing) {
  // Each step is orthogonal to its counterpart, their means are equal.
  NpyArray a = floats({1, 2, 2}, {1, 0, 0, 1});
  NpyArray b = floats({1, 2, 2}, {0, 1, 1, 0});
  EXPECT_DOUBLE_EQ(pooledCosine(a, b, nullptr), 1);
}

TEST(PooledCosine, LeavesOutMaskedSteps) {
  NpyArray a = floats({1, 2, 2}, {1, 0, 0, 1});
  NpyArray b = floats({1, 2, 2}, {0, 1, 1, 0});
  NpyArray first = floats({1, 2}, {1, 0});
  EXPECT_DOUBLE_EQ(pooledCosine(a, b, &first), 0);
  NpyArray misfit = floats({2}, {1, 0});
  EXPECT_DOUBLE_EQ(pooledCosine(a, b, &misfit), 1);
}

TEST(PooledCosine, IsTheMeanOverRows) {
  NpyArray a = floats({2, 2}, {1, 0, 1, 0}), b = floats({2, 2}, {2, 0, 0, 3});
  EXPECT_DOUBLE_EQ(pooledCosine(a, b, nullptr), 0.5);
}

TEST(Peak, IsMeasuredWhereTheCpuHasIt) {
  for (Arithmetic one : {Arithmetic::Fma256, Arithmetic::Fma512,
                         Arithmetic::Bf16Dot512, Arithmetic::Bf16Tiles}) {
    bool has = llvm::is_contained(hostArithmetic(), one);
    EXPECT_EQ(measurePeak(one, 1) > 0, has) << nameOf(one).str();
  }
}

TEST(Peak, FollowsTargetAndType) {
  EXPECT_EQ(arithmeticOf("x86-64-v3", false), Arithmetic::Fma256);
  EXPECT_EQ(arithmeticOf("x86-64-v3", true), Arithmetic::Fma256);
  EXPECT_EQ(arithmeticOf("x86-64-v4", true), Arithmetic::Fma512);
  EXPECT_EQ(arithmeticOf("x86-64-v4-bf16", false), Arithmetic::Fma512);
  EXPECT_EQ(arithmeticOf("x86-64-v4-bf16", true), Arithmetic::Bf16Dot512);
}

TEST(Peak, SumsOverThreads) {
  std::atomic<unsigned> seen{0};
  EXPECT_EQ(sumOverThreads(3,
                           [&](unsigned thread) {
                             seen |= 1u << thread;
                             return 1.5;
                           }),
            4.5);
  EXPECT_EQ(seen, 7u);
}

TEST(ReadBandwidth, IsReadBetweenItsPoints) {
  ReadBandwidth bandwidth({{1 << 10, 8e9}, {1 << 14, 4e9}});
  EXPECT_DOUBLE_EQ(bandwidth.at(100), 8e9);
  EXPECT_DOUBLE_EQ(bandwidth.at(1 << 10), 8e9);
  EXPECT_DOUBLE_EQ(bandwidth.at(1 << 12), 6e9) << "by the logarithm of sizes";
  EXPECT_DOUBLE_EQ(bandwidth.at(1 << 20), 4e9);
  EXPECT_EQ(ReadBandwidth({}).at(1), 0);
}

TEST(ReadBandwidth, IsMeasuredBySize) {
  ReadBuffer buffer(4 << 20);
  ASSERT_EQ(buffer.getBytes(), 4u << 20);
  ReadBandwidth bandwidth = ReadBandwidth::measure(buffer, 2);
  ASSERT_FALSE(bandwidth.getPoints().empty());
  uint64_t last = 0;
  for (const ReadBandwidth::Point &point : bandwidth.getPoints()) {
    EXPECT_GT(point.bytes, last);
    EXPECT_GT(point.rate, 0);
    last = point.bytes;
  }
  EXPECT_LE(last, buffer.getBytes());
}

} // namespace
