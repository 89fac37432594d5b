// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Feed-forward blocks, dense and compressed. In the compressed form every
// neuron of every row is computed and those that aren't selected count 0: the
// masks are part of an element-wise op, so that many rows cost what the dense
// block costs.
#include "Lowering.h"
#include "dialects/Ffn/FfnOps.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;

static Value activation(Scalars &s, Value x, ffn::Activation kind) {
  switch (kind) {
  case ffn::Activation::Identity:
    return x;
  case ffn::Activation::Relu:
    return s.relu(x);
  case ffn::Activation::Relu2: {
    Value positive = s.relu(x);
    return s.mul(positive, positive);
  }
  case ffn::Activation::Silu:
    return s.swish(x, 1.0);
  case ffn::Activation::Gelu:
    return s.gelu(x);
  case ffn::Activation::GeluTanh:
    return s.geluTanh(x);
  case ffn::Activation::QuickGelu:
    return s.swish(x, 1.702);
  }
  llvm_unreachable("an activation without scalar code");
}

/// act(x w + bias)
static Tensor project(Lowering &l, Tensor x, Value weight, Value bias,
                      ffn::Activation kind) {
  Tensor result = contract(l, x, l.lookup(weight));
  if (bias)
    result = addBias(l, result, l.lookup(bias));
  if (kind == ffn::Activation::Identity)
    return result;
  return l.map(result, result.elementType, [&](Scalars &s, ValueRange v) {
    return activation(s, v[0], kind);
  });
}

static void lowerBlock(ffn::BlockOp op, Lowering &l) {
  Tensor x = l.lookup(op.getX());
  ffn::Activation identity = ffn::Activation::Identity;
  Tensor hidden;
  if (op.getGate()) {
    Tensor gate =
        project(l, x, op.getGate(), op.getGateBias(), op.getActivation());
    Tensor up = project(l, x, op.getUp(), op.getUpBias(),
                        op.getUpActivation().value_or(identity));
    hidden = l.map({gate, up}, x.elementType,
                   [](Scalars &s, ValueRange v) { return s.mul(v[0], v[1]); });
  } else {
    hidden = project(l, x, op.getUp(), op.getUpBias(), op.getActivation());
  }
  l.set(op.getY(),
        project(l, hidden, op.getDown(), op.getDownBias(), identity));
}

static void lowerScore(ffn::ScoreOp op, Lowering &l) {
  l.set(op.getResult(), project(l, l.lookup(op.getX()), op.getWeight(),
                                op.getBias(), op.getActivation()));
}

static void lowerLinear(ffn::LinearOp op, Lowering &l) {
  Tensor x = l.lookup(op.getX()), offset = l.lookup(op.getOffset());
  if (op.getFolded()) {
    l.set(op.getY(),
          addBias(l, contract(l, x, l.lookup(op.getFolded())), offset));
    return;
  }
  Sizes shape(ArrayRef<Size>(x.shape).drop_back());
  shape.push_back(offset.shape.back());
  l.set(op.getY(), l.map(offset, x.elementType, shape,
                         [](Scalars &, ValueRange v) { return v[0]; }));
}

//===----------------------------------------------------------------------===//
// Selections
//===----------------------------------------------------------------------===//

namespace {
/// Tensors that one element-wise op reads, each once.
class Operands {
public:
  explicit Operands(Lowering &l) : l(l) {}

  /// Where the body finds `value`; -1 when there is none.
  int add(Value value) { return value ? add(l.lookup(value)) : -1; }
  int add(Tensor tensor) {
    for (auto [i, known] : llvm::enumerate(tensors))
      if (known.value == tensor.value)
        return i;
    tensors.push_back(tensor);
    return tensors.size() - 1;
  }
  ArrayRef<Tensor> get() const { return tensors; }

private:
  Lowering &l;
  SmallVector<Tensor> tensors;
};

/// The rule of a selection as scalar code over operands.
class Rule {
public:
  Rule(ffn::SelectOp op, Operands &operands)
      : op(op), score(operands.add(op.getScore())),
        times(operands.add(op.getTimes())), minus(operands.add(op.getMinus())),
        weight(operands.add(op.getWeight())) {}

  /// Whether it keeps a neuron; a NaN is kept.
  Value keeps(Scalars &s, ValueRange v) {
    auto compare = [&](arith::CmpFPredicate predicate, Value x, Value y) {
      return arith::CmpFOp::create(s.b, s.loc, predicate, x, y).getResult();
    };
    auto product = [&](Value x, int i) { return i < 0 ? x : s.mul(x, v[i]); };
    switch (op.getRule()) {
    case ffn::Rule::All:
      return s.constant(s.b.getI1Type(), 1);
    case ffn::Rule::Given:
      return v[score];
    case ffn::Rule::NonZero: {
      Value value = product(v[score], times);
      return compare(arith::CmpFPredicate::UNE, value,
                     s.constant(value.getType(), 0));
    }
    case ffn::Rule::Magnitude: {
      Value value = minus < 0 ? v[score] : s.sub(v[score], v[minus]);
      value = product(s.abs(product(value, times)), weight);
      return compare(arith::CmpFPredicate::UGT, value, op.getAbove());
    }
    }
    llvm_unreachable("a rule without scalar code");
  }

private:
  ffn::SelectOp op;
  int score, times, minus, weight;
};
} // namespace

/// Whether each neuron's group is kept, when groups are more than neurons.
static Tensor keptGroups(Lowering &l, ffn::SelectOp select,
                         ArrayRef<Size> shape) {
  int64_t group = select.getType().getGroup(), rank = shape.size();
  Operands operands(l);
  Rule rule(select, operands);
  Type flag = l.b.getI1Type();
  Tensor kept =
      l.map(operands.get(), flag, shape,
            [&](Scalars &s, ValueRange v) { return rule.keeps(s, v); });
  Sizes split(shape);
  split.back() = l.size(select.getType().getNeurons() / group);
  split.push_back(l.size(group));
  Tensor any = l.reduce(
      l.reshape(kept, split), {rank}, flag, l.scalarConstant(flag, 0),
      [](Scalars &s, ValueRange v) { return s.logicalOr(v[1], v[0]); });
  any = l.map(l.keepDims(any, {rank}), flag, split,
              [](Scalars &, ValueRange v) { return v[0]; });
  return l.reshape(any, shape);
}

/// `value` where the neuron is kept, else 0; of `shape`.
static Tensor whereKept(Lowering &l, ffn::SelectOp select, Operands operands,
                        Type type, ArrayRef<Size> shape, ScalarBody value) {
  bool isGrouped =
      select.getType().getGroup() > 1 && select.getRule() != ffn::Rule::All;
  int flag = isGrouped ? operands.add(keptGroups(l, select, shape)) : -1;
  std::optional<Rule> rule;
  if (!isGrouped)
    rule.emplace(select, operands);
  return l.map(operands.get(), type, shape, [&](Scalars &s, ValueRange v) {
    Value kept = isGrouped ? v[flag] : rule->keeps(s, v);
    Value result = value(s, v);
    return s.select(kept, result, s.constant(result.getType(), 0));
  });
}

/// The share of kept neurons, over all rows.
static void lowerDensity(ffn::DensityOp op, Lowering &l) {
  auto select = op.getSelection().getDefiningOp<ffn::SelectOp>();
  Type f32 = l.b.getF32Type();
  Value score = select.getScore();
  if (!score) { // all
    op.replaceAllUsesWith(l.scalarConstant(f32, 1));
    return;
  }
  Sizes shape = l.lookup(score).shape;
  Tensor kept =
      whereKept(l, select, Operands(l), f32, shape,
                [&](Scalars &s, ValueRange) { return s.constant(f32, 1); });
  SmallVector<int64_t> all =
      llvm::to_vector(llvm::seq<int64_t>(0, kept.rank()));
  Tensor sum =
      l.reduce(kept, all, f32, l.scalarConstant(f32, 0),
               [](Scalars &s, ValueRange v) { return s.add(v[1], v[0]); });
  Scalars s(l.b, l.loc);
  Value count = s.fromIndex(l.index(l.product(shape)), l.b.getI64Type());
  count = s.cast(count, count.getType(), f32);
  Value share = s.div(l.extract(s, sum, {}), count);
  op.replaceAllUsesWith(share);
}

//===----------------------------------------------------------------------===//
// Corrections
//===----------------------------------------------------------------------===//

static void lowerCorrect(ffn::CorrectOp op, Lowering &l) {
  auto select = op.getSelection().getDefiningOp<ffn::SelectOp>();
  Tensor x = l.lookup(op.getX());
  auto known = [&](Value value, Value weight, Value bias,
                   ffn::Activation kind) {
    return value ? l.lookup(value) : project(l, x, weight, bias, kind);
  };
  bool isGated = !!op.getGate();
  Tensor act =
      known(op.getKnownGate(), isGated ? op.getGate() : op.getUp(),
            isGated ? op.getGateBias() : op.getUpBias(), op.getActivation());
  Operands operands(l);
  int gate = operands.add(act), minus = operands.add(op.getMinus()), up = -1;
  if (isGated)
    up = operands.add(
        known(op.getKnownUp(), op.getUp(), op.getUpBias(),
              op.getUpActivation().value_or(ffn::Activation::Identity)));
  Tensor hidden =
      whereKept(l, select, operands, x.elementType, act.shape,
                [&](Scalars &s, ValueRange v) {
                  Value value = minus < 0 ? v[gate] : s.sub(v[gate], v[minus]);
                  return up < 0 ? value : s.mul(value, v[up]);
                });
  l.set(op.getY(), contract(l, hidden, l.lookup(op.getDown())));
}

void lowering::lowerFfn(Operation *op, Lowering &l) {
  if (auto block = dyn_cast<ffn::BlockOp>(op))
    lowerBlock(block, l);
  else if (auto score = dyn_cast<ffn::ScoreOp>(op))
    lowerScore(score, l);
  else if (auto linear = dyn_cast<ffn::LinearOp>(op))
    lowerLinear(linear, l);
  else if (auto density = dyn_cast<ffn::DensityOp>(op))
    lowerDensity(density, l);
  else if (auto correct = dyn_cast<ffn::CorrectOp>(op))
    lowerCorrect(correct, l);
  else if (auto sum = dyn_cast<arith::AddFOp>(op);
           sum && isa<RankedTensorType>(sum.getType()))
    l.set(sum, addBias(l, l.lookup(sum.getLhs()), l.lookup(sum.getRhs())));
}
