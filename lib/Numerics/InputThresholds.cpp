// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "sparse-opt/Numerics/InputThresholds.h"
#include <algorithm>
#include <cassert>

using namespace sparse_opt::numerics;

static Matrix products(const Neurons &neurons) {
  Matrix result = neurons.act;
  if (neurons.up.size())
    result.array() *= neurons.up.array();
  return result;
}

InputSkipping::InputSkipping(const BlockWeights &block, Matrix rows,
                             Matrix residual, RowFunction norm)
    : block(block), x(std::move(rows)), residual(std::move(residual)),
      norm(std::move(norm)), y(outputs(block, products(evaluate(block, x)))) {
  assert(x.size() && "no rows");
  Matrix magnitudes = x.cwiseAbs();
  sorted.assign(magnitudes.data(), magnitudes.data() + magnitudes.size());
  if (isFinite()) // else they may have no order
    std::sort(sorted.begin(), sorted.end());
}

double InputSkipping::weightOfInputs() const {
  double first = double(block.up.rows()) * (block.gated() ? 2 : 1);
  return first / (first + double(block.down.cols()));
}

double InputSkipping::densityOf(InputShares shares) const {
  return weightOfInputs() * shares.inputs + weightOfNeurons() * shares.neurons;
}

double InputSkipping::inputsAbove(float threshold) const {
  auto first = std::upper_bound(sorted.begin(), sorted.end(), threshold);
  return double(sorted.end() - first) / double(sorted.size());
}

std::vector<double> InputSkipping::rowDensities(float threshold) const {
  return shareAbove(x.cwiseAbs(), threshold);
}

float InputSkipping::thresholdForInputs(double share) const {
  return thresholdKeeping(sorted, share);
}

InputThresholds InputSkipping::thresholdsFor(InputShares shares,
                                             long rows) const {
  float input = thresholdForInputs(shares.inputs);
  return {input, above(input, rows).thresholdForDensity(shares.neurons)};
}

Skipping InputSkipping::above(float threshold, long rows) const {
  rows = std::min(rows, x.rows());
  Matrix kept =
      (x.topRows(rows).array().abs() > threshold).select(x.topRows(rows), 0.0f);
  ScoreRule rule;
  rule.timesUp = true;
  return Skipping(block, evaluate(block, kept), rule,
                  residual.topRows(residual.size() ? rows : 0), norm,
                  y.topRows(rows));
}

SkipEffect InputSkipping::at(InputThresholds thresholds,
                             const Skipping &skipping) const {
  SkipEffect effect = skipping.at(thresholds.neurons);
  InputShares shares = {inputsAbove(thresholds.inputs), effect.density};
  effect.inputs = shares.inputs;
  effect.neurons = shares.neurons;
  effect.density = densityOf(shares);
  return effect;
}

//===----------------------------------------------------------------------===//
// How much of each
//===----------------------------------------------------------------------===//

std::vector<InputStep>
sparse_opt::numerics::inputSteps(const InputSkipping &skipping, long rows) {
  constexpr double step = 1.0 / 20, none = 1e-9;
  double inputStep = step / skipping.weightOfInputs();
  double neuronStep = step / skipping.weightOfNeurons();
  auto blockAbove = [&](double inputs) {
    return skipping.above(skipping.thresholdForInputs(inputs), rows);
  };
  std::vector<InputStep> steps = {{}};
  // The block with x as the last step left it, and with less of it.
  std::optional<Skipping> now = blockAbove(1), less;
  auto tryStep = [&](InputShares shares, const Skipping &block) {
    InputStep next{shares,
                   {skipping.thresholdForInputs(shares.inputs),
                    block.thresholdForDensity(shares.neurons)},
                   0};
    next.error = block.at(next.thresholds.neurons).cett;
    return next;
  };
  while (true) {
    InputShares shares = steps.back().shares;
    std::optional<InputStep> ofInputs, ofNeurons;
    if (double left = shares.inputs - inputStep; left > -none) {
      left = std::max(left, 0.0);
      if (!less)
        less.emplace(blockAbove(left));
      ofInputs = tryStep({left, shares.neurons}, *less);
    }
    if (double left = shares.neurons - neuronStep; left > -none)
      ofNeurons = tryStep({shares.inputs, std::max(left, 0.0)}, *now);
    if (!ofInputs && !ofNeurons)
      return steps;
    if (!ofNeurons || (ofInputs && ofInputs->error <= ofNeurons->error)) {
      steps.push_back(*ofInputs);
      now.emplace(std::move(*less));
      less.reset();
    } else {
      steps.push_back(*ofNeurons);
    }
  }
}

InputShares sparse_opt::numerics::sharesAt(const std::vector<InputStep> &steps,
                                           const InputSkipping &skipping,
                                           double density) {
  InputShares before, behind = {0, 0}; // what lies around it
  for (const InputStep &step : steps) {
    if (skipping.densityOf(step.shares) < density) {
      behind = step.shares;
      break;
    }
    before = step.shares;
  }
  double from = skipping.densityOf(before), to = skipping.densityOf(behind);
  double part =
      from == to ? 0 : std::clamp((from - density) / (from - to), 0.0, 1.0);
  auto between = [&](double a, double b) { return a + part * (b - a); };
  return {between(before.inputs, behind.inputs),
          between(before.neurons, behind.neurons)};
}

double sparse_opt::numerics::densityForCett(const std::vector<InputStep> &steps,
                                            const InputSkipping &skipping,
                                            double cett, long rows) {
  constexpr int parts = 256;
  auto errorAt = [&](int part) {
    InputShares shares =
        sharesAt(steps, skipping, 1 - double(part) / double(parts));
    Skipping block =
        skipping.above(skipping.thresholdForInputs(shares.inputs), rows);
    return block.at(block.thresholdForDensity(shares.neurons)).cett;
  };
  int good = 0, bad = parts + 1; // at 0 nothing is lost
  while (bad - good > 1) {
    int middle = (good + bad) / 2;
    (errorAt(middle) <= cett ? good : bad) = middle;
  }
  return 1 - double(good) / double(parts);
}
