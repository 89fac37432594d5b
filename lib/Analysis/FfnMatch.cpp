// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The element-wise nodes between two linear layers, and the checks that make
// all of it a feed-forward block. The layers are matched in LinearLayer.cpp,
// the function between them is recognised in FfnActivation.cpp.
#include "FfnNodes.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace sparse_opt;
using onnx::NodeOp;

//===----------------------------------------------------------------------===//
// Between two linear layers
//===----------------------------------------------------------------------===//

/// Element-wise operators, and whether one of them makes a non-linearity.
static const llvm::StringMap<bool> &elementwiseNodes() {
  static const llvm::StringMap<bool> nodes = {
      {"Add", false},           {"Sub", false},      {"Mul", false},
      {"Div", false},           {"Pow", false},      {"Neg", false},
      {"Min", false},           {"Max", false},      {"Sqrt", false},
      {"Reciprocal", false},    {"Abs", false},      {"Where", false},
      {"Greater", false},       {"Less", false},     {"GreaterOrEqual", false},
      {"LessOrEqual", false},   {"Erf", true},       {"Tanh", true},
      {"Sigmoid", true},        {"Relu", true},      {"Exp", true},
      {"Gelu", true},           {"Swish", true},     {"HardSwish", true},
      {"HardSigmoid", true},    {"LeakyRelu", true}, {"Elu", true},
      {"Softplus", true},       {"Mish", true},      {"Clip", true},
      {"ThresholdedRelu", true}};
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
