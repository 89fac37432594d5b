// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Named ops that stand for several loop nests (linalg.softmax) become those
// nests, so that row fusion sees reductions and element-wise ops only. Runs
// after regions are formed: attention is recognised by its softmax.
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"
#include "sparse-opt/Transforms/Passes.h"

#define DEBUG_TYPE "linalg-decompose-aggregates"

namespace sparse_opt {
#define GEN_PASS_DEF_LINALGDECOMPOSEAGGREGATES
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

namespace {
struct DecomposeAggregates
    : sparse_opt::impl::LinalgDecomposeAggregatesBase<DecomposeAggregates> {
  void runOnOperation() override {
    SmallVector<linalg::AggregatedOpInterface> ops;
    getOperation()->walk(
        [&](linalg::AggregatedOpInterface op) { ops.push_back(op); });
    IRRewriter rewriter(&getContext());
    for (linalg::AggregatedOpInterface op : ops) {
      rewriter.setInsertionPoint(op);
      FailureOr<SmallVector<Value>> results = op.decomposeOperation(rewriter);
      if (failed(results)) {
        op->emitError("can't be decomposed into loop nests");
        return signalPassFailure();
      }
      rewriter.replaceOp(op, *results);
      ++numDecomposed;
    }
  }
};
} // namespace
