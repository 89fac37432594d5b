// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The table of stages and the check of what may remain after each. The passes
// themselves live in lib/Transforms and lib/Conversion, the lists of the last
// two stages in CodegenPipeline.cpp.
#include "sparse-opt/Pipelines/Stages.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"
#include "sparse-opt/Conversion/Passes.h"
#include "sparse-opt/Pipelines/CodegenPipeline.h"
#include "sparse-opt/Target/TargetInfo.h"
#include "sparse-opt/Transforms/Passes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace sparse_opt;

static void buildFfn(OpPassManager &pm, const StageOptions &) {
  // 1. Constants and shape arithmetic go.
  pm.addPass(createOnnxFoldConstants());
  pm.addNestedPass<func::FuncOp>(createOnnxFoldShapes());
  pm.addPass(createOnnxFoldConstants());
  // 2. Blocks.
  pm.addPass(createConvertOnnxToFfn());
}

static void buildCompressed(OpPassManager &pm, const StageOptions &options) {
  for (const MethodChoice::Call &call : options.methods.calls)
    pm.addPass(options.methods.createPass(call));
  if (options.expose)
    pm.addPass(createFfnExpose());
}

static void buildLinalg(OpPassManager &pm, const StageOptions &options) {
  pm.addPass(createConvertOnnxToLinalg());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createKernelJoinStacks());
  if (options.statesInPlace)
    pm.addPass(createKernelBindStates());
}

static void buildVector(OpPassManager &pm, const StageOptions &options) {
  buildSharedCodegenPipeline(pm, options);
}

static void buildLlvm(OpPassManager &pm, const TargetInfo &) {
  buildLlvmPipeline(pm);
}

using Dialects = ArrayRef<StringLiteral>;
static constexpr StringLiteral onnxDialects[] = {"onnx", "func"};
static constexpr StringLiteral ffnDialects[] = {"ffn", "onnx", "func"};
static constexpr StringLiteral compressedDialects[] = {
    "ffn", "onnx", "func", "arith", "scf", "tensor"};
static constexpr StringLiteral linalgDialects[] = {
    "linalg", "tensor", "arith", "math", "scf", "func", "kernel"};
static constexpr StringLiteral vectorDialects[] = {
    "vector", "memref", "scf", "cf",   "arith",  "math",  "x86vector",
    "amx",    "func",   "ub",  "llvm", "kernel", "affine"};
static constexpr StringLiteral llvmDialects[] = {"llvm"};

static const Stage stageTable[] = {
    {"onnx", "the graph as exported, opset normalised, shapes inferred",
     Stage::Model, nullptr, nullptr, Dialects(onnxDialects)},
    {"ffn", "FFN blocks recognised, constants and shapes folded", Stage::Model,
     buildFfn, nullptr, Dialects(ffnDialects)},
    {"ffn-compressed", "blocks in the form they will run in", Stage::Model,
     buildCompressed, nullptr, Dialects(compressedDialects)},
    {"linalg", "the whole model as structured loops", Stage::Model, buildLinalg,
     nullptr, Dialects(linalgDialects)},
    {"vector", "fused, vectorised kernels of a target", Stage::Target,
     buildVector, buildTargetCodegenPipeline, Dialects(vectorDialects)},
    {"llvm", "the LLVM dialect", Stage::Target, nullptr, buildLlvm,
     Dialects(llvmDialects)},
    {"obj", "object", Stage::File, nullptr, nullptr, {}},
    {"so", "shared library (default)", Stage::File, nullptr, nullptr, {}},
    {"lib", "static library", Stage::File, nullptr, nullptr, {}},
    {"exe", "program", Stage::File, nullptr, nullptr, {}},
};

ArrayRef<Stage> sparse_opt::getStages() { return stageTable; }

const Stage *sparse_opt::lookupStage(StringRef name) {
  const Stage *stage = llvm::find_if(
      stageTable, [&](const Stage &stage) { return stage.name == name; });
  return stage == std::end(stageTable) ? nullptr : stage;
}

std::string sparse_opt::stageNames() {
  return llvm::join(
      llvm::map_range(stageTable,
                      [](const Stage &stage) { return stage.name; }),
      ", ");
}

static bool isLegal(Operation *op, const Stage &stage) {
  StringRef dialect = op->getName().getDialectNamespace();
  return dialect == "builtin" || llvm::is_contained(stage.legal, dialect);
}

LogicalResult sparse_opt::checkStage(ModuleOp module, const Stage &stage) {
  llvm::StringSet<> reported;
  module.walk([&](Operation *op) {
    if (isLegal(op, stage))
      return;
    std::string what = ("'" + op->getName().getStringRef() + "'").str();
    if (auto node = dyn_cast<onnx::NodeOp>(op))
      what = ("operator " + node.getOpType()).str();
    if (reported.insert(what).second)
      emitError(op->getLoc())
          << what << " can't be kept beyond stage '" << stage.name << "'";
  });
  return success(reported.empty());
}

const Stage *sparse_opt::guessStage(ModuleOp module) {
  for (const Stage &stage : stageTable) {
    bool legal = stage.kind != Stage::File;
    module.walk([&](Operation *op) {
      legal &= isLegal(op, stage);
      return legal ? WalkResult::advance() : WalkResult::interrupt();
    });
    if (legal)
      return &stage;
  }
  return nullptr;
}
