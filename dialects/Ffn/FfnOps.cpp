// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Ffn/FfnOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sparse_opt::ffn;

#include "dialects/Ffn/FfnDialect.cpp.inc"
#include "dialects/Ffn/FfnEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Ffn/FfnAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Ffn/FfnTypes.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Ffn/FfnOps.cpp.inc"

void FfnDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Ffn/FfnAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Ffn/FfnOps.cpp.inc"
      >();
}

LogicalResult BlockOp::verify() {
  ArrayRef<int64_t> x = getX().getType().getShape();
  ArrayRef<int64_t> up = getUp().getType().getShape();
  ArrayRef<int64_t> down = getDown().getType().getShape();
  // (C1) up and gate are d x h, down is h x d_out.
  if (up.size() != 2 || down.size() != 2)
    return emitOpError("expects rank-2 weights, got up rank ")
           << up.size() << " and down rank " << down.size();
  if (up[1] != down[0]) {
    InFlightDiagnostic diag =
        emitOpError("expects `down` to have as many rows as `up` has columns");
    diag.attachNote() << "`up` is " << getUp().getType();
    diag.attachNote() << "`down` is " << getDown().getType();
    return diag;
  }
  if (getGate() && getGate().getType() != getUp().getType())
    return emitOpError("expects `gate` of the type of `up`, ")
           << getUp().getType() << ", got " << getGate().getType();
  // (C2) x ends in d, y in d_out, the leading dimensions agree.
  if (x.empty() || x.back() != up[0])
    return emitOpError("expects the last dimension of `x` to be ")
           << up[0] << ", got " << getX().getType();
  ArrayRef<int64_t> y = getType().getShape();
  if (y.empty() || y.back() != down[1] || y.drop_back() != x.drop_back())
    return emitOpError("expects the result to have the leading dimensions of "
                       "`x` and to end in ")
           << down[1] << ", got " << getType();
  // (C3) biases are of size h, h and d_out.
  auto checkBias = [&](Value bias, int64_t size, StringRef name) {
    if (!bias || cast<RankedTensorType>(bias.getType()).getShape() ==
                     ArrayRef<int64_t>(size))
      return success();
    return LogicalResult(emitOpError("expects `")
                         << name << "` of size " << size << ", got "
                         << bias.getType());
  };
  if (failed(checkBias(getUpBias(), up[1], "up_bias")) ||
      failed(checkBias(getGateBias(), up[1], "gate_bias")) ||
      failed(checkBias(getDownBias(), down[1], "down_bias")))
    return failure();
  // (C4) gate_bias and up_activation need gate.
  if (!getGate() && (getGateBias() || getUpActivation()))
    return emitOpError("expects `gate` when `up_activation` is given");
  // (C5) one element type throughout.
  for (Value operand : getOperands())
    if (getElementTypeOrSelf(operand) != getElementTypeOrSelf(getType()))
      return emitOpError("expects one element type, got ")
             << operand.getType() << " beside " << getType();
  return success();
}
