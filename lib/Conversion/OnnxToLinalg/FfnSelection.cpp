// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rules of selections as scalar code, and what corrections project with.
#include "FfnSelection.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;

int Operands::add(Tensor tensor) {
  for (auto [i, known] : llvm::enumerate(tensors))
    if (known.value == tensor.value)
      return i;
  tensors.push_back(tensor);
  return tensors.size() - 1;
}

Rule::Rule(ffn::SelectOp op, Operands &operands)
    : op(op), score(operands.add(op.getScore())),
      times(operands.add(op.getTimes())), minus(operands.add(op.getMinus())),
      weight(operands.add(op.getWeight())) {}

Value Rule::keeps(Scalars &s, ValueRange v) {
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

Tensor lowering::keptNeurons(Lowering &l, ffn::SelectOp select,
                             ArrayRef<Size> shape) {
  int64_t group = select.getType().getGroup(), rank = shape.size();
  Operands operands(l);
  Rule rule(select, operands);
  Type flag = l.b.getI1Type();
  Tensor kept =
      l.map(operands.get(), flag, shape,
            [&](Scalars &s, ValueRange v) { return rule.keeps(s, v); });
  if (group == 1)
    return kept;
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

Keeps::Keeps(Lowering &l, ffn::SelectOp select, ArrayRef<Size> shape,
             Operands &operands) {
  if (select.getType().getGroup() > 1)
    mask = operands.add(keptNeurons(l, select, shape));
  else
    rule.emplace(select, operands);
}

Value Keeps::operator()(Scalars &s, ValueRange v) {
  return rule ? rule->keeps(s, v) : v[mask];
}

Tensor lowering::keptColumns(Lowering &l, ffn::KeepOp op) {
  Tensor x = l.lookup(op.getX());
  Operands operands(l);
  int value = operands.add(x);
  Keeps keeps(l, op.getSelection().getDefiningOp<ffn::SelectOp>(), x.shape,
              operands);
  return l.map(operands.get(), x.elementType, x.shape,
               [&](Scalars &s, ValueRange v) {
                 return s.select(keeps(s, v), v[value],
                                 s.constant(v[value].getType(), 0));
               });
}

/// The weight is transposed now when it is a constant.
static Projection neuronMajor(Lowering &l, Value weight, Value bias,
                              Activated activation) {
  Projection result{l.transpose(l.lookup(weight), {1, 0}), {}, activation};
  if (bias)
    result.bias = l.lookup(bias);
  return result;
}

Projection lowering::actProjection(Lowering &l, Correction &c) {
  ffn::CorrectOp op = c.op;
  return c.isGated()
             ? neuronMajor(l, op.getGate(), op.getGateBias(), Activated::of(op))
             : upProjection(l, c);
}

Projection lowering::upProjection(Lowering &l, Correction &c) {
  ffn::CorrectOp op = c.op;
  return neuronMajor(
      l, op.getUp(), op.getUpBias(),
      c.isGated() ? op.getUpActivation().value_or(ffn::Activation::Identity)
                  : Activated::of(op));
}
