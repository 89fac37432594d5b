// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What bf16 or int8 weights cost in accuracy and gain in time on this machine:
// the model compiled so and in f32, run on the same inputs.
#ifndef SPARSE_OPT_TOOLS_MEASURETYPE_H
#define SPARSE_OPT_TOOLS_MEASURETYPE_H
#include "Compare.h"
#include "sparse-opt/Pipelines/Compile.h"

namespace sparse_opt::tool {

struct TypeMeasurement {
  std::string output; ///< the float output that is furthest off
  Differences error;  ///< of it, to f32
  double speedup = 0; ///< time of f32 over the other's, one thread
  std::string inputs; ///< what it was measured on

  /// For the manifest: what doesn't change from one run to the next.
  llvm::json::Object toJson() const;
};

/// "bf16", "int8 weights", "bf16 with int8 weights"; "" for f32.
std::string typeText(const CompileOptions &options);

/// Compiles what `options` describe for this CPU, and the same in f32. `inputs`
/// is an .npz file or, when empty, `shape` describes made-up ones. `inTurns`:
/// the speedup is of medians, with both models in memory at a time.
llvm::Expected<TypeMeasurement>
measureTypes(const CompileOptions &options, const std::string &inputs,
             const std::string &shape, const ErrorLimit &limit, bool inTurns);

} // namespace sparse_opt::tool
#endif
