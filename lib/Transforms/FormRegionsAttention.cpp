// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// contraction -> element-wise -> softmax -> element-wise -> contraction: one
// kernel.attention. Transpositions and reshapes around it become its indexing
// maps where they can; what can't stays a tensor of its own.
#include "FormRegionsInternal.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::AttentionOp;

//===----------------------------------------------------------------------===//
// Operands, seen through what only moves or scales them
//===----------------------------------------------------------------------===//

namespace {

/// An operand as a source value and, for each of its dimensions, the loops
/// that index it. Several loops in one dimension come from a reshape that a
/// later step undoes; none means index 0.
struct Access {
  struct Loop {
    AffineExpr expr;
    int64_t size;
  };
  Value value;
  SmallVector<SmallVector<Loop>> dims;
  float factor = 1;

  bool isMap() const {
    return llvm::all_of(dims, [](auto &loops) {
      return loops.empty() ||
             (loops.size() == 1 && AttentionOp::loopOf(loops.front().expr));
    });
  }
  AffineMap map() const;
};

} // namespace

AffineMap Access::map() const {
  MLIRContext *context = value.getContext();
  SmallVector<AffineExpr> results;
  for (const SmallVector<Loop> &loops : dims)
    results.push_back(loops.empty() ? getAffineConstantExpr(0, context)
                                    : loops.front().expr);
  return AffineMap::get(AttentionOp::NumLoops, 0, results, context);
}

static Access accessOf(Value value, AffineMap map) {
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

/// The furthest source of `access` that a map can express.
static Access resolve(Access access, bool mayScale) {
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

//===----------------------------------------------------------------------===//
// Matching
//===----------------------------------------------------------------------===//

namespace {

struct Attention {
  Contraction scores, output;
  Chain score, probability;
  linalg::TransposeOp transpose; ///< of the output, or null

  Value result() const {
    return transpose ? linalg::TransposeOp(transpose)->getResult(0)
                     : output.result();
  }
};

} // namespace

/// Loops of a contraction as those of an attention: batch..., `m`, `n`, `k`.
static AffineMap toAttentionLoops(AffineMap map, unsigned n, unsigned k) {
  MLIRContext *context = map.getContext();
  unsigned batch = map.getNumDims() - 3;
  SmallVector<AffineExpr> loops;
  for (unsigned i = 0; i < batch; ++i)
    loops.push_back(getAffineDimExpr(AttentionOp::B + i, context));
  for (unsigned loop : {unsigned(AttentionOp::M), n, k})
    loops.push_back(getAffineDimExpr(loop, context));
  return map.replaceDimsAndSymbols(loops, {}, AttentionOp::NumLoops, 0);
}

/// The same for an operand of the score, over (batch..., m, n).
static AffineMap extraToAttentionLoops(AffineMap map) {
  MLIRContext *context = map.getContext();
  SmallVector<AffineExpr> results(map.getResults());
  AffineMap wider = AffineMap::get(map.getNumDims() + 1, 0, results, context);
  return toAttentionLoops(wider, AttentionOp::N, AttentionOp::D);
}

/// Loops or zeros, no loop twice, n last.
static bool isScoreExtra(OpOperand &operand) {
  if (!isa<RankedTensorType>(operand.get().getType()))
    return false;
  AffineMap map = cast<linalg::GenericOp>(operand.getOwner())
                      .getMatchingIndexingMap(&operand);
  unsigned n = map.getNumDims() - 1;
  llvm::SmallDenseSet<unsigned> seen;
  for (auto [i, expr] : llvm::enumerate(map.getResults())) {
    if (auto loop = dyn_cast<AffineDimExpr>(expr)) {
      bool isLast = i + 1 == map.getNumResults();
      if (!seen.insert(loop.getPosition()).second ||
          (loop.getPosition() == n && !isLast))
        return false;
      continue;
    }
    auto constant = dyn_cast<AffineConstantExpr>(expr);
    if (!constant || constant.getValue() != 0)
      return false;
  }
  return true;
}

/// The contraction whose left operand, in loop order, is all that uses `value`.
static std::optional<Contraction> contractionOf(Value value) {
  if (!value.hasOneUse())
    return std::nullopt;
  auto user = dyn_cast<linalg::GenericOp>(*value.user_begin());
  std::optional<Contraction> found;
  if (user)
    found = matchContraction(user);
  if (!found || found->lhs != value)
    return std::nullopt;
  SmallVector<AffineExpr> rows;
  for (unsigned loop = 0; loop <= found->m(); ++loop)
    rows.push_back(getAffineDimExpr(loop, value.getContext()));
  rows.push_back(getAffineDimExpr(found->k(), value.getContext()));
  if (found->lhsMap.getResults() != ArrayRef(rows))
    return std::nullopt;
  return found;
}

/// The contraction that `value` comes from through element-wise ops.
static std::optional<Contraction> findScores(Value value, unsigned limit = 16) {
  auto op = value.getDefiningOp<linalg::GenericOp>();
  if (!op || limit == 0)
    return std::nullopt;
  if (std::optional<Contraction> found = matchContraction(op))
    return found;
  for (OpOperand *operand : op.getDpsInputOperands())
    if (op.getMatchingIndexingMap(operand).isIdentity())
      if (std::optional<Contraction> found =
              findScores(operand->get(), limit - 1))
        return found;
  return std::nullopt;
}

static FailureOr<Attention> matchAttention(linalg::SoftmaxOp softmax,
                                           IRRewriter &rewriter) {
  Attention found;
  auto decline = [&](const char *why) {
    return rewriter.notifyMatchFailure(softmax, why);
  };
  auto type = dyn_cast<RankedTensorType>(softmax.getInput().getType());
  if (!type || int64_t(softmax.getDimension()) + 1 != type.getRank())
    return decline("isn't over the last dimension of a tensor");
  if (type.getRank() > 4)
    return decline("has more than two batch dimensions");
  std::optional<Contraction> scores = findScores(softmax.getInput());
  if (!scores)
    return decline("isn't of a contraction");
  found.scores = *scores;
  std::optional<Chain> score =
      growChain(scores->result(), isScoreExtra, [&](Value exit) {
        return exit == softmax.getInput() && exit.hasOneUse();
      });
  if (!score)
    return decline("scores have other uses or operands");
  found.score = *score;
  std::optional<Chain> probability = growChain(
      softmax->getResult(0), [](OpOperand &) { return false; },
      [](Value exit) { return contractionOf(exit).has_value(); });
  if (!probability)
    return decline("probabilities aren't multiplied by values");
  found.probability = *probability;
  found.output = *contractionOf(probability->exit);
  if (found.output.result().hasOneUse())
    found.transpose =
        dyn_cast<linalg::TransposeOp>(*found.output.result().user_begin());
  return found;
}

//===----------------------------------------------------------------------===//
// Rewriting
//===----------------------------------------------------------------------===//

/// True when the dimension that `loop` indexes in one of both is static.
static bool isStatic(const Access &access, unsigned loop) {
  for (auto [i, expr] : llvm::enumerate(access.map().getResults()))
    if (expr == getAffineDimExpr(loop, expr.getContext()))
      return !cast<RankedTensorType>(access.value.getType()).isDynamicDim(i);
  return false;
}

static Value createAttention(const Attention &attention, Access q, Access k,
                             Access v, IRRewriter &rewriter) {
  linalg::GenericOp output = attention.output.op;
  Location loc = output.getLoc();
  SmallVector<AffineMap> maps = {q.map(), k.map(), v.map()};
  SmallVector<Value> extras;
  for (const Chain::Extra &extra : attention.score.extras()) {
    extras.push_back(asStored(rewriter, loc, extra.value));
    maps.push_back(extraToAttentionLoops(extra.map));
  }
  AffineMap outMap = toAttentionLoops(output.getIndexingMapsArray().back(),
                                      AttentionOp::E, AttentionOp::N);
  SmallVector<OpFoldResult> sizes = sizesOf(rewriter, output);
  SmallVector<AffineExpr> results(outMap.getResults());
  if (attention.transpose) {
    linalg::TransposeOp transpose = attention.transpose;
    results = applyPermutation(ArrayRef(results), transpose.getPermutation());
    sizes = applyPermutation(ArrayRef(sizes), transpose.getPermutation());
  }
  maps.push_back(
      AffineMap::get(AttentionOp::NumLoops, 0, results, rewriter.getContext()));
  Value out =
      tensor::EmptyOp::create(rewriter, loc, sizes, rewriter.getF32Type());
  auto op = AttentionOp::create(rewriter, loc, out.getType(), q.value, k.value,
                                v.value, extras, out,
                                rewriter.getAffineMapArrayAttr(maps));
  attention.score.build(op.getScore(), rewriter, loc, q.factor * k.factor);
  attention.probability.build(op.getProbability(), rewriter, loc);
  return op->getResult(0);
}

/// contraction -> ... -> softmax -> ... -> contraction (-> transpose)
///   -> kernel.attention
LogicalResult sparse_opt::formAttention(linalg::SoftmaxOp softmax,
                                        IRRewriter &rewriter) {
  FailureOr<Attention> attention = matchAttention(softmax, rewriter);
  if (failed(attention))
    return failure();
  const Contraction &scores = attention->scores, &output = attention->output;
  auto access = [](Value value, AffineMap map, unsigned n, unsigned k,
                   bool mayScale) {
    return resolve(accessOf(value, toAttentionLoops(map, n, k)), mayScale);
  };
  Access q = access(scores.lhs, scores.lhsMap, AttentionOp::N, AttentionOp::D,
                    /*mayScale=*/true);
  Access k = access(scores.rhs, scores.rhsMap, AttentionOp::N, AttentionOp::D,
                    /*mayScale=*/true);
  Access v = access(output.rhs, output.rhsMap, AttentionOp::E, AttentionOp::N,
                    /*mayScale=*/false);
  if (!isStatic(q, AttentionOp::D) || !isStatic(k, AttentionOp::D) ||
      !isStatic(v, AttentionOp::E))
    return rewriter.notifyMatchFailure(softmax, "head size isn't static");

  Region probability;
  attention->probability.build(probability, rewriter, softmax.getLoc());
  if (!AttentionOp::isProbability(probability))
    return rewriter.notifyMatchFailure(softmax, "probabilities are changed");

  Value result = attention->result();
  rewriter.setInsertionPoint(result.getDefiningOp());
  Value replacement = createAttention(*attention, q, k, v, rewriter);
  if (replacement.getType() != result.getType())
    replacement = tensor::CastOp::create(rewriter, result.getLoc(),
                                         result.getType(), replacement);
  rewriter.replaceAllUsesWith(result, replacement);
  return success();
}
