// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Corrections of few rows: the neurons that any of the rows keeps are listed
// (kernel.select), then only their rows of the weights are read
// (kernel.selected_product, kernel.selected_sum). So are, for scores of kept
// columns, the rows of gate and up.
#include "FfnSelection.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;

/// Rows of as many elements need no padding, whatever type they become.
constexpr int64_t wholeLine = 64;

/// A constant f32 matrix that is stored as selected ops read it.
static bool isNeuronMajor(Tensor weight) {
  auto type = dyn_cast<RankedTensorType>(weight.value.getType());
  return type && type.hasStaticShape() && type.getElementType().isF32() &&
         type.getDimSize(1) % wholeLine == 0 &&
         weight.value.getDefiningOp<arith::ConstantOp>();
}

bool lowering::fitsKernels(Lowering &l, Correction &c) {
  ffn::CorrectOp op = c.op;
  auto sums = [&](ffn::ScoreOp score) { // of rows of its weight
    return isNeuronMajor(l.lookup(score.getWeight()));
  };
  auto divides = [&](Value weight) { // transposed it has no padding
    auto type = cast<RankedTensorType>(weight.getType());
    return type.hasStaticShape() && type.getDimSize(0) % wholeLine == 0 &&
           weight.getDefiningOp<onnx::ConstantOp>();
  };
  return c.x.elementType.isF32() && c.select.getRule() != ffn::Rule::All &&
         (c.act ||
          (c.actScore ? sums(c.actScore)
                      : divides(op.getGate() ? op.getGate() : op.getUp()))) &&
         (!c.isGated() || c.up ||
          (c.upScore ? sums(c.upScore) : divides(op.getUp()))) &&
         isNeuronMajor(c.down);
}

namespace {
/// What has been selected, and a value for each row of it.
struct Selected {
  Value list, count, values;
};

/// Code for the rows of one correction.
class FewRows {
public:
  FewRows(Lowering &l, Correction known)
      : l(l), c(std::move(known)),
        rows(l.product(ArrayRef<Size>(c.x.shape).drop_back())) {}

  Tensor emit() {
    if (c.hasOwnScores())
      scoreKept();
    Selected selected = select(c.select, c.shape,
                               {c.act, c.up, c.act ? c.minus : std::nullopt});
    Sizes shape(c.x.shape);
    shape.back() = c.down.shape.back();
    return guarded(
               selected, countedNeurons(c), c.op.getAllAbove(), shape, 1,
               [&] { return Tensors{correctManyRows(l, c, /*all=*/true)}; },
               [&] { return Tensors{correct(selected)}; })
        .front();
  }

private:
  using Body = llvm::function_ref<SmallVector<Value>(Scalars &, ValueRange)>;
  using Tensors = SmallVector<Tensor, 2>;
  using Make = llvm::function_ref<Tensors()>;

  /// The `results` tensors of `shape` that `skip` makes of the selected or,
  /// where those are more than the share `allAbove` of all, `whole`.
  Tensors guarded(const Selected &selected, const Counted &counted,
                  Value allAbove, ArrayRef<Size> shape, unsigned results,
                  Make whole, Make skip) {
    if (!allAbove) {
      noteSelected(selected, counted, /*guarded=*/false);
      return skip();
    }
    SmallVector<Type> types(results, l.tensorType(shape, c.x.elementType));
    auto branch = scf::IfOp::create(l.b, l.loc, types,
                                    isDense(selected, counted.size, allAbove),
                                    /*withElseRegion=*/true);
    auto fill = [&](Region &region, bool isGuarded, Make make) {
      OpBuilder::InsertionGuard guard(l.b);
      l.b.setInsertionPointToEnd(&region.front());
      noteSelected(selected, counted, isGuarded);
      SmallVector<Value> values;
      for (const Tensor &tensor : make())
        values.push_back(tensor.value);
      scf::YieldOp::create(l.b, l.loc, values);
    };
    fill(branch.getThenRegion(), /*isGuarded=*/true, whole);
    fill(branch.getElseRegion(), /*isGuarded=*/false, skip);
    Tensors made;
    for (Value result : branch.getResults())
      made.push_back({result, Sizes(shape), c.x.elementType});
    return made;
  }

  /// What a selected neuron's value is made of: (act - minus) * up.
  struct Factors {
    std::optional<Tensor> act, up, minus;
  };

  /// The scores of kept columns are known from here on.
  void scoreKept() {
    ffn::KeepOp keep = c.keep();
    Tensor x = l.lookup(keep.getX());
    Selected selected =
        select(keep.getSelection().getDefiningOp<ffn::SelectOp>(), x.shape,
               {x, std::nullopt, std::nullopt});
    SmallVector<ffn::ScoreOp, 2> scores;
    for (ffn::ScoreOp score : {c.actScore, c.upScore})
      if (score)
        scores.push_back(score);
    auto whole = [&] {
      Correction dense = c;
      scoreDensely(l, dense);
      Tensors made;
      for (ffn::ScoreOp score : scores)
        made.push_back(l.lookup(score.getResult()));
      return made;
    };
    auto skip = [&] {
      Tensors made;
      for (ffn::ScoreOp score : scores) {
        std::optional<Tensor> bias;
        if (score.getBias())
          bias = l.lookup(score.getBias());
        made.push_back(sum(selected, l.lookup(score.getWeight()), bias,
                           Activated::of(score)));
      }
      return made;
    };
    Tensors made =
        guarded(selected, countedColumns(c), keep.getAllAbove(), c.shape,
                static_cast<unsigned>(scores.size()), whole, skip);
    for (auto [score, tensor] : llvm::zip_equal(scores, made))
      l.set(score.getResult(), tensor);
    if (c.actScore)
      c.act = made.front();
    if (c.upScore)
      c.up = made.back();
  }

  /// More of the `size` than skipping is worth.
  Value isDense(const Selected &selected, int64_t size, Value allAbove) {
    Value most = arith::MulFOp::create(
        l.b, l.loc, allAbove,
        arith::ConstantOp::create(l.b, l.loc, l.b.getF32FloatAttr(size)));
    Value number =
        arith::SIToFPOp::create(l.b, l.loc, f32(), numberOf(selected));
    return arith::CmpFOp::create(l.b, l.loc, arith::CmpFPredicate::OGT, number,
                                 most);
  }

  Value numberOf(const Selected &selected) {
    return tensor::ExtractOp::create(l.b, l.loc, selected.count, ValueRange());
  }

  void noteSelected(const Selected &selected, const Counted &counted,
                    bool guarded) {
    Value number = arith::IndexCastOp::create(l.b, l.loc, l.b.getIndexType(),
                                              numberOf(selected));
    noteRows(l, counted, l.index(rows), number, guarded);
  }

  Tensor correct(Selected selected) {
    if (!c.act) {
      Projection to = actProjection(l, c);
      selected.values = product(selected, to, c.minus);
    }
    if (c.isGated() && !c.up)
      selected.values = product(selected, upProjection(l, c), {});
    return sum(selected, c.down, {}, ffn::Activation::Identity);
  }

  Value rowsBy(int64_t columns) {
    return l.empty({rows, l.size(columns)}, f32());
  }
  Type f32() { return l.b.getF32Type(); }
  Value asRows(Tensor tensor) {
    return l.reshape(tensor, {rows, tensor.shape.back()}).value;
  }

  void fill(Region &region, ValueRange extras, Body body) {
    OpBuilder::InsertionGuard guard(l.b);
    Block *block = l.b.createBlock(&region);
    block->addArgument(f32(), l.loc);
    for (Value extra : extras)
      block->addArgument(getElementTypeOrSelf(extra.getType()), l.loc);
    Scalars s(l.b, l.loc);
    kernel::YieldOp::create(l.b, l.loc, body(s, block->getArguments()));
  }

  /// What of `shape` is kept, and what is known of its values.
  Selected select(ffn::SelectOp kept, ArrayRef<Size> shape,
                  const Factors &factors) {
    Operands operands(l);
    std::optional<Rule> rule;
    bool isMask =
        kept.getType().getGroup() > 1 || kept.getRule() == ffn::Rule::Given;
    if (isMask)
      operands.add(l.map(keptNeurons(l, kept, shape), f32(),
                         [&](Scalars &s, ValueRange v) {
                           return s.cast(v[0], v[0].getType(), f32());
                         }));
    else
      rule.emplace(kept, operands);
    int act = factors.act ? operands.add(*factors.act) : -1;
    int up = factors.up ? operands.add(*factors.up) : -1;
    int minus = factors.minus ? operands.add(*factors.minus) : -1;
    SmallVector<Value> inputs;
    for (const Tensor &tensor : operands.get())
      inputs.push_back(tensor.rank() == 1 ? tensor.value : asRows(tensor));
    int64_t neurons = kept.getType().getNeurons();
    Type i32 = l.b.getI32Type();
    Value list = l.empty({l.size(neurons)}, i32), count = l.empty({}, i32);
    Value values = rowsBy(neurons);
    auto op = kernel::SelectOp::create(
        l.b, l.loc,
        TypeRange{list.getType(), count.getType(), values.getType()}, inputs[0],
        ArrayRef(inputs).drop_front(), list, count, values);
    fill(op.getRule(), ArrayRef(inputs).drop_front(),
         [&](Scalars &s, ValueRange v) -> SmallVector<Value> {
           Value keep = isMask
                            ? arith::CmpFOp::create(s.b, s.loc,
                                                    arith::CmpFPredicate::UNE,
                                                    v[0], s.constant(f32(), 0))
                                  .getResult()
                            : rule->keeps(s, v);
           Value value = act < 0 ? Value() : v[act];
           if (minus >= 0)
             value = s.sub(value, v[minus]);
           if (up >= 0)
             value = value ? s.mul(value, v[up]) : v[up];
           return {keep, value ? value : s.constant(f32(), 1)};
         });
    return {op.getResult(0), op.getResult(1), op.getResult(2)};
  }

  /// value * (act(x weight + bias) - minus) of each selected neuron
  Value product(const Selected &selected, const Projection &to,
                std::optional<Tensor> minus) {
    SmallVector<Value> extras = {selected.values};
    if (to.bias)
      extras.push_back(to.bias->value);
    if (minus)
      extras.push_back(minus->value);
    Value out = rowsBy(c.neurons());
    auto op = kernel::SelectedProductOp::create(
        l.b, l.loc, out.getType(), asRows(c.x), to.weight.value, selected.list,
        selected.count, extras, out);
    fill(op.getEpilogue(), extras,
         [&](Scalars &s, ValueRange v) -> SmallVector<Value> {
           Value sum = to.bias ? s.add(v[0], v[2]) : v[0];
           Value act = to.activation(s, sum);
           if (minus)
             act = s.sub(act, v.back());
           return {s.mul(act, v[1])};
         });
    return op.getResult();
  }

  /// act(values weight + bias), of the selected rows of the weight
  Tensor sum(const Selected &selected, Tensor weight,
             std::optional<Tensor> bias, Activated activation) {
    int64_t columns =
        cast<RankedTensorType>(weight.value.getType()).getDimSize(1);
    SmallVector<Value> extras;
    if (bias)
      extras.push_back(bias->value);
    Value out = rowsBy(columns);
    auto op = kernel::SelectedSumOp::create(
        l.b, l.loc, out.getType(), selected.values, weight.value, selected.list,
        selected.count, extras, out);
    fill(op.getEpilogue(), extras,
         [&](Scalars &s, ValueRange v) -> SmallVector<Value> {
           return {activation(s, bias ? s.add(v[0], v[1]) : v[0])};
         });
    Sizes shape(c.x.shape);
    shape.back() = l.size(columns);
    return l.reshape({op.getResult(), {rows, shape.back()}, f32()}, shape);
  }

  Lowering &l;
  Correction c;
  Size rows;
};
} // namespace

Tensor lowering::correctFewRows(Lowering &l, Correction c) {
  return FewRows(l, std::move(c)).emit();
}
