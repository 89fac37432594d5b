// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How fast this machine reads memory, by how much of it is read in turn: from
// what fits a cache to what comes from DRAM.
#ifndef SPARSE_OPT_TOOLS_BANDWIDTH_H
#define SPARSE_OPT_TOOLS_BANDWIDTH_H
#include "llvm/Support/JSON.h"
#include <cstdint>
#include <vector>

namespace sparse_opt::tool {

/// Memory to read, in 2 MiB pages where the system gives them.
class ReadBuffer {
public:
  /// `bytes`, or an eighth of the free memory where that is less; empty when
  /// there is none.
  explicit ReadBuffer(uint64_t bytes);
  ~ReadBuffer();
  ReadBuffer(const ReadBuffer &) = delete;
  const uint8_t *getData() const { return data; }
  uint64_t getBytes() const { return bytes; }

private:
  uint8_t *data = nullptr;
  uint64_t bytes = 0;
};

/// `threads` threads read `bytes` together, piece by piece, each its own part
/// of a piece, going through the buffer as often as that takes: bytes a second
/// of each piece.
std::vector<double> readThrough(const ReadBuffer &buffer, uint64_t bytes,
                                unsigned threads);

/// Of the machine, in bytes, with what its caches would give back; 0 when that
/// isn't known.
uint64_t availableMemory();

class ReadBandwidth {
public:
  struct Point {
    uint64_t bytes; // of all threads together
    double rate;    // bytes a second, likewise
  };
  explicit ReadBandwidth(std::vector<Point> points)
      : points(std::move(points)) {}
  /// `threads` threads, each going over its own part of the working set.
  static ReadBandwidth measure(const ReadBuffer &buffer, unsigned threads);

  llvm::ArrayRef<Point> getPoints() const { return points; }
  /// Bytes a second for a working set of `bytes`, between the points that were
  /// measured; 0 without any.
  double at(double bytes) const;
  llvm::json::Array toJson() const;

private:
  std::vector<Point> points; // by size
};

} // namespace sparse_opt::tool
#endif
