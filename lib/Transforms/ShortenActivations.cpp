// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// --kernel-shorten-activations: GELU and its like in epilogues that end in
// bf16, with as many terms as bf16 can tell from the exact function. An
// activation is known by its values, whatever it is made of. The rest of
// vector maths, to the precision of f32, is lib/Conversion's VectorMath.
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include "sparse-opt/Analysis/FfnMatch.h"
#include "sparse-opt/Transforms/Passes.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cmath>

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELSHORTENACTIVATIONS
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;
using ffn::Activation;

#define DEBUG_TYPE "kernel-shorten-activations"

//===----------------------------------------------------------------------===//
// What a region computes
//===----------------------------------------------------------------------===//

/// The op's result from its operands; nothing for ops that it doesn't know.
static std::optional<double> evaluate(Operation &op, ArrayRef<double> x) {
  using Result = std::optional<double>;
  return llvm::TypeSwitch<Operation *, Result>(&op)
      .Case([&](arith::AddFOp) { return x[0] + x[1]; })
      .Case([&](arith::SubFOp) { return x[0] - x[1]; })
      .Case([&](arith::MulFOp) { return x[0] * x[1]; })
      .Case([&](arith::DivFOp) { return x[0] / x[1]; })
      .Case([&](arith::NegFOp) { return -x[0]; })
      .Case([&](math::FmaOp) { return x[0] * x[1] + x[2]; })
      .Case([&](math::ErfOp) { return std::erf(x[0]); })
      .Case([&](math::TanhOp) { return std::tanh(x[0]); })
      .Case([&](math::ExpOp) { return std::exp(x[0]); })
      .Case([&](math::PowFOp) { return std::pow(x[0], x[1]); })
      .Default([](Operation *) { return Result(); });
}

namespace {
/// `to` as a function of `from` alone, by the ops between them.
class ScalarFunction {
public:
  ScalarFunction(Value from, Value to) : from(from), to(to) {}

  std::optional<double> operator()(double x) {
    known.clear();
    known[from] = x;
    return valueOf(to);
  }

private:
  std::optional<double> valueOf(Value value) {
    if (auto found = known.find(value); found != known.end())
      return found->second;
    FloatAttr constant;
    if (matchPattern(value, m_Constant(&constant)))
      return constant.getValueAsDouble();
    Operation *op = value.getDefiningOp();
    if (!op || op->getParentRegion() != to.getParentRegion())
      return std::nullopt;
    SmallVector<double> operands;
    for (Value operand : op->getOperands()) {
      std::optional<double> x = valueOf(operand);
      if (!x)
        return std::nullopt;
      operands.push_back(*x);
    }
    std::optional<double> result = evaluate(*op, operands);
    if (result)
      known[value] = *result;
    return result;
  }

  Value from, to;
  DenseMap<Value, double> known;
};
} // namespace

/// Which activation the function is. GELU and its tanh form differ by 4.7e-4.
static std::optional<Activation> classify(ScalarFunction function) {
  for (Activation kind : {Activation::Gelu, Activation::GeluTanh,
                          Activation::Silu, Activation::QuickGelu}) {
    bool equal = true;
    for (double x = -12.05; x < 12.1 && equal; x += 0.241) {
      std::optional<double> y = function(x);
      if (!y)
        return std::nullopt;
      double expected = applyActivation(kind, x);
      equal = std::fabs(*y - expected) <= 1e-6 + 1e-6 * std::fabs(expected);
    }
    if (equal)
      return kind;
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Shorter code
//===----------------------------------------------------------------------===//

namespace {
/// Scalar f32 code, which lowerings vectorise op by op.
class ScalarBuilder : public ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  Value constant(float value) {
    return arith::ConstantOp::create(*this, getF32FloatAttr(value));
  }
  Value constant(int32_t value) {
    return arith::ConstantOp::create(*this, getI32IntegerAttr(value));
  }
  Value add(Value a, Value b) { return arith::AddFOp::create(*this, a, b); }
  Value sub(Value a, Value b) { return arith::SubFOp::create(*this, a, b); }
  Value mul(Value a, Value b) { return arith::MulFOp::create(*this, a, b); }
  Value fma(Value a, Value b, Value c) {
    return math::FmaOp::create(*this, a, b, c);
  }
  Value bits(Value x) {
    return arith::BitcastOp::create(*this, getI32Type(), x);
  }
  Value float_(Value x) {
    return arith::BitcastOp::create(*this, getF32Type(), x);
  }
  /// Each one instruction; a NaN stays.
  Value atLeast(Value x, float low) {
    return limit(x, arith::CmpFPredicate::OLT, low);
  }
  Value atMost(Value x, float high) {
    return limit(x, arith::CmpFPredicate::OGT, high);
  }
  /// c[0] + u * (c[1] + u * (...)).
  Value polynomial(Value u, ArrayRef<float> c) {
    Value sum = constant(c.back());
    for (float term : llvm::reverse(c.drop_back()))
      sum = fma(sum, u, constant(term));
    return sum;
  }

private:
  Value limit(Value x, arith::CmpFPredicate isBeyond, float bound) {
    Value limit = constant(bound);
    Value beyond = arith::CmpFOp::create(*this, isBeyond, x, limit);
    return arith::SelectOp::create(*this, beyond, limit, x);
  }
};
} // namespace

/// x * (1/2 + t * P(t^2)), t = x limited to [-bound, bound]: P is minimax for
/// the larger of 2^-12 of the result and, below -1.5, 2e-5. Left of the bound
/// the result stays what it is there.
static Value emitGelu(ScalarBuilder &b, Value x, float bound,
                      ArrayRef<float> coefficients) {
  x = b.atLeast(x, -bound);
  Value t = b.atMost(x, bound);
  Value p = b.polynomial(b.mul(t, t), coefficients);
  return b.mul(x, b.fma(t, p, b.constant(0.5f)));
}

/// 1 / x for x in [1, 2^120], relative error 3e-6: a guess by the exponent and
/// two of Newton's steps. A division of 512 bits takes up to 16 cycles.
static Value emitReciprocal(ScalarBuilder &b, Value x) {
  Value guess = arith::SubIOp::create(b, b.constant(0x7ef32000), b.bits(x));
  Value r = b.float_(guess);
  Value minus = arith::NegFOp::create(b, x);
  r = b.mul(r, b.fma(minus, r, b.constant(2.001f)));
  return b.mul(r, b.fma(minus, r, b.constant(2.0f)));
}

/// x / (1 + 2^z), z = -factor * x / ln 2. Relative error 1e-4.
static Value emitSwish(ScalarBuilder &b, Value x, float factor) {
  float bound = 80 / factor;
  x = b.atLeast(x, -bound);
  Value z =
      b.mul(b.atMost(x, bound), b.constant(-1.44269504088896341f * factor));
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  Value magic = b.constant(12582912.0f);
  Value shifted = b.add(z, magic);
  Value f = b.sub(z, b.sub(shifted, magic));
  Value p = b.polynomial(f, {0.9999280571937561f, 0.6932610273361206f,
                             0.24261116981506348f, 0.0551714189350605f});
  Value exponent =
      arith::ShLIOp::create(b, b.bits(shifted), b.constant(int32_t(23)));
  exponent = arith::AddIOp::create(b, exponent, b.constant(0x3f800000));
  Value sum = b.fma(p, b.float_(exponent), b.constant(1.0f));
  return b.mul(x, emitReciprocal(b, sum));
}

static Value emit(ScalarBuilder &b, Activation kind, Value x) {
  switch (kind) {
  case Activation::Gelu:
    return emitGelu(b, x, 4.3f,
                    {0.3987430930137634f, -0.06606857478618622f,
                     0.009649448096752167f, -0.0010594242485240102f,
                     8.534787775715813e-05f, -4.851202447753167e-06f,
                     1.822620561142685e-07f, -4.027145728002779e-09f,
                     3.938663978297896e-11f});
  case Activation::GeluTanh:
    return emitGelu(b, x, 4.1f,
                    {0.3987966477870941f, -0.0664920061826706f,
                     0.009942110627889633f, -0.0011435386259108782f,
                     9.854246309259906e-05f, -6.076847967051435e-06f,
                     2.496420847819536e-07f, -6.053737511280133e-09f,
                     6.508123900905716e-11f});
  case Activation::Silu:
    return emitSwish(b, x, 1);
  case Activation::QuickGelu:
    return emitSwish(b, x, 1.702f);
  default:
    llvm_unreachable("classify() doesn't find it");
  }
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

/// The widest activation in `block`, replaced.
static bool shortenOne(Block &block) {
  SmallVector<Value> values(block.getArguments());
  for (Operation &op : block.without_terminator())
    llvm::append_range(values, op.getResults());
  llvm::erase_if(values, [](Value value) { return !value.getType().isF32(); });
  for (size_t last = values.size(); last-- != 0;)
    for (size_t first = 0; first != last; ++first) {
      Value from = values[first], to = values[last];
      Operation *end = to.getDefiningOp();
      if (!end || end->hasTrait<OpTrait::ConstantLike>())
        break;
      std::optional<Activation> kind = classify(ScalarFunction(from, to));
      if (!kind)
        continue;
      ScalarBuilder b(to.getLoc(), end);
      to.replaceAllUsesWith(emit(b, *kind, from));
      for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
        if (isOpTriviallyDead(&op))
          op.erase();
      return true;
    }
  return false;
}

namespace {
struct ShortenActivations
    : sparse_opt::impl::KernelShortenActivationsBase<ShortenActivations> {
  void runOnOperation() override {
    getOperation()->walk([&](kernel::ProductOp op) {
      Block &block = op.getEpilogue().front();
      auto rounding =
          block.getTerminator()->getOperand(0).getDefiningOp<arith::TruncFOp>();
      bool calls = llvm::any_of(block, [](Operation &inner) {
        return isa<math::ErfOp, math::TanhOp, math::ExpOp>(inner);
      });
      if (!rounding || !rounding.getType().isBF16() || !calls)
        return;
      bool any = false;
      while (shortenOne(block))
        any = true;
      any ? ++numShortened : ++numOthers;
    });
  }
};
} // namespace
