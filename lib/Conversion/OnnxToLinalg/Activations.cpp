// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Activation functions of ONNX and of ONNX Runtime's own domain.
#include "Lowering.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

/// Applies `function` to operand 0.
static LogicalResult activate(Lowering &l,
                              function_ref<Value(Scalars &, Value)> function) {
  l.out(0, l.map(l.in(0), l.type(),
                 [&](Scalars &s, ValueRange x) { return function(s, x[0]); }));
  return success();
}

template <Value (Scalars::*method)(Value)>
static LogicalResult lowerMethod(NodeOp, Lowering &l) {
  return activate(l, [](Scalars &s, Value x) { return (s.*method)(x); });
}

static LogicalResult lowerGelu(NodeOp node, Lowering &l) {
  bool tanh = node.stringAttr("approximate", "none") == "tanh";
  return activate(
      l, [&](Scalars &s, Value x) { return tanh ? s.geluTanh(x) : s.gelu(x); });
}

/// BiasGelu and FastGelu add their optional second operand first.
template <Value (Scalars::*method)(Value)>
static LogicalResult lowerBiased(NodeOp, Lowering &l) {
  Tensor x = l.in(0);
  if (l.has(1))
    x = addBias(l, x, l.in(1));
  l.out(0, l.map(x, l.type(),
                 [](Scalars &s, ValueRange v) { return (s.*method)(v[0]); }));
  return success();
}

static LogicalResult lowerQuickGelu(NodeOp node, Lowering &l) {
  float alpha = node.floatAttr("alpha", 1.702f);
  return activate(l, [&](Scalars &s, Value x) { return s.swish(x, alpha); });
}

static LogicalResult lowerSwish(NodeOp node, Lowering &l) {
  float alpha = node.floatAttr("alpha", 1.0f);
  return activate(l, [&](Scalars &s, Value x) { return s.swish(x, alpha); });
}

/// clamp(alpha x + beta, 0, 1)
static Value hardSigmoid(Scalars &s, Value x, float alpha, float beta) {
  Type type = x.getType();
  Value line = s.add(s.mul(x, s.constant(type, alpha)), s.constant(type, beta));
  return s.min(s.relu(line), s.constant(type, 1));
}

static LogicalResult lowerHardSigmoid(NodeOp node, Lowering &l) {
  float alpha = node.floatAttr("alpha", 0.2f);
  float beta = node.floatAttr("beta", 0.5f);
  return activate(
      l, [&](Scalars &s, Value x) { return hardSigmoid(s, x, alpha, beta); });
}

static LogicalResult lowerHardSwish(NodeOp, Lowering &l) {
  return activate(l, [](Scalars &s, Value x) {
    return s.mul(x, hardSigmoid(s, x, 1.0f / 6, 0.5f));
  });
}

/// x where x is positive, else alpha * x
static LogicalResult lowerLeakyRelu(NodeOp node, Lowering &l) {
  float alpha = node.floatAttr("alpha", 0.01f);
  return activate(l, [&](Scalars &s, Value x) {
    Value negative = s.less(x, s.constant(x.getType(), 0));
    return s.select(negative, s.mul(x, s.constant(x.getType(), alpha)), x);
  });
}

static LogicalResult lowerPRelu(NodeOp, Lowering &l) {
  l.out(0, l.map({l.in(0), l.in(1)}, l.type(), [](Scalars &s, ValueRange x) {
    Value negative = s.less(x[0], s.constant(x[0].getType(), 0));
    return s.select(negative, s.mul(x[0], x[1]), x[0]);
  }));
  return success();
}

static Value expm1(Scalars &s, Value x) {
  return math::ExpM1Op::create(s.b, s.loc, x);
}

/// gamma * (x where x is positive, else alpha * (exp(x) - 1))
static Value selu(Scalars &s, Value x, float alpha, float gamma) {
  Type type = x.getType();
  Value zero = s.constant(type, 0);
  Value below = s.mul(expm1(s, s.min(x, zero)), s.constant(type, alpha));
  Value result = s.select(s.less(x, zero), below, x);
  return gamma == 1 ? result : s.mul(result, s.constant(type, gamma));
}

static LogicalResult lowerElu(NodeOp node, Lowering &l) {
  float alpha = node.floatAttr("alpha", 1.0f);
  return activate(l, [&](Scalars &s, Value x) { return selu(s, x, alpha, 1); });
}

static LogicalResult lowerSelu(NodeOp node, Lowering &l) {
  float alpha = node.floatAttr("alpha", 1.67326319217681884765625f);
  float gamma = node.floatAttr("gamma", 1.05070102214813232421875f);
  return activate(
      l, [&](Scalars &s, Value x) { return selu(s, x, alpha, gamma); });
}

/// max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)
static LogicalResult lowerCelu(NodeOp node, Lowering &l) {
  float alpha = node.floatAttr("alpha", 1.0f);
  return activate(l, [&](Scalars &s, Value x) {
    Type type = x.getType();
    Value zero = s.constant(type, 0), a = s.constant(type, alpha);
    Value below = s.mul(a, expm1(s, s.div(s.min(x, zero), a)));
    return s.add(s.relu(x), s.min(below, zero));
  });
}

static LogicalResult lowerSoftsign(NodeOp, Lowering &l) {
  return activate(l, [](Scalars &s, Value x) {
    return s.div(x, s.add(s.abs(x), s.constant(x.getType(), 1)));
  });
}

static LogicalResult lowerMish(NodeOp, Lowering &l) {
  return activate(
      l, [](Scalars &s, Value x) { return s.mul(x, s.tanh(s.softplus(x))); });
}

static LogicalResult lowerThresholdedRelu(NodeOp node, Lowering &l) {
  float alpha = node.floatAttr("alpha", 1.0f);
  return activate(l, [&](Scalars &s, Value x) {
    Type type = x.getType();
    return s.select(s.less(s.constant(type, alpha), x), x, s.constant(type, 0));
  });
}

/// Values within lambd of 0 vanish, others come nearer by bias.
static LogicalResult lowerShrink(NodeOp node, Lowering &l) {
  float bias = node.floatAttr("bias", 0), lambd = node.floatAttr("lambd", 0.5f);
  Type type = l.type();
  return activate(l, [&](Scalars &s, Value x) {
    Type compute = isa<FloatType>(type) ? x.getType() : s.b.getF32Type();
    Value v = s.cast(x, type, compute);
    Value offset = s.constant(compute, bias), zero = s.constant(compute, 0);
    Value result =
        s.select(s.less(s.constant(compute, lambd), v), s.sub(v, offset), zero);
    result = s.select(s.less(v, s.constant(compute, -lambd)), s.add(v, offset),
                      result);
    return s.cast(result, compute, type);
  });
}

ArrayRef<Entry> lowering::activationLowerings() {
  static const Entry entries[] = {
      {onnxDomain, "Relu", 6, latest, lowerMethod<&Scalars::relu>},
      {onnxDomain, "Sigmoid", 6, latest, lowerMethod<&Scalars::sigmoid>},
      {onnxDomain, "Tanh", 6, latest, lowerMethod<&Scalars::tanh>},
      {onnxDomain, "Softplus", 1, latest, lowerMethod<&Scalars::softplus>},
      {onnxDomain, "Softsign", 1, latest, lowerSoftsign},
      {onnxDomain, "Gelu", 20, latest, lowerGelu},
      {onnxDomain, "Swish", 24, latest, lowerSwish},
      {onnxDomain, "HardSigmoid", 6, latest, lowerHardSigmoid},
      {onnxDomain, "HardSwish", 14, latest, lowerHardSwish},
      {onnxDomain, "LeakyRelu", 6, latest, lowerLeakyRelu},
      {onnxDomain, "PRelu", 7, latest, lowerPRelu},
      {onnxDomain, "Elu", 6, latest, lowerElu},
      {onnxDomain, "Selu", 6, latest, lowerSelu},
      {onnxDomain, "Celu", 12, latest, lowerCelu},
      {onnxDomain, "Mish", 18, latest, lowerMish},
      {onnxDomain, "ThresholdedRelu", 10, latest, lowerThresholdedRelu},
      {onnxDomain, "Shrink", 9, latest, lowerShrink},
      {microsoft, "Gelu", 1, latest, lowerMethod<&Scalars::gelu>},
      {microsoft, "BiasGelu", 1, latest, lowerBiased<&Scalars::gelu>},
      {microsoft, "FastGelu", 1, latest, lowerBiased<&Scalars::geluTanh>},
      {microsoft, "QuickGelu", 1, latest, lowerQuickGelu},
  };
  return entries;
}
