// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FfnThresholdPlan.h"
#include "mlir/IR/TypeUtilities.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <numeric>

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::numerics;

//===----------------------------------------------------------------------===//
// A block's data as matrices
//===----------------------------------------------------------------------===//

static_assert(int(Activation::QuickGelu) == int(ffn::Activation::QuickGelu) &&
                  int(Activation::Silu) == int(ffn::Activation::Silu),
              "numerics has ffn's activations in its order");

namespace {
/// Floats of a constant, in place when they lie well.
class Floats {
public:
  explicit Floats(Value value) {
    if (!value)
      return;
    data = *getConstantData(value);
    ArrayRef<int64_t> shape = data.type.getShape();
    rows = shape.size() == 2 ? shape[0] : 1;
    columns = shape.back();
    at = reinterpret_cast<const float *>(data.bytes.data());
    bool isAligned = reinterpret_cast<uintptr_t>(at) % alignof(float) == 0;
    if (isAligned && !data.splat)
      return;
    copy.resize(data.size());
    for (auto [i, element] : llvm::enumerate(copy))
      element = static_cast<float>(data.getDouble(i));
    at = copy.data();
  }
  MatrixView matrix() const { return MatrixView(at, rows, columns); }
  VectorView vector() const { return VectorView(at, columns); }

private:
  ConstantData data;
  const float *at = nullptr;
  long rows = 0, columns = 0;
  std::vector<float> copy;
};

struct BlockFloats {
  explicit BlockFloats(ffn::BlockOp op)
      : gate(op.getGate()), gateBias(op.getGateBias()), up(op.getUp()),
        upBias(op.getUpBias()), down(op.getDown()), downBias(op.getDownBias()),
        weights{static_cast<Activation>(op.getActivation()),
                static_cast<Activation>(
                    op.getUpActivation().value_or(ffn::Activation::Identity)),
                gate.matrix(),
                gateBias.vector(),
                up.matrix(),
                upBias.vector(),
                down.matrix(),
                downBias.vector(),
                op.getCutoff() ? std::optional(op.getCutoff()->convertToFloat())
                               : std::nullopt} {}

  Floats gate, gateBias, up, upBias, down, downBias;
  BlockWeights weights;
};
} // namespace

const char *sparse_opt::whyNotPlanned(ffn::BlockOp block) {
  for (Value value : block->getOperands())
    if (!getElementTypeOrSelf(value).isF32())
      return "its weights aren't f32";
  return hasConstantWeights(block) ? nullptr
                                   : "its weights aren't constants with data";
}

/// Rows of x, and of the residual if there is one. A sample is in the order of
/// hashes, so its first rows are as good as any.
static std::pair<Matrix, Matrix>
rowsOf(const RowSample &sample, const CalibratedBlock &block, size_t mostRows) {
  // Bounds what Skipping holds: 40 MB, unless 256 rows take more.
  constexpr int64_t mostValues = 1 << 21;
  size_t rows = std::min<size_t>(
      {sample.size(), size_t(std::max<int64_t>(256, mostValues / block.h)),
       mostRows});
  auto columns = [&](int64_t begin, int64_t count) -> Matrix {
    std::vector<float> all = sample.columnsOf(begin, count);
    return MatrixView(all.data(), rows, count);
  };
  return {columns(0, block.d),
          block.hasResidual ? columns(block.d, block.out) : Matrix()};
}

//===----------------------------------------------------------------------===//
// The plan
//===----------------------------------------------------------------------===//

/// sqrt(E[u^2]): of all rows that were counted where `u` is what was counted.
static Vector rmsOfUp(const CalibrationProfile &profile, size_t index,
                      ArrayRef<size_t> neurons, const BlockWeights &block,
                      const Matrix &up) {
  if (block.upActivation != Activation::Identity)
    return (up.cast<double>().colwise().squaredNorm() / double(up.rows()))
        .cwiseSqrt()
        .cast<float>();
  BlockSums sums = profile.sumsOf(index);
  Vector rms(neurons.size());
  for (auto [i, neuron] : llvm::enumerate(neurons))
    rms[i] = static_cast<float>(
        std::sqrt(sums.up.squares[neuron] / double(sums.rows)));
  return rms;
}

struct BlockStudy::Data {
  Data(NamedBlock block, const CalibrationProfile &profile, size_t index,
       ArrayRef<size_t> neurons, size_t mostRows)
      : floats(block.op), norm(findFollowingNorm(block.op)), profile(profile),
        index(index), neurons(neurons) {
    auto take = [&](Rows &rows, const RowSample &sample) {
      std::tie(rows.x, rows.residual) =
          rowsOf(sample, profile.blocks[index], mostRows);
      rows.count = rows.x.rows();
      if (rows.count)
        rows.neurons = evaluate(floats.weights, rows.x);
    };
    take(fit, profile.rows[index].fit);
    take(heldOut, profile.rows[index].heldOut);
  }

  struct Rows {
    size_t count = 0;
    Matrix x;
    Neurons neurons;
    Matrix residual;
  };
  Skipping skipping(const Rows &rows, const ScoreRule &scores) const {
    return Skipping(floats.weights, rows.neurons, scores, rows.residual,
                    norm.apply);
  }
  InputSkipping inputs(const Rows &rows) const {
    return InputSkipping(floats.weights, rows.x, rows.residual, norm.apply);
  }

  BlockFloats floats;
  FollowingNorm norm;
  const CalibrationProfile &profile;
  size_t index;
  ArrayRef<size_t> neurons;
  Rows fit, heldOut;
  llvm::DenseMap<int, Vector> centres;
};

BlockStudy::BlockStudy(NamedBlock block, const CalibrationProfile &profile,
                       size_t index, ArrayRef<size_t> neurons, size_t mostRows)
    : data(std::make_unique<Data>(block, profile, index, neurons, mostRows)) {}

BlockStudy::~BlockStudy() = default;

const BlockWeights &BlockStudy::weights() const { return data->floats.weights; }
const FollowingNorm &BlockStudy::norm() const { return data->norm; }
size_t BlockStudy::rows() const { return data->fit.count; }
size_t BlockStudy::heldOutRows() const { return data->heldOut.count; }

Skipping BlockStudy::onFitRows(const ScoreRule &scores, size_t mostRows) const {
  if (mostRows >= data->fit.count)
    return data->skipping(data->fit, scores);
  auto first = [&](const Matrix &all) -> Matrix {
    return all.topRows(std::min<long>(all.rows(), mostRows));
  };
  const Neurons &neurons = data->fit.neurons;
  return data->skipping({mostRows,
                         Matrix(),
                         {first(neurons.act), first(neurons.up)},
                         first(data->fit.residual)},
                        scores);
}

Skipping BlockStudy::onHeldOutRows(const ScoreRule &scores) const {
  return data->skipping(data->heldOut, scores);
}

InputSkipping BlockStudy::inputsOfFitRows() const {
  return data->inputs(data->fit);
}

InputSkipping BlockStudy::inputsOfHeldOutRows() const {
  return data->inputs(data->heldOut);
}

ScoreRule BlockStudy::scoresOf(const ThresholdRule &rule, Centre centre) {
  const Neurons &neurons = data->fit.neurons;
  ScoreRule scores;
  if (centre != Centre::None) {
    Vector &centres = data->centres[int(centre)];
    if (!centres.size())
      centres = centresOf(neurons.act, centre);
    scores.minus = centres;
  }
  scores.timesUp = rule.timesUp && weights().gated();
  if (rule.timesNorm)
    scores.weight = downNorms(weights());
  if (rule.timesUpRms) {
    Vector rms = rmsOfUp(data->profile, data->index, data->neurons, weights(),
                         neurons.up);
    scores.weight =
        scores.weight.size() ? Vector(scores.weight.cwiseProduct(rms)) : rms;
  }
  return scores;
}

std::pair<double, double> sparse_opt::densityBand(ArrayRef<double> densities,
                                                  const RowSample &sample) {
  constexpr size_t least = 16;
  llvm::MapVector<uint64_t, SmallVector<double>> groups;
  auto group = [&](auto keyOf) {
    groups.clear();
    for (auto [row, density] : llvm::enumerate(densities))
      groups[keyOf(row)].push_back(density);
    groups.remove_if([](auto &it) { return it.second.size() < least; });
  };
  group([&](size_t row) { return sample.key(row).sequence; });
  if (groups.size() < 4)
    group([](size_t row) { return row / least; });
  if (groups.empty())
    return {0, 0};
  double sum = 0, squares = 0;
  for (auto &[key, values] : groups) {
    double mean = std::accumulate(values.begin(), values.end(), 0.0) /
                  double(values.size());
    sum += mean;
    squares += mean * mean;
  }
  double mean = sum / double(groups.size());
  double variance = squares / double(groups.size()) - mean * mean;
  double reach = std::max(0.01, 3 * std::sqrt(std::max(0.0, variance)));
  return {std::max(0.0, mean - reach), std::min(1.0, mean + reach)};
}

/// The threshold of the target; sets `plan.error` when there is none.
static void chooseThreshold(ThresholdPlan &plan, const Skipping &skipping,
                            const ThresholdOptions &options) {
  constexpr double slack = 0.05; // of density, where scores tie
  plan.threshold = options.density
                       ? skipping.thresholdForDensity(*options.density)
                       : skipping.thresholdForCett(*options.cett);
  double density = skipping.densityAt(plan.threshold);
  if (options.density && plan.threshold > 0 &&
      density < *options.density - slack)
    plan.error = llvm::formatv(
        "{0} can't be met, for scores tie: the best found is {1:f3}",
        options.target, density);
  if (options.cett && plan.threshold == 0 && density == 1) {
    float least = skipping.thresholdForDensity(0.999);
    plan.error = llvm::formatv(
        "{0} can't be met by skipping any neurons: the best found is {1:e1}, "
        "for one in a thousand",
        options.target, skipping.at(least).cett);
  }
}

static Vector inOrder(const Vector &values, ArrayRef<size_t> order) {
  Vector ordered(values.size());
  for (auto [i, neuron] : llvm::enumerate(order.take_front(values.size())))
    ordered[i] = values[neuron];
  return ordered;
}

/// One threshold, of the neurons.
static void planOnNeurons(ThresholdPlan &plan, const BlockStudy &study,
                          const RowSample &fitRows,
                          const ThresholdOptions &options) {
  {
    Skipping skipping = study.onFitRows(plan.scores);
    if (!skipping.isFinite()) {
      plan.error = "gives NaN or infinity on the profile's rows";
      return;
    }
    chooseThreshold(plan, skipping, options);
    if (!plan.error.empty())
      return;
    plan.fit = skipping.at(plan.threshold);
    plan.band = densityBand(skipping.rowDensities(plan.threshold), fitRows);
    plan.order = byFrequency(skipping.keptAt(plan.threshold));
    for (int part = 1; part < 20; ++part)
      plan.thresholds.push_back(skipping.thresholdForDensity(part / 20.0));
    for (double density : settingDensities)
      plan.settings.push_back({skipping.thresholdForDensity(density), {}});
  }
  if (plan.heldOutRows) {
    Skipping skipping = study.onHeldOutRows(plan.scores);
    plan.heldOut = skipping.at(plan.threshold);
    for (auto &[threshold, effect] : plan.settings)
      effect = skipping.at(threshold);
  }
}

ThresholdPlan sparse_opt::planThreshold(NamedBlock block,
                                        const CalibrationProfile &profile,
                                        size_t index, ArrayRef<size_t> neurons,
                                        const ThresholdOptions &options) {
  ThresholdPlan plan;
  BlockStudy study(block, profile, index, neurons);
  plan.norm = study.norm().name;
  plan.whyNoNorm = study.norm().whyNot;
  plan.rows = study.rows();
  plan.heldOutRows = study.heldOutRows();
  plan.scores = study.scoresOf(*options.rule, options.centre);
  (options.rule->onInputs ? planOnInputs : planOnNeurons)(
      plan, study, profile.rows[index].fit, options);
  if (!plan.error.empty())
    return plan;
  if (plan.heldOut && plan.whyNoNorm.empty() && !plan.heldOut->afterNorm)
    plan.whyNoNorm = "it gives NaN or infinity on the profile's rows";
  if (options.cett && plan.heldOut && plan.heldOut->cett > 1.25 * *options.cett)
    plan.warning = llvm::formatv("CETT is {0:f4} on held-out rows, where "
                                 "{1} was asked for",
                                 plan.heldOut->cett, options.target);
  plan.fold = foldConstant(study.weights(), plan.scores.minus);
  plan.scores.minus = inOrder(plan.scores.minus, plan.order);
  plan.scores.weight = inOrder(plan.scores.weight, plan.order);
  return plan;
}

ThresholdCurve sparse_opt::measureCurve(NamedBlock block,
                                        const CalibrationProfile &profile,
                                        size_t index, ArrayRef<size_t> neurons,
                                        const ThresholdOptions &options) {
  constexpr int points = 32;
  BlockStudy study(block, profile, index, neurons, /*mostRows=*/512);
  Skipping skipping =
      study.onFitRows(study.scoresOf(*options.rule, options.centre));
  ThresholdCurve curve{{}, study.norm().whyNot};
  if (skipping.isFinite())
    for (int point = 1; point <= points; ++point)
      curve.effects.push_back(
          skipping.at(skipping.thresholdForDensity(double(point) / points)));
  return curve;
}
