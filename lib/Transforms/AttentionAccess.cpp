// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Each step back from an operand turns its dimensions' loops into those of the
// value before: a transpose, a reshape, a broadcast, a scale.
#include "AttentionAccess.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::AttentionOp;
using Access = AttentionAccess;

AffineMap Access::map() const {
  MLIRContext *context = value.getContext();
  SmallVector<AffineExpr> results;
  for (const SmallVector<Loop> &loops : dims)
    results.push_back(loops.empty() ? getAffineConstantExpr(0, context)
                                    : loops.front().expr);
  return AffineMap::get(AttentionOp::NumLoops, 0, results, context);
}

AttentionAccess sparse_opt::accessOf(Value value, AffineMap map) {
  Access access{value, {}};
  ArrayRef<int64_t> shape = cast<RankedTensorType>(value.getType()).getShape();
  for (auto [expr, size] : llvm::zip_equal(map.getResults(), shape)) {
    access.dims.emplace_back();
    if (isa<AffineDimExpr>(expr))
      access.dims.back().push_back({expr, size});
  }
  return access;
}

static bool throughTranspose(Access &access, linalg::TransposeOp op) {
  SmallVector<SmallVector<Access::Loop>> dims(access.dims.size());
  for (auto [i, position] : llvm::enumerate(op.getPermutation()))
    dims[position] = access.dims[i];
  access.dims = dims;
  access.value = op.getInput();
  return true;
}

/// Dimensions that came from one hold several loops from here on.
static bool throughExpand(Access &access, tensor::ExpandShapeOp op) {
  ArrayRef<int64_t> shape = op.getResultType().getShape();
  SmallVector<SmallVector<Access::Loop>> dims;
  for (const ReassociationIndices &group : op.getReassociationIndices()) {
    dims.emplace_back();
    for (int64_t dim : group) {
      if (shape[dim] == 1)
        continue;
      if (access.dims[dim].size() != 1)
        return false;
      dims.back().push_back(access.dims[dim].front());
    }
  }
  access.dims = dims;
  access.value = op.getSrc();
  return true;
}

/// One loop in a dimension collapsed from two: `h floordiv g` and `h mod g`,
/// of which a map can have the former once a broadcast has taken the latter.
static bool splitLoop(const Access::Loop &loop, ArrayRef<int64_t> sized,
                      ArrayRef<int64_t> shape,
                      SmallVectorImpl<SmallVector<Access::Loop>> &dims) {
  if (sized.size() != 2 || !isa<AffineDimExpr>(loop.expr) ||
      ShapedType::isDynamic(shape[sized[1]]))
    return false;
  int64_t group = shape[sized[1]];
  dims[sized[0]].push_back({loop.expr.floorDiv(group), shape[sized[0]]});
  dims[sized[1]].push_back({loop.expr % group, group});
  return true;
}

/// A dimension of several loops must have them in the source too.
static bool throughCollapse(Access &access, tensor::CollapseShapeOp op) {
  ArrayRef<int64_t> shape = op.getSrcType().getShape();
  SmallVector<SmallVector<Access::Loop>> dims(shape.size());
  for (auto [i, group] : llvm::enumerate(op.getReassociationIndices())) {
    SmallVector<int64_t> sized;
    for (int64_t dim : group)
      if (shape[dim] != 1)
        sized.push_back(dim);
    ArrayRef<Access::Loop> loops = access.dims[i];
    if (loops.empty() && sized.empty())
      continue;
    if (loops.size() == 1 && splitLoop(loops.front(), sized, shape, dims))
      continue;
    if (loops.size() != sized.size())
      return false;
    unsigned unknown = 0;
    for (auto [loop, dim] : llvm::zip_equal(loops, sized)) {
      if (loops.size() > 1 && loop.size != shape[dim])
        return false;
      unknown += ShapedType::isDynamic(shape[dim]);
      dims[dim].push_back(loop);
    }
    if (loops.size() > 1 && unknown > 1)
      return false;
  }
  access.dims = dims;
  access.value = op.getSrc();
  return true;
}

/// Elements as they are, repeated along some dimensions.
static bool throughBroadcast(Access &access, linalg::GenericOp op) {
  if (op.getNumDpsInputs() != 1 || op->getNumResults() != 1 ||
      op.getNumReductionLoops() != 0 ||
      !op.getIndexingMapsArray().back().isIdentity() ||
      op.getBody()->getTerminator()->getOperand(0) !=
          op.getBody()->getArgument(0))
    return false;
  SmallVector<SmallVector<Access::Loop>> dims;
  for (AffineExpr expr : op.getIndexingMapsArray().front().getResults()) {
    dims.emplace_back();
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      dims.back() = access.dims[dim.getPosition()];
    else if (expr != 0)
      return false;
  }
  access.dims = dims;
  access.value = op.getInputs().front();
  return true;
}

/// x * constant or x / constant, element by element.
static bool throughScale(Access &access, linalg::GenericOp op) {
  if (op.getNumDpsInputs() != 1 || op->getNumResults() != 1 ||
      op.getNumReductionLoops() != 0 ||
      !llvm::all_of(op.getIndexingMapsArray(),
                    [](AffineMap map) { return map.isIdentity(); }) ||
      op.getBody()->getOperations().size() != 2)
    return false;
  Operation &inner = op.getBody()->front();
  if (op.getBody()->getTerminator()->getOperand(0) != inner.getResult(0) ||
      !inner.getResult(0).getType().isF32())
    return false;
  Value x = op.getBody()->getArgument(0);
  FloatAttr constant;
  auto isBy = [&](unsigned position) {
    return inner.getOperand(1 - position) == x &&
           matchPattern(inner.getOperand(position), m_Constant(&constant));
  };
  if (isa<arith::MulFOp>(inner) && (isBy(0) || isBy(1)))
    access.factor *= constant.getValueAsDouble();
  else if (isa<arith::DivFOp>(inner) && isBy(1))
    access.factor /= constant.getValueAsDouble();
  else
    return false;
  access.value = op.getInputs().front();
  return true;
}

/// Loops that an operand must have, be they of size 1: all but the batch's.
static size_t countInnerLoops(const Access &access) {
  size_t count = 0;
  for (const SmallVector<Access::Loop> &loops : access.dims)
    count += llvm::count_if(loops, [](const Access::Loop &loop) {
      auto dim = dyn_cast<AffineDimExpr>(loop.expr);
      return dim && dim.getPosition() >= AttentionOp::M;
    });
  return count;
}

AttentionAccess sparse_opt::resolve(AttentionAccess access, bool mayScale) {
  Access best = access;
  size_t needed = countInnerLoops(access);
  while (Operation *op = access.value.getDefiningOp()) {
    bool moved = false;
    if (auto transpose = dyn_cast<linalg::TransposeOp>(op))
      moved = throughTranspose(access, transpose);
    else if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
      moved = throughExpand(access, expand);
    else if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
      moved = throughCollapse(access, collapse);
    else if (auto generic = dyn_cast<linalg::GenericOp>(op))
      moved = throughBroadcast(access, generic) ||
              (mayScale && throughScale(access, generic));
    if (!moved)
      break;
    if (access.isMap() && countInnerLoops(access) == needed)
      best = access;
  }
  return best;
}
