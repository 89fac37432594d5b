// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What is gathered about one FFN block, row by row: sums in f64, which are
// kept per shard, and counts and extremes, which add up exactly and are kept
// once. Everything is per column (an entry of x, or a neuron).
#ifndef SPARSE_OPT_CALIBRATION_STATISTICS_H
#define SPARSE_OPT_CALIBRATION_STATISTICS_H
#include "sparse-opt/Calibration/Grid.h"
#include "llvm/ADT/ArrayRef.h"
#include <string>
#include <vector>

namespace sparse_opt {

/// A block as the model has it.
struct CalibratedBlock {
  std::string name;       ///< `block_name`
  std::string activation; ///< "gelu"; "relu*relu" for dReLU
  int64_t d = 0, h = 0, out = 0;
  bool gated = false;
  bool hasResidual = false; ///< a stream joins after it

  bool operator==(const CalibratedBlock &other) const {
    return name == other.name && activation == other.activation &&
           d == other.d && h == other.h && out == other.out &&
           gated == other.gated && hasResidual == other.hasResidual;
  }
};

/// First and second moments, not divided by the count.
struct Moments {
  std::vector<double> sum, squares;

  explicit Moments(size_t columns = 0) : sum(columns), squares(columns) {}
  void add(const Moments &other);
};

/// `gate` and `up` are the products before the activation (`gate` has no
/// columns in a plain block), `act` is what goes into the down projection.
struct BlockSums {
  uint64_t rows = 0;        ///< that everything here is of
  uint64_t heldOutRows = 0; ///< that nothing here is of
  Moments x, gate, up, act;

  BlockSums() = default;
  explicit BlockSums(const CalibratedBlock &block)
      : x(block.d), gate(block.gated ? block.h : 0), up(block.h), act(block.h) {
  }
  void add(const BlockSums &other);
};

/// The least and largest value of each column.
struct Extremes {
  std::vector<float> low, high;

  explicit Extremes(size_t columns = 0);
  void add(const Extremes &other);
};

struct BlockCounts {
  std::vector<uint32_t> gate, up; ///< columns x numGridBins
  std::vector<uint32_t> zeros;    ///< of `act` that are exactly 0, per neuron
  std::vector<uint64_t> x, act;   ///< numGridBins, all columns together
  Extremes xRange, gateRange, upRange, actRange;

  BlockCounts() = default;
  explicit BlockCounts(const CalibratedBlock &block);
  void add(const BlockCounts &other);
};

/// A value of a block in one run of the model: rows x columns, row-major.
struct RowsOf {
  const float *data = nullptr;
  size_t columns = 0;
};

/// What one run says about a block; gate and residual may lack data.
struct BlockRows {
  int64_t rows = 0;
  RowsOf x, gate, up, act, residual;
};

/// Columns are worked on in groups of this size: the unit of work of threads,
/// none of which shares a sum with another.
constexpr size_t columnsPerGroup = 64;

/// The groups of one block, over x, gate, up and act.
size_t numColumnGroups(const CalibratedBlock &block);

/// Adds the rows listed in `rows` to the columns of one group. Counts of all
/// columns together go to `pooled` (of x, then of act: 2 x numGridBins). False
/// when a value isn't finite.
bool addGroup(const CalibratedBlock &block, const BlockRows &values,
              llvm::ArrayRef<uint32_t> rows, size_t group, BlockSums &sums,
              BlockCounts &counts, llvm::MutableArrayRef<uint64_t> pooled);

} // namespace sparse_opt
#endif
