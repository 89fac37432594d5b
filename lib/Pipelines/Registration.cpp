// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "sparse-opt/Pipelines/Registration.h"
#include "dialects/Kernel/KernelBufferization.h"
#include "mlir/Dialect/AMX/Transforms.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "sparse-opt/Conversion/Passes.h"
#include "sparse-opt/Pipelines/CodegenPipeline.h"
#include "sparse-opt/Transforms/Passes.h"

void sparse_opt::registerDialects(mlir::DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::registerAllToLLVMIRTranslations(registry);
  mlir::registerConvertAMXToLLVMInterface(registry);
  registry.insert<onnx::OnnxDialect, ffn::FfnDialect, kernel::KernelDialect>();
  kernel::registerBufferizableOpInterfaceExternalModels(registry);
}

void sparse_opt::registerEverything(mlir::DialectRegistry &registry) {
  registerDialects(registry);
  mlir::registerAllPasses();
  registerTransformsPasses();
  registerCodegenPipelines();
  registerConversionPasses();
}
