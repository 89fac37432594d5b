// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel ops as text, by shape and epilogue, for tests and benchmarks.
#ifndef SPARSE_OPT_TEST_UNIT_KERNELTEXT_H
#define SPARSE_OPT_TEST_UNIT_KERNELTEXT_H
#include <string>
#include <vector>

namespace sparse_opt {

enum class Epilogue {
  None,
  Bias,
  Gelu,
  Residual,
  Exp,
  Erf,
  GeluTanh,
  Silu,
  QuickGelu
};

/// How a product's weight lies in memory: neuron-major with a row for each n or
/// k, or not.
enum class WeightRows { Panels, Outputs, Inputs };

/// A function @f(x, weight, bias, residual, out) with one product; x holds f32
/// or bf16, so does out, and weight what x holds or what is said.
std::string productText(int64_t k, int64_t n, Epilogue epilogue,
                        bool isBf16 = false, bool isOutBf16 = false,
                        const char *weight = nullptr,
                        WeightRows rows = WeightRows::Panels);

/// How an attention's operands lie in memory.
enum class Layout {
  Interleaved, ///< q, k, v, out [b, s, h, d], as a projection leaves them
  Split,       ///< q, v, out [b, h, s, d] and k [b, h, d, s]
  Odd,         ///< [s, d, h, b] for q, k and v, [b, e, h, m] for out
  Cached,      ///< [b, h, s, d] with any outer strides, out [b, s, h, d]
};

/// A function @f(q, k, v, mask, out): score s * 0.125 + mask[b, 0, 0, n],
/// probability p or, for a NaN, 0. All hold f32, or all but the mask bf16.
/// `group` heads share one of k and v.
std::string attentionText(int64_t heads, int64_t d, int64_t e, Layout layout,
                          bool isBf16 = false, int64_t group = 1);

/// The same as a model of inputs q, k, v and mask (which is not read unless
/// `isMasked`), Interleaved; symbols batch, rows and keys.
std::string attentionModelText(int64_t heads, int64_t d, int64_t e, bool isBf16,
                               int64_t group, bool isMasked);

/// K x N, row-major, in panels.
std::vector<float> pack(const std::vector<float> &weight, int64_t k, int64_t n);
std::vector<uint16_t> packBf16(const std::vector<float> &weight, int64_t k,
                               int64_t n);
/// Rows of `length` with zeros behind, up to whole cache lines of elements of
/// `bytes`.
std::vector<float> padRows(const std::vector<float> &rows, int64_t length,
                           int64_t bytes);
std::vector<int8_t> toInt8(const std::vector<float> &values);
/// Of integers.
std::vector<int8_t> packInt8(const std::vector<float> &weight, int64_t k,
                             int64_t n);

/// To nearest, ties to even, and back.
std::vector<uint16_t> toBf16(const std::vector<float> &values);
std::vector<float> fromBf16(const std::vector<uint16_t> &values);

} // namespace sparse_opt
#endif
