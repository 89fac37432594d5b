// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The oracle that generated code is compared to: the same model through
// upstream's plain loops, no kernel, no fusion, no vector code, one thread.
#ifndef SPARSE_OPT_PIPELINES_REFERENCE_H
#define SPARSE_OPT_PIPELINES_REFERENCE_H
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "sparse-opt/Support/Npz.h"
#include "llvm/Support/Error.h"
#include <memory>

namespace sparse_opt {

class Reference {
public:
  /// `module` at the end of stage `linalg` (it is lowered in place). Null
  /// after a diagnostic.
  static std::unique_ptr<Reference> build(mlir::ModuleOp module);
  ~Reference();

  /// The outputs for these inputs, which are found by name and must be right
  /// in type and size.
  llvm::Expected<std::vector<NpyArray>>
  run(const std::vector<NpyArray> &inputs) const;

private:
  struct State;
  explicit Reference(std::unique_ptr<State> state);
  std::unique_ptr<State> state;
};

} // namespace sparse_opt
#endif
