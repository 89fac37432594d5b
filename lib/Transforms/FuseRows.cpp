// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A group of row-wise ops becomes one scf.forall over the rows. Inside, each
// op is what it was on slices of one row; values that only the group uses are
// as small as a row. What belongs together is decided in RowGroups.cpp.
#include "RowGroups.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "sparse-opt/Transforms/Passes.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELFUSEROWS
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

namespace {
/// A slice of a tensor: one row of the dimensions that are rows, all of the
/// others.
struct Slice {
  SmallVector<OpFoldResult> offsets, sizes, strides;
};

class RowFusion {
public:
  RowFusion(OpBuilder &builder, const RowGroup &group)
      : builder(builder), group(group) {}

  void run() {
    Operation *last = group.ops.back();
    for (Operation *op : group.ops)
      if (last->isBeforeInBlock(op))
        last = op;
    builder.setInsertionPoint(last);
    findResults();
    scf::ForallOp loop = createLoop(last->getLoc());
    fillLoop(loop);
    for (auto [value, result] : llvm::zip_equal(results, loop.getResults()))
      value.replaceAllUsesWith(result);
    for (Operation *op : llvm::reverse(group.ops))
      op->erase();
  }

private:
  /// Values of the group that others use.
  void findResults() {
    for (Operation *op : group.ops)
      for (Value value : op->getResults())
        if (llvm::any_of(value.getUsers(), [&](Operation *user) {
              Operation *inBlock = op->getBlock()->findAncestorOpInBlock(*user);
              return !group.ops.contains(inBlock);
            }))
          results.push_back(value);
  }

  /// A tensor like `value` that nothing has been written to; the one that a
  /// member writes over when it reads its init.
  Value destinationFor(Value value) {
    auto op = value.getDefiningOp<linalg::GenericOp>();
    OpOperand *init =
        op.getDpsInitOperand(cast<OpResult>(value).getResultNumber());
    if (op.payloadUsesValueFromOperand(init) && !isFill(init->get()))
      return init->get();
    Location loc = value.getLoc();
    SmallVector<OpFoldResult> sizes =
        tensor::getMixedSizes(builder, loc, init->get());
    return tensor::EmptyOp::create(builder, loc, sizes,
                                   getElementTypeOrSelf(value.getType()));
  }

  static linalg::FillOp fillOf(Value value) {
    return value.getDefiningOp<linalg::FillOp>();
  }
  static bool isFill(Value value) { return bool(fillOf(value)); }

  scf::ForallOp createLoop(Location loc) {
    auto first = cast<linalg::GenericOp>(group.ops.front());
    Value shaped = first.getDpsInits().front();
    SmallVector<OpFoldResult> sizes =
        tensor::getMixedSizes(builder, loc, shaped);
    sizes.truncate(group.rows);
    SmallVector<Value> destinations;
    for (Value value : results)
      destinations.push_back(destinationFor(value));
    return scf::ForallOp::create(builder, loc, sizes, destinations,
                                 /*mapping=*/std::nullopt);
  }

  void fillLoop(scf::ForallOp loop) {
    rows = loop.getInductionVars();
    for (auto [value, argument] :
         llvm::zip_equal(results, loop.getRegionIterArgs()))
      destinations[value] = argument;
    builder.setInsertionPoint(loop.getBody()->getTerminator());
    for (Operation *op : group.ops)
      cloneRow(cast<linalg::GenericOp>(op));
    SmallVector<Slice> slices;
    for (Value value : results)
      slices.push_back(sliceOf(value));
    builder.setInsertionPointToStart(&loop.getTerminator().getRegion().front());
    for (auto [value, slice] : llvm::zip_equal(results, slices)) {
      tensor::ParallelInsertSliceOp::create(
          builder, value.getLoc(), rowOf.lookup(value),
          destinations.lookup(value), slice.offsets, slice.sizes,
          slice.strides);
    }
  }

  /// Row of a value of the group: its leading dimensions are the rows.
  Slice sliceOf(Value value) {
    auto op = value.getDefiningOp<linalg::GenericOp>();
    OpOperand *init =
        op.getDpsInitOperand(cast<OpResult>(value).getResultNumber());
    return sliceThrough(op.getMatchingIndexingMap(init),
                        destinations.lookup(value));
  }

  Slice sliceThrough(AffineMap map, Value tensor) {
    Slice slice;
    SmallVector<OpFoldResult> sizes =
        tensor::getMixedSizes(builder, tensor.getLoc(), tensor);
    for (auto [expr, size] : llvm::zip_equal(map.getResults(), sizes)) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      bool isRow = dim && dim.getPosition() < group.rows;
      slice.offsets.push_back(isRow ? OpFoldResult(rows[dim.getPosition()])
                                    : builder.getIndexAttr(0));
      slice.sizes.push_back(isRow ? builder.getIndexAttr(1) : size);
      slice.strides.push_back(builder.getIndexAttr(1));
    }
    return slice;
  }

  Value extract(Value tensor, const Slice &slice) {
    return tensor::ExtractSliceOp::create(builder, tensor.getLoc(), tensor,
                                          slice.offsets, slice.sizes,
                                          slice.strides);
  }

  /// What one row of `op` reads through `operand`.
  Value rowOperand(linalg::GenericOp op, OpOperand &operand) {
    if (Value row = rowOf.lookup(operand.get()))
      return row;
    if (!isa<RankedTensorType>(operand.get().getType()))
      return operand.get();
    AffineMap map = op.getMatchingIndexingMap(&operand);
    bool whole = llvm::none_of(map.getResults(), [&](AffineExpr expr) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      return dim && dim.getPosition() < group.rows;
    });
    if (whole)
      return operand.get();
    return extract(operand.get(), sliceThrough(map, operand.get()));
  }

  /// What one row of `op` writes to, and starts from when it reduces.
  Value rowInit(linalg::GenericOp op, OpOperand &init) {
    Value result = op.getTiedOpResult(&init);
    bool reads = op.payloadUsesValueFromOperand(&init);
    Value destination = destinations.lookup(result);
    Slice slice = sliceThrough(op.getMatchingIndexingMap(&init),
                               destination ? destination : init.get());
    if (reads && !isFill(init.get()) && !destination)
      return rowOperand(op, init);
    Value row = destination ? extract(destination, slice)
                            : Value(tensor::EmptyOp::create(
                                  builder, op.getLoc(), slice.sizes,
                                  getElementTypeOrSelf(init.get().getType())));
    if (reads && isFill(init.get()))
      row = linalg::FillOp::create(builder, op.getLoc(),
                                   fillOf(init.get()).value(), row)
                .getResult(0);
    return row;
  }

  void cloneRow(linalg::GenericOp op) {
    SmallVector<Value> operands;
    for (OpOperand &operand : op->getOpOperands())
      operands.push_back(op.isDpsInit(&operand) ? rowInit(op, operand)
                                                : rowOperand(op, operand));
    SmallVector<Type> types;
    for (Value init : ArrayRef(operands).take_back(op.getNumDpsInits()))
      types.push_back(init.getType());
    auto copy =
        cast<linalg::GenericOp>(mlir::clone(builder, op, types, operands));
    SmallVector<OpFoldResult> offsets(op.getNumLoops());
    for (unsigned i = 0; i != group.rows; ++i)
      offsets[i] = OpFoldResult(rows[i]);
    linalg::offsetIndices(builder, copy, offsets);
    for (auto [value, row] :
         llvm::zip_equal(op->getResults(), copy->getResults()))
      rowOf[value] = row;
  }

  OpBuilder &builder;
  const RowGroup &group;
  SmallVector<Value> results; // values used outside
  SmallVector<Value> rows;    // induction variables
  DenseMap<Value, Value> destinations, rowOf;
};

struct FuseRows : public sparse_opt::impl::KernelFuseRowsBase<FuseRows> {
  void runOnOperation() override {
    SmallVector<Block *> blocks;
    getOperation()->walk([&](Operation *op) {
      if (isa<linalg::LinalgOp, scf::ForallOp>(op))
        return WalkResult::skip();
      for (Region &region : op->getRegions())
        for (Block &block : region)
          blocks.push_back(&block);
      return WalkResult::advance();
    });
    for (Block *block : blocks)
      fuse(*block);
  }

  void fuse(Block &block) {
    OpBuilder builder(&getContext());
    for (const RowGroup &group : findRowGroups(block)) {
      ++numLoops;
      numFused += group.ops.size();
      RowFusion(builder, group).run();
    }
    // Users of a group's early values may stand before the group's loop.
    [[maybe_unused]] bool sorted = sortTopologically(&block);
    assert(sorted && "groups depend on each other");
  }
};
} // namespace
