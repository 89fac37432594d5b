// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Structured ops and copies on buffers become loops over vectors, outside
// parallel loops a parallel one. VectorLoopPlan decides how, the emitter
// writes it.
#include "VectorLoopEmitter.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"
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

/// Rows that together are worth a range of their own.
int64_t grainOf(scf::ForallOp forall) {
  int64_t elements = 0;
  forall.walk([&](linalg::LinalgOp op) { elements += typicalElements(op); });
  return std::max<int64_t>(1, rangeElements / std::max<int64_t>(1, elements));
}

struct ConvertLinalgToVector
    : public sparse_opt::impl::ConvertLinalgToVectorBase<
          ConvertLinalgToVector> {
  using Base::Base;

  void runOnOperation() override {
    const TargetInfo *info = lookupTarget(target);
    if (!info) {
      getOperation().emitError("unknown target '")
          << target << "', expected one of " << targetNames();
      return signalPassFailure();
    }
    IRRewriter rewriter(&getContext());
    if (failed(prepare(rewriter)))
      return signalPassFailure();
    SmallVector<linalg::LinalgOp> ops;
    getOperation().walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    for (linalg::LinalgOp op : ops)
      if (failed(convert(op, *info, rewriter)))
        return signalPassFailure();
  }

  /// scf.forall -> scf.parallel, memref.copy -> linalg.generic.
  LogicalResult prepare(RewriterBase &rewriter) {
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
      int64_t grain = grainOf(forall);
      scf::ParallelOp loop;
      if (failed(scf::forallToParallelLoop(rewriter, forall, &loop)))
        return failure();
      loop->setAttr("kernel.grain", rewriter.getI64IntegerAttr(grain));
    }
    for (memref::CopyOp copy : copies)
      copyToGeneric(copy, rewriter);
    return success();
  }

  LogicalResult convert(linalg::LinalgOp op, const TargetInfo &info,
                        RewriterBase &rewriter) {
    rewriter.setInsertionPoint(op);
    auto generic = dyn_cast<linalg::GenericOp>(op.getOperation());
    if (!generic) {
      FailureOr<linalg::GenericOp> general =
          linalg::generalizeNamedOp(rewriter, op);
      if (failed(general))
        return op.emitError("can't be lowered to loops");
      generic = *general;
    }
    if (!generic.hasPureBufferSemantics())
      return generic.emitError("is not on buffers");
    VectorLoopPlan plan = planVectorLoop(generic, info);
    bool inLoop = generic->getParentOfType<scf::ParallelOp>() != nullptr;
    if (plan.vectorLoop)
      ++numVector;
    else
      ++numScalar;
    rewriter.setInsertionPoint(generic);
    VectorLoopEmitter(rewriter, generic, plan).emit(!inLoop && !plan.tiny);
    rewriter.eraseOp(generic);
    return success();
  }
};
} // namespace
