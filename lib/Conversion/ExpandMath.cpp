// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which of upstream's polynomial approximations are good enough to use, and
// the pass that applies them. It also spells out casts of bf16.
#include "sparse-opt/Conversion/ExpandMath.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "sparse-opt/Conversion/Passes.h"
#include "sparse-opt/Target/TargetInfo.h"

namespace sparse_opt {
#define GEN_PASS_DEF_EXPANDMATH
#include "sparse-opt/Conversion/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

void sparse_opt::populateExpandMathPatterns(RewritePatternSet &patterns) {
  // sin and cos reduce their argument in one step: wrong for large angles.
  auto accurate = [](StringRef name) {
    return llvm::is_contained(
        {math::ExpOp::getOperationName(), math::ExpM1Op::getOperationName(),
         math::ErfOp::getOperationName(), math::TanhOp::getOperationName(),
         math::LogOp::getOperationName(), math::Log2Op::getOperationName(),
         math::Log1pOp::getOperationName()},
        name);
  };
  populateMathPolynomialApproximationPatterns(patterns, accurate);
}

namespace {
struct ExpandMath : public sparse_opt::impl::ExpandMathBase<ExpandMath> {
  using ExpandMathBase::ExpandMathBase;

  void runOnOperation() override {
    const TargetInfo *info = lookupTarget(target);
    if (!info) {
      getOperation()->emitError()
          << "unknown target '" << target << "', known are " << targetNames();
      return signalPassFailure();
    }
    RewritePatternSet patterns(&getContext());
    populateExpandMathPatterns(patterns);
    if (!info->convertsBf16())
      arith::populateExpandBFloat16Patterns(patterns);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
