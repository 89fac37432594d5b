// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products whose weights are of another type than their left operand, or lie in
// rows as those of selected neurons, against sums in double precision.
#include "KernelsFixture.h"
#include <cmath>

using namespace sparse_opt;

namespace {

/// One product; the weight's values are what its type holds exactly.
struct MixedProduct {
  int64_t k, n;
  bool isBf16; ///< x
  std::string type;
  WeightRows rows;
  std::vector<float> weight;

  MixedProduct(int64_t k, int64_t n, bool isBf16, const char *type,
               WeightRows rows)
      : k(k), n(n), isBf16(isBf16), type(type), rows(rows),
        weight(random(k * n)) {
    for (float &value : weight)
      if (type == std::string("i8"))
        value = std::nearbyint(127 * value);
    if (type == std::string("bf16"))
      weight = fromBf16(toBf16(weight));
  }

  /// Neuron-major.
  std::vector<float> padded(int64_t bytes) const {
    if (rows == WeightRows::Inputs)
      return padRows(weight, n, bytes);
    std::vector<float> transposed(k * n);
    for (int64_t i = 0; i < k * n; ++i)
      transposed[i % n * k + i / n] = weight[i];
    return padRows(transposed, k, bytes);
  }
};

class WeightKernels : public KernelTest {
protected:
  void check(KernelJit &jit, const MixedProduct &product, int64_t rows) {
    int64_t k = product.k, n = product.n;
    std::vector<float> x = random(rows * k), bias = random(n),
                       residual = random(rows * n), out(rows * n + 64, 1234.0f);
    if (product.isBf16)
      x = fromBf16(toBf16(x));
    call(jit, product, x, rows, memRef(bias.data(), n),
         memRef(residual.data(), rows, n), memRef(out.data(), rows, n));
    double largest = product.type == "i8" ? 127 : 1;
    double bound = largest * (4e-6 * std::sqrt(double(k)) + 4e-6);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < n; ++c) {
        double sum = bias[c] + double(residual[r * n + c]);
        for (int64_t i = 0; i < k; ++i)
          sum += double(x[r * k + i]) * product.weight[i * n + c];
        ASSERT_NEAR(out[r * n + c], sum, bound)
            << "row " << r << " of " << rows << ", column " << c << " of " << n
            << ", k " << k;
      }
    for (int64_t i = rows * n; i < rows * n + 64; ++i)
      ASSERT_EQ(out[i], 1234.0f) << "written behind " << rows << " rows";
  }

  template <typename... Others>
  void call(KernelJit &jit, const MixedProduct &product,
            const std::vector<float> &x, int64_t rows, Others... others) {
    std::vector<uint16_t> narrow = toBf16(x);
    auto with = [&](auto weight) {
      if (product.isBf16)
        jit.call("f", memRef(narrow.data(), rows, product.k), weight,
                 others...);
      else
        jit.call("f", memRef(x.data(), rows, product.k), weight, others...);
    };
    int64_t k = product.k, n = product.n, panels = (n + 15) / 16;
    if (product.rows != WeightRows::Panels) {
      int64_t neurons = product.rows == WeightRows::Inputs ? k : n;
      auto withRows = [&](const auto &rows) {
        with(memRef(rows.data(), neurons, int64_t(rows.size()) / neurons));
      };
      if (product.type == "i8")
        withRows(toInt8(product.padded(1)));
      else if (product.type == "bf16")
        withRows(toBf16(product.padded(2)));
      else
        withRows(product.padded(4));
    } else if (product.type == "i8") {
      std::vector<int8_t> packed = packInt8(product.weight, k, n);
      with(memRef(packed.data(), (n + 63) / 64, k, 64));
    } else if (product.type == "bf16") {
      std::vector<uint16_t> packed = packBf16(product.weight, k, n);
      with(memRef(packed.data(), panels, (k + 1) / 2, 16, 2));
    } else {
      std::vector<float> packed = pack(product.weight, k, n);
      with(memRef(packed.data(), panels, k, 16));
    }
  }

  void checkSizes(bool isBf16, const char *type,
                  WeightRows rows = WeightRows::Panels) {
    for (auto [k, n] : {std::pair(19, 40), std::pair(64, 100),
                        std::pair(302, 113), std::pair(2, 1)}) {
      MixedProduct product(k, n, isBf16, type, rows);
      KernelJit jit(productText(k, n, Epilogue::Residual, isBf16,
                                /*isOutBf16=*/false, type, rows),
                    *target);
      for (int64_t rows :
           {0, 1, 2, 3, 4, 5, 7, 13, 14, 15, 16, 29, 40, 129, 300})
        check(jit, product, rows);
    }
  }

  void checkNeuronMajor(WeightRows rows) {
    checkSizes(/*isBf16=*/false, "f32", rows);
    checkSizes(/*isBf16=*/true, "bf16", rows);
    checkSizes(/*isBf16=*/false, "i8", rows);
    checkSizes(/*isBf16=*/true, "i8", rows);
  }
};

TEST_P(WeightKernels, Int8ByF32) { checkSizes(/*isBf16=*/false, "i8"); }
TEST_P(WeightKernels, Int8ByBf16) { checkSizes(/*isBf16=*/true, "i8"); }
TEST_P(WeightKernels, Bf16ByF32) { checkSizes(/*isBf16=*/false, "bf16"); }
TEST_P(WeightKernels, RowsOfOutputs) { checkNeuronMajor(WeightRows::Outputs); }
TEST_P(WeightKernels, RowsOfInputs) { checkNeuronMajor(WeightRows::Inputs); }
TEST_P(WeightKernels, F32ByBf16) { checkSizes(/*isBf16=*/true, "f32"); }

INSTANTIATE_TEST_SUITE_P(Targets, WeightKernels, allTargets(), targetOf);

} // namespace
