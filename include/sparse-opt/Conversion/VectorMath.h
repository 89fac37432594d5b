// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Transcendental functions on f32 vectors, as arithmetic that every target
// has. Cheaper than upstream's expansions where a transformer spends its time.
#ifndef SPARSE_OPT_CONVERSION_VECTORMATH_H
#define SPARSE_OPT_CONVERSION_VECTORMATH_H
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace sparse_opt {

/// exp(x), error at most 1 ulp (relative error below 2e-7); 0 below -86.5,
/// infinity from 88.38 on, NaN stays NaN. Cody and Waite's reduction, Cephes'
/// polynomial.
mlir::Value emitExp(mlir::ImplicitLocOpBuilder &b, mlir::Value x);

/// 2^x for x <= 64: error at most 2 ulp (relative error below 2e-7), or 1240
/// ulp (8e-5) where `isShort`; 0 below -126.5, NaN stays NaN. Two thirds of
/// emitExp's instructions.
mlir::Value emitExp2(mlir::ImplicitLocOpBuilder &b, mlir::Value x,
                     bool isShort);

/// erf(x), error at most 12 ulp and below 6e-7, exactly 1 from 3.6 on, NaN
/// stays NaN. x times a polynomial in x * x on the clamped argument.
mlir::Value emitErf(mlir::ImplicitLocOpBuilder &b, mlir::Value x);

} // namespace sparse_opt
#endif
