// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the runtime and `inspect model.so` are told about a model, read off its
// IR at the end of stage `linalg` (@main still has the model's signature).
#ifndef SPARSE_OPT_PIPELINES_DESCRIBE_H
#define SPARSE_OPT_PIPELINES_DESCRIBE_H
#include "mlir/IR/BuiltinOps.h"
#include "sparse-opt/Analysis/FfnReport.h"
#include "sparse-opt/Target/Emit.h"
#include "sparse-opt/Target/Manifest.h"
#include <optional>

namespace sparse_opt {
/// Inputs, outputs, states, symbols (no manifest). Nothing after a diagnostic.
std::optional<ModelDescription> describeModel(mlir::ModuleOp module);
/// The types that states have at stage `vector`, which may be narrower.
void updateStates(mlir::ModuleOp module, ModelDescription &description);
/// What the manifest says of the states of --kernel-bind-states; may be empty.
llvm::json::Object describeStates(mlir::ModuleOp module);

/// Bounds of index inputs, from the `kernel.check_index` ops that test a
/// model's input directly: {"input_ids": 30522}.
llvm::json::Object describeBounds(mlir::ModuleOp module);
/// The kernels of a target at the end of stage `vector`, in the order in which
/// their launches are numbered: name, and what --kernel-describe-work found.
llvm::json::Array describeKernels(mlir::ModuleOp module);

/// Names of kernels in such a list for a target that copy a cache.
std::vector<std::string> cacheCopies(const llvm::json::Value &group);

/// One block for the manifest and `inspect --json`.
llvm::json::Object describeBlock(const FfnBlockReport &block);

/// The bytes behind the module attribute `kernel.weights`; they stay the
/// context's.
std::vector<WeightSegment> collectWeights(mlir::ModuleOp module);

/// Gives the memory of large ones back; nobody may read them after that.
void releaseWeights(mlir::ModuleOp module);
} // namespace sparse_opt
#endif
