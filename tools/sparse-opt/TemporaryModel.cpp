// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "TemporaryModel.h"
#include "Cli.h"
#include "mlir/IR/MLIRContext.h"
#include "sparse-opt/Pipelines/Registration.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include <cstdlib>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

Error TemporaryModel::build(
    CompileOptions options, StringRef what,
    function_ref<CompileStatus(const CompileOptions &)> compile,
    unsigned threads) {
  SmallString<64> path;
  if (std::error_code code =
          sys::fs::createTemporaryFile("sparse-opt-measure", "so", path))
    return makeError("no temporary file: " + code.message());
  // Library and weights stay mapped without their names.
  llvm::scope_exit remove([&] {
    sys::fs::remove(path);
    sys::fs::remove(path + ".weights");
  });
  options.output = path.str().str();
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
