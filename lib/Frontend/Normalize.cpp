// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Model to model, by ONNX's own library. Its traps: the converter drops local
// functions and sparse initialisers silently, inference stops at the first
// operator it does not know, expansion of functions has no limit.
#include "Normalize.h"
#include "Names.h"
#include "onnx/checker.h"
#include "onnx/inliner/inliner.h"
#include "onnx/shape_inference/implementation.h"
#include "onnx/version_converter/convert.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::frontend;

/// A model may have this many nodes after its functions are inlined.
static constexpr uint64_t kMaxNodes = 1 << 20;

//===----------------------------------------------------------------------===//
// Versions
//===----------------------------------------------------------------------===//

int64_t frontend::importedOpset(const pb::ModelProto &model, StringRef domain) {
  for (const auto &import : model.opset_import())
    if (import.domain() == domain)
      return import.version();
  return 0;
}

static void normalizeDomains(pb::ModelProto &model) {
  auto normalize = [](auto &proto) {
    if (proto.domain() == "ai.onnx")
      proto.set_domain("");
  };
  forEachGraph(*model.mutable_graph(), [&](pb::GraphProto &graph) {
    for (auto &node : *graph.mutable_node())
      normalize(node);
  });
  for (auto &import : *model.mutable_opset_import())
    normalize(import);
}

/// Exporters write -1 for a dim that they do not know.
static void clearNegativeDims(pb::ModelProto &model) {
  auto clear = [](auto &values) {
    for (auto &value : values)
      if (value.type().has_tensor_type() &&
          value.type().tensor_type().has_shape())
        for (auto &dim : *value.mutable_type()
                              ->mutable_tensor_type()
                              ->mutable_shape()
                              ->mutable_dim())
          if (dim.has_dim_value() && dim.dim_value() < 0)
            dim.clear_dim_value();
  };
  forEachGraph(*model.mutable_graph(), [&](pb::GraphProto &graph) {
    clear(*graph.mutable_input());
    clear(*graph.mutable_output());
    clear(*graph.mutable_value_info());
  });
}

/// Of the main graph's inputs and outputs; the checker would not say whose.
static LogicalResult verifyTyped(const pb::GraphProto &graph,
                                 const Report &report) {
  auto isUntyped = [](const pb::ValueInfoProto &value) {
    return value.type().value_case() == pb::TypeProto::VALUE_NOT_SET;
  };
  for (const auto &input : graph.input())
    if (isUntyped(input))
      return report.error("input '" + input.name() + "' has no type");
  for (const auto &output : graph.output())
    if (isUntyped(output))
      return report.error("output '" + output.name() + "' has no type");
  return success();
}

LogicalResult frontend::readVersions(pb::ModelProto &model, ModelInfo &info,
                                     const Report &report) {
  if (!model.has_graph() || !model.has_ir_version())
    return report.error("is no ONNX model: it has no graph or no IR version");
  if (model.ir_version() > pb::IR_VERSION)
    return report.error("has IR version " + Twine(model.ir_version()) +
                        ", newer than " + Twine(int64_t(pb::IR_VERSION)) +
                        ", the newest known");
  normalizeDomains(model);
  clearNegativeDims(model);
  info.irVersion = model.ir_version();
  info.opset = importedOpset(model, "");
  info.producer = model.producer_name();
  if (!model.producer_version().empty())
    info.producer += " " + model.producer_version();
  int newest = pb::OpSchemaRegistry::DomainToVersionRange::Instance()
                   .Map()
                   .at("")
                   .second;
  if (info.opset > newest)
    return report.error("uses opset " + Twine(info.opset) + ", newer than " +
                        Twine(newest) + ", the newest known");
  return verifyTyped(model.graph(), report);
}

//===----------------------------------------------------------------------===//
// Checking and inlining
//===----------------------------------------------------------------------===//

/// The checker wants a shape on every input and output of the main graph.
static SmallVector<pb::TypeProto_Tensor *>
typesWithoutShape(pb::GraphProto &g) {
  SmallVector<pb::TypeProto_Tensor *> types;
  for (auto *values : {g.mutable_input(), g.mutable_output()})
    for (auto &value : *values)
      if (value.type().has_tensor_type() &&
          !value.type().tensor_type().has_shape())
        types.push_back(value.mutable_type()->mutable_tensor_type());
  return types;
}

LogicalResult frontend::checkModel(pb::ModelProto &model,
                                   const Report &report) {
  auto shapeless = typesWithoutShape(*model.mutable_graph());
  for (auto *type : shapeless)
    type->mutable_shape();
  LogicalResult result = guarded(report, [&] {
    pb::checker::check_model(model, /*full_check=*/false,
                             /*skip_opset_compatibility_check=*/true);
  });
  for (auto *type : shapeless)
    type->clear_shape();
  // Before IR version 3 there was one opset, and no field for it.
  if (model.opset_import().empty())
    model.add_opset_import()->set_version(1);
  return result;
}

namespace {
/// Counts nodes as they will be after inlining.
class InlinedSize {
public:
  explicit InlinedSize(const pb::ModelProto &model) {
    for (const auto &function : model.functions())
      functions[key(function.domain(), function.name(), function.overload())] =
          &function;
  }
  uint64_t count(const pb::GraphProto &graph) {
    return countNodes(graph.node());
  }

private:
  static std::string key(const std::string &domain, const std::string &name,
                         const std::string &overload) {
    return domain + '\0' + name + '\0' + overload;
  }
  uint64_t
  countNodes(const google::protobuf::RepeatedPtrField<pb::NodeProto> &nodes) {
    uint64_t total = 0;
    for (const auto &node : nodes) {
      total = SaturatingAdd(total, countNode(node));
      for (const auto &attr : node.attribute()) {
        if (attr.has_g())
          total = SaturatingAdd(total, count(attr.g()));
        for (const auto &graph : attr.graphs())
          total = SaturatingAdd(total, count(graph));
      }
    }
    return total;
  }
  uint64_t countNode(const pb::NodeProto &node) {
    auto it =
        functions.find(key(node.domain(), node.op_type(), node.overload()));
    if (it == functions.end())
      return 1;
    auto [size, isNew] = sizes.try_emplace(it->first(), 1);
    // A function met inside itself is a cycle, which the checker has refused.
    if (isNew) {
      uint64_t total = countNodes(it->second->node());
      return sizes[it->first()] = total;
    }
    return size->second;
  }

  StringMap<const pb::FunctionProto *> functions;
  StringMap<uint64_t> sizes;
};
} // namespace

LogicalResult frontend::inlineFunctions(pb::ModelProto &model,
                                        const Report &report) {
  if (model.functions().empty())
    return success();
  LogicalResult acyclic =
      guarded(report, [&] { pb::checker::check_function_call_cycles(model); });
  if (failed(acyclic))
    return failure();
  if (InlinedSize(model).count(model.graph()) > kMaxNodes)
    return report.error("has more than " + Twine(kMaxNodes) +
                        " nodes with its functions expanded");
  for (const auto &function : model.functions())
    for (const auto &import : function.opset_import())
      if (!importedOpset(model, import.domain()))
        *model.add_opset_import() = import;
  LogicalResult inlined = guarded(report, [&] {
    pb::inliner::InlineLocalFunctions(model, /*convert_version=*/true);
    normalizeDomains(model);
  });
  // The checker ignores bodies of functions before IR version 8, and types of
  // their calls always.
  return success(succeeded(inlined) &&
                 succeeded(resolveNames(*model.mutable_graph(), report)) &&
                 succeeded(checkModel(model, report)));
}

void frontend::dropDefaultedInputs(pb::ModelProto &model) {
  forEachGraph(*model.mutable_graph(), [&](pb::GraphProto &graph) {
    StringMap<bool> initializers;
    for (const auto &initializer : graph.initializer())
      initializers[initializer.name()] = true;
    auto *inputs = graph.mutable_input();
    inputs->erase(std::remove_if(inputs->begin(), inputs->end(),
                                 [&](const auto &input) {
                                   return initializers.count(input.name());
                                 }),
                  inputs->end());
  });
  // From this version on initialisers need not be inputs.
  model.set_ir_version(std::max<int64_t>(model.ir_version(), 4));
}

//===----------------------------------------------------------------------===//
// Conversion
//===----------------------------------------------------------------------===//

/// Why the converter must not see `graph`; it would damage it silently.
static std::string whyNotConvertible(pb::GraphProto &graph) {
  std::string why;
  forEachGraph(graph, [&](pb::GraphProto &each) {
    if (each.sparse_initializer_size())
      why = "it has sparse initialisers";
    for (const auto &node : each.node()) {
      // The converter's own names for values without a node.
      if (StringSwitch<bool>(node.op_type())
              .Cases({"Captured", "Undefined", "Param", "Return"}, true)
              .Default(false))
        why = describe(node) + " has a reserved name";
      for (const auto &attr : node.attribute())
        if (attr.has_sparse_tensor() || attr.sparse_tensors_size())
          why = describe(node) + " has a sparse attribute";
    }
  });
  return why;
}

LogicalResult frontend::convertOpset(pb::ModelProto &model, int64_t opset,
                                     const Report &report) {
  int64_t source = importedOpset(model, "");
  if (source == 0 || source >= opset)
    return success();
  std::string why = whyNotConvertible(*model.mutable_graph());
  pb::ModelProto converted;
  if (why.empty()) {
    try {
      static const pb::version_conversion::DefaultVersionConverter converter;
      pb::ModelProto inferred = model;
      pb::shape_inference::InferShapes(inferred);
      converted = converter.convert_version(inferred, pb::OpSetID(source),
                                            pb::OpSetID(opset));
    } catch (const std::exception &thrown) {
      why = cleanMessage(thrown.what());
    }
  }
  if (why.empty())
    model = std::move(converted);
  else
    report.warning("stays at opset " + Twine(source) + ": " + why);
  return success();
}

//===----------------------------------------------------------------------===//
// Inference
//===----------------------------------------------------------------------===//

/// What the file says of values between nodes; inference finds it again.
static void clearValueInfo(pb::ModelProto &model) {
  forEachGraph(*model.mutable_graph(),
               [](pb::GraphProto &graph) { graph.clear_value_info(); });
}

/// Inference of this operator's body in ONNX 1.23 fails without the attribute,
/// which has a default.
static void spellOutDefaults(pb::ModelProto &model) {
  forEachGraph(*model.mutable_graph(), [](pb::GraphProto &graph) {
    for (auto &node : *graph.mutable_node())
      if (node.op_type() == "MeanVarianceNormalization" &&
          node.domain().empty() && node.attribute().empty()) {
        auto *axes = node.add_attribute();
        axes->set_name("axes");
        axes->set_type(pb::AttributeProto::INTS);
        for (int64_t axis : {0, 2, 3})
          axes->add_ints(axis);
      }
  });
}

LogicalResult frontend::inferTypes(pb::ModelProto &model,
                                   const Report &report) {
  auto infer = [&](pb::ModelProto &each) {
    pb::ShapeInferenceOptions options(/*check_type_val=*/true,
                                      /*strict_mode_val=*/1,
                                      /*data_prop_val=*/true);
    pb::shape_inference::DataValueMap values;
    pb::shape_inference::InferShapes(each, pb::OpSchemaRegistry::Instance(),
                                     options, &values);
  };
  spellOutDefaults(model);
  pb::ModelProto attempt = model;
  try {
    infer(attempt);
    model = std::move(attempt);
    return success();
  } catch (const std::exception &) {
    // Perhaps only the file's own notes are wrong.
  }
  clearValueInfo(model);
  return guarded(report, [&] { infer(model); });
}
