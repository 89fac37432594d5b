// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// See Scalars.h. Conversions and integer division are in ScalarCasts.cpp.
#include "Scalars.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <cmath>

using namespace mlir;
using namespace sparse_opt::lowering;

static bool isFloat(Value x) { return isa<FloatType>(x.getType()); }
static bool isBool(Value x) { return x.getType().isInteger(1); }

Type sparse_opt::lowering::computeType(Type type) {
  if (type.isF16() || type.isBF16())
    return Float32Type::get(type.getContext());
  return type;
}

Type sparse_opt::lowering::signless(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type))
    return IntegerType::get(type.getContext(), integer.getWidth());
  return type;
}

Value Scalars::constant(Type type, double value) {
  if (isa<FloatType>(type))
    return arith::ConstantOp::create(b, loc, b.getFloatAttr(type, value));
  return integer(type, static_cast<int64_t>(value));
}

Value Scalars::integer(Type type, int64_t value) {
  if (isa<FloatType>(type))
    return constant(type, static_cast<double>(value));
  return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, value));
}

Value Scalars::index(int64_t value) {
  return arith::ConstantIndexOp::create(b, loc, value);
}

Value Scalars::lowest(Type type) {
  if (auto real = dyn_cast<FloatType>(type))
    return arith::ConstantOp::create(
        b, loc,
        b.getFloatAttr(type, APFloat::getInf(real.getFloatSemantics(), true)));
  unsigned width = type.getIntOrFloatBitWidth();
  APInt value =
      isUnsigned ? APInt::getZero(width) : APInt::getSignedMinValue(width);
  return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, value));
}

Value Scalars::highest(Type type) {
  if (auto real = dyn_cast<FloatType>(type))
    return arith::ConstantOp::create(
        b, loc,
        b.getFloatAttr(type, APFloat::getInf(real.getFloatSemantics(), false)));
  unsigned width = type.getIntOrFloatBitWidth();
  APInt value =
      isUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width);
  return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, value));
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

Value Scalars::add(Value x, Value y) {
  if (isFloat(x))
    return arith::AddFOp::create(b, loc, x, y);
  return arith::AddIOp::create(b, loc, x, y);
}

Value Scalars::sub(Value x, Value y) {
  if (isFloat(x))
    return arith::SubFOp::create(b, loc, x, y);
  return arith::SubIOp::create(b, loc, x, y);
}

Value Scalars::mul(Value x, Value y) {
  if (isFloat(x))
    return arith::MulFOp::create(b, loc, x, y);
  return arith::MulIOp::create(b, loc, x, y);
}

Value Scalars::max(Value x, Value y) {
  if (isFloat(x))
    return arith::MaximumFOp::create(b, loc, x, y);
  if (isUnsigned)
    return arith::MaxUIOp::create(b, loc, x, y);
  return arith::MaxSIOp::create(b, loc, x, y);
}

Value Scalars::min(Value x, Value y) {
  if (isFloat(x))
    return arith::MinimumFOp::create(b, loc, x, y);
  if (isUnsigned)
    return arith::MinUIOp::create(b, loc, x, y);
  return arith::MinSIOp::create(b, loc, x, y);
}

/// Integers by squaring, one step a bit of the exponent; a negative exponent
/// gives what the division 1 / x^-y would.
Value Scalars::pow(Value x, Value y) {
  if (isFloat(x))
    return math::PowFOp::create(b, loc, x, y);
  Type type = x.getType();
  Value one = integer(type, 1), zero = integer(type, 0);
  Value exponent = isUnsigned ? y : max(y, neg(y));
  Value result = one, factor = x;
  for (unsigned bit = 0, e = type.getIntOrFloatBitWidth(); bit < e; ++bit) {
    Value mask = arith::ConstantOp::create(
        b, loc, b.getIntegerAttr(type, APInt::getOneBitSet(e, bit)));
    Value unset = equal(arith::AndIOp::create(b, loc, exponent, mask), zero);
    result = select(unset, result, mul(result, factor));
    factor = mul(factor, factor);
  }
  return isUnsigned ? result : select(less(y, zero), div(one, result), result);
}

Value Scalars::neg(Value x) {
  if (isFloat(x))
    return arith::NegFOp::create(b, loc, x);
  return sub(integer(x.getType(), 0), x);
}

Value Scalars::abs(Value x) {
  if (isFloat(x))
    return math::AbsFOp::create(b, loc, x);
  return isUnsigned ? x : max(x, neg(x));
}

Value Scalars::sign(Value x) {
  Value zero = constant(x.getType(), 0), one = constant(x.getType(), 1);
  Value minusOne = isUnsigned ? one : constant(x.getType(), -1);
  // What is neither above nor below zero stays itself: 0 or NaN.
  Value result = select(less(zero, x), one, x);
  return select(less(x, zero), minusOne, result);
}

//===----------------------------------------------------------------------===//
// Comparison and logic
//===----------------------------------------------------------------------===//

Value Scalars::equal(Value x, Value y) {
  if (isFloat(x))
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, x, y);
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, x, y);
}

Value Scalars::less(Value x, Value y) {
  if (isFloat(x))
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLT, x, y);
  return arith::CmpIOp::create(b, loc,
                               isUnsigned || isBool(x)
                                   ? arith::CmpIPredicate::ult
                                   : arith::CmpIPredicate::slt,
                               x, y);
}

Value Scalars::lessEqual(Value x, Value y) {
  if (isFloat(x))
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OLE, x, y);
  return logicalNot(less(y, x));
}

Value Scalars::select(Value condition, Value yes, Value no) {
  return arith::SelectOp::create(b, loc, condition, yes, no);
}

Value Scalars::logicalAnd(Value x, Value y) {
  return arith::AndIOp::create(b, loc, x, y);
}

Value Scalars::logicalOr(Value x, Value y) {
  return arith::OrIOp::create(b, loc, x, y);
}

Value Scalars::logicalNot(Value x) {
  return arith::XOrIOp::create(b, loc, x, integer(x.getType(), -1));
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

Value Scalars::exp(Value x) { return math::ExpOp::create(b, loc, x); }
Value Scalars::log(Value x) { return math::LogOp::create(b, loc, x); }
Value Scalars::sqrt(Value x) { return math::SqrtOp::create(b, loc, x); }
Value Scalars::tanh(Value x) { return math::TanhOp::create(b, loc, x); }
Value Scalars::erf(Value x) { return math::ErfOp::create(b, loc, x); }

/// 1 / (1 + exp(-x)): exp overflows to infinity, which gives 0 as it should.
Value Scalars::sigmoid(Value x) {
  Value one = constant(x.getType(), 1);
  return div(one, add(one, exp(neg(x))));
}

/// max(x, 0) + log1p(exp(-|x|)): finite for every finite x.
Value Scalars::softplus(Value x) {
  Value small = math::Log1pOp::create(b, loc, exp(neg(abs(x))));
  return add(relu(x), small);
}

Value Scalars::relu(Value x) { return max(x, constant(x.getType(), 0)); }

/// x / 2 * (1 + erf(x / sqrt 2))
Value Scalars::gelu(Value x) {
  Type type = x.getType();
  Value inner = erf(mul(x, constant(type, std::sqrt(0.5))));
  return mul(mul(x, constant(type, 0.5)), add(inner, constant(type, 1)));
}

/// x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
Value Scalars::geluTanh(Value x) {
  Type type = x.getType();
  Value cubic = mul(mul(mul(x, x), x), constant(type, 0.044715));
  Value inner = tanh(mul(add(x, cubic), constant(type, std::sqrt(2 / M_PI))));
  return mul(mul(x, constant(type, 0.5)), add(inner, constant(type, 1)));
}

Value Scalars::swish(Value x, double alpha) {
  Value scaled = alpha == 1.0 ? x : mul(x, constant(x.getType(), alpha));
  return mul(x, sigmoid(scaled));
}
