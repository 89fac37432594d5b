// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The `so_model` constant of ModelAbi.h and the function that hands it to the
// runtime, as LLVM IR. Its struct types follow the header field by field.
#include "Internal.h"
#include "sparse-opt/Runtime/ModelAbi.h"
#include "sparse-opt/Runtime/Runtime.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

using namespace llvm;

namespace sparse_opt {
namespace {

// The types below are laid out like the C structs; their sizes were counted.
static_assert(sizeof(so_tensor) == 32 && sizeof(so_variant) == 32 &&
                  sizeof(so_model) == 152,
              "ModelAbi.h changed: change the descriptor with it");

class DescriptorBuilder {
public:
  DescriptorBuilder(Module &module)
      : module(module), context(module.getContext()),
        pointer(PointerType::getUnqual(context)),
        i32(Type::getInt32Ty(context)), i64(Type::getInt64Ty(context)) {}

  void build(const ModelDescription &description,
             ArrayRef<VariantCode> variants, const WeightsPlace &weights,
             StringRef entry);

private:
  Constant *number(Type *type, uint64_t value) {
    return ConstantInt::get(type, value);
  }
  Constant *null() { return ConstantPointerNull::get(pointer); }
  Constant *record(ArrayRef<Constant *> fields) {
    return ConstantStruct::getAnon(context, fields);
  }

  Constant *global(Constant *value) {
    auto *variable = new GlobalVariable(module, value->getType(), true,
                                        GlobalValue::PrivateLinkage, value);
    variable->setUnnamedAddr(GlobalValue::UnnamedAddr::Global);
    return variable;
  }

  Constant *text(StringRef value) {
    return global(ConstantDataArray::getString(context, value));
  }

  /// An array of equal elements; NULL when empty.
  Constant *array(ArrayRef<Constant *> elements) {
    if (elements.empty())
      return null();
    auto *type = ArrayType::get(elements.front()->getType(), elements.size());
    return global(ConstantArray::get(type, elements));
  }

  Constant *tensor(const TensorDescription &tensor);
  Constant *tensors(ArrayRef<TensorDescription> list);
  Constant *variant(const VariantCode &variant);
  Constant *declare(const std::string &name);
  Constant *model(const ModelDescription &description,
                  ArrayRef<VariantCode> variants, const WeightsPlace &weights,
                  StringRef entry);

  Module &module;
  LLVMContext &context;
  PointerType *pointer;
  IntegerType *i32, *i64;
};

Constant *DescriptorBuilder::tensor(const TensorDescription &tensor) {
  SmallVector<Constant *> dims, names;
  for (const DimDescription &dim : tensor.dims) {
    dims.push_back(number(i64, static_cast<uint64_t>(dim.size)));
    names.push_back(dim.size >= 0 ? null() : text(dim.name));
  }
  return record({text(tensor.name),
                 number(i32, static_cast<uint32_t>(tensor.elementType)),
                 number(i32, dims.size()), array(dims), array(names)});
}

Constant *DescriptorBuilder::tensors(ArrayRef<TensorDescription> list) {
  SmallVector<Constant *> elements;
  for (const TensorDescription &each : list)
    elements.push_back(tensor(each));
  return array(elements);
}

Constant *DescriptorBuilder::declare(const std::string &name) {
  auto *type = FunctionType::get(Type::getVoidTy(context), false);
  auto *function =
      Function::Create(type, GlobalValue::ExternalLinkage, name, module);
  function->setVisibility(GlobalValue::HiddenVisibility);
  return function;
}

Constant *DescriptorBuilder::variant(const VariantCode &variant) {
  return record({text(variant.isa), number(i64, variant.isaBits),
                 declare(planName(variant.isa)),
                 declare(runName(variant.isa))});
}

Constant *DescriptorBuilder::model(const ModelDescription &description,
                                   ArrayRef<VariantCode> variants,
                                   const WeightsPlace &place, StringRef entry) {
  SmallVector<Constant *> symbols, code, axes, knobs, blocks;
  std::vector<TensorDescription> states;
  for (const std::string &symbol : description.symbols)
    symbols.push_back(text(symbol));
  for (const VariantCode &each : variants)
    code.push_back(variant(each));
  for (const StateDescription &state : description.states) {
    states.push_back(state.tensor);
    axes.push_back(number(i32, state.axis));
  }
  auto real = [&](double value) {
    return ConstantFP::get(Type::getDoubleTy(context), value);
  };
  for (const KnobDescription &knob : description.knobs)
    knobs.push_back(record({text(knob.name), real(knob.value)}));
  for (const BlockDescription &block : description.blocks)
    blocks.push_back(record({text(block.name), number(i64, block.groups),
                             real(block.low), real(block.high)}));
  Constant *weights = null();
  if (place.size && place.file.empty()) {
    auto *symbol = new GlobalVariable(module, Type::getInt8Ty(context), true,
                                      GlobalValue::ExternalLinkage, nullptr,
                                      weightsName(entry));
    symbol->setVisibility(GlobalValue::HiddenVisibility);
    weights = symbol;
  }
  return record({number(i32, sizeof(so_model)),
                 number(i32, SO_MODEL_ABI),
                 text(description.manifest),
                 number(i32, description.inputs.size()),
                 number(i32, description.outputs.size()),
                 number(i32, symbols.size()),
                 number(i32, code.size()),
                 tensors(description.inputs),
                 tensors(description.outputs),
                 array(symbols),
                 array(code),
                 weights,
                 number(i64, place.size),
                 place.file.empty() ? null() : text(place.file),
                 number(i64, place.hash),
                 number(i32, states.size()),
                 number(i32, description.lengthSymbol),
                 number(i32, description.capacitySymbol),
                 number(i32, 0),
                 tensors(states),
                 array(axes),
                 number(i32, knobs.size()),
                 number(i32, blocks.size()),
                 array(knobs),
                 array(blocks)});
}

/// const sparse_opt_api *entry() { return so_runtime_bind(&model, &storage); }
void DescriptorBuilder::build(const ModelDescription &description,
                              ArrayRef<VariantCode> variants,
                              const WeightsPlace &weights, StringRef entry) {
  Constant *described = global(model(description, variants, weights, entry));
  auto *words = ArrayType::get(i64, sizeof(sparse_opt_api) / 8);
  auto *storage =
      new GlobalVariable(module, words, false, GlobalValue::InternalLinkage,
                         ConstantAggregateZero::get(words), "api");
  FunctionCallee bind =
      module.getOrInsertFunction("so_runtime_bind", pointer, pointer, pointer);
  cast<Function>(bind.getCallee())
      ->setVisibility(GlobalValue::HiddenVisibility);
  auto *function =
      Function::Create(FunctionType::get(pointer, false),
                       GlobalValue::ExternalLinkage, entry, module);
  IRBuilder<> builder(BasicBlock::Create(context, "", function));
  builder.CreateRet(builder.CreateCall(bind, {described, storage}));
}

} // namespace

std::string weightsName(StringRef entry) {
  return ("so_weights." + entry).str();
}

Expected<ObjectBuffer> emitDescriptor(const ModelDescription &description,
                                      ArrayRef<VariantCode> variants,
                                      const WeightsPlace &weights,
                                      StringRef entry) {
  LLVMContext context;
  Module module("model", context);
  DescriptorBuilder(module).build(description, variants, weights, entry);
  return emitObject(module, "x86-64", "");
}

} // namespace sparse_opt
