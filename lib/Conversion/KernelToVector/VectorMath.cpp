// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// exp and erf on vectors of f32. Both are straight-line code of about fifteen
// operations; test/Unit/VectorMathTest.cpp holds them to the errors in the
// header.
#include "sparse-opt/Conversion/VectorMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;

/// `value` in every lane of `type`.
static Value splat(ImplicitLocOpBuilder &b, VectorType type, float value) {
  return arith::ConstantOp::create(
      b, DenseElementsAttr::get(type, ArrayRef<float>{value}));
}

static Value splat(ImplicitLocOpBuilder &b, VectorType type, int32_t value) {
  return arith::ConstantOp::create(
      b, DenseElementsAttr::get(type, ArrayRef<int32_t>{value}));
}

/// c[0] + u * (c[1] + u * (...)).
static Value emitPolynomial(ImplicitLocOpBuilder &b, Value u,
                            ArrayRef<float> coefficients) {
  auto type = cast<VectorType>(u.getType());
  Value sum = splat(b, type, coefficients.back());
  for (float c : llvm::reverse(coefficients.drop_back()))
    sum = math::FmaOp::create(b, sum, u, splat(b, type, c));
  return sum;
}

/// x limited to [low, high]; a NaN compares false twice and stays.
static Value emitClamp(ImplicitLocOpBuilder &b, Value x, float low,
                       float high) {
  auto type = cast<VectorType>(x.getType());
  Value lowest = splat(b, type, low), highest = splat(b, type, high);
  Value under = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, lowest);
  x = arith::SelectOp::create(b, under, lowest, x);
  Value over = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, highest);
  return arith::SelectOp::create(b, over, highest, x);
}

Value sparse_opt::emitExp(ImplicitLocOpBuilder &b, Value x) {
  auto type = cast<VectorType>(x.getType());
  VectorType bits = type.clone(b.getI32Type());
  const float lowest = -86.5f;
  Value vanishes = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x,
                                         splat(b, type, lowest));
  x = emitClamp(b, x, lowest, 89.0f);
  // Adding 1.5 * 2^23 rounds to an integer n and leaves it in the low bits.
  Value magic = splat(b, type, 12582912.0f);
  Value shifted =
      math::FmaOp::create(b, x, splat(b, type, 1.44269504088896341f), magic);
  Value n = arith::SubFOp::create(b, shifted, magic);
  Value f = math::FmaOp::create(b, n, splat(b, type, -0.693359375f), x);
  f = math::FmaOp::create(b, n, splat(b, type, 2.12194440e-4f), f);
  Value p = emitPolynomial(b, f,
                           {1.0f, 1.0f, 5.0000001201e-1f, 1.6666665459e-1f,
                            4.1665795894e-2f, 8.3334519073e-3f,
                            1.3981999507e-3f, 1.9875691500e-4f});
  // Times 2^n: a multiplication, so that a NaN in p survives.
  Value exponent = arith::ShLIOp::create(
      b, arith::BitcastOp::create(b, bits, shifted), splat(b, bits, 23));
  exponent = arith::AddIOp::create(b, exponent, splat(b, bits, 0x3f800000));
  Value scaled =
      arith::MulFOp::create(b, p, arith::BitcastOp::create(b, type, exponent));
  return arith::SelectOp::create(b, vanishes, splat(b, type, 0.0f), scaled);
}

Value sparse_opt::emitExp2(ImplicitLocOpBuilder &b, Value x, bool isShort) {
  auto type = cast<VectorType>(x.getType());
  VectorType bits = type.clone(b.getI32Type());
  // 2^-127 has the bits of zero.
  Value lowest = splat(b, type, -127.0f);
  Value under = arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, lowest);
  x = arith::SelectOp::create(b, under, lowest, x);
  // As in emitExp: an integer n in the low bits, and what is left.
  Value magic = splat(b, type, 12582912.0f);
  Value shifted = arith::AddFOp::create(b, x, magic);
  Value f =
      arith::SubFOp::create(b, x, arith::SubFOp::create(b, shifted, magic));
  // Minimax on [-0.5, 0.5]; the long one is 1 at 0.
  Value p =
      isShort ? emitPolynomial(
                    b, f, {0.99992806f, 0.69326097f, 0.24261114f, 0.05517167f})
              : emitPolynomial(b, f,
                               {1.0f, 0.693147f, 0.24022242f, 0.055507336f,
                                0.009671513f, 0.0013264727f});
  Value exponent = arith::ShLIOp::create(
      b, arith::BitcastOp::create(b, bits, shifted), splat(b, bits, 23));
  exponent = arith::AddIOp::create(b, exponent, splat(b, bits, 0x3f800000));
  return arith::MulFOp::create(b, p,
                               arith::BitcastOp::create(b, type, exponent));
}

Value sparse_opt::emitErf(ImplicitLocOpBuilder &b, Value x) {
  auto type = cast<VectorType>(x.getType());
  // Minimax in u = 2 x^2 / 3.6^2 - 1, weighted by x; the constant term makes
  // the value at the clamp exactly one.
  const float bound = 3.6f;
  x = emitClamp(b, x, -bound, bound);
  Value square = arith::MulFOp::create(b, x, x);
  Value u = math::FmaOp::create(
      b, square, splat(b, type, 2.0f / (bound * bound)), splat(b, type, -1.0f));
  Value p = emitPolynomial(
      b, u,
      {0.39271223545074463f, -0.1954905092716217f, 0.1438109278678894f,
       -0.11379396915435791f, 0.08981189876794815f, -0.06802956014871597f,
       0.048292823135852814f, -0.032550256699323654f, 0.021246787160634995f,
       -0.011626756750047207f, 0.004572008736431599f, -0.002843571128323674f,
       0.0026314754504710436f, -0.000965762126725167f});
  return arith::MulFOp::create(b, x, p);
}
