// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// --kernel-narrow-types: products and attentions on bf16 operands, summed in
// f32, and weights in bf16 or int8 whatever the operands are. What only such
// operands use is rounded where it is made; residual streams, norms and softmax
// stay f32. Constants are NarrowWeights.cpp's; which instructions multiply what
// is the lowerings' matter.
#include "FormRegionsInternal.h"
#include "NarrowWeights.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "sparse-opt/Transforms/Passes.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELNARROWTYPES
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

namespace {

struct NarrowTypes : sparse_opt::impl::KernelNarrowTypesBase<NarrowTypes> {
  using KernelNarrowTypesBase::KernelNarrowTypesBase;

  void runOnOperation() override {
    if (failed(readOptions()))
      return signalPassFailure();
    SmallVector<Operation *> regions;
    getOperation().walk([&](Operation *op) {
      if (isa<kernel::ProductOp, kernel::AttentionOp, kernel::SelectedProductOp,
              kernel::SelectedSumOp>(op) &&
          op->getNumResults() == 1)
        regions.push_back(op);
    });
    // 1. Weights, one after the other, and what looks rows of them up.
    narrowConstants(regions);
    if (!narrowsOperands)
      return;
    // 2. Operands, then what is made for them alone.
    for (Operation *op : regions) {
      OpBuilder builder(op);
      if (auto product = dyn_cast<kernel::ProductOp>(op))
        narrowOperands(product.getXMutable(), product.getWeight());
      else if (auto selected = dyn_cast<kernel::SelectedProductOp>(op))
        narrowOperands(selected.getXMutable(), selected.getWeight());
      else if (auto sum = dyn_cast<kernel::SelectedSumOp>(op))
        roundValues(sum, builder);
      else if (auto attention = dyn_cast<kernel::AttentionOp>(op))
        narrowOperands(attention, builder);
    }
    for (Operation *op : llvm::reverse(moved))
      if (op->use_empty())
        op->erase();
    for (Operation *op : regions)
      if (isa<kernel::ProductOp, kernel::AttentionOp>(op))
        narrowResult(op);
  }

private:
  LogicalResult readOptions() {
    auto isKnown = [](StringRef type) {
      return type == "f32" || type == "bf16";
    };
    if (!isKnown(operands) || !(isKnown(weights) || weights == "int8"))
      return getOperation().emitError("there are operands of f32 and bf16, and "
                                      "weights of f32, bf16 and int8");
    narrowsOperands = operands == "bf16";
    return success();
  }

  /// What the weights of products of `k` inputs and `n` neurons become; null:
  /// they stay f32. Small ones stay in cache: int8 gains nothing there.
  Type typeOf(int64_t k, int64_t n, Operation *op = nullptr) {
    Builder builder(&getContext());
    auto own =
        op ? op->getAttrOfType<TypeAttr>(kernel::weightTypeAttr) : TypeAttr();
    bool isInt8 = weights == "int8" || (own && own.getValue().isInteger(8));
    if (isInt8 && k * n >= minInt8Elements)
      return builder.getI8Type();
    if (weights == "f32" || (weights == "int8" && !narrowsOperands))
      return nullptr;
    return builder.getBF16Type();
  }

  void narrowConstants(ArrayRef<Operation *> regions) {
    WeightNarrower narrower(getOperation());
    for (Operation *op : regions)
      if (auto product = dyn_cast<kernel::ProductOp>(op))
        narrowWeight(op, product.getX(), product.getWeight(),
                     shapeOf(product.getOut())[1], narrower);
      else if (auto selected = dyn_cast<kernel::SelectedProductOp>(op))
        narrowWeight(op, selected.getX(), selected.getWeight(),
                     shapeOf(selected.getWeight())[0], narrower);
      else if (auto sum = dyn_cast<kernel::SelectedSumOp>(op))
        narrowWeight(op, sum.getValues(), sum.getWeight(),
                     shapeOf(sum.getOut())[1], narrower);
    Type type = typeOf(minInt8Elements, 1);
    if (!type)
      return;
    SmallVector<arith::ConstantOp> constants;
    getOperation().walk([&](arith::ConstantOp op) { constants.push_back(op); });
    for (arith::ConstantOp op : constants)
      numTables += narrower.narrowLookups(op, type, minTableBytes);
  }

  static ArrayRef<int64_t> shapeOf(Value value) {
    return cast<ShapedType>(value.getType()).getShape();
  }

  /// `n` neurons on the columns of `x`.
  void narrowWeight(Operation *op, Value x, Value weight, int64_t n,
                    WeightNarrower &narrower) {
    if (!getElementTypeOrSelf(x.getType()).isF32())
      return;
    auto narrow = [&](Type type) {
      if (auto product = dyn_cast<kernel::ProductOp>(op))
        return narrower.narrowProduct(product, type);
      return narrower.narrowSelected(op, type);
    };
    Type type = typeOf(shapeOf(x)[1], n, op);
    if (!type)
      return;
    // What can't be int8 is as without it.
    if (succeeded(narrow(type)) ||
        (narrowsOperands &&
         succeeded(narrow(BFloat16Type::get(&getContext())))))
      ++numWeights;
    else
      ++numOtherWeights;
  }

  void narrowOperands(OpOperand &x, Value weight) {
    if (!getElementTypeOrSelf(x.get().getType()).isF32() ||
        !weight.getDefiningOp<arith::ConstantOp>())
      return;
    x.set(narrowed(x.get()));
    ++numProducts;
  }

  void narrowOperands(kernel::AttentionOp op, OpBuilder &builder) {
    if (!getElementTypeOrSelf(op.getQ().getType()).isF32())
      return;
    for (OpOperand *operand :
         {&op.getQMutable(), &op.getKMutable(), &op.getVMutable()})
      operand->set(narrowed(operand->get()));
    roundYield(op.getProbability(), builder);
    ++numAttentions;
  }

  /// Values of selected neurons are rounded where they are made, as the
  /// operand of the whole product would be, and kept in f32.
  void roundValues(kernel::SelectedSumOp op, OpBuilder &builder) {
    auto values = cast<OpResult>(op.getValues());
    Operation *maker = values.getOwner();
    auto isSummed = [&](OpOperand &use) {
      auto sum = dyn_cast<kernel::SelectedSumOp>(use.getOwner());
      return sum && use == sum.getValuesMutable() &&
             sum.getWeight().getDefiningOp<arith::ConstantOp>();
    };
    if (!isa<kernel::SelectOp, kernel::SelectedProductOp>(maker) ||
        !llvm::all_of(values.getUses(), isSummed))
      return;
    op.setBf16Values(true);
    ++numProducts;
    if (!makers.insert(maker).second)
      return; // for another sum
    Operation *yield = maker->getRegion(0).front().getTerminator();
    OpOperand &value =
        yield->getOpOperand(isa<kernel::SelectOp>(maker) ? 1 : 0);
    builder.setInsertionPoint(yield);
    Value rounded = arith::TruncFOp::create(builder, op.getLoc(),
                                            builder.getBF16Type(), value.get());
    value.set(arith::ExtFOp::create(builder, op.getLoc(), builder.getF32Type(),
                                    rounded));
  }

  /// A region's yielded f32 becomes bf16.
  static void roundYield(Region &region, OpBuilder &builder) {
    OpBuilder::InsertionGuard guard(builder);
    Operation *yield = region.front().getTerminator();
    builder.setInsertionPoint(yield);
    yield->setOperand(0, arith::TruncFOp::create(builder, yield->getLoc(),
                                                 builder.getBF16Type(),
                                                 yield->getOperand(0)));
  }

  static RankedTensorType narrowType(Type type) {
    return cast<RankedTensorType>(type).clone(
        BFloat16Type::get(type.getContext()));
  }

  /// `value` in bf16; what only moves elements does so on bf16.
  Value narrowed(Value value) {
    Value &known = narrow[value];
    if (known)
      return known;
    Operation *op = value.getDefiningOp();
    OpBuilder builder(value.getContext());
    builder.setInsertionPointAfterValue(value);
    if (isa_and_nonnull<tensor::CollapseShapeOp, tensor::ExpandShapeOp,
                        tensor::CastOp>(op)) {
      Value source = narrowed(op->getOperand(0));
      Operation *clone = builder.clone(*op);
      clone->setOperand(0, source);
      clone->getResult(0).setType(narrowType(value.getType()));
      moved.insert(op);
      return narrow[value] = clone->getResult(0);
    }
    return narrow[value] = rounded(builder, value);
  }

  static Value rounded(OpBuilder &builder, Value value) {
    Type bf16 = builder.getBF16Type();
    return mapElements(builder, value.getLoc(), value, bf16,
                       [&](OpBuilder &nested, Location loc, Value element) {
                         return arith::TruncFOp::create(nested, loc, bf16,
                                                        element);
                       });
  }

  /// A result that is only rounded is made in bf16.
  void narrowResult(Operation *op) {
    Value result = op->getResult(0);
    Value known = narrow.lookup(result);
    if (!known || !known.getDefiningOp<linalg::GenericOp>())
      return;
    Operation *rounding = known.getDefiningOp();
    // The rounding asks for the result's sizes too.
    for (Operation *user : result.getUsers())
      if (user != rounding && !isa<tensor::DimOp>(user))
        return;
    auto destination = cast<DestinationStyleOpInterface>(op);
    OpOperand &init = *destination.getDpsInitOperand(0);
    OpBuilder builder(op);
    auto empty = init.get().getDefiningOp<tensor::EmptyOp>();
    if (!empty)
      return;
    init.set(tensor::EmptyOp::create(
        builder, op->getLoc(), empty.getMixedSizes(), builder.getBF16Type()));
    result.setType(narrowType(result.getType()));
    if (auto product = dyn_cast<kernel::ProductOp>(op))
      roundYield(product.getEpilogue(), builder);
    known.replaceAllUsesWith(result);
    rounding->erase();
    ++numResults;
  }

  bool narrowsOperands = false;
  llvm::MapVector<Value, Value> narrow;
  llvm::SetVector<Operation *> moved;
  llvm::SmallPtrSet<Operation *, 16> makers; ///< of values that are rounded
};

} // namespace
