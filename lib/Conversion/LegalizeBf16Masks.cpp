// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// --llvm-legalize-bf16-masks: masked memory accesses of bf16, and stores of
// what a mask selected, as ones of i16. Without native bf16 vectors LLVM's x86
// backend takes them apart and calls a library for every element, though no
// element is converted.
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "sparse-opt/Conversion/Passes.h"

namespace sparse_opt {
#define GEN_PASS_DEF_LLVMLEGALIZEBF16MASKS
#include "sparse-opt/Conversion/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;

/// The type in whose place i16 goes, or null.
static VectorType asBits(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  if (!vector || !vector.getElementType().isBF16())
    return nullptr;
  return vector.clone(IntegerType::get(type.getContext(), 16));
}

namespace {
struct LegalizeBf16Masks
    : sparse_opt::impl::LlvmLegalizeBf16MasksBase<LegalizeBf16Masks> {
  void runOnOperation() override {
    getOperation()->walk([&](Operation *op) {
      if (isa<LLVM::MaskedLoadOp, LLVM::masked_gather>(op))
        load(op);
      else if (isa<LLVM::MaskedStoreOp, LLVM::masked_scatter>(op))
        store(op);
      else if (auto whole = dyn_cast<LLVM::StoreOp>(op))
        storeSelected(whole);
    });
  }

  /// The last operand, when there are three, stands for what isn't loaded.
  void load(Operation *op) {
    Value result = op->getResult(0);
    auto wide = cast<VectorType>(result.getType());
    VectorType bits = asBits(wide);
    if (!bits)
      return;
    ++numAccesses;
    OpBuilder builder(op);
    for (OpOperand &operand : op->getOpOperands())
      if (operand.get().getType() == wide)
        operand.set(LLVM::BitcastOp::create(builder, op->getLoc(), bits,
                                            operand.get()));
    result.setType(bits);
    builder.setInsertionPointAfter(op);
    auto cast = LLVM::BitcastOp::create(builder, op->getLoc(), wide, result);
    result.replaceAllUsesExcept(cast, cast);
  }

  void store(Operation *op) {
    OpOperand &value = op->getOpOperand(0);
    VectorType bits = asBits(value.get().getType());
    if (!bits)
      return;
    ++numAccesses;
    OpBuilder builder(op);
    value.set(
        LLVM::BitcastOp::create(builder, op->getLoc(), bits, value.get()));
  }

  /// Casts spelt out with integers end in a select and a bitcast; LLVM would
  /// turn them round and select bf16.
  void storeSelected(LLVM::StoreOp op) {
    auto cast = op.getValue().getDefiningOp<LLVM::BitcastOp>();
    VectorType bits = asBits(op.getValue().getType());
    if (!cast || !bits || cast.getArg().getType() != bits)
      return;
    ++numAccesses;
    op.getValueMutable().set(cast.getArg());
  }
};
} // namespace
