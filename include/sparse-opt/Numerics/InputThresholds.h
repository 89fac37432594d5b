// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Thresholds on the inputs of a block's products, TEAL (2408.14690): columns
// of x that gate and up read, and neurons that down reads. How much of each,
// steps decide as TEAL's do: the one that costs the block less comes next.
#ifndef SPARSE_OPT_NUMERICS_INPUTTHRESHOLDS_H
#define SPARSE_OPT_NUMERICS_INPUTTHRESHOLDS_H
#include "sparse-opt/Numerics/Thresholds.h"

namespace sparse_opt::numerics {

/// Of x and of the neurons' products, each from 0 to 1.
struct InputShares {
  double inputs = 1, neurons = 1;
};

/// abs(x_j) > inputs, abs(m_i) > neurons.
struct InputThresholds {
  float inputs = 0, neurons = 0;
};

/// A block on some rows whose x may be thresholded.
class InputSkipping {
public:
  /// `x` is rows x d, `residual` rows x out or empty, `norm` may be null.
  InputSkipping(const BlockWeights &block, Matrix x, Matrix residual,
                RowFunction norm = nullptr);

  bool isFinite() const { return y.allFinite(); }
  long rows() const { return x.rows(); }
  /// The share of gate's, up's and down's elements that is read.
  double densityOf(InputShares shares) const;
  /// What that share falls by when `inputs` (`neurons`) falls by 1.
  double weightOfInputs() const;
  double weightOfNeurons() const { return 1 - weightOfInputs(); }

  double inputsAbove(float threshold) const;
  /// The share of x's columns that each row keeps.
  std::vector<double> rowDensities(float threshold) const;
  /// The smallest threshold that keeps `share` or less; 0 where 0 does.
  float thresholdForInputs(double share) const;
  /// Thresholds that keep `shares`, or less; that of the neurons by the first
  /// `rows` rows.
  InputThresholds thresholdsFor(InputShares shares, long rows) const;
  /// The block on the first `rows` rows, with x above `threshold`. Scores are
  /// abs(m); errors are against the block on all of x.
  Skipping above(float threshold, long rows) const;
  /// What both do on these rows; `skipping` is above(thresholds.inputs).
  SkipEffect at(InputThresholds thresholds, const Skipping &skipping) const;

private:
  const BlockWeights &block;
  Matrix x, residual;
  RowFunction norm;
  Matrix y;
  std::vector<float> sorted; ///< abs(x), ascending
};

/// A place on the way from all weights to none.
struct InputStep {
  InputShares shares;
  InputThresholds thresholds;
  double error = 0; ///< CETT
};

/// Steps of 1 / 20 of the weights' elements, from all of them, on the first
/// `rows` rows: of inputs and neurons those go whose block then has the smaller
/// error. Ends where neither has a whole step left.
std::vector<InputStep> inputSteps(const InputSkipping &skipping,
                                  long rows = 128);

/// The shares that read `density` of the elements, between two steps.
InputShares sharesAt(const std::vector<InputStep> &steps,
                     const InputSkipping &skipping, double density);

/// The least density, to a 256th, whose CETT is at most `cett` on the first
/// `rows` rows; 1 where no other is.
double densityForCett(const std::vector<InputStep> &steps,
                      const InputSkipping &skipping, double cett,
                      long rows = 512);

} // namespace sparse_opt::numerics
#endif
