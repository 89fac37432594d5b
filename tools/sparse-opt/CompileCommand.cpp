// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `sparse-opt compile`: flags to CompileOptions, and the stages' names for
// --help. All the work is lib/Pipelines'.
#include "Cli.h"
#include "sparse-opt/Pipelines/Compile.h"
#include "sparse-opt/Pipelines/Registration.h"
#include "sparse-opt/Pipelines/Stages.h"
#include "sparse-opt/Target/TargetInfo.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/ThreadPool.h"
#include <chrono>
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
  cl::opt<std::string> stopAfter{"stop-after", cl::sub(command),
                                 cl::value_desc("STAGE"),
                                 cl::desc("the same, for stages that are IR")};
  cl::opt<std::string> march{"march", cl::sub(command), cl::value_desc("CPU"),
                             cl::init("all"),
                             cl::desc("all (default), native, or one of the "
                                      "targets below")};
  cl::opt<std::string> dtype{"dtype", cl::sub(command), cl::value_desc("TYPE"),
                             cl::init("f32"),
                             cl::desc("what to compute with: f32 (default) or bf16")};
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
  cl::opt<bool> passTiming{"mlir-timing", cl::sub(command),
                           cl::desc("print the time of each MLIR pass")};
} flags;

/// Shows steps on a terminal and, for --timing, what each took.
class StepClock {
public:
  void begin(StringRef step) {
    end();
    current = step.str();
    start = Clock::now();
    progress.step(step);
  }
  void end() {
    progress.clear();
    if (flags.timing && !current.empty())
      errs() << format("%8.1f ms  ", milliseconds()) << current << '\n';
    current.clear();
  }

private:
  using Clock = std::chrono::steady_clock;
  double milliseconds() const {
    return std::chrono::duration<double, std::milli>(Clock::now() - start)
        .count();
  }
  Progress progress;
  std::string current;
  Clock::time_point start;
};
} // namespace

static std::string stageHelp() {
  std::string text = "stages:\n";
  for (const Stage &stage : getStages()) {
    text += ("  " + stage.name).str();
    text.append(17 - stage.name.size(), ' ');
    text += stage.description.str() + "\n";
  }
  text += "targets: " + targetNames() + "\n";
  return text;
}

/// A sentence about the first wrong flag, or "".
static std::string checkFlags() {
  if (!flags.stopAfter.empty()) {
    if (flags.emit.getNumOccurrences())
      return "--emit and --stop-after can't both be given";
    flags.emit.setValue(flags.stopAfter);
  }
  const Stage *stage = lookupStage(flags.emit);
  if (!stage)
    return "'" + flags.emit + "' is no stage; there are " + stageNames();
  if (flags.dtype != "f32" && flags.dtype != "bf16")
    return "--dtype=" + flags.dtype + " is unknown; there are f32 and bf16";
  if (stage->kind == Stage::File && (flags.output == "-"))
    return "--emit=" + flags.emit + " can't be printed; give -o a file";
  if (stage->kind == Stage::File && flags.output.empty())
    return "compile needs -o FILE";
  return "";
}

static CompileOptions makeOptions(StepClock &clock) {
  CompileOptions options;
  options.input = flags.model;
  options.output = flags.output;
  options.emit = flags.emit;
  options.march = flags.march;
  options.dtype = flags.dtype;
  options.entry = flags.entry;
  options.dumpStages = flags.dumpStages;
  options.allowExternal = flags.allowExternal;
  options.jobs = flags.jobs ? flags.jobs : std::thread::hardware_concurrency();
  options.timePasses = flags.passTiming;
  options.progress = [&](StringRef step) { clock.begin(step); };
  return options;
}

int sparse_opt::tool::compileMain(int argc, char **argv) {
  if (auto status = parseFlags(argc, argv, command,
                               "usage: sparse-opt compile model.onnx -o "
                               "model.so [flags]",
                               stageHelp()))
    return *status;
  if (std::string error = checkFlags(); !error.empty())
    return fail(error);

  StepClock clock;
  CompileOptions options = makeOptions(clock);
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  StdThreadPool pool(hardware_concurrency(options.jobs));
  if (options.jobs > 1)
    context.setThreadPool(pool);
  DiagnosticPrinter printer(&context, options.input);
  CompileStatus result = compileModel(context, options);
  clock.end();
  if (result == CompileStatus::OurBug)
    errs() << "sparse-opt: note: that is a bug of sparse-opt, not of the "
              "model\n";
  return result == CompileStatus::Done     ? Done
         : result == CompileStatus::OurBug ? OurBug
                                           : BadInput;
}
