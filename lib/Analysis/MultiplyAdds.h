// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_LIB_ANALYSIS_MULTIPLYADDS_H
#define SPARSE_OPT_LIB_ANALYSIS_MULTIPLYADDS_H
#include "sparse-opt/Analysis/SymbolicShapes.h"

namespace sparse_opt {

/// Multiply-adds of the products in `op` as a polynomial of the inputs' sizes;
/// 0 for other ops, nothing when shapes are unknown.
Dim countMultiplyAdds(mlir::Operation *op, const SymbolicShapes &shapes);
} // namespace sparse_opt
#endif
