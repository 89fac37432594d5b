// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// See RuntimeChecks.h.
#include "RuntimeChecks.h"
#include "dialects/Kernel/KernelOps.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sparse_opt;

std::string lowering::checkMessage(Operation *op, const Twine &what) {
  std::string name = "model";
  if (auto node = dyn_cast<onnx::NodeOp>(op)) {
    StringRef given = node.nodeName();
    name = given.empty()
               ? ("a node " + node.getOpType()).str()
               : ("node '" + given + "' (" + node.getOpType() + ")").str();
  }
  return (name + ": " + what).str();
}

void lowering::emitIndexCheck(OpBuilder &b, Location loc, Value indices,
                              Value bound, StringRef message) {
  kernel::CheckIndexOp::create(b, loc, indices, bound, message);
}

void lowering::emitSizesCheck(OpBuilder &b, Location loc, Value holds, Value x,
                              Value y, StringRef message) {
  kernel::CheckSizesOp::create(b, loc, holds, x, y, message);
}

void lowering::emitSizesEqual(OpBuilder &b, Location loc, Value x, Value y,
                              StringRef message) {
  Value same = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, x, y);
  emitSizesCheck(b, loc, same, x, y, message);
}
