// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Generated kernels for selected neurons against a scalar reference in double
// precision, for every target that this machine runs; against products with
// all neurons; and bit for bit against themselves, with zeros in their lists or
// on more threads.
#include "FfnText.h"
#include "KernelsFixture.h"
#include "ThreadsFixture.h"
#include <cmath>
#include <cstring>
#include <numeric>

using namespace sparse_opt;

namespace {

/// Groups of neurons.
using List = std::vector<int32_t>;

enum class Kind { None, First, Last, Some, Most, All };

List listOf(Kind kind, int64_t groups) {
  List list;
  for (int32_t i = 0; i < groups; ++i) {
    int draw = int(500 + 500 * random(1)[0]);
    if (kind == Kind::All || (kind == Kind::First && i == 0) ||
        (kind == Kind::Last && i == groups - 1) ||
        (kind == Kind::Some && draw < 150) ||
        (kind == Kind::Most && draw < 850))
      list.push_back(i);
  }
  return list;
}

constexpr Kind kinds[] = {Kind::None, Kind::First, Kind::Last,
                          Kind::Some, Kind::Most,  Kind::All};

int64_t neuronOf(const List &list, int64_t group, int64_t entry) {
  return list[entry / group] * group + entry % group;
}

/// The list as an op has it: longer, with what nothing may read as it is.
List padded(const List &list, int64_t groups) {
  List result = list;
  result.resize(groups, 1 << 30);
  return result;
}

/// Values as elements of a type: float, uint16_t (bf16) or int8_t.
template <typename T> std::vector<T> as(const std::vector<float> &values) {
  if constexpr (sizeof(T) == 1)
    return toInt8(values);
  else if constexpr (sizeof(T) == 2)
    return toBf16(values);
  else
    return values;
}

/// Values that a type holds exactly.
template <typename T> std::vector<float> exact(size_t count) {
  std::vector<float> values = random(count);
  if constexpr (sizeof(T) == 1)
    for (float &value : values)
      value = std::nearbyint(127 * value);
  return sizeof(T) == 2 ? fromBf16(toBf16(values)) : values;
}

template <typename T>
std::vector<T> neuronMajor(const std::vector<float> &weight, int64_t length) {
  return as<T>(padRows(weight, length, sizeof(T)));
}

template <typename T>
constexpr const char *typeName = sizeof(T) == 1   ? "i8"
                                 : sizeof(T) == 2 ? "bf16"
                                                  : "f32";
template <typename T> constexpr double largest = sizeof(T) == 1 ? 127 : 1;

constexpr float untouched = 1234.0f;

/// A matrix and what must not be written behind it.
std::vector<float> output(int64_t size) {
  return std::vector<float>(size + 64, untouched);
}

void expectUntouched(const std::vector<float> &out) {
  for (size_t i = out.size() - 64; i < out.size(); ++i)
    ASSERT_EQ(out[i], untouched) << "written behind the output";
}

class SelectedKernels : public KernelTest {
protected:
  /// Nothing here has tile instructions but the product that all neurons are
  /// compared with, which KernelsTest emulates.
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped() && isEmulated(*target))
      GTEST_SKIP() << "the same code as for x86-64-v4-bf16";
  }

  void checkSelect(int64_t h, int64_t group);
  template <typename X, typename W = X>
  void checkProduct(int64_t k, int64_t h, int64_t group,
                    const std::vector<int64_t> &rowCounts);
  template <typename T>
  void checkSum(int64_t h, int64_t n, int64_t group,
                const std::vector<int64_t> &rowCounts,
                bool bf16Values = sizeof(T) == 2);
  template <typename T> void checkAgainstProduct();
  template <typename T> void checkZeros(int64_t group);
  void checkThreads(const FfnBlock &block);
};

//===----------------------------------------------------------------------===//
// select
//===----------------------------------------------------------------------===//

void SelectedKernels::checkSelect(int64_t h, int64_t group) {
  KernelJit jit(selectText(h, group), *target);
  int64_t groups = h / group;
  for (int64_t rows : {0, 1, 2, 7, 16, 33})
    for (float above : {-1.0f, 0.0f, 0.3f, 0.9f, 5.0f}) {
      std::vector<float> scores = random(rows * h), times = random(rows * h),
                         minus = random(h), values = output(rows * h);
      List list(groups + 16, -7);
      int32_t count = -7;
      jit.call("f", memRef(scores.data(), rows, h),
               memRef(times.data(), rows, h), memRef(minus.data(), h),
               memRef(&above), memRef(list.data(), groups), memRef(&count),
               memRef(values.data(), rows, h));
      auto valueOf = [&](int64_t r, int64_t i) {
        return scores[r * h + i] - minus[i];
      };
      auto keeps = [&](int64_t r, int64_t i) {
        return std::abs(valueOf(r, i)) * times[r * h + i] > above;
      };
      List expected;
      for (int64_t g = 0; g < groups; ++g) {
        bool any = false;
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t i = g * group; i < (g + 1) * group; ++i)
            any |= keeps(r, i);
        if (any)
          expected.push_back(g);
      }
      ASSERT_EQ(count, int32_t(expected.size()))
          << rows << " rows, " << h << " neurons, above " << above;
      list.resize(groups + 16);
      for (int64_t g = groups; g < groups + 16; ++g)
        ASSERT_EQ(list[g], -7) << "written behind the list";
      list.resize(count);
      ASSERT_EQ(list, expected);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t j = 0; j < count * group; ++j) {
          int64_t i = neuronOf(list, group, j);
          ASSERT_EQ(values[r * h + j], keeps(r, i) ? valueOf(r, i) : 0.0f)
              << "row " << r << ", entry " << j;
        }
      expectUntouched(values);
    }
}

TEST_P(SelectedKernels, SelectNeurons) {
  for (int64_t h : {1, 7, 8, 15, 16, 17, 40, 1003})
    checkSelect(h, 1);
}

TEST_P(SelectedKernels, SelectGroups) {
  for (int64_t h : {16, 48, 1040})
    checkSelect(h, 16);
}

//===----------------------------------------------------------------------===//
// selected_product
//===----------------------------------------------------------------------===//

template <typename X, typename W>
void SelectedKernels::checkProduct(int64_t k, int64_t h, int64_t group,
                                   const std::vector<int64_t> &rowCounts) {
  KernelJit jit(selectedProductText(k, h, group, sizeof(X) == 2, typeName<W>),
                *target);
  std::vector<float> weight = exact<W>(h * k), bias = random(h);
  std::vector<W> packed = neuronMajor<W>(weight, k);
  for (int64_t rows : rowCounts)
    for (Kind kind : kinds) {
      List list = listOf(kind, h / group);
      std::vector<float> x = exact<X>(rows * k), times = random(rows * h),
                         out = output(rows * h);
      std::vector<X> narrow = as<X>(x);
      List given = padded(list, h / group);
      int32_t count = list.size();
      jit.call("f", memRef(narrow.data(), rows, k),
               memRef(packed.data(), h, int64_t(packed.size()) / h),
               memRef(given.data(), h / group), memRef(&count),
               memRef(bias.data(), h), memRef(times.data(), rows, h),
               memRef(out.data(), rows, h));
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t j = 0; j < count * group; ++j) {
          int64_t i = neuronOf(list, group, j);
          double sum = bias[i];
          for (int64_t c = 0; c < k; ++c)
            sum += double(x[r * k + c]) * weight[i * k + c];
          ASSERT_NEAR(out[r * h + j], sum * times[r * h + j],
                      largest<W> * (4e-6 * std::sqrt(double(k)) + 4e-6))
              << "row " << r << " of " << rows << ", neuron " << i << " of "
              << h << ", k " << k;
        }
      expectUntouched(out);
    }
}

TEST_P(SelectedKernels, ProductOfEveryNumberOfRows) {
  std::vector<int64_t> rows(18);
  std::iota(rows.begin(), rows.end(), 0);
  checkProduct<float>(19, 40, 1, rows);
  checkProduct<uint16_t>(77, 40, 1, rows);
}

TEST_P(SelectedKernels, ProductOfEveryDepth) {
  for (int64_t k : {0, 1, 15, 16, 33})
    checkProduct<float>(k, 21, 1, {1, 3});
  for (int64_t k : {2, 31, 32, 63, 200})
    checkProduct<uint16_t>(k, 21, 1, {1, 3});
  checkProduct<float>(16, 1, 1, {1});
}

TEST_P(SelectedKernels, ProductOfInt8) {
  checkProduct<float, int8_t>(130, 21, 1, {1, 2, 5});
  checkProduct<uint16_t, int8_t>(300, 48, 16, {1, 2, 5});
}

TEST_P(SelectedKernels, ProductOfF32ByBf16) {
  checkProduct<float, uint16_t>(100, 21, 1, {1, 2});
}

TEST_P(SelectedKernels, ProductOfGroups) {
  checkProduct<float>(130, 80, 16, {1, 2, 5});
  checkProduct<uint16_t>(130, 80, 16, {1, 2, 5});
}

TEST_P(SelectedKernels, ProductLongerThanThePrefetchDistance) {
  checkProduct<float>(1300, 30, 1, {1, 4});
  checkProduct<uint16_t>(2501, 30, 1, {1, 4});
}

/// All neurons: what a product of all columns has, but for the order of sums.
template <typename T> void SelectedKernels::checkAgainstProduct() {
  const int64_t k = 200, h = 96, rows = 3;
  constexpr bool isBf16 = sizeof(T) == 2;
  KernelJit some(selectedProductText(k, h, 1, isBf16), *target),
      all(productText(k, h, Epilogue::Bias, isBf16), *target);
  std::vector<float> weight = exact<T>(k * h), rowsOfIt(h * k);
  for (int64_t i = 0; i < k * h; ++i)
    rowsOfIt[i % h * k + i / h] = weight[i];
  std::vector<T> x = as<T>(exact<T>(rows * k)),
                 packed = neuronMajor<T>(rowsOfIt, k);
  std::vector<float> bias = random(h), ones(rows * h, 1.0f), a(rows * h),
                     b(rows * h);
  List list = listOf(Kind::All, h);
  int32_t count = h;
  some.call("f", memRef(x.data(), rows, k),
            memRef(packed.data(), h, int64_t(packed.size()) / h),
            memRef(list.data(), h), memRef(&count), memRef(bias.data(), h),
            memRef(ones.data(), rows, h), memRef(a.data(), rows, h));
  auto others = [&](const auto &panels) {
    all.call("f", memRef(x.data(), rows, k), panels, memRef(bias.data(), h),
             memRef(ones.data(), rows, h), memRef(b.data(), rows, h));
  };
  if constexpr (isBf16) {
    std::vector<uint16_t> panels = packBf16(weight, k, h);
    others(memRef(panels.data(), h / 16, k / 2, 16, 2));
  } else {
    std::vector<float> panels = pack(weight, k, h);
    others(memRef(panels.data(), h / 16, k, 16));
  }
  float most = 0;
  for (float value : b)
    most = std::max(most, std::abs(value));
  for (int64_t i = 0; i < rows * h; ++i)
    ASSERT_NEAR(a[i], b[i], 1e-5 * most);
}

TEST_P(SelectedKernels, AllNeuronsAgreeWithTheProduct) {
  checkAgainstProduct<float>();
  checkAgainstProduct<uint16_t>();
}

//===----------------------------------------------------------------------===//
// selected_sum
//===----------------------------------------------------------------------===//

template <typename T>
void SelectedKernels::checkSum(int64_t h, int64_t n, int64_t group,
                               const std::vector<int64_t> &rowCounts,
                               bool bf16Values) {
  KernelJit jit(selectedSumText(h, n, group, typeName<T>, bf16Values), *target);
  std::vector<float> weight = exact<T>(h * n), bias = random(n);
  std::vector<T> packed = neuronMajor<T>(weight, n);
  for (int64_t rows : rowCounts)
    for (Kind kind : kinds) {
      List list = listOf(kind, h / group);
      std::vector<float> values = bf16Values ? exact<uint16_t>(rows * h)
                                             : random(rows * h),
                         residual = random(rows * n), out = output(rows * n);
      List given = padded(list, h / group);
      int32_t count = list.size();
      jit.call("f", memRef(values.data(), rows, h),
               memRef(packed.data(), h, int64_t(packed.size()) / h),
               memRef(given.data(), h / group), memRef(&count),
               memRef(bias.data(), n), memRef(residual.data(), rows, n),
               memRef(out.data(), rows, n));
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < n; ++c) {
          double sum = bias[c] + residual[r * n + c];
          for (int64_t j = 0; j < count * group; ++j)
            sum += double(values[r * h + j]) *
                   weight[neuronOf(list, group, j) * n + c];
          ASSERT_NEAR(out[r * n + c], sum,
                      largest<T> * (4e-6 * std::sqrt(double(h)) + 4e-6))
              << "row " << r << " of " << rows << ", column " << c << " of "
              << n << ", " << count << " of " << h / group;
        }
      expectUntouched(out);
    }
}

TEST_P(SelectedKernels, SumOfEveryNumberOfRows) {
  std::vector<int64_t> rows(18);
  std::iota(rows.begin(), rows.end(), 0);
  rows.push_back(33);
  checkSum<float>(45, 40, 1, rows);
  checkSum<uint16_t>(45, 40, 1, rows);
}

TEST_P(SelectedKernels, SumOfEveryWidth) {
  checkSum<float>(21, 17, 1, {1, 3});
  for (int64_t n : {33, 64})
    for (bool bf16Values : {true, false})
      checkSum<uint16_t>(21, n, 1, {1, 3}, bf16Values);
  checkSum<float>(1, 1, 1, {1});
}

TEST_P(SelectedKernels, SumOfInt8) { checkSum<int8_t>(45, 130, 1, {1, 2, 5}); }

TEST_P(SelectedKernels, SumOfGroups) { checkSum<float>(80, 50, 16, {1, 2, 5}); }

/// Of single neurons, and of groups.
TEST_P(SelectedKernels, SumOfSeveralParts) {
  checkSum<float>(603, 40, 1, {1, 6});
  checkSum<uint16_t>(400, 50, 16, {1, 2, 6});
}

TEST_P(SelectedKernels, SumLongerThanThePrefetchDistance) {
  // Of one type a target: distances are in lines.
  if (target->bf16 == TargetInfo::Bf16::Widen)
    checkSum<float>(30, 400, 1, {1, 6});
  else
    checkSum<uint16_t>(30, 800, 1, {1, 6});
}

/// A neuron whose values are 0 can be in the list or not.
template <typename T> void SelectedKernels::checkZeros(int64_t group) {
  const int64_t h = 160, n = 72;
  constexpr bool bf16Values = sizeof(T) == 2;
  KernelJit jit(selectedSumText(h, n, group, typeName<T>, bf16Values), *target);
  std::vector<T> weight = neuronMajor<T>(random(h * n), n);
  std::vector<float> bias = random(n);
  for (int64_t rows : {1, 2, 5, 16}) {
    List some = listOf(Kind::Some, h / group),
         all = listOf(Kind::All, h / group);
    std::vector<float> residual = random(rows * n), with(rows * h),
                       without(rows * h), a(rows * n), b(rows * n);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t j = 0; j < int64_t(some.size()) * group; ++j)
        with[r * h + neuronOf(some, group, j)] = without[r * h + j] =
            exact<T>(1)[0];
    auto run = [&](const List &list, const std::vector<float> &values,
                   std::vector<float> &out) {
      List given = padded(list, h / group);
      int32_t count = list.size();
      jit.call("f", memRef(values.data(), rows, h),
               memRef(weight.data(), h, int64_t(weight.size()) / h),
               memRef(given.data(), h / group), memRef(&count),
               memRef(bias.data(), n), memRef(residual.data(), rows, n),
               memRef(out.data(), rows, n));
    };
    run(all, with, a);
    run(some, without, b);
    ASSERT_EQ(memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0)
        << rows << " rows";
  }
}

TEST_P(SelectedKernels, ZerosChangeNoBit) {
  checkZeros<float>(1);
  checkZeros<uint16_t>(16);
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

void SelectedKernels::checkThreads(const FfnBlock &block) {
  JitModel model(block.text(), *target);
  for (int64_t rows : {1, 3, 16, 33}) {
    std::vector<float> x = random(rows * block.d),
                       uniform = random(rows * block.hidden), y(rows * block.d);
    std::vector<uint16_t> narrow = toBf16(x);
    List list = padded(listOf(Kind::Some, block.hidden), block.hidden);
    int32_t count = std::find(list.begin(), list.end(), 1 << 30) - list.begin();
    float share = -0.5f;
    int64_t size = block.matrices() * block.d * block.hidden;
    std::vector<float> weights = random(size);
    std::vector<uint16_t> narrowWeights = toBf16(weights);
    const void *inputs[] = {block.isBf16 ? (const void *)narrow.data()
                                         : x.data(),
                            list.data(), &count, uniform.data(), &share};
    SCOPED_TRACE(testing::Message() << rows << " rows");
    runOnThreads(model, {rows},
                 block.isBf16 ? (const void *)narrowWeights.data()
                              : weights.data(),
                 inputs, y);
    for (float value : y)
      ASSERT_TRUE(std::isfinite(value));
  }
}

TEST_P(SelectedKernels, ThreadsDoNotChangeABlock) {
  checkThreads(
      {288, 512, /*isGated=*/true, /*isBf16=*/false, FfnBlock::GateFirst});
  // How work is split depends on neither the target nor the type.
  bool isBf16 = target->bf16 != TargetInfo::Bf16::Widen;
  checkThreads({192, 512, /*isGated=*/isBf16, isBf16,
                isBf16 ? FfnBlock::GateFirst : FfnBlock::Given});
}

INSTANTIATE_TEST_SUITE_P(Targets, SelectedKernels, allTargets(), targetOf);

} // namespace
