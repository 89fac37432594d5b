// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "dialects/Ffn/FfnOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
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
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Ffn/FfnTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Ffn/FfnOps.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

Type SelectionType::parse(AsmParser &parser) {
  int64_t neurons, group = 1, tile = 1;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() || parser.parseInteger(neurons))
    return {};
  while (succeeded(parser.parseOptionalComma())) {
    bool isGroup = succeeded(parser.parseOptionalKeyword("group"));
    if ((!isGroup && parser.parseKeyword("tile")) || parser.parseEqual() ||
        parser.parseInteger(isGroup ? group : tile))
      return {};
  }
  if (parser.parseGreater())
    return {};
  return getChecked([&] { return parser.emitError(loc); }, parser.getContext(),
                    neurons, group, tile);
}

void SelectionType::print(AsmPrinter &printer) const {
  printer << '<' << getNeurons();
  if (getGroup() != 1)
    printer << ", group = " << getGroup();
  if (getTile() != 1)
    printer << ", tile = " << getTile();
  printer << '>';
}

LogicalResult
SelectionType::verify(function_ref<InFlightDiagnostic()> emitError,
                      int64_t neurons, int64_t group, int64_t tile) {
  if (neurons < 1 || group < 1 || tile < 1)
    return emitError() << "expects neurons, group and tile of at least 1";
  if (neurons % group)
    return emitError() << "expects the neurons, " << neurons
                       << ", to be whole groups of " << group;
  return success();
}

//===----------------------------------------------------------------------===//
// What several verifiers check
//===----------------------------------------------------------------------===//

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

/// `vector`, where given, is of size `size`.
static LogicalResult checkVector(Operation *op, Value vector, int64_t size,
                                 StringRef name) {
  if (!vector || shapeOf(vector) == ArrayRef<int64_t>(size))
    return success();
  return op->emitOpError("expects `")
         << name << "` of size " << size << ", got " << vector.getType();
}

/// The result has the leading dimensions of `x` and ends in `size`.
static LogicalResult checkResult(Operation *op, Value x, Value y,
                                 int64_t size) {
  if (!shapeOf(y).empty() && shapeOf(y).back() == size &&
      shapeOf(y).drop_back() == shapeOf(x).drop_back())
    return success();
  return op->emitOpError("expects the result to have the leading dimensions "
                         "of `x` and to end in ")
         << size << ", got " << y.getType();
}

static LogicalResult checkInput(Operation *op, Value x, int64_t size) {
  if (!shapeOf(x).empty() && shapeOf(x).back() == size)
    return success();
  return op->emitOpError("expects the last dimension of `x` to be ")
         << size << ", got " << x.getType();
}

/// One element type throughout, apart from selections.
static LogicalResult checkElementTypes(Operation *op) {
  Type expected = getElementTypeOrSelf(op->getResult(0));
  for (Value operand : op->getOperands())
    if (isa<RankedTensorType>(operand.getType()) &&
        getElementTypeOrSelf(operand) != expected)
      return op->emitOpError("expects one element type, got ")
             << operand.getType() << " beside " << op->getResult(0).getType();
  return success();
}

/// FATReLU is relu that cuts off more.
template <typename OpTy> static LogicalResult checkCutoff(OpTy op) {
  std::optional<APFloat> cutoff = op.getCutoff();
  if (!cutoff)
    return success();
  if (op.getActivation() != Activation::Relu)
    return op.emitOpError("expects `cutoff` only for relu");
  if (cutoff->isNaN() || cutoff->isNegative())
    return op.emitOpError("expects a `cutoff` of 0 or more");
  return success();
}

/// (C1) to (C6) of ffn.block, for the ops that have its operands.
template <typename OpTy> static LogicalResult checkBlock(OpTy op) {
  ArrayRef<int64_t> up = shapeOf(op.getUp());
  ArrayRef<int64_t> down = shapeOf(op.getDown());
  // (C1) up and gate are d x h, down is h x d_out.
  if (up.size() != 2 || down.size() != 2)
    return op.emitOpError("expects rank-2 weights, got up rank ")
           << up.size() << " and down rank " << down.size();
  if (up[1] != down[0]) {
    InFlightDiagnostic diag = op.emitOpError(
        "expects `down` to have as many rows as `up` has columns");
    diag.attachNote() << "`up` is " << op.getUp().getType();
    diag.attachNote() << "`down` is " << op.getDown().getType();
    return diag;
  }
  if (op.getGate() && op.getGate().getType() != op.getUp().getType())
    return op.emitOpError("expects `gate` of the type of `up`, ")
           << op.getUp().getType() << ", got " << op.getGate().getType();
  // (C2) x ends in d, y in d_out, the leading dimensions agree.
  if (failed(checkInput(op, op.getX(), up[0])) ||
      failed(checkResult(op, op.getX(), op.getY(), down[1])))
    return failure();
  // (C3) biases are of size h; that of `down` is the caller's.
  if (failed(checkVector(op, op.getUpBias(), up[1], "up_bias")) ||
      failed(checkVector(op, op.getGateBias(), up[1], "gate_bias")))
    return failure();
  // (C4) gate_bias and up_activation need gate.
  if (!op.getGate() && (op.getGateBias() || op.getUpActivation()))
    return op.emitOpError("expects `gate` when `up_activation` is given");
  // (C5) one element type throughout.
  if (failed(checkElementTypes(op)))
    return failure();
  // (C6) cutoff needs relu.
  return checkCutoff(op);
}

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult BlockOp::verify() {
  if (failed(checkBlock(*this)))
    return failure();
  return checkVector(*this, getDownBias(), shapeOf(getDown())[1], "down_bias");
}

LogicalResult KnobOp::verify() {
  // (C1) it can be set by name.
  if (getKnobName().empty())
    return emitOpError("expects a name");
  return success();
}

LogicalResult ScoreOp::verify() {
  ArrayRef<int64_t> weight = shapeOf(getWeight());
  // (C1) weight is d x h.
  if (weight.size() != 2)
    return emitOpError("expects a weight of rank 2, got ")
           << getWeight().getType();
  if (failed(checkInput(*this, getX(), weight[0])) ||
      failed(checkResult(*this, getX(), getResult(), weight[1])) ||
      failed(checkVector(*this, getBias(), weight[1], "bias")))
    return failure();
  // (C2) one element type throughout.
  if (failed(checkElementTypes(*this)))
    return failure();
  // (C3) cutoff needs relu.
  return checkCutoff(*this);
}

LogicalResult SelectOp::verify() {
  Rule rule = getRule();
  // (C1) which operands a rule has.
  if ((rule == Rule::All) == bool(getScore()))
    return emitOpError(rule == Rule::All ? "expects no score for `all`"
                                         : "expects a score");
  bool isMagnitude = rule == Rule::Magnitude;
  if (isMagnitude != bool(getAbove()))
    return emitOpError("expects `above` for `magnitude`, and only for it");
  if (!isMagnitude && (getMinus() || getWeight()))
    return emitOpError("expects `minus` and `weight` only for `magnitude`");
  if (!getScore())
    return success();
  bool isMask = getElementTypeOrSelf(getScore()).isInteger(1);
  if (isMask != (rule == Rule::Given))
    return emitOpError(
               "expects i1 for `given` and floats for other rules, got ")
           << getScore().getType();
  // (C2) sizes.
  int64_t neurons = getSelection().getType().getNeurons();
  if (shapeOf(getScore()).empty() || shapeOf(getScore()).back() != neurons)
    return emitOpError("expects scores that end in ")
           << neurons << ", got " << getScore().getType();
  if (getTimes() && (isMask || getTimes().getType() != getScore().getType()))
    return emitOpError("expects both scores of one type, got ")
           << getTimes().getType() << " beside " << getScore().getType();
  if (failed(checkVector(*this, getMinus(), neurons, "minus")))
    return failure();
  return checkVector(*this, getWeight(), neurons, "weight");
}

LogicalResult KeepOp::verify() {
  // (C1) the selection is of x's columns.
  return checkInput(*this, getX(), getSelection().getType().getNeurons());
}

LogicalResult LinearOp::verify() {
  // (C1) x ends in d, folded is d x d_out, offset of size d_out.
  int64_t size = shapeOf(getY()).empty() ? 0 : shapeOf(getY()).back();
  if (failed(checkVector(*this, getOffset(), size, "offset")) ||
      failed(checkResult(*this, getX(), getY(), size)))
    return failure();
  if (getFolded()) {
    ArrayRef<int64_t> folded = shapeOf(getFolded());
    if (folded.size() != 2 || folded[1] != size)
      return emitOpError("expects `folded` of two dimensions, the last ")
             << size << ", got " << getFolded().getType();
    if (failed(checkInput(*this, getX(), folded[0])))
      return failure();
  }
  // (C3) stored needs folded, and is i8.
  if (std::optional<Type> stored = getStored();
      stored && !(getFolded() && stored->isInteger(8)))
    return emitOpError("expects `stored` to be i8 and of `folded`, got ")
           << *stored;
  // (C2) one element type throughout.
  return checkElementTypes(*this);
}

LogicalResult CorrectOp::verify() {
  if (failed(checkBlock(*this)))
    return failure();
  int64_t neurons = shapeOf(getUp())[1];
  // (C7) the selection and the surrogate are of the block's neurons.
  if (getSelection().getType().getNeurons() != neurons)
    return emitOpError("expects a selection of ")
           << neurons << " neurons, got " << getSelection().getType();
  if (failed(checkVector(*this, getMinus(), neurons, "minus")))
    return failure();
  // (C8) what is known is of the block's neurons.
  if (getKnownUp() && !getGate())
    return emitOpError("expects `gate` when `up` is known beside it");
  for (Value known : {getKnownGate(), getKnownUp()})
    if (known && (shapeOf(known).empty() || shapeOf(known).back() != neurons ||
                  shapeOf(known).drop_back() != shapeOf(getX()).drop_back()))
      return emitOpError("expects known values to have the leading dimensions "
                         "of `x` and to end in ")
             << neurons << ", got " << known.getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Canonicalisation
//===----------------------------------------------------------------------===//

/// keep(x, select(all)) -> x
static LogicalResult dropKeep(KeepOp op, PatternRewriter &rewriter) {
  auto select = op.getSelection().getDefiningOp<SelectOp>();
  if (!select || select.getRule() != Rule::All)
    return rewriter.notifyMatchFailure(op, "selects by a rule");
  rewriter.replaceOp(op, op.getX());
  return success();
}

void KeepOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                         MLIRContext *) {
  patterns.add(dropKeep);
}

/// A surrogate of zeros is none.
static LogicalResult dropZeroSurrogate(CorrectOp op,
                                       PatternRewriter &rewriter) {
  if (!op.getMinus() || !matchPattern(op.getMinus(), m_AnyZeroFloat()))
    return rewriter.notifyMatchFailure(op, "has no surrogate of zeros");
  rewriter.modifyOpInPlace(op, [&] { op.getMinusMutable().clear(); });
  return success();
}

/// All neurons, and nothing instead of them: the dense block.
static LogicalResult makeBlock(CorrectOp op, PatternRewriter &rewriter) {
  auto select = op.getSelection().getDefiningOp<SelectOp>();
  if (!select || select.getRule() != Rule::All)
    return rewriter.notifyMatchFailure(op, "selects by a rule");
  if (op.getMinus())
    return rewriter.notifyMatchFailure(op, "has a surrogate to take away");
  rewriter.replaceOpWithNewOp<BlockOp>(
      op, op.getType(), op.getActivation(), op.getX(), op.getGate(),
      op.getGateBias(), op.getUp(), op.getUpBias(), op.getDown(),
      /*down_bias=*/Value(), op.getUpActivationAttr(), op.getBlockNameAttr(),
      op.getCutoffAttr());
  return success();
}

void CorrectOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                            MLIRContext *) {
  patterns.add(dropZeroSurrogate);
  patterns.add(makeBlock);
}
