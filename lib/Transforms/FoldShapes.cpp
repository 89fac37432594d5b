// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes what the symbolic shape analysis knows into the IR: static sizes into
// types, computed sizes into `onnx.dims`, copies out of the way. What it
// leaves computes with data. Values of constants are `--onnx-fold-constants`.
#include "SimplifyLayout.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include "sparse-opt/Transforms/OnnxFolding.h"
#include "sparse-opt/Transforms/Passes.h"

namespace sparse_opt {
#define GEN_PASS_DEF_ONNXFOLDSHAPES
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;
using onnx::NodeOp;

namespace {
struct FoldShapes : sparse_opt::impl::OnnxFoldShapesBase<FoldShapes> {
  using OnnxFoldShapesBase::OnnxFoldShapesBase;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    SymbolicShapes shapes(function);
    renameSymbols(function, shapes);
    // Types first: everything after compares them.
    function.walk([&](Operation *op) { refineTypes(op, shapes); });
    DimTensors tensors(function);
    SmallVector<NodeOp> nodes;
    function.walk<WalkOrder::PreOrder>(
        [&](NodeOp node) { nodes.push_back(node); });
    for (NodeOp node : nodes)
      simplify(node, shapes, tensors);
    numErased += eraseDeadNodes(function);
    updateSignature(function, shapes);
    recordChecks(function, shapes);
  }

private:
  void renameSymbols(func::FuncOp function, const SymbolicShapes &shapes);
  void refineTypes(Operation *op, const SymbolicShapes &shapes);
  void simplify(NodeOp node, SymbolicShapes &shapes, DimTensors &tensors);
  void foldContents(NodeOp node, const SymbolicShapes &shapes,
                    DimTensors &tensors);
  void nameShape(NodeOp node, const SymbolicShapes &shapes,
                 DimTensors &tensors);
  void updateSignature(func::FuncOp function, const SymbolicShapes &shapes);
  void recordChecks(func::FuncOp function, const SymbolicShapes &shapes);
};
} // namespace

/// The type with all sizes that `shape` knows to be constant.
static Type refine(Type type, std::optional<ArrayRef<Dim>> shape) {
  auto tensor = dyn_cast<TensorType>(type);
  if (!tensor || !shape)
    return type;
  auto ranked = dyn_cast<RankedTensorType>(type);
  SmallVector<int64_t> sizes;
  for (const Dim &dim : *shape) {
    std::optional<int64_t> size = dim ? dim->constant() : std::nullopt;
    sizes.push_back(size && *size >= 0 ? *size : ShapedType::kDynamic);
  }
  if (ranked && ranked.getRank() != static_cast<int64_t>(sizes.size()))
    return type;
  return RankedTensorType::get(sizes, tensor.getElementType());
}

/// Arguments whose sizes must be equal get one name for them, which the
/// runtime checks.
void FoldShapes::renameSymbols(func::FuncOp function,
                               const SymbolicShapes &shapes) {
  if (shapes.getEqualSymbols().empty())
    return;
  Builder builder(&getContext());
  for (BlockArgument argument : function.getArguments()) {
    unsigned number = argument.getArgNumber();
    auto names = function.getArgAttrOfType<ArrayAttr>(number, "onnx.dims");
    if (!names)
      continue;
    SmallVector<Attribute> renamed(names.begin(), names.end());
    for (Attribute &name : renamed) {
      StringRef old = cast<StringAttr>(name).getValue();
      auto it = shapes.getEqualSymbols().find(old);
      if (it == shapes.getEqualSymbols().end())
        continue;
      if (std::optional<StringRef> symbol = it->second.symbolName())
        name = builder.getStringAttr(*symbol);
      else if (std::optional<int64_t> size = it->second.constant())
        name = builder.getStringAttr(Twine(*size));
      else
        continue;
      ++numRenamed;
      mlir::emitRemark(function.getLoc())
          << "size `" << old << "` of an input is taken to "
          << "be " << name << ", which nodes combine it with";
    }
    function.setArgAttr(number, "onnx.dims", builder.getArrayAttr(renamed));
    argument.setType(refine(argument.getType(), shapes.getShape(argument)));
  }
}

void FoldShapes::refineTypes(Operation *op, const SymbolicShapes &shapes) {
  if (!isa<NodeOp, ffn::BlockOp>(op))
    return;
  for (Value result : op->getResults()) {
    Type refined = refine(result.getType(), shapes.getShape(result));
    numRefined += refined != result.getType();
    result.setType(refined);
  }
}

/// Results with known elements become `onnx.constant` or `onnx.dims`.
void FoldShapes::foldContents(NodeOp node, const SymbolicShapes &shapes,
                              DimTensors &tensors) {
  for (Value result : node->getResults()) {
    auto type = dyn_cast<RankedTensorType>(result.getType());
    std::optional<SmallVector<DimExpr>> known = shapes.getKnownContents(result);
    if (!type || !known || result.use_empty() || !type.hasStaticShape() ||
        type.getNumElements() != static_cast<int64_t>(known->size()))
      continue;
    if (isa<FloatType>(type.getElementType())) {
      // Symbolic floats are left to a Cast of `onnx.dims`.
      if (!type.getElementType().isF32() ||
          !llvm::all_of(*known, [](auto &dim) { return !!dim.constant(); }))
        continue;
      SmallVector<float> values;
      for (const DimExpr &dim : *known)
        values.push_back(*dim.constant());
      OpBuilder builder(node);
      result.replaceAllUsesWith(onnx::ConstantOp::create(
          builder, node.getLoc(),
          DenseElementsAttr::get(type, ArrayRef<float>(values))));
    } else {
      result.replaceAllUsesWith(tensors.get(node.getLoc(), type, *known));
    }
    ++numFolded;
  }
}

/// Reshape and Expand name their whole result shape: no -1, no 0 that copies.
void FoldShapes::nameShape(NodeOp node, const SymbolicShapes &shapes,
                           DimTensors &tensors) {
  if ((!node.is("Reshape") && !node.is("Expand")) || !node.operandOrNull(1))
    return;
  std::optional<SmallVector<DimExpr>> shape =
      shapes.getKnownShape(node.getResult(0));
  if (!shape)
    return;
  Builder builder(&getContext());
  auto type = RankedTensorType::get({static_cast<int64_t>(shape->size())},
                                    builder.getI64Type());
  node->setOperand(1, tensors.get(node.getLoc(), type, *shape));
  if (!node.is("Reshape"))
    return;
  NamedAttrList attrs(node.getAttrs());
  attrs.set("allowzero", builder.getI64IntegerAttr(1));
  node.setAttrsAttr(attrs.getDictionary(&getContext()));
}

void FoldShapes::simplify(NodeOp node, SymbolicShapes &shapes,
                          DimTensors &tensors) {
  foldContents(node, shapes, tensors);
  if (llvm::all_of(node->getResults(), [](Value v) { return v.use_empty(); }))
    return;
  OpBuilder builder(&getContext());
  Value replacement = findEqualOperand(node, shapes);
  if (!replacement)
    replacement = mergeTransposes(node, shapes, builder);
  if (!replacement)
    return nameShape(node, shapes, tensors);
  std::optional<ArrayRef<Dim>> shape = shapes.getShape(node.getResult(0));
  if (shape && !shapes.getShape(replacement))
    shapes.setShape(replacement, llvm::to_vector_of<Dim, 4>(*shape));
  node.getResult(0).replaceAllUsesWith(replacement);
  ++numSimplified;
}

unsigned sparse_opt::eraseDeadNodes(func::FuncOp function) {
  SmallVector<Operation *> ops;
  function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (isa<NodeOp, onnx::ConstantOp, onnx::DimsOp, onnx::NoneOp, ffn::BlockOp>(
            op))
      ops.push_back(op);
  });
  unsigned erased = 0;
  for (Operation *op : llvm::reverse(ops))
    if (op->use_empty()) {
      ++erased;
      op->erase();
    }
  return erased;
}

void FoldShapes::updateSignature(func::FuncOp function,
                                 const SymbolicShapes &shapes) {
  Builder builder(&getContext());
  auto terminator =
      dyn_cast<func::ReturnOp>(function.getBody().back().getTerminator());
  if (!terminator)
    return;
  function.setType(
      builder.getFunctionType(function.getBody().front().getArgumentTypes(),
                              terminator.getOperandTypes()));
  for (auto [i, value] : llvm::enumerate(terminator.getOperands())) {
    std::optional<SmallVector<DimExpr>> shape = shapes.getKnownShape(value);
    if (!shape)
      continue;
    SmallVector<Attribute> names;
    for (const DimExpr &dim : *shape)
      names.push_back(builder.getStringAttr(dim.str()));
    function.setResultAttr(i, "onnx.dims", builder.getArrayAttr(names));
  }
}

/// Equalities that no common name expresses stand on the function:
/// `onnx.size_checks = [["sequence", "min(512,sequence)", "/Add"]]`.
void FoldShapes::recordChecks(func::FuncOp function,
                              const SymbolicShapes &shapes) {
  Builder builder(&getContext());
  SmallVector<Attribute> checks;
  for (const SizeAssumption &check : shapes.getAssumptions()) {
    auto node = dyn_cast<NodeOp>(check.op);
    StringRef name = node ? node.nodeName() : "";
    checks.push_back(builder.getStrArrayAttr(
        {check.lhs.str(), check.rhs.str(), name.str()}));
  }
  if (!checks.empty())
    function->setAttr("onnx.size_checks", builder.getArrayAttr(checks));
}
