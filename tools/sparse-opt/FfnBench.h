// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `bench --ffn`: one feed-forward block with all neurons and with some of them.
#ifndef SPARSE_OPT_TOOLS_FFNBENCH_H
#define SPARSE_OPT_TOOLS_FFNBENCH_H
#include "FfnModel.h"
#include "llvm/Support/JSON.h"

namespace sparse_opt::tool {

struct FfnBenchOptions {
  FfnShape shape;
  std::vector<double> densities; ///< shares of the neurons
  std::vector<FfnForm> forms;    ///< beside the dense one
  std::vector<std::string> peers;
  std::vector<unsigned> threads;
  int64_t rows = 1;
  unsigned runs = 30;
  std::string python;
};

/// Prints a table; the results for --json.
llvm::Expected<llvm::json::Object> benchFfn(const FfnBenchOptions &options);

} // namespace sparse_opt::tool
#endif
