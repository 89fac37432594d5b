// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A block is an ffn.block, or what --method= made of one: what lies between its
// input and the sum of ffn.linear and ffn.correct.
#include "sparse-opt/Pipelines/Blocks.h"
#include "dialects/Ffn/FfnOps.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinDialect.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/IRMapping.h"
#include "sparse-opt/Transforms/ExposeFfn.h"
#include "sparse-opt/Transforms/OnnxFolding.h"

using namespace mlir;
using namespace sparse_opt;

namespace {
/// A block in whatever form.
struct FoundBlock {
  std::string name;
  Value x, y;
};
} // namespace

/// What a correction is of, all of it.
static Value inputOf(ffn::CorrectOp op) {
  auto keep = op.getX().getDefiningOp<ffn::KeepOp>();
  return keep ? keep.getX() : op.getX();
}

/// linear(x) + correct(x) where that is how the correction is used.
static Value resultOf(ffn::CorrectOp op) {
  if (op->hasOneUse())
    if (auto sum = dyn_cast<arith::AddFOp>(*op->user_begin()))
      if (sum.getLhs().getDefiningOp<ffn::LinearOp>())
        return sum;
  return op;
}

static std::vector<FoundBlock> findAll(ModuleOp module) {
  std::vector<FoundBlock> found;
  module.walk([&](Operation *op) {
    if (auto block = dyn_cast<ffn::BlockOp>(op))
      found.push_back(
          {nameOfBlock(block, found.size()), block.getX(), block.getY()});
    else if (auto correct = dyn_cast<ffn::CorrectOp>(op))
      found.push_back({correct.getBlockName().value_or("").str(),
                       inputOf(correct), resultOf(correct)});
  });
  return found;
}

std::vector<std::string> sparse_opt::blockNames(ModuleOp module) {
  std::vector<std::string> names;
  for (FoundBlock &block : findAll(module))
    names.push_back(std::move(block.name));
  return names;
}

/// onnx.name and onnx.dims of a value at the model's edge.
static DictionaryAttr edgeAttributes(const Twine &name,
                                     ArrayRef<std::string> dims,
                                     MLIRContext *context) {
  Builder builder(context);
  SmallVector<StringRef> texts(dims.begin(), dims.end());
  return builder.getDictionaryAttr(
      {builder.getNamedAttr("onnx.dims", builder.getStrArrayAttr(texts)),
       builder.getNamedAttr("onnx.name", builder.getStringAttr(name))});
}

void sparse_opt::tapBlocks(ModuleOp module) {
  exposeBlocks(module, {"x", "y"}, /*keepResults=*/true);
}

/// Clones what `value` is made of, but for what `mapping` knows.
static Value cloneInto(OpBuilder &builder, Value value, Location location,
                       IRMapping &mapping) {
  if (Value known = mapping.lookupOrNull(value))
    return known;
  Operation *op = value.getDefiningOp();
  for (Value operand : op->getOperands())
    cloneInto(builder, operand, location, mapping);
  builder.clone(*op, mapping)->setLoc(location);
  return mapping.lookup(value);
}

OwningOpRef<ModuleOp> sparse_opt::extractBlocks(ModuleOp module) {
  MLIRContext *context = module.getContext();
  OwningOpRef<ModuleOp> result = ModuleOp::create(module.getLoc());
  (*result)->setAttrs(module->getAttrDictionary());
  std::vector<FoundBlock> blocks = findAll(module);

  // Sizes of each block are symbols of its own.
  SmallVector<Type> inputs, outputs;
  SmallVector<DictionaryAttr> inputAttrs, outputAttrs;
  for (auto [i, block] : llvm::enumerate(blocks)) {
    auto dimsOf = [block = std::to_string(i)](Value value) {
      std::vector<std::string> dims;
      auto type = cast<RankedTensorType>(value.getType());
      for (auto [d, size] : llvm::enumerate(type.getShape()))
        dims.push_back(ShapedType::isDynamic(size)
                           ? "rows" + block + "_" + std::to_string(d)
                           : std::to_string(size));
      return dims;
    };
    inputs.push_back(block.x.getType());
    outputs.push_back(block.y.getType());
    inputAttrs.push_back(
        edgeAttributes(block.name + ":x", dimsOf(block.x), context));
    outputAttrs.push_back(
        edgeAttributes(block.name + ":y", dimsOf(block.y), context));
  }
  OpBuilder builder = OpBuilder::atBlockEnd(result->getBody());
  auto main = func::FuncOp::create(builder, module.getLoc(), "main",
                                   builder.getFunctionType(inputs, outputs));
  main.setAllArgAttrs(inputAttrs);
  main.setAllResultAttrs(outputAttrs);

  Block *body = main.addEntryBlock();
  builder.setInsertionPointToStart(body);
  SmallVector<Value> results;
  for (auto [i, block] : llvm::enumerate(blocks)) {
    IRMapping mapping;
    mapping.map(block.x, body->getArgument(i));
    auto location = NameLoc::get(builder.getStringAttr(block.name));
    results.push_back(cloneInto(builder, block.y, location, mapping));
  }
  func::ReturnOp::create(builder, module.getLoc(), results);
  return result;
}

//===----------------------------------------------------------------------===//
// Weights and blocks of two modules
//===----------------------------------------------------------------------===//

void sparse_opt::borrowWeights(ModuleOp module) {
  llvm::DenseMap<Attribute, Attribute> borrowed;
  module.walk([&](Operation *op) {
    for (NamedAttribute named : op->getAttrs()) {
      auto resource = dyn_cast<DenseResourceElementsAttr>(named.getValue());
      if (!resource || !resource.getRawHandle().getBlob())
        continue;
      Attribute &known = borrowed[resource];
      if (!known) {
        auto handle = resource.getRawHandle();
        AsmResourceBlob *blob = handle.getBlob();
        // Without a deleter: what frees this one frees nothing.
        known = DenseResourceElementsAttr::get(
            resource.getType(), handle.getKey(),
            AsmResourceBlob(blob->getData(), blob->getDataAlignment(),
                            /*deleter=*/nullptr, /*dataIsMutable=*/false));
      }
      op->setAttr(named.getName(), known);
    }
  });
}

void sparse_opt::restoreBlock(ModuleOp module, StringRef name, ModuleOp dense) {
  auto called = [&](const FoundBlock &block) { return block.name == name; };
  std::vector<FoundBlock> all = findAll(module), originals = findAll(dense);
  auto block = llvm::find_if(all, called);
  auto original = llvm::find_if(originals, called);
  assert(block != all.end() && original != originals.end() &&
         "both have the block");
  OpBuilder builder(block->y.getDefiningOp());
  IRMapping mapping;
  mapping.map(original->x, block->x);
  Operation *whole = original->y.getDefiningOp();
  for (Value operand : whole->getOperands())
    if (Operation *constant = operand.getDefiningOp();
        constant && !mapping.contains(operand))
      builder.clone(*constant, mapping);
  Value y = builder.clone(*whole, mapping)->getResult(0);
  block->y.replaceAllUsesWith(y);
  if (auto sum = block->y.getDefiningOp<arith::AddFOp>())
    sum.erase();
  eraseDeadNodes(y.getDefiningOp()->getParentOfType<func::FuncOp>());
}

std::vector<std::string> sparse_opt::compressedBlocks(ModuleOp module) {
  std::vector<std::string> names;
  module.walk([&](ffn::CorrectOp op) {
    names.push_back(op.getBlockName().value_or("").str());
  });
  return names;
}

bool sparse_opt::setKnob(ModuleOp module, StringRef name, float value) {
  bool found = false;
  module.walk([&](ffn::KnobOp knob) {
    if (knob.getKnobName() != name)
      return;
    knob.setValueAttr(Builder(module.getContext()).getF32FloatAttr(value));
    found = true;
  });
  return found;
}
