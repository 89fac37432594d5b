// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From `onnx.name` and `onnx.dims` on @main to the tables of the runtime.
#include "sparse-opt/Pipelines/Describe.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinDialect.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "sparse-opt/Conversion/Work.h"
#include "sparse-opt/Runtime/ModelAbi.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace sparse_opt;

/// ONNX TensorProto.DataType, 0 for types a model can't have at its edge.
static int32_t onnxType(Type type) {
  if (type.isF32())
    return 1;
  if (type.isF64())
    return 11;
  if (type.isF16())
    return 10;
  if (type.isBF16())
    return 16;
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return 0;
  bool isUnsigned = integer.isUnsigned();
  switch (integer.getWidth()) {
  case 1:
    return 9;
  case 8:
    return isUnsigned ? 2 : 3;
  case 16:
    return isUnsigned ? 4 : 5;
  case 32:
    return isUnsigned ? 12 : 6;
  case 64:
    return isUnsigned ? 13 : 7;
  default:
    return 0;
  }
}

namespace {
class Describer {
public:
  explicit Describer(func::FuncOp main) : main(main) {}

  std::optional<ModelDescription> run() {
    FunctionType type = main.getFunctionType();
    // In the order of --kernel-bind-symbols.
    for (unsigned i = 0, e = main.getNumArguments(); i != e; ++i)
      if (auto symbol = main.getArgAttrOfType<StringAttr>(i, "kernel.symbol"))
        result.symbols.push_back(symbol.str());
    for (auto [i, input] : llvm::enumerate(type.getInputs())) {
      DictionaryAttr attrs = main.getArgAttrDict(i);
      if (attrs && attrs.contains("kernel.symbol"))
        continue;
      bool isState = attrs && attrs.contains("kernel.state");
      if (isState ? !describeState(input, attrs)
                  : !describe(input, attrs, /*isInput=*/true, result.inputs))
        return std::nullopt;
    }
    for (auto [i, output] : llvm::enumerate(type.getResults())) {
      DictionaryAttr attrs = main.getResultAttrDict(i);
      if (attrs && (attrs.contains("kernel.state") ||
                    attrs.contains("kernel.state_length")))
        continue;
      if (!describe(output, attrs, /*isInput=*/false, result.outputs))
        return std::nullopt;
    }
    describeCompressed();
    return std::move(result);
  }

private:
  func::FuncOp main;
  ModelDescription result;

  /// Knobs and counted blocks, as --convert-onnx-to-linalg has numbered them.
  void describeCompressed() {
    auto module = main->getParentOfType<ModuleOp>();
    auto each = [&](StringRef name, auto add) {
      if (auto list = module->getAttrOfType<ArrayAttr>(name))
        for (auto entry : list.getAsRange<DictionaryAttr>())
          add(entry.getAs<StringAttr>("name").str(), entry);
    };
    each(kernel::knobsAttr, [&](std::string name, DictionaryAttr entry) {
      result.knobs.push_back(
          {name, entry.getAs<FloatAttr>("value").getValueAsDouble()});
    });
    each(kernel::blocksAttr, [&](std::string name, DictionaryAttr entry) {
      BlockDescription block{
          name, uint64_t(entry.getAs<IntegerAttr>("groups").getInt())};
      if (auto band = entry.getAs<DenseF64ArrayAttr>("band"))
        std::tie(block.low, block.high) = std::pair(band[0], band[1]);
      result.blocks.push_back(std::move(block));
    });
  }

  /// The length before a run is the only symbol that is an argument yet; the
  /// room is the size along the axis.
  bool describeState(Type type, DictionaryAttr attrs) {
    std::vector<TensorDescription> tensors;
    if (!describe(type, attrs, /*isInput=*/true, tensors))
      return false;
    int64_t axis = attrs.getAs<IntegerAttr>("kernel.state_axis").getInt();
    DimDescription &dim = tensors[0].dims[axis];
    result.capacitySymbol = -1 - dim.size;
    dim = {-1 - int64_t(result.lengthSymbol),
           result.symbols[result.lengthSymbol]};
    result.states.push_back({std::move(tensors[0]), int32_t(axis)});
    return true;
  }

  bool describe(Type type, DictionaryAttr attrs, bool isInput,
                std::vector<TensorDescription> &tensors) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    auto name = attrs ? attrs.getAs<StringAttr>("onnx.name") : nullptr;
    auto dims = attrs ? attrs.getAs<ArrayAttr>("onnx.dims") : nullptr;
    StringRef what = isInput ? "input" : "output";
    if (!name) {
      main.emitError() << "an " << what << " of @main has no onnx.name";
      return false;
    }
    // Later stages forget signs and bools; ONNX's own type stays beside.
    auto given = attrs ? attrs.getAs<TypeAttr>("onnx.type") : nullptr;
    int32_t elementType = !tensor ? 0
                          : given ? onnxType(given.getValue())
                                  : onnxType(tensor.getElementType());
    if (elementType == 0) {
      main.emitError() << what << " '" << name.getValue() << "' is of type "
                       << type << ", which compiled models can't pass";
      return false;
    }
    TensorDescription described{name.str(), elementType, {}};
    for (auto [i, size] : llvm::enumerate(tensor.getShape())) {
      auto text = dims && i < dims.size() ? dyn_cast<StringAttr>(dims[i])
                                          : StringAttr();
      StringRef dim = text ? text.getValue() : StringRef();
      described.dims.push_back(describeDim(size, dim, isInput));
    }
    tensors.push_back(std::move(described));
    return true;
  }

  DimDescription describeDim(int64_t size, StringRef name, bool isInput) {
    if (!ShapedType::isDynamic(size))
      return {size, ""};
    auto symbol = llvm::find(result.symbols, name.str());
    if (symbol == result.symbols.end() && isInput)
      symbol = result.symbols.insert(symbol, name.str());
    if (symbol == result.symbols.end())
      return {SO_DIM_PLANNED, name.str()};
    return {-1 - (symbol - result.symbols.begin()), name.str()};
  }
};
} // namespace

std::optional<ModelDescription> sparse_opt::describeModel(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main) {
    module.emitError("there is no function @main");
    return std::nullopt;
  }
  return Describer(main).run();
}

void sparse_opt::updateStates(ModuleOp module, ModelDescription &description) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  for (auto [i, type] : llvm::enumerate(main.getArgumentTypes()))
    if (auto number = main.getArgAttrOfType<IntegerAttr>(i, "kernel.state"))
      if (getElementTypeOrSelf(type).isBF16())
        description.states[number.getInt()].tensor.elementType = 16;
}

static llvm::json::Value text(Attribute attr) {
  auto string = dyn_cast_or_null<StringAttr>(attr);
  return llvm::json::fixUTF8(string ? string.getValue() : "");
}

llvm::json::Object sparse_opt::describeStates(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  llvm::json::Object states, sizes;
  llvm::json::Array list;
  for (unsigned i = 0, e = main.getNumArguments(); i != e; ++i) {
    if (Attribute symbol = main.getArgAttr(i, "kernel.symbol"))
      states["length"] = text(symbol);
    if (main.getArgAttr(i, "kernel.state"))
      list.push_back(llvm::json::Object{
          {"type",
           onnxType(
               main.getArgAttrOfType<TypeAttr>(i, "onnx.type").getValue())},
          {"input", text(main.getArgAttr(i, "onnx.name"))},
          {"output", text(main.getArgAttr(i, "kernel.state_result"))}});
  }
  if (list.empty())
    return {};
  for (unsigned i = 0, e = main.getNumResults(); i != e; ++i)
    if (Attribute length = main.getResultAttr(i, "kernel.state_length"))
      states["after"] = text(length);
  if (auto equal = main->getAttrOfType<DictionaryAttr>("kernel.state_sizes"))
    for (NamedAttribute size : equal)
      sizes[llvm::json::fixUTF8(size.getName())] = text(size.getValue());
  states["sizes"] = std::move(sizes);
  states["list"] = std::move(list);
  return states;
}

llvm::json::Object sparse_opt::describeBounds(ModuleOp module) {
  llvm::json::Object bounds;
  auto main = module.lookupSymbol<func::FuncOp>("main");
  module.walk([&](kernel::CheckIndexOp check) {
    auto argument = dyn_cast<BlockArgument>(check.getIndices());
    auto bound = getConstantIntValue(check.getBound());
    if (!argument || !bound || argument.getOwner()->getParentOp() != main)
      return;
    auto name =
        main.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "onnx.name");
    if (!name)
      return;
    auto known = bounds.getInteger(name.getValue());
    bounds[name.getValue()] = std::min(known.value_or(*bound), *bound);
  });
  return bounds;
}

/// An entry of the manifest's "kernels".
static llvm::json::Object describeKernel(Location location) {
  llvm::json::Object kernel{
      {"name", llvm::json::fixUTF8(nodeNameOf(location))}};
  if (DictionaryAttr work = workOf(location))
    for (NamedAttribute attr : work)
      if (auto text = dyn_cast<StringAttr>(attr.getValue()))
        kernel[llvm::json::fixUTF8(attr.getName())] =
            llvm::json::fixUTF8(text.getValue());
  return kernel;
}

llvm::json::Array sparse_opt::describeKernels(ModuleOp module) {
  llvm::json::Array kernels;
  DictionaryAttr last;
  module.walk([&](kernel::LaunchOp launch) {
    DictionaryAttr work = workOf(launch.getLoc());
    if (work && work == last) { // one op in several launches
      llvm::json::Object &kernel = *kernels.back().getAsObject();
      kernel["launches"] = kernel.getInteger("launches").value_or(1) + 1;
      return;
    }
    last = work;
    kernels.push_back(describeKernel(launch.getLoc()));
  });
  return kernels;
}

std::vector<std::string>
sparse_opt::cacheCopies(const llvm::json::Value &group) {
  std::vector<std::string> names;
  const llvm::json::Object &object = *group.getAsObject();
  for (const llvm::json::Value &value : *object.getArray("launches")) {
    const llvm::json::Object &kernel = *value.getAsObject();
    if (kernel.getString("kind") == StringRef("copy of a cache"))
      names.push_back(kernel.getString("name").value_or("").str());
  }
  return names;
}

std::vector<WeightSegment> sparse_opt::collectWeights(ModuleOp module) {
  std::vector<WeightSegment> segments;
  auto entries = module->getAttrOfType<ArrayAttr>("kernel.weights");
  if (!entries)
    return segments;
  for (auto entry : entries.getAsRange<DictionaryAttr>()) {
    uint64_t offset = entry.getAs<IntegerAttr>("offset").getInt();
    Attribute value = entry.get("resource");
    if (auto resource = dyn_cast<DenseResourceElementsAttr>(value))
      segments.push_back(
          {offset, resource.getRawHandle().getBlob()->getData()});
    else
      segments.push_back({offset, cast<DenseElementsAttr>(value).getRawData()});
  }
  return segments;
}

void sparse_opt::releaseWeights(ModuleOp module) {
  auto entries = module->getAttrOfType<ArrayAttr>("kernel.weights");
  for (auto entry : entries.getAsRange<DictionaryAttr>())
    if (auto resource =
            dyn_cast<DenseResourceElementsAttr>(entry.get("resource"))) {
      auto handle = resource.getRawHandle();
      handle.getManagerInterface(module.getContext())
          .getBlobManager()
          .update(handle.getKey(), AsmResourceBlob());
    }
}

llvm::json::Object sparse_opt::describeBlock(const FfnBlockReport &block) {
  llvm::json::Array biases;
  if (block.gateBias)
    biases.push_back("gate");
  if (block.upBias)
    biases.push_back("up");
  if (block.downBias)
    biases.push_back("down");
  return llvm::json::Object{{"name", llvm::json::fixUTF8(block.name)},
                            {"kind", block.gated ? "gated" : "plain"},
                            {"activation", block.activation},
                            {"d", block.d},
                            {"h", block.h},
                            {"out", block.out},
                            {"biases", std::move(biases)},
                            {"parameters", block.parameters},
                            {"share", block.share}};
}
