// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Gathers one shard: told what FFN blocks computed in each run, it makes the
// profile. The result depends on the data and its order alone, not on the
// number of threads.
#ifndef SPARSE_OPT_CALIBRATION_COLLECTOR_H
#define SPARSE_OPT_CALIBRATION_COLLECTOR_H
#include "sparse-opt/Calibration/Batches.h"
#include "sparse-opt/Calibration/Profile.h"

namespace sparse_opt {

class Collector {
public:
  /// `empty` as makeProfile makes it.
  Collector(CalibrationProfile empty, unsigned threads);

  /// Values of each block in one run. An error when rows don't fit the
  /// sequences, or one that counts holds NaN or infinity.
  llvm::Error add(const ModelRun &run, llvm::ArrayRef<BlockRows> blocks);
  uint64_t numSequences() const { return shard.sequences; }
  /// Rows that counted, of the block that had most.
  uint64_t numRows() const;
  /// An error when there was too little to say anything.
  llvm::Expected<CalibrationProfile> finish();

private:
  /// The rows that count in a run of some number of rows.
  struct Rows {
    std::vector<uint32_t> fit, heldOut;
    std::vector<RowKey> fitKeys, heldOutKeys;
  };
  llvm::Expected<Rows> rowsOf(const ModelRun &run, int64_t count,
                              const CalibratedBlock &block) const;
  llvm::Error addValues(llvm::ArrayRef<const Rows *> rows,
                        llvm::ArrayRef<BlockRows> blocks);

  CalibrationProfile profile;
  Shard shard;
  unsigned threads;
  std::vector<uint64_t> hashes; // of all sequences
};

} // namespace sparse_opt
#endif
