// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Generated kernels against a scalar reference in double precision, for every
// target that this machine runs.
#include "KernelJit.h"
#include "KernelText.h"
#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace sparse_opt;

namespace {

std::vector<float> random(size_t count) {
  static std::mt19937 engine(7);
  std::vector<float> values(count);
  for (float &value : values)
    value = float(int(engine() % 2001) - 1000) / 1000;
  return values;
}

struct Product {
  int64_t k, n;
  Epilogue epilogue;
  std::vector<float> weight, bias;

  Product(int64_t k, int64_t n, Epilogue epilogue)
      : k(k), n(n), epilogue(epilogue), weight(random(k * n)), bias(random(n)) {
  }

  double reference(const float *x, int64_t column, double residual) const {
    double sum = 0;
    for (int64_t i = 0; i < k; ++i)
      sum += double(x[i]) * weight[i * n + column];
    switch (epilogue) {
    case Epilogue::None:
      return sum;
    case Epilogue::Bias:
      return sum + bias[column];
    case Epilogue::Residual:
      return sum + bias[column] + residual;
    case Epilogue::Gelu:
      sum += bias[column];
      return 0.5 * sum * (1 + std::erf(sum * std::sqrt(0.5)));
    }
    return 0;
  }
};

class Kernels : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    target = lookupTarget(GetParam());
    if (!hostRuns(*target))
      GTEST_SKIP() << "this machine doesn't run " << GetParam();
  }

  /// Runs `rows` rows; every element is compared, and what lies behind the
  /// output must be left alone.
  void check(KernelJit &jit, const Product &product,
             const std::vector<float> &packed, int64_t rows) {
    int64_t k = product.k, n = product.n;
    std::vector<float> x = random(rows * k), residual = random(rows * n),
                       out(rows * n + 64, 1234.0f);
    jit.call("f", memRef(x.data(), rows, k),
             memRef(packed.data(), (n + 15) / 16, k, 16),
             memRef(product.bias.data(), n), memRef(residual.data(), rows, n),
             memRef(out.data(), rows, n));
    double bound = 4e-6 * std::sqrt(double(k)) + 4e-6;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < n; ++c)
        ASSERT_NEAR(out[r * n + c],
                    product.reference(x.data() + r * k, c, residual[r * n + c]), bound)
            << "row " << r << " of " << rows << ", column " << c << " of " << n
            << ", k " << k;
    for (int64_t i = rows * n; i < rows * n + 64; ++i)
      ASSERT_EQ(out[i], 1234.0f) << "written behind " << rows << " rows";
  }

  const TargetInfo *target = nullptr;
};

TEST_P(Kernels, ProductOfEveryNumberOfRows) {
  Product product(19, 40, Epilogue::Residual);
  KernelJit jit(productText(19, 40, Epilogue::Residual), *target);
  std::vector<float> packed = pack(product.weight, 19, 40);
  for (int64_t rows = 0; rows <= 40; ++rows)
    check(jit, product, packed, rows);
  for (int64_t rows : {127, 128, 129, 300})
    check(jit, product, packed, rows);
}

TEST_P(Kernels, ProductWithPartialPanels) {
  for (int64_t n : {1, 8, 9, 15, 16, 17, 24, 31, 32, 33, 48, 63, 65, 100}) {
    Product product(5, n, Epilogue::Bias);
    KernelJit jit(productText(5, n, Epilogue::Bias), *target);
    for (int64_t rows : {1, 7, 17})
      check(jit, product, pack(product.weight, 5, n), rows);
  }
}

TEST_P(Kernels, ProductWithEveryEpilogue) {
  for (Epilogue epilogue :
       {Epilogue::None, Epilogue::Bias, Epilogue::Gelu, Epilogue::Residual}) {
    Product product(33, 50, epilogue);
    KernelJit jit(productText(33, 50, epilogue), *target);
    for (int64_t rows : {1, 13, 31})
      check(jit, product, pack(product.weight, 33, 50), rows);
  }
}

TEST_P(Kernels, ProductOfModelSizes) {
  for (auto [k, n, epilogue] : {std::tuple(384, 1536, Epilogue::Gelu),
                                std::tuple(1536, 384, Epilogue::Residual),
                                std::tuple(1, 384, Epilogue::Bias),
                                std::tuple(0, 16, Epilogue::Bias)}) {
    Product product(k, n, epilogue);
    KernelJit jit(productText(k, n, epilogue), *target);
    for (int64_t rows : {16, 128})
      check(jit, product, pack(product.weight, k, n), rows);
  }
}

/// One element is one chain of additions: the same whichever rows share its
/// tile.
TEST_P(Kernels, RowsDoNotChangeAResult) {
  const int64_t k = 100, n = 48, rows = 60;
  KernelJit jit(productText(k, n, Epilogue::Gelu), *target);
  std::vector<float> x = random(rows * k), weight = pack(random(k * n), k, n),
                     bias = random(n), together(rows * n), alone(n);
  auto run = [&](const float *x, int64_t rows, float *out) {
    jit.call("f", memRef(x, rows, k), memRef(weight.data(), n / 16, k, 16),
             memRef(bias.data(), n), memRef(bias.data(), rows, n),
             memRef(out, rows, n));
  };
  run(x.data(), rows, together.data());
  for (int64_t r = 0; r < rows; ++r) {
    run(x.data() + r * k, 1, alone.data());
    for (int64_t c = 0; c < n; ++c)
      ASSERT_EQ(alone[c], together[r * n + c]) << "row " << r;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Kernels,
                         testing::Values("x86-64-v3", "x86-64-v4"),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

} // namespace
