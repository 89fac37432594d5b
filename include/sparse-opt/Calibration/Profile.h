// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A calibration profile: what the FFN blocks of one model did on some data,
// and that data's sequences. Profiles of the same model merge, in any order,
// into the same bytes. Passes read it beside the model and need nothing else.
#ifndef SPARSE_OPT_CALIBRATION_PROFILE_H
#define SPARSE_OPT_CALIBRATION_PROFILE_H
#include "sparse-opt/Calibration/Sample.h"
#include "sparse-opt/Calibration/Statistics.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"
#include <string>
#include <vector>

namespace sparse_opt {

/// An input of the model, as its sequences have it.
struct CalibratedInput {
  std::string name;
  int32_t elementType = 1; ///< ONNX TensorProto.DataType

  bool operator==(const CalibratedInput &other) const {
    return name == other.name && elementType == other.elementType;
  }
};

/// One run of `calibrate`.
struct Shard {
  uint64_t hash = 0; ///< of the model and all sequences, in order
  uint64_t sequences = 0, heldOutSequences = 0;
  std::vector<BlockSums> sums; ///< of each block
};

/// Of data that fits may see, and of data that errors are reported on. A
/// sequence is held out when the hash of its content is a multiple of 5.
template <typename T> struct Split {
  T fit, heldOut;
};

inline bool isHeldOut(uint64_t contentHash) { return contentHash % 5 == 0; }

/// Rows of x, each followed by the residual when there is one, unless the
/// block has none: `d` and then `out` columns.
using RowSamples = Split<RowSample>;

struct CalibrationProfile {
  std::string modelHash; ///< `onnx.model_hash`
  uint64_t seed = 0;
  std::vector<CalibratedInput> inputs;
  std::vector<CalibratedBlock> blocks;
  std::vector<Shard> shards;       ///< by ascending hash
  std::vector<BlockCounts> counts; ///< of each block, fit rows only
  std::vector<RowSamples> rows;    ///< of each block
  Split<SequenceSample> sequences;

  /// The index of a block, or nothing.
  std::optional<size_t> find(llvm::StringRef block) const;
  /// Sums of all shards, added in the order of their hashes.
  BlockSums sumsOf(size_t block) const;
  uint64_t rowsOf(size_t block) const;
  uint64_t heldOutRowsOf(size_t block) const;
  uint64_t numSequences() const;
  uint64_t numHeldOutSequences() const;
};

/// Empty statistics of these blocks.
CalibrationProfile makeProfile(std::string modelHash, uint64_t seed,
                               std::vector<CalibratedInput> inputs,
                               std::vector<CalibratedBlock> blocks,
                               uint64_t rowSampleBytes, uint64_t sequenceBytes);

void writeProfile(const CalibrationProfile &profile, llvm::raw_ostream &os);
/// True when the file begins like a profile.
bool isProfile(llvm::StringRef path);
llvm::Expected<CalibrationProfile> readProfile(llvm::StringRef path);
/// `bytes` of a file called `name` in errors.
llvm::Expected<CalibrationProfile> parseProfile(llvm::StringRef bytes,
                                                llvm::StringRef name);

/// An error unless the profile is of the model with this hash.
llvm::Error checkModel(const CalibrationProfile &profile,
                       llvm::StringRef modelHash, llvm::StringRef profileName,
                       llvm::StringRef modelName);

/// Adds `from` to `into`; the names are for errors.
llvm::Error mergeProfile(CalibrationProfile &into,
                         const CalibrationProfile &from,
                         llvm::StringRef intoName, llvm::StringRef fromName);

} // namespace sparse_opt
#endif
