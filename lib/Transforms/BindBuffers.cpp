// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The caller's memory: inputs become read-only buffers, results are written
// into destination buffers passed as arguments. One-shot bufferisation, with
// empty-tensor elimination before it, then computes in place.
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
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
      func.setArgAttr(argument.getArgNumber(), "kernel.input",
                      builder.getI64IntegerAttr(number++));
      auto tensor = bufferization::ToTensorOp::create(
          builder, func.getLoc(), type, argument, /*restrict=*/true,
          /*writable=*/false);
      argument.replaceAllUsesExcept(tensor, tensor);
    }
    func.setType(builder.getFunctionType(types, func.getResultTypes()));
  }

  LogicalResult bindResults(func::FuncOp func) {
    Operation *ret = func.front().getTerminator();
    OpBuilder builder(ret);
    for (auto [i, result] : llvm::enumerate(ret->getOperands())) {
      NamedAttrList attrs(func.getResultAttrDict(i));
      attrs.set("kernel.output", builder.getI64IntegerAttr(i));
      if (failed(func.insertArgument(
              func.getNumArguments(), bufferType(result.getType()),
              attrs.getDictionary(&getContext()), func.getLoc())))
        return failure();
      bufferization::MaterializeInDestinationOp::create(
          builder, func.getLoc(), TypeRange(), result,
          func.getArguments().back(), /*restrict=*/true, /*writable=*/true);
    }
    func::ReturnOp::create(builder, ret->getLoc());
    ret->erase();
    func.removeResAttrsAttr();
    func.setType(builder.getFunctionType(func.getArgumentTypes(), {}));
    return success();
  }
};
} // namespace
