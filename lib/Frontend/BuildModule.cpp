// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A normalised model, names resolved and types inferred, to IR. Nothing is
// interpreted but Constant nodes and the names of values.
#include "BuildModule.h"
#include "Names.h"
#include "Types.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "onnx/defs/schema.h"

using namespace llvm;
using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::frontend;
namespace ir = ::sparse_opt::onnx;

namespace {
/// Values and declared types of one graph and of those around it.
struct Scope {
  const Scope *outer;
  StringMap<Value> values;
  StringMap<const pb::TypeProto *> types;

  Value find(StringRef name) const {
    if (auto it = values.find(name); it != values.end())
      return it->second;
    return outer ? outer->find(name) : Value();
  }
};

class ModuleBuilder {
public:
  ModuleBuilder(const pb::ModelProto &model, Weights &weights,
                const Report &report)
      : model(model), weights(weights), report(report), context(report.context),
        builder(&context) {}
  OwningOpRef<ModuleOp> build(const ModelInfo &info);

private:
  LogicalResult buildMain();
  void setArgNames(func::FuncOp func);
  LogicalResult buildGraph(const pb::GraphProto &graph, Scope &scope,
                           SmallVectorImpl<Value> &outputs);
  LogicalResult buildInitializers(const pb::GraphProto &graph, Scope &scope);
  LogicalResult buildNode(const pb::NodeProto &node, Scope &scope);
  FailureOr<bool> buildConstant(const pb::NodeProto &node, Scope &scope);
  LogicalResult buildBody(const pb::GraphProto &graph, Region &region,
                          const Scope &outer);
  FailureOr<Attribute> attribute(const pb::AttributeProto &attr,
                                 const pb::NodeProto &node);
  FailureOr<Attribute> sparse(const pb::SparseTensorProto &tensor,
                              StringRef name);
  FailureOr<ElementsAttr> constantValue(const pb::NodeProto &node);
  Value operand(StringRef name, Scope &scope);
  Value none();
  Location location(StringRef name) {
    return NameLoc::get(builder.getStringAttr(name));
  }
  int64_t sinceVersion(const pb::NodeProto &node) const;

  const pb::ModelProto &model;
  Weights &weights;
  const Report &report;
  MLIRContext &context;
  OpBuilder builder;
  func::FuncOp main;
  Value noneValue;
};
} // namespace

//===----------------------------------------------------------------------===//
// Module and function
//===----------------------------------------------------------------------===//

OwningOpRef<ModuleOp> ModuleBuilder::build(const ModelInfo &info) {
  OwningOpRef<ModuleOp> module =
      ModuleOp::create(builder, location(report.file));
  auto set = [&](StringRef name, Attribute value) {
    (*module)->setAttr(name, value);
  };
  set("onnx.opset", builder.getI64IntegerAttr(importedOpset(model, "")));
  set("onnx.source_opset", builder.getI64IntegerAttr(info.opset));
  set("onnx.ir_version", builder.getI64IntegerAttr(info.irVersion));
  set("onnx.producer", builder.getStringAttr(info.producer));
  set("onnx.model_hash", builder.getStringAttr(weights.hash()));
  builder.setInsertionPointToStart(module->getBody());
  if (failed(buildMain()))
    return nullptr;
  return module;
}

LogicalResult ModuleBuilder::buildMain() {
  const pb::GraphProto &graph = model.graph();
  SmallVector<Type> argTypes;
  for (const auto &input : graph.input())
    argTypes.push_back(convertType(&input.type(), context));
  main = func::FuncOp::create(builder, location(graph.name()), "main",
                              builder.getFunctionType(argTypes, {}));
  Block *entry = main.addEntryBlock();
  builder.setInsertionPointToStart(entry);
  Scope scope{nullptr, {}, {}};
  for (auto [input, arg] : zip_equal(graph.input(), entry->getArguments())) {
    arg.setLoc(location(input.name()));
    scope.values[input.name()] = arg;
  }
  SmallVector<Value> outputs;
  if (failed(buildGraph(graph, scope, outputs)))
    return failure();
  func::ReturnOp::create(builder, main.getLoc(), outputs);
  main.setType(builder.getFunctionType(argTypes, TypeRange(outputs)));
  setArgNames(main);
  return success();
}

void ModuleBuilder::setArgNames(func::FuncOp func) {
  const pb::GraphProto &graph = model.graph();
  DimNames names(graph);
  auto attrs = [&](const pb::ValueInfoProto &value, Type type) {
    NamedAttrList list;
    list.set("onnx.name", builder.getStringAttr(value.name()));
    if (ArrayAttr dims = names.dims(value, type))
      list.set("onnx.dims", dims);
    return list.getDictionary(&context);
  };
  for (auto [i, input] : enumerate(graph.input()))
    func.setArgAttrs(i, attrs(input, func.getArgumentTypes()[i]));
  for (auto [i, output] : enumerate(graph.output()))
    func.setResultAttrs(i, attrs(output, func.getResultTypes()[i]));
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

LogicalResult ModuleBuilder::buildGraph(const pb::GraphProto &graph,
                                        Scope &scope,
                                        SmallVectorImpl<Value> &outputs) {
  for (const auto *infos : {&graph.value_info(), &graph.output()})
    for (const auto &info : *infos)
      scope.types[info.name()] = &info.type();
  if (failed(buildInitializers(graph, scope)))
    return failure();
  for (const auto &node : graph.node())
    if (failed(buildNode(node, scope)))
      return failure();
  for (const auto &output : graph.output()) {
    Value value = scope.find(output.name());
    if (!value)
      return report.error("graph output '" + output.name() +
                          "' is not defined by any node");
    outputs.push_back(value);
  }
  return success();
}

/// Initialisers in use, in the file's order, before all nodes.
LogicalResult ModuleBuilder::buildInitializers(const pb::GraphProto &graph,
                                               Scope &scope) {
  for (const auto &tensor : graph.initializer()) {
    auto value = weights.attribute(tensor, tensor.name());
    if (failed(value))
      return failure();
    scope.values[tensor.name()] =
        ir::ConstantOp::create(builder, location(tensor.name()), *value);
  }
  // What sparse initialisers mean is what Constant says of `sparse_value`.
  for (const auto &tensor : graph.sparse_initializer()) {
    pb::NodeProto node;
    node.set_op_type("Constant");
    node.set_name(tensor.values().name());
    node.add_output(tensor.values().name());
    auto *attr = node.add_attribute();
    attr->set_name("sparse_value");
    attr->set_type(pb::AttributeProto::SPARSE_TENSOR);
    *attr->mutable_sparse_tensor() = tensor;
    pb::TypeProto type;
    type.mutable_tensor_type()->set_elem_type(tensor.values().data_type());
    for (int64_t dim : tensor.dims())
      type.mutable_tensor_type()->mutable_shape()->add_dim()->set_dim_value(
          dim);
    scope.types[node.output(0)] = &type;
    if (failed(buildNode(node, scope)))
      return failure();
    scope.types.erase(node.output(0));
  }
  return success();
}

LogicalResult ModuleBuilder::buildBody(const pb::GraphProto &graph,
                                       Region &region, const Scope &outer) {
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(&region);
  Scope scope{&outer, {}, {}};
  for (const auto &input : graph.input())
    scope.values[input.name()] = block->addArgument(
        convertType(&input.type(), context), location(input.name()));
  SmallVector<Value> outputs;
  if (failed(buildGraph(graph, scope, outputs)))
    return failure();
  ir::YieldOp::create(builder, location(graph.name()), outputs);
  return success();
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

Value ModuleBuilder::none() {
  if (!noneValue) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&main.getBody().front());
    noneValue = ir::NoneOp::create(builder, builder.getUnknownLoc(),
                                   builder.getNoneType());
  }
  return noneValue;
}

Value ModuleBuilder::operand(StringRef name, Scope &scope) {
  return name.empty() ? none() : scope.find(name);
}

int64_t ModuleBuilder::sinceVersion(const pb::NodeProto &node) const {
  int64_t imported = importedOpset(model, node.domain());
  const pb::OpSchema *schema = pb::OpSchemaRegistry::Instance()->GetSchema(
      node.op_type(), imported, node.domain());
  return schema ? schema->since_version() : imported;
}

LogicalResult ModuleBuilder::buildNode(const pb::NodeProto &node,
                                       Scope &scope) {
  FailureOr<bool> isConstant = buildConstant(node, scope);
  if (failed(isConstant) || *isConstant)
    return isConstant;
  OperationState state(location(nodeName(node)),
                       ir::NodeOp::getOperationName());
  for (const auto &input : node.input()) {
    Value value = operand(input, scope);
    if (!value)
      return report.error(node, "uses '" + input + "', which nothing defines");
    state.addOperands(value);
  }
  for (const auto &output : node.output())
    state.addTypes(output.empty()
                       ? builder.getNoneType()
                       : convertType(scope.types.lookup(output), context));
  NamedAttrList attrs;
  SmallVector<StringRef> graphNames;
  SmallVector<const pb::GraphProto *> graphs;
  for (const auto &attr : node.attribute()) {
    for (const auto &graph : attr.graphs()) {
      graphNames.push_back(attr.name());
      graphs.push_back(&graph);
    }
    if (attr.has_g()) {
      graphNames.push_back(attr.name());
      graphs.push_back(&attr.g());
    } else if (attr.graphs().empty()) {
      FailureOr<Attribute> value = attribute(attr, node);
      if (failed(value))
        return failure();
      attrs.set(attr.name(), *value);
    }
  }
  state.addAttribute("op_type", builder.getStringAttr(node.op_type()));
  if (!node.domain().empty())
    state.addAttribute("domain", builder.getStringAttr(node.domain()));
  state.addAttribute("version", builder.getI64IntegerAttr(sinceVersion(node)));
  state.addAttribute("attrs", attrs.getDictionary(&context));
  if (!graphs.empty())
    state.addAttribute("graphs", builder.getStrArrayAttr(graphNames));
  for (size_t i = 0; i < graphs.size(); ++i)
    state.addRegion();
  Operation *op = builder.create(state);
  for (auto [graph, region] : zip_equal(graphs, op->getRegions()))
    if (failed(buildBody(*graph, region, scope)))
      return failure();
  for (auto [output, result] : zip_equal(node.output(), op->getResults()))
    if (!output.empty())
      scope.values[output] = result;
  return success();
}

/// False when `node` is no Constant that has a dense value.
FailureOr<bool> ModuleBuilder::buildConstant(const pb::NodeProto &node,
                                             Scope &scope) {
  if (node.op_type() != "Constant" || !node.domain().empty() ||
      node.attribute_size() != 1 || node.output_size() != 1 ||
      node.attribute(0).has_sparse_tensor())
    return false;
  FailureOr<ElementsAttr> value = constantValue(node);
  if (failed(value))
    return failure();
  scope.values[node.output(0)] =
      ir::ConstantOp::create(builder, location(nodeName(node)), *value);
  return true;
}

FailureOr<ElementsAttr>
ModuleBuilder::constantValue(const pb::NodeProto &node) {
  const pb::AttributeProto &attr = node.attribute(0);
  if (attr.has_t())
    return weights.attribute(attr.t(), node.output(0));
  pb::TensorProto tensor;
  StringRef name = attr.name();
  if (name.starts_with("value_float")) {
    tensor.set_data_type(pb::TensorProto::FLOAT);
    *tensor.mutable_float_data() = attr.floats();
    if (name == "value_float")
      tensor.add_float_data(attr.f());
  } else if (name.starts_with("value_int")) {
    tensor.set_data_type(pb::TensorProto::INT64);
    *tensor.mutable_int64_data() = attr.ints();
    if (name == "value_int")
      tensor.add_int64_data(attr.i());
  } else if (name.starts_with("value_string")) {
    tensor.set_data_type(pb::TensorProto::STRING);
    *tensor.mutable_string_data() = attr.strings();
    if (name == "value_string")
      tensor.add_string_data(attr.s());
  } else {
    return report.error(node, "has no value");
  }
  if (name.ends_with("s"))
    tensor.add_dims(attr.floats_size() + attr.ints_size() +
                    attr.strings_size());
  return weights.attribute(tensor, node.output(0));
}

FailureOr<Attribute> ModuleBuilder::sparse(const pb::SparseTensorProto &tensor,
                                           StringRef name) {
  auto values = weights.attribute(tensor.values(), name);
  auto indices = weights.attribute(tensor.indices(), name);
  if (failed(values) || failed(indices))
    return failure();
  SmallVector<int64_t> dims(tensor.dims().begin(), tensor.dims().end());
  return Attribute(builder.getDictionaryAttr(
      {builder.getNamedAttr("dims", builder.getDenseI64ArrayAttr(dims)),
       builder.getNamedAttr("indices", *indices),
       builder.getNamedAttr("values", *values)}));
}

FailureOr<Attribute> ModuleBuilder::attribute(const pb::AttributeProto &attr,
                                              const pb::NodeProto &node) {
  using pb::AttributeProto;
  switch (attr.type()) {
  case AttributeProto::INT:
    return Attribute(builder.getI64IntegerAttr(attr.i()));
  case AttributeProto::FLOAT:
    return Attribute(builder.getF32FloatAttr(attr.f()));
  case AttributeProto::STRING:
    return Attribute(builder.getStringAttr(attr.s()));
  case AttributeProto::INTS:
    return Attribute(builder.getDenseI64ArrayAttr(
        SmallVector<int64_t>(attr.ints().begin(), attr.ints().end())));
  case AttributeProto::FLOATS:
    return Attribute(builder.getDenseF32ArrayAttr(
        SmallVector<float>(attr.floats().begin(), attr.floats().end())));
  case AttributeProto::STRINGS:
    return Attribute(builder.getStrArrayAttr(
        SmallVector<StringRef>(attr.strings().begin(), attr.strings().end())));
  case AttributeProto::TENSOR: {
    auto value = weights.attribute(attr.t(), nodeName(node));
    return failed(value) ? FailureOr<Attribute>(failure())
                         : FailureOr<Attribute>(Attribute(*value));
  }
  case AttributeProto::SPARSE_TENSOR:
    return sparse(attr.sparse_tensor(), nodeName(node));
  case AttributeProto::TYPE_PROTO:
    return Attribute(TypeAttr::get(convertType(&attr.tp(), context)));
  default:
    return report.error(node, "attribute '" + attr.name() +
                                  "' is of a kind that no operator has");
  }
}

OwningOpRef<ModuleOp> frontend::buildModule(const pb::ModelProto &model,
                                            const ModelInfo &info,
                                            Weights &weights,
                                            const Report &report) {
  return ModuleBuilder(model, weights, report).build(info);
}
