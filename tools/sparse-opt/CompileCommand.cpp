// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `sparse-opt compile`: flags to CompileOptions, and the stages' names for
// --help. All the work is lib/Pipelines'.
#include "ChooseMethods.h"
#include "Cli.h"
#include "MeasureType.h"
#include "PlanFile.h"
#include "SearchDensity.h"
#include "StepClock.h"
#include "sparse-opt/Pipelines/Compile.h"
#include "sparse-opt/Pipelines/Registration.h"
#include "sparse-opt/Pipelines/Stages.h"
#include "sparse-opt/Target/TargetInfo.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/ThreadPool.h"
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <thread>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

static cl::SubCommand command("compile", "compile an ONNX model");

namespace {
struct Flags {
  cl::opt<std::string> model{cl::Positional, cl::Required, cl::sub(command)};
  cl::opt<std::string> output{"o", cl::sub(command), cl::value_desc("FILE"),
                              cl::desc("what to write; '-' prints IR")};
  cl::opt<std::string> emit{"emit", cl::sub(command), cl::value_desc("STAGE"),
                            cl::init("so"),
                            cl::desc("the stage to end with, see below")};
  cl::opt<std::string> stopAfter{"stop-after", cl::sub(command), cl::Hidden,
                                 cl::value_desc("STAGE"),
                                 cl::desc("the same, for stages that are IR")};
  cl::opt<std::string> march{"march", cl::sub(command), cl::value_desc("CPU"),
                             cl::init("all"),
                             cl::desc("all (default), native, or one of the "
                                      "targets below")};
  cl::opt<std::string> dtype{
      "dtype", cl::sub(command), cl::value_desc("TYPE"), cl::init("f32"),
      cl::desc("f32, bf16 (lossy) or auto, the faster one")};
  cl::opt<std::string> weightType{
      "weight-type", cl::sub(command), cl::value_desc("TYPE"),
      cl::desc("f32, bf16 or int8 (lossy); default: --dtype's")};
  cl::opt<std::string> kvCache{
      "kv-cache", cl::sub(command), cl::value_desc("KEEPER"),
      cl::init("caller"),
      cl::desc("caller (default), or in-place: caches in the instance")};
  cl::opt<std::string> method{
      "method", cl::sub(command), cl::value_desc("LIST"),
      cl::desc("ffn-skip-zeros, 'ffn-threshold{cett=0.2}' or none")};
  cl::opt<std::string> profile{
      "profile", cl::sub(command), cl::value_desc("FILE"),
      cl::desc("for methods: by sparse-opt calibrate")};
  cl::opt<std::string> layers{
      "layers", cl::sub(command), cl::value_desc("REGEX"),
      cl::desc("for methods: only blocks whose name it is found in")};
  cl::opt<bool> lossless{
      "lossless", cl::sub(command),
      cl::desc("refuse methods that lose accuracy, and check the rest")};
  cl::opt<bool> unmeasured{
      "unmeasured", cl::sub(command),
      cl::desc("compress what methods can, measured faster or not")};
  cl::opt<unsigned> rows{
      "rows", cl::sub(command), cl::value_desc("N"),
      cl::desc("rows that blocks are timed on (default: by the model)")};
  cl::opt<std::string> savePlan{
      "save-plan", cl::sub(command), cl::value_desc("p.json"),
      cl::desc("what was decided about each block, and the times")};
  cl::opt<std::string> plan{
      "plan", cl::sub(command), cl::value_desc("p.json"),
      cl::desc("decide as that plan does, measure nothing")};
  cl::opt<std::string> report{
      "report", cl::sub(command), cl::value_desc("x.json"),
      cl::desc("each block's method, error, times and decision")};
  cl::opt<std::string> weightStorage{
      "weight-storage", cl::sub(command), cl::value_desc("PLACE"),
      cl::init("embed"),
      cl::desc("embed (default), or file: beside, as OUTPUT.weights")};
  cl::opt<std::string> maxError{
      "max-error", cl::sub(command), cl::value_desc("LIMIT"),
      cl::init("rel:0.01"),
      cl::desc("of other types: rel:0.01 (default), cos:, abs:")};
  cl::opt<std::string> inputs{
      "inputs", cl::sub(command), cl::value_desc("in.npz"),
      cl::desc("what errors are measured on (default: made up)")};
  cl::opt<std::string> shape{"shape", cl::sub(command), cl::value_desc("SHAPE"),
                             cl::desc("of made-up inputs (4x64)")};
  cl::opt<std::string> entry{"entry", cl::sub(command), cl::value_desc("NAME"),
                             cl::init("sparse_opt_model_v1"),
                             cl::desc("the artefact's only symbol")};
  cl::opt<std::string> allowExternal{
      "allow-external", cl::sub(command), cl::value_desc("DIR"),
      cl::desc("read external weights from there too")};
  cl::opt<std::string> dumpStages{"dump-stages", cl::sub(command),
                                  cl::value_desc("DIR"),
                                  cl::desc("write one loadable file a stage")};
  cl::opt<unsigned> jobs{"j", cl::sub(command), cl::value_desc("N"),
                         cl::desc("threads to compile with (default: one a "
                                  "CPU)")};
  cl::opt<bool> timing{"timing", cl::sub(command),
                       cl::desc("print the time of each step")};
  cl::opt<bool> passTiming{"mlir-timing", cl::sub(command), cl::Hidden,
                           cl::desc("print the time of each MLIR pass")};
} flags;
} // namespace

static std::string stageHelp() {
  std::string text = "stages:\n";
  // Stages of a target share a line, and files do, so that all fits a screen.
  for (ArrayRef<Stage> left = getStages(); !left.empty();) {
    size_t count = 1;
    while (left[0].kind != Stage::Model && count < left.size() &&
           left[count].kind == left[0].kind)
      ++count;
    std::string name, description;
    for (const Stage &stage : left.take_front(count)) {
      name += (name.empty() ? "" : ", ") + stage.name.str();
      description +=
          (description.empty() ? "" : "; ") + stage.description.str();
    }
    text += "  " + name;
    text.append(19 - name.size(), ' ');
    text += description + "\n";
    left = left.drop_front(count);
  }
  text += "targets: " + targetNames() + "\n";
  return text;
}

/// A sentence about what is wrong with the methods, or "".
static std::string checkMethods(const Stage &last, const MethodChoice &choice) {
  for (const cl::Option *flag : std::initializer_list<const cl::Option *>{
           &flags.report, &flags.savePlan, &flags.plan, &flags.lossless,
           &flags.unmeasured, &flags.rows})
    if (choice.calls.empty() && flag->getNumOccurrences())
      return ("--" + flag->ArgStr + " is for methods; give a --method= too")
          .str();
  if (choice.calls.empty())
    return "";
  if (&last < lookupStage("ffn-compressed"))
    return "--method= runs at stage ffn-compressed, but --emit=" + flags.emit +
           " ends before it";
  for (const MethodChoice::Call &call : choice.calls)
    if (flags.lossless && !call.method->isLossless)
      return "--lossless: " + call.method->name.str() + " loses accuracy";
  return "";
}

/// A sentence about what is wrong with `text`, or "".
static std::string parseMethods(const std::string &text,
                                MethodChoice &methods) {
  std::optional<Expected<MethodChoice>> choice;
  std::string printed = captureErrors([&] {
    choice.emplace(MethodChoice::parse(text, flags.profile, flags.layers));
  });
  if (*choice) {
    methods = std::move(**choice);
    return "";
  }
  std::string sentence = toString(choice->takeError());
  return printed.empty() ? sentence : "--method=" + text + ": " + printed;
}

/// What --method= leaves open: a plan's answer, or what its limit allows.
static Error completeMethods(const std::string &asked,
                             const std::optional<OpenDensity> &open,
                             CompileOptions &options, StepClock &clock) {
  if (!flags.plan.empty()) {
    Expected<Plan> plan = readPlan(flags.plan);
    if (!plan)
      return plan.takeError();
    if (plan->asked != asked)
      return makeError("--plan=" + flags.plan + " is of --method=" +
                       plan->asked + ", not of --method=" + asked);
    if (plan->dtype != options.dtype ||
        plan->weightType != options.getWeightType())
      return makeError(
          formatv(
              "--plan={0} was decided with --dtype={1} --weight-type={2}, not "
              "with --dtype={3} --weight-type={4}",
              flags.plan, plan->dtype, plan->weightType, options.dtype,
              options.getWeightType())
              .str());
    if (std::string why = parseMethods(plan->methods, options.methods);
        !why.empty())
      return makeError("--plan=" + flags.plan + ": " + why);
    return Error::success();
  }
  if (!open)
    return Error::success();
  auto found = searchDensity(options, profileFor(options.methods), open->limit);
  clock.end();
  if (!found)
    return found.takeError();
  outs() << formatv("max-error={0}: density {1:f2}, where it is {2:e1} "
                    "on {3}\n",
                    open->limit.str(), found->density,
                    found->error[open->limit.kind],
                    heldOutText(found->error.sequences, found->error.tokens));
  std::string why = parseMethods(open->with(found->density), options.methods);
  return why.empty() ? Error::success() : makeError(why);
}

/// A sentence about the first wrong flag, or "".
static std::string checkFlags(MethodChoice &methods) {
  if (!flags.stopAfter.empty()) {
    if (flags.emit.getNumOccurrences())
      return "--emit and --stop-after can't both be given";
    flags.emit.setValue(flags.stopAfter);
  }
  const Stage *stage = lookupStage(flags.emit);
  if (!stage)
    return "'" + flags.emit + "' is no stage; there are " + stageNames();
  if (!is_contained({"f32", "bf16", "auto"}, flags.dtype))
    return "--dtype=" + flags.dtype +
           " is unknown; there are f32, bf16 and auto";
  if (!is_contained({"caller", "in-place"}, flags.kvCache))
    return "--kv-cache=" + flags.kvCache +
           " is unknown; there are caller and in-place";
  if (flags.dtype == "auto" && stage->kind != Stage::File)
    return "--dtype=auto measures artefacts; with --emit=" + flags.emit +
           " choose f32 or bf16";
  if (!is_contained({"", "f32", "bf16", "int8"}, flags.weightType))
    return "--weight-type=" + flags.weightType +
           " is unknown; there are f32, bf16 and int8";
  if (!is_contained({"embed", "file"}, flags.weightStorage))
    return "--weight-storage=" + flags.weightStorage +
           " is unknown; there are embed and file";
  if (flags.dtype == "auto" && !flags.weightType.empty())
    return "--dtype=auto has no --weight-type; choose f32 or bf16";
  if (std::string error = parseMethods(flags.method, methods); !error.empty())
    return error;
  if (std::string error = checkMethods(*stage, methods); !error.empty())
    return error;
  if (stage->kind == Stage::File && (flags.output == "-"))
    return "--emit=" + flags.emit + " can't be printed; give -o a file";
  if (stage->kind == Stage::File && flags.output.empty())
    return "compile needs -o FILE";
  return "";
}

/// Tells what methods did, but not into IR; blocks of an artefact have to be
/// faster for it.
static mlir::LogicalResult chooseMethods(MethodChooser &chooser,
                                         mlir::ModuleOp dense,
                                         mlir::ModuleOp compressed,
                                         const CompileOptions &options,
                                         StepClock &clock) {
  if (failed(chooser.choose(dense, compressed, options)))
    return mlir::failure();
  clock.end();
  if (!flags.output.empty() && flags.output != "-")
    chooser.print(outs());
  return mlir::success();
}

static CompileOptions makeOptions(StepClock &clock, MethodChoice methods) {
  CompileOptions options;
  options.input = flags.model;
  options.output = flags.output;
  options.emit = flags.emit;
  options.march = flags.march;
  options.dtype = flags.dtype;
  options.weightType = flags.weightType;
  options.weightsInFile = flags.weightStorage == "file";
  options.kvCache = flags.kvCache;
  options.entry = flags.entry;
  options.dumpStages = flags.dumpStages;
  options.allowExternal = flags.allowExternal;
  options.jobs = flags.jobs ? flags.jobs : std::thread::hardware_concurrency();
  options.timePasses = flags.passTiming;
  options.methods = std::move(methods);
  options.progress = [&](StringRef step) { clock.begin(step); };
  return options;
}

/// What other types than f32 cost and gain, measured; sets the one that `auto`
/// stands for.
/// A status when the compilation ends here.
static std::optional<int> chooseType(CompileOptions &options,
                                     StepClock &clock) {
  if (lookupStage(options.emit)->kind != Stage::File)
    return std::nullopt;
  Expected<ErrorLimit> limit = ErrorLimit::parse(flags.maxError);
  if (!limit)
    return fail(limit.takeError());
  const bool isAuto = options.dtype == "auto";
  if (isAuto)
    options.dtype = "bf16";
  const std::string types = typeText(options);
  Expected<TypeMeasurement> measured =
      measureTypes(options, flags.inputs, flags.shape, *limit,
                   /*inTurns=*/isAuto);
  clock.end();
  if (!measured && isAuto)
    return fail(measured.takeError());
  if (!measured) {
    errs() << "sparse-opt: note: the error of " << types
           << " was not measured: " << toString(measured.takeError())
           << "; --inputs=in.npz gives other inputs\n";
    return std::nullopt;
  }
  bool holds = limit->holds(measured->error);
  outs() << formatv("{8} to f32: {0:f2} times as fast here on one thread; "
                    "error of '{1}': rel mean {2:e1}, p99 {3:e1}, cos {4:e1} "
                    "({5}); {6} {7}\n",
                    measured->speedup, measured->output,
                    measured->error.relMean, measured->error.relP99,
                    measured->error.cos, measured->inputs,
                    holds ? "within" : "BEYOND", limit->str(), types);
  if (isAuto)
    options.dtype = holds && measured->speedup > 1.05 ? "bf16" : "f32";
  else if (!holds && flags.maxError.getNumOccurrences()) {
    fail((flags.weightType.empty() ? "--dtype=" + options.dtype
                                   : "--weight-type=" + flags.weightType) +
         " is beyond --max-error=" + flags.maxError);
    return Differs;
  }
  outs() << "compiled in " << (options.dtype == "f32" && isAuto ? "f32" : types)
         << '\n';
  if (!typeText(options).empty())
    options.accuracy = measured->toJson();
  return std::nullopt;
}

/// Weights that are freed go back to the system at once. glibc would keep them
/// for its heap, whose holes other weights then don't fit.
static void returnLargeBlocks() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 256 << 10);
#endif
}

/// One without the report that was asked for is no success.
static void removeArtefact() {
  if (lookupStage(flags.emit)->kind != Stage::File)
    return;
  sys::fs::remove(flags.output);
  if (flags.weightStorage == "file")
    sys::fs::remove(flags.output + ".weights");
}

int sparse_opt::tool::compileMain(int argc, char **argv) {
  if (auto status = parseFlags(argc, argv, command,
                               "usage: sparse-opt compile model.onnx -o "
                               "model.so [flags]",
                               stageHelp()))
    return *status;
  const std::string asked = flags.method;
  auto maxError = findMaxError(asked);
  if (!maxError)
    return fail(maxError.takeError());
  if (*maxError) // any density will do until the right one is found
    flags.method.setValue((*maxError)->with(0.5));
  MethodChoice methods;
  if (std::string error = checkFlags(methods); !error.empty())
    return fail(error);
  if (*maxError && lookupStage(flags.emit)->kind != Stage::File)
    return fail("--method=: max-error= runs the model, so --emit= has to be a "
                "binary");

  returnLargeBlocks();
  StepClock clock(flags.timing);
  CompileOptions options = makeOptions(clock, std::move(methods));
  if (!typeText(options).empty())
    if (auto status = chooseType(options, clock))
      return *status;
  if (Error error = completeMethods(asked, *maxError, options, clock))
    return fail(std::move(error));
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  StdThreadPool pool(hardware_concurrency(options.jobs));
  if (options.jobs > 1)
    context.setThreadPool(pool);
  DiagnosticPrinter printer(&context, options.input);
  ChoiceOptions choice;
  choice.asked = asked;
  choice.plan = flags.plan;
  choice.savePlan = flags.savePlan;
  choice.report = flags.report;
  choice.lossless = flags.lossless;
  choice.unmeasured =
      flags.unmeasured || lookupStage(options.emit)->kind != Stage::File;
  choice.rows = flags.rows;
  MethodChooser chooser(std::move(choice));
  options.methodsDone = [&](mlir::ModuleOp dense, mlir::ModuleOp compressed) {
    return chooseMethods(chooser, dense, compressed, options, clock);
  };
  CompileStatus result = compileModel(context, options);
  clock.end();
  if (result == CompileStatus::Done)
    if (Error error = chooser.save(options)) {
      removeArtefact();
      return fail(std::move(error));
    }
  if (result == CompileStatus::OurBug)
    errs() << "sparse-opt: note: that is a bug of sparse-opt, not of the "
              "model\n";
  return result == CompileStatus::Done     ? Done
         : result == CompileStatus::OurBug ? OurBug
                                           : BadInput;
}
