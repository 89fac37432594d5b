// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The caller's memory: inputs become read-only buffers, results are written
// into destination buffers passed as arguments. One-shot bufferisation, with
// empty-tensor elimination before it, then computes in place.
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "sparse-opt/Transforms/Passes.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELBINDBUFFERS
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

namespace {
MemRefType bufferType(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  return MemRefType::get(type.getShape(), type.getElementType());
}

struct BindBuffers
    : public sparse_opt::impl::KernelBindBuffersBase<BindBuffers> {
  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (func.isPublic() && !func.isExternal()) {
        bindInputs(func);
        unshareDestinations(func);
        if (failed(bindResults(func)))
          return signalPassFailure();
      }
  }

  void bindInputs(func::FuncOp func) {
    OpBuilder builder = OpBuilder::atBlockBegin(&func.front());
    int64_t number = 0;
    SmallVector<Type> types(func.getArgumentTypes());
    for (BlockArgument argument : func.getArguments()) {
      if (!isa<RankedTensorType>(argument.getType()))
        continue;
      Type type = argument.getType();
      argument.setType(bufferType(type));
      types[argument.getArgNumber()] = argument.getType();
      bool isState = !!func.getArgAttr(argument.getArgNumber(), "kernel.state");
      if (!isState)
        func.setArgAttr(argument.getArgNumber(), "kernel.input",
                        builder.getI64IntegerAttr(number++));
      auto tensor = bufferization::ToTensorOp::create(
          builder, func.getLoc(), type, argument, /*restrict=*/true,
          /*writable=*/isState);
      argument.replaceAllUsesExcept(tensor, tensor);
    }
    func.setType(builder.getFunctionType(types, func.getResultTypes()));
  }

  /// Each op that computes in a fresh or filled tensor gets its own: shared
  /// ones would have to be copied.
  static void unshareDestinations(func::FuncOp func) {
    SmallVector<Operation *> fresh;
    func.walk([&](Operation *op) {
      if (isa<tensor::EmptyOp, linalg::FillOp>(op))
        fresh.push_back(op);
    });
    for (Operation *op : llvm::reverse(fresh)) {
      if (op->use_empty())
        op->erase();
      else
        for (OpOperand &use : llvm::make_early_inc_range(
                 llvm::drop_begin(op->getResult(0).getUses()))) {
          OpBuilder builder(op);
          use.set(builder.clone(*op)->getResult(0));
        }
    }
  }

  LogicalResult bindResults(func::FuncOp func) {
    Operation *ret = func.front().getTerminator();
    OpBuilder builder(ret);
    for (auto [i, result] : llvm::enumerate(ret->getOperands())) {
      if (auto state =
              func.getResultAttrOfType<IntegerAttr>(i, "kernel.state")) {
        keepState(builder, result, stateBuffer(func, state));
        continue;
      }
      if (!isa<RankedTensorType>(result.getType())) // the states' length
        continue;
      NamedAttrList attrs(func.getResultAttrDict(i));
      attrs.set("kernel.output", builder.getI64IntegerAttr(i));
      if (failed(func.insertArgument(
              func.getNumArguments(), bufferType(result.getType()),
              attrs.getDictionary(&getContext()), func.getLoc())))
        return failure();
      materialize(builder, result, func.getArguments().back());
    }
    func::ReturnOp::create(builder, ret->getLoc());
    ret->erase();
    func.removeResAttrsAttr();
    func.setType(builder.getFunctionType(func.getArgumentTypes(), {}));
    return success();
  }

  static Value stateBuffer(func::FuncOp func, IntegerAttr state) {
    for (BlockArgument argument : func.getArguments())
      if (func.getArgAttr(argument.getArgNumber(), "kernel.state") == state)
        return argument;
    llvm_unreachable("a result is a state that no argument is");
  }

  /// What was inserted stays, whoever reads it. The value lives in the buffer
  /// itself, so that nothing is copied.
  static void keepState(OpBuilder &builder, Value result, Value buffer) {
    bufferization::MaterializeInDestinationOp::create(
        builder, result.getLoc(), TypeRange(), result, buffer,
        /*restrict=*/true, /*writable=*/true);
  }

  /// First in a tensor, so that bufferisation sees that other values can't live
  /// in the destination; the copy to the buffer itself then folds away.
  static void materialize(OpBuilder &builder, Value result, Value buffer) {
    Location loc = result.getLoc();
    OpBuilder entry = OpBuilder::atBlockBegin(buffer.getParentBlock());
    Value destination = bufferization::ToTensorOp::create(
        entry, loc, result.getType(), buffer, /*restrict=*/true,
        /*writable=*/true);
    auto inTensor = bufferization::MaterializeInDestinationOp::create(
        builder, loc, result, destination);
    bufferization::MaterializeInDestinationOp::create(
        builder, loc, TypeRange(), inTensor.getResult(), buffer,
        /*restrict=*/false, /*writable=*/true);
  }
};
} // namespace
