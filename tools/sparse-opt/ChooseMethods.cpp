// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ChooseMethods.h"
#include "Cli.h"
#include "ModelFile.h"
#include "PlanFile.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "sparse-opt/Pipelines/Blocks.h"
#include "sparse-opt/Pipelines/StageFile.h"
#include "sparse-opt/Target/TargetInfo.h"
#include "sparse-opt/Transforms/MethodRecords.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

/// A gain of a block's median times that is worth another form; or what they
/// vary by, where that is more.
constexpr double leastGain = 0.05;

static std::string hashOf(mlir::ModuleOp module) {
  auto hash = module->getAttrOfType<mlir::StringAttr>("onnx.model_hash");
  return hash ? hash.str() : "";
}

std::string sparse_opt::tool::profileFor(const MethodChoice &methods) {
  std::string path = methods.profile;
  for (const MethodChoice::Call &call : methods.calls) {
    SmallVector<StringRef> words;
    SplitString(call.options, words);
    for (StringRef word : words)
      if (word.consume_front("profile="))
        path = word.str();
  }
  return path;
}

//===----------------------------------------------------------------------===//
// Deciding
//===----------------------------------------------------------------------===//

mlir::LogicalResult MethodChooser::choose(mlir::ModuleOp dense,
                                          mlir::ModuleOp compressed,
                                          const CompileOptions &compile) {
  modelHash = hashOf(compressed);
  methods = compile.methods.str();
  for (json::Value &entry : describeMethods(compressed)) {
    json::Object &method = *entry.getAsObject();
    Choice choice;
    choice.block = method.getString("block").value_or("").str();
    choice.isCompressed = method.getString("method") != StringRef("none");
    if (!choice.isCompressed)
      choice.reason = method.getString("reason").value_or("").str();
    choice.method = std::move(method);
    choices.push_back(std::move(choice));
  }
  if (Error error = decide(dense, compressed, compile))
    return mlir::emitError(mlir::UnknownLoc::get(compressed.getContext()))
           << toString(std::move(error));
  for (Choice &choice : choices)
    if (choice.isCompressed) {
      setKnob(compressed, choice.block + ".crossover", choice.crossover);
      setKnob(compressed, choice.block + ".input_crossover",
              choice.inputCrossover);
    } else if (choice.method.getString("method") != StringRef("none")) {
      restoreBlock(compressed, choice.block, dense);
      // Times would make every artefact another one.
      recordDense(compressed, choice.block,
                  choice.times ? "it was measured no faster" : choice.reason);
    }
  if (!options.report.empty())
    if (Error error = measureModel(dense, compressed, compile))
      return mlir::emitError(mlir::UnknownLoc::get(compressed.getContext()))
             << toString(std::move(error));
  return mlir::success();
}

void MethodChooser::stayDense(StringRef reason) {
  for (Choice &choice : choices)
    if (choice.isCompressed) {
      choice.isCompressed = false;
      choice.reason = reason.str();
    }
}

/// Why nothing can be run here, or "".
static std::string whyNotRun(const CompileOptions &compile) {
  const TargetInfo *target = is_contained({"all", "native"}, compile.march)
                                 ? hostTarget(compile.dtype == "bf16")
                                 : lookupTarget(compile.march);
  if (profileFor(compile.methods).empty())
    return "there is no --profile= with rows to run";
  if (!target || !hostRuns(*target))
    return "this CPU can't run " + compile.march;
  return "";
}

Error MethodChooser::decide(mlir::ModuleOp dense, mlir::ModuleOp compressed,
                            const CompileOptions &compile) {
  if (!options.plan.empty())
    return follow(hashOf(compressed), compile);
  if (none_of(choices, [](const Choice &it) { return it.isCompressed; }))
    return Error::success();
  if (options.unmeasured && !options.lossless)
    return Error::success();
  std::string reason = whyNotRun(compile);
  if (reason.empty())
    return measure(dense, compressed, compile);
  if (!options.unmeasured)
    stayDense("nothing was measured: " + reason +
              " (--plan= or --unmeasured do without)");
  else
    errs() << "sparse-opt: note: --lossless was not checked: " << reason
           << '\n';
  return Error::success();
}

/// The model has caches of earlier tokens among its inputs.
static bool takesPast(mlir::ModuleOp model) {
  auto main = model.lookupSymbol<mlir::func::FuncOp>("main");
  for (unsigned i = 0; main && i < main.getNumArguments(); ++i)
    if (auto name = main.getArgAttrOfType<mlir::StringAttr>(i, "onnx.name"))
      if (name.getValue().contains("past") || name.getValue().contains("cache"))
        return true;
  return false;
}

/// Rows that a run of the model computes as it is mostly used: one where past
/// tokens are kept, else those of a sequence.
static int64_t usualRows(mlir::ModuleOp model, const CompileOptions &compile,
                         const CalibrationProfile &profile) {
  if (compile.kvCache == "in-place" || takesPast(model))
    return 1;
  uint64_t rows = 0, sequences = profile.numSequences();
  for (size_t block = 0; block < profile.blocks.size(); ++block)
    rows = std::max(rows, profile.rowsOf(block) + profile.heldOutRowsOf(block));
  return std::clamp<int64_t>(sequences ? rows / sequences : 1, 1, 256);
}

Error MethodChooser::measure(mlir::ModuleOp dense, mlir::ModuleOp compressed,
                             const CompileOptions &compile) {
  auto profile = readProfile(profileFor(compile.methods));
  if (!profile)
    return profile.takeError();
  int64_t rows =
      options.rows ? options.rows : usualRows(compressed, compile, *profile);
  auto found = measureBlocks(dense, compressed, compile, *profile, rows);
  if (!found)
    return found.takeError();
  measured = std::move(*found);
  for (Choice &choice : choices)
    for (const BlockTimes &times : measured.blocks)
      if (choice.isCompressed && times.block == choice.block) {
        choice.times = times;
        choice.crossover = times.crossover(times.neurons);
        choice.inputCrossover = times.crossover(times.inputs);
      }
  measured.blocks.clear();
  if (options.lossless)
    if (Error error = checkLossless(compile))
      return error;
  for (Choice &choice : choices)
    if (choice.times && !options.unmeasured &&
        !(choice.times->speedup() >
          1 + std::max(leastGain, choice.times->noise))) {
      choice.isCompressed = false;
      choice.reason = "it was measured no faster by more than 5 %";
    }
  return Error::success();
}

/// The model as it will be, against itself with all blocks dense.
Error MethodChooser::measureModel(mlir::ModuleOp dense,
                                  mlir::ModuleOp compressed,
                                  const CompileOptions &compile) {
  whyNoModel = whyNotRun(compile);
  if (none_of(choices, [](const Choice &it) { return it.isCompressed; }))
    whyNoModel = "no block is compressed";
  if (!whyNoModel.empty())
    return Error::success();
  auto profile = readProfile(profileFor(compile.methods));
  if (!profile)
    return profile.takeError();
  if (profile->sequences.heldOut.get().empty()) {
    whyNoModel = "the profile holds no sequence out";
    return Error::success();
  }
  ModelPair pair;
  if (Error error = pair.build(dense, compressed, compile, *profile))
    return error;
  Expected<ModelError> error = pair.measure();
  if (!error)
    return error.takeError();
  model = error->toJson();
  for (auto [rows, name] : {std::pair<int64_t, StringRef>(1, "one_row"),
                            std::pair<int64_t, StringRef>(0, "sequence")}) {
    auto times = pair.time(rows);
    if (!times)
      return times.takeError();
    (*model)[(name + "_dense_ms").str()] = times->first * 1e3;
    (*model)[(name + "_compressed_ms").str()] = times->second * 1e3;
  }
  return Error::success();
}

/// ALGORITHMS of lossless skipping: equal up to the order of summation.
/// Activations in bf16 are rounded where kernels hand them on.
Error MethodChooser::checkLossless(const CompileOptions &compile) const {
  const double limit = compile.dtype == "f32" ? 1e-5 : 1e-2;
  for (const Choice &choice : choices)
    if (choice.times && !(choice.times->maxError <= limit))
      return makeError(formatv("--lossless: block '{0}' differs from its dense "
                               "form by {1:e1} of the largest output on the "
                               "profile's rows, more than {2:e0}",
                               choice.block, choice.times->maxError, limit)
                           .str());
  return Error::success();
}

Error MethodChooser::follow(StringRef modelHash,
                            const CompileOptions &compile) {
  Expected<Plan> plan = readPlan(options.plan);
  if (!plan)
    return plan.takeError();
  if (plan->modelHash != modelHash)
    return makeError("--plan=" + options.plan + " is of another model");
  measured.rows = plan->rows;
  measured.runs = plan->runs;
  measured.threads = plan->threads;
  measured.target = plan->target;
  for (Choice &choice : choices) {
    const PlannedBlock *planned = plan->find(choice.block);
    if (!planned)
      return makeError("--plan=" + options.plan + " doesn't have block '" +
                       choice.block + "'");
    if (!choice.isCompressed)
      continue;
    choice.isCompressed = planned->isCompressed;
    choice.reason = planned->reason;
    choice.times = planned->times;
    choice.crossover = planned->crossover;
    choice.inputCrossover = planned->inputCrossover;
    if (options.lossless && choice.isCompressed && !choice.times)
      errs() << "sparse-opt: note: --lossless was not checked for block '"
             << choice.block << "', of which the plan has no measurement\n";
  }
  return options.lossless ? checkLossless(compile) : Error::success();
}

//===----------------------------------------------------------------------===//
// Telling
//===----------------------------------------------------------------------===//

static std::string rowsText(int64_t rows) {
  return rows == 1 ? "1 row" : std::to_string(rows) + " rows";
}

/// "290.1 -> 237.6 us, 1.22 times as fast (1.30 on all threads)"
static std::string timesText(double dense, double compressed, double denseOnAll,
                             double compressedOnAll, double scale,
                             StringRef unit) {
  std::string text =
      formatv("{0:f2} -> {1:f2} {2}, {3:f2} times as fast", dense * scale,
              compressed * scale, unit, dense / compressed);
  if (compressedOnAll > 0)
    text += formatv(" ({0:f2} on all threads)", denseOnAll / compressedOnAll);
  return text;
}

std::string MethodChooser::textOf(const Choice &choice) const {
  std::string text = choice.isCompressed
                         ? methodText(choice.method)
                         : choice.block + ": dense, for " + choice.reason;
  if (choice.times)
    text += "; " + timesText(choice.times->dense, choice.times->compressed,
                             choice.times->denseOnAll,
                             choice.times->compressedOnAll, 1e6, "us");
  return text;
}

void MethodChooser::print(raw_ostream &os) const {
  for (const Choice &choice : choices)
    os << textOf(choice) << '\n';
  printTimes(os);
  printModel(os);
}

void MethodChooser::printTimes(raw_ostream &os) const {
  double dense = 0, chosen = 0, denseOnAll = 0, chosenOnAll = 0;
  unsigned compressed = 0;
  for (const Choice &choice : choices) {
    compressed += choice.isCompressed;
    if (const auto &times = choice.times) {
      dense += times->dense;
      denseOnAll += times->denseOnAll;
      chosen += choice.isCompressed ? times->compressed : times->dense;
      chosenOnAll +=
          choice.isCompressed ? times->compressedOnAll : times->denseOnAll;
    }
  }
  if (dense > 0)
    os << formatv("{0} of {1} blocks compressed: {2}; {3}, one thread or {4}, "
                  "{5}\n",
                  compressed, choices.size(),
                  timesText(dense, chosen, denseOnAll, chosenOnAll, 1e3, "ms"),
                  rowsText(measured.rows), measured.threads, measured.target);
}

void MethodChooser::printModel(raw_ostream &os) const {
  if (!whyNoModel.empty())
    os << "the model as a whole was not measured: " << whyNoModel << '\n';
  if (!model)
    return;
  auto value = [&](StringRef key) { return model->getNumber(key).value_or(0); };
  os << formatv("the model, against all blocks dense: rel {0:f4}, cos {1:e1}",
                value("rel_mean"), value("cos"));
  if (model->get("kl"))
    os << formatv(", KL {0:f4}", value("kl"));
  if (model->get("ppl"))
    os << formatv(", perplexity {0}{1:f2} %", value("ppl") < 0 ? "" : "+",
                  value("ppl") * 100);
  os << formatv(" on {0}; one row {1:f2} -> {2:f2} ms, a sequence {3:f2} -> "
                "{4:f2} ms\n",
                heldOutText(*model->getInteger("sequences"),
                            *model->getInteger("tokens")),
                value("one_row_dense_ms"), value("one_row_compressed_ms"),
                value("sequence_dense_ms"), value("sequence_compressed_ms"));
}

json::Object MethodChooser::planJson(const CompileOptions &compile) const {
  Plan plan;
  plan.modelHash = modelHash;
  plan.methods = methods;
  plan.asked = options.asked;
  plan.rows = measured.rows;
  plan.runs = measured.runs;
  plan.threads = measured.threads;
  plan.target = measured.target;
  plan.dtype = compile.dtype;
  plan.weightType = compile.getWeightType();
  for (const Choice &choice : choices)
    plan.blocks.push_back({choice.block, choice.isCompressed, choice.reason,
                           choice.times, choice.crossover,
                           choice.inputCrossover});
  return plan.toJson();
}

Error MethodChooser::save(const CompileOptions &compile) const {
  if (!options.savePlan.empty())
    if (Error error = writeJson(options.savePlan, planJson(compile)))
      return error;
  if (options.report.empty())
    return Error::success();
  json::Object report = planJson(compile);
  for (auto [choice, entry] : zip_equal(choices, *report.getArray("blocks")))
    for (const auto &[key, value] : choice.method)
      entry.getAsObject()->try_emplace(key, value);
  uint64_t bytes = 0;
  if (!sys::fs::file_size(compile.output, bytes))
    report["artefact_bytes"] = bytes;
  report["model"] = compile.input;
  if (model)
    report["whole_model"] = json::Object(*model);
  else
    report["whole_model"] = nullptr;
  if (!whyNoModel.empty())
    report["no_whole_model"] = whyNoModel;
  return writeJson(options.report, std::move(report));
}
