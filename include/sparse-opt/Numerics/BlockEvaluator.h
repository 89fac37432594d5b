// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A feed-forward block on sampled rows: what every neuron computes, and what
// the block does. f32 like the compiled model; sums over rows or neurons that
// decide something are the callers', in f64.
#ifndef SPARSE_OPT_NUMERICS_BLOCKEVALUATOR_H
#define SPARSE_OPT_NUMERICS_BLOCKEVALUATOR_H
#include <Eigen/Core>
#include <optional>

namespace sparse_opt::numerics {

using Matrix =
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXf;
using MatrixRef = Eigen::Ref<const Matrix>;
using VectorRef = Eigen::Ref<const Vector>;
/// Somebody else's floats.
using MatrixView = Eigen::Map<const Matrix>;
using VectorView = Eigen::Map<const Vector>;

/// As ffn::Activation, in its order.
enum class Activation {
  Identity,
  Relu,
  Relu2,
  Silu,
  Gelu,
  GeluTanh,
  QuickGelu
};

/// act(z), as the published definitions have it. Relu with a `cutoff` is
/// FATReLU: z where it is above, else 0.
float activate(Activation activation, float z,
               std::optional<float> cutoff = std::nullopt);

/// Plain: y = act(x up + upBias) down + downBias. Gated: y =
/// (act(x gate + gateBias) * upActivation(x up + upBias)) down + downBias.
/// Shapes: gate and up d x h, down h x out; what is missing has no elements.
struct BlockWeights {
  Activation activation;
  Activation upActivation; ///< Identity unless gated
  MatrixView gate;
  VectorView gateBias;
  MatrixView up;
  VectorView upBias;
  MatrixView down;
  VectorView downBias;
  std::optional<float> cutoff; ///< of activation, if that is Relu

  bool gated() const { return gate.size() != 0; }
};

/// Rows x h each.
struct Neurons {
  Matrix
      act;   ///< act(x gate + gateBias), or of a plain block act(x up + upBias)
  Matrix up; ///< upActivation(x up + upBias); no columns in a plain block
};

/// `x` is rows x d.
Neurons evaluate(const BlockWeights &block, const MatrixRef &x);

/// Rows x out: `products` (what goes into the down projection, rows x h) times
/// down, plus downBias.
Matrix outputs(const BlockWeights &block, const MatrixRef &products);

/// norm(down_i) of every neuron.
Vector downNorms(const BlockWeights &block);

} // namespace sparse_opt::numerics
#endif
