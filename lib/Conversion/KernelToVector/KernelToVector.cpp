// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The pass: looks the target up and lowers every region op. The code itself
// comes from ProductToVector.cpp, AttentionToVector.cpp, the
// Select*ToVector.cpp and MicroKernel.cpp.
#include "Lowerings.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "sparse-opt/Conversion/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

namespace sparse_opt {
#define GEN_PASS_DEF_CONVERTKERNELTOVECTOR
#include "sparse-opt/Conversion/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

#define DEBUG_TYPE "convert-kernel-to-vector"

namespace {

struct ConvertKernelToVector
    : sparse_opt::impl::ConvertKernelToVectorBase<ConvertKernelToVector> {
  using ConvertKernelToVectorBase::ConvertKernelToVectorBase;

  void runOnOperation() override {
    const TargetInfo *info = lookupTarget(target);
    if (!info) {
      getOperation().emitError()
          << "unknown target '" << target << "', known are " << targetNames();
      return signalPassFailure();
    }
    MicroKernels kernels(getOperation(), *info);
    SmallVector<Operation *> regions;
    getOperation().walk([&](Operation *op) {
      if (isa<kernel::ProductOp, kernel::AttentionOp, kernel::SelectOp,
              kernel::SelectedProductOp, kernel::SelectedSumOp>(op))
        regions.push_back(op);
    });
    for (Operation *op : regions)
      if (failed(lower(op, kernels)))
        return signalPassFailure();
  }

  LogicalResult lower(Operation *op, MicroKernels &kernels) {
    if (op->getNumResults() != 0)
      return op->emitOpError("must be bufferised first");
    const TargetInfo &target = kernels.getTarget();
    return llvm::TypeSwitch<Operation *, LogicalResult>(op)
        .Case([&](kernel::ProductOp op) {
          ++numProducts;
          return lowerProduct(op, kernels);
        })
        .Case([&](kernel::AttentionOp op) {
          ++numAttentions;
          return lowerAttention(op, kernels);
        })
        .Case([&](kernel::SelectOp op) {
          ++numSelections;
          return lowerSelect(op, target);
        })
        .Case([&](kernel::SelectedProductOp op) {
          ++numSelectedProducts;
          return lowerSelectedProduct(op, target);
        })
        .Case([&](kernel::SelectedSumOp op) {
          ++numSelectedSums;
          return lowerSelectedSum(op, target);
        });
  }
};

} // namespace

LogicalResult sparse_opt::verifyContiguousRows(Operation *op) {
  for (Value operand : op->getOperands())
    if (isa<MemRefType>(operand.getType()) && !hasContiguousRows(operand))
      return op->emitOpError("needs contiguous rows, but has an operand of ")
             << operand.getType();
  return success();
}
