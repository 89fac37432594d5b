// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "SearchDensity.h"
#include "Cli.h"
#include "mlir/IR/MLIRContext.h"
#include "sparse-opt/Pipelines/Registration.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

std::string OpenDensity::with(double density) const {
  return before + formatv("target-density={0}", density).str() + after;
}

Expected<std::optional<OpenDensity>>
sparse_opt::tool::findMaxError(StringRef methods) {
  constexpr StringLiteral key = "max-error=";
  size_t begin = methods.find(key);
  if (begin == StringRef::npos)
    return std::nullopt;
  if (methods.find(key, begin + 1) != StringRef::npos)
    return makeError("--method=: one max-error= is searched for at a time");
  size_t end = std::min(methods.find_first_of(" }", begin), methods.size());
  auto limit = ModelErrorLimit::parse(methods.slice(begin + key.size(), end));
  if (!limit)
    return makeError("--method=: " + toString(limit.takeError()));
  // The other options of the same call.
  SmallVector<StringRef> words;
  SplitString(methods.take_front(begin).rsplit('{').second, words);
  SplitString(methods.drop_front(end).split('}').first, words);
  for (StringRef other : {"target-density=", "cett="})
    if (any_of(words, [&](StringRef word) { return word.starts_with(other); }))
      return makeError("--method=: give either max-error= or " + other);
  for (StringRef word : words)
    if (word.consume_front("allocation=") && word != "uniform")
      return makeError("--method=: max-error= searches with allocation=uniform "
                       "alone, not with " +
                       word);
  return OpenDensity{*limit, methods.take_front(begin).str(),
                     methods.drop_front(end).str()};
}

namespace {
/// What each knob of thresholds is by density.
class Thresholds {
public:
  explicit Thresholds(const json::Array &methods) {
    for (const json::Value &value : methods) {
      const json::Object &entry = *value.getAsObject();
      for (StringRef name : {"threshold", "input_threshold"})
        if (const json::Array *list = entry.getArray((name + "s").str()))
          for (const json::Value &threshold : *list)
            knobs[(entry.getString("block").value_or("") + "." + name).str()]
                .push_back(threshold.getAsNumber().value_or(0));
    }
  }
  bool empty() const { return knobs.empty(); }
  size_t count() const { return knobs.begin()->getValue().size(); }
  Error apply(Instance &instance, size_t step) const {
    for (const auto &entry : knobs)
      if (Error error =
              instance.setKnob(entry.getKey().str(), entry.getValue()[step]))
        return error;
    return Error::success();
  }

private:
  StringMap<std::vector<double>> knobs;
};
} // namespace

/// The smallest step of `thresholds` whose error is within the limit.
static Expected<FoundDensity> search(ModelPair &pair,
                                     const Thresholds &thresholds,
                                     const ModelErrorLimit &limit,
                                     const CompileOptions &options) {
  auto densityOf = [&](size_t step) {
    return double(step + 1) / double(thresholds.count() + 1);
  };
  std::optional<FoundDensity> found;
  ModelError best;
  // Steps from `good` on are within the limit, those before `bad` aren't.
  size_t bad = 0, good = thresholds.count();
  while (bad < good) {
    // The densest first: if even that loses too much nothing else is tried.
    size_t step = good == thresholds.count() ? good - 1 : (bad + good) / 2;
    if (options.progress)
      options.progress(
          formatv("searching: density {0:f2}", densityOf(step)).str());
    if (Error error = thresholds.apply(pair.getCompressed(), step))
      return std::move(error);
    Expected<ModelError> error = pair.measure();
    if (!error)
      return error.takeError();
    best = *error;
    if ((*error)[limit.kind] <= limit.limit) {
      good = step;
      found = FoundDensity{densityOf(step), *error};
    } else if (good == thresholds.count()) {
      break;
    } else {
      bad = step + 1;
    }
  }
  if (!found && std::isnan(best[limit.kind]))
    return makeError("max-error=" + limit.str() +
                     " needs logits of tokens, and ids that follow");
  if (!found)
    return makeError(formatv("max-error={0} can't be met: the best found is "
                             "{1:e1}, at density {2:f2}",
                             limit.str(), best[limit.kind],
                             densityOf(thresholds.count() - 1))
                         .str());
  return *found;
}

Expected<FoundDensity>
sparse_opt::tool::searchDensity(const CompileOptions &options,
                                const std::string &profilePath,
                                const ModelErrorLimit &limit) {
  if (profilePath.empty())
    return makeError("--method=: max-error= needs --profile=, whose sequences "
                     "it is measured on");
  auto profile = readProfile(profilePath);
  if (!profile)
    return profile.takeError();
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  DiagnosticPrinter printer(&context, options.input);
  CompileOptions plain = options;
  plain.methodsDone = nullptr;
  plain.dumpStages.clear();
  CompileOptions exact = plain;
  exact.methods = {};
  auto module = buildStage(context, exact, "ffn");
  if (!module)
    return llvm::make_error<Reported>();
  mlir::OwningOpRef<mlir::ModuleOp> dense = module->clone();
  module = buildStage(std::move(module), plain, "ffn-compressed");
  if (!module)
    return llvm::make_error<Reported>();
  Thresholds thresholds(describeMethods(*module));
  if (thresholds.empty())
    return makeError("max-error=" + limit.str() +
                     " has no block to find a density for");
  ModelPair pair;
  if (Error error = pair.build(*dense, *module, plain, *profile))
    return std::move(error);
  return search(pair, thresholds, limit, options);
}
