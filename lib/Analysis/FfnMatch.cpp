// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Linear layers, the element-wise nodes between two of them, and the checks
// that make both a feed-forward block. The function that lies between is
// recognised in FfnActivation.cpp.
#include "sparse-opt/Analysis/FfnMatch.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace sparse_opt;
using onnx::NodeOp;

static bool isConstant(Value value) {
  return value && value.getDefiningOp<onnx::ConstantOp>();
}

static std::string nameOf(NodeOp node) {
  StringRef name = node.nodeName();
  return (name.empty() ? Twine("a ") + node.getOpType()
                       : node.getOpType() + " `" + name + "`")
      .str();
}

/// A Reshape whose operand and result agree in the last dimension: rows stay
/// rows, in order.
static bool keepsRows(NodeOp reshape) {
  auto from = dyn_cast<RankedTensorType>(reshape.getOperand(0).getType());
  auto to = dyn_cast<RankedTensorType>(reshape.getResult(0).getType());
  return from && to && from.getRank() && to.getRank() &&
         !from.isDynamicDim(from.getRank() - 1) &&
         from.getShape().back() == to.getShape().back();
}

/// Nodes that pass operand 0 on, as far as a block is concerned.
static bool passesOn(NodeOp node) {
  if (node.getOperands().empty() || node->getNumResults() != 1)
    return false;
  if (node.is("Cast"))
    return isa<FloatType>(getElementTypeOrSelf(node.getOperand(0).getType())) &&
           isa<FloatType>(getElementTypeOrSelf(node.getResult(0).getType()));
  if (node.is("Reshape") || node.is("Squeeze") || node.is("Unsqueeze") ||
      node.is("Flatten"))
    return keepsRows(node);
  return node.is("Identity");
}

//===----------------------------------------------------------------------===//
// Linear layers
//===----------------------------------------------------------------------===//

/// The elements of a constant that adds to the last dimension only.
static std::optional<int64_t> biasSize(Value value) {
  if (!isConstant(value))
    return std::nullopt;
  auto type = cast<RankedTensorType>(value.getType());
  if (type.getRank() == 0 || type.getNumElements() != type.getShape().back())
    return std::nullopt;
  return type.getNumElements();
}

static bool isProduct(NodeOp node) {
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

static std::optional<LinearLayer> matchProduct(NodeOp node, std::string &why) {
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

//===----------------------------------------------------------------------===//
// Between two linear layers
//===----------------------------------------------------------------------===//

/// Element-wise operators, and whether one of them makes a non-linearity.
static const llvm::StringMap<bool> &elementwiseNodes() {
  static const llvm::StringMap<bool> nodes = {
      {"Add", false},         {"Sub", false},      {"Mul", false},
      {"Div", false},         {"Pow", false},      {"Neg", false},
      {"Min", false},         {"Max", false},      {"Sqrt", false},
      {"Reciprocal", false},  {"Abs", false},      {"Where", false},
      {"Greater", false},     {"Less", false},     {"GreaterOrEqual", false},
      {"LessOrEqual", false}, {"Erf", true},       {"Tanh", true},
      {"Sigmoid", true},      {"Relu", true},      {"Exp", true},
      {"Gelu", true},         {"Swish", true},     {"HardSwish", true},
      {"HardSigmoid", true},  {"LeakyRelu", true}, {"Elu", true},
      {"Softplus", true},     {"Mish", true},      {"Clip", true}};
  return nodes;
}

static bool isMicrosoftGelu(NodeOp node) {
  static const llvm::StringSet<> names = {"Gelu", "FastGelu", "BiasGelu",
                                          "QuickGelu"};
  return node.getDomain().value_or("") == "com.microsoft" &&
         names.contains(node.getOpType());
}

namespace {
class ConeWalk {
public:
  ConeWalk(ElementwiseCone &cone, const SymbolicShapes &shapes)
      : cone(cone), shapes(shapes) {}

  bool visit(Value value) {
    if (depth == 32 || cone.nodes.size() > 64)
      return fail("more nodes lie in front of it than an activation has");
    ++depth;
    bool understood = visitNode(value);
    --depth;
    return understood;
  }

private:
  bool visitNode(Value value) {
    if (cone.leafOf.contains(value) || isScalar(value))
      return true;
    auto node = value.getDefiningOp<NodeOp>();
    if (!node)
      return fail(isConstant(value)
                      ? "its hidden values meet a constant tensor"
                      : "it reads a value that no linear layer computes");
    if (cone.nodes.contains(node))
      return true;
    std::string why;
    if (std::optional<LinearLayer> leaf = matchLinear(value, why))
      return addLeaf(value, std::move(*leaf));
    if (isMicrosoftGelu(node))
      return visitMicrosoftGelu(node);
    auto known = elementwiseNodes().find(node.getOpType());
    bool isElementwise = known != elementwiseNodes().end() &&
                         node.getDomain().value_or("").empty();
    if (!isElementwise && !passesOn(node))
      return fail(why.empty() ? nameOf(node) + " is no part of a block" : why);
    cone.hasActivation |= isElementwise && known->second;
    // All operands are looked at: an activation behind a failure counts.
    bool understood = true;
    unsigned operands = isElementwise ? node.getOperands().size() : 1;
    for (unsigned i = 0; i < operands; ++i)
      if (Value operand = node.operandOrNull(i))
        understood &= visit(operand) && hasShapeOf(operand, node);
    cone.nodes.insert(node);
    return understood;
  }

  bool fail(std::string why) {
    if (cone.why.empty())
      cone.why = std::move(why);
    return false;
  }

  static bool isScalar(Value value) {
    std::optional<ConstantData> data = getConstantData(value);
    return data && (data->splat || data->size() == 1);
  }

  /// Operands other than scalars have the result's shape, so that rows meet
  /// their own rows.
  bool hasShapeOf(Value operand, NodeOp node) {
    if (isScalar(operand) || passesOn(node))
      return true;
    auto own = shapes.getKnownShape(operand);
    auto result = shapes.getKnownShape(node.getResult(0));
    if (own && result && *own == *result)
      return true;
    // One dynamic operand alone can't be broadcast by scalars.
    unsigned tensors = llvm::count_if(node.getOperands(), [](Value other) {
      return !isa<NoneType>(other.getType()) && !isScalar(other);
    });
    return tensors == 1 ||
           fail(nameOf(node) + " combines values of different shapes");
  }

  bool addLeaf(Value value, LinearLayer leaf) {
    for (auto [i, known] : llvm::enumerate(cone.leaves))
      if (known.product == leaf.product && known.bias == leaf.bias &&
          known.offset == leaf.offset && known.size == leaf.size) {
        known.nodes.insert(leaf.nodes.begin(), leaf.nodes.end());
        cone.leafOf[value] = i;
        return true;
      }
    cone.leafOf[value] = cone.leaves.size();
    cone.leaves.push_back(std::move(leaf));
    return true;
  }

  /// The bias inside BiasGelu and FastGelu is the layer's.
  bool visitMicrosoftGelu(NodeOp node) {
    cone.hasActivation = true;
    cone.nodes.insert(node);
    Value x = node.operandOrNull(0), bias = node.operandOrNull(1);
    if (!x)
      return fail(nameOf(node) + " has no operand");
    if (!bias)
      return visit(x);
    std::string why;
    std::optional<LinearLayer> leaf = matchLinear(x, why);
    if (!leaf || leaf->bias || biasSize(bias) != leaf->size ||
        leaf->size != leaf->out)
      return fail(why.empty() ? nameOf(node) + " adds its bias to no product"
                              : why);
    // The leaf stands for x with the bias: nothing else may read x.
    if (!x.hasOneUse())
      return fail("values in front of " + nameOf(node) + " are read twice");
    leaf->bias = bias;
    return addLeaf(x, std::move(*leaf));
  }

  ElementwiseCone &cone;
  const SymbolicShapes &shapes;
  unsigned depth = 0;
};
} // namespace

ElementwiseCone sparse_opt::exploreCone(Value value,
                                        const SymbolicShapes &shapes) {
  ElementwiseCone cone;
  ConeWalk walk(cone, shapes);
  walk.visit(value);
  return cone;
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

/// A node outside the block that reads a value inside it.
static Operation *findOutsideUse(const ElementwiseCone &cone, NodeOp down) {
  llvm::SmallSetVector<Operation *, 16> inside;
  inside.insert(cone.nodes.begin(), cone.nodes.end());
  for (const LinearLayer &leaf : cone.leaves)
    inside.insert(leaf.nodes.begin(), leaf.nodes.end());
  for (Operation *op : inside)
    for (Operation *user : op->getUsers())
      if (user != down && !inside.contains(user))
        return user;
  return nullptr;
}

/// The product's value with a constant bias added, if that is all it is for.
static void takeBias(FfnMatch &match) {
  match.result = match.down.product.getResult(0);
  if (match.down.bias || !match.result.hasOneUse())
    return;
  auto add = dyn_cast<NodeOp>(*match.result.user_begin());
  if (!add || !add.is("Add") || add.getOperands().size() != 2)
    return;
  Value other = add.getOperand(add.getOperand(0) == match.result);
  if (biasSize(other) != match.down.out)
    return;
  match.down.bias = other;
  match.result = add.getResult(0);
}

static std::string checkTypes(const FfnMatch &match) {
  auto x = dyn_cast<RankedTensorType>(match.up.x.getType());
  if (!x || !isa<FloatType>(x.getElementType()))
    return "its input is no float tensor of known rank";
  for (Value weight : {match.up.weight, match.down.weight})
    if (!isa<FloatType>(getElementTypeOrSelf(weight.getType())))
      return "its weights are no floats";
  if (match.down.in != match.up.size)
    return "its products do not fit each other";
  return "";
}

static bool reshapesRows(const ElementwiseCone &cone) {
  auto any = [](const auto &nodes) {
    return llvm::any_of(nodes, [](Operation *op) {
      auto node = dyn_cast<NodeOp>(op);
      return node && (node.is("Reshape") || node.is("Squeeze") ||
                      node.is("Unsqueeze") || node.is("Flatten"));
    });
  };
  return any(cone.nodes) ||
         llvm::any_of(cone.leaves, [&](auto &leaf) { return any(leaf.nodes); });
}

FfnAnswer sparse_opt::matchFfn(NodeOp node, const SymbolicShapes &shapes) {
  if (!isProduct(node))
    return {};
  ElementwiseCone cone = exploreCone(node.getOperand(0), shapes);
  // Max(x, 0) shows its nature only by its values; what has no activation by
  // name is either a block or not worth a word.
  if (!cone.hasActivation && (!cone.why.empty() || cone.nodes.empty()))
    return {};
  auto miss = [&](std::string reason) {
    return cone.hasActivation
               ? FfnAnswer{std::nullopt, FfnMiss{node, std::move(reason)}}
               : FfnAnswer{};
  };
  std::string why;
  std::optional<LinearLayer> down = matchProduct(node, why);
  if (!down)
    return miss(why);
  if (!cone.why.empty())
    return miss(cone.why);
  if (cone.leaves.empty() || cone.leaves.size() > 2)
    return miss("it combines " + std::to_string(cone.leaves.size()) +
                " linear layers");
  if (Operation *user = findOutsideUse(cone, node)) {
    auto other = dyn_cast<NodeOp>(user);
    return miss("its hidden values are also read by " +
                (other ? nameOf(other) : "the model's outputs"));
  }
  std::optional<FfnActivations> kind = classifyCone(node.getOperand(0), cone);
  if (!kind)
    return miss("its activation is none that the compiler knows");
  FfnMatch match;
  match.activations = *kind;
  match.down = std::move(*down);
  if (cone.leaves.size() == 2) {
    match.gate = cone.leaves[kind->gate];
    match.up = cone.leaves[1 - kind->gate];
    if (match.gate->x != match.up.x)
      return miss("its gate and up projections read different values");
    if (match.gate->size != match.up.size)
      return miss("its gate and up projections differ in size");
  } else {
    match.up = cone.leaves[0];
  }
  takeBias(match);
  match.reshapes = reshapesRows(cone);
  if (match.reshapes && !shapes.getKnownShape(match.result))
    return miss("it reshapes rows to sizes that are not known");
  if (std::string wrong = checkTypes(match); !wrong.empty())
    return miss(wrong);
  return FfnAnswer{std::move(match), std::nullopt};
}
