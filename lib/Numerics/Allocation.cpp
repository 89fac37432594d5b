// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "sparse-opt/Numerics/Allocation.h"
#include <algorithm>
#include <cassert>

using namespace sparse_opt::numerics;

/// The same with errors that never grow with the density.
static std::vector<ErrorCurve> falling(std::vector<ErrorCurve> blocks) {
  for (ErrorCurve &block : blocks) {
    assert(!block.errors.empty() && "a block has a curve");
    for (size_t i = block.errors.size() - 1; i-- > 0;)
      block.errors[i] = std::max(block.errors[i], block.errors[i + 1]);
  }
  return blocks;
}

/// The least density from `floor` on with `error` or less.
static double densityFor(const ErrorCurve &block, double error, double floor) {
  const std::vector<double> &errors = block.errors;
  size_t i = 0; // the first point that is good enough
  while (i + 1 < errors.size() && errors[i] > error)
    ++i;
  if (i == 0)
    return floor;
  double above = errors[i - 1] - error, step = errors[i - 1] - errors[i];
  double part = step > 0 ? std::min(1.0, above / step) : 1;
  return std::max(floor, (double(i) + part) / double(errors.size()));
}

static double meanOf(const std::vector<ErrorCurve> &blocks,
                     const std::vector<double> &densities) {
  double kept = 0, all = 0;
  for (size_t i = 0; i < blocks.size(); ++i) {
    kept += blocks[i].neurons * densities[i];
    all += blocks[i].neurons;
  }
  return kept / all;
}

std::vector<double>
sparse_opt::numerics::equalErrors(const std::vector<ErrorCurve> &given,
                                  double density) {
  std::vector<ErrorCurve> blocks = falling(given);
  double low = 0, high = 0;
  for (const ErrorCurve &block : blocks)
    high = std::max(high, block.errors.front());
  std::vector<double> densities(blocks.size());
  auto set = [&](double error) {
    for (size_t i = 0; i < blocks.size(); ++i)
      densities[i] =
          densityFor(blocks[i], error,
                     std::min(density, 1.0 / double(blocks[i].errors.size())));
  };
  for (int halving = 0; halving < 60; ++halving) {
    double middle = (low + high) / 2;
    set(middle);
    (meanOf(blocks, densities) > density ? low : high) = middle;
  }
  set(high);
  return densities;
}

namespace {
/// The next points that a block may go to.
struct Move {
  double slope = 0; ///< error that one neuron takes away
  size_t to = 0;    ///< a point
};
} // namespace

/// The move from point `from` (the error there is `errors[from - 1]`) with the
/// steepest slope: over a flat stretch if more is gained behind it.
static Move bestMove(const ErrorCurve &block, size_t from) {
  Move best{-1, from};
  double n = double(block.errors.size());
  for (size_t to = from + 1; to <= block.errors.size(); ++to) {
    double slope = (block.errors[from - 1] - block.errors[to - 1]) /
                   (double(to - from) / n * block.neurons);
    if (slope > best.slope)
      best = {slope, to};
  }
  return best;
}

std::vector<double>
sparse_opt::numerics::leastErrors(const std::vector<ErrorCurve> &given,
                                  double density) {
  std::vector<ErrorCurve> blocks = falling(given);
  std::vector<size_t> points(blocks.size(), 1);
  std::vector<double> densities;
  double left = 0; // neurons
  for (const ErrorCurve &block : blocks) {
    densities.push_back(std::min(density, 1.0 / double(block.errors.size())));
    left += block.neurons * (density - densities.back());
  }
  while (left > 0) {
    size_t chosen = blocks.size();
    Move best{-1, 0};
    for (size_t i = 0; i < blocks.size(); ++i)
      if (Move move = bestMove(blocks[i], points[i]); move.slope > best.slope)
        best = move, chosen = i;
    if (chosen == blocks.size())
      break; // all are whole
    double size = double(blocks[chosen].errors.size());
    double wanted = double(best.to) / size - densities[chosen];
    double step = std::min(wanted, left / blocks[chosen].neurons);
    densities[chosen] += step;
    left -= step * blocks[chosen].neurons;
    if (step < wanted)
      break;
    points[chosen] = best.to;
  }
  return densities;
}
