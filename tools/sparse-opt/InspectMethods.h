// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `sparse-opt inspect model.onnx --profile=`: what methods could gain on each
// FFN block and on all, as a table and as JSON. How it is found is
// MethodSurvey.h's.
#ifndef SPARSE_OPT_TOOLS_INSPECTMETHODS_H
#define SPARSE_OPT_TOOLS_INSPECTMETHODS_H
#include "sparse-opt/Analysis/FfnReport.h"
#include "sparse-opt/Transforms/MethodSurvey.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

namespace sparse_opt::tool {

class MethodGains {
public:
  /// `survey` is of the blocks of `report`, in its order.
  MethodGains(const FfnReport &report, std::vector<SurveyedBlock> survey);

  /// Gives each of `blocks` (one a block of the report) a member `profile`.
  void addTo(llvm::json::Array &blocks) const;
  /// Of all blocks together: each method and rule.
  llvm::json::Array describe() const;
  /// One line a block and one a rule.
  void print(llvm::raw_ostream &os) const;

private:
  /// A rule on all blocks; those it isn't for stay dense.
  struct Total {
    std::string rule;
    std::string centre; ///< "various" where it isn't the same in all
    size_t blocks = 0;
    std::vector<SurveyedWork> levels;
  };
  Total totalOf(llvm::StringRef rule) const;
  SurveyedWork skipZeros() const;
  /// What reads least in all blocks of this kind; null when there is nothing.
  const Total *best(bool gated) const;
  void printBlocks(llvm::raw_ostream &os) const;

  const FfnReport &report;
  std::vector<SurveyedBlock> survey;
  std::vector<double> targets;
  std::vector<Total> totals; ///< in the order of rules
};

} // namespace sparse_opt::tool
#endif
