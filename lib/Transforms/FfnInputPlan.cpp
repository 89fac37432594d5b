// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The plan of rules with a second threshold, on the columns of a block's x.
#include "FfnThresholdPlan.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace sparse_opt;
using namespace sparse_opt::numerics;

/// Thresholds that read `density` of the weights. Those of a step are known.
static InputThresholds thresholdsAt(double density,
                                    const std::vector<InputStep> &steps,
                                    const InputSkipping &inputs) {
  constexpr long rows = 128; // as for steps
  for (const InputStep &step : steps)
    if (std::fabs(inputs.densityOf(step.shares) - density) < 1e-6)
      return step.thresholds;
  return inputs.thresholdsFor(sharesAt(steps, inputs, density), rows);
}

/// Sets `plan.error` when the target isn't met.
static void checkTarget(ThresholdPlan &plan,
                        const std::vector<InputStep> &steps,
                        const InputSkipping &inputs, double density,
                        const ThresholdOptions &options) {
  constexpr double slack = 0.05; // of density, where values tie
  constexpr double most = 1 - 1.0 / 256;
  if (options.density && plan.fit.density < density - slack)
    plan.error = llvm::formatv(
        "{0} can't be met, for values tie: the best found is {1:f3}",
        options.target, plan.fit.density);
  if (options.cett && density == 1) {
    InputThresholds least = thresholdsAt(most, steps, inputs);
    Skipping skipping = inputs.above(least.inputs, inputs.rows());
    plan.error = llvm::formatv(
        "{0} can't be met by skipping any weights: the best found is {1:e1}, "
        "at a density of {2:f3}",
        options.target, skipping.at(least.neurons).cett, most);
  }
}

void sparse_opt::planOnInputs(ThresholdPlan &plan, const BlockStudy &study,
                              const RowSample &fitRows,
                              const ThresholdOptions &options) {
  constexpr long settingRows = 512; // on which other settings are judged
  std::vector<InputThresholds> settings;
  {
    InputSkipping inputs = study.inputsOfFitRows();
    if (!inputs.isFinite()) {
      plan.error = "gives NaN or infinity on the profile's rows";
      return;
    }
    std::vector<InputStep> steps = inputSteps(inputs);
    double density = options.density
                         ? *options.density
                         : densityForCett(steps, inputs, *options.cett);
    InputShares shares = sharesAt(steps, inputs, density);
    plan.inputThreshold = inputs.thresholdForInputs(shares.inputs);
    Skipping skipping = inputs.above(*plan.inputThreshold, inputs.rows());
    plan.threshold = skipping.thresholdForDensity(shares.neurons);
    plan.fit = inputs.at({*plan.inputThreshold, plan.threshold}, skipping);
    checkTarget(plan, steps, inputs, density, options);
    if (!plan.error.empty())
      return;
    plan.band = densityBand(skipping.rowDensities(plan.threshold), fitRows);
    plan.inputBand =
        densityBand(inputs.rowDensities(*plan.inputThreshold), fitRows);
    plan.order = byFrequency(skipping.keptAt(plan.threshold));
    for (int part = 1; part < 20; ++part) {
      InputThresholds found = thresholdsAt(part / 20.0, steps, inputs);
      plan.thresholds.push_back(found.neurons);
      plan.inputThresholds.push_back(found.inputs);
    }
    for (double setting : settingDensities) {
      settings.push_back(thresholdsAt(setting, steps, inputs));
      plan.settings.push_back({settings.back().neurons, {}});
      plan.inputSettings.push_back(settings.back().inputs);
    }
  }
  if (!plan.heldOutRows)
    return;
  InputSkipping inputs = study.inputsOfHeldOutRows();
  auto effectOf = [&](InputThresholds at, long rows) {
    return inputs.at(at, inputs.above(at.inputs, rows));
  };
  plan.heldOut =
      effectOf({*plan.inputThreshold, plan.threshold}, inputs.rows());
  for (auto [setting, found] : llvm::zip_equal(plan.settings, settings))
    setting.second = effectOf(found, settingRows);
}
