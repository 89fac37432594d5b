// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Structured ops on buffers become loops.
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "sparse-opt/Conversion/Passes.h"

namespace sparse_opt {
#define GEN_PASS_DEF_CONVERTLINALGTOVECTOR
#include "sparse-opt/Conversion/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

namespace {
/// memref.copy -> a generic op, so that there is one way to lower it.
void copyToGeneric(memref::CopyOp copy, RewriterBase &rewriter) {
  rewriter.setInsertionPoint(copy);
  rewriter.replaceOp(copy, linalg::makeMemRefCopyOp(rewriter, copy.getLoc(),
                                                    copy.getSource(),
                                                    copy.getTarget()));
}

LogicalResult toLoops(linalg::LinalgOp op, RewriterBase &rewriter) {
  rewriter.setInsertionPoint(op);
  bool inParallel = op->getParentOfType<scf::ParallelOp>() != nullptr;
  FailureOr<linalg::LinalgLoops> loops =
      inParallel ? linalg::linalgOpToLoops(rewriter, op)
                 : linalg::linalgOpToParallelLoops(rewriter, op);
  if (failed(loops))
    return op.emitError("can't be lowered to loops");
  rewriter.eraseOp(op);
  return success();
}

struct ConvertLinalgToVector
    : public sparse_opt::impl::ConvertLinalgToVectorBase<
          ConvertLinalgToVector> {
  using Base::Base;

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<scf::ForallOp> foralls;
    SmallVector<memref::CopyOp> copies;
    getOperation().walk([&](Operation *op) {
      if (auto forall = dyn_cast<scf::ForallOp>(op))
        foralls.push_back(forall);
      else if (auto copy = dyn_cast<memref::CopyOp>(op))
        copies.push_back(copy);
    });
    for (scf::ForallOp forall : foralls) {
      rewriter.setInsertionPoint(forall);
      if (failed(scf::forallToParallelLoop(rewriter, forall)))
        return signalPassFailure();
    }
    for (memref::CopyOp copy : copies)
      copyToGeneric(copy, rewriter);
    SmallVector<linalg::LinalgOp> ops;
    getOperation().walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    for (linalg::LinalgOp op : ops)
      if (failed(toLoops(op, rewriter)))
        return signalPassFailure();
  }
};
} // namespace
