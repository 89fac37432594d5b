// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// FFN blocks dense and compressed, side by side: both forms are compiled as in
// the model, without the rest of it, and run in turns on rows of calibration.
// What follows from it is ChooseMethods.h's.
#ifndef SPARSE_OPT_TOOLS_MEASUREBLOCKS_H
#define SPARSE_OPT_TOOLS_MEASUREBLOCKS_H
#include "mlir/IR/BuiltinOps.h"
#include "sparse-opt/Calibration/Profile.h"
#include "sparse-opt/Pipelines/Compile.h"

namespace sparse_opt::tool {

/// What a list of a block's neurons, or of columns of its x, is worth.
struct ListTimes {
  double whole = 0;    ///< the block, but by dense kernels instead of a list's
  double selected = 0; ///< of the block: kernels that `whole` does without
  double density = 0;  ///< of the list; 0 where none was used
};

struct BlockTimes {
  std::string block;
  double dense = 0, compressed = 0; ///< seconds, medians, on one thread
  /// The same on as many threads as there are CPUs; 0 where that is one.
  double denseOnAll = 0, compressedOnAll = 0;
  ListTimes neurons, inputs;
  double noise = 0; ///< relative, of a median: quartile distance / sqrt(runs)
  /// Compressed to dense, on the same rows: mean of norm(error) / norm(y), and
  /// the largest error by the largest magnitude of y.
  double relError = 0, maxError = 0;

  /// The density of a list from which on everything costs less than what is
  /// selected, for its cost is proportional to it; 1 where that isn't so.
  double crossover(const ListTimes &list) const;
  /// Times as fast, where it gains least.
  double speedup() const;
};

struct BlockMeasurement {
  std::vector<BlockTimes> blocks;
  int64_t rows = 0; ///< a run
  unsigned runs = 0;
  unsigned threads = 1; ///< "all" of them
  std::string target;   ///< "x86-64-v4"
};

/// Blocks of `compressed` that aren't what they are in `dense`, a clone from
/// before the methods. `rows` of them a run, on one thread and on all; weights
/// come round once a run, as they do in the model. Both modules stay as they
/// are.
llvm::Expected<BlockMeasurement>
measureBlocks(mlir::ModuleOp dense, mlir::ModuleOp compressed,
              const CompileOptions &options, const CalibrationProfile &profile,
              int64_t rows);

} // namespace sparse_opt::tool
#endif
