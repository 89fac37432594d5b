// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Scores, and the search for thresholds. The order of operations in a score is
// that of `ffn.select magnitude`, so that ties fall the same way.
#include "sparse-opt/Numerics/Thresholds.h"
#include <algorithm>
#include <cassert>
#include <cmath>

using namespace sparse_opt::numerics;

/// (act - minus) * up, where the rule has a minus and `times` says so.
static Matrix excessOf(const Neurons &neurons, const Vector &minus,
                       bool times) {
  Matrix excess = neurons.act;
  if (minus.size())
    excess.rowwise() -= minus.transpose();
  if (times && neurons.up.size())
    excess.array() *= neurons.up.array();
  return excess;
}

Matrix sparse_opt::numerics::scoresOf(const Neurons &neurons,
                                      const ScoreRule &rule) {
  Matrix scores = excessOf(neurons, rule.minus, rule.timesUp).cwiseAbs();
  if (rule.weight.size())
    scores.array().rowwise() *= rule.weight.transpose().array();
  return scores;
}

static std::vector<double> rowNorms(const Matrix &rows) {
  std::vector<double> norms(rows.rows());
  for (long row = 0; row < rows.rows(); ++row)
    norms[row] = rows.row(row).cast<double>().norm();
  return norms;
}

Skipping::Skipping(const BlockWeights &block, Neurons neurons,
                   const ScoreRule &rule, const MatrixRef &residual,
                   RowFunction norm, const MatrixRef &exact)
    : block(block), scores(scoresOf(neurons, rule)),
      excess(excessOf(neurons, rule.minus, /*times=*/true)),
      sorted(scores.data(), scores.data() + scores.size()),
      norm(std::move(norm)) {
  assert(scores.size() && "no rows");
  Matrix y = outputs(block, excessOf(neurons, Vector(), /*times=*/true));
  if (exact.size()) {
    lost = exact - y;
    y = exact;
  }
  norms = rowNorms(y);
  if (residual.size()) {
    y += residual;
    residualNorms = rowNorms(y);
  }
  if (this->norm)
    sums = std::move(y);
  if (isFinite()) // else they have no order
    std::sort(sorted.begin(), sorted.end());
}

bool Skipping::isFinite() const {
  return std::all_of(norms.begin(), norms.end(),
                     [](double norm) { return std::isfinite(norm); }) &&
         scores.allFinite();
}

double Skipping::densityAt(float threshold) const {
  auto first = std::upper_bound(sorted.begin(), sorted.end(), threshold);
  return double(sorted.end() - first) / double(sorted.size());
}

std::vector<double>
sparse_opt::numerics::shareAbove(const MatrixRef &magnitudes, float threshold) {
  std::vector<double> shares(magnitudes.rows());
  for (long row = 0; row < magnitudes.rows(); ++row)
    shares[row] = double((magnitudes.row(row).array() > threshold).count()) /
                  double(magnitudes.cols());
  return shares;
}

std::vector<double> Skipping::rowDensities(float threshold) const {
  return shareAbove(scores, threshold);
}

std::vector<uint64_t> Skipping::keptAt(float threshold) const {
  std::vector<uint64_t> kept(scores.cols());
  for (long row = 0; row < scores.rows(); ++row)
    for (long neuron = 0; neuron < scores.cols(); ++neuron)
      kept[neuron] += scores(row, neuron) > threshold;
  return kept;
}

/// 0 of nothing is nothing.
static double ratio(double error, double norm) {
  return error == 0 ? 0 : error / norm;
}

double Skipping::cettAt(float threshold, long rows,
                        const Observer &observer) const {
  constexpr long tile = 128; // rows at a time
  double sum = 0;
  for (long begin = 0; begin < rows; begin += tile) {
    long count = std::min(tile, rows - begin);
    Matrix skipped = (scores.middleRows(begin, count).array() > threshold)
                         .select(0.0f, excess.middleRows(begin, count));
    Matrix error = skipped * block.down;
    if (lost.size())
      error += lost.middleRows(begin, count);
    std::vector<double> found = rowNorms(error);
    for (long row = 0; row < count; ++row)
      sum += ratio(found[row], norms[begin + row]);
    if (observer)
      observer(begin, error, found);
  }
  return sum / double(rows);
}

SkipEffect Skipping::at(float threshold) const {
  SkipEffect effect;
  effect.density = densityAt(threshold);
  double withResidual = 0, afterNorm = 0, rows = double(scores.rows());
  effect.cett = cettAt(
      threshold, scores.rows(),
      [&](long begin, const Matrix &errors, const std::vector<double> &found) {
        for (size_t row = 0; !residualNorms.empty() && row < found.size();
             ++row)
          withResidual += ratio(found[row], residualNorms[begin + row]) / rows;
        if (norm)
          afterNorm += normedError(begin, errors) / rows;
      });
  if (!residualNorms.empty())
    effect.withResidual = withResidual;
  if (norm && std::isfinite(afterNorm))
    effect.afterNorm = afterNorm;
  return effect;
}

/// The sum over rows of the relative error behind `norm`.
double Skipping::normedError(long begin, const Matrix &errors) const {
  auto exact = sums.middleRows(begin, errors.rows());
  Matrix wanted = norm(exact), got = norm(exact - errors);
  std::vector<double> wantedNorms = rowNorms(wanted),
                      errorNorms = rowNorms(got - wanted);
  double sum = 0;
  for (size_t row = 0; row < wantedNorms.size(); ++row)
    sum += ratio(errorNorms[row], wantedNorms[row]);
  return sum;
}

float sparse_opt::numerics::thresholdKeeping(const std::vector<float> &sorted,
                                             double share) {
  assert(share >= 0 && share <= 1 && "a density is a share");
  // The (kept + 1)-th largest: at most `kept` are strictly above it.
  size_t kept = size_t(share * double(sorted.size()));
  return kept >= sorted.size() ? 0 : sorted[sorted.size() - 1 - kept];
}

float Skipping::thresholdForDensity(double density) const {
  return thresholdKeeping(sorted, density);
}

float Skipping::thresholdForCett(double cett, long rows, int steps) const {
  rows = std::min<long>(rows, scores.rows());
  auto thresholdAt = [&](int step) { // of a density that falls with `step`
    return thresholdForDensity(1 - double(step) / steps);
  };
  int good = 0, bad = steps + 1; // step 0 is the threshold 0: nothing is lost
  while (bad - good > 1) {
    int middle = (good + bad) / 2;
    (cettAt(thresholdAt(middle), rows) <= cett ? good : bad) = middle;
  }
  return thresholdAt(good);
}
