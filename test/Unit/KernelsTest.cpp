// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Generated products against a scalar reference in double precision, for every
// target that this machine runs; tile instructions that it lacks are emulated.
#include "KernelsFixture.h"
#include <cmath>
#include <functional>
#include <sys/mman.h>

using namespace sparse_opt;

namespace {

struct Product {
  int64_t k, n;
  Epilogue epilogue;
  bool isBf16;
  std::vector<float> weight, bias;

  Product(int64_t k, int64_t n, Epilogue epilogue, bool isBf16 = false)
      : k(k), n(n), epilogue(epilogue), isBf16(isBf16), weight(operands(k * n)),
        bias(random(n)) {}

  /// Values that the product's type holds exactly.
  std::vector<float> operands(size_t count) const {
    return isBf16 ? fromBf16(toBf16(random(count))) : random(count);
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
    case Epilogue::Exp:
      return std::exp(sum);
    case Epilogue::Erf:
      return std::erf(sum);
    default:
      return NAN;
    }
  }
};

class Kernels : public KernelTest {
protected:
  /// Runs `rows` rows; every element is compared, and what lies behind the
  /// output must be left alone.
  void check(KernelJit &jit, const Product &product,
             const std::vector<float> &packed, int64_t rows) {
    checkWith(product, rows, [&](const auto &x, auto... others) {
      jit.call("f", memRef(x.data(), rows, product.k),
               memRef(packed.data(), (product.n + 15) / 16, product.k, 16),
               others...);
    });
  }
  void check(KernelJit &jit, const Product &product,
             const std::vector<uint16_t> &packed, int64_t rows) {
    checkWith(product, rows, [&](const auto &x, auto... others) {
      std::vector<uint16_t> narrow = toBf16(x);
      jit.call("f", memRef(narrow.data(), rows, product.k),
               memRef(packed.data(), (product.n + 15) / 16, (product.k + 1) / 2,
                      16, 2),
               others...);
    });
  }

  template <typename Call>
  void checkWith(const Product &product, int64_t rows, Call call) {
    int64_t k = product.k, n = product.n;
    std::vector<float> x = product.operands(rows * k),
                       residual = random(rows * n), out(rows * n + 64, 1234.0f);
    call(x, memRef(product.bias.data(), n), memRef(residual.data(), rows, n),
         memRef(out.data(), rows, n));
    double bound = 4e-6 * std::sqrt(double(k)) + 4e-6;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < n; ++c)
        ASSERT_NEAR(out[r * n + c],
                    product.reference(x.data() + r * k, c, residual[r * n + c]),
                    bound)
            << "row " << r << " of " << rows << ", column " << c << " of " << n
            << ", k " << k;
    for (int64_t i = rows * n; i < rows * n + 64; ++i)
      ASSERT_EQ(out[i], 1234.0f) << "written behind " << rows << " rows";
  }
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

TEST_P(Kernels, Bf16ProductOfEveryNumberOfRows) {
  for (auto [k, n] :
       {std::pair(19, 40), std::pair(64, 100), std::pair(300, 112)}) {
    Product product(k, n, Epilogue::Residual, /*isBf16=*/true);
    KernelJit jit(productText(k, n, Epilogue::Residual, /*isBf16=*/true),
                  *target);
    std::vector<uint16_t> packed = packBf16(product.weight, k, n);
    for (int64_t rows = 0; rows <= 40; ++rows)
      check(jit, product, packed, rows);
    for (int64_t rows : {127, 128, 129, 300})
      check(jit, product, packed, rows);
  }
}

TEST_P(Kernels, Bf16ProductOfEveryDepthAndWidth) {
  for (int64_t k : {0, 1, 2, 33, 1000})
    for (int64_t n : {1, 17, 48}) {
      Product product(k, n, Epilogue::Gelu, /*isBf16=*/true);
      KernelJit jit(productText(k, n, Epilogue::Gelu, /*isBf16=*/true),
                    *target);
      for (int64_t rows : {1, 15, 33})
        check(jit, product, packBf16(product.weight, k, n), rows);
    }
}

/// A copy of some elements, behind which no memory can be read.
template <typename T> class Guarded {
public:
  explicit Guarded(const std::vector<T> &values) {
    const size_t page = 4096, bytes = values.size() * sizeof(T);
    size = (bytes + page - 1) / page * page + page;
    base = static_cast<char *>(mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base + size - page, page, PROT_NONE);
    begin = reinterpret_cast<T *>(base + size - page - bytes);
    std::copy(values.begin(), values.end(), begin);
  }
  ~Guarded() { munmap(base, size); }
  const T *data() const { return begin; }

private:
  char *base;
  size_t size;
  T *begin;
};

TEST_P(Kernels, Bf16ProductReadsNothingBehindItsOperands) {
  for (auto [k, n] : {std::pair(45, 20), std::pair(64, 80)}) {
    KernelJit jit(productText(k, n, Epilogue::Bias, /*isBf16=*/true), *target);
    int64_t panels = (n + 15) / 16, pairs = (k + 1) / 2;
    Guarded<uint16_t> weight(packBf16(random(k * n), k, n));
    Guarded<float> bias(random(n));
    for (int64_t rows : {1, 2, 15, 16, 17, 31, 32, 47, 130}) {
      Guarded<uint16_t> x(toBf16(random(rows * k)));
      Guarded<float> residual(random(rows * n)), out(random(rows * n));
      jit.call("f", memRef(x.data(), rows, k),
               memRef(weight.data(), panels, pairs, 16, 2),
               memRef(bias.data(), n), memRef(residual.data(), rows, n),
               memRef(out.data(), rows, n));
    }
  }
}

/// Prefetches of a lone row block move to the next group's panels on the way.
TEST_P(Kernels, ProductAroundThePrefetchDistance) {
  for (int64_t lines :
       {target->prefetchLines - 1, target->prefetchLines,
        target->prefetchLines + 1, 2 * target->prefetchLines + 1}) {
    Product product(lines, 70, Epilogue::Bias);
    KernelJit jit(productText(lines, 70, Epilogue::Bias), *target);
    Product narrow(2 * lines - 1, 70, Epilogue::Bias, /*isBf16=*/true);
    KernelJit narrowJit(
        productText(narrow.k, 70, Epilogue::Bias, /*isBf16=*/true), *target);
    for (int64_t rows : {1, 2, 3, 5}) {
      check(jit, product, pack(product.weight, lines, 70), rows);
      check(narrowJit, narrow, packBf16(narrow.weight, narrow.k, 70), rows);
    }
  }
}

/// The residual may be the output: no row's epilogue runs twice, nor before its
/// sums are complete.
TEST_P(Kernels, Bf16ProductInPlace) {
  for (auto [k, n] :
       {std::pair(40, 36), std::pair(320, 100), std::pair(288, 1030)}) {
    Product product(k, n, Epilogue::Residual, /*isBf16=*/true);
    KernelJit jit(productText(k, n, Epilogue::Residual, /*isBf16=*/true),
                  *target);
    std::vector<uint16_t> packed = packBf16(product.weight, k, n);
    for (int64_t rows : {1, 16, 17, 31, 32, 33, 47, 63, 64, 130}) {
      std::vector<float> x = product.operands(rows * k),
                         residual = random(rows * n), out = residual;
      std::vector<uint16_t> narrow = toBf16(x);
      jit.call("f", memRef(narrow.data(), rows, k),
               memRef(packed.data(), (n + 15) / 16, k / 2, 16, 2),
               memRef(product.bias.data(), n), memRef(out.data(), rows, n),
               memRef(out.data(), rows, n));
      for (int64_t i = 0; i < rows * n; ++i)
        ASSERT_NEAR(out[i],
                    product.reference(x.data() + i / n * k, i % n, residual[i]),
                    1e-4)
            << "row " << i / n << " of " << rows << ", column " << i % n;
    }
  }
}

/// One element is one chain of additions: the same whichever rows share its
/// tile.
TEST_P(Kernels, RowsDoNotChangeAResult) {
  const int64_t k = 100, n = 48, rows = 60;
  auto compare = [&](bool isBf16, const auto &x, const auto &weight,
                     auto view) {
    KernelJit jit(productText(k, n, Epilogue::Gelu, isBf16), *target);
    std::vector<float> bias = random(n), together(rows * n), alone(rows * n);
    auto run = [&](int64_t first, int64_t rows, float *out) {
      jit.call("f", memRef(x.data() + first * k, rows, k), view(weight),
               memRef(bias.data(), n), memRef(bias.data(), rows, n),
               memRef(out, rows, n));
    };
    run(0, rows, together.data());
    for (int64_t count : {1, 5, 20}) {
      for (int64_t first = 0; first < rows; first += count)
        run(first, count, alone.data() + first * n);
      for (int64_t i = 0; i < rows * n; ++i)
        ASSERT_EQ(alone[i], together[i]) << "row " << i / n;
    }
  };
  std::vector<float> x = random(rows * k), weight = random(k * n);
  compare(false, x, pack(weight, k, n), [&](const std::vector<float> &packed) {
    return memRef(packed.data(), n / 16, k, 16);
  });
  compare(true, toBf16(x), packBf16(weight, k, n),
          [&](const std::vector<uint16_t> &packed) {
            return memRef(packed.data(), n / 16, k / 2, 16, 2);
          });
}

/// The epilogue's function on each of `x`, through a product by one.
template <typename Out = float>
std::vector<Out> evaluate(const TargetInfo &target, Epilogue epilogue,
                          const std::vector<float> &x) {
  KernelJit jit(productText(1, 1, epilogue, /*isBf16=*/false,
                            std::is_same_v<Out, uint16_t>),
                target);
  std::vector<float> one = pack({1.0f}, 1, 1), unused(x.size());
  std::vector<Out> y(x.size());
  int64_t rows = x.size();
  jit.call("f", memRef(x.data(), rows, 1), memRef(one.data(), 1, 1, 16),
           memRef(unused.data(), 1), memRef(unused.data(), rows, 1),
           memRef(y.data(), rows, 1));
  return y;
}

TEST_P(Kernels, ExpIsWithinItsBound) {
  std::vector<float> x;
  for (float value = -86.4f; value < 88.3f; value += 0.0037f)
    x.push_back(value);
  std::vector<float> y = evaluate(*target, Epilogue::Exp, x);
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_NEAR(y[i] / std::exp(double(x[i])), 1.0, 2e-7) << "at " << x[i];
  const float infinity = INFINITY;
  std::vector<float> edges =
      evaluate(*target, Epilogue::Exp, {-infinity, -87, 0, 90, infinity, NAN});
  EXPECT_EQ(edges[0], 0.0f);
  EXPECT_EQ(edges[1], 0.0f);
  EXPECT_EQ(edges[2], 1.0f);
  EXPECT_EQ(edges[3], infinity);
  EXPECT_EQ(edges[4], infinity);
  EXPECT_TRUE(std::isnan(edges[5]));
}

TEST_P(Kernels, ErfIsWithinItsBound) {
  std::vector<float> x;
  for (float value = -6.0f; value < 6.0f; value += 0.00031f)
    x.push_back(value);
  std::vector<float> y = evaluate(*target, Epilogue::Erf, x);
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_NEAR(y[i], std::erf(double(x[i])), 6e-7) << "at " << x[i];
  std::vector<float> edges =
      evaluate(*target, Epilogue::Erf, {-INFINITY, -3.7f, 0, 3.7f, NAN});
  EXPECT_EQ(edges[0], -1.0f);
  EXPECT_EQ(edges[1], -1.0f);
  EXPECT_EQ(edges[2], 0.0f);
  EXPECT_EQ(edges[3], 1.0f);
  EXPECT_TRUE(std::isnan(edges[4]));
}

/// Rounded to bf16, an activation is as near to the exact value as its
/// rounding and the bounds of --kernel-shorten-activations say.
TEST_P(Kernels, Bf16ActivationsAreWithinTheirBounds) {
  auto tanhForm = [](double x) {
    return x / 2 *
           (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  };
  struct Case {
    Epilogue epilogue;
    std::function<double(double)> exact;
    double tail; ///< error below -1.5
  };
  const Case cases[] = {
      {Epilogue::Gelu,
       [](double x) { return x / 2 * std::erfc(-x * std::sqrt(0.5)); }, 4e-5},
      {Epilogue::GeluTanh, tanhForm, 4e-5},
      {Epilogue::Silu, [](double x) { return x / (1 + std::exp(-x)); }, 0},
      {Epilogue::QuickGelu,
       [](double x) { return x / (1 + std::exp(-1.702 * x)); }, 0}};
  std::vector<float> x;
  for (float value = -40.0f; value < 40.0f; value += 0.00041f)
    x.push_back(value);
  for (float value = 1e-30f; value < 1e30f; value *= 1.37f)
    x.insert(x.end(), {value, -value});
  for (const Case &test : cases) {
    std::vector<float> y =
        fromBf16(evaluate<uint16_t>(*target, test.epilogue, x));
    for (size_t i = 0; i < x.size(); ++i) {
      double exact = test.exact(x[i]), size = std::fabs(exact);
      double halfUlp = std::ldexp(1.0, std::ilogb(size) - 8);
      double bound = size / 4096 + (x[i] < -1.5f ? test.tail : 0) + 1e-30;
      ASSERT_NEAR(y[i], exact, halfUlp + bound)
          << "at " << x[i] << ", epilogue " << int(test.epilogue);
    }
    std::vector<float> edges = fromBf16(
        evaluate<uint16_t>(*target, test.epilogue, {NAN, INFINITY, 0, 1e30f}));
    EXPECT_TRUE(std::isnan(edges[0]));
    EXPECT_EQ(edges[1], INFINITY);
    EXPECT_EQ(edges[2], 0);
    EXPECT_NEAR(edges[3], 1e30f, 4e27);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Kernels, allTargets(), targetOf);

} // namespace
