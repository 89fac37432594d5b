// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How a density that all blocks are to have together is divided among them,
// from what each block loses at each density.
#ifndef SPARSE_OPT_NUMERICS_ALLOCATION_H
#define SPARSE_OPT_NUMERICS_ALLOCATION_H
#include <vector>

namespace sparse_opt::numerics {

/// Errors of a block at the densities 1/n, 2/n, ... 1, where n is their number.
struct ErrorCurve {
  double neurons = 0;
  std::vector<double> errors;
};

/// A density for each block, in (0, 1], whose mean over all neurons is
/// `density`: all errors are the same, as curves between their points are
/// straight lines. Blocks whose error is smaller however few neurons they keep
/// get 1/n, or `density` where that is less.
std::vector<double> equalErrors(const std::vector<ErrorCurve> &blocks,
                                double density);

/// The same with the least sum of errors, found greedily: from 1/n (or
/// `density`) on, neurons go where one lowers the sum most.
std::vector<double> leastErrors(const std::vector<ErrorCurve> &blocks,
                                double density);

} // namespace sparse_opt::numerics
#endif
