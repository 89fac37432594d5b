// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The passes of stages `vector` and `llvm`, in order, as data of three
// functions. Which target, when to stop and what to dump is the driver's.
#include "sparse-opt/Pipelines/CodegenPipeline.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "sparse-opt/Conversion/Passes.h"
#include "sparse-opt/Pipelines/Stages.h"
#include "sparse-opt/Target/TargetInfo.h"
#include "sparse-opt/Transforms/Passes.h"

using namespace mlir;

/// One-shot bufferisation; @main has no tensors at its boundary any more.
static void addBufferization(OpPassManager &pm) {
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  // Branches then agree on the layout of what they make.
  pm.addPass(bufferization::createEmptyTensorToAllocTensorPass());
  bufferization::OneShotBufferizePassOptions options;
  options.allowReturnAllocsFromLoops = true;
  pm.addPass(bufferization::createOneShotBufferizePass(options));
  pm.addPass(memref::createFoldMemRefAliasOpsPass());
  pm.addPass(createCSEPass()); // copies of a view to its equal are then seen
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

void sparse_opt::buildSharedCodegenPipeline(OpPassManager &pm,
                                            const StageOptions &options) {
  // 1. Sizes are expressions over the inputs' symbols.
  pm.addPass(createKernelBindSymbols());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  // 2. Regions worth one kernel each; their weights are packed.
  pm.addPass(createKernelFormRegions());
  KernelNarrowTypesOptions types;
  types.operands = options.operands;
  types.weights = options.weights;
  pm.addPass(createKernelNarrowTypes(types));
  if (options.operands != "f32" || options.weights != "f32") {
    pm.addPass(createKernelShortenActivations());
    pm.addPass(createKernelNarrowStates());
  }
  pm.addPass(createCSEPass());
  pm.addPass(createKernelMergeProducts());
  // 3. What no region claimed becomes loop nests that belong together.
  pm.addPass(createLinalgDecomposeAggregates());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createKernelFuseElementwise());
  pm.addPass(createCSEPass());
  pm.addPass(createKernelFuseRows());
  pm.addPass(createCanonicalizerPass());
  // 4. Weights out of the IR, results into the caller's memory.
  pm.addPass(createKernelExternalizeWeights());
  pm.addPass(createKernelBindBuffers());
  pm.addPass(createCanonicalizerPass());
}

void sparse_opt::buildTargetCodegenPipeline(OpPassManager &pm,
                                            const TargetInfo &target) {
  // 1. Buffers.
  addBufferization(pm);
  pm.addPass(createKernelDescribeWork());
  // 2. Loops and vectors.
  ConvertKernelToVectorOptions kernels;
  kernels.target = target.name.str();
  pm.addPass(createConvertKernelToVector(kernels));
  ConvertLinalgToVectorOptions vector;
  vector.target = target.name.str();
  pm.addPass(createConvertLinalgToVector(vector));
  ExpandMathOptions math;
  math.target = target.name.str();
  pm.addPass(createExpandMath(math));
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  // 3. One arena, launches, entry points.
  pm.addPass(createKernelPlanBuffers());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createKernelOutlineParallel());
  KernelEmitEntryPointsOptions entry;
  entry.suffix = target.name.str();
  llvm::replace(entry.suffix, '-', '_');
  pm.addPass(createKernelEmitEntryPoints(entry));
}

void sparse_opt::buildLlvmPipeline(OpPassManager &pm) {
  pm.addPass(createConvertKernelToLLVM());
  pm.addNestedPass<func::FuncOp>(createConvertVectorToSCFPass());
  pm.addPass(createKernelExpandReshapes());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addNestedPass<func::FuncOp>(createConvertMathToLLVMPass());
  pm.addPass(createConvertMathToLibmPass());
  ConvertVectorToLLVMPassOptions vectors;
  vectors.x86Vector = true;
  pm.addPass(createConvertVectorToLLVMPass(vectors));
  pm.addPass(createConvertToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
  pm.addPass(createLlvmLegalizeBf16Masks());
}

namespace {
struct SharedPipelineOptions : PassPipelineOptions<SharedPipelineOptions> {
  Option<std::string> operands{*this, "operands",
                               llvm::cl::desc("of products: f32 or bf16"),
                               llvm::cl::init("f32")};
  Option<std::string> weights{*this, "weights",
                              llvm::cl::desc("f32, bf16 or int8"),
                              llvm::cl::init("f32")};
};
struct TargetPipelineOptions : PassPipelineOptions<TargetPipelineOptions> {
  Option<std::string> target{*this, "target",
                             llvm::cl::desc("name of the target"),
                             llvm::cl::init("x86-64-v4")};
};
} // namespace

void sparse_opt::registerCodegenPipelines() {
  PassPipelineRegistration<SharedPipelineOptions>(
      "kernel-shared-pipeline", "Stage vector, up to where targets part",
      [](OpPassManager &pm, const SharedPipelineOptions &options) {
        StageOptions types;
        types.operands = options.operands;
        types.weights = options.weights;
        buildSharedCodegenPipeline(pm, types);
      });
  PassPipelineRegistration<TargetPipelineOptions>(
      "kernel-target-pipeline", "Stage vector for one target",
      [](OpPassManager &pm, const TargetPipelineOptions &options) {
        if (const TargetInfo *target = lookupTarget(options.target))
          buildTargetCodegenPipeline(pm, *target);
        else
          llvm::report_fatal_error("unknown target", /*gen_crash_diag=*/false);
      });
  PassPipelineRegistration<>("kernel-llvm-pipeline", "Stage llvm",
                             buildLlvmPipeline);
}
