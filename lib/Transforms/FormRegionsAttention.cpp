// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// contraction -> element-wise -> softmax -> element-wise -> contraction: one
// kernel.attention. Transpositions and reshapes around it become its indexing
// maps where they can (AttentionAccess.cpp); what can't stays a tensor of its
// own.
#include "AttentionAccess.h"
#include "FormRegionsInternal.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::AttentionOp;
using Access = AttentionAccess;

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
