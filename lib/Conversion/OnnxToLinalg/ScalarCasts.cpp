// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The scalar operations of Scalars.h that the hardware leaves undefined in
// corners: integer division and conversions, each made total here.
#include "Scalars.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>

using namespace mlir;
using namespace sparse_opt::lowering;

//===----------------------------------------------------------------------===//
// Division
//===----------------------------------------------------------------------===//

Value Scalars::div(Value x, Value y) {
  if (isa<FloatType>(x.getType()))
    return arith::DivFOp::create(b, loc, x, y);
  return guardedDivision(x, y, /*remainder=*/false);
}

/// Divisors 0 and -1 (whose smallest dividend overflows) trap on x86: divide
/// by 1 instead, then put in what they should give.
Value Scalars::guardedDivision(Value x, Value y, bool remainder) {
  Type type = x.getType();
  Value zero = integer(type, 0), one = integer(type, 1);
  Value isZero = equal(y, zero);
  if (isUnsigned) {
    Value safe = select(isZero, one, y);
    Value result = remainder ? Value(arith::RemUIOp::create(b, loc, x, safe))
                             : Value(arith::DivUIOp::create(b, loc, x, safe));
    return select(isZero, zero, result);
  }
  Value isMinusOne = equal(y, integer(type, -1));
  Value safe = select(logicalOr(isZero, isMinusOne), one, y);
  if (remainder) // by 1 leaves 0, which is right for 0 and -1 too
    return arith::RemSIOp::create(b, loc, x, safe);
  Value result = arith::DivSIOp::create(b, loc, x, safe);
  return select(isZero, zero, select(isMinusOne, neg(x), result));
}

Value Scalars::rem(Value x, Value y) {
  if (isa<FloatType>(x.getType()))
    return arith::RemFOp::create(b, loc, x, y);
  return guardedDivision(x, y, /*remainder=*/true);
}

Value Scalars::mod(Value x, Value y) {
  Value r = rem(x, y);
  if (isUnsigned)
    return r;
  // A remainder whose sign differs from the divisor's is one divisor short.
  Value zero = constant(x.getType(), 0);
  Value differs = arith::XOrIOp::create(b, loc, less(r, zero), less(y, zero));
  Value wrong = logicalAnd(differs, logicalNot(equal(r, zero)));
  return select(wrong, add(r, y), r);
}

//===----------------------------------------------------------------------===//
// Conversions
//===----------------------------------------------------------------------===//

/// Clamps in the float domain to what converts exactly, NaN to 0.
Value Scalars::floatToInteger(Value x, IntegerType type, bool toUnsigned) {
  unsigned width = type.getWidth();
  unsigned bits = toUnsigned ? width : width - 1;
  double mantissa = x.getType().isF64() ? 53 : 24;
  double low = toUnsigned ? 0 : -std::ldexp(1.0, bits);
  double high = bits <= mantissa
                    ? std::ldexp(1.0, bits) - 1
                    : std::ldexp(1.0, bits) - std::ldexp(1.0, bits - mantissa);
  Value isNan = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, x, x);
  Value finite = select(isNan, constant(x.getType(), 0), x);
  Value highest = constant(x.getType(), high);
  Value clamped = min(max(finite, constant(x.getType(), low)), highest);
  Value result = toUnsigned
                     ? Value(arith::FPToUIOp::create(b, loc, type, clamped))
                     : Value(arith::FPToSIOp::create(b, loc, type, clamped));
  if (bits <= mantissa)
    return result;
  APInt largest =
      toUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width);
  Value top =
      arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, largest));
  return select(less(highest, finite), top, result);
}

Value Scalars::cast(Value x, Type from, Type to) {
  Type source = x.getType(), target = computeType(signless(to));
  if (source == target)
    return x;
  if (to.isInteger(1)) {
    Value zero = constant(source, 0);
    if (isa<FloatType>(source)) // NaN is true
      return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNE, x, zero);
    return logicalNot(equal(x, zero));
  }
  bool fromUnsigned = from.isUnsignedInteger() || from.isInteger(1);
  if (isa<FloatType>(source)) {
    if (auto integerType = dyn_cast<IntegerType>(target))
      return floatToInteger(x, integerType, to.isUnsignedInteger());
    if (source.getIntOrFloatBitWidth() < target.getIntOrFloatBitWidth())
      return arith::ExtFOp::create(b, loc, target, x);
    return arith::TruncFOp::create(b, loc, target, x);
  }
  if (isa<FloatType>(target)) {
    if (fromUnsigned)
      return arith::UIToFPOp::create(b, loc, target, x);
    return arith::SIToFPOp::create(b, loc, target, x);
  }
  if (source.getIntOrFloatBitWidth() > target.getIntOrFloatBitWidth())
    return arith::TruncIOp::create(b, loc, target, x);
  if (fromUnsigned)
    return arith::ExtUIOp::create(b, loc, target, x);
  return arith::ExtSIOp::create(b, loc, target, x);
}

Value Scalars::toIndex(Value x) {
  if (x.getType().isIndex())
    return x;
  if (isUnsigned)
    return arith::IndexCastUIOp::create(b, loc, b.getIndexType(), x);
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), x);
}

Value Scalars::fromIndex(Value x, Type type) {
  if (type.isIndex())
    return x;
  if (!isa<FloatType>(type))
    return arith::IndexCastOp::create(b, loc, type, x);
  Value wide = arith::IndexCastOp::create(b, loc, b.getI64Type(), x);
  return arith::SIToFPOp::create(b, loc, type, wide);
}

Value Scalars::clampIndex(Value x, Value size) {
  Value last = arith::SubIOp::create(b, loc, size, index(1));
  Value below = arith::MinSIOp::create(b, loc, x, last);
  return arith::MaxSIOp::create(b, loc, below, index(0));
}
