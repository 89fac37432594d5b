// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A plan: what was decided about each FFN block of a model, with the times
// that decided it. Replayed, it makes the same artefact without measuring.
#ifndef SPARSE_OPT_TOOLS_PLANFILE_H
#define SPARSE_OPT_TOOLS_PLANFILE_H
#include "MeasureBlocks.h"
#include <optional>

namespace sparse_opt::tool {

struct PlannedBlock {
  std::string block;
  bool isCompressed;
  std::string reason; ///< of staying dense
  std::optional<BlockTimes> times;
  double crossover = 1, inputCrossover = 1; ///< as BlockTimes has them
};

struct Plan {
  std::string modelHash;
  std::string asked;   ///< --method=, as it was given
  std::string methods; ///< the same with what was searched for found
  std::string target;  ///< times are of
  std::string dtype, weightType;
  unsigned rows = 0; ///< in a run
  unsigned runs = 0, threads = 1;
  std::vector<PlannedBlock> blocks;

  const PlannedBlock *find(llvm::StringRef block) const;
  llvm::json::Object toJson() const;
};

/// An error says what the file isn't.
llvm::Expected<Plan> readPlan(const std::string &path);

} // namespace sparse_opt::tool
#endif
