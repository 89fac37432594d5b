// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What computing in bf16 costs in accuracy and gains in time on this machine:
// the model compiled both ways, run in turns on the same inputs.
#ifndef SPARSE_OPT_TOOLS_MEASURETYPE_H
#define SPARSE_OPT_TOOLS_MEASURETYPE_H
#include "Compare.h"
#include "sparse-opt/Pipelines/Compile.h"

namespace sparse_opt::tool {

struct TypeMeasurement {
  std::string output; ///< the float output that is furthest off
  Differences error;  ///< of it, bf16 to f32
  double speedup = 0; ///< time of f32 over time of bf16, medians, one thread
  std::string inputs; ///< what it was measured on

  /// For the manifest: what doesn't change from one run to the next.
  llvm::json::Object toJson() const;
};

/// Compiles what `options` describe for this CPU in f32 and bf16. `inputs` is
/// an .npz file or, when empty, `shape` describes made-up ones.
llvm::Expected<TypeMeasurement> measureBf16(const CompileOptions &options,
                                            const std::string &inputs,
                                            const std::string &shape,
                                            const ErrorLimit &limit);

} // namespace sparse_opt::tool
#endif
