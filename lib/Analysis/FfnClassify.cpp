// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Recognises an activation by its values: evaluates the nodes between two
// linear layers on a grid and compares with what each known activation gives
// there. Every algebraic spelling of a function is the same function. What
// single nodes compute is FfnActivation.cpp's.
#include "FfnNodes.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include <cmath>

using namespace mlir;
using namespace sparse_opt;
using ffn::Activation;
using onnx::NodeOp;

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

/// Scalars that the cone's nodes add, compare with and so on.
static Samples scalarsOf(const ElementwiseCone &cone) {
  Samples scalars;
  for (Operation *op : cone.nodes) {
    auto node = dyn_cast<NodeOp>(op);
    if (!node)
      continue;
    if (node.is("ThresholdedRelu"))
      scalars.push_back(node.floatAttr("alpha", 1));
    for (Value operand : node.getOperands())
      if (auto data = getConstantData(operand);
          data && data->size() && isa<FloatType>(data->type.getElementType()))
        scalars.push_back(data->getDouble(0));
  }
  return scalars;
}

/// Points from -12 to 12, some near 0 and some far away, without 0 where
/// spellings by division are undefined; and those around what the function may
/// compare with.
static Samples grid(ArrayRef<double> scalars) {
  Samples points{-60, -30, -0.1, -0.01, -1e-3, 1e-3, 0.01, 0.1};
  for (double x = -12.05; x < 12.1; x += 0.241)
    points.push_back(x);
  for (double scalar : scalars)
    if (std::fabs(scalar) > 1e-30 && std::fabs(scalar) < 50)
      points.append({scalar * (1 - 1e-3), scalar, scalar * (1 + 1e-3)});
  points.append({30, 60});
  return points;
}

namespace {
/// Compares a cone with functions of gate (the only leaf of plain blocks) and
/// up. The grid is fine in the gate: one run for each leaf in that role.
class Classifier {
public:
  Classifier(Value value, const ElementwiseCone &cone, ArrayRef<double> scalars)
      : value(value), cone(cone), gated(cone.leaves.size() == 2),
        leaves(cone.leaves.size()) {
    const Samples ups =
        gated ? Samples{-2.5, -0.75, 0.5, 1.0, 3.25} : Samples{1.0};
    for (double point : grid(scalars))
      for (double up : ups) {
        leaves[0].push_back(point);
        if (gated)
          leaves[1].push_back(up);
      }
  }

  /// Nothing when it isn't that function, whichever leaf is the gate.
  std::optional<FfnActivations>
  match(Activation kind, Activation upKind,
        std::optional<float> cutoff = std::nullopt) {
    bool trivial = kind == Activation::Identity &&
                   (!gated || upKind != Activation::Identity);
    if (trivial || (!gated && upKind != Activation::Identity))
      return std::nullopt;
    for (unsigned gate = 0; gate < cone.leaves.size(); ++gate) {
      FfnActivations found{kind, std::nullopt, gate, 1, cutoff};
      if (upKind != Activation::Identity)
        found.up = upKind;
      if (isEqual(found))
        return found;
    }
    return std::nullopt;
  }

private:
  bool isEqual(FfnActivations &found) {
    SmallVector<Samples, 2> inputs = leaves;
    if (found.gate == 1)
      std::swap(inputs[0], inputs[1]);
    Evaluator evaluator(cone, inputs);
    const Samples *values = evaluator.get(value);
    if (!values)
      return false;
    auto upOf = [&](size_t i) { return inputs[1 - found.gate][i]; };
    auto expected = [&](size_t i) {
      double x = inputs[found.gate][i];
      double act = found.cutoff ? (x > *found.cutoff ? x : 0)
                                : applyActivation(found.activation, x);
      return gated ? act * applyActivation(
                               found.up.value_or(Activation::Identity), upOf(i))
                   : act;
    };
    // Pieces of lines and parabolas have no constants that may be rounded.
    bool exact =
        !llvm::is_contained({Activation::Silu, Activation::Gelu,
                             Activation::GeluTanh, Activation::QuickGelu},
                            found.activation);
    // Every kind is the identity (or its square) far to the right: the last
    // sample, at the largest gate and up, shows the scale.
    double scale = values->back() / expected(values->size() - 1);
    if (!std::isfinite(scale) || scale == 0)
      return false;
    if (std::fabs(scale - 1) < (exact ? 1e-9 : 1e-4))
      scale = 1;
    found.scale = scale;
    for (size_t i = 0; i < values->size(); ++i) {
      double y = (*values)[i] / scale, e = expected(i);
      if (exact ? !(std::fabs(y - e) <= 1e-9 + 1e-6 * std::fabs(e))
                : !isClose(y, e, gated ? std::fmax(1, std::fabs(upOf(i))) : 1))
        return false;
    }
    return true;
  }

  Value value;
  const ElementwiseCone &cone;
  bool gated;
  SmallVector<Samples, 2> leaves;
};
} // namespace

std::optional<FfnActivations>
sparse_opt::classifyCone(Value value, const ElementwiseCone &cone) {
  Samples scalars = scalarsOf(cone);
  Classifier classifier(value, cone, scalars);
  // Kept where greater or, from the float below on, where not less.
  for (float scalar : scalars)
    if (scalar > 0)
      for (float cutoff : {scalar, std::nextafterf(scalar, 0)})
        if (auto found = classifier.match(Activation::Relu,
                                          Activation::Identity, cutoff))
          return found;
  for (Activation upKind : {Activation::Identity, Activation::Relu})
    for (Activation kind :
         {Activation::Relu, Activation::Relu2, Activation::Silu,
          Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu,
          Activation::Identity})
      if (auto found = classifier.match(kind, upKind))
        return found;
  return std::nullopt;
}
