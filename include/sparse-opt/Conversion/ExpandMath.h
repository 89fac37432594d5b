// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_CONVERSION_EXPANDMATH_H
#define SPARSE_OPT_CONVERSION_EXPANDMATH_H
#include "mlir/IR/PatternMatch.h"

namespace sparse_opt {
/// f32 math functions, scalars and vectors alike, as polynomials: a lane
/// computes exactly what the scalar would. Functions without a pattern that is
/// good to 6 ulp over their whole range stay for libm. With denormals some are
/// not: exp gives 0 for them, log and log2 take them for the smallest normal
/// number.
void populateExpandMathPatterns(mlir::RewritePatternSet &patterns);
} // namespace sparse_opt
#endif
