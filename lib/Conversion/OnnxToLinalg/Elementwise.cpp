// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arithmetic, comparison, logic, selection and casts: operators that compute
// each element from the same element of their (broadcast) operands.
// Activations, which are element-wise too, are in Activations.cpp.
#include "Lowering.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

//===----------------------------------------------------------------------===//
// Operators that are one scalar function
//===----------------------------------------------------------------------===//

using Unary = Value (*)(Scalars &, Value);
using Binary = Value (*)(Scalars &, Value, Value);

/// y = f(x)
template <Unary function> static LogicalResult lowerUnary(NodeOp, Lowering &l) {
  l.out(0, l.map(l.in(0), l.type(),
                 [](Scalars &s, ValueRange x) { return function(s, x[0]); }));
  return success();
}

/// y = f(x0, x1), and f(f(x0, x1), x2) of variadic operators
template <Binary function>
static LogicalResult lowerBinary(NodeOp node, Lowering &l) {
  Tensor result = l.in(0);
  for (unsigned i = 1; i < node.getNumOperands(); ++i)
    result = l.map({result, l.in(i)}, l.type(), [](Scalars &s, ValueRange x) {
      return function(s, x[0], x[1]);
    });
  l.out(0, result);
  return success();
}

/// A scalar function that an op of the math dialect is, by name.
template <typename MathOp> static Value mathFunction(Scalars &s, Value x) {
  return MathOp::create(s.b, s.loc, x);
}
/// One that leaves integers alone.
template <typename MathOp> static Value rounding(Scalars &s, Value x) {
  return isa<FloatType>(x.getType()) ? mathFunction<MathOp>(s, x) : x;
}
/// A binary instruction on integers.
template <typename ArithOp> static Value bits(Scalars &s, Value x, Value y) {
  return ArithOp::create(s.b, s.loc, x, y);
}
template <Value (Scalars::*method)(Value)>
static Value call(Scalars &s, Value x) {
  return (s.*method)(x);
}
template <Value (Scalars::*method)(Value, Value)>
static Value call(Scalars &s, Value x, Value y) {
  return (s.*method)(x, y);
}

static Value reciprocal(Scalars &s, Value x) {
  return s.div(s.constant(x.getType(), 1), x);
}
static Value greater(Scalars &s, Value x, Value y) { return s.less(y, x); }
static Value greaterEqual(Scalars &s, Value x, Value y) {
  return s.lessEqual(y, x);
}
static Value isNan(Scalars &s, Value x) {
  return arith::CmpFOp::create(s.b, s.loc, arith::CmpFPredicate::UNO, x, x);
}

//===----------------------------------------------------------------------===//
// Operators with attributes
//===----------------------------------------------------------------------===//

/// x ^ y, common constant exponents as products and roots
static LogicalResult lowerPow(NodeOp, Lowering &l) {
  Tensor x = l.in(0), y = l.in(1);
  bool isFloat = isa<FloatType>(x.elementType);
  std::optional<double> exponent = l.constantScalar(1);
  bool byProducts = exponent && (*exponent == 1 || *exponent == 2 ||
                                 *exponent == 3 || *exponent == 0);
  bool byRoots = isFloat && exponent &&
                 (*exponent == 0.5 || *exponent == -1 || *exponent == -0.5);
  if ((byProducts || byRoots) && y.rank() <= x.rank()) {
    l.out(0, l.map({x, y}, l.type(), [&](Scalars &s, ValueRange v) -> Value {
      Value one = s.constant(v[0].getType(), 1);
      if (*exponent == 0)
        return one;
      if (*exponent == 1)
        return v[0];
      if (*exponent == 2 || *exponent == 3) {
        Value square = s.mul(v[0], v[0]);
        return *exponent == 2 ? square : s.mul(square, v[0]);
      }
      Value base = *exponent == -1 ? v[0] : s.sqrt(v[0]);
      return *exponent < 0 ? s.div(one, base) : base;
    }));
    return success();
  }
  // Integers to a float power go through the float type.
  bool inFloat = isFloat || isa<FloatType>(y.elementType);
  Type compute = isFloat   ? computeType(x.elementType)
                 : inFloat ? computeType(y.elementType)
                           : x.elementType;
  l.out(0, l.map({x, y}, l.type(), [&](Scalars &s, ValueRange v) {
    Value base = s.cast(v[0], x.elementType, compute);
    Value power = s.pow(base, s.cast(v[1], y.elementType, compute));
    return s.cast(power, compute, l.type());
  }));
  return success();
}

/// The remainder with the sign of the divisor, or with fmod = 1 the dividend.
static LogicalResult lowerMod(NodeOp node, Lowering &l) {
  bool fmod = node.intAttr("fmod", 0);
  l.out(0, l.map({l.in(0), l.in(1)}, l.type(), [&](Scalars &s, ValueRange x) {
    return fmod ? s.rem(x[0], x[1]) : s.mod(x[0], x[1]);
  }));
  return success();
}

/// Shifting out every bit leaves what the sign fills in; the instruction says
/// undefined.
static LogicalResult lowerBitShift(NodeOp node, Lowering &l) {
  bool left = node.stringAttr("direction", "LEFT") == "LEFT";
  l.out(0, l.map({l.in(0), l.in(1)}, l.type(), [&](Scalars &s, ValueRange x) {
    Type type = x[0].getType();
    unsigned bitWidth = type.getIntOrFloatBitWidth();
    Value width = s.integer(type, bitWidth), zero = s.integer(type, 0);
    Value fits = arith::CmpIOp::create(s.b, s.loc, arith::CmpIPredicate::ult,
                                       x[1], width);
    Value amount = s.select(fits, x[1], zero);
    if (left)
      return s.select(fits, bits<arith::ShLIOp>(s, x[0], amount), zero);
    if (s.isUnsigned)
      return s.select(fits, bits<arith::ShRUIOp>(s, x[0], amount), zero);
    Value most = s.integer(type, bitWidth - 1);
    return bits<arith::ShRSIOp>(s, x[0], s.select(fits, x[1], most));
  }));
  return success();
}

static LogicalResult lowerIsInf(NodeOp node, Lowering &l) {
  bool positive = node.intAttr("detect_positive", 1);
  bool negative = node.intAttr("detect_negative", 1);
  l.out(0, l.map(l.in(0), l.type(), [&](Scalars &s, ValueRange x) {
    Type type = x[0].getType();
    Value no = s.integer(s.b.getI1Type(), 0);
    Value isHigh = positive ? s.equal(x[0], s.highest(type)) : no;
    Value isLow = negative ? s.equal(x[0], s.lowest(type)) : no;
    return s.logicalOr(isHigh, isLow);
  }));
  return success();
}

static LogicalResult lowerWhere(NodeOp, Lowering &l) {
  l.out(0, l.map({l.in(0), l.in(1), l.in(2)}, l.type(),
                 [](Scalars &s, ValueRange x) {
                   return s.select(x[0], x[1], x[2]);
                 }));
  return success();
}

static LogicalResult lowerCast(NodeOp, Lowering &l) {
  l.out(0, l.cast(l.in(0), l.type()));
  return success();
}

/// The same bits as another type of the same width.
static LogicalResult lowerBitCast(NodeOp, Lowering &l) {
  Tensor x = l.in(0);
  Type from = signless(x.elementType), to = signless(l.type());
  if (from.isInteger(1) != to.isInteger(1) ||
      from.getIntOrFloatBitWidth() != to.getIntOrFloatBitWidth())
    return l.fail("between types of different widths has no lowering to CPU "
                  "code");
  l.out(0, l.map(x, l.type(), [&](Scalars &s, ValueRange v) -> Value {
    Value value = v[0];
    if (value.getType() != from) // f16 arrives as f32
      value = arith::TruncFOp::create(s.b, s.loc, from, value);
    return from == to ? value : arith::BitcastOp::create(s.b, s.loc, to, value);
  }));
  return success();
}

/// min and max are operands since version 11, attributes before.
static LogicalResult lowerClip(NodeOp node, Lowering &l) {
  SmallVector<Tensor> ins = {l.in(0)};
  bool hasMin = l.has(1), hasMax = l.has(2);
  if (hasMin)
    ins.push_back(l.in(1));
  if (hasMax)
    ins.push_back(l.in(2));
  FloatAttr low = dyn_cast_or_null<FloatAttr>(node.attr("min"));
  FloatAttr high = dyn_cast_or_null<FloatAttr>(node.attr("max"));
  l.out(0, l.map(ins, l.type(), [&](Scalars &s, ValueRange x) {
    Value result = x[0];
    Type type = result.getType();
    if (hasMin)
      result = s.max(result, x[1]);
    if (low)
      result = s.max(result, s.constant(type, low.getValueAsDouble()));
    if (hasMax)
      result = s.min(result, x.back());
    if (high)
      result = s.min(result, s.constant(type, high.getValueAsDouble()));
    return result;
  }));
  return success();
}

static LogicalResult lowerMean(NodeOp node, Lowering &l) {
  unsigned count = node.getNumOperands();
  Tensor sum = l.in(0);
  for (unsigned i = 1; i < count; ++i)
    sum = l.map({sum, l.in(i)}, computeType(l.type()),
                [](Scalars &s, ValueRange x) { return s.add(x[0], x[1]); });
  l.out(0, l.map(sum, l.type(), [&](Scalars &s, ValueRange x) {
    return s.mul(x[0], s.constant(x[0].getType(), 1.0 / count));
  }));
  return success();
}

/// The operand itself; `mask` of Dropout says that everything was kept.
static LogicalResult lowerIdentity(NodeOp node, Lowering &l) {
  l.out(0, l.in(0));
  if (!l.wanted(1))
    return success();
  Value kept = Scalars(l.b, l.loc).integer(l.b.getI1Type(), 1);
  l.out(1, l.fill(l.in(0).shape, l.type(1), kept));
  return success();
}

static LogicalResult lowerDropout(NodeOp node, Lowering &l) {
  std::optional<double> training = l.constantScalar(2);
  if (l.has(2) && (!training || *training != 0))
    return l.fail("in training mode has no lowering to CPU code");
  return lowerIdentity(node, l);
}

#define UNARY(NAME, FUNCTION)                                                  \
  {onnxDomain, NAME, 1, latest, lowerUnary<FUNCTION>}
#define BINARY(NAME, FUNCTION)                                                 \
  {onnxDomain, NAME, 7, latest, lowerBinary<FUNCTION>}

ArrayRef<Entry> lowering::elementwiseLowerings() {
  static const Entry entries[] = {
      BINARY("Add", call<&Scalars::add>),
      BINARY("Sub", call<&Scalars::sub>),
      BINARY("Mul", call<&Scalars::mul>),
      BINARY("Div", call<&Scalars::div>),
      BINARY("And", call<&Scalars::logicalAnd>),
      BINARY("Or", call<&Scalars::logicalOr>),
      BINARY("Xor", bits<arith::XOrIOp>),
      BINARY("BitwiseAnd", bits<arith::AndIOp>),
      BINARY("BitwiseOr", bits<arith::OrIOp>),
      BINARY("BitwiseXor", bits<arith::XOrIOp>),
      BINARY("Equal", call<&Scalars::equal>),
      BINARY("Less", call<&Scalars::less>),
      BINARY("LessOrEqual", call<&Scalars::lessEqual>),
      BINARY("Greater", greater),
      BINARY("GreaterOrEqual", greaterEqual),
      {onnxDomain, "Max", 6, latest, lowerBinary<call<&Scalars::max>>},
      {onnxDomain, "Min", 6, latest, lowerBinary<call<&Scalars::min>>},
      {onnxDomain, "Sum", 6, latest, lowerBinary<call<&Scalars::add>>},
      {onnxDomain, "Mean", 6, latest, lowerMean},
      UNARY("Neg", call<&Scalars::neg>),
      UNARY("Abs", call<&Scalars::abs>),
      UNARY("Sign", call<&Scalars::sign>),
      UNARY("Not", call<&Scalars::logicalNot>),
      UNARY("BitwiseNot", call<&Scalars::logicalNot>),
      UNARY("Exp", call<&Scalars::exp>),
      UNARY("Log", call<&Scalars::log>),
      UNARY("Sqrt", call<&Scalars::sqrt>),
      UNARY("Erf", call<&Scalars::erf>),
      UNARY("Reciprocal", reciprocal),
      UNARY("IsNaN", isNan),
      UNARY("Floor", rounding<math::FloorOp>),
      UNARY("Ceil", rounding<math::CeilOp>),
      UNARY("Round", rounding<math::RoundEvenOp>),
      UNARY("Sin", mathFunction<math::SinOp>),
      UNARY("Cos", mathFunction<math::CosOp>),
      UNARY("Tan", mathFunction<math::TanOp>),
      UNARY("Asin", mathFunction<math::AsinOp>),
      UNARY("Acos", mathFunction<math::AcosOp>),
      UNARY("Atan", mathFunction<math::AtanOp>),
      UNARY("Sinh", mathFunction<math::SinhOp>),
      UNARY("Cosh", mathFunction<math::CoshOp>),
      UNARY("Asinh", mathFunction<math::AsinhOp>),
      UNARY("Acosh", mathFunction<math::AcoshOp>),
      UNARY("Atanh", mathFunction<math::AtanhOp>),
      {onnxDomain, "Pow", 7, latest, lowerPow},
      {onnxDomain, "Mod", 10, latest, lowerMod},
      {onnxDomain, "BitShift", 11, latest, lowerBitShift},
      {onnxDomain, "IsInf", 10, latest, lowerIsInf},
      {onnxDomain, "Where", 9, latest, lowerWhere},
      {onnxDomain, "Cast", 6, latest, lowerCast},
      {onnxDomain, "CastLike", 15, latest, lowerCast},
      {onnxDomain, "BitCast", 26, latest, lowerBitCast},
      {onnxDomain, "Clip", 6, latest, lowerClip},
      {onnxDomain, "Identity", 1, latest, lowerIdentity},
      {onnxDomain, "Dropout", 7, latest, lowerDropout},
  };
  return entries;
}
