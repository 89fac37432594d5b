// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Decides which nodes to evaluate at compile time, keeps equal ones once and
// lets go of weights that nothing reads any more. The evaluation itself is in
// the tables of ConstantFolding.h.
#include "ConstantFolding.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinDialect.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "sparse-opt/Transforms/OnnxFolding.h"
#include "sparse-opt/Transforms/Passes.h"

namespace sparse_opt {
#define GEN_PASS_DEF_ONNXFOLDCONSTANTS
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::folding;
using onnx::ConstantOp;
using onnx::NodeOp;

namespace {
class ConstantFolder {
public:
  ConstantFoldingCounts run(ModuleOp module) {
    SmallVector<NodeOp> nodes;
    module.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (auto node = dyn_cast<NodeOp>(op))
        nodes.push_back(node);
      countResources(op);
    });
    for (NodeOp node : nodes)
      if (unpack(node) || foldOrShare(node))
        eraseFolded(node);
    return counts;
  }

private:
  /// An evaluated node; `results` are its constants.
  struct Evaluated {
    StringAttr opType;
    DictionaryAttr attrs;
    SmallVector<Value> operands;
    SmallVector<ConstantOp> results;
  };

  void countResources(Operation *op);
  void release(ConstantOp constant);
  void eraseFolded(NodeOp node);
  bool unpack(NodeOp node);
  bool foldOrShare(NodeOp node);
  bool isWorthwhile(NodeOp node, ArrayRef<std::optional<ConstantData>> inputs);
  ElementsAttr evaluate(NodeOp node, Folder folder, unsigned index,
                        ArrayRef<std::optional<ConstantData>> inputs);

  SmallVector<Evaluated> evaluated;
  llvm::StringMap<unsigned> resourceUses;
  ConstantFoldingCounts counts;
};

struct FoldConstants : sparse_opt::impl::OnnxFoldConstantsBase<FoldConstants> {
  using OnnxFoldConstantsBase::OnnxFoldConstantsBase;

  void runOnOperation() override {
    ConstantFoldingCounts counts = foldConstants(getOperation());
    numFolded += counts.folded;
    numShared += counts.shared;
    numTooLarge += counts.tooLarge;
    numFreed += counts.freedBytes;
  }
};
} // namespace

ConstantFoldingCounts sparse_opt::foldConstants(ModuleOp module) {
  return ConstantFolder().run(module);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

void ConstantFolder::countResources(Operation *op) {
  if (isa<ConstantOp, NodeOp>(op))
    op->getAttrDictionary().walk([&](DenseResourceElementsAttr resource) {
      ++resourceUses[resource.getRawHandle().getKey()];
    });
}

void ConstantFolder::release(ConstantOp constant) {
  // An entry must not outlive its operands: their memory is used again.
  Value value = constant.getResult();
  llvm::erase_if(evaluated, [&](const Evaluated &entry) {
    return llvm::is_contained(entry.results, constant) ||
           llvm::is_contained(entry.operands, value);
  });
  if (auto resource =
          dyn_cast<DenseResourceElementsAttr>(constant.getValue())) {
    DenseResourceElementsHandle handle = resource.getRawHandle();
    if (handle.getBlob() && --resourceUses[handle.getKey()] == 0) {
      counts.freedBytes += handle.getBlob()->getData().size();
      DenseResourceElementsHandle::getManagerInterface(constant.getContext())
          .update(handle.getKey(), AsmResourceBlob());
    }
  }
  constant.erase();
}

void ConstantFolder::eraseFolded(NodeOp node) {
  llvm::SmallSetVector<Operation *, 4> operands;
  for (Value operand : node.getOperands())
    if (Operation *op = operand.getDefiningOp())
      operands.insert(op);
  node.erase();
  for (Operation *operand : operands)
    if (auto constant = dyn_cast<ConstantOp>(operand))
      if (constant->use_empty())
        release(constant);
}

//===----------------------------------------------------------------------===//
// Evaluation
//===----------------------------------------------------------------------===//

/// The operands' data; nothing when one isn't constant.
static std::optional<SmallVector<std::optional<ConstantData>>>
readOperands(NodeOp node) {
  SmallVector<std::optional<ConstantData>> inputs;
  for (Value operand : node.getOperands()) {
    if (isa<NoneType>(operand.getType())) {
      inputs.push_back(std::nullopt);
      continue;
    }
    inputs.push_back(getConstantData(operand));
    if (!inputs.back())
      return std::nullopt;
  }
  return inputs;
}

static int64_t bytesOf(RankedTensorType type) {
  return type.getNumElements() * getElementBytes(type.getElementType());
}

bool ConstantFolder::isWorthwhile(
    NodeOp node, ArrayRef<std::optional<ConstantData>> inputs) {
  constexpr int64_t smallBytes = 64 << 10, growth = 8;
  int64_t largest = 0;
  for (const std::optional<ConstantData> &input : inputs)
    if (input)
      largest = std::max<int64_t>(largest, input->bytes.size());
  for (Type result : node->getResultTypes()) {
    auto type = dyn_cast<RankedTensorType>(result);
    if (!type || !type.hasStaticShape() ||
        !getElementBytes(type.getElementType()))
      return false;
    if (bytesOf(type) > smallBytes && bytesOf(type) > growth * largest) {
      ++counts.tooLarge;
      return false;
    }
  }
  return node->getNumResults() > 0;
}

/// The operand's resource under another shape.
static ElementsAttr shareResource(NodeOp node) {
  bool reshapes = node.is("Reshape") || node.is("Flatten") ||
                  node.is("Squeeze") || node.is("Unsqueeze") ||
                  node.is("Identity");
  auto type = cast<RankedTensorType>(node.getResult(0).getType());
  auto from = node.getOperand(0).getDefiningOp<ConstantOp>();
  auto resource = dyn_cast<DenseResourceElementsAttr>(from.getValue());
  if (!reshapes || !resource ||
      resource.getType().getNumElements() != type.getNumElements() ||
      resource.getType().getElementType() != type.getElementType())
    return {};
  return DenseResourceElementsAttr::get(type, resource.getRawHandle());
}

ElementsAttr
ConstantFolder::evaluate(NodeOp node, Folder folder, unsigned index,
                         ArrayRef<std::optional<ConstantData>> inputs) {
  if (!inputs.empty() && inputs[0])
    if (ElementsAttr shared = shareResource(node))
      return shared;
  auto type = cast<RankedTensorType>(node->getResult(index).getType());
  StringRef name = node.nodeName().empty() ? "folded" : node.nodeName();
  SmallVector<std::optional<ConstantData>> aligned(inputs);
  for (std::optional<ConstantData> &input : aligned)
    if (input)
      input->align();
  bool folded = false;
  ElementsAttr value = makeConstant(type, name, [&](MutableArrayRef<char> out) {
    Fold fold{node, aligned, index, type, out};
    folded = folder(fold);
  });
  if (folded)
    return value;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value))
    DenseResourceElementsHandle::getManagerInterface(node.getContext())
        .update(resource.getRawHandle().getKey(), AsmResourceBlob());
  return {};
}

bool ConstantFolder::unpack(NodeOp node) {
  ConstantOp weights = unpackWeights(node);
  if (!weights)
    return false;
  countResources(weights);
  ++counts.folded;
  return true;
}

bool ConstantFolder::foldOrShare(NodeOp node) {
  StringRef domain = node.getDomain().value_or("");
  Folder folder = lookupElementwiseFolder(node);
  if (!folder)
    folder = lookupLayoutFolder(node);
  if (!folder || (!domain.empty() && !node.is("DequantizeLinear", domain)))
    return false;
  auto inputs = readOperands(node);
  if (!inputs || inputs->empty() || !inputs->front() ||
      !isWorthwhile(node, *inputs))
    return false;
  SmallVector<Value> operands(node.getOperands());
  for (Evaluated &entry : evaluated)
    if (entry.opType == node.getOpTypeAttr() &&
        entry.attrs == node.getAttrs() && entry.operands == operands &&
        TypeRange(ValueRange(llvm::to_vector_of<Value>(entry.results))) ==
            node->getResultTypes() &&
        entry.results[0]->getBlock() == node->getBlock()) {
      for (auto [old, value] : llvm::zip(node->getResults(), entry.results))
        old.replaceAllUsesWith(value.getResult());
      ++counts.shared;
      return true;
    }
  Evaluated entry{node.getOpTypeAttr(), node.getAttrs(), operands, {}};
  SmallVector<ElementsAttr> values;
  for (unsigned i = 0; i < node->getNumResults(); ++i) {
    values.push_back(evaluate(node, folder, i, *inputs));
    if (!values.back())
      return false;
  }
  OpBuilder builder(node);
  for (auto [result, value] : llvm::zip(node->getResults(), values)) {
    auto constant = ConstantOp::create(builder, node.getLoc(), value);
    countResources(constant);
    result.replaceAllUsesWith(constant);
    entry.results.push_back(constant);
  }
  evaluated.push_back(std::move(entry));
  ++counts.folded;
  return true;
}
