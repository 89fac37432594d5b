// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The stages `vector` and `llvm` as pass lists. A driver runs the shared list
// once, clones the module per target, runs the target's list on each clone,
// then the LLVM list, and hands the result to translateToLLVM.
#ifndef SPARSE_OPT_PIPELINES_CODEGENPIPELINE_H
#define SPARSE_OPT_PIPELINES_CODEGENPIPELINE_H

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace sparse_opt {
struct StageOptions;
struct TargetInfo;

/// From the end of stage `linalg`: regions, row loops, weights out of the IR.
/// Still on tensors and the same for every target.
void buildSharedCodegenPipeline(mlir::OpPassManager &pm,
                                const StageOptions &options);

/// Stage `vector` for one target: buffers, kernels, one arena, launches,
/// `sparse_opt_plan_<target>` and `sparse_opt_run_<target>` (dashes of the
/// target's name become underscores).
void buildTargetCodegenPipeline(mlir::OpPassManager &pm,
                                const TargetInfo &target);

/// Stage `llvm`: everything left becomes the LLVM dialect.
void buildLlvmPipeline(mlir::OpPassManager &pm);

/// The three as --kernel-shared-pipeline, --kernel-target-pipeline=target=...
/// and --kernel-llvm-pipeline of the pass driver.
void registerCodegenPipelines();
} // namespace sparse_opt
#endif
