// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MeasureBlocks.h"
#include "Compare.h"
#include "Quantile.h"
#include "Roofline.h"
#include "TemporaryModel.h"
#include "sparse-opt/Pipelines/Blocks.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>
#include <thread>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

namespace {
/// One form of all blocks.
struct Form {
  TemporaryModel model;
  std::unique_ptr<Instance> onAll; // threads; null where there is one
  std::vector<Launch> launches;    // their nodes are blocks

  Error build(mlir::ModuleOp module, CompileOptions options, StringRef what);
};

/// Seconds of each run, by block.
struct Times {
  StringMap<std::vector<double>> all, selected;
};

/// Rows of x of every block, one run after the other.
class Rows {
public:
  Rows(const CalibrationProfile &profile, int64_t count)
      : profile(profile), count(count) {}
  /// Of run `turn`, for the inputs of a model of the blocks alone: `count` rows
  /// each, or as many as the model insists on.
  Expected<std::vector<NpyArray>> inputs(const ModelFile &model, size_t turn);
  /// The most that a block got.
  int64_t most() const { return mostRows; }

private:
  const RowSample &sampleOf(size_t block) const;

  const CalibrationProfile &profile;
  int64_t count, mostRows = 1;
  std::vector<std::vector<float>> values; // of each block
};
} // namespace

Error Form::build(mlir::ModuleOp module, CompileOptions options,
                  StringRef what) {
  auto blocks = extractBlocks(module);
  borrowWeights(*blocks);
  options.methods.calls.clear();
  options.kvCache = "caller";
  if (Error error =
          model.build(options, what, [&](const CompileOptions &options) {
            return compileModule(std::move(blocks), options);
          }))
    return error;
  launches = launchesOf(model.getFile(), model.getInstance().getTarget());
  unsigned threads = std::thread::hardware_concurrency();
  if (threads > 1) {
    auto created = Instance::create(model.getFile(), threads);
    if (!created)
      return created.takeError();
    onAll = std::make_unique<Instance>(std::move(*created));
    if (Error error = onAll->enableProfile(true))
      return error;
  }
  return model.getInstance().enableProfile(true);
}

/// One run; its times are added to `times` unless that is null.
static Error run(Form &form, Instance &instance,
                 const std::vector<NpyArray> &inputs, Times *times) {
  instance.bind(inputs);
  if (Error error = instance.run())
    return error;
  if (!times)
    return Error::success();
  Expected<Profile> profile = instance.getProfile();
  if (!profile)
    return profile.takeError();
  StringMap<std::pair<double, double>> sums;
  for (auto [time, launch] : zip(profile->launches, form.launches)) {
    auto &[all, selected] = sums[launch.node];
    all += double(time) * 1e-9;
    if (StringRef(launch.kind).starts_with("selected"))
      selected += double(time) * 1e-9;
  }
  for (const auto &entry : sums) {
    times->all[entry.getKey()].push_back(entry.getValue().first);
    times->selected[entry.getKey()].push_back(entry.getValue().second);
  }
  return Error::success();
}

/// Above what density blocks do without the list whose knob ends in `suffix`,
/// from now on. Those that have no such list have no such knob; false when none
/// has.
static bool setCrossovers(Form &form, ArrayRef<BlockTimes> blocks,
                          StringRef suffix, double value) {
  bool found = false;
  for (const BlockTimes &block : blocks)
    if (Error error =
            form.model.getInstance().setKnob(block.block + suffix.str(), value))
      consumeError(std::move(error));
    else
      found = true;
  return found;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

const RowSample &Rows::sampleOf(size_t block) const {
  const RowSamples &samples = profile.rows[block];
  return samples.heldOut.size() ? samples.heldOut : samples.fit;
}

Expected<std::vector<NpyArray>> Rows::inputs(const ModelFile &model,
                                             size_t turn) {
  std::vector<NpyArray> arrays;
  values.resize(profile.blocks.size());
  for (const sparse_opt_tensor_info &info : model.getInputs()) {
    StringRef name = StringRef(info.name).drop_back(2); // ":x"
    std::optional<size_t> block = profile.find(name);
    if (!block || sampleOf(*block).size() == 0)
      return makeError("the profile has no rows of block '" + name + "'");
    const RowSample &sample = sampleOf(*block);
    int64_t d = profile.blocks[*block].d;
    std::vector<float> &all = values[*block];
    if (all.empty())
      all = sample.columnsOf(0, d);
    NpyArray array;
    array.name = info.name;
    array.elementType = SPARSE_OPT_FLOAT;
    int64_t rows = 1;
    for (int32_t i = 0; i + 1 < info.rank; ++i) {
      int64_t open = i + 2 == info.rank ? count : 1;
      array.shape.push_back(info.dims[i] < 0 ? open : info.dims[i]);
      rows *= array.shape.back();
    }
    array.shape.push_back(d);
    mostRows = std::max(mostRows, rows);
    array.data.resize(rows * d * sizeof(float));
    for (int64_t row = 0; row < rows; ++row) {
      size_t from = (turn * rows + row) % sample.size();
      std::memcpy(array.data.data() + row * d * sizeof(float),
                  all.data() + from * d, d * sizeof(float));
    }
    arrays.push_back(std::move(array));
  }
  return arrays;
}

//===----------------------------------------------------------------------===//
// Measuring
//===----------------------------------------------------------------------===//

static void compareForms(const std::vector<NpyArray> &exact,
                         const std::vector<NpyArray> &results,
                         std::vector<BlockTimes> &blocks, unsigned runs) {
  for (const NpyArray &y : results) {
    auto block = find_if(blocks, [&](const BlockTimes &times) {
      return times.block + ":y" == y.name;
    });
    const NpyArray *reference = findArray(exact, y.name);
    if (block == blocks.end() || !reference)
      continue;
    auto differences = compareArrays(y, *reference);
    if (!differences) {
      consumeError(differences.takeError());
      block->maxError = block->relError = NAN;
      continue;
    }
    double largest = 0;
    const auto *values =
        reinterpret_cast<const float *>(reference->data.data());
    for (size_t i = 0; i < reference->data.size() / sizeof(float); ++i)
      largest = std::max<double>(largest, std::fabs(values[i]));
    double error = differences->maxAbs == 0 ? 0 : differences->maxAbs / largest;
    block->relError += differences->relMean / runs;
    // Not "greater": a NaN is the worst.
    if (!(error <= block->maxError))
      block->maxError = error;
  }
}

/// The median; `noise` becomes at least what it varies by.
static double medianAndNoise(std::vector<double> &times, double &noise) {
  double median = medianOf(times);
  sort(times);
  if (median > 0) {
    double spread = quantileOf(times, 0.75) - quantileOf(times, 0.25);
    noise = std::max(noise, spread / median / std::sqrt(double(times.size())));
  }
  return median;
}

double BlockTimes::crossover(const ListTimes &list) const {
  if (list.density == 0 || list.selected <= 0 || list.whole == 0)
    return 1;
  double others = compressed - list.selected;
  return std::clamp(list.density * (list.whole - others) / list.selected, 0.0,
                    1.0);
}

double BlockTimes::speedup() const {
  double one = dense / compressed;
  return compressedOnAll > 0 ? std::min(one, denseOnAll / compressedOnAll)
                             : one;
}

Expected<BlockMeasurement>
sparse_opt::tool::measureBlocks(mlir::ModuleOp dense, mlir::ModuleOp compressed,
                                const CompileOptions &options,
                                const CalibrationProfile &profile,
                                int64_t rows) {
  constexpr unsigned warmUps = 2, runs = 40;
  BlockMeasurement result;
  result.runs = runs;
  Form exact, skipping;
  if (Error error = exact.build(dense, options, "dense blocks"))
    return std::move(error);
  if (Error error = skipping.build(compressed, options, "compressed blocks"))
    return std::move(error);
  result.threads = std::max(1u, std::thread::hardware_concurrency());
  result.target = exact.model.getInstance().getTarget().str();
  for (const std::string &name : compressedBlocks(compressed)) {
    result.blocks.emplace_back();
    result.blocks.back().block = name;
  }
  if (options.progress)
    options.progress("running blocks dense and compressed in turns");
  Rows inputs(profile, rows);
  // Dense, compressed, compressed with all neurons, with all columns of x.
  enum { Dense, Compressed, AllNeurons, AllInputs, NumForms };
  Times times[NumForms];
  Times onAll[2]; // dense, compressed
  const unsigned forms =
      setCrossovers(skipping, result.blocks, ".input_crossover", 1) ? NumForms
                                                                    : AllInputs;
  for (unsigned turn = 0; turn < warmUps + runs; ++turn) {
    bool isTimed = turn >= warmUps;
    auto arrays = inputs.inputs(exact.model.getFile(), turn);
    if (!arrays)
      return arrays.takeError();
    std::vector<NpyArray> skipped;
    // Which form is first alternates: what one leaves in cache is the other's.
    for (unsigned i = 0; i < forms; ++i) {
      unsigned form = (turn + i) % forms;
      if (form != Dense) {
        setCrossovers(skipping, result.blocks, ".crossover",
                      form == AllNeurons ? -1.0 : 1.0);
        setCrossovers(skipping, result.blocks, ".input_crossover",
                      form == AllInputs ? -1.0 : 1.0);
      }
      Form &chosen = form ? skipping : exact;
      if (Error error = run(chosen, chosen.model.getInstance(), *arrays,
                            isTimed ? &times[form] : nullptr))
        return std::move(error);
      if (form == Compressed)
        skipped = skipping.model.getInstance().getResults();
    }
    for (unsigned i = 0; i < 2 && exact.onAll; ++i) {
      unsigned form = (turn + i) % 2;
      Form &chosen = form ? skipping : exact;
      if (Error error = run(chosen, *chosen.onAll, *arrays,
                            isTimed ? &onAll[form] : nullptr))
        return std::move(error);
    }
    if (isTimed)
      compareForms(exact.model.getInstance().getResults(), skipped,
                   result.blocks, runs);
  }
  result.rows = inputs.most();
  StringMap<double> densities = skipping.model.getInstance().getDensities();
  for (BlockTimes &block : result.blocks) {
    double ignored = 0;
    block.dense = medianAndNoise(times[Dense].all[block.block], block.noise);
    block.compressed =
        medianAndNoise(times[Compressed].all[block.block], block.noise);
    auto measureList = [&](ListTimes &list, Times &without, StringRef name) {
      // Kernels of the other list skip in both.
      list.selected =
          medianAndNoise(times[Compressed].selected[block.block], ignored) -
          medianAndNoise(without.selected[block.block], ignored);
      list.whole = medianAndNoise(without.all[block.block], ignored);
      list.density = densities.lookup(name);
    };
    measureList(block.neurons, times[AllNeurons], block.block);
    measureList(block.inputs, times[AllInputs], block.block + ".inputs");
    block.denseOnAll = medianAndNoise(onAll[0].all[block.block], ignored);
    block.compressedOnAll = medianAndNoise(onAll[1].all[block.block], ignored);
  }
  return result;
}
