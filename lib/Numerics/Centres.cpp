// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Medians, modes and means of what neurons do. Which of them serves a block is
// the user's choice.
#include "sparse-opt/Numerics/Thresholds.h"
#include <algorithm>
#include <cassert>
#include <cmath>

using namespace sparse_opt::numerics;

/// Of sorted values; between two the nearer ones' mix.
static double quantile(const std::vector<float> &sorted, double q) {
  double place = q * double(sorted.size() - 1);
  size_t below = size_t(place);
  size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] +
         (place - double(below)) * (double(sorted[above]) - sorted[below]);
}

/// The value that most rows share, if a quarter of them do.
static std::optional<float> sharedValue(const std::vector<float> &sorted) {
  size_t longest = 0, at = 0;
  for (size_t i = 0, next; i < sorted.size(); i = next) {
    next = i;
    while (next < sorted.size() && sorted[next] == sorted[i])
      ++next;
    if (next - i > longest) {
      longest = next - i;
      at = i;
    }
  }
  if (longest > 1 && longest * 4 >= sorted.size())
    return sorted[at];
  return std::nullopt;
}

/// Silverman's rule of thumb; 0 when the values hardly differ.
static double bandwidth(const std::vector<float> &sorted) {
  double mean = 0, squares = 0, n = double(sorted.size());
  for (float value : sorted)
    mean += value / n;
  for (float value : sorted)
    squares += (value - mean) * (value - mean) / n;
  double spread = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / 1.34;
  return 0.9 * std::min(std::sqrt(squares), spread) * std::pow(n, -0.2);
}

/// Where a Gaussian kernel density estimate is highest: over the values' inner
/// 98 %, counted in 256 bins.
static float densestValue(const std::vector<float> &sorted) {
  constexpr int bins = 256;
  double low = quantile(sorted, 0.01), high = quantile(sorted, 0.99);
  double width = (high - low) / bins, sigma = bandwidth(sorted) / width;
  if (!(width > 0) || !(sigma > 0))
    return float(quantile(sorted, 0.5));
  std::vector<double> counts(bins);
  for (float value : sorted) {
    double bin = std::floor((value - low) / width);
    if (bin >= 0 && bin <= bins)
      counts[std::min(int(bin), bins - 1)] += 1;
  }
  int reach = int(4 * sigma) + 1, best = 0;
  double highest = -1;
  for (int bin = 0; bin < bins; ++bin) {
    double sum = 0;
    for (int other = std::max(0, bin - reach);
         other <= std::min(bins - 1, bin + reach); ++other) {
      double distance = (bin - other) / sigma;
      sum += counts[other] * std::exp(-0.5 * distance * distance);
    }
    if (sum > highest) {
      highest = sum;
      best = bin;
    }
  }
  return float(low + (best + 0.5) * width);
}

static float centreOf(std::vector<float> &values, Centre centre) {
  if (centre == Centre::Mean) {
    double sum = 0;
    for (float value : values)
      sum += value;
    return float(sum / double(values.size()));
  }
  std::sort(values.begin(), values.end());
  if (centre == Centre::Median)
    return float(quantile(values, 0.5));
  if (std::optional<float> shared = sharedValue(values))
    return *shared;
  return densestValue(values);
}

Vector sparse_opt::numerics::centresOf(const MatrixRef &act, Centre centre) {
  assert(centre != Centre::None && act.rows() > 0 && "there is no centre");
  Vector centres(act.cols());
  std::vector<float> values(act.rows());
  for (long i = 0; i < act.cols(); ++i) {
    for (long row = 0; row < act.rows(); ++row)
      values[row] = act(row, i);
    centres[i] = centreOf(values, centre);
  }
  return centres;
}
