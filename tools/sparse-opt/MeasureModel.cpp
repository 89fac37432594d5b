// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MeasureModel.h"
#include "Compare.h"
#include "Quantile.h"
#include "sparse-opt/Pipelines/Blocks.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <chrono>
#include <cmath>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

/// Of a dense model's results that are kept, in bytes.
constexpr uint64_t mostResults = 256 << 20;

//===----------------------------------------------------------------------===//
// Limits and errors
//===----------------------------------------------------------------------===//

static constexpr std::pair<StringLiteral, ModelErrorLimit::Kind> kinds[] = {
    {"rel", ModelErrorLimit::Rel},
    {"cos", ModelErrorLimit::Cos},
    {"kl", ModelErrorLimit::Kl},
    {"ppl", ModelErrorLimit::Ppl}};

Expected<ModelErrorLimit> ModelErrorLimit::parse(StringRef text) {
  ModelErrorLimit result;
  StringRef name, number;
  std::tie(name, number) = text.split(':');
  if (number.empty())
    std::swap(name, number);
  if (!name.empty()) {
    const auto *found =
        find_if(kinds, [&](const auto &entry) { return entry.first == name; });
    if (found == std::end(kinds))
      return makeError("max-error=" + text +
                       ": there are rel:, cos:, kl: and ppl:");
    result.kind = found->second;
  }
  result.number = number.str();
  if (number.getAsDouble(result.limit) || !(result.limit > 0) ||
      !std::isfinite(result.limit))
    return makeError("max-error=" + text + " is no number above 0");
  return result;
}

std::string ModelErrorLimit::str() const {
  for (const auto &[name, value] : kinds)
    if (value == kind)
      return (name + ":" + number).str();
  llvm_unreachable("every kind has a name");
}

double ModelError::operator[](ModelErrorLimit::Kind kind) const {
  switch (kind) {
  case ModelErrorLimit::Rel:
    return rel;
  case ModelErrorLimit::Cos:
    return cos;
  case ModelErrorLimit::Kl:
    return kl.value_or(NAN);
  case ModelErrorLimit::Ppl:
    return ppl.value_or(NAN);
  }
  llvm_unreachable("every kind has a value");
}

json::Object ModelError::toJson() const {
  json::Object object{{"rel_mean", rel},
                      {"rel_p99", relP99},
                      {"cos", cos},
                      {"sequences", int64_t(sequences)},
                      {"tokens", int64_t(tokens)}};
  if (kl)
    object["kl"] = *kl;
  if (ppl)
    object["ppl"] = *ppl;
  return object;
}

std::string sparse_opt::tool::heldOutText(size_t sequences, size_t tokens) {
  std::string text = sequences == 1 ? "one sequence"
                                    : std::to_string(sequences) + " sequences";
  if (tokens)
    text += " (" + std::to_string(tokens) + " tokens)";
  return text + " held out";
}

namespace {
/// Of one row of logits.
struct Distribution {
  const float *logits;
  double logSum; ///< of their exponentials

  Distribution(const float *logits, int64_t count) : logits(logits) {
    float top = *std::max_element(logits, logits + count);
    double sum = 0;
    for (int64_t i = 0; i < count; ++i)
      sum += std::exp(logits[i] - top);
    logSum = top + std::log(sum);
  }
  double logOf(int64_t i) const { return logits[i] - logSum; }
};

/// Sums over tokens.
struct TokenErrors {
  double kl = 0, exactLoss = 0, loss = 0;
  size_t tokens = 0, targets = 0;

  void add(const NpyArray &result, const NpyArray &exact, const NpyArray *ids);
};
} // namespace

void TokenErrors::add(const NpyArray &result, const NpyArray &exact,
                      const NpyArray *ids) {
  int64_t count = exact.shape.back();
  int64_t rows = exact.data.size() / sizeof(float) / count;
  const auto *p = reinterpret_cast<const float *>(exact.data.data());
  const auto *q = reinterpret_cast<const float *>(result.data.data());
  for (int64_t row = 0; row < rows; ++row, p += count, q += count) {
    Distribution dense(p, count), other(q, count);
    for (int64_t i = 0; i < count; ++i)
      kl += std::exp(dense.logOf(i)) * (dense.logOf(i) - other.logOf(i));
    ++tokens;
    int64_t next;
    if (!ids || row + 1 == rows ||
        ids->data.size() != size_t(rows) * sizeof(next))
      continue;
    memcpy(&next, ids->data.data() + (row + 1) * sizeof(next), sizeof(next));
    if (next < 0 || next >= count)
      continue;
    exactLoss -= dense.logOf(next);
    loss -= other.logOf(next);
    ++targets;
  }
}

//===----------------------------------------------------------------------===//
// The pair
//===----------------------------------------------------------------------===//

static Error buildOne(TemporaryModel &model, mlir::ModuleOp module,
                      CompileOptions options, StringRef what) {
  mlir::OwningOpRef<mlir::ModuleOp> copy = module.clone();
  borrowWeights(*copy);
  options.methods.calls.clear();
  options.kvCache = "caller";
  return model.build(options, what, [&](const CompileOptions &options) {
    return compileModule(std::move(copy), options);
  });
}

Error ModelPair::build(mlir::ModuleOp denseModule,
                       mlir::ModuleOp compressedModule,
                       const CompileOptions &options,
                       const CalibrationProfile &profile) {
  inputs = profile.inputs;
  const auto &sample = profile.sequences.heldOut.get();
  sequences.assign(sample.begin(), sample.end());
  if (sequences.empty())
    return makeError("the profile holds no sequence out, which errors of the "
                     "model are measured on; calibrate with more sequences");
  if (Error error = buildOne(dense, denseModule, options, "the dense model"))
    return error;
  if (Error error = buildOne(compressed, compressedModule, options,
                             "the compressed model"))
    return error;
  return runDense();
}

/// Inputs without their batch dimension get one again: of 1, or of as many
/// copies as the model insists on. With `rows` the first tokens alone: what has
/// a sequence's length has that many, where the model leaves it open.
std::vector<NpyArray> ModelPair::inputsOf(const SampledSequence &sequence,
                                          int64_t rows) const {
  int64_t length = 0;
  for (const SequenceInput &input : sequence.inputs)
    if (input.shape.size() == 1)
      length = std::max(length, input.shape[0]);
  std::vector<NpyArray> arrays;
  auto infos = dense.getFile().getInputs();
  for (auto [input, declared] : zip_equal(sequence.inputs, inputs)) {
    NpyArray array;
    array.name = declared.name;
    array.elementType = declared.elementType;
    const auto *info = llvm::find_if(
        infos, [&name = declared.name](const sparse_opt_tensor_info &it) {
          return name == it.name;
        });
    int64_t copies = 1;
    if (info != infos.end() && info->rank > int32_t(input.shape.size())) {
      copies = std::max<int64_t>(info->dims[0], 1);
      array.shape = {copies};
    }
    append_range(array.shape, input.shape);
    for (int64_t i = 0; i < copies; ++i)
      append_range(array.data, input.data);
    bool isOpen = info != infos.end() && info->rank == 2 && copies == 1 &&
                  array.shape.size() == 2 && info->dims[1] < 0;
    if (rows && length && isOpen && array.shape[1] == length) {
      array.data.resize(array.data.size() / length * rows);
      array.shape[1] = rows;
    }
    arrays.push_back(std::move(array));
  }
  return arrays;
}

/// Keeps results of as many sequences as there is room for.
Error ModelPair::runDense() {
  uint64_t bytes = 0;
  for (const SampledSequence &sequence : sequences) {
    std::vector<NpyArray> arrays = inputsOf(sequence, 0);
    dense.getInstance().bind(arrays);
    if (Error error = dense.getInstance().run())
      return error;
    std::vector<NpyArray> results;
    for (NpyArray &array : dense.getInstance().getResults())
      if (array.elementType == SPARSE_OPT_FLOAT &&
          !StringRef(array.name).starts_with("present"))
        results.push_back(std::move(array));
    for (const NpyArray &array : results)
      bytes += array.data.size();
    if (bytes > mostResults && !exact.empty())
      break;
    exact.push_back(std::move(results));
  }
  sequences.resize(exact.size());
  if (exact.front().empty())
    return makeError("the model has no f32 output to measure by");
  return Error::success();
}

/// The last output over a vocabulary: f32[1, tokens, many].
static bool isLogits(const NpyArray &array, const NpyArray *ids) {
  return ids && array.shape.size() == 3 && ids->shape.size() == 2 &&
         array.shape[1] == ids->shape[1] && array.shape[2] >= 64 &&
         StringRef(array.name).contains("logits");
}

Expected<ModelError> ModelPair::measure() {
  ModelError error;
  error.sequences = sequences.size();
  TokenErrors tokens;
  StringMap<std::vector<Differences>> outputs;
  for (auto [sequence, reference] : zip_equal(sequences, exact)) {
    std::vector<NpyArray> arrays = inputsOf(sequence, 0);
    compressed.getInstance().bind(arrays);
    if (Error failed = compressed.getInstance().run())
      return std::move(failed);
    auto ids = find_if(arrays, [](const NpyArray &array) {
      return array.elementType == SPARSE_OPT_INT64 && array.shape.size() == 2;
    });
    const NpyArray *found = ids == arrays.end() ? nullptr : &*ids;
    for (const NpyArray &result : compressed.getInstance().getResults()) {
      const NpyArray *other = findArray(reference, result.name);
      if (!other)
        continue;
      auto differences = compareArrays(result, *other);
      if (!differences)
        return differences.takeError();
      outputs[result.name].push_back(*differences);
      if (isLogits(result, found))
        tokens.add(result, *other, found);
    }
    error.tokens += found ? found->shape[1] : 0;
  }
  for (const auto &entry : outputs) {
    double rel = 0, p99 = 0, cos = 0;
    for (const Differences &differences : entry.getValue()) {
      rel += differences.relMean / sequences.size();
      cos += differences.cos / sequences.size();
      p99 = std::max(p99, differences.relP99);
    }
    // Not "greater": a NaN is the worst.
    if (!(rel <= error.rel))
      std::tie(error.rel, error.relP99, error.cos) = std::tuple(rel, p99, cos);
  }
  if (tokens.tokens)
    error.kl = tokens.kl / double(tokens.tokens);
  if (tokens.targets)
    error.ppl =
        std::expm1((tokens.loss - tokens.exactLoss) / double(tokens.targets));
  return error;
}

Expected<std::pair<double, double>> ModelPair::time(int64_t rows) {
  constexpr unsigned warmUps = 2, turns = 31;
  std::vector<NpyArray> arrays = inputsOf(sequences.front(), rows);
  Instance *instances[] = {&dense.getInstance(), &compressed.getInstance()};
  std::vector<double> times[2];
  for (Instance *instance : instances)
    instance->bind(arrays);
  for (unsigned turn = 0; turn < warmUps + turns; ++turn)
    for (auto [instance, taken] : zip_equal(instances, times)) {
      auto start = std::chrono::steady_clock::now();
      if (Error error = instance->run())
        return std::move(error);
      std::chrono::duration<double> time =
          std::chrono::steady_clock::now() - start;
      if (turn >= warmUps)
        taken.push_back(time.count());
    }
  return std::pair(medianOf(times[0]), medianOf(times[1]));
}
