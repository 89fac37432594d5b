// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "MeasureBlocks.h"
#include "Compare.h"
#include "Roofline.h"
#include "TemporaryModel.h"
#include "sparse-opt/Pipelines/Blocks.h"
#include "llvm/ADT/STLExtras.h"
#include <cmath>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

namespace {
/// One form of all blocks.
struct Form {
  TemporaryModel model;
  std::vector<std::string> launches;         // block of each
  StringMap<std::vector<double>> blockTimes; // seconds of each run

  Error build(mlir::ModuleOp module, CompileOptions options, StringRef what);
  Error run(const std::vector<NpyArray> &inputs, bool isTimed);
};

/// Rows of x of every block, one run after the other.
class Rows {
public:
  Rows(const CalibrationProfile &profile, int64_t count)
      : profile(profile), count(count) {}
  /// Of run `turn`, for the inputs of a model of the blocks alone.
  Expected<std::vector<NpyArray>> inputs(const ModelFile &model, size_t turn);

private:
  const RowSample &sampleOf(size_t block) const;

  const CalibrationProfile &profile;
  int64_t count;
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
  launches = launchNames(model.getFile(), model.getInstance().getTarget());
  return model.getInstance().enableProfile(true);
}

Error Form::run(const std::vector<NpyArray> &inputs, bool isTimed) {
  Instance &instance = model.getInstance();
  instance.bind(inputs);
  if (Error error = instance.run())
    return error;
  if (!isTimed)
    return Error::success();
  Expected<Profile> profile = instance.getProfile();
  if (!profile)
    return profile.takeError();
  StringMap<double> sums;
  for (auto [time, block] : zip(profile->launches, launches))
    sums[block] += double(time) * 1e-9;
  for (const auto &entry : sums)
    blockTimes[entry.getKey()].push_back(entry.getValue());
  return Error::success();
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
    array.shape.assign(info.rank, 1);
    array.shape.back() = d;
    if (info.rank > 1)
      array.shape[info.rank - 2] = count;
    else if (count != 1)
      return makeError("block '" + name + "' has one row");
    array.data.resize(count * d * sizeof(float));
    for (int64_t row = 0; row < count; ++row) {
      size_t from = (turn * count + row) % sample.size();
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

static double quantile(const std::vector<double> &sorted, double q) {
  return sorted[size_t(q * double(sorted.size() - 1) + 0.5)];
}

static void compareForms(Form &dense, Form &compressed,
                         std::vector<BlockTimes> &blocks, unsigned runs) {
  std::vector<NpyArray> exact = dense.model.getInstance().getResults();
  for (const NpyArray &y : compressed.model.getInstance().getResults()) {
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

static void setTimes(BlockTimes &block, Form &dense, Form &compressed) {
  auto medianOf = [&](Form &form) {
    std::vector<double> &times = form.blockTimes[block.block];
    if (times.empty())
      return 0.0;
    sort(times);
    double spread = quantile(times, 0.75) - quantile(times, 0.25);
    double median = quantile(times, 0.5);
    block.noise = std::max(block.noise,
                           spread / median / std::sqrt(double(times.size())));
    return median;
  };
  block.dense = medianOf(dense);
  block.compressed = medianOf(compressed);
}

Expected<BlockMeasurement>
sparse_opt::tool::measureBlocks(mlir::ModuleOp dense, mlir::ModuleOp compressed,
                                const CompileOptions &options,
                                const CalibrationProfile &profile,
                                int64_t rows) {
  constexpr unsigned warmUps = 2, runs = 40;
  BlockMeasurement result;
  result.rows = rows;
  result.runs = runs;
  Form forms[2];
  if (Error error = forms[0].build(dense, options, "dense blocks"))
    return std::move(error);
  if (Error error = forms[1].build(compressed, options, "compressed blocks"))
    return std::move(error);
  result.target = forms[0].model.getInstance().getTarget().str();
  for (const std::string &name : blockNames(compressed))
    result.blocks.push_back({name});
  if (options.progress)
    options.progress("running blocks dense and compressed in turns");
  Rows inputs(profile, rows);
  for (unsigned turn = 0; turn < warmUps + runs; ++turn) {
    bool isTimed = turn >= warmUps;
    auto arrays = inputs.inputs(forms[0].model.getFile(), turn);
    if (!arrays)
      return arrays.takeError();
    // Which form is first alternates: what one leaves in cache is the other's.
    for (unsigned i = 0; i < 2; ++i)
      if (Error error = forms[(turn + i) % 2].run(*arrays, isTimed))
        return std::move(error);
    if (isTimed)
      compareForms(forms[0], forms[1], result.blocks, runs);
  }
  for (BlockTimes &block : result.blocks)
    setTimes(block, forms[0], forms[1]);
  return result;
}
