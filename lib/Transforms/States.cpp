// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds caches by what is done with them; what then happens to them is
// BindStates.cpp's and JoinStacks.cpp's.
#include "States.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace sparse_opt;

static bool isZero(OpFoldResult value) { return isConstantIntValue(value, 0); }

static bool hasUnitStrides(tensor::InsertSliceOp op) {
  return llvm::all_of(op.getMixedStrides(), [](OpFoldResult stride) {
    return isConstantIntValue(stride, 1);
  });
}

std::optional<int64_t> sparse_opt::appendAxis(tensor::InsertSliceOp kept,
                                              tensor::InsertSliceOp appended) {
  if (!llvm::all_of(kept.getMixedOffsets(), isZero) || !hasUnitStrides(kept) ||
      !hasUnitStrides(appended))
    return std::nullopt;
  std::optional<int64_t> axis;
  for (auto [i, offset] : llvm::enumerate(appended.getMixedOffsets())) {
    if (isZero(offset))
      continue;
    if (axis || offset != kept.getMixedSizes()[i])
      return std::nullopt;
    axis = i;
  }
  return axis;
}

ArrayAttr sparse_opt::argDims(BlockArgument argument) {
  auto func = cast<func::FuncOp>(argument.getOwner()->getParentOp());
  return func.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), "onnx.dims");
}

/// The one op that reads `argument`'s elements; null when there are others.
static tensor::InsertSliceOp onlyReader(BlockArgument argument) {
  tensor::InsertSliceOp reader;
  for (OpOperand &use : argument.getUses()) {
    if (isa<tensor::DimOp>(use.getOwner()))
      continue;
    auto insert = dyn_cast<tensor::InsertSliceOp>(use.getOwner());
    if (!insert || reader || insert.getSource() != argument)
      return {};
    reader = insert;
  }
  return reader;
}

std::optional<State> sparse_opt::matchState(BlockArgument argument) {
  auto type = dyn_cast<RankedTensorType>(argument.getType());
  auto func = cast<func::FuncOp>(argument.getOwner()->getParentOp());
  ArrayAttr dims = argDims(argument);
  tensor::InsertSliceOp kept = onlyReader(argument);
  if (!type || !dims || !kept || !kept->hasOneUse() ||
      !kept.getDest().getDefiningOp<tensor::EmptyOp>() ||
      kept.getType().getRank() != type.getRank())
    return std::nullopt;
  auto appended = dyn_cast<tensor::InsertSliceOp>(*kept->user_begin());
  if (!appended || appended.getDest() != kept.getResult())
    return std::nullopt;
  std::optional<int64_t> axis = appendAxis(kept, appended);
  if (!axis || !type.isDynamicDim(*axis))
    return std::nullopt;
  std::optional<unsigned> result;
  for (OpOperand &use : appended.getResult().getUses()) {
    if (!isa<func::ReturnOp>(use.getOwner()))
      continue;
    if (result) // under two names
      return std::nullopt;
    result = use.getOperandNumber();
  }
  if (!result || !func.getResultAttr(*result, "onnx.dims"))
    return std::nullopt;
  return State{argument, kept, appended, *result, *axis};
}
