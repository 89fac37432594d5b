// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The dense block, by Eigen. What may be left out of it is Thresholds.cpp's.
#include "sparse-opt/Numerics/BlockEvaluator.h"
#include <cassert>
#include <cmath>

using namespace sparse_opt::numerics;

/// Eigen cuts products by the sizes of caches, which would make sums depend on
/// the machine.
static const bool cachesAreFixed = [] {
  Eigen::setCpuCacheSizes(32 << 10, 1 << 20, 8 << 20);
  return true;
}();

float sparse_opt::numerics::activate(Activation activation, float z,
                                     std::optional<float> cutoff) {
  switch (activation) {
  case Activation::Identity:
    return z;
  case Activation::Relu:
    if (cutoff)
      return z > *cutoff ? z : 0;
    return z < 0 ? 0 : z; // a NaN stays one
  case Activation::Relu2:
    return z < 0 ? 0 : z * z;
  case Activation::Silu:
    return z / (1 + std::exp(-z));
  case Activation::Gelu:
    return 0.5f * z * (1 + std::erf(z * 0.70710678f));
  case Activation::GeluTanh:
    return 0.5f * z *
           (1 + std::tanh(0.79788456f * (z + 0.044715f * z * z * z)));
  case Activation::QuickGelu:
    return z / (1 + std::exp(-1.702f * z));
  }
  assert(false && "an activation without a formula");
  return z;
}

static Matrix layer(const MatrixRef &x, const MatrixView &weight,
                    const VectorView &bias, Activation activation,
                    std::optional<float> cutoff = std::nullopt) {
  (void)cachesAreFixed;
  Matrix z(x.rows(), weight.cols());
  z.noalias() = x * weight;
  if (bias.size())
    z.rowwise() += bias.transpose();
  if (activation != Activation::Identity)
    z = z.unaryExpr(
        [=](float value) { return activate(activation, value, cutoff); });
  return z;
}

Neurons sparse_opt::numerics::evaluate(const BlockWeights &block,
                                       const MatrixRef &x) {
  if (!block.gated())
    return {layer(x, block.up, block.upBias, block.activation, block.cutoff),
            Matrix()};
  return {layer(x, block.gate, block.gateBias, block.activation, block.cutoff),
          layer(x, block.up, block.upBias, block.upActivation)};
}

Matrix sparse_opt::numerics::outputs(const BlockWeights &block,
                                     const MatrixRef &products) {
  return layer(products, block.down, block.downBias, Activation::Identity);
}

Vector sparse_opt::numerics::downNorms(const BlockWeights &block) {
  return block.down.cast<double>().rowwise().norm().cast<float>();
}
