// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel ops as text, by shape and epilogue, for tests and benchmarks.
#ifndef SPARSE_OPT_TEST_UNIT_KERNELTEXT_H
#define SPARSE_OPT_TEST_UNIT_KERNELTEXT_H
#include <string>
#include <vector>

namespace sparse_opt {

enum class Epilogue { None, Bias, Gelu, Residual };

/// A function @f(x, weight, bias, residual, out) with one product.
std::string productText(int64_t k, int64_t n, Epilogue epilogue);

/// K x N, row-major, in panels.
std::vector<float> pack(const std::vector<float> &weight, int64_t k, int64_t n);

} // namespace sparse_opt
#endif
