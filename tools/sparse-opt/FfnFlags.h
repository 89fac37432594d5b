// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The flags of `bench --ffn`, and what is wrong with them.
#ifndef SPARSE_OPT_TOOLS_FFNFLAGS_H
#define SPARSE_OPT_TOOLS_FFNFLAGS_H
#include "FfnBench.h"
#include "llvm/Support/CommandLine.h"

namespace sparse_opt::tool {

struct FfnFlags {
  explicit FfnFlags(llvm::cl::SubCommand &command);
  bool given() const { return ffn.getNumOccurrences() != 0; }
  /// Shape, densities, forms and rows; an error without --ffn too, where one of
  /// the others is given.
  llvm::Expected<FfnBenchOptions> parse() const;

  /// An error when a model or one of the flags that are for models is given
  /// too.
  llvm::Error
  checkOthers(const llvm::cl::opt<std::string> &model,
              llvm::ArrayRef<const llvm::cl::Option *> others) const;

private:
  llvm::cl::opt<std::string> ffn, density, selection;
  llvm::cl::opt<int64_t> rows;
};

} // namespace sparse_opt::tool
#endif
