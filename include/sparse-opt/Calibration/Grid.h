// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The bins that every histogram of a profile has: per sign 16 octaves from
// 2^-8 to 2^8 of 16 equal steps, one bin below and one above. No range has to
// be known before the data is seen, so histograms of any two runs add up, and
// a bin is found from the bits of a float.
#ifndef SPARSE_OPT_CALIBRATION_GRID_H
#define SPARSE_OPT_CALIBRATION_GRID_H
#include <cstdint>
#include <cstring>
#include <limits>

namespace sparse_opt {

/// Bins are in ascending order of their values. Bin i and bin
/// `numGridBins - 1 - i` mirror each other; +0 and -0 lie in the first bin of
/// the positive half.
constexpr unsigned gridBinsPerSign = 16 * 16 + 2;
constexpr unsigned numGridBins = 2 * gridBinsPerSign;

/// Of a finite value.
inline unsigned gridBin(float value) {
  value += 0.0f; // -0 becomes +0
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  // 8 exponent bits and the first 4 of the mantissa count steps.
  constexpr int32_t below = (127 - 8) * 16 - 1;
  int32_t step = static_cast<int32_t>((bits & 0x7fffffffu) >> 19) - below;
  int32_t last = gridBinsPerSign - 1;
  step = step < 0 ? 0 : step > last ? last : step;
  int32_t first = gridBinsPerSign;
  return bits >> 31 ? first - 1 - step : first + step;
}

/// The smallest magnitude in step `step` of one sign; 0 and 256 for the
/// outer ones, infinity past the end.
inline float gridEdge(unsigned step) {
  if (step == 0)
    return 0;
  if (step >= gridBinsPerSign)
    return std::numeric_limits<float>::infinity();
  uint32_t bits = ((127 - 8) * 16 - 1 + step) << 19;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

/// Where in a bin its values are taken to be: the middle, except for the
/// outermost bins (their edge) and those around 0 (0).
inline float gridValue(unsigned bin) {
  bool isPositive = bin >= gridBinsPerSign;
  unsigned step =
      isPositive ? bin - gridBinsPerSign : gridBinsPerSign - 1 - bin;
  float value = step == 0 ? 0.0f
                : step == gridBinsPerSign - 1
                    ? gridEdge(step)
                    : (gridEdge(step) + gridEdge(step + 1)) / 2;
  return isPositive ? value : -value;
}

/// The magnitude that a share `q` of the counts lies at or below, within a
/// step; 0 without counts. `counts` has numGridBins entries.
template <typename Count>
float gridQuantileOfAbs(const Count *counts, double q) {
  uint64_t total = 0, seen = 0;
  for (unsigned bin = 0; bin < numGridBins; ++bin)
    total += counts[bin];
  for (unsigned step = 0; total && step < gridBinsPerSign; ++step) {
    seen += counts[gridBinsPerSign + step] + counts[gridBinsPerSign - 1 - step];
    if (static_cast<double>(seen) >= q * static_cast<double>(total))
      return gridValue(gridBinsPerSign + step);
  }
  return 0;
}

} // namespace sparse_opt
#endif
