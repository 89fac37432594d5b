// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// contraction(x, constant) -> element-wise ops: one kernel.product on rows.
// The packing is PackWeight.cpp's, which chains join FormRegionsChain.cpp's.
#include "FormRegionsInternal.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"

using namespace mlir;
using namespace sparse_opt;

namespace {
/// How an operand beside the sum is indexed.
enum class ExtraKind { Matrix, Column, Scalar, Other };
} // namespace

static bool isConstantZero(AffineExpr expr) {
  auto constant = dyn_cast<AffineConstantExpr>(expr);
  return constant && constant.getValue() == 0;
}

/// `map` is from the loops of the product's result, the last of which is n.
static ExtraKind kindOf(Type type, AffineMap map) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return ExtraKind::Other;
  if (map.isIdentity())
    return ExtraKind::Matrix;
  ArrayRef<AffineExpr> results = map.getResults();
  if (llvm::all_of(results, isConstantZero))
    return tensor.getNumElements() == 1 ? ExtraKind::Scalar : ExtraKind::Other;
  auto last = dyn_cast<AffineDimExpr>(results.back());
  if (last && last.getPosition() + 1 == map.getNumDims() &&
      llvm::all_of(results.drop_back(), isConstantZero))
    return ExtraKind::Column;
  return ExtraKind::Other;
}

/// All dimensions but the last as one; a matrix stays.
static Value collapseRows(OpBuilder &builder, Location loc, Value value) {
  int64_t rank = cast<RankedTensorType>(value.getType()).getRank();
  if (rank == 2)
    return value;
  SmallVector<ReassociationIndices> groups(2);
  groups[0] = llvm::to_vector<2>(llvm::seq<int64_t>(0, rank - 1));
  groups[1] = {rank - 1};
  return tensor::CollapseShapeOp::create(builder, loc, value, groups);
}

/// An extra as kernel.product takes it: R x N, N, or rank 0.
static Value reshapeExtra(OpBuilder &builder, Location loc,
                          const Chain::Extra &extra) {
  auto type = cast<RankedTensorType>(extra.value.getType());
  switch (kindOf(type, extra.map)) {
  case ExtraKind::Matrix:
    return collapseRows(builder, loc, extra.value);
  case ExtraKind::Column: {
    if (type.getRank() == 1)
      return extra.value;
    SmallVector<ReassociationIndices> all(1);
    all[0] = llvm::to_vector<2>(llvm::seq<int64_t>(0, type.getRank()));
    return tensor::CollapseShapeOp::create(builder, loc, extra.value, all);
  }
  case ExtraKind::Scalar:
    if (type.getRank() == 0)
      return extra.value;
    return tensor::CollapseShapeOp::create(
        builder, loc, RankedTensorType::get({}, type.getElementType()),
        extra.value, ArrayRef<ReassociationIndices>());
  case ExtraKind::Other:
    break;
  }
  llvm_unreachable("not an extra of a product");
}

/// R x N of the element type that the chain ends in.
static Value emptyRows(OpBuilder &builder, Location loc,
                       ArrayRef<OpFoldResult> sizes, Type elementType) {
  SmallVector<OpFoldResult> rows;
  int64_t known = 1;
  Value product;
  for (OpFoldResult size : sizes.drop_back()) {
    if (isa<Attribute>(size)) {
      known *= *getConstantIntValue(size);
      continue;
    }
    Value value = cast<Value>(size);
    product =
        product ? arith::MulIOp::create(builder, loc, product, value) : value;
  }
  OpFoldResult count = builder.getIndexAttr(known);
  if (product && known != 1)
    product = arith::MulIOp::create(
        builder, loc, product,
        arith::ConstantIndexOp::create(builder, loc, known));
  if (product)
    count = product;
  return tensor::EmptyOp::create(builder, loc,
                                 SmallVector<OpFoldResult>{count, sizes.back()},
                                 elementType);
}

/// The result in the contraction's own shape.
static Value expandRows(OpBuilder &builder, Location loc, Value result,
                        RankedTensorType type, ArrayRef<OpFoldResult> sizes) {
  if (type.getRank() == 2)
    return result;
  SmallVector<ReassociationIndices> groups(2);
  groups[0] = llvm::to_vector<2>(llvm::seq<int64_t>(0, type.getRank() - 1));
  groups[1] = {type.getRank() - 1};
  return tensor::ExpandShapeOp::create(builder, loc, type, result, groups,
                                       sizes);
}

/// The left operand is (batch..., m, k): rows without a broadcast or a
/// transposition in between.
static bool isRows(const Contraction &product) {
  SmallVector<AffineExpr> expected;
  for (unsigned loop = 0; loop <= product.m(); ++loop)
    expected.push_back(getAffineDimExpr(loop, product.lhsMap.getContext()));
  expected.push_back(
      getAffineDimExpr(product.k(), product.lhsMap.getContext()));
  return product.lhsMap.getResults() == ArrayRef(expected);
}

/// The weight's constant; its dimensions other than k and n must be 1.
static std::optional<WeightPacker::Source>
findWeight(const Contraction &product) {
  std::optional<unsigned> k, n;
  for (auto [i, expr] : llvm::enumerate(product.rhsMap.getResults())) {
    if (expr == getAffineDimExpr(product.k(), expr.getContext()))
      k = i;
    else if (expr == getAffineDimExpr(product.n(), expr.getContext()))
      n = i;
    else if (!isConstantZero(expr))
      return std::nullopt;
  }
  if (!k || !n)
    return std::nullopt;
  return WeightPacker::find(product.rhs, *k, *n);
}

/// generic(x, constant), generic(...)... -> kernel.product
LogicalResult sparse_opt::formProduct(linalg::GenericOp op,
                                      WeightPacker &weights,
                                      IRRewriter &rewriter) {
  std::optional<Contraction> product = matchContraction(op);
  if (!product)
    return rewriter.notifyMatchFailure(op, "isn't a contraction of f32");
  std::optional<WeightPacker::Source> source = findWeight(*product);
  if (!source)
    return rewriter.notifyMatchFailure(op, "right operand isn't constant");
  if (!isRows(*product))
    return rewriter.notifyMatchFailure(op, "left operand isn't made of rows");
  auto type = cast<RankedTensorType>(product->result().getType());
  std::optional<Chain> chain = growChain(
      product->result(),
      [&](OpOperand &operand) {
        auto user = cast<linalg::GenericOp>(operand.getOwner());
        return kindOf(operand.get().getType(),
                      user.getMatchingIndexingMap(&operand)) !=
               ExtraKind::Other;
      },
      [&](Value exit) { return getElementTypeOrSelf(exit.getType()).isF32(); });

  Value exit = chain->exit;
  Location loc = exit.getLoc();
  rewriter.setInsertionPoint(exit.getDefiningOp());
  SmallVector<OpFoldResult> sizes = sizesOf(rewriter, op);
  sizes.back() = rewriter.getIndexAttr(source->n);
  SmallVector<Value> extras;
  for (const Chain::Extra &extra : chain->extras())
    extras.push_back(
        asStored(rewriter, loc, reshapeExtra(rewriter, loc, extra)));
  Value x = collapseRows(rewriter, loc, product->lhs);
  Value weight = weights.pack(*source, rewriter, loc);
  Value out = emptyRows(rewriter, loc, sizes, rewriter.getF32Type());
  auto region = kernel::ProductOp::create(rewriter, loc, out.getType(), x,
                                          weight, extras, out);
  if (Attribute stored = op->getAttr(kernel::weightTypeAttr))
    region->setAttr(kernel::weightTypeAttr, stored);
  chain->build(region.getEpilogue(), rewriter, loc);
  Value result = expandRows(rewriter, loc, region->getResult(0), type, sizes);
  if (result.getType() != exit.getType())
    result = tensor::CastOp::create(rewriter, loc, exit.getType(), result);
  rewriter.replaceAllUsesWith(exit, result);
  return success();
}
