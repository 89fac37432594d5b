// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Recognises an activation by its values: evaluates the nodes between two
// linear layers on a grid and compares with what each known activation gives
// there. Every algebraic spelling of a function is the same function.
#include "sparse-opt/Analysis/ConstantData.h"
#include "sparse-opt/Analysis/FfnMatch.h"
#include "llvm/ADT/StringMap.h"
#include <cmath>

using namespace mlir;
using namespace sparse_opt;
using ffn::Activation;
using onnx::NodeOp;

//===----------------------------------------------------------------------===//
// Scalar functions
//===----------------------------------------------------------------------===//

static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
static double geluErf(double x) {
  return 0.5 * x * (1 + std::erf(x * 0.70710678118654752));
}
static double geluTanh(double x) {
  return 0.5 * x *
         (1 + std::tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
}

double sparse_opt::applyActivation(Activation kind, double x) {
  switch (kind) {
  case Activation::Identity:
    return x;
  case Activation::Relu:
    return std::max(x, 0.0);
  case Activation::Relu2:
    return x > 0 ? x * x : 0;
  case Activation::Silu:
    return x * sigmoid(x);
  case Activation::Gelu:
    return geluErf(x);
  case Activation::GeluTanh:
    return geluTanh(x);
  case Activation::QuickGelu:
    return x * sigmoid(1.702 * x);
  }
  llvm_unreachable("unknown activation");
}

/// What `node` computes from the elements `x` of its operands (those left out
/// are NaN); nothing for operators that it doesn't know.
static std::optional<double> evaluate(NodeOp node, ArrayRef<double> x) {
  StringRef domain = node.getDomain().value_or(""), name = node.getOpType();
  double a = x.empty() ? 0 : x[0], b = x.size() > 1 ? x[1] : 0;
  if (domain == "com.microsoft") {
    if (name == "QuickGelu")
      return a * sigmoid(node.floatAttr("alpha", 1.702f) * a);
    return name == "FastGelu" ? geluTanh(a) : geluErf(a);
  }
  enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Neg,
    Min,
    Max,
    Sqrt,
    Reciprocal,
    Abs,
    Where,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Erf,
    Tanh,
    Sigmoid,
    Relu,
    Exp,
    Gelu,
    Swish,
    HardSwish,
    HardSigmoid,
    LeakyRelu,
    Elu,
    Softplus,
    Mish,
    Clip,
    Pass
  };
  static const llvm::StringMap<Op> ops = {{"Add", Add},
                                          {"Sub", Sub},
                                          {"Mul", Mul},
                                          {"Div", Div},
                                          {"Pow", Pow},
                                          {"Neg", Neg},
                                          {"Min", Min},
                                          {"Max", Max},
                                          {"Sqrt", Sqrt},
                                          {"Reciprocal", Reciprocal},
                                          {"Abs", Abs},
                                          {"Where", Where},
                                          {"Greater", Greater},
                                          {"Less", Less},
                                          {"GreaterOrEqual", GreaterOrEqual},
                                          {"LessOrEqual", LessOrEqual},
                                          {"Erf", Erf},
                                          {"Tanh", Tanh},
                                          {"Sigmoid", Sigmoid},
                                          {"Relu", Relu},
                                          {"Exp", Exp},
                                          {"Gelu", Gelu},
                                          {"Swish", Swish},
                                          {"HardSwish", HardSwish},
                                          {"HardSigmoid", HardSigmoid},
                                          {"LeakyRelu", LeakyRelu},
                                          {"Elu", Elu},
                                          {"Softplus", Softplus},
                                          {"Mish", Mish},
                                          {"Clip", Clip},
                                          {"Cast", Pass},
                                          {"Reshape", Pass},
                                          {"Identity", Pass},
                                          {"Squeeze", Pass},
                                          {"Unsqueeze", Pass},
                                          {"Flatten", Pass}};
  auto op = ops.find(name);
  if (op == ops.end())
    return std::nullopt;
  switch (op->second) {
  case Add:
    return a + b;
  case Sub:
    return a - b;
  case Mul:
    return a * b;
  case Div:
    return a / b;
  case Pow:
    return std::pow(a, b);
  case Neg:
    return -a;
  case Min:
    return *llvm::min_element(x);
  case Max:
    return *llvm::max_element(x);
  case Sqrt:
    return std::sqrt(a);
  case Reciprocal:
    return 1 / a;
  case Abs:
    return std::fabs(a);
  case Where:
    return x.size() == 3 ? std::optional(a != 0 ? b : x[2]) : std::nullopt;
  case Greater:
    return a > b;
  case Less:
    return a < b;
  case GreaterOrEqual:
    return a >= b;
  case LessOrEqual:
    return a <= b;
  case Erf:
    return std::erf(a);
  case Tanh:
    return std::tanh(a);
  case Sigmoid:
    return sigmoid(a);
  case Relu:
    return std::max(a, 0.0);
  case Exp:
    return std::exp(a);
  case Gelu:
    return node.stringAttr("approximate", "none") == "tanh" ? geluTanh(a)
                                                            : geluErf(a);
  case Swish:
    return a * sigmoid(node.floatAttr("alpha", 1) * a);
  case HardSwish:
    return a * std::clamp(a / 6 + 0.5, 0.0, 1.0);
  case HardSigmoid:
    return std::clamp<double>(
        node.floatAttr("alpha", 0.2f) * a + node.floatAttr("beta", 0.5f), 0, 1);
  case LeakyRelu:
    return a < 0 ? node.floatAttr("alpha", 0.01f) * a : a;
  case Elu:
    return a < 0 ? node.floatAttr("alpha", 1) * std::expm1(a) : a;
  case Softplus:
    return std::log1p(std::exp(a));
  case Mish:
    return a * std::tanh(std::log1p(std::exp(a)));
  case Clip:
    // fmin and fmax ignore a bound that was left out.
    a = x.size() > 1 ? std::fmax(a, b) : a;
    return x.size() > 2 ? std::fmin(a, x[2]) : a;
  case Pass:
    return a;
  }
  llvm_unreachable("unknown operator");
}

//===----------------------------------------------------------------------===//
// The grid
//===----------------------------------------------------------------------===//

namespace {
using Samples = SmallVector<double>;

/// Values of the cone's nodes, one per sample of the leaves.
class Evaluator {
public:
  Evaluator(const ElementwiseCone &cone, ArrayRef<Samples> leaves)
      : cone(cone), leaves(leaves) {}

  const Samples *get(Value value) {
    auto known = values.find(value);
    if (known != values.end())
      return &known->second;
    std::optional<Samples> samples = compute(value);
    if (!samples)
      return nullptr;
    return &(values[value] = std::move(*samples));
  }

private:
  std::optional<Samples> compute(Value value) {
    auto leaf = cone.leafOf.find(value);
    if (leaf != cone.leafOf.end())
      return leaves[leaf->second];
    size_t count = leaves[0].size();
    if (std::optional<ConstantData> data = getConstantData(value))
      return Samples(count, data->getDouble(0));
    auto node = value.getDefiningOp<NodeOp>();
    if (!node)
      return std::nullopt;
    // Pass-through nodes have operands of other kinds behind the first.
    bool first = node.is("Reshape") || node.is("Squeeze") ||
                 node.is("Unsqueeze") || node.getDomain();
    SmallVector<Samples> operands;
    for (unsigned i = 0, end = first ? 1 : node.getOperands().size(); i < end;
         ++i) {
      Value operand = node.operandOrNull(i);
      const Samples *samples = operand ? get(operand) : nullptr;
      if (operand && !samples)
        return std::nullopt;
      operands.push_back(samples ? *samples : Samples(count, std::nan("")));
    }
    Samples result;
    for (size_t i = 0; i < count; ++i) {
      SmallVector<double> x;
      for (const Samples &operand : operands)
        x.push_back(operand[i]);
      std::optional<double> y = evaluate(node, x);
      if (!y)
        return std::nullopt;
      result.push_back(*y);
    }
    return result;
  }

  const ElementwiseCone &cone;
  ArrayRef<Samples> leaves;
  llvm::DenseMap<Value, Samples> values;
};
} // namespace

/// GELU and its tanh form differ by 4.7e-4; a coefficient rounded to half
/// precision moves GELU by less than 5e-5.
static bool isClose(double value, double expected, double scale) {
  return std::fabs(value - expected) <=
         1e-4 * scale + 2e-5 * std::fabs(expected);
}

/// Points from -12 to 12 and some far away, without 0 where spellings by
/// division are undefined.
static Samples grid() {
  Samples points{-60, -30};
  for (double x = -12.05; x < 12.1; x += 0.241)
    points.push_back(x);
  points.append({30, 60});
  return points;
}

std::optional<FfnActivations>
sparse_opt::classifyCone(Value value, const ElementwiseCone &cone) {
  const Activation kinds[] = {Activation::Relu,     Activation::Relu2,
                              Activation::Silu,     Activation::Gelu,
                              Activation::GeluTanh, Activation::QuickGelu,
                              Activation::Identity};
  const Activation upKinds[] = {Activation::Identity, Activation::Relu};
  bool gated = cone.leaves.size() == 2;
  SmallVector<Samples, 2> leaves(cone.leaves.size());
  const Samples ups =
      gated ? Samples{-2.5, -0.75, 0.5, 1.0, 3.25} : Samples{1.0};
  for (double point : grid())
    for (double up : ups) {
      leaves[0].push_back(point);
      if (gated)
        leaves[1].push_back(up);
    }
  // The grid is fine in the gate: one run for each leaf in that role.
  for (Activation upKind : upKinds)
    for (Activation kind : kinds)
      for (unsigned gate = 0; gate < cone.leaves.size(); ++gate) {
        bool trivial = kind == Activation::Identity &&
                       (!gated || upKind != Activation::Identity);
        if (trivial || (!gated && upKind != Activation::Identity))
          continue;
        SmallVector<Samples, 2> inputs = leaves;
        if (gate == 1)
          std::swap(inputs[0], inputs[1]);
        Evaluator evaluator(cone, inputs);
        const Samples *values = evaluator.get(value);
        if (!values)
          return std::nullopt;
        auto expected = [&](size_t i) {
          return applyActivation(kind, inputs[gate][i]) *
                 (gated ? applyActivation(upKind, inputs[1 - gate][i]) : 1);
        };
        // Every kind is the identity (or its square) far to the right: the
        // last sample, at the largest gate and up, shows the scale.
        double scale = values->back() / expected(values->size() - 1);
        if (!std::isfinite(scale) || scale == 0)
          continue;
        if (std::fabs(scale - 1) < 1e-4)
          scale = 1;
        bool equal = true;
        for (size_t i = 0; i < values->size() && equal; ++i)
          equal =
              isClose((*values)[i] / scale, expected(i),
                      gated ? std::fmax(1, std::fabs(inputs[1 - gate][i])) : 1);
        if (!equal)
          continue;
        FfnActivations result{kind, std::nullopt, gate, scale};
        if (upKind != Activation::Identity)
          result.up = upKind;
        return result;
      }
  return std::nullopt;
}
