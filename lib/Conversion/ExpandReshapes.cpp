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
    Location loc = op.getLoc();
    auto metadata =
        memref::ExtractStridedMetadataOp::create(rewriter, loc, op.getSrc());
    SmallVector<OpFoldResult> sizes = op.getMixedOutputShape();
    SmallVector<OpFoldResult> strides(sizes.size());
    SmallVector<OpFoldResult> outer = metadata.getConstifiedMixedStrides();
    AffineExpr product =
        rewriter.getAffineSymbolExpr(0) * rewriter.getAffineSymbolExpr(1);
    for (auto [group, stride] :
         llvm::zip_equal(op.getReassociationIndices(), outer))
      for (int64_t dim : llvm::reverse(group)) {
        strides[dim] = stride;
        stride = affine::makeComposedFoldedAffineApply(rewriter, loc, product,
                                                       {stride, sizes[dim]});
      }
    rewriter.replaceOpWithNewOp<memref::ReinterpretCastOp>(
        op, type, metadata.getBaseBuffer(),
        metadata.getConstifiedMixedOffset(), sizes, strides);
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
