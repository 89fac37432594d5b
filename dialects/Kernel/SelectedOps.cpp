// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Verifiers (their numbers are those of the .td) and memory effects of the ops
// on selected neurons.
#include "dialects/Kernel/KernelVerifiers.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace sparse_opt::kernel;

using Effects =
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>;

void SelectOp::getEffects(Effects &effects) {
  addBufferEffects(*this, effects);
}
void SelectedProductOp::getEffects(Effects &effects) {
  addBufferEffects(*this, effects);
}
void SelectedSumOp::getEffects(Effects &effects) {
  addBufferEffects(*this, effects);
}

RankedTensorType sparse_opt::kernel::neuronMajorType(int64_t neurons,
                                                     int64_t length,
                                                     Type element) {
  int64_t aLine = 512 / element.getIntOrFloatBitWidth();
  return RankedTensorType::get(
      {neurons, static_cast<int64_t>(llvm::alignTo(length, aLine))}, element);
}

static ShapedType shaped(Value value) {
  return cast<ShapedType>(value.getType());
}

/// Of rank 2, only the number of rows unknown.
static bool isRowsOf(ShapedType type) {
  return type.hasRank() && type.getRank() == 2 && !type.isDynamicDim(1);
}

static bool isFloat(Type type) { return type.isF32() || type.isBF16(); }

/// `list` and `count`, of groups of `neurons`.
static LogicalResult verifyList(Operation *op, ShapedType list,
                                ShapedType count, int64_t neurons) {
  if (list.getRank() != 1 || list.isDynamicDim(0) ||
      !list.getElementType().isInteger(32) || count.getRank() != 0 ||
      !count.getElementType().isInteger(32))
    return op->emitOpError("needs a list of static size and a count, of i32");
  int64_t groups = list.getDimSize(0);
  if (neurons != groups && neurons != 16 * groups)
    return op->emitOpError("lists ")
           << groups << " groups of " << neurons
           << " neurons, expected as many, or a group for each 16";
  return success();
}

static LogicalResult verifyRegion(Operation *op, StringRef name,
                                  OperandRange extras, TypeRange results) {
  Region &region = op->getRegion(0);
  return failure(failed(verifyScalarRegion(
                     op, region, name,
                     accumulatorAndElements(Builder(op->getContext()), extras),
                     results)) ||
                 failed(verifyElementwiseOps(op, region, name)));
}

/// `weight` is neuron-major, with rows of `length` and padding.
static LogicalResult verifyWeight(Operation *op, ShapedType weight,
                                  int64_t neurons, int64_t length) {
  Type element = weight.getElementType();
  if (!isFloat(element) && !element.isSignlessInteger(8))
    return op->emitOpError("weight must hold f32, bf16 or i8");
  RankedTensorType expected = neuronMajorType(neurons, length, element);
  if (weight.getShape() == expected.getShape())
    return success();
  return op->emitOpError("weight is ")
         << weight << ", expected the shape of " << expected;
}

int64_t sparse_opt::kernel::neuronsInAGroup(ShapedType list, int64_t neurons) {
  return list.getDimSize(0) == neurons ? 1 : 16;
}

//===----------------------------------------------------------------------===//
// select
//===----------------------------------------------------------------------===//

LogicalResult SelectOp::verify() {
  ShapedType scores = shaped(getScores()), values = shaped(getValues());
  // (C1)
  if (!isRowsOf(scores) || !isRowsOf(values) ||
      scores.getDimSize(1) != values.getDimSize(1) ||
      failed(
          verifyCompatibleDims({scores.getDimSize(0), values.getDimSize(0)})) ||
      !scores.getElementType().isF32() || !values.getElementType().isF32())
    return emitOpError("needs scores and values R x H of f32 with H static");
  // (C1), (C2)
  if (failed(verifyList(*this, shaped(getList()), shaped(getCount()),
                        scores.getDimSize(1))))
    return failure();
  // (C3)
  if (failed(verifyExtras(*this, getExtras(), scores, "R x H, H or a scalar")))
    return failure();
  // (C4), (C5)
  Builder builder(getContext());
  if (failed(verifyRegion(*this, "rule", getExtras(),
                          {builder.getI1Type(), builder.getF32Type()})))
    return failure();
  // (C6)
  return verifyAllTensorsOrBuffers(*this);
}

//===----------------------------------------------------------------------===//
// selected_product
//===----------------------------------------------------------------------===//

LogicalResult SelectedProductOp::verify() {
  ShapedType x = shaped(getX()), out = shaped(getOut());
  // (C1)
  if (!isRowsOf(x) || !isRowsOf(out) || !isFloat(x.getElementType()) ||
      !out.getElementType().isF32())
    return emitOpError("needs x R x K of f32 or bf16 and out R x H of f32 with "
                       "K, H static");
  if (failed(verifyCompatibleDims({x.getDimSize(0), out.getDimSize(0)})))
    return emitOpError("x and out differ in rows");
  int64_t neurons = out.getDimSize(1);
  if (failed(
          verifyWeight(*this, shaped(getWeight()), neurons, x.getDimSize(1))))
    return failure();
  // (C2)
  if (failed(verifyList(*this, shaped(getList()), shaped(getCount()), neurons)))
    return failure();
  // (C3)
  if (failed(verifyExtras(*this, getExtras(), out, "R x H, H or a scalar")))
    return failure();
  // (C4), (C5)
  if (failed(
          verifyRegion(*this, "epilogue", getExtras(), out.getElementType())))
    return failure();
  // (C6)
  return verifyAllTensorsOrBuffers(*this);
}

//===----------------------------------------------------------------------===//
// selected_sum
//===----------------------------------------------------------------------===//

LogicalResult SelectedSumOp::verify() {
  ShapedType values = shaped(getValues()), out = shaped(getOut());
  // (C1)
  if (!isRowsOf(values) || !isRowsOf(out) || !values.getElementType().isF32())
    return emitOpError("needs values R x H of f32 and out R x N with H, N "
                       "static");
  if (failed(verifyCompatibleDims({values.getDimSize(0), out.getDimSize(0)})))
    return emitOpError("values and out differ in rows");
  int64_t neurons = values.getDimSize(1);
  if (failed(
          verifyWeight(*this, shaped(getWeight()), neurons, out.getDimSize(1))))
    return failure();
  // (C2)
  if (failed(verifyList(*this, shaped(getList()), shaped(getCount()), neurons)))
    return failure();
  // (C3)
  if (failed(verifyExtras(*this, getExtras(), out, "R x N, N or a scalar")))
    return failure();
  // (C4), (C5)
  if (failed(
          verifyRegion(*this, "epilogue", getExtras(), out.getElementType())))
    return failure();
  // (C6)
  return verifyAllTensorsOrBuffers(*this);
}
