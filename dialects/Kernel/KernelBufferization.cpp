// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How kernel ops bufferise: those on regions write all that is defined of their
// outputs and read nothing of them, so a result lives in the buffer of its
// output operand; `check_index` only reads.
#include "dialects/Kernel/KernelBufferization.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"

using namespace mlir;
using namespace mlir::bufferization;
using namespace sparse_opt::kernel;

namespace {

/// A copy of `op` with every tensor operand replaced by its buffer and without
/// tensor results.
FailureOr<Operation *> cloneOnBuffers(RewriterBase &rewriter, Operation *op,
                                      const BufferizationOptions &options,
                                      BufferizationState &bufferState) {
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    if (!isa<TensorType>(operand.getType())) {
      operands.push_back(operand);
      continue;
    }
    FailureOr<Value> buffer =
        getBuffer(rewriter, operand, options, bufferState);
    if (failed(buffer))
      return failure();
    operands.push_back(*buffer);
  }
  OperationState state(op->getLoc(), op->getName(), operands,
                       /*types=*/TypeRange(), op->getAttrs());
  for (Region &region : op->getRegions())
    state.addRegion()->takeBody(region);
  return rewriter.create(state);
}

template <typename Op>
struct DstModel : DstBufferizableOpInterfaceExternalModel<DstModel<Op>, Op> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand,
                              const AnalysisState &) const {
    return !cast<DestinationStyleOpInterface>(op).isDpsInit(&operand);
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    if (op->getNumResults() == 0)
      return success();
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(op);
    FailureOr<Operation *> onBuffers =
        cloneOnBuffers(rewriter, op, options, state);
    if (failed(onBuffers))
      return failure();
    auto outputs = cast<DestinationStyleOpInterface>(*onBuffers);
    replaceOpWithBufferizedValues(
        rewriter, op, llvm::to_vector_of<Value>(outputs.getDpsInits()));
    return success();
  }
};

struct CheckIndexModel
    : BufferizableOpInterface::ExternalModel<CheckIndexModel, CheckIndexOp> {
  bool bufferizesToMemoryRead(Operation *, OpOperand &,
                              const AnalysisState &) const {
    return true;
  }
  bool bufferizesToMemoryWrite(Operation *, OpOperand &,
                               const AnalysisState &) const {
    return false;
  }
  AliasingValueList getAliasingValues(Operation *, OpOperand &,
                                      const AnalysisState &) const {
    return {};
  }
  LogicalResult bufferize(Operation *op, RewriterBase &rewriter,
                          const BufferizationOptions &options,
                          BufferizationState &state) const {
    if (failed(cloneOnBuffers(rewriter, op, options, state)))
      return failure();
    rewriter.eraseOp(op);
    return success();
  }
};

} // namespace

void sparse_opt::kernel::registerBufferizableOpInterfaceExternalModels(
    DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, KernelDialect *) {
    ProductOp::attachInterface<DstModel<ProductOp>>(*context);
    AttentionOp::attachInterface<DstModel<AttentionOp>>(*context);
    SelectOp::attachInterface<DstModel<SelectOp>>(*context);
    SelectedProductOp::attachInterface<DstModel<SelectedProductOp>>(*context);
    SelectedSumOp::attachInterface<DstModel<SelectedSumOp>>(*context);
    CheckIndexOp::attachInterface<CheckIndexModel>(*context);
  });
}
