// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MeasureType.h"
#include "Cli.h"
#include "Inputs.h"
#include "ModelFile.h"
#include "mlir/IR/MLIRContext.h"
#include "sparse-opt/Pipelines/Registration.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <chrono>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

json::Object TypeMeasurement::toJson() const {
  return json::Object{{"output", output},
                      {"inputs", inputs},
                      {"errors_to_f32", error.toJson()}};
}

namespace {
/// The model in some types, ready to run.
struct Candidate {
  std::unique_ptr<ModelFile> file;
  std::unique_ptr<Instance> instance;
  std::vector<double> times; // seconds

  Error open(CompileOptions options);
  Error run();
  double median() {
    llvm::sort(times);
    return times[times.size() / 2];
  }
};
} // namespace

std::string sparse_opt::tool::typeText(const CompileOptions &options) {
  const std::string &weights = options.getWeightType();
  if (options.dtype == weights)
    return weights == "f32" ? "" : weights;
  std::string text = weights + " weights";
  return options.dtype == "f32" ? text : options.dtype + " with " + text;
}

Error Candidate::open(CompileOptions options) {
  SmallString<64> path;
  if (std::error_code code =
          sys::fs::createTemporaryFile("sparse-opt-measure", "so", path))
    return makeError("no temporary file: " + code.message());
  // The library stays mapped without its name.
  llvm::scope_exit remove([&] { sys::fs::remove(path); });
  options.output = path.str().str();
  options.emit = "so";
  options.entry = "sparse_opt_model_v1";
  options.march = "native";
  options.dumpStages.clear();
  options.weightsInFile = false;
  std::string types = typeText(options);
  if (types.empty())
    types = "f32";
  auto progress = options.progress;
  options.progress = [&](StringRef step) {
    if (progress)
      progress((types + " to measure: " + step).str());
  };
  {
    // A context of its own: it holds the weights until it goes.
    mlir::DialectRegistry registry;
    registerDialects(registry);
    mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
    DiagnosticPrinter printer(&context, options.input);
    if (compileModel(context, options) != CompileStatus::Done)
      return makeError("the model can't be compiled in " + types);
  }
  Expected<ModelFile> opened = ModelFile::open(options.output, options.entry);
  if (!opened)
    return opened.takeError();
  file = std::make_unique<ModelFile>(std::move(*opened));
  Expected<Instance> created = Instance::create(*file, /*threads=*/1);
  if (!created)
    return created.takeError();
  instance = std::make_unique<Instance>(std::move(*created));
  return Error::success();
}

Error Candidate::run() {
  auto start = std::chrono::steady_clock::now();
  if (Error error = instance->run())
    return error;
  std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  times.push_back(time.count());
  return Error::success();
}

/// The same inputs for both; `inputs` names them in the result.
static Expected<std::vector<NpyArray>> inputsFor(const ModelFile &model,
                                                 const std::string &path,
                                                 const std::string &shape,
                                                 TypeMeasurement &result) {
  if (!path.empty()) {
    result.inputs = sys::path::filename(path).str();
    return readInputs(path, model);
  }
  Expected<DimValues> dims =
      shape.empty() ? defaultShape(model, 4, 64) : parseShape(shape, model);
  if (!dims)
    return dims.takeError();
  result.inputs = "made up, " + shapeText(*dims, model);
  return makeInputs(model, *dims, /*seed=*/1, /*padding=*/true);
}

static bool isFloat(const NpyArray &array) {
  return is_contained({SPARSE_OPT_FLOAT, SPARSE_OPT_DOUBLE, SPARSE_OPT_FLOAT16,
                       SPARSE_OPT_BFLOAT16},
                      int(array.elementType));
}

/// The worst float output by the limit's kind of error.
static Error compareResults(const Candidate &exact, const Candidate &narrow,
                            const ErrorLimit &limit, TypeMeasurement &result) {
  std::vector<NpyArray> reference = exact.instance->getResults();
  for (const NpyArray &array : narrow.instance->getResults()) {
    const NpyArray *other = findArray(reference, array.name);
    if (!other || !isFloat(array))
      continue;
    Expected<Differences> differences = compareArrays(array, *other);
    if (!differences)
      return differences.takeError();
    // Not "greater": a NaN is the worst.
    if (result.output.empty() ||
        !(limit.errorOf(*differences) <= limit.errorOf(result.error))) {
      result.output = array.name;
      result.error = *differences;
    }
  }
  if (result.output.empty())
    return makeError("the model has no float output to measure by");
  return Error::success();
}

Expected<TypeMeasurement> sparse_opt::tool::measureTypes(
    const CompileOptions &options, const std::string &inputs,
    const std::string &shape, const ErrorLimit &limit) {
  Candidate exact, narrow;
  CompileOptions plain = options;
  plain.dtype = plain.weightType = "f32";
  if (Error error = exact.open(plain))
    return std::move(error);
  if (Error error = narrow.open(options))
    return std::move(error);
  TypeMeasurement result;
  auto arrays = inputsFor(*exact.file, inputs, shape, result);
  if (!arrays)
    return arrays.takeError();
  for (Candidate *candidate : {&exact, &narrow}) {
    if (Error error = candidate->instance->fill({}))
      return std::move(error);
    candidate->instance->bind(*arrays);
  }
  if (options.progress)
    options.progress("measuring " + typeText(options) + " against f32");
  constexpr unsigned warmUps = 2, turns = 15;
  for (unsigned turn = 0; turn < warmUps + turns; ++turn)
    for (Candidate *candidate : {&exact, &narrow}) {
      if (turn == warmUps)
        candidate->times.clear();
      if (Error error = candidate->run())
        return std::move(error);
    }
  result.speedup = exact.median() / narrow.median();
  if (Error error = compareResults(exact, narrow, limit, result))
    return std::move(error);
  return result;
}
