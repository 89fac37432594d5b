// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What kernels are compared with that stream weights: plain loops that read the
// same memory on the same threads. All walk through one range, so that over
// 2 GB pass between two uses of a byte.
#ifndef SPARSE_OPT_BENCHMARKS_READLOOPS_H
#define SPARSE_OPT_BENCHMARKS_READLOOPS_H
#include "Internal.h"
#include <cstdint>
#include <vector>

namespace sparse_opt {

double seconds();
double median(std::vector<double> values);

/// A range that is walked through again and again.
class Memory {
public:
  explicit Memory(bool hugePages);
  ~Memory();
  /// The next `bytes` of it.
  const uint8_t *take(uint64_t bytes);
  const char *pages;

private:
  uint8_t *data;
  uint64_t at = 0;
};

/// A read loop: several streams through one range, each prefetched `ahead`
/// bytes (0: by hardware alone).
struct Reader {
  int streams, ahead;
  std::vector<double> rates;
};

/// GB/s of one read loop.
double readOnce(const Reader &reader, Memory &memory, sparse_opt_pool *pool);

/// The fastest of several loops.
Reader bestReader(Memory &memory, sparse_opt_pool *pool, int rounds);

} // namespace sparse_opt
#endif
