// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "TemporaryModel.h"
#include "Cli.h"
#include "TemporaryFiles.h"
#include "mlir/IR/MLIRContext.h"
#include "sparse-opt/Pipelines/Registration.h"
#include <cstdlib>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

Error TemporaryModel::build(
    CompileOptions options, StringRef what,
    function_ref<CompileStatus(const CompileOptions &)> compile,
    unsigned threads) {
  // Library and weights stay mapped without their names.
  Expected<TemporaryFile> temporary =
      TemporaryFile::create("sparse-opt-measure", "so");
  if (!temporary)
    return temporary.takeError();
  options.output = temporary->path();
  options.emit = "so";
  options.entry = "sparse_opt_model_v1";
  if (options.march == "all")
    options.march = "native";
  options.dumpStages.clear();
  options.methodsDone = nullptr;
  options.weightsInFile = true;   // linkers would hold them twice
  unsetenv("SPARSE_OPT_WEIGHTS"); // they are beside the library
  auto progress = options.progress;
  options.progress = [&](StringRef step) {
    if (progress)
      progress((what + " to measure: " + step).str());
  };
  if (compile(options) != CompileStatus::Done)
    return makeError(what + " can't be compiled");
  Expected<ModelFile> opened = ModelFile::open(options.output, options.entry);
  if (!opened)
    return opened.takeError();
  file = std::make_unique<ModelFile>(std::move(*opened));
  Expected<Instance> created = Instance::create(*file, threads);
  if (!created)
    return created.takeError();
  instance = std::make_unique<Instance>(std::move(*created));
  return Error::success();
}

Error TemporaryModel::buildAlone(
    const CompileOptions &options, StringRef what,
    function_ref<CompileStatus(mlir::MLIRContext &, const CompileOptions &)>
        compile) {
  return build(options, what, [&](const CompileOptions &options) {
    mlir::DialectRegistry registry;
    registerDialects(registry);
    mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
    DiagnosticPrinter printer(&context, options.input);
    return compile(context, options);
  });
}

TemporaryModel::~TemporaryModel() {
  instance.reset();
  if (file)
    file->unload();
}
