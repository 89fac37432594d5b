// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Linear layers among onnx nodes: a product with a constant weight, its bias,
// the columns taken from it. What lies between two of them is FfnMatch.cpp's.
#include "FfnNodes.h"
#include "sparse-opt/Analysis/ConstantData.h"

using namespace mlir;
using namespace sparse_opt;
using onnx::NodeOp;

bool sparse_opt::isConstant(Value value) {
  return value && value.getDefiningOp<onnx::ConstantOp>();
}

std::string sparse_opt::nameOf(NodeOp node) {
  StringRef name = node.nodeName();
  return (name.empty() ? Twine("a ") + node.getOpType()
                       : node.getOpType() + " `" + name + "`")
      .str();
}

bool sparse_opt::keepsRows(NodeOp reshape) {
  auto from = dyn_cast<RankedTensorType>(reshape.getOperand(0).getType());
  auto to = dyn_cast<RankedTensorType>(reshape.getResult(0).getType());
  return from && to && from.getRank() && to.getRank() &&
         !from.isDynamicDim(from.getRank() - 1) &&
         from.getShape().back() == to.getShape().back();
}

/// A flag counts 0 or 1.
static bool isFloatOrFlag(Value value) {
  Type element = getElementTypeOrSelf(value.getType());
  return isa<FloatType>(element) || element.isInteger(1);
}

bool sparse_opt::passesOn(NodeOp node) {
  if (node.getOperands().empty() || node->getNumResults() != 1)
    return false;
  if (node.is("Cast"))
    return isFloatOrFlag(node.getOperand(0)) &&
           isa<FloatType>(getElementTypeOrSelf(node.getResult(0).getType()));
  if (node.is("Reshape") || node.is("Squeeze") || node.is("Unsqueeze") ||
      node.is("Flatten"))
    return keepsRows(node);
  return node.is("Identity");
}

//===----------------------------------------------------------------------===//
// Linear layers
//===----------------------------------------------------------------------===//

std::optional<int64_t> sparse_opt::biasSize(Value value) {
  if (!isConstant(value))
    return std::nullopt;
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getRank() == 0 || type.getNumElements() != type.getShape().back())
    return std::nullopt;
  return type.getNumElements();
}

bool sparse_opt::isProduct(NodeOp node) {
  if (node.getOperands().size() < 2 || node->getNumResults() != 1)
    return false;
  return node.is("MatMul") || node.is("Gemm") ||
         node.is("FusedMatMul", "com.microsoft");
}

static std::optional<LinearLayer> matchGemm(NodeOp node, std::string &why) {
  LinearLayer layer;
  layer.transposed = node.intAttr("transB", 0);
  layer.alpha = node.floatAttr("alpha", 1);
  if (node.intAttr("transA", 0) || node.intAttr("transBatchA", 0) ||
      node.intAttr("transBatchB", 0)) {
    why = nameOf(node) + " transposes its left operand";
    return std::nullopt;
  }
  if (Value bias = node.operandOrNull(2)) {
    if (!biasSize(bias) || node.floatAttr("beta", 1) != 1) {
      why = nameOf(node) + " adds something else than a constant bias";
      return std::nullopt;
    }
    layer.bias = bias;
  }
  return layer;
}

std::optional<LinearLayer> sparse_opt::matchProduct(NodeOp node,
                                                    std::string &why) {
  std::optional<LinearLayer> layer =
      node.is("MatMul") ? LinearLayer() : matchGemm(node, why);
  if (!layer)
    return std::nullopt;
  layer->weight = node.getOperand(1);
  auto type = dyn_cast<RankedTensorType>(layer->weight.getType());
  if (!isConstant(layer->weight) || type.getRank() != 2) {
    why = isConstant(node.getOperand(0))
              ? "the constant operand of " + nameOf(node) + " is on the left"
              : "the weight of " + nameOf(node) + " is not a constant matrix";
    return std::nullopt;
  }
  layer->product = node;
  layer->x = node.getOperand(0);
  layer->in = type.getDimSize(layer->transposed);
  layer->out = layer->size = type.getDimSize(!layer->transposed);
  if (layer->bias && biasSize(layer->bias) != layer->out) {
    why = "the bias of " + nameOf(node) + " is not one number per column";
    return std::nullopt;
  }
  layer->nodes.insert(node);
  return layer;
}

static std::optional<LinearLayer> matchLayer(Value value, std::string &why,
                                             unsigned depth);

static std::optional<LinearLayer> matchBias(NodeOp add, std::string &why,
                                            unsigned depth) {
  if (add.getOperands().size() != 2)
    return std::nullopt;
  for (unsigned i : {0, 1}) {
    std::optional<int64_t> size = biasSize(add.getOperand(i));
    if (!size)
      continue;
    std::optional<LinearLayer> layer =
        matchLayer(add.getOperand(1 - i), why, depth);
    if (!layer || layer->bias || layer->size != *size || layer->offset ||
        layer->size != layer->out)
      return std::nullopt;
    layer->bias = add.getOperand(i);
    layer->nodes.insert(add);
    return layer;
  }
  return std::nullopt;
}

/// The range of the last dimension that result `index` of a Split or Slice
/// takes; nothing when it cuts elsewhere.
static std::optional<std::pair<int64_t, int64_t>>
takenColumns(NodeOp node, unsigned index, int64_t size) {
  auto from = dyn_cast<RankedTensorType>(node.getOperand(0).getType());
  if (!from)
    return std::nullopt;
  int64_t last = from.getRank() - 1;
  if (node.is("Split")) {
    int64_t axis = node.intAttr("axis", 0), offset = 0;
    if (axis != last && axis != -1)
      return std::nullopt;
    for (unsigned i = 0; i <= index; ++i) {
      auto part = dyn_cast<RankedTensorType>(node->getResultTypes()[i]);
      if (!part || part.isDynamicDim(last))
        return std::nullopt;
      if (i == index)
        return std::pair(offset, part.getDimSize(last));
      offset += part.getDimSize(last);
    }
  }
  SmallVector<int64_t> bounds;
  for (unsigned i = 1; i < 5; ++i) {
    Value operand = node.operandOrNull(i);
    std::optional<ConstantData> data;
    if (operand)
      data = getConstantData(operand);
    if (operand ? !data || data->size() != 1 : i < 4)
      return std::nullopt;
    bounds.push_back(data ? data->getInteger(0) : 1);
  }
  if ((bounds[2] != last && bounds[2] != -1) || bounds[3] != 1)
    return std::nullopt;
  auto clamp = [&](int64_t bound) {
    return std::clamp<int64_t>(bound < 0 ? bound + size : bound, 0, size);
  };
  int64_t begin = clamp(bounds[0]), end = clamp(bounds[1]);
  return begin < end ? std::optional(std::pair(begin, end - begin))
                     : std::nullopt;
}

static std::optional<LinearLayer>
matchColumns(NodeOp node, unsigned index, std::string &why, unsigned depth) {
  if (node.getOperands().empty())
    return std::nullopt;
  std::optional<LinearLayer> layer = matchLayer(node.getOperand(0), why, depth);
  if (!layer || layer->size != layer->out)
    return std::nullopt;
  auto columns = takenColumns(node, index, layer->out);
  if (!columns) {
    why = nameOf(node) + " does not cut the last dimension in constant places";
    return std::nullopt;
  }
  std::tie(layer->offset, layer->size) = *columns;
  layer->nodes.insert(node);
  return layer;
}

static std::optional<LinearLayer> matchLayer(Value value, std::string &why,
                                             unsigned depth) {
  auto node = value.getDefiningOp<NodeOp>();
  if (!node || !depth--)
    return std::nullopt;
  if (isProduct(node))
    return matchProduct(node, why);
  if (node.is("Add"))
    return matchBias(node, why, depth);
  if (node.is("Split") || node.is("Slice"))
    return matchColumns(node, cast<OpResult>(value).getResultNumber(), why,
                        depth);
  if (!passesOn(node))
    return std::nullopt;
  std::optional<LinearLayer> layer = matchLayer(node.getOperand(0), why, depth);
  if (layer)
    layer->nodes.insert(node);
  return layer;
}

std::optional<LinearLayer> sparse_opt::matchLinear(Value value,
                                                   std::string &why) {
  // A product, its bias, a cut and some Casts and reshapes between.
  return matchLayer(value, why, /*depth=*/12);
}
