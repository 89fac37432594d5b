// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// memref.expand_shape with several dynamic sizes in one group, which upstream's
// --expand-strided-metadata can't take, as a view with explicit sizes.
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "sparse-opt/Conversion/Passes.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELEXPANDRESHAPES
#include "sparse-opt/Conversion/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;

namespace {
bool hasAmbiguousGroup(memref::ExpandShapeOp op) {
  for (const ReassociationIndices &group : op.getReassociationIndices()) {
    auto isDynamic = [&](int64_t dim) {
      return op.getResultType().isDynamicDim(dim);
    };
    if (llvm::count_if(group, isDynamic) > 1)
      return true;
  }
  return false;
}

/// expand_shape %x output_shape [a, 1, b] -> reinterpret_cast %x to [a, 1, b]
struct ExpandToView : public OpRewritePattern<memref::ExpandShapeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(memref::ExpandShapeOp op,
                                PatternRewriter &rewriter) const override {
    MemRefType type = op.getResultType();
    if (!hasAmbiguousGroup(op))
      return rewriter.notifyMatchFailure(op, "upstream lowers it");
    if (!op.getSrcType().getLayout().isIdentity() ||
        !type.getLayout().isIdentity())
      return rewriter.notifyMatchFailure(op, "elements don't lie in a row");
    Location loc = op.getLoc();
    SmallVector<OpFoldResult> sizes = op.getMixedOutputShape();
    SmallVector<OpFoldResult> strides(sizes.size());
    OpFoldResult stride = rewriter.getIndexAttr(1);
    AffineExpr product =
        rewriter.getAffineSymbolExpr(0) * rewriter.getAffineSymbolExpr(1);
    for (size_t i = sizes.size(); i-- > 0;) {
      strides[i] = stride;
      stride = affine::makeComposedFoldedAffineApply(rewriter, loc, product,
                                                     {stride, sizes[i]});
    }
    rewriter.replaceOpWithNewOp<memref::ReinterpretCastOp>(
        op, type, op.getSrc(), rewriter.getIndexAttr(0), sizes, strides);
    return success();
  }
};

struct ExpandReshapes
    : public sparse_opt::impl::KernelExpandReshapesBase<ExpandReshapes> {
  using Base::Base;

  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandToView>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
