// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `sparse-opt verify`: a compiled model against ONNX Runtime (when Python has
// it) and against plain loops compiled from the same ONNX file; then each FFN
// block alone, compiled as in the model, on the inputs it gets in the plain
// run, so that errors of earlier layers don't hide or feign one.
#include "Caches.h"
#include "Cli.h"
#include "Compare.h"
#include "Inputs.h"
#include "Peer.h"
#include "TemporaryFiles.h"
#include "mlir/IR/OwningOpRef.h"
#include "sparse-opt/Pipelines/Blocks.h"
#include "sparse-opt/Pipelines/Compile.h"
#include "sparse-opt/Pipelines/Reference.h"
#include "sparse-opt/Pipelines/Registration.h"
#include "sparse-opt/Pipelines/StageFile.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

static cl::SubCommand command("verify", "compare a compiled model's answers");

namespace {
struct Flags {
  cl::opt<std::string> model{cl::Positional, cl::Required, cl::sub(command)};
  cl::opt<std::string> reference{"reference", cl::sub(command),
                                 cl::value_desc("model.onnx"),
                                 cl::desc("what it was compiled from")};
  cl::opt<std::string> inputs{"inputs", cl::sub(command),
                              cl::value_desc("in.npz"),
                              cl::desc("inputs (default: random ones)")};
  cl::opt<std::string> shape{
      "shape", cl::sub(command), cl::value_desc("SHAPE"),
      cl::desc("of random inputs: ids:1x128, batch=1 or 3x7 (default)")};
  cl::opt<unsigned> seed{"seed", cl::sub(command), cl::value_desc("N"),
                         cl::init(1), cl::desc("of random inputs (1)")};
  cl::opt<std::string> maxError{
      "max-error", cl::sub(command), cl::value_desc("LIMIT"),
      cl::desc("3 beyond rel:1e-4 (bf16 0.02, int8 0.1), cos:, abs:")};
  cl::opt<unsigned> threads{"threads", cl::sub(command), cl::value_desc("N"),
                            cl::desc("of the compiled model")};
  cl::opt<bool> noBlocks{"no-blocks", cl::sub(command),
                         cl::desc("end to end against ONNX Runtime only")};
  cl::opt<std::string> json{"json", cl::sub(command), cl::value_desc("FILE"),
                            cl::desc("write the errors as JSON too")};
  cl::opt<std::string> allowExternal{
      "allow-external", cl::sub(command), cl::value_desc("DIR"),
      cl::desc("read external weights from there too")};
  cl::opt<std::string> python{"python", cl::sub(command),
                              cl::value_desc("PROGRAM"), cl::init("python3"),
                              cl::desc("runs ONNX Runtime")};
  cl::opt<std::string> entry{"entry", cl::sub(command), cl::value_desc("NAME"),
                             cl::init("sparse_opt_model_v1"),
                             cl::desc("the model's entry function")};
} flags;

/// One run of the model. Those with caches in the instance go on from the run
/// before.
struct Step {
  std::vector<NpyArray> inputs, ours;
  std::string name; // where there are several
};

/// How a reference runs on some inputs.
using RunReference = function_ref<Expected<std::vector<NpyArray>>(
    const std::vector<NpyArray> &)>;

/// Prints and counts comparisons.
class Verifier {
public:
  Verifier(ModelFile model, ErrorLimit limit, mlir::MLIRContext &context)
      : model(std::move(model)), limit(limit), context(context) {}

  /// Done, Differs, or another status after a printed error.
  int run();

private:
  ModelFile model;
  ErrorLimit limit;
  mlir::MLIRContext &context;
  std::vector<Step> steps;
  DimValues dims; // of the first
  json::Array rows;
  unsigned compared = 0, beyond = 0;
  Progress progress;

  Error makeSteps();
  Error runSteps();
  Error compareSteps(StringRef what, RunReference run,
                     std::vector<NpyArray> *first = nullptr);
  std::string target;
  void compare(StringRef what, const NpyArray &array,
               const std::vector<NpyArray> &reference, StringRef step = "");
  Error againstOnnxRuntime();
  Error againstLoops();
  Error compareBlocks(mlir::OwningOpRef<mlir::ModuleOp> blocks,
                      const std::vector<NpyArray> &taps);
};
} // namespace

/// What is given, or made up. A model that keeps caches makes two more steps,
/// of one row where rows can be counted.
Error Verifier::makeSteps() {
  if (!flags.inputs.empty()) {
    Expected<std::vector<NpyArray>> read = readInputs(flags.inputs, model);
    if (!read)
      return read.takeError();
    dims = dimsOf(*read, model).value_or(DimValues());
    steps.push_back({std::move(*read), {}, ""});
    return Error::success();
  }
  Expected<DimValues> shape = flags.shape.empty()
                                  ? defaultShape(model, 3, 7)
                                  : parseShape(flags.shape, model);
  if (!shape)
    return shape.takeError();
  dims = *shape;
  Caches caches(model);
  if (caches.lengthIn(dims) != 0)
    return makeError("--shape: verify begins with empty caches");
  steps.push_back(
      {makeInputs(model, dims, flags.seed, /*padding=*/true), {}, ""});
  for (unsigned i = 1; i < 3 && !caches.empty(); ++i) {
    shape = caches.nextStep(*shape);
    if (!shape)
      return shape.takeError();
    setDecidedSizes(*shape, model);
    steps.push_back(
        {makeInputs(model, *shape, flags.seed + i, /*padding=*/false),
         {},
         " behind " + std::to_string(caches.lengthIn(*shape))});
  }
  return Error::success();
}

Error Verifier::runSteps() {
  Expected<Instance> instance = Instance::create(model, flags.threads);
  if (!instance)
    return instance.takeError();
  target = instance->getTarget().str();
  for (Step &step : steps) {
    instance->bind(step.inputs);
    if (Error error = instance->run())
      return error;
    step.ours = instance->getResults();
  }
  return Error::success();
}

/// The reference makes the same steps, with its own caches from one to the
/// next. `first` gets its results of the first.
Error Verifier::compareSteps(StringRef what, RunReference run,
                             std::vector<NpyArray> *first) {
  Caches caches(model);
  std::vector<NpyArray> passed = caches.none(dims);
  for (const Step &step : steps) {
    std::vector<NpyArray> inputs = step.inputs;
    inputs.insert(inputs.end(), passed.begin(), passed.end());
    auto results = run(inputs);
    if (!results)
      return results.takeError();
    for (const NpyArray &array : step.ours)
      compare(what, array, *results, step.name);
    if (first && &step == &steps.front())
      *first = *results;
    passed = caches.passedOn(std::move(*results));
  }
  return Error::success();
}

void Verifier::compare(StringRef what, const NpyArray &array,
                       const std::vector<NpyArray> &reference, StringRef step) {
  std::string name = array.name + step.str();
  const NpyArray *other = findArray(reference, array.name);
  progress.clear();
  if (!other)
    return;
  ++compared;
  json::Object row{{"against", what}, {"name", name}};
  Expected<Differences> differences = compareArrays(array, *other);
  bool ok = false;
  if (differences) {
    ok = limit.holds(*differences);
    outs() << formatv("{0,-12} {1,-44} {2,9:e1} {3,9:e1} {4,9:e1} {5,9:e1} "
                      "{6,9:e1}  {7}\n",
                      what, name, differences->maxAbs, differences->relMean,
                      differences->relP99, differences->relMax,
                      differences->cos, ok ? "ok" : "BEYOND");
    row["errors"] = differences->toJson();
  } else {
    std::string text = toString(differences.takeError());
    outs() << formatv("{0,-12} {1}\n", what, text);
    row["error"] = text;
  }
  row["ok"] = ok;
  beyond += !ok;
  rows.push_back(std::move(row));
}

Error Verifier::againstOnnxRuntime() {
  progress.step("running ONNX Runtime");
  auto peer = Peer::open(flags.python, "onnxruntime", flags.reference, 1);
  if (!peer) {
    progress.clear();
    errs() << "sparse-opt: note: not compared with ONNX Runtime: "
           << toString(peer.takeError()) << '\n';
    return Error::success();
  }
  auto run = [&](const std::vector<NpyArray> &inputs)
      -> Expected<std::vector<NpyArray>> {
    if (Error error = (*peer)->bind(inputs))
      return std::move(error);
    return (*peer)->getResults();
  };
  return compareSteps("onnxruntime", run);
}

/// The whole model as plain loops, with every block's input and output.
Error Verifier::againstLoops() {
  CompileOptions options;
  options.input = flags.reference;
  options.allowExternal = flags.allowExternal;
  options.progress = [&](StringRef step) { progress.step(step); };
  auto module = buildStage(context, options, "ffn-compressed");
  if (!module)
    return makeError("the reference can't be compiled");
  auto blocks = extractBlocks(*module);
  tapBlocks(*module);
  auto loops = buildStage(std::move(module), options, "linalg");
  if (!loops)
    return makeError("the reference can't be compiled");
  progress.step("compiling plain loops");
  std::unique_ptr<Reference> reference = Reference::build(*loops);
  if (!reference)
    return makeError("the reference can't be compiled");
  progress.step("running plain loops");
  std::vector<NpyArray> taps;
  auto run = [&](const std::vector<NpyArray> &inputs) {
    return reference->run(inputs);
  };
  if (Error error = compareSteps("loops", run, &taps))
    return error;
  return compareBlocks(std::move(blocks), taps);
}

/// `taps` has "<block>:x" and "<block>:y" of the plain run.
Error Verifier::compareBlocks(mlir::OwningOpRef<mlir::ModuleOp> blocks,
                              const std::vector<NpyArray> &taps) {
  if (blockNames(*blocks).empty())
    return Error::success();
  Expected<TemporaryFile> temporary =
      TemporaryFile::create("sparse-opt-blocks", "so");
  if (!temporary)
    return temporary.takeError();
  CompileOptions options;
  options.input = flags.reference;
  options.output = temporary->path();
  options.march = target;
  options.dtype = model.getText("dtype");
  options.weightType = model.getText("weight_type");
  options.progress = [&](StringRef step) { progress.step(step); };
  if (compileModule(std::move(blocks), options) != CompileStatus::Done)
    return makeError("the blocks alone can't be compiled");
  Expected<ModelFile> file = ModelFile::open(options.output, options.entry);
  if (!file)
    return file.takeError();
  Expected<Instance> instance = Instance::create(*file, flags.threads);
  if (!instance)
    return instance.takeError();
  std::vector<NpyArray> blockInputs;
  for (const sparse_opt_tensor_info &input : file->getInputs())
    if (const NpyArray *tap = findArray(taps, input.name))
      blockInputs.push_back(*tap);
  instance->bind(blockInputs);
  if (Error error = instance->run())
    return error;
  for (const NpyArray &array : instance->getResults())
    compare("block", array, taps);
  return Error::success();
}

int Verifier::run() {
  if (Error error = makeSteps())
    return fail(std::move(error));
  if (Error error = runSteps())
    return fail(std::move(error));
  outs() << formatv("{0,-12} {1,-44} {2,9} {3,9} {4,9} {5,9} {6,9}\n",
                    "against", "output", "max abs", "rel mean", "rel p99",
                    "rel max", "cos");
  if (Error error = againstOnnxRuntime())
    return fail(std::move(error));
  if (!flags.noBlocks)
    if (Error error = againstLoops())
      return fail(std::move(error));
  progress.clear();
  if (!flags.json.empty()) {
    Error error = writeFileAtomically(flags.json, [&](raw_ostream &os) {
      json::Value all = json::Object{{"limit", limit.str()},
                                     {"target", target},
                                     {"results", std::move(rows)}};
      os << formatv("{0:2}\n", all);
      return Error::success();
    });
    if (error)
      return fail(std::move(error));
  }
  if (compared == 0)
    return fail("nothing could be compared");
  outs() << formatv("{0} compared, {1} beyond {2}\n", compared, beyond,
                    limit.str());
  return beyond ? Differs : Done;
}

int sparse_opt::tool::verifyMain(int argc, char **argv) {
  if (auto status = parseFlags(
          argc, argv, command,
          "usage: sparse-opt verify model.so --reference=model.onnx "
          "[--inputs=in.npz]",
          "Errors: norm(y - ref) / norm(ref) of each row, 1 - the mean cosine "
          "of rows.\n"))
    return *status;
  if (flags.reference.empty())
    return fail("verify needs --reference=model.onnx");
  const bool isGiven = flags.maxError.getNumOccurrences() != 0;
  Expected<ErrorLimit> limit =
      isGiven ? ErrorLimit::parse(flags.maxError) : ErrorLimit();
  if (!limit)
    return fail(limit.takeError());
  Expected<ModelFile> model = ModelFile::open(flags.model, flags.entry);
  if (!model)
    return fail(model.takeError());
  // Rounding's own size, layer upon layer.
  if (!isGiven && model->getText("weight_type") == "int8")
    limit->limit = 0.1;
  else if (!isGiven &&
           model->getText("dtype") + model->getText("weight_type") != "f32f32")
    limit->limit = 0.02;
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry);
  DiagnosticPrinter printer(&context, flags.reference);
  return Verifier(std::move(*model), *limit, context).run();
}
