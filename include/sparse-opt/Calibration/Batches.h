// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Calibration data as runs of the model: arrays with any number of sequences,
// cut into runs of a bounded size, and what each sequence is without its
// padding. Running the model is the caller's.
#ifndef SPARSE_OPT_CALIBRATION_BATCHES_H
#define SPARSE_OPT_CALIBRATION_BATCHES_H
#include "sparse-opt/Calibration/Sample.h"
#include "sparse-opt/Support/Npz.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace sparse_opt {

/// An input as the model declares it.
struct ModelInput {
  std::string name;
  int32_t elementType = 1;
  std::vector<std::string> dims; ///< "384" or "batch"
};

struct Sequence {
  uint64_t contentHash = 0;
  std::vector<SequenceInput> inputs;
};

/// Inputs of one run, and whose rows it computes.
struct ModelRun {
  std::vector<NpyArray> inputs;
  std::vector<Sequence> sequences; ///< of the batch, in order
  int64_t positions = 0;           ///< columns of `mask`; 0 without one
  std::vector<uint8_t> mask;       ///< sequences x positions, 0 or 1
};

class BatchSplitter {
public:
  /// `rowMask` names the input that is 0 where rows don't count, or is "none";
  /// when empty it is `attention_mask` if the model has that.
  static llvm::Expected<BatchSplitter> create(std::vector<ModelInput> inputs,
                                              llvm::StringRef rowMask);

  /// Calls `visit` for one run after the other, of at most `rowsPerRun`
  /// positions unless one sequence has more. `file` is named in errors.
  /// Sequences of similar length share a run, without the columns that are
  /// padding in all of them; those whose mask is 0 throughout are left out.
  llvm::Error
  split(llvm::ArrayRef<NpyArray> arrays, llvm::StringRef file,
        int64_t rowsPerRun,
        llvm::function_ref<llvm::Error(const ModelRun &)> visit) const;

private:
  struct Layout;

  std::vector<ModelInput> inputs;
  int mask = -1;     ///< the input that is the mask
  int reference = 0; ///< the input whose first dimension is the batch
};

} // namespace sparse_opt
#endif
