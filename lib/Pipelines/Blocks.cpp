// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// FFN blocks of a model, made visible one by one: as further results of the
// whole model, or as a model of their own. `verify` compares the two.
#include "dialects/Ffn/FfnOps.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "sparse-opt/Pipelines/Reference.h"
#include "sparse-opt/Transforms/ExposeFfn.h"

using namespace mlir;
using namespace sparse_opt;

std::vector<std::string> sparse_opt::blockNames(ModuleOp module) {
  std::vector<std::string> names;
  for (auto [i, block] : llvm::enumerate(findBlocks(module)))
    names.push_back(nameOfBlock(block, i));
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

OwningOpRef<ModuleOp> sparse_opt::extractBlocks(ModuleOp module) {
  MLIRContext *context = module.getContext();
  OwningOpRef<ModuleOp> result = ModuleOp::create(module.getLoc());
  (*result)->setAttrs(module->getAttrDictionary());
  SmallVector<ffn::BlockOp> blocks = findBlocks(module);

  // Sizes of each block are symbols of its own.
  SmallVector<Type> inputs, outputs;
  SmallVector<DictionaryAttr> inputAttrs, outputAttrs;
  for (auto [i, block] : llvm::enumerate(blocks)) {
    std::string name = nameOfBlock(block, i);
    auto dimsOf = [block = std::to_string(i)](Value value) {
      std::vector<std::string> dims;
      auto type = cast<RankedTensorType>(value.getType());
      for (auto [d, size] : llvm::enumerate(type.getShape()))
        dims.push_back(ShapedType::isDynamic(size)
                           ? "rows" + block + "_" + std::to_string(d)
                           : std::to_string(size));
      return dims;
    };
    inputs.push_back(block.getX().getType());
    outputs.push_back(block.getY().getType());
    inputAttrs.push_back(
        edgeAttributes(name + ":x", dimsOf(block.getX()), context));
    outputAttrs.push_back(
        edgeAttributes(name + ":y", dimsOf(block.getY()), context));
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
    mapping.map(block.getX(), body->getArgument(i));
    for (Value operand : block->getOperands())
      if (operand != block.getX())
        if (Operation *constant = operand.getDefiningOp())
          builder.clone(*constant, mapping);
    Operation *copy = builder.clone(*block, mapping);
    results.push_back(copy->getResult(0));
  }
  func::ReturnOp::create(builder, module.getLoc(), results);
  return result;
}
