// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every rule on every block, with the centre that suits it. Scores and searches
// are those of --ffn-threshold, on fewer rows and to coarser steps: densities
// are within 0.02 of its own (test/tools/inspect-methods.test).
#include "FfnThresholdPlan.h"
#include "mlir/IR/Threading.h"
#include "sparse-opt/Transforms/ExposeFfn.h"
#include "sparse-opt/Transforms/MethodSurvey.h"
#include <atomic>
#include <map>

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::numerics;

/// Of fit rows and of rows held out.
constexpr size_t mostRows = 512;
/// That centres are compared on.
constexpr size_t fewRows = 128;
/// Of density.
constexpr int steps = 512;

namespace {
/// Multiply-adds of a row of a block.
struct RowCosts {
  double all, first, up, perNeuron, folded;

  explicit RowCosts(const CalibratedBlock &block)
      : first(double(block.d * block.h)), up(block.gated ? first : 0),
        perNeuron(double(block.out) * double(block.h)),
        folded(block.gated ? double(block.d * block.out) : 0) {
    all = first + up + perNeuron;
  }

  SurveyedWork at(double density, bool isWholeUp, bool isCentred) const {
    double selected = isWholeUp ? first + up + density * perNeuron
                                : first + density * (up + perNeuron);
    double constants = isCentred ? folded : 0;
    return {density, (selected + constants) / all,
            (selected + constants / sizeof(float)) / all};
  }
};

struct Survey {
  NamedBlock &block;
  const CalibrationProfile &profile;
  size_t index;
  const SurveyOptions &options;

  SurveyedBlock run() const {
    const CalibratedBlock &known = profile.blocks[index];
    SurveyedBlock result;
    result.name = block.name;
    countZeros(result);
    result.skipZeros = RowCosts(known).at(1 - result.zeros, false, false);
    if (const char *reason = whyNotPlanned(block.op)) {
      result.whyNot = reason;
      return result;
    }
    auto neurons = llvm::to_vector(llvm::seq<size_t>(0, known.h));
    BlockStudy study(block, profile, index, neurons, mostRows);
    result.rows = study.rows();
    result.heldOutRows = study.heldOutRows();
    result.norm = study.norm().name;
    result.whyNoNorm = study.norm().whyNot;
    for (const ThresholdRule &rule : thresholdRules())
      if (block.op.getGate() ? rule.forGated : rule.forPlain)
        if (!(rule.onInputs ? addOnInputs(result, study, rule)
                            : add(result, study, rule))) {
          result.whyNot = "it gives NaN or infinity on the profile's rows";
          result.rules.clear();
          break;
        }
    return result;
  }

private:
  void countZeros(SurveyedBlock &result) const {
    uint64_t rows = profile.rowsOf(index), zeros = 0;
    for (uint32_t count : profile.counts[index].zeros) {
      zeros += count;
      result.dead += count == rows;
    }
    result.zeros = double(zeros) / double(rows) /
                   double(profile.counts[index].zeros.size());
  }

  /// What a rule's scores are in this block: some rules are one there.
  bool sameScores(const ThresholdRule &a, const ThresholdRule &b) const {
    bool isGated = !!block.op.getGate();
    return !b.onInputs && (a.timesUp && isGated) == (b.timesUp && isGated) &&
           a.timesUpRms == b.timesUpRms && a.timesNorm == b.timesNorm;
  }

  /// False when the block's rows aren't finite.
  bool add(SurveyedBlock &result, BlockStudy &study,
           const ThresholdRule &rule) const {
    for (const SurveyedRule &other : result.rules)
      if (sameScores(rule, *find(other.rule))) {
        SurveyedRule entry = other;
        entry.rule = rule.name.str();
        result.rules.push_back(std::move(entry));
        return true;
      }
    SurveyedRule entry{rule.name.str(), "", {}};
    const NamedCentre *centre = bestCentre(study, rule);
    if (!centre)
      return false;
    entry.centre = centre->first.str();
    measure(entry, study, rule, centre->second);
    result.rules.push_back(std::move(entry));
    return true;
  }

  /// Of rules whose search is one over two thresholds.
  bool addOnInputs(SurveyedBlock &result, BlockStudy &study,
                   const ThresholdRule &rule) const {
    InputSkipping fit = study.inputsOfFitRows();
    if (!fit.isFinite())
      return false;
    std::optional<InputSkipping> heldOut;
    if (study.heldOutRows())
      heldOut.emplace(study.inputsOfHeldOutRows());
    const InputSkipping &judge = heldOut ? *heldOut : fit;
    std::vector<InputStep> steps = inputSteps(fit);
    SurveyedRule entry{rule.name.str(), "none", {}};
    for (double target : options.levels) {
      double density = densityForCett(steps, fit, target);
      InputThresholds thresholds =
          fit.thresholdsFor(sharesAt(steps, fit, density), fit.rows());
      SkipEffect effect =
          judge.at(thresholds, judge.above(thresholds.inputs, judge.rows()));
      SurveyedLevel level;
      level.target = target;
      level.isMet = density < 1;
      level.work = {*effect.neurons, effect.density, effect.density,
                    *effect.inputs};
      level.cett = effect.cett;
      level.afterNorm = effect.afterNorm;
      entry.levels.push_back(level);
    }
    result.rules.push_back(std::move(entry));
    return true;
  }

  static const ThresholdRule *find(StringRef name) {
    return llvm::find_if(thresholdRules(), [&](const ThresholdRule &rule) {
      return rule.name == name;
    });
  }

  /// Of those that can be folded, the one that loses least when half of the
  /// neurons are skipped. Null where rows aren't finite.
  const NamedCentre *bestCentre(BlockStudy &study,
                                const ThresholdRule &rule) const {
    const NamedCentre *best = nullptr;
    double least = 0;
    for (const NamedCentre &centre : thresholdCentres()) {
      if (centre.second != Centre::None && block.op.getUpActivation())
        continue;
      Skipping few =
          study.onFitRows(study.scoresOf(rule, centre.second), fewRows);
      if (!few.isFinite())
        return nullptr;
      double cett = few.at(few.thresholdForDensity(0.5)).cett;
      if (!best || cett < least)
        std::tie(best, least) = std::pair(&centre, cett);
    }
    return best;
  }

  void measure(SurveyedRule &entry, BlockStudy &study,
               const ThresholdRule &rule, Centre centre) const {
    ScoreRule scores = study.scoresOf(rule, centre);
    Skipping fit = study.onFitRows(scores);
    std::optional<Skipping> heldOut;
    if (study.heldOutRows())
      heldOut.emplace(study.onHeldOutRows(scores));
    RowCosts costs(profile.blocks[index]);
    for (double target : options.levels) {
      float threshold = fit.thresholdForCett(target, mostRows, steps);
      SkipEffect effect = (heldOut ? *heldOut : fit).at(threshold);
      SurveyedLevel level;
      level.target = target;
      level.isMet = fit.densityAt(threshold) < 1;
      level.work =
          costs.at(effect.density, rule.timesUp && study.weights().gated(),
                   centre != Centre::None);
      level.cett = effect.cett;
      level.afterNorm = effect.afterNorm;
      entry.levels.push_back(level);
    }
  }
};
} // namespace

FailureOr<std::vector<SurveyedBlock>>
sparse_opt::surveyMethods(ModuleOp module, const SurveyOptions &options,
                          StringRef caller) {
  FailureOr<CalibrationProfile> profile =
      profileOf(module, options.profile, caller);
  if (failed(profile))
    return failure();
  SmallVector<NamedBlock> blocks;
  SmallVector<size_t> indices;
  for (auto [i, op] : llvm::enumerate(findBlocks(module))) {
    blocks.push_back({op, nameOfBlock(op, i)});
    auto index =
        findInProfile(blocks.back(), *profile, options.profile, caller);
    if (failed(index))
      return failure();
    indices.push_back(*index);
  }
  if (blocks.empty())
    return emitError(flagLocation(module))
           << caller << ": there is no FFN block to look at";
  std::vector<SurveyedBlock> found(blocks.size());
  std::atomic<size_t> done = 0;
  parallelFor(module.getContext(), 0, blocks.size(), [&](size_t i) {
    found[i] = Survey{blocks[i], *profile, indices[i], options}.run();
    if (options.progress)
      options.progress(++done, blocks.size());
  });
  return found;
}
