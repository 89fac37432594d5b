// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `max-error=` of a method: the share of neurons that a model has to keep, the
// same in every block, for its results to stay within a limit.
#ifndef SPARSE_OPT_TOOLS_SEARCHDENSITY_H
#define SPARSE_OPT_TOOLS_SEARCHDENSITY_H
#include "MeasureModel.h"

namespace sparse_opt::tool {

/// --method= with a limit where a density belongs.
struct OpenDensity {
  ModelErrorLimit limit;
  std::string before, after; ///< the word `max-error=LIMIT`

  /// With that density instead.
  std::string with(double density) const;
};

/// Nothing when there is no `max-error=`.
llvm::Expected<std::optional<OpenDensity>>
findMaxError(llvm::StringRef methods);

struct FoundDensity {
  double density;
  ModelError error;
};

/// The smallest of 0.05, 0.1, ... 0.95 within the limit, on sequences that the
/// profile holds out; an error names the best when none is.
llvm::Expected<FoundDensity> searchDensity(const CompileOptions &options,
                                           const std::string &profile,
                                           const ModelErrorLimit &limit);

} // namespace sparse_opt::tool
#endif
