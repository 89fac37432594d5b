// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Types.h"
#include "TensorData.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "onnx/defs/data_type_utils.h"

using namespace llvm;
using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::frontend;
namespace ir = ::sparse_opt::onnx;

/// ONNX's own spelling, e.g. "seq(tensor(float))".
static std::string spell(const pb::TypeProto *type) {
  if (!type || type->value_case() == pb::TypeProto::VALUE_NOT_SET)
    return "unknown";
  try {
    return *pb::Utils::DataTypeUtils::ToType(*type);
  } catch (const std::exception &) {
    return "unknown";
  }
}

Type frontend::convertType(const pb::TypeProto *type, MLIRContext &context) {
  auto opaque = [&] { return ir::OpaqueType::get(&context, spell(type)); };
  if (!type || !type->has_tensor_type())
    return opaque();
  const auto &tensor = type->tensor_type();
  Type element = elementType(context, tensor.elem_type());
  if (!element)
    return opaque();
  if (!tensor.has_shape())
    return UnrankedTensorType::get(element);
  SmallVector<int64_t> shape;
  for (const auto &dim : tensor.shape().dim()) {
    bool isStatic = dim.has_dim_value() && dim.dim_value() >= 0;
    shape.push_back(isStatic ? dim.dim_value() : ShapedType::kDynamic);
  }
  return RankedTensorType::get(shape, element);
}

/// Symbols that inference makes up.
static bool isGenerated(StringRef name) { return name.starts_with("unk__"); }

DimNames::DimNames(const pb::GraphProto &graph) {
  for (const auto *values : {&graph.input(), &graph.output()})
    for (const auto &value : *values)
      for (const auto &dim : value.type().tensor_type().shape().dim())
        declared.insert(dim.dim_param());
}

ArrayAttr DimNames::dims(const pb::ValueInfoProto &value, Type type) {
  auto ranked = dyn_cast<RankedTensorType>(type);
  if (!ranked)
    return {};
  const auto &shape = value.type().tensor_type().shape();
  SmallVector<Attribute> names;
  for (auto [i, size] : enumerate(ranked.getShape())) {
    std::string name;
    if (!ShapedType::isDynamic(size))
      name = std::to_string(size);
    else if (int(i) < shape.dim_size())
      name = shape.dim(i).dim_param();
    // A symbol that reads like a size is none.
    int64_t number;
    bool isFree = ShapedType::isDynamic(size) &&
                  (name.empty() || isGenerated(name) ||
                   !StringRef(name).getAsInteger(10, number));
    if (isFree)
      for (name = value.name() + "_dim_" + std::to_string(i);
           declared.contains(name);)
        name += '_';
    names.push_back(StringAttr::get(type.getContext(), name));
  }
  return ArrayAttr::get(type.getContext(), names);
}
