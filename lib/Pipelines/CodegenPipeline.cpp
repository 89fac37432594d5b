// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The passes of stages `vector` and `llvm`, in order, as data of three
// functions. Which target, when to stop and what to dump is the driver's.
#include "sparse-opt/Pipelines/CodegenPipeline.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "sparse-opt/Conversion/Passes.h"
#include "sparse-opt/Transforms/Passes.h"

using namespace mlir;

void sparse_opt::buildSharedCodegenPipeline(OpPassManager &pm) {
  // 1. Sizes are expressions over the inputs' symbols.
  pm.addPass(createKernelBindSymbols());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

void sparse_opt::buildTargetCodegenPipeline(OpPassManager &pm,
                                            const TargetInfo &target) {}

void sparse_opt::buildLlvmPipeline(OpPassManager &pm) {}
