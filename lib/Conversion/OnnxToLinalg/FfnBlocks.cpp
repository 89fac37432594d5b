// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Feed-forward blocks, dense and compressed. A correction has two forms. For
// many rows every neuron of every row is computed, and those that aren't
// selected count 0: the masks are part of an element-wise op, so that it costs
// what the dense block costs. For few rows it is FfnFewRows.cpp's.
#include "FfnSelection.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;

Value Activated::operator()(Scalars &s, Value x) const {
  switch (kind) {
  case ffn::Activation::Identity:
    return x;
  case ffn::Activation::Relu:
    if (cutoff) {
      Value most = s.constant(x.getType(), cutoff->convertToFloat());
      return s.select(s.less(most, x), x, s.constant(x.getType(), 0));
    }
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

Tensor lowering::project(Lowering &l, Tensor x, Value weight, Value bias,
                         Activated activation) {
  Tensor result = contract(l, x, l.lookup(weight));
  if (bias)
    result = addBias(l, result, l.lookup(bias));
  if (activation.kind == ffn::Activation::Identity)
    return result;
  return l.map(result, result.elementType,
               [&](Scalars &s, ValueRange v) { return activation(s, v[0]); });
}

static void lowerBlock(ffn::BlockOp op, Lowering &l) {
  Tensor x = l.lookup(op.getX());
  ffn::Activation identity = ffn::Activation::Identity;
  Tensor hidden;
  if (op.getGate()) {
    Tensor gate =
        project(l, x, op.getGate(), op.getGateBias(), Activated::of(op));
    Tensor up = project(l, x, op.getUp(), op.getUpBias(),
                        op.getUpActivation().value_or(identity));
    hidden = l.map({gate, up}, x.elementType,
                   [](Scalars &s, ValueRange v) { return s.mul(v[0], v[1]); });
  } else {
    hidden = project(l, x, op.getUp(), op.getUpBias(), Activated::of(op));
  }
  l.set(op.getY(),
        project(l, hidden, op.getDown(), op.getDownBias(), identity));
}

/// True for scores of kept columns that one correction alone reads, which
/// computes them then: whether rows are few decides about all of a block.
static bool isLeftToCorrection(ffn::ScoreOp op) {
  auto keep = op.getX().getDefiningOp<ffn::KeepOp>();
  ffn::CorrectOp owner;
  for (Operation *user : op->getUsers())
    if (auto correct = dyn_cast<ffn::CorrectOp>(user))
      owner = correct;
  if (!keep || !owner || owner.getX() != keep.getY())
    return false;
  return llvm::all_of(op->getUsers(), [&](Operation *user) {
    return user == owner || (user == owner.getSelection().getDefiningOp() &&
                             owner.getSelection().hasOneUse());
  });
}

static void lowerScore(ffn::ScoreOp op, Lowering &l) {
  if (isLeftToCorrection(op))
    return;
  l.set(op.getResult(), project(l, l.lookup(op.getX()), op.getWeight(),
                                op.getBias(), Activated::of(op)));
}

static void lowerLinear(ffn::LinearOp op, Lowering &l) {
  Tensor x = l.lookup(op.getX()), offset = l.lookup(op.getOffset());
  if (op.getFolded()) {
    Tensor product = contract(l, x, l.lookup(op.getFolded()));
    if (TypeAttr stored = op.getStoredAttr())
      if (auto generic = product.value.getDefiningOp<linalg::GenericOp>())
        generic->setAttr(kernel::weightTypeAttr, stored);
    l.set(op.getY(), addBias(l, product, offset));
    return;
  }
  Sizes shape(ArrayRef<Size>(x.shape).drop_back());
  shape.push_back(offset.shape.back());
  l.set(op.getY(), l.map(offset, x.elementType, shape,
                         [](Scalars &, ValueRange v) { return v[0]; }));
}

/// The share of kept neurons, over all rows.
static void lowerDensity(ffn::DensityOp op, Lowering &l) {
  auto select = op.getSelection().getDefiningOp<ffn::SelectOp>();
  Type f32 = l.b.getF32Type();
  if (!select.getScore()) { // all
    op.replaceAllUsesWith(l.scalarConstant(f32, 1));
    return;
  }
  Sizes shape = l.lookup(select.getScore()).shape;
  Tensor kept = keptNeurons(l, select, shape);
  SmallVector<int64_t> all =
      llvm::to_vector(llvm::seq<int64_t>(0, kept.rank()));
  Tensor sum = l.reduce(kept, all, f32, l.scalarConstant(f32, 0),
                        [&](Scalars &s, ValueRange v) {
                          return s.add(v[1], s.cast(v[0], v[0].getType(), f32));
                        });
  Scalars s(l.b, l.loc);
  Value count = s.fromIndex(l.index(l.product(shape)), l.b.getI64Type());
  count = s.cast(count, count.getType(), f32);
  op.replaceAllUsesWith(s.div(l.extract(s, sum, {}), count));
}

//===----------------------------------------------------------------------===//
// Corrections
//===----------------------------------------------------------------------===//

/// x times a neuron-major weight, one linalg.generic over (rows..., n, k).
static Tensor projectNeurons(Lowering &l, Tensor x, const Projection &to) {
  int64_t rows = x.rank() - 1, n = rows, k = rows + 1, loops = rows + 2;
  IntList read = llvm::to_vector<6>(llvm::seq<int64_t>(0, rows));
  read.push_back(k);
  Sizes bounds(ArrayRef<Size>(x.shape).drop_back());
  bounds.append({to.weight.shape[0], x.shape.back()});
  Type type = computeType(x.elementType);
  Tensor result = l.generic(
      bounds, {{x, l.dims(loops, read)}, {to.weight, l.dims(loops, {n, k})}},
      l.b.getMultiDimIdentityMap(loops).getMajorSubMap(loops - 1), type,
      l.scalarConstant(type, 0),
      [](Scalars &s, ValueRange v) { return s.add(v[2], s.mul(v[0], v[1])); });
  result = l.cast(result, x.elementType);
  if (to.bias)
    result = addBias(l, result, *to.bias);
  return l.map(result, result.elementType, [&](Scalars &s, ValueRange v) {
    return to.activation(s, v[0]);
  });
}

Counted lowering::countedNeurons(Correction &c) {
  return {c.op.getBlockNameAttr(), c.neurons(), c.op.getDensityBandAttr()};
}

Counted lowering::countedColumns(Correction &c) {
  ffn::KeepOp keep = c.keep();
  StringAttr block = c.op.getBlockNameAttr();
  return {
      block ? StringAttr::get(block.getContext(), block.getValue() + ".inputs")
            : StringAttr(),
      keep.getSelection().getType().getNeurons(), keep.getDensityBandAttr()};
}

void lowering::noteRows(Lowering &l, const Counted &counted, Value rows,
                        Value selected, bool guarded) {
  if (counted.name)
    kernel::NoteRowsOp::create(l.b, l.loc, counted.name, rows, selected,
                               l.b.getI64IntegerAttr(counted.size),
                               guarded ? l.b.getUnitAttr() : UnitAttr(),
                               counted.band);
}

/// What isn't selected is exactly zero, so adding it changes nothing.
static bool selectsNonZeros(Correction &c) {
  ffn::SelectOp select = c.select;
  return select.getRule() == ffn::Rule::NonZero && !c.minus &&
         select.getScore() == c.op.getKnownGate() &&
         (!select.getTimes() || select.getTimes() == c.op.getKnownUp());
}

void lowering::scoreDensely(Lowering &l, Correction &c) {
  std::optional<Tensor> x;
  auto compute = [&](ffn::ScoreOp score, std::optional<Tensor> &known) {
    if (!score || known)
      return;
    if (!x)
      x = keptColumns(l, c.keep());
    l.set(score.getResult(), project(l, *x, score.getWeight(), score.getBias(),
                                     Activated::of(score)));
    known = l.lookup(score.getResult());
  };
  compute(c.actScore, c.act);
  compute(c.upScore, c.up);
}

Tensor lowering::correctManyRows(Lowering &l, Correction c, bool all) {
  Size rows = l.product(ArrayRef<Size>(c.x.shape).drop_back());
  if (!all) { // else its caller did
    noteRows(l, countedNeurons(c), l.index(rows), /*selected=*/{});
    if (c.hasOwnScores())
      noteRows(l, countedColumns(c), l.index(rows), /*selected=*/{});
  }
  all |= selectsNonZeros(c);
  scoreDensely(l, c);
  Operands operands(l);
  int act = operands.add(c.act ? *c.act
                               : projectNeurons(l, c.x, actProjection(l, c)));
  int minus = c.minus ? operands.add(*c.minus) : -1, up = -1;
  if (c.isGated())
    up =
        operands.add(c.up ? *c.up : projectNeurons(l, c.x, upProjection(l, c)));
  std::optional<Keeps> keeps;
  if (!all)
    keeps.emplace(l, c.select, c.shape, operands);
  Tensor hidden = l.map(
      operands.get(), c.x.elementType, c.shape, [&](Scalars &s, ValueRange v) {
        Value value = minus < 0 ? v[act] : s.sub(v[act], v[minus]);
        value = up < 0 ? value : s.mul(value, v[up]);
        if (all)
          return value;
        return s.select((*keeps)(s, v), value, s.constant(value.getType(), 0));
      });
  return contract(l, hidden, c.down);
}

static void lowerCorrect(ffn::CorrectOp op, Lowering &l) {
  Correction c{op,
               op.getSelection().getDefiningOp<ffn::SelectOp>(),
               l.lookup(op.getX()),
               l.lookup(op.getDown()),
               {},
               {},
               {},
               {},
               {},
               {}};
  auto know = [&](Value known, std::optional<Tensor> &tensor,
                  ffn::ScoreOp &own) {
    auto score = known ? known.getDefiningOp<ffn::ScoreOp>() : ffn::ScoreOp();
    if (score && isLeftToCorrection(score))
      own = score;
    else if (known)
      tensor = l.lookup(known);
  };
  know(op.getKnownGate(), c.act, c.actScore);
  know(op.getKnownUp(), c.up, c.upScore);
  if (op.getMinus())
    c.minus = l.lookup(op.getMinus());
  c.shape.assign(c.x.shape.begin(), c.x.shape.end());
  c.shape.back() = l.size(c.neurons());
  Size rows = l.product(ArrayRef<Size>(c.x.shape).drop_back());
  std::optional<int64_t> known = getConstantIntValue(rows);
  bool fits = fitsKernels(l, c);
  if (!fits && c.select.getRule() != ffn::Rule::All)
    emitRemark(op.getLoc()) << "all neurons of this block are computed for few "
                               "rows too: kernels that skip them need f32 "
                               "constants whose widths are multiples of 64";
  if (!fits || (known && *known > fewRows))
    return l.set(op.getY(), correctManyRows(l, c));
  if (known)
    return l.set(op.getY(), correctFewRows(l, c));
  Sizes shape(c.x.shape);
  shape.back() = c.down.shape.back();
  Value few = arith::CmpIOp::create(
      l.b, l.loc, arith::CmpIPredicate::ule, l.index(rows),
      arith::ConstantIndexOp::create(l.b, l.loc, fewRows));
  auto branch =
      scf::IfOp::create(l.b, l.loc, l.tensorType(shape, c.x.elementType), few,
                        /*withElseRegion=*/true);
  auto fill = [&](Region &region, auto correct) {
    OpBuilder::InsertionGuard guard(l.b);
    l.b.setInsertionPointToEnd(&region.front());
    scf::YieldOp::create(l.b, l.loc, correct().value);
  };
  branch->setAttr(kernel::fewRowsAttr, l.b.getUnitAttr());
  fill(branch.getThenRegion(), [&] { return correctFewRows(l, c); });
  fill(branch.getElseRegion(), [&] { return correctManyRows(l, c); });
  l.set(op.getY(), {branch.getResult(0), shape, c.x.elementType});
}

void lowering::lowerFfn(Operation *op, Lowering &l) {
  if (auto block = dyn_cast<ffn::BlockOp>(op))
    lowerBlock(block, l);
  else if (auto score = dyn_cast<ffn::ScoreOp>(op))
    lowerScore(score, l);
  else if (auto linear = dyn_cast<ffn::LinearOp>(op))
    lowerLinear(linear, l);
  else if (auto keep = dyn_cast<ffn::KeepOp>(op))
    l.set(keep.getY(), keptColumns(l, keep));
  else if (auto knob = dyn_cast<ffn::KnobOp>(op))
    knob.replaceAllUsesWith(kernel::KnobOp::create(l.b, l.loc,
                                                   knob.getKnobNameAttr(),
                                                   knob.getValueAttr())
                                .getResult());
  else if (auto density = dyn_cast<ffn::DensityOp>(op))
    lowerDensity(density, l);
  else if (auto correct = dyn_cast<ffn::CorrectOp>(op))
    lowerCorrect(correct, l);
  else if (auto sum = dyn_cast<arith::AddFOp>(op);
           sum && isa<RankedTensorType>(sum.getType()))
    l.set(sum, addBias(l, l.lookup(sum.getLhs()), l.lookup(sum.getRhs())));
}
