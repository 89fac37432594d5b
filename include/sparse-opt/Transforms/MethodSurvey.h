// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What methods could gain on each FFN block of a model, by a profile: found
// by the searches that --ffn-threshold uses, but nothing is changed.
#ifndef SPARSE_OPT_TRANSFORMS_METHODSURVEY_H
#define SPARSE_OPT_TRANSFORMS_METHODSURVEY_H
#include "mlir/IR/BuiltinOps.h"
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sparse_opt {

/// Of a block, relative to all its neurons: what is computed when the gate (of
/// a plain block: its only product) comes first or, by rules on inputs, of
/// columns of x and of neurons alone.
struct SurveyedWork {
  double density = 1;      ///< share of the neurons
  double multiplyAdds = 1; ///< with what constants are folded into
  double bytes = 1;        ///< of f32 weights, and folded constants in int8
  double inputs = 1;       ///< share of x's columns
};

/// For a CETT that thresholds were fitted to.
struct SurveyedLevel {
  double target = 0;
  bool isMet = false; ///< some neuron may be skipped
  /// On held-out rows; on fit rows where there are none.
  SurveyedWork work;
  double cett = 0;
  std::optional<double> afterNorm; ///< the same behind the norm that follows
};

struct SurveyedRule {
  std::string rule, centre;
  std::vector<SurveyedLevel> levels;
};

struct SurveyedBlock {
  std::string name;
  std::string whyNot; ///< why there are no rules, or ""
  size_t rows = 0, heldOutRows = 0;
  double zeros = 0;            ///< share of activations that are exactly 0
  size_t dead = 0;             ///< neurons never active
  std::string norm, whyNoNorm; ///< its node; or why there is none
  SurveyedWork skipZeros;
  /// Each rule for such a block, with the centre that suits it.
  std::vector<SurveyedRule> rules;
};

struct SurveyOptions {
  std::string profile;
  std::vector<double> levels; ///< of CETT, ascending, above 0 and below 1
  /// Told of each block that is done, by any thread; may be empty.
  std::function<void(size_t done, size_t blocks)> progress;
};

/// A module at stage `ffn`; blocks side by side on the context's threads. Fails
/// with a diagnostic in `caller`'s name, or when the module has no block.
mlir::FailureOr<std::vector<SurveyedBlock>>
surveyMethods(mlir::ModuleOp module, const SurveyOptions &options,
              llvm::StringRef caller);

} // namespace sparse_opt
#endif
