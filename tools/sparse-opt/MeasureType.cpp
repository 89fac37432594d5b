// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MeasureType.h"
#include "Inputs.h"
#include "Quantile.h"
#include "TemporaryModel.h"
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
  TemporaryModel model;
  Instance *instance = nullptr;

  Error open(const CompileOptions &wanted);
  Error run(double &bestTime);
};

/// What is left of a candidate.
struct Outcome {
  std::vector<NpyArray> results;
  double time = 0; // seconds
};
} // namespace

std::string sparse_opt::tool::typeText(const CompileOptions &options) {
  const std::string &weights = options.getWeightType();
  if (options.dtype == weights)
    return weights == "f32" ? "" : weights;
  std::string text = weights + " weights";
  return options.dtype == "f32" ? text : options.dtype + " with " + text;
}

Error Candidate::open(const CompileOptions &wanted) {
  CompileOptions options = wanted;
  options.march = "native";
  options.methods = {}; // what they lose is told beside what types lose
  std::string types = typeText(options);
  Error error = model.buildAlone(
      options, "the model in " + (types.empty() ? "f32" : types), compileModel);
  if (!error)
    instance = &model.getInstance();
  return error;
}

/// The best of some runs: where two types don't run in turns, what else the
/// machine does mustn't count.
Error Candidate::run(double &bestTime) {
  using Seconds = std::chrono::duration<double>;
  constexpr unsigned warmUps = 2, turns = 15;
  constexpr double enough = 4; // seconds
  double spent = 0;
  for (unsigned turn = 0;
       turn < warmUps + turns && (turn <= warmUps || spent < enough); ++turn) {
    auto start = std::chrono::steady_clock::now();
    if (Error error = instance->run())
      return error;
    double time = Seconds(std::chrono::steady_clock::now() - start).count();
    spent += time;
    if (turn == warmUps || (turn > warmUps && time < bestTime))
      bestTime = time;
  }
  return Error::success();
}

/// Made-up inputs of the default shape, with fewer sequences where results
/// would be large: they are kept beside the other type's weights.
static Expected<std::vector<NpyArray>> makeDefaultInputs(Candidate &candidate,
                                                         DimValues &dims) {
  constexpr uint64_t most = 16 << 20; // bytes
  auto make = [&](int64_t batch) {
    dims = defaultShape(candidate.model.getFile(), batch, 64);
    return makeInputs(candidate.model.getFile(), dims, /*seed=*/1,
                      /*padding=*/true);
  };
  Expected<std::vector<NpyArray>> arrays = make(1);
  if (!arrays)
    return arrays.takeError();
  if (Error error = candidate.instance->fill({}))
    return std::move(error);
  candidate.instance->bind(*arrays);
  if (Error error = candidate.instance->run())
    return std::move(error);
  uint64_t bytes = 1;
  for (const sparse_opt_tensor &output : candidate.instance->getOutputs())
    bytes += output.bytes;
  int64_t batch = std::clamp<int64_t>(most / bytes, 1, 4);
  return batch == 1 ? std::move(arrays) : make(batch);
}

/// The same inputs for both; `inputs` names them in the result.
static Expected<std::vector<NpyArray>> inputsFor(Candidate &candidate,
                                                 const std::string &path,
                                                 const std::string &shape,
                                                 TypeMeasurement &result) {
  const ModelFile &model = candidate.model.getFile();
  if (!path.empty()) {
    result.inputs = sys::path::filename(path).str();
    return readInputs(path, model);
  }
  DimValues dims;
  Expected<std::vector<NpyArray>> arrays = std::vector<NpyArray>();
  if (shape.empty()) {
    arrays = makeDefaultInputs(candidate, dims);
  } else {
    Expected<DimValues> parsed = parseShape(shape, model);
    if (!parsed)
      return parsed.takeError();
    dims = std::move(*parsed);
    arrays = makeInputs(model, dims, /*seed=*/1, /*padding=*/true);
  }
  result.inputs = "made up, " + shapeText(dims, model);
  return arrays;
}

static bool isFloat(const NpyArray &array) {
  return is_contained({SPARSE_OPT_FLOAT, SPARSE_OPT_DOUBLE, SPARSE_OPT_FLOAT16,
                       SPARSE_OPT_BFLOAT16},
                      int(array.elementType));
}

/// The worst float output by the limit's kind of error.
static Error compareResults(const std::vector<NpyArray> &reference,
                            const std::vector<NpyArray> &results,
                            const ErrorLimit &limit, TypeMeasurement &result) {
  for (const NpyArray &array : results) {
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

/// Compiles what `options` describe and runs it, then lets go of all but its
/// results: of two types, only one is in memory at a time.
static Error runAlone(const CompileOptions &options,
                      function_ref<Error(Candidate &)> bind, Outcome &outcome) {
  Candidate candidate;
  if (Error error = candidate.open(options))
    return error;
  if (Error error = bind(candidate))
    return error;
  if (options.progress) {
    std::string types = typeText(options);
    options.progress("running " + (types.empty() ? "f32" : types));
  }
  if (Error error = candidate.run(outcome.time))
    return error;
  outcome.results = candidate.instance->getResults();
  return Error::success();
}

/// Both types in memory, run in turns: what else the machine does meets both
/// alike, so that a choice may hang on it. The times become medians.
static Error runInTurns(const CompileOptions &plain,
                        const CompileOptions &options,
                        function_ref<Error(Candidate &)> bind, Outcome &exact,
                        Outcome &narrow) {
  using Seconds = std::chrono::duration<double>;
  Candidate candidates[2];
  Outcome *outcomes[] = {&exact, &narrow};
  std::vector<double> times[2];
  for (auto [candidate, each] :
       zip_equal(candidates, ArrayRef({&plain, &options}))) {
    if (Error error = candidate.open(*each))
      return error;
    if (Error error = bind(candidate))
      return error;
  }
  if (options.progress)
    options.progress("running " + typeText(options) + " and f32 in turns");
  constexpr unsigned warmUps = 2, turns = 15;
  for (unsigned turn = 0; turn < warmUps + turns; ++turn)
    for (auto [candidate, taken] : zip_equal(candidates, times)) {
      auto start = std::chrono::steady_clock::now();
      if (Error error = candidate.instance->run())
        return error;
      if (turn >= warmUps)
        taken.push_back(
            Seconds(std::chrono::steady_clock::now() - start).count());
    }
  for (auto [candidate, taken, outcome] :
       zip_equal(candidates, times, outcomes)) {
    outcome->time = medianOf(taken);
    outcome->results = candidate.instance->getResults();
  }
  return Error::success();
}

Expected<TypeMeasurement> sparse_opt::tool::measureTypes(
    const CompileOptions &options, const std::string &inputs,
    const std::string &shape, const ErrorLimit &limit, bool inTurns) {
  Outcome exact, narrow;
  CompileOptions plain = options;
  plain.dtype = plain.weightType = "f32";
  TypeMeasurement result;
  std::vector<NpyArray> arrays;
  auto bind = [&](Candidate &candidate) -> Error {
    if (arrays.empty()) {
      auto made = inputsFor(candidate, inputs, shape, result);
      if (!made)
        return made.takeError();
      arrays = std::move(*made);
    }
    if (Error error = candidate.instance->fill({}))
      return error;
    candidate.instance->bind(arrays);
    return Error::success();
  };
  Error error = inTurns ? runInTurns(plain, options, bind, exact, narrow)
                        : runAlone(plain, bind, exact);
  if (!error && !inTurns)
    error = runAlone(options, bind, narrow);
  if (error)
    return std::move(error);
  result.speedup = exact.time / narrow.time;
  if (Error error =
          compareResults(exact.results, narrow.results, limit, result))
    return std::move(error);
  return result;
}
