// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which neurons a threshold keeps, and what it costs to skip the others. A
// neuron is kept where its score is strictly greater than the threshold; a
// skipped one adds its constant. Papers: CATS (2404.08763), CHESS
// (2409.01366), CETT (2411.02335), SCAP (2412.07174); one form serves all.
#ifndef SPARSE_OPT_NUMERICS_THRESHOLDS_H
#define SPARSE_OPT_NUMERICS_THRESHOLDS_H
#include "sparse-opt/Numerics/BlockEvaluator.h"
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace sparse_opt::numerics {

/// The constant that stands for a neuron's act while it is skipped.
enum class Centre {
  None,   ///< 0
  Median, ///< of the rows; of an even number the mean of the two middle ones
  Mode,   ///< a value that a quarter of the rows share, else the KDE's peak
  Mean
};

/// One per column of `act`; `centre` isn't None.
Vector centresOf(const MatrixRef &act, Centre centre);

/// score = abs((act - minus) * up) * weight, where `up` counts only if
/// `timesUp`, and an empty `minus` is 0, an empty `weight` 1.
struct ScoreRule {
  Vector minus, weight;
  bool timesUp = false;
};

/// Rows x h.
Matrix scoresOf(const Neurons &neurons, const ScoreRule &rule);

/// Rows to as many rows.
using RowFunction = std::function<Matrix(const MatrixRef &)>;

/// The smallest threshold that `share` of the magnitudes, ascending, or less
/// are above; 0 where 0 is one.
float thresholdKeeping(const std::vector<float> &sorted, double share);

/// The share of each row's magnitudes, which aren't negative, that is above.
std::vector<double> shareAbove(const MatrixRef &magnitudes, float threshold);

/// What a threshold does on some rows.
struct SkipEffect {
  double density = 0; ///< share of neurons kept
  /// Mean over rows of norm(error) / norm(y), where the error is what the
  /// skipped neurons would have added to their constants. A row whose error is
  /// 0 counts 0.
  double cett = 0;
  /// The same with norm(y + residual); nothing without a residual.
  std::optional<double> withResidual;
  /// Mean over rows of norm(f(y - error + residual) - f(y + residual)) /
  /// norm(f(y + residual)), where f is what the sum goes through next; nothing
  /// without an f, or where that isn't finite.
  std::optional<double> afterNorm;
  /// Where inputs are skipped too (InputThresholds.h): the shares of both that
  /// are kept. `density` is that of the weights' elements then.
  std::optional<double> inputs, neurons;
};

/// One block on some rows, ready to be asked about thresholds. Takes
/// 5 * rows * h floats.
class Skipping {
public:
  /// `residual` is rows x out or empty: what is added behind the block. `norm`
  /// may be null. `exact` is rows x out or empty: what the block should be, if
  /// that isn't what `neurons` give.
  Skipping(const BlockWeights &block, Neurons neurons, const ScoreRule &rule,
           const MatrixRef &residual, RowFunction norm = nullptr,
           const MatrixRef &exact = Matrix());

  /// False when a row came out NaN or infinite.
  bool isFinite() const;
  SkipEffect at(float threshold) const;
  double densityAt(float threshold) const;
  /// The share of neurons that each row keeps.
  std::vector<double> rowDensities(float threshold) const;
  /// In how many rows each neuron is kept.
  std::vector<uint64_t> keptAt(float threshold) const;
  /// The smallest threshold that keeps `density` or less; 0 where 0 does.
  float thresholdForDensity(double density) const;
  /// The largest one of the scores with CETT at most `cett`, to one of `steps`
  /// in density; judged on the first `rows` rows. 0 when all others cost more.
  float thresholdForCett(double cett, long rows = 512, int steps = 4096) const;

private:
  /// Shows errors of rows from `begin` on, and their norms.
  using Observer = std::function<void(long begin, const Matrix &errors,
                                      const std::vector<double> &norms)>;
  double cettAt(float threshold, long rows,
                const Observer &observer = nullptr) const;
  double normedError(long begin, const Matrix &errors) const;

  const BlockWeights &block;
  Matrix scores;
  Matrix excess;             ///< (act - minus) * up: what a neuron adds
  Matrix lost;               ///< before any is skipped; empty: nothing
  std::vector<float> sorted; ///< scores, ascending
  std::vector<double> norms, residualNorms; ///< of y and y + residual
  RowFunction norm;
  Matrix sums; ///< y + residual; empty without a norm
};

/// A block's constants once they are folded: y = x folded + offset + what the
/// kept neurons add.
struct ConstantFold {
  Matrix folded; ///< d x out; empty in a plain block
  Vector offset; ///< out
};

/// ALGORITHMS: gated C = up diag(c) down, B = (c * upBias) down + downBias;
/// plain B = c down + downBias. In f64, rounded once. Exact for a gated block
/// only when its upActivation is Identity. `centres` may be empty: zeros.
ConstantFold foldConstant(const BlockWeights &block, const VectorRef &centres);

} // namespace sparse_opt::numerics
#endif
