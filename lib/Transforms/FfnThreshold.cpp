// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Options, IR and the report of --ffn-threshold. What a block's threshold and
// constants are is FfnThresholdPlan.cpp's, how they are found lib/Numerics'.
#include "FfnMethods.h"
#include "FfnThresholdPlan.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Threading.h"
#include "mlir/Pass/Pass.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include "sparse-opt/Numerics/Allocation.h"
#include "sparse-opt/Transforms/OnnxFolding.h"
#include "sparse-opt/Transforms/Passes.h"
#include "llvm/ADT/StringExtras.h"

namespace sparse_opt {
#define GEN_PASS_DEF_FFNTHRESHOLD
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;
using numerics::Centre;

static constexpr ThresholdRule rules[] = {
    // times: up, rms of up, norm; for: plain, gated
    {"cats", false, false, false, true, true},
    {"chess", false, true, false, false, true},
    {"expected-cett", false, true, true, false, true},
    {"cett", true, false, true, true, true},
    {"product", true, false, false, true, true},
    {"scap", false, false, false, true, false},
    {"teal", true, false, false, true, true, /*onInputs=*/true},
};

static constexpr NamedCentre centres[] = {{"none", Centre::None},
                                          {"median", Centre::Median},
                                          {"mode", Centre::Mode},
                                          {"mean", Centre::Mean}};

ArrayRef<ThresholdRule> sparse_opt::thresholdRules() { return rules; }
ArrayRef<NamedCentre> sparse_opt::thresholdCentres() { return centres; }

//===----------------------------------------------------------------------===//
// Neurons that were never active
//===----------------------------------------------------------------------===//

/// Places of the neurons that were active at least once.
static SmallVector<size_t> activeNeurons(const CalibrationProfile &profile,
                                         size_t index) {
  SmallVector<size_t> active;
  uint64_t rows = profile.rowsOf(index);
  for (auto [i, zeros] : llvm::enumerate(profile.counts[index].zeros))
    if (zeros < rows)
      active.push_back(i);
  return active;
}

//===----------------------------------------------------------------------===//
// Pass
//===----------------------------------------------------------------------===//

namespace {
struct PlannedBlock {
  NamedBlock block;
  size_t index; ///< in the profile
  SmallVector<size_t> neurons;
  size_t dead = 0, removed = 0;
  ThresholdPlan plan;
  std::optional<double> density; ///< its own, unless that of all
};

struct FfnThreshold : sparse_opt::impl::FfnThresholdBase<FfnThreshold> {
  using FfnThresholdBase::FfnThresholdBase;

  void runOnOperation() override {
    // 1. What is wanted, and of which blocks.
    auto options = parseOptions();
    if (failed(options))
      return signalPassFailure();
    auto known = profileOf(getOperation(), profile, getArgument());
    if (failed(known))
      return signalPassFailure();
    auto chosen = blocksOfLayers(getOperation(), layers, getArgument());
    if (failed(chosen))
      return signalPassFailure();
    std::vector<PlannedBlock> blocks;
    for (const NamedBlock &block : *chosen)
      if (failed(take(block, *known, *options, blocks)))
        return signalPassFailure();
    // 2. Their densities, and their thresholds.
    if (allocation != "uniform" && failed(allocate(*known, *options, blocks)))
      return signalPassFailure();
    parallelFor(&getContext(), 0, blocks.size(), [&](size_t i) {
      PlannedBlock &it = blocks[i];
      ThresholdOptions own = *options;
      if (it.density)
        own.density = it.density;
      it.plan = planThreshold(it.block, *known, it.index, it.neurons, own);
    });
    // 3. IR and report.
    for (PlannedBlock &it : blocks)
      if (failed(compress(it, *options)))
        return signalPassFailure();
    for (auto function : getOperation().getOps<func::FuncOp>())
      eraseDeadNodes(function);
  }

private:
  InFlightDiagnostic error() {
    return emitError(flagLocation(getOperation())) << getArgument() << ": ";
  }
  InFlightDiagnostic error(NamedBlock block) {
    return emitError(block.op.getLoc())
           << getArgument() << ": block '" << block.name << "' ";
  }

  FailureOr<ThresholdOptions> parseOptions();
  LogicalResult take(NamedBlock block, const CalibrationProfile &known,
                     const ThresholdOptions &options,
                     std::vector<PlannedBlock> &blocks);
  LogicalResult allocate(const CalibrationProfile &known,
                         const ThresholdOptions &options,
                         std::vector<PlannedBlock> &blocks);
  LogicalResult compress(PlannedBlock &it, const ThresholdOptions &options);
  void record(const PlannedBlock &it, const ThresholdOptions &options);
};
} // namespace

/// "cats, chess, ..."
template <typename Table> static std::string namesOf(const Table &table) {
  auto nameOf = [](const auto &entry) {
    if constexpr (std::is_same_v<decltype(entry), const ThresholdRule &>)
      return entry.name;
    else
      return entry.first;
  };
  return llvm::join(llvm::map_range(table, nameOf), ", ");
}

FailureOr<ThresholdOptions> FfnThreshold::parseOptions() {
  ThresholdOptions options{};
  for (const ThresholdRule &candidate : rules)
    if (candidate.name == rule)
      options.rule = &candidate;
  if (!options.rule)
    return error() << "rule=" << rule << " is unknown; there are "
                   << namesOf(rules);
  std::string wanted = centre;
  if (wanted.empty())
    wanted = rule == "scap" ? "mode" : "none";
  const auto *found = llvm::find_if(
      centres, [&](const auto &entry) { return entry.first == wanted; });
  if (found == std::end(centres))
    return error() << "centre=" << centre << " is unknown; there are "
                   << namesOf(centres);
  options.centre = found->second;
  if (options.rule->onInputs && options.centre != Centre::None)
    return error() << "rule=" << rule << " has no centre=" << centre
                   << ": skipped inputs count 0";
  if (targetDensity.empty() == cett.empty())
    return error() << "give either target-density= or cett=";
  double target;
  bool isDensity = !targetDensity.empty();
  StringRef text = isDensity ? targetDensity : cett;
  if (text.getAsDouble(target) || !(target > 0) || !(target <= 1) ||
      (!isDensity && target == 1))
    return error() << (isDensity ? "target-density=" : "cett=") << text
                   << (isDensity ? " is no number above 0 and at most 1"
                                 : " is no number above 0 and below 1");
  (isDensity ? options.density : options.cett) = target;
  options.target = (isDensity ? "target-density=" : "cett=") + text.str();
  if (!llvm::is_contained({"uniform", "equal-error", "greedy"}, allocation))
    return error() << "allocation=" << allocation
                   << " is unknown; there are uniform, equal-error, greedy";
  if (allocation != "uniform" && !isDensity)
    return error() << "allocation=" << allocation
                   << " divides target-density= among blocks; cett= is each "
                      "block's own";
  if (allocation != "uniform" && options.rule->onInputs)
    return error() << "allocation=" << allocation
                   << " divides neurons; rule=" << rule
                   << " skips columns of x too";
  if (foldedType != "int8" && foldedType != "weights")
    return error() << "folded-type=" << foldedType
                   << " is unknown; there are int8 and weights";
  if (profile.empty())
    return error() << "needs profile=FILE, made by 'sparse-opt calibrate'";
  return options;
}

/// Adds the block to those that get a threshold, unless it has to stay.
LogicalResult FfnThreshold::take(NamedBlock block,
                                 const CalibrationProfile &known,
                                 const ThresholdOptions &options,
                                 std::vector<PlannedBlock> &blocks) {
  bool isGated = !!block.op.getGate();
  if (!(isGated ? options.rule->forGated : options.rule->forPlain))
    return error(block) << (isGated ? "is gated; rule=" : "is plain; rule=")
                        << rule
                        << (isGated ? " is for plain blocks"
                                    : " is for gated blocks");
  if (options.centre != Centre::None && block.op.getUpActivation())
    return error(block) << "has an activation behind its up projection, so "
                           "only centre=none can be folded";
  auto index = findInProfile(block, known, profile, getArgument());
  if (failed(index))
    return failure();
  PlannedBlock it{block, *index, activeNeurons(known, *index), 0, 0, {}, {}};
  size_t neurons = known.blocks[*index].h;
  it.dead = neurons - it.neurons.size();
  const char *reason = whyNotPlanned(block.op);
  if (!reason && it.neurons.empty())
    reason = "none of its neurons was ever active in calibration";
  if (reason) {
    ++numDeclined;
    recordDense(getOperation(), block.name, reason);
    return success();
  }
  if (it.dead) {
    auto remark = emitRemark(block.op.getLoc())
                  << getArgument() << ": " << it.dead << " of " << neurons
                  << " neurons of block '" << block.name
                  << "' were never active in calibration";
    if (!removeDead)
      remark << "; remove-dead would cut them out";
  }
  if (it.dead && removeDead) {
    takeNeurons(block.op, it.neurons);
    it.removed = it.dead;
    numRemoved += it.dead;
  } else {
    it.neurons.assign(llvm::seq<size_t>(0, neurons).begin(),
                      llvm::seq<size_t>(0, neurons).end());
  }
  blocks.push_back(std::move(it));
  return success();
}

/// Gives each block a density; the mean over neurons is that of `options`.
LogicalResult FfnThreshold::allocate(const CalibrationProfile &known,
                                     const ThresholdOptions &options,
                                     std::vector<PlannedBlock> &blocks) {
  if (blocks.empty())
    return success();
  std::vector<ThresholdCurve> measured(blocks.size());
  parallelFor(&getContext(), 0, blocks.size(), [&](size_t i) {
    const PlannedBlock &it = blocks[i];
    measured[i] = measureCurve(it.block, known, it.index, it.neurons, options);
  });
  const bool isGreedy = allocation == "greedy";
  std::vector<numerics::ErrorCurve> curves;
  for (auto [it, curve] : llvm::zip_equal(blocks, measured)) {
    numerics::ErrorCurve errors{double(it.neurons.size()), {}};
    for (const numerics::SkipEffect &effect : curve.effects) {
      if (isGreedy && !effect.afterNorm)
        return error(it.block)
               << "has no error behind a norm, which allocation=greedy needs: "
               << (curve.whyNoNorm.empty() ? "it isn't finite"
                                           : curve.whyNoNorm);
      errors.errors.push_back(isGreedy ? *effect.afterNorm : effect.cett);
    }
    if (errors.errors.empty())
      return error(it.block) << "gives NaN or infinity on the profile's rows";
    curves.push_back(std::move(errors));
  }
  std::vector<double> densities =
      isGreedy ? numerics::leastErrors(curves, *options.density)
               : numerics::equalErrors(curves, *options.density);
  for (auto [it, density] : llvm::zip_equal(blocks, densities))
    it.density = density;
  return success();
}

LogicalResult FfnThreshold::compress(PlannedBlock &it,
                                     const ThresholdOptions &options) {
  const ThresholdPlan &plan = it.plan;
  if (!plan.error.empty())
    return emitError(it.block.op.getLoc())
           << getArgument() << ": block '" << it.block.name
           << "': " << plan.error;
  if (!plan.warning.empty())
    emitWarning(it.block.op.getLoc()) << getArgument() << ": block '"
                                      << it.block.name << "': " << plan.warning;
  OpBuilder builder(it.block.op);
  auto constant = [&](StringRef what, ArrayRef<int64_t> shape,
                      const float *data) -> Value {
    auto type = RankedTensorType::get(shape, builder.getF32Type());
    auto fill = [&](MutableArrayRef<char> out) {
      std::memcpy(out.data(), data, out.size());
    };
    return onnx::ConstantOp::create(builder, it.block.op.getLoc(),
                                    makeConstant(type, what, fill));
  };
  auto vector = [&](StringRef what, const numerics::Vector &values) {
    return values.size() ? constant(what, {values.size()}, values.data())
                         : Value();
  };
  CompressedForm form;
  form.threshold = plan.threshold;
  form.inputThreshold = plan.inputThreshold;
  form.timesUp = plan.scores.timesUp;
  takeNeurons(it.block.op, plan.order);
  form.minus = vector("centre", plan.scores.minus);
  form.weight = vector("score_weight", plan.scores.weight);
  const numerics::Matrix &folded = plan.fold.folded;
  if (folded.size())
    form.folded =
        constant("folded", {folded.rows(), folded.cols()}, folded.data());
  if (foldedType == "int8")
    form.foldedType = builder.getI8Type();
  if (form.minus)
    form.offset = vector("offset", plan.fold.offset);
  else
    form.offset = it.block.op.getDownBias();
  if (plan.band.first < plan.band.second)
    form.band = plan.band;
  if (plan.inputBand.first < plan.inputBand.second)
    form.inputBand = plan.inputBand;
  record(it, options);
  compressBlock(it.block, form);
  ++numCompressed;
  return success();
}

void FfnThreshold::record(const PlannedBlock &it,
                          const ThresholdOptions &options) {
  Builder builder(&getContext());
  NamedAttrList entry;
  auto set = [&](StringRef name, double value) {
    entry.set(name, number(&getContext(), value));
  };
  auto setCount = [&](StringRef name, size_t value) {
    entry.set(name, builder.getI64IntegerAttr(value));
  };
  entry.set("method", builder.getStringAttr(getArgument()));
  entry.set("rule", builder.getStringAttr(rule));
  for (const auto &[name, value] : centres)
    if (value == options.centre)
      entry.set("centre", builder.getStringAttr(name));
  if (it.density)
    entry.set("allocation", builder.getStringAttr(allocation));
  const ThresholdPlan &plan = it.plan;
  set("threshold", plan.threshold);
  setCount("rows", plan.rows);
  set("density", plan.fit.density);
  set("cett", plan.fit.cett);
  auto setAll = [&](StringRef name, ArrayRef<float> values) {
    SmallVector<Attribute> all;
    for (float value : values)
      all.push_back(number(&getContext(), value));
    entry.set(name, builder.getArrayAttr(all));
  };
  auto setShares = [&](const Twine &prefix, const numerics::SkipEffect &of) {
    if (of.inputs)
      set((prefix + "input_density").str(), *of.inputs);
    if (of.neurons)
      set((prefix + "neuron_density").str(), *of.neurons);
  };
  setAll("thresholds", plan.thresholds);
  setShares("", plan.fit);
  if (plan.inputThreshold) {
    set("input_threshold", *plan.inputThreshold);
    setAll("input_thresholds", plan.inputThresholds);
  }
  setCount("dead", it.dead);
  setCount("removed", it.removed);
  if (plan.heldOut) {
    setCount("held_out_rows", plan.heldOutRows);
    set("held_out_density", plan.heldOut->density);
    setShares("held_out_", *plan.heldOut);
    set("held_out_cett", plan.heldOut->cett);
    if (plan.heldOut->withResidual)
      set("held_out_error_with_residual", *plan.heldOut->withResidual);
    if (!plan.norm.empty())
      entry.set("norm", builder.getStringAttr(plan.norm));
    if (plan.heldOut->afterNorm) {
      set("held_out_error_after_norm", *plan.heldOut->afterNorm);
    } else {
      entry.set("held_out_error_after_norm", builder.getUnitAttr());
      entry.set("no_norm", builder.getStringAttr(plan.whyNoNorm));
    }
    SmallVector<Attribute> settings;
    for (const auto &[i, known] : llvm::enumerate(plan.settings)) {
      const auto &[threshold, effect] = known;
      NamedAttrList setting;
      setting.set("threshold", number(&getContext(), threshold));
      if (plan.inputThreshold)
        setting.set("input_threshold",
                    number(&getContext(), plan.inputSettings[i]));
      setting.set("density", number(&getContext(), effect.density));
      setting.set("cett", number(&getContext(), effect.cett));
      settings.push_back(setting.getDictionary(&getContext()));
    }
    entry.set("settings", builder.getArrayAttr(settings));
  }
  recordMethod(getOperation(), it.block.name, entry);
}
