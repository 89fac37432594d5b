// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The kernel dialect: verifiers (their numbers are those of the .td) and
// memory effects. How the ops bufferise is in KernelBufferization.cpp, ops on
// selected neurons are in SelectedOps.cpp.
#include "dialects/Kernel/KernelVerifiers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::kernel;

#include "dialects/Kernel/KernelDialect.cpp.inc"
#include "dialects/Kernel/KernelEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Kernel/KernelAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Kernel/KernelTypes.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Kernel/KernelOps.cpp.inc"

void KernelDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/Kernel/KernelOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// What ops on regions share
//===----------------------------------------------------------------------===//

void kernel::addBufferEffects(
    DestinationStyleOpInterface op,
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    if (op.isDpsInit(&operand))
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
    else
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
  }
}

LogicalResult kernel::verifyAllTensorsOrBuffers(Operation *op) {
  bool onTensors = op->getNumResults() != 0;
  for (Value operand : op->getOperands()) {
    if (!isa<ShapedType>(operand.getType()))
      continue;
    if (onTensors ? isa<RankedTensorType>(operand.getType())
                  : isa<MemRefType>(operand.getType()))
      continue;
    return op->emitOpError("is on ")
           << (onTensors ? "tensors" : "memrefs") << " but has an operand of "
           << operand.getType();
  }
  return success();
}

LogicalResult kernel::verifyScalarRegion(Operation *op, Region &region,
                                         StringRef name, TypeRange arguments,
                                         TypeRange results) {
  Block &block = region.front();
  if (TypeRange(block.getArgumentTypes()) != arguments)
    return op->emitOpError(name) << " takes (" << block.getArgumentTypes()
                                 << "), expected (" << arguments << ")";
  auto yield = dyn_cast<YieldOp>(block.back());
  if (!yield || TypeRange(yield.getValues().getTypes()) != results)
    return op->emitOpError(name)
           << " must yield " << (results.size() == 1 ? "one " : "") << results;
  return success();
}

LogicalResult kernel::verifyElementwiseOps(Operation *op, Region &region,
                                           StringRef name) {
  for (Operation &inner : region.front().without_terminator()) {
    bool known = isa_and_nonnull<arith::ArithDialect, math::MathDialect>(
        inner.getDialect());
    if (known && (inner.hasTrait<OpTrait::Elementwise>() ||
                  inner.hasTrait<OpTrait::ConstantLike>()))
      continue;
    return op->emitOpError(name)
           << " holds '" << inner.getName()
           << "', which isn't an element-wise arith or math op";
  }
  return success();
}

SmallVector<Type> kernel::accumulatorAndElements(Builder builder,
                                                 OperandRange extras) {
  SmallVector<Type> types = {builder.getF32Type()};
  for (Value extra : extras)
    types.push_back(getElementTypeOrSelf(extra.getType()));
  return types;
}

//===----------------------------------------------------------------------===//
// product
//===----------------------------------------------------------------------===//

void ProductOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  addBufferEffects(*this, effects);
}

LogicalResult kernel::verifyExtras(Operation *op, OperandRange extras,
                                   ShapedType out, StringRef expected) {
  for (auto [number, operand] : llvm::enumerate(extras)) {
    auto extra = dyn_cast<ShapedType>(operand.getType());
    if (!extra || extra.getRank() == 0)
      continue;
    ArrayRef<int64_t> shape = extra.getShape();
    bool matches =
        extra.getRank() == 1
            ? shape[0] == out.getDimSize(1)
            : extra.getRank() == 2 && shape[1] == out.getDimSize(1) &&
                  succeeded(
                      verifyCompatibleDims({shape[0], out.getDimSize(0)}));
    if (!matches)
      return op->emitOpError("extra #")
             << number << " is " << extra << ", expected " << expected;
  }
  return success();
}

RankedTensorType sparse_opt::kernel::packedWeightType(int64_t k, int64_t n,
                                                      Type element) {
  int64_t columns = panelColumnsOf(element);
  int64_t panels = llvm::divideCeil(n, columns);
  if (element.isBF16())
    return RankedTensorType::get(
        {panels, int64_t(llvm::divideCeil(k, 2)), columns, 2}, element);
  return RankedTensorType::get({panels, k, columns}, element);
}

bool ProductOp::isNeuronMajor() {
  return cast<ShapedType>(getWeight().getType()).getRank() == 2;
}

LogicalResult ProductOp::verify() {
  auto x = cast<ShapedType>(getX().getType());
  auto weight = cast<ShapedType>(getWeight().getType());
  auto out = cast<ShapedType>(getOut().getType());
  // (C1)
  if (x.getRank() != 2 || out.getRank() != 2 || x.isDynamicDim(1) ||
      out.isDynamicDim(1))
    return emitOpError("needs R x K, packed K x N and R x N with K, N static");
  int64_t k = x.getDimSize(1), n = out.getDimSize(1);
  RankedTensorType expected =
      getByInput()      ? neuronMajorType(k, n, weight.getElementType())
      : isNeuronMajor() ? neuronMajorType(n, k, weight.getElementType())
                        : packedWeightType(k, n, weight.getElementType());
  if (weight.getShape() != expected.getShape())
    return emitOpError("weight is ")
           << weight << ", expected the shape of " << expected;
  if (failed(verifyCompatibleDims({x.getDimSize(0), out.getDimSize(0)})))
    return emitOpError("x and out differ in rows");
  // (C2)
  Type left = x.getElementType(), right = weight.getElementType();
  if (!(left.isF32() || left.isBF16()) ||
      !(right.isF32() || right.isBF16() || right.isSignlessInteger(8)))
    return emitOpError("x must hold f32 or bf16, and weight f32, bf16 or i8");
  // (C3)
  if (failed(verifyExtras(*this, getExtras(), out, "R x N, N or a scalar")))
    return failure();
  // (C4), (C5)
  if (failed(verifyScalarRegion(
          *this, getEpilogue(), "epilogue",
          accumulatorAndElements(Builder(getContext()), getExtras()),
          out.getElementType())) ||
      failed(verifyElementwiseOps(*this, getEpilogue(), "epilogue")))
    return failure();
  // (C6)
  return verifyAllTensorsOrBuffers(*this);
}

//===----------------------------------------------------------------------===//
// attention
//===----------------------------------------------------------------------===//

void AttentionOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>
        &effects) {
  addBufferEffects(*this, effects);
}

std::optional<unsigned> AttentionOp::loopOf(AffineExpr result) {
  if (groupOf(result) != 1)
    return H;
  if (auto dim = dyn_cast<AffineDimExpr>(result))
    return dim.getPosition();
  return std::nullopt;
}

int64_t AttentionOp::groupOf(AffineExpr result) {
  auto quotient = dyn_cast<AffineBinaryOpExpr>(result);
  if (!quotient || quotient.getKind() != AffineExprKind::FloorDiv ||
      quotient.getLHS() != getAffineDimExpr(H, result.getContext()))
    return 1;
  auto group = dyn_cast<AffineConstantExpr>(quotient.getRHS());
  return group ? group.getValue() : 1;
}

/// (C1), (C2), (C3) of one operand: its loops are in `allowed` and include
/// `needed` (bit sets over the loops).
static LogicalResult verifyAttentionMap(AttentionOp op, OpOperand &operand,
                                        StringRef name, unsigned allowed,
                                        unsigned needed,
                                        bool sharesHeads = false) {
  AffineMap map = op.getMap(operand);
  auto type = cast<ShapedType>(operand.get().getType());
  if (map.getNumDims() != AttentionOp::NumLoops || map.getNumSymbols() != 0 ||
      map.getNumResults() != type.getRank())
    return op.emitOpError("map of ")
           << name << " must go from six loops to rank " << type.getRank();
  unsigned seen = 0;
  for (AffineExpr expr : map.getResults()) {
    std::optional<unsigned> loop = AttentionOp::loopOf(expr);
    auto constant = dyn_cast<AffineConstantExpr>(expr);
    if ((!loop && !(constant && constant.getValue() == 0)) ||
        (AttentionOp::groupOf(expr) != 1 && !sharesHeads))
      return op.emitOpError("map of ")
             << name << " has a result that is neither a loop nor 0";
    if (loop && (seen & (1u << *loop)))
      return op.emitOpError("map of ") << name << " has a loop twice";
    if (loop)
      seen |= 1u << *loop;
  }
  if ((seen & ~allowed) != 0 || (seen & needed) != needed)
    return op.emitOpError("map of ") << name << " is not over the loops of it";
  return success();
}

static LogicalResult verifyAttentionMaps(AttentionOp op) {
  constexpr unsigned batch = 1 << AttentionOp::B | 1 << AttentionOp::H,
                     m = 1 << AttentionOp::M, n = 1 << AttentionOp::N,
                     d = 1 << AttentionOp::D, e = 1 << AttentionOp::E;
  if (op.getIndexingMaps().size() != op->getNumOperands())
    return op.emitOpError("needs one map for each of its ")
           << op->getNumOperands() << " operands";
  unsigned batchOfInputs = 0;
  for (AffineMap map : ArrayRef(op.getMaps()).drop_back())
    for (unsigned loop : {AttentionOp::B, AttentionOp::H})
      if (map.isFunctionOfDim(loop))
        batchOfInputs |= 1 << loop;
  if (failed(verifyAttentionMap(op, op.getQMutable(), "q", batch | m | d,
                                m | d)) ||
      failed(verifyAttentionMap(op, op.getKMutable(), "k", batch | n | d, n | d,
                                /*sharesHeads=*/true)) ||
      failed(verifyAttentionMap(op, op.getVMutable(), "v", batch | n | e, n | e,
                                /*sharesHeads=*/true)) ||
      failed(verifyAttentionMap(op, op.getOutMutable(), "out", batch | m | e,
                                batchOfInputs | m | e)))
    return failure();
  for (OpOperand &extra : op.getExtrasMutable())
    if (failed(verifyAttentionMap(op, extra, "an extra", batch | m | n, 0)))
      return failure();
  return success();
}

/// (C4)
static LogicalResult verifyAttentionSizes(AttentionOp op) {
  int64_t sizes[AttentionOp::NumLoops];
  llvm::fill(sizes, ShapedType::kDynamic);
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = cast<ShapedType>(operand.get().getType());
    for (auto [expr, extent] :
         llvm::zip_equal(op.getMap(operand).getResults(), type.getShape())) {
      std::optional<unsigned> loop = AttentionOp::loopOf(expr);
      if (!loop || ShapedType::isDynamic(extent))
        continue;
      int64_t size = extent * AttentionOp::groupOf(expr);
      if (!ShapedType::isDynamic(sizes[*loop]) && sizes[*loop] != size)
        return op.emitOpError("loop ")
               << *loop << " is of size " << sizes[*loop] << " and " << size;
      sizes[*loop] = size;
    }
  }
  if (ShapedType::isDynamic(sizes[AttentionOp::D]) ||
      ShapedType::isDynamic(sizes[AttentionOp::E]))
    return op.emitOpError("needs static d and e");
  return success();
}

/// select(x isn't a number, 0, x), or the other way round.
static bool isZeroedNan(Value value, Value x) {
  auto select = value.getDefiningOp<arith::SelectOp>();
  auto compare = select ? select.getCondition().getDefiningOp<arith::CmpFOp>()
                        : arith::CmpFOp();
  if (!compare || compare.getLhs() != x || compare.getRhs() != x)
    return false;
  switch (compare.getPredicate()) {
  case arith::CmpFPredicate::UNO:
  case arith::CmpFPredicate::UNE:
    return matchPattern(select.getTrueValue(), m_AnyZeroFloat()) &&
           select.getFalseValue() == x;
  case arith::CmpFPredicate::ORD:
  case arith::CmpFPredicate::OEQ:
    return matchPattern(select.getFalseValue(), m_AnyZeroFloat()) &&
           select.getTrueValue() == x;
  default:
    return false;
  }
}

/// What a probability yields, before it is rounded.
static Value unroundedProbability(Region &region) {
  Value value = region.front().getTerminator()->getOperand(0);
  if (auto rounded = value.getDefiningOp<arith::TruncFOp>())
    return rounded.getIn();
  return value;
}

bool AttentionOp::zeroesNan(Region &region) {
  return isZeroedNan(unroundedProbability(region),
                     region.front().getArgument(0));
}

bool AttentionOp::isProbability(Region &region) {
  return unroundedProbability(region) == region.front().getArgument(0) ||
         zeroesNan(region);
}

LogicalResult AttentionOp::verify() {
  if (failed(verifyAttentionMaps(*this)) || failed(verifyAttentionSizes(*this)))
    return failure();
  // (C5)
  Type element = getElementTypeOrSelf(getQ().getType());
  Type outElement = getElementTypeOrSelf(getOut().getType());
  if (!(element.isF32() || element.isBF16()) ||
      getElementTypeOrSelf(getK().getType()) != element ||
      getElementTypeOrSelf(getV().getType()) != element)
    return emitOpError("q, k and v must all hold f32 or all bf16");
  if (!(outElement.isF32() || outElement.isBF16()))
    return emitOpError("out must hold f32 or bf16");
  // (C6), (C7)
  Type f32 = Float32Type::get(getContext());
  if (failed(verifyScalarRegion(
          *this, getScore(), "score",
          accumulatorAndElements(Builder(getContext()), getExtras()), f32)) ||
      failed(verifyScalarRegion(*this, getProbability(), "probability", f32,
                                element)) ||
      failed(verifyElementwiseOps(*this, getScore(), "score")))
    return failure();
  if (!isProbability(getProbability()))
    return emitOpError("probability must yield its argument, or zero for a "
                       "NaN");
  // (C8)
  return verifyAllTensorsOrBuffers(*this);
}

//===----------------------------------------------------------------------===//
// launch
//===----------------------------------------------------------------------===//

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &tables) {
  if (!tables.lookupNearestSymbolFrom(*this, getBodyAttr()))
    return emitOpError("refers to an unknown body ") << getBodyAttr();
  return success();
}
