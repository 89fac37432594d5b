// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Samples that can be merged: of everything ever offered they keep what has
// the smallest hashes. Merging is a union, so its order can't matter, and what
// is kept doesn't depend on what else a run saw.
#ifndef SPARSE_OPT_CALIBRATION_SAMPLE_H
#define SPARSE_OPT_CALIBRATION_SAMPLE_H
#include "llvm/ADT/ArrayRef.h"
#include <cstdint>
#include <limits>
#include <unordered_map>
#include <vector>

namespace sparse_opt {

/// A well-mixed function of both, for hashes.
uint64_t mixHashes(uint64_t a, uint64_t b);

/// Which row of the data it was.
struct RowKey {
  uint64_t hash = 0;     ///< of seed, sequence and position: what is sampled by
  uint64_t sequence = 0; ///< the hash of the sequence's content
  uint64_t position = 0; ///< among the rows of its sequence that count
};

/// The rows with the `capacity` smallest hashes, rounded to bf16. Equal hashes
/// are one row: of two contents the one whose bits are smaller stays.
class RowSample {
public:
  RowSample(size_t capacity = 0, size_t width = 0)
      : limit(capacity), columns(width) {}

  size_t capacity() const { return limit; }
  size_t width() const { return columns; }
  size_t size() const { return keys.size(); }
  /// False when a row of this hash would not be kept.
  bool wants(uint64_t hash) const;
  /// Offers the row `first` followed by `second`, `width` values together.
  void add(const RowKey &key, llvm::ArrayRef<float> first,
           llvm::ArrayRef<float> second);
  void merge(const RowSample &other);
  void setCapacity(size_t capacity);
  /// Rows in the order of their hashes; needed before they are read in it.
  void sort();

  const RowKey &key(size_t i) const { return keys[i]; }
  llvm::ArrayRef<uint16_t> row(size_t i) const {
    return llvm::ArrayRef(values).slice(i * columns, columns);
  }
  /// Columns [begin, begin + count) of all rows as floats, row-major.
  std::vector<float> columnsOf(size_t begin, size_t count) const;
  /// For reading profiles; hashes must ascend.
  bool append(const RowKey &key, llvm::ArrayRef<uint16_t> row);

private:
  void addBits(const RowKey &key, llvm::ArrayRef<uint16_t> row);
  uint64_t largest() const { return heap.front().first; }

  size_t limit, columns;
  std::vector<RowKey> keys;
  std::vector<uint16_t> values;
  std::vector<std::pair<uint64_t, size_t>> heap; // hash, row; largest first
  std::unordered_map<uint64_t, size_t> rowOf;
};

/// One input of the model for one sequence, without its batch dimension and
/// without positions whose mask is 0.
struct SequenceInput {
  std::vector<int64_t> shape;
  std::vector<uint8_t> data;

  bool operator==(const SequenceInput &other) const {
    return shape == other.shape && data == other.data;
  }
};

struct SampledSequence {
  uint64_t hash = 0;                 ///< of seed and content
  std::vector<SequenceInput> inputs; ///< in the model's order

  uint64_t bytes() const;
};

/// The sequences with the smallest hashes that together have at most
/// `capacity` bytes.
class SequenceSample {
public:
  explicit SequenceSample(uint64_t capacity = 0) : limit(capacity) {}

  uint64_t capacity() const { return limit; }
  void add(SampledSequence sequence);
  void merge(const SequenceSample &other);
  void setCapacity(uint64_t capacity);
  llvm::ArrayRef<SampledSequence> get() const { return sequences; }
  /// The smallest hash that was left out: what lies beyond isn't known, so a
  /// merge can't keep it either.
  uint64_t horizon() const { return leftOut; }
  /// For reading profiles.
  void setHorizon(uint64_t hash) { leftOut = hash; }

private:
  void cut();

  uint64_t limit;
  uint64_t leftOut = std::numeric_limits<uint64_t>::max();
  uint64_t held = 0;                      // bytes
  std::vector<SampledSequence> sequences; // ascending hashes
};

} // namespace sparse_opt
#endif
