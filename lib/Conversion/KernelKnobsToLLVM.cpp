// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Knobs and counts of blocks, which the module numbers by name, as fields of
// the call.
#include "KernelCall.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "sparse-opt/Runtime/ModelAbi.h"
#include <cstddef>

using namespace mlir;
using namespace sparse_opt;

/// Where the entry of `name` is in the array that a field of the call points
/// to.
static FailureOr<Value> slotOf(OpBuilder &builder, Operation *op,
                               StringRef list, StringRef name, size_t field,
                               size_t size) {
  Value call = callOf(op->getParentOfType<func::FuncOp>());
  auto entries =
      op->getParentOfType<ModuleOp>()->getAttrOfType<ArrayAttr>(list);
  size_t index = 0, count = entries ? entries.size() : 0;
  auto nameOf = [&](size_t i) {
    return cast<DictionaryAttr>(entries[i]).getAs<StringAttr>("name");
  };
  while (index < count && nameOf(index).getValue() != name)
    ++index;
  if (!call || index == count)
    return op->emitOpError() << "needs a function with a call, and '" << name
                             << "' in the module's " << list;
  Location loc = op->getLoc();
  Value array = LLVM::LoadOp::create(builder, loc, pointerType(builder),
                                     fieldAt(builder, loc, call, field));
  return fieldAt(builder, loc, array, index * size);
}

static LogicalResult convert(kernel::KnobOp op) {
  OpBuilder builder(op);
  FailureOr<Value> slot =
      slotOf(builder, op, kernel::knobsAttr, op.getKnobName(),
             offsetof(so_call, knobs), sizeof(float));
  if (failed(slot))
    return failure();
  Value value =
      LLVM::LoadOp::create(builder, op.getLoc(), builder.getF32Type(), *slot);
  op.replaceAllUsesWith(value);
  op.erase();
  return success();
}

static LogicalResult convert(kernel::NoteRowsOp op) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  FailureOr<Value> slot =
      slotOf(builder, op, kernel::blocksAttr, op.getBlockName(),
             offsetof(so_call, blocks), sizeof(so_block_counts));
  if (failed(slot))
    return failure();
  auto add = [&](size_t offset, Value value) {
    Value field = fieldAt(builder, loc, *slot, offset);
    Value before =
        LLVM::LoadOp::create(builder, loc, builder.getI64Type(), field);
    LLVM::StoreOp::create(builder, loc,
                          arith::AddIOp::create(builder, loc, before, value),
                          field);
  };
  Value rows = toI64(builder, loc, op.getRows());
  add(offsetof(so_block_counts, rows), rows);
  if (Value selected = op.getSelected())
    add(offsetof(so_block_counts, selected),
        arith::MulIOp::create(builder, loc, rows,
                              toI64(builder, loc, selected)));
  else
    add(offsetof(so_block_counts, whole), rows);
  if (op.getGuarded())
    add(offsetof(so_block_counts, guarded), rows);
  op.erase();
  return success();
}

LogicalResult sparse_opt::convertKnobsAndCounts(ModuleOp module) {
  WalkResult walk = module.walk([](Operation *op) {
    if (auto knob = dyn_cast<kernel::KnobOp>(op))
      return WalkResult(convert(knob));
    if (auto note = dyn_cast<kernel::NoteRowsOp>(op))
      return WalkResult(convert(note));
    return WalkResult::advance();
  });
  return failure(walk.wasInterrupted());
}
