// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What --ffn-threshold decides about one block, from its weights and the
// calibration's rows. Nothing here changes IR, so blocks can be planned in
// parallel.
#ifndef SPARSE_OPT_LIB_TRANSFORMS_FFNTHRESHOLDPLAN_H
#define SPARSE_OPT_LIB_TRANSFORMS_FFNTHRESHOLDPLAN_H
#include "FfnMethods.h"
#include "FollowingNorm.h"
#include "sparse-opt/Numerics/InputThresholds.h"

namespace sparse_opt {

/// A row of the table in Passes.td.
struct ThresholdRule {
  llvm::StringLiteral name;
  bool timesUp;    ///< a score is of act times up
  bool timesUpRms; ///< and of sqrt(E[u^2])
  bool timesNorm;  ///< and of norm(down)
  bool forPlain, forGated;
  bool onInputs = false; ///< columns of x are skipped too
};

struct ThresholdOptions {
  const ThresholdRule *rule;
  numerics::Centre centre;
  std::optional<double> density, cett; ///< one of them
  std::string target;                  ///< as the user wrote it
};

struct ThresholdPlan {
  /// Of the user's making: an error. The rest is empty then.
  std::string error;
  /// Worth a warning.
  std::string warning;

  /// The block's neurons in the order they are to have.
  llvm::SmallVector<size_t> order;
  numerics::ScoreRule scores; ///< in that order; minus is the surrogate
  numerics::ConstantFold fold;
  float threshold = 0;
  numerics::SkipEffect fit;
  std::optional<numerics::SkipEffect> heldOut;
  size_t rows = 0, heldOutRows = 0;
  /// Of the norm that errors go through next; or why there is none.
  std::string norm, whyNoNorm;
  /// Least and largest density to expect of other text of this kind, of the
  /// neurons and of x's columns.
  std::pair<double, double> band, inputBand;
  /// Other thresholds and what they do on held-out rows.
  std::vector<std::pair<float, numerics::SkipEffect>> settings;
  /// Those that keep 1 / 20, 2 / 20, ... of the neurons, all but all of them.
  std::vector<float> thresholds;
  /// Of rules on inputs: the one of x's columns, and those that go with
  /// `settings` and `thresholds`, whose densities are of weights then.
  std::optional<float> inputThreshold;
  std::vector<float> inputSettings, inputThresholds;
};

/// The table of rules, and centres by their names.
llvm::ArrayRef<ThresholdRule> thresholdRules();
using NamedCentre = std::pair<llvm::StringLiteral, numerics::Centre>;
llvm::ArrayRef<NamedCentre> thresholdCentres();

/// What a block's neurons do on the profile's rows, computed once for all
/// rules and centres. Constants and weights of the block stay in place.
class BlockStudy {
public:
  /// `neurons` are the places in the profile of those the block still has. Of
  /// either rows no more than `mostRows`.
  BlockStudy(NamedBlock block, const CalibrationProfile &profile, size_t index,
             llvm::ArrayRef<size_t> neurons, size_t mostRows = SIZE_MAX);
  ~BlockStudy();

  const numerics::BlockWeights &weights() const;
  const FollowingNorm &norm() const;
  size_t rows() const;
  size_t heldOutRows() const;
  numerics::ScoreRule scoresOf(const ThresholdRule &rule,
                               numerics::Centre centre);
  /// Rows that fits may see (the first `mostRows`), and others, of which there
  /// must be some. They end before the study does.
  numerics::Skipping onFitRows(const numerics::ScoreRule &scores,
                               size_t mostRows = SIZE_MAX) const;
  numerics::Skipping onHeldOutRows(const numerics::ScoreRule &scores) const;
  /// The same rows, whose x may be thresholded.
  numerics::InputSkipping inputsOfFitRows() const;
  numerics::InputSkipping inputsOfHeldOutRows() const;

private:
  struct Data;
  std::unique_ptr<Data> data;
};

/// What the rule and centre of `options` do on fit rows at the densities 1/n,
/// 2/n, ... 1, in few enough rows and points to be quick; nothing where rows
/// aren't finite.
struct ThresholdCurve {
  std::vector<numerics::SkipEffect> effects;
  std::string whyNoNorm;
};
ThresholdCurve measureCurve(NamedBlock block, const CalibrationProfile &profile,
                            size_t index, llvm::ArrayRef<size_t> neurons,
                            const ThresholdOptions &options);

/// What says how much a knob does, by the densities it may be set to.
constexpr double settingDensities[] = {0.1, 0.2, 0.3, 0.5, 0.7};

/// Three standard deviations around the mean, of the means of sequences with
/// at least 16 rows in the sample; of runs of 16 rows where fewer than 4 are
/// that long. A hundredth of the neurons either way at least.
std::pair<double, double> densityBand(llvm::ArrayRef<double> densities,
                                      const RowSample &sample);

/// What a rule on inputs decides: `plan` has what the study says by then.
void planOnInputs(ThresholdPlan &plan, const BlockStudy &study,
                  const RowSample &fitRows, const ThresholdOptions &options);

/// Null if the block's weights can be planned with, else why not.
const char *whyNotPlanned(ffn::BlockOp block);

/// `neurons` are the places in the profile of those the block still has.
ThresholdPlan planThreshold(NamedBlock block, const CalibrationProfile &profile,
                            size_t index, llvm::ArrayRef<size_t> neurons,
                            const ThresholdOptions &options);

} // namespace sparse_opt
#endif
