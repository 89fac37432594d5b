// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ops on selected neurons, and feed-forward blocks of kernel ops, as text for
// tests and benchmarks.
#ifndef SPARSE_OPT_TEST_UNIT_FFNTEXT_H
#define SPARSE_OPT_TEST_UNIT_FFNTEXT_H
#include <cstdint>
#include <string>

namespace sparse_opt {

/// A function @f(scores, times, minus, above, list, count, values): keeps
/// where abs(score - minus[i]) * times[r, i] > above, with the value score -
/// minus[i].
std::string selectText(int64_t h, int64_t group);

/// A function @f(x, weight, list, count, bias, times, out): (sum + bias[i]) *
/// times[r, j]. x and weight hold f32 or bf16, or the latter what is said.
std::string selectedProductText(int64_t k, int64_t h, int64_t group,
                                bool isBf16, const char *weight = nullptr);

/// A function @f(values, weight, list, count, bias, residual, out): sum +
/// bias[n] + residual[r, n].
std::string selectedSumText(int64_t h, int64_t n, int64_t group,
                            const char *weight, bool bf16Values = false);

/// A feed-forward block without biases as a model: inputs x, list, count, u
/// and p (R x d, h, none, R x h, none), weights behind each other.
struct FfnBlock {
  enum Execution {
    Dense,     ///< weights in panels
    Given,     ///< neurons of `list`; all weights neuron-major
    GateFirst, ///< gate, or up when plain, for all in panels; kept where u < p
  };
  int64_t d, hidden;    ///< multiples of 32
  bool isGated, isBf16; ///< the latter of x, and of weights if not int8
  Execution execution;
  bool isInt8 = false; ///< weights

  const char *weightType() const {
    return isInt8 ? "i8" : isBf16 ? "bf16" : "f32";
  }
  int64_t matrices() const { return isGated ? 3 : 2; }
  int64_t matrixBytes() const {
    return d * hidden * (isInt8 ? 1 : isBf16 ? 2 : 4);
  }
  int64_t bytes() const { return matrixBytes() * matrices(); }
  std::string text() const;
};

} // namespace sparse_opt
#endif
