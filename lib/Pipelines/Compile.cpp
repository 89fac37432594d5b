// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drives a compilation: loads the model, runs one stage after the other,
// clones it per target, and hands LLVM modules and weights to lib/Target.
#include "sparse-opt/Pipelines/Compile.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "sparse-opt/Conversion/TranslateToLLVM.h"
#include "sparse-opt/Frontend/Import.h"
#include "sparse-opt/Pipelines/CodegenPipeline.h"
#include "sparse-opt/Pipelines/Describe.h"
#include "sparse-opt/Pipelines/StageFile.h"
#include "sparse-opt/Pipelines/Stages.h"
#include "sparse-opt/Target/TargetInfo.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace sparse_opt;

namespace {
struct TargetModule {
  const TargetInfo *target;
  OwningOpRef<ModuleOp> module;
};

/// One compilation, from the input file to what was asked for.
class Compilation {
public:
  Compilation(MLIRContext &context, const CompileOptions &options)
      : context(context), options(options), dumper(options.dumpStages) {}

  void start(OwningOpRef<ModuleOp> module) { model = std::move(module); }
  CompileStatus run();
  OwningOpRef<ModuleOp> runModelStages(StringRef last);

private:
  MLIRContext &context;
  const CompileOptions &options;
  StageDumper dumper;
  SmallVector<const TargetInfo *> targets; // best first
  OwningOpRef<ModuleOp> model;
  std::vector<std::unique_ptr<llvm::LLVMContext>> llvmContexts;
  std::vector<TargetModule> clones;
  std::optional<ModelDescription> description;
  ManifestInfo manifest;

  InFlightDiagnostic error() { return emitError(UnknownLoc::get(&context)); }
  LogicalResult report(llvm::Error failure) {
    if (failure)
      return error() << toString(std::move(failure));
    return success();
  }
  StageOptions stageOptions() const {
    return {options.dtype, options.getWeightType(),
            options.kvCache == "in-place", options.expose, options.methods};
  }
  bool isBf16() const { return options.dtype == "bf16"; }
  void progress(const Twine &step) {
    if (options.progress)
      options.progress(step.str());
  }

  LogicalResult runModel(const Stage *last);
  LogicalResult runTargets(const Stage *last);
  LogicalResult chooseTargets();
  LogicalResult load(const Stage *&stage);
  LogicalResult runPasses(ModuleOp module,
                          llvm::function_ref<void(OpPassManager &)> build);
  LogicalResult runStage(const Stage &stage);
  void noteBlocks();
  void noteKernels();
  LogicalResult runTargetStage(const Stage &stage);
  LogicalResult dump(const Stage &stage);
  LogicalResult print(const Stage &stage);
  LogicalResult describe();
  LogicalResult emit(const Stage &stage);
  FailureOr<VariantCode> translate(TargetModule &clone);
};
} // namespace

LogicalResult Compilation::chooseTargets() {
  if (options.march == "all") {
    targets = targetsFor(isBf16());
    return success();
  }
  const TargetInfo *target = options.march == "native"
                                 ? hostTarget(isBf16())
                                 : lookupTarget(options.march);
  if (!target && options.march == "native")
    return error() << "--march=native: this CPU has none of " << targetNames();
  if (!target)
    return error() << "--march=" << options.march
                   << " is unknown; there are all, native, " << targetNames();
  targets.push_back(target);
  return success();
}

/// Reads the input, unless it was given as a module, and finds its stage.
LogicalResult Compilation::load(const Stage *&stage) {
  if (!model)
    progress("reading " + options.input);
  if (!model && isOnnxFileName(options.input)) {
    ImportOptions import;
    if (!options.allowExternal.empty())
      import.allowExternal.push_back(options.allowExternal);
    model = importOnnxFile(options.input, context, import);
    stage = lookupStage("onnx");
    return success(model && succeeded(checkStage(*model, *stage)));
  }
  StringRef extension = llvm::sys::path::extension(options.input);
  if (!model && extension != ".mlir" && extension != ".mlirbc")
    return error() << options.input << ": not an .onnx, .onnxtxt or .mlir file";
  bool isFile = !model;
  if (isFile)
    model = loadStageFile(options.input, context);
  if (!model)
    return failure();
  stage = guessStage(*model);
  if (!stage || stage->kind != Stage::Model)
    return error() << options.input
                   << ": holds no stage up to 'linalg', so it can't be "
                      "compiled further";
  return isFile ? attachWeights(*model, options.input) : success();
}

LogicalResult
Compilation::runPasses(ModuleOp module,
                       llvm::function_ref<void(OpPassManager &)> build) {
  PassManager pm(&context);
  build(pm);
  pm.enableVerifier(true);
  if (options.timePasses)
    pm.enableTiming();
  return pm.run(module);
}

/// The stages of the whole model, from where the input is to `last`.
OwningOpRef<ModuleOp> Compilation::runModelStages(StringRef last) {
  const Stage *stage = nullptr;
  if (failed(load(stage)) || failed(dump(*stage)))
    return nullptr;
  const Stage *end = lookupStage(last);
  if (!options.methods.calls.empty() &&
      stage >= lookupStage("ffn-compressed")) {
    error() << "--method= compresses blocks as stage 'ffn' has them, but "
            << options.input << " is at stage '" << stage->name << "'";
    return nullptr;
  }
  while (stage < end && stage[1].kind == Stage::Model)
    if (failed(runStage(*++stage)))
      return nullptr;
  if (end < stage) {
    error() << options.input << ": is beyond stage '" << last << "'";
    return nullptr;
  }
  return std::move(model);
}

/// What only the stages up to `ffn` know.
void Compilation::noteBlocks() {
  FfnReport found = makeFfnReport(*model);
  manifest.multiplyAdds = found.multiplyAddsOfSizes.str();
  for (const FfnBlockReport &block : found.blocks)
    manifest.blocks.push_back(describeBlock(block));
}

/// What each launch computes; targets that have the same kernels share a list.
void Compilation::noteKernels() {
  for (TargetModule &clone : clones) {
    llvm::json::Value launches = describeKernels(*clone.module);
    auto same = llvm::find_if(manifest.kernels, [&](llvm::json::Value &group) {
      return *group.getAsObject()->get("launches") == launches;
    });
    if (same == manifest.kernels.end()) {
      manifest.kernels.push_back(llvm::json::Object{
          {"targets", llvm::json::Array()}, {"launches", std::move(launches)}});
      same = std::prev(manifest.kernels.end());
    }
    same->getAsObject()->getArray("targets")->push_back(
        clone.target->name.str());
  }
  for (const std::string &name : cacheCopies(manifest.kernels.front()))
    emitRemark(UnknownLoc::get(&context))
        << "each run copies a cache at '" << name << "'";
}

LogicalResult Compilation::runStage(const Stage &stage) {
  progress("stage " + stage.name);
  OwningOpRef<ModuleOp> dense;
  if (stage.name == "ffn-compressed") {
    noteBlocks();
    if (options.methodsDone && !options.methods.calls.empty())
      dense = model->clone();
  }
  if (stage.buildModel && failed(runPasses(*model, [&](auto &pm) {
        stage.buildModel(pm, stageOptions());
      })))
    return failure();
  if (dense && failed(options.methodsDone(*dense, *model)))
    return failure();
  if (failed(checkStage(*model, stage)))
    return failure();
  return dump(stage);
}

LogicalResult Compilation::runTargetStage(const Stage &stage) {
  if (stage.buildModel && failed(runPasses(*model, [&](auto &pm) {
        stage.buildModel(pm, stageOptions());
      })))
    return failure();
  if (clones.empty())
    for (const TargetInfo *target : targets)
      clones.push_back({target, model->clone()});
  for (TargetModule &clone : clones) {
    progress("stage " + stage.name + " for " + clone.target->name);
    auto build = [&](OpPassManager &pm) {
      stage.buildTarget(pm, *clone.target);
    };
    if (failed(runPasses(*clone.module, build)) ||
        failed(checkStage(*clone.module, stage)))
      return failure();
  }
  if (stage.name == "vector")
    noteKernels();
  return dump(stage);
}

LogicalResult Compilation::dump(const Stage &stage) {
  if (options.dumpStages.empty())
    return success();
  std::string prefix =
      llvm::formatv("{0:2}-{1}", &stage - getStages().begin(), stage.name);
  prefix[0] = prefix[0] == ' ' ? '0' : prefix[0];
  if (stage.kind == Stage::Model)
    return report(dumper.add(*model, prefix + ".mlir"));
  for (TargetModule &clone : clones)
    if (failed(report(dumper.addWithoutWeights(
            *clone.module, prefix + "." + clone.target->name.str() + ".mlir"))))
      return failure();
  return success();
}

/// IR to stdout, or to a file with its weights beside it. Several targets
/// become modules in one.
LogicalResult Compilation::print(const Stage &stage) {
  OwningOpRef<ModuleOp> all;
  ModuleOp printed = clones.empty() ? *model : *clones.front().module;
  if (clones.size() > 1) {
    all = ModuleOp::create(UnknownLoc::get(&context));
    for (TargetModule &clone : clones) {
      clone.module->setSymName(clone.target->name);
      all->push_back(clone.module.release());
    }
    printed = *all;
  }
  if (options.output.empty() || options.output == "-") {
    printStage(printed, llvm::outs());
    return success();
  }
  StageDumper file(llvm::sys::path::parent_path(options.output).str());
  SmallString<64> weights(llvm::sys::path::filename(options.output));
  llvm::sys::path::replace_extension(weights, ".safetensors");
  if (failed(
          report(file.add(printed, llvm::sys::path::filename(options.output)))))
    return failure();
  return file.empty() ? success() : report(file.finish(weights));
}

LogicalResult Compilation::describe() {
  description = describeModel(*model);
  if (!description)
    return failure();
  auto text = [&](StringRef name) {
    auto attr = (*model)->getAttrOfType<StringAttr>(name);
    return attr ? attr.str() : std::string();
  };
  auto opset = (*model)->getAttrOfType<IntegerAttr>("onnx.opset");
  manifest.modelHash = text("onnx.model_hash");
  manifest.producer = text("onnx.producer");
  manifest.opset = opset ? opset.getInt() : 0;
  for (const TargetInfo *target : targets)
    manifest.targets.push_back(target->name.str());
  manifest.dtype = options.dtype;
  manifest.weightType = options.getWeightType();
  if (options.weightsInFile)
    manifest.weightFile = weightsFileName(options.output);
  manifest.accuracy = options.accuracy;
  manifest.inputBounds = describeBounds(*model);
  manifest.states = describeStates(*model);
  manifest.methods = describeMethods(*model);
  if (!options.methods.calls.empty())
    manifest.flags.push_back("--method=" + options.methods.str());
  if (!manifest.states.empty())
    manifest.flags.push_back("--kv-cache=in-place");
  return success();
}

FailureOr<VariantCode> Compilation::translate(TargetModule &clone) {
  const TargetInfo &target = *clone.target;
  llvmContexts.push_back(std::make_unique<llvm::LLVMContext>());
  auto code = translateToLLVM(*clone.module, target, *llvmContexts.back());
  if (!code)
    return failure();
  clone.module = nullptr; // its memory is needed again
  std::string suffix = target.name.str();
  std::replace(suffix.begin(), suffix.end(), '-', '_');
  VariantCode variant;
  variant.isa = target.name.str();
  variant.isaBits = target.isaBits;
  variant.cpu = target.cpu.str();
  variant.features = target.features.str();
  variant.module = std::move(code);
  variant.planSymbol = "sparse_opt_plan_" + suffix;
  variant.runSymbol = "sparse_opt_run_" + suffix;
  return variant;
}

static OutputKind outputKind(const Stage &stage) {
  if (stage.name == "obj")
    return OutputKind::Object;
  if (stage.name == "lib")
    return OutputKind::StaticLibrary;
  return stage.name == "exe" ? OutputKind::Executable
                             : OutputKind::SharedLibrary;
}

LogicalResult Compilation::emit(const Stage &stage) {
  std::vector<WeightSegment> weights = collectWeights(*model);
  updateStates(*model, *description);
  auto size = (*model)->getAttrOfType<IntegerAttr>("kernel.weights_size");
  manifest.weightBytes = size ? size.getInt() : 0;
  description->manifest = buildManifest(std::move(manifest));

  std::vector<VariantCode> variants;
  for (TargetModule &clone : clones) {
    FailureOr<VariantCode> variant = translate(clone);
    if (failed(variant))
      return failure();
    variants.push_back(std::move(*variant));
  }
  progress("machine code");
  EmitOptions emitOptions;
  emitOptions.kind = outputKind(stage);
  emitOptions.path = options.output;
  emitOptions.entry = options.entry;
  if (options.weightsInFile)
    emitOptions.storage = WeightStorage::File;
  emitOptions.jobs = options.jobs;
  emitOptions.onWeightsWritten = [&] { releaseWeights(*model); };
  return report(emitModel(*description, std::move(variants), weights,
                          size ? size.getInt() : 0, emitOptions));
}

LogicalResult Compilation::runModel(const Stage *last) {
  if (!last)
    return error() << "--emit=" << options.emit << " is no stage; there are "
                   << stageNames();
  if (failed(chooseTargets()))
    return failure();
  bool isModel = last->kind == Stage::Model;
  model = runModelStages(isModel ? last->name : "linalg");
  return success(model && (isModel || succeeded(describe())));
}

LogicalResult Compilation::runTargets(const Stage *last) {
  for (const Stage &stage : getStages())
    if (stage.kind == Stage::Target && &stage <= last &&
        failed(runTargetStage(stage)))
      return failure();
  return success();
}

CompileStatus Compilation::run() {
  const Stage *last = lookupStage(options.emit);
  if (failed(runModel(last)))
    return CompileStatus::BadInput;
  if (failed(runTargets(last)))
    return CompileStatus::OurBug;
  if (!options.dumpStages.empty() && failed(report(dumper.finish())))
    return CompileStatus::BadInput;
  LogicalResult written =
      last->kind == Stage::File ? emit(*last) : print(*last);
  return succeeded(written) ? CompileStatus::Done : CompileStatus::BadInput;
}

CompileStatus sparse_opt::compileModel(MLIRContext &context,
                                       const CompileOptions &options) {
  return Compilation(context, options).run();
}

CompileStatus sparse_opt::compileModule(OwningOpRef<ModuleOp> module,
                                        const CompileOptions &options) {
  Compilation compilation(*module->getContext(), options);
  compilation.start(std::move(module));
  return compilation.run();
}

OwningOpRef<ModuleOp> sparse_opt::buildStage(MLIRContext &context,
                                             const CompileOptions &options,
                                             StringRef last) {
  return Compilation(context, options).runModelStages(last);
}

OwningOpRef<ModuleOp> sparse_opt::buildStage(OwningOpRef<ModuleOp> module,
                                             const CompileOptions &options,
                                             StringRef last) {
  Compilation compilation(*module->getContext(), options);
  compilation.start(std::move(module));
  return compilation.runModelStages(last);
}
