// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The scalar functions that FfnClassify.cpp compares: the known activations,
// and what the nodes between two linear layers compute.
#include "FfnNodes.h"
#include "llvm/ADT/StringMap.h"
#include <cmath>

using namespace mlir;
using namespace sparse_opt;
using ffn::Activation;
using onnx::NodeOp;

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

std::optional<double> sparse_opt::evaluate(NodeOp node, ArrayRef<double> x) {
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
    ThresholdedRelu,
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
                                          {"ThresholdedRelu", ThresholdedRelu},
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
  case ThresholdedRelu:
    return a > node.floatAttr("alpha", 1) ? a : 0;
  case Pass:
    return a;
  }
  llvm_unreachable("unknown operator");
}
