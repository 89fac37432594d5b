// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The pass `convert-onnx-to-linalg`: looks every node of @main up in the
// tables of the operator families, lowers them in order, and gives the
// function its signless types. What an operator becomes is in the families.
#include "Lowering.h"
#include "dialects/Ffn/FfnOps.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/DialectConversion.h"
#include "sparse-opt/Conversion/Passes.h"
#include "llvm/ADT/MapVector.h"

namespace sparse_opt {
#define GEN_PASS_DEF_CONVERTONNXTOLINALG
#include "sparse-opt/Conversion/Passes.h.inc"
} // namespace sparse_opt

#define DEBUG_TYPE "convert-onnx-to-linalg"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;

//===----------------------------------------------------------------------===//
// Lookup
//===----------------------------------------------------------------------===//

static const llvm::StringMap<SmallVector<const Entry *>> &lowerings() {
  static const auto table = [] {
    llvm::StringMap<SmallVector<const Entry *>> result;
    for (ArrayRef<Entry> family :
         {activationLowerings(), attentionLowerings(), contractionLowerings(),
          einsumLowerings(), elementwiseLowerings(), indexingLowerings(),
          integerProductLowerings(), movementLowerings(), normLowerings(),
          reductionLowerings(), sliceLowerings(), microsoftLowerings(),
          quantizationLowerings(), scatterLowerings(), windowLowerings()})
      for (const Entry &entry : family)
        result[(entry.domain + ":" + entry.name).str()].push_back(&entry);
    return result;
  }();
  return table;
}

static const Entry *lookupLowering(onnx::NodeOp node) {
  StringRef domain = node.getDomain().value_or("");
  auto it = lowerings().find((domain + ":" + node.getOpType()).str());
  if (it == lowerings().end())
    return nullptr;
  int64_t version = node.getVersion();
  for (const Entry *entry : it->second)
    if (entry->since <= version && version <= entry->until)
      return entry;
  return nullptr;
}

static bool isLoweredElement(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type))
    return llvm::is_contained({1u, 8u, 16u, 32u, 64u}, integer.getWidth());
  return type.isF16() || type.isBF16() || type.isF32() || type.isF64();
}

/// A type of `op` that no code can hold, if there is one.
static Type unsupportedType(Operation *op) {
  for (Type type : llvm::concat<Type>(llvm::to_vector(op->getOperandTypes()),
                                      llvm::to_vector(op->getResultTypes())))
    if (!isa<NoneType>(type) && !(isa<RankedTensorType>(type) &&
                                  isLoweredElement(getElementTypeOrSelf(type))))
      return type;
  return {};
}

//===----------------------------------------------------------------------===//
// What can't be lowered
//===----------------------------------------------------------------------===//

static std::string operatorName(onnx::NodeOp node) {
  StringRef domain = node.getDomain().value_or("");
  return ("'" + (domain.empty() ? "" : domain + ".") + node.getOpType() +
          "' (opset " + Twine(node.getVersion()) + ")")
      .str();
}

/// One error per operator, at its first node; the next few are notes.
static LogicalResult reportMissing(func::FuncOp function) {
  llvm::MapVector<StringAttr, SmallVector<onnx::NodeOp>> missing;
  function.walk([&](onnx::NodeOp node) {
    if (!lookupLowering(node))
      missing[StringAttr::get(node.getContext(), operatorName(node))].push_back(
          node);
  });
  constexpr size_t shown = 3;
  for (auto &[name, nodes] : missing) {
    InFlightDiagnostic diag = emitError(nodes[0].getLoc())
                              << name.getValue()
                              << " has no lowering to CPU code";
    for (size_t i = 1; i < nodes.size() && i < shown; ++i)
      diag.attachNote(nodes[i].getLoc()) << "also used here";
    if (nodes.size() > shown)
      diag.attachNote(nodes.back().getLoc())
          << "and by " << nodes.size() - shown << " more nodes";
  }
  return success(missing.empty());
}

static LogicalResult reportUnsupportedTypes(func::FuncOp function) {
  WalkResult result = function.walk([](Operation *op) -> WalkResult {
    if (!isa<onnx::NodeOp, onnx::ConstantOp, ffn::BlockOp>(op))
      return WalkResult::advance(); // compressed blocks are made from ffn.block
    Type type = unsupportedType(op);
    if (!type)
      return WalkResult::advance();
    if (auto node = dyn_cast<onnx::NodeOp>(op))
      return emitError(op->getLoc()) << operatorName(node) << " on " << type
                                     << " has no lowering to CPU code";
    return emitError(op->getLoc())
           << "a value of type " << type << " has no lowering to CPU code";
  });
  return failure(result.wasInterrupted());
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

static LogicalResult lowerOp(Operation *op, Lowering &l) {
  l.begin(op);
  if (auto node = dyn_cast<onnx::NodeOp>(op)) {
    if (node.use_empty())
      return success();
    return lookupLowering(node)->lower(node, l);
  }
  lowerFfn(op, l);
  return success();
}

static LogicalResult lowerBody(Block &body, Lowering &l) {
  for (Operation &op : llvm::make_early_inc_range(body.without_terminator()))
    if (failed(lowerOp(&op, l)))
      return failure();
  Operation *terminator = body.getTerminator();
  l.begin(terminator);
  for (OpOperand &operand : terminator->getOpOperands())
    operand.set(l.lookup(operand.get()).value);
  return success();
}

/// The nodes, and sizes that turned out to be needed by none of them.
static void eraseLowered(Block &body) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
    if (isa<onnx::OnnxDialect, ffn::FfnDialect>(op.getDialect()) ||
        isOpTriviallyDead(&op))
      op.erase();
}

/// Arguments get signless types before anything reads them. ONNX's element
/// type stays as `onnx.type`: the interface of the model is made from it.
static void convertArguments(func::FuncOp function) {
  for (BlockArgument argument : function.getArguments()) {
    auto tensor = cast<RankedTensorType>(argument.getType());
    function.setArgAttr(argument.getArgNumber(), "onnx.type",
                        TypeAttr::get(tensor.getElementType()));
    argument.setType(tensor.clone(signless(tensor.getElementType())));
  }
}

static void convertResults(func::FuncOp function) {
  for (auto [i, type] : llvm::enumerate(function.getResultTypes()))
    function.setResultAttr(i, "onnx.type",
                           TypeAttr::get(getElementTypeOrSelf(type)));
  Block &body = function.getBody().front();
  function.setType(FunctionType::get(function.getContext(),
                                     body.getArgumentTypes(),
                                     body.getTerminator()->getOperandTypes()));
}

static LogicalResult lowerFunction(func::FuncOp function) {
  if (failed(reportMissing(function)) ||
      failed(reportUnsupportedTypes(function)))
    return failure();
  for (Type type : llvm::concat<const Type>(function.getArgumentTypes(),
                                            function.getResultTypes()))
    if (!isa<RankedTensorType>(type) ||
        !isLoweredElement(getElementTypeOrSelf(type)))
      return function.emitError() << "an input or output of type " << type
                                  << " has no lowering to CPU code";
  SymbolicShapes shapes(function);
  convertArguments(function);
  Lowering l(function, shapes);
  if (failed(lowerBody(function.getBody().front(), l)))
    return failure();
  l.sizes.checkAssumptions();
  eraseLowered(function.getBody().front());
  convertResults(function);
  return success();
}

/// Lists knobs and counted blocks, each name once.
static void numberNames(ModuleOp module) {
  Builder b(module.getContext());
  SmallVector<Attribute> knobs, blocks;
  llvm::SmallPtrSet<Attribute, 16> knownKnobs, knownBlocks;
  auto entry = [&](StringAttr name, StringRef key, Attribute value,
                   Attribute band = {}) {
    NamedAttrList attrs;
    attrs.set("name", name);
    attrs.set(key, value);
    if (band)
      attrs.set("band", band);
    return attrs.getDictionary(module.getContext());
  };
  module.walk([&](Operation *op) {
    if (auto knob = dyn_cast<kernel::KnobOp>(op);
        knob && knownKnobs.insert(knob.getKnobNameAttr()).second)
      knobs.push_back(
          entry(knob.getKnobNameAttr(), "value", knob.getValueAttr()));
    else if (auto note = dyn_cast<kernel::NoteRowsOp>(op);
             note && knownBlocks.insert(note.getBlockNameAttr()).second)
      blocks.push_back(entry(note.getBlockNameAttr(), "groups",
                             note.getGroupsAttr(), note.getBandAttr()));
  });
  if (!knobs.empty())
    module->setAttr(kernel::knobsAttr, b.getArrayAttr(knobs));
  if (!blocks.empty())
    module->setAttr(kernel::blocksAttr, b.getArrayAttr(blocks));
}

/// Nothing of the earlier stages is left.
static LogicalResult checkStage(Operation *module) {
  ConversionTarget target(*module->getContext());
  target.addIllegalDialect<onnx::OnnxDialect, ffn::FfnDialect>();
  target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
  RewritePatternSet none(module->getContext());
  return applyPartialConversion(module, target, std::move(none));
}

namespace {
struct ConvertOnnxToLinalg
    : sparse_opt::impl::ConvertOnnxToLinalgBase<ConvertOnnxToLinalg> {
  void runOnOperation() override {
    for (auto function :
         llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>())) {
      if (function.isExternal())
        continue;
      function.walk([&](Operation *op) {
        numNodes += isa<onnx::NodeOp>(op);
        numBlocks += isa<ffn::BlockOp>(op);
      });
      if (failed(lowerFunction(function)))
        return signalPassFailure();
    }
    numberNames(getOperation());
    if (failed(checkStage(getOperation())))
      signalPassFailure();
  }
};
} // namespace
