// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Chains of element-wise ops become one op, where that computes nothing
// twice that is worth keeping. Named ops are generalised. Loops over rows are
// --kernel-fuse-rows'.
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "sparse-opt/Transforms/Passes.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELFUSEELEMENTWISE
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

/// Ops of a body that cost about as little as the memory traffic they save.
static constexpr unsigned cheapBody = 6;

/// A few arithmetic ops, no math function but a square root.
static bool isCheap(linalg::GenericOp op) {
  unsigned cost = 0;
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (inner.getNumRegions())
      return false;
    if (isa<math::MathDialect>(inner.getDialect()) &&
        !isa<math::SqrtOp, math::RsqrtOp, math::AbsFOp>(inner))
      return false;
    ++cost;
  }
  return cost <= cheapBody;
}

/// It makes more elements than it reads: broadcasts, iotas.
static bool expands(linalg::GenericOp op) {
  return llvm::none_of(op.getDpsInputOperands(), [&](OpOperand *operand) {
    AffineMap map = op.getMatchingIndexingMap(operand);
    return map.getNumResults() >= op.getNumLoops();
  });
}

/// The loops that `map` leaves out are the innermost ones: a value read
/// through it is computed once a row, outside the inner loop.
static bool omitsInnerLoopsOnly(AffineMap map) {
  for (auto [i, expr] : llvm::enumerate(map.getResults())) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (!dim || dim.getPosition() != i)
      return false;
  }
  return true;
}

/// Whether the producer of `operand` is to be computed inside its consumer.
static bool shouldFuse(OpOperand *operand) {
  auto producer = operand->get().getDefiningOp<linalg::GenericOp>();
  auto consumer = dyn_cast<linalg::GenericOp>(operand->getOwner());
  if (!producer || !consumer)
    return false;
  bool cheap = isCheap(producer);
  if (!producer->hasOneUse() && !(cheap && expands(producer)))
    return false;
  AffineMap map = consumer.getMatchingIndexingMap(operand);
  unsigned loops = 0;
  for (unsigned d = 0, e = map.getNumDims(); d != e; ++d)
    loops += map.isFunctionOfDim(d);
  if (loops == consumer.getNumLoops())
    return true;
  // A reduction reads its operands again and again (a product its rows).
  if (consumer.getNumReductionLoops())
    return cheap && expands(producer);
  return cheap || omitsInnerLoopsOnly(map);
}

namespace {
struct FuseElementwise
    : public sparse_opt::impl::KernelFuseElementwiseBase<FuseElementwise> {
  void runOnOperation() override {
    if (failed(generalize()))
      return signalPassFailure();
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    linalg::populateElementwiseOpsFusionPatterns(patterns, shouldFuse);
    linalg::populateEraseUnusedOperandsAndResultsPatterns(patterns);
    linalg::populateInlineConstantOperandsPatterns(patterns);
    affine::AffineApplyOp::getCanonicalizationPatterns(patterns, context);
    linalg::GenericOp::getCanonicalizationPatterns(patterns, context);
    tensor::ExpandShapeOp::getCanonicalizationPatterns(patterns, context);
    tensor::CollapseShapeOp::getCanonicalizationPatterns(patterns, context);
    GreedyRewriteConfig config;
    config.setUseTopDownTraversal();
    if (failed(
            applyPatternsGreedily(getOperation(), std::move(patterns), config)))
      signalPassFailure();
  }

  /// Fills stay: they tell where a reduction starts.
  LogicalResult generalize() {
    SmallVector<linalg::LinalgOp> named;
    getOperation()->walk([&](linalg::LinalgOp op) {
      if (!isa<linalg::GenericOp, linalg::FillOp>(op))
        named.push_back(op);
    });
    IRRewriter rewriter(&getContext());
    for (linalg::LinalgOp op : named) {
      rewriter.setInsertionPoint(op);
      if (failed(linalg::generalizeNamedOp(rewriter, op)))
        return op.emitError("has no form as a generic op");
    }
    return success();
  }
};
} // namespace
