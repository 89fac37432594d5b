// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Scalar arithmetic of ONNX inside a region: one method an operation, which
// picks the float, signed or unsigned instruction from the operands. Integer
// division never traps and float to integer conversion saturates, so that
// compiled code is free of undefined behaviour whatever the model is fed.
#ifndef SPARSE_OPT_LIB_CONVERSION_ONNXTOLINALG_SCALARS_H
#define SPARSE_OPT_LIB_CONVERSION_ONNXTOLINALG_SCALARS_H
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"

namespace sparse_opt::lowering {

/// f32 for the float types that nothing computes in, else `type` itself.
mlir::Type computeType(mlir::Type type);
/// ui8 becomes i8 and so on: the types of memory and of registers.
mlir::Type signless(mlir::Type type);

class Scalars {
public:
  Scalars(mlir::OpBuilder &builder, mlir::Location loc, bool isUnsigned = false)
      : b(builder), loc(loc), isUnsigned(isUnsigned) {}

  using Value = mlir::Value;
  /// `value` in `type` (float or signless integer or index).
  Value constant(mlir::Type type, double value);
  Value integer(mlir::Type type, int64_t value);
  Value index(int64_t value);
  Value lowest(mlir::Type type);  // -inf, or the smallest integer
  Value highest(mlir::Type type); // +inf, or the largest integer

  Value add(Value x, Value y);
  Value sub(Value x, Value y);
  Value mul(Value x, Value y);
  Value div(Value x, Value y); // integers: towards zero, x / 0 is 0
  /// Remainder with the sign of the divisor (Python), or of the dividend (C).
  Value mod(Value x, Value y);
  Value rem(Value x, Value y);
  Value max(Value x, Value y); // NaN wins
  Value min(Value x, Value y);
  Value pow(Value x, Value y);
  Value neg(Value x);
  Value abs(Value x);
  Value sign(Value x);

  Value equal(Value x, Value y);
  Value less(Value x, Value y);
  Value lessEqual(Value x, Value y);
  Value select(Value condition, Value yes, Value no);
  Value logicalAnd(Value x, Value y);
  Value logicalOr(Value x, Value y);
  Value logicalNot(Value x);

  Value exp(Value x);
  Value log(Value x);
  Value sqrt(Value x);
  Value tanh(Value x);
  Value erf(Value x);
  Value sigmoid(Value x);
  Value softplus(Value x);
  Value relu(Value x);
  Value gelu(Value x);
  Value geluTanh(Value x);
  /// x * sigmoid(alpha * x): SiLU for 1, QuickGELU for 1.702.
  Value swish(Value x, double alpha);

  /// ONNX Cast between element types as ONNX spells them (ui8, i1, ...).
  Value cast(Value x, mlir::Type from, mlir::Type to);
  /// Signed integer or index of any width to index, and back.
  Value toIndex(Value x);
  Value fromIndex(Value x, mlir::Type type);
  /// `x` kept inside [0, size), for reads that must stay in bounds.
  Value clampIndex(Value x, Value size);

  mlir::OpBuilder &b;
  mlir::Location loc;
  bool isUnsigned;

private:
  Value floatToInteger(Value x, mlir::IntegerType type, bool toUnsigned);
  Value guardedDivision(Value x, Value y, bool remainder);
};
} // namespace sparse_opt::lowering
#endif
