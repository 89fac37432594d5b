// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sums and histograms over columns. The loops over a group's columns have a
// fixed count and no branch, so that compilers make vector code of them; the
// increments of bins can't be. Which rows count is decided elsewhere.
#include "sparse-opt/Calibration/Statistics.h"
#include <algorithm>
#include <cassert>
#include <limits>

using namespace sparse_opt;

//===----------------------------------------------------------------------===//
// Adding up
//===----------------------------------------------------------------------===//

template <typename T>
static void addTo(std::vector<T> &to, const std::vector<T> &from) {
  assert(to.size() == from.size() && "statistics of different blocks");
  for (size_t i = 0; i < to.size(); ++i)
    to[i] += from[i];
}

void Moments::add(const Moments &other) {
  addTo(sum, other.sum);
  addTo(squares, other.squares);
}

void BlockSums::add(const BlockSums &other) {
  rows += other.rows;
  heldOutRows += other.heldOutRows;
  x.add(other.x);
  gate.add(other.gate);
  up.add(other.up);
  act.add(other.act);
}

Extremes::Extremes(size_t columns)
    : low(columns, std::numeric_limits<float>::infinity()),
      high(columns, -std::numeric_limits<float>::infinity()) {}

void Extremes::add(const Extremes &other) {
  for (size_t i = 0; i < low.size(); ++i) {
    low[i] = std::min(low[i], other.low[i]);
    high[i] = std::max(high[i], other.high[i]);
  }
}

BlockCounts::BlockCounts(const CalibratedBlock &block)
    : gate(block.gated ? block.h * numGridBins : 0), up(block.h * numGridBins),
      zeros(block.h), x(numGridBins), act(numGridBins), xRange(block.d),
      gateRange(block.gated ? block.h : 0), upRange(block.h),
      actRange(block.h) {}

void BlockCounts::add(const BlockCounts &other) {
  addTo(gate, other.gate);
  addTo(up, other.up);
  addTo(zeros, other.zeros);
  addTo(x, other.x);
  addTo(act, other.act);
  xRange.add(other.xRange);
  gateRange.add(other.gateRange);
  upRange.add(other.upRange);
  actRange.add(other.actRange);
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

namespace {
/// Where the statistics of some columns go; null for those not wanted.
struct Columns {
  Moments *moments;
  Extremes *range;
  uint32_t *bins = nullptr;   // columns x numGridBins
  uint64_t *pooled = nullptr; // numGridBins
  uint32_t *zeros = nullptr;
};

/// The running statistics of one group of columns.
class Group {
public:
  Group(const RowsOf &values, const Columns &to, size_t begin)
      : values(values), to(to), begin(begin),
        size(std::min(columnsPerGroup, values.columns - begin)) {
    for (size_t c = 0; c < columnsPerGroup; ++c) {
      bool isColumn = c < size;
      sum[c] = isColumn ? to.moments->sum[begin + c] : 0;
      squares[c] = isColumn ? to.moments->squares[begin + c] : 0;
      low[c] = isColumn ? to.range->low[begin + c] : 0;
      high[c] = isColumn ? to.range->high[begin + c] : 0;
    }
  }

  bool add(llvm::ArrayRef<uint32_t> rows) {
    uint32_t largest = 0;
    for (uint32_t row : rows) {
      const float *at = values.data + row * values.columns + begin;
      if (size < columnsPerGroup) {
        std::copy_n(at, size, padded);
        at = padded;
      }
      largest = std::max(largest, addRow(at));
    }
    for (size_t c = 0; c < size; ++c) {
      to.moments->sum[begin + c] = sum[c];
      to.moments->squares[begin + c] = squares[c];
      to.range->low[begin + c] = low[c];
      to.range->high[begin + c] = high[c];
      if (to.zeros)
        to.zeros[begin + c] += zeros[c];
    }
    return largest < 0x7f800000u; // the bits of infinity
  }

private:
  /// The bits of the largest magnitude.
  uint32_t addRow(const float *at) {
    uint32_t largest = 0;
    for (size_t c = 0; c < columnsPerGroup; ++c) {
      double value = at[c];
      sum[c] += value;
      squares[c] += value * value; // exact before it is added
    }
    for (size_t c = 0; c < columnsPerGroup; ++c) {
      low[c] = at[c] < low[c] ? at[c] : low[c];
      high[c] = at[c] > high[c] ? at[c] : high[c];
      zeros[c] += at[c] == 0;
    }
    uint32_t bins[columnsPerGroup];
    for (size_t c = 0; c < columnsPerGroup; ++c) {
      uint32_t bits;
      std::memcpy(&bits, at + c, sizeof(bits));
      bits &= 0x7fffffffu;
      largest = bits > largest ? bits : largest;
      bins[c] = gridBin(at[c]);
    }
    if (to.bins)
      for (size_t c = 0; c < size; ++c)
        ++to.bins[(begin + c) * numGridBins + bins[c]];
    if (to.pooled)
      for (size_t c = 0; c < size; ++c)
        ++to.pooled[bins[c]];
    return largest;
  }

  const RowsOf &values;
  const Columns &to;
  size_t begin, size;
  double sum[columnsPerGroup], squares[columnsPerGroup];
  float low[columnsPerGroup], high[columnsPerGroup];
  float padded[columnsPerGroup] = {};
  uint32_t zeros[columnsPerGroup] = {};
};
} // namespace

static size_t groupsOf(size_t columns) {
  return (columns + columnsPerGroup - 1) / columnsPerGroup;
}

size_t sparse_opt::numColumnGroups(const CalibratedBlock &block) {
  return groupsOf(block.d) + groupsOf(block.h) * (block.gated ? 3 : 2);
}

bool sparse_opt::addGroup(const CalibratedBlock &block, const BlockRows &values,
                          llvm::ArrayRef<uint32_t> rows, size_t group,
                          BlockSums &sums, BlockCounts &counts,
                          llvm::MutableArrayRef<uint64_t> pooled) {
  Columns x{&sums.x, &counts.xRange, nullptr, pooled.data()};
  Columns gate{&sums.gate, &counts.gateRange, counts.gate.data()};
  Columns up{&sums.up, &counts.upRange, counts.up.data()};
  Columns act{&sums.act, &counts.actRange, nullptr, pooled.data() + numGridBins,
              counts.zeros.data()};
  std::pair<const RowsOf &, const Columns &> all[] = {
      {values.x, x}, {values.up, up}, {values.act, act}, {values.gate, gate}};
  for (auto &[value, columns] : all) {
    size_t groups = groupsOf(columns.moments->sum.size());
    if (group < groups)
      return Group(value, columns, group * columnsPerGroup).add(rows);
    group -= groups;
  }
  assert(false && "a block has fewer groups of columns");
  return true;
}
