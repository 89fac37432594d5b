// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Quantiles of measured times. The nearest one that was measured, but of an
// even number of times the median is between the middle two.
#ifndef SPARSE_OPT_TOOLS_QUANTILE_H
#define SPARSE_OPT_TOOLS_QUANTILE_H
#include "llvm/ADT/STLExtras.h"

namespace sparse_opt::tool {

/// `values` are sorted, and some.
inline double quantileOf(llvm::ArrayRef<double> values, double q) {
  return values[size_t(q * double(values.size() - 1) + 0.5)];
}

/// Of no values it is 0.
inline double medianOf(std::vector<double> values) {
  if (values.empty())
    return 0;
  llvm::sort(values);
  size_t half = values.size() / 2;
  return values.size() % 2 ? values[half]
                           : (values[half - 1] + values[half]) / 2;
}

} // namespace sparse_opt::tool
#endif
