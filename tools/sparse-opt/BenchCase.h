// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Inputs of one size that `bench` measures with.
#ifndef SPARSE_OPT_TOOLS_BENCHCASE_H
#define SPARSE_OPT_TOOLS_BENCHCASE_H
#include "Inputs.h"
#include "llvm/Support/JSON.h"
#include <optional>

namespace sparse_opt::tool {

struct BenchCase {
  std::string shape; // "1x128"
  std::vector<NpyArray> inputs;
  DimValues dims;
  /// Of runs that fill the caches first, where the model keeps some.
  std::vector<std::vector<NpyArray>> fills;

  /// The value of a polynomial that the manifest has under `key`, if it does.
  std::optional<double> evaluate(const llvm::json::Object &object,
                                 llvm::StringRef key) const;
};

/// Made-up inputs of each shape, or of some sizes when there are none.
llvm::Expected<std::vector<BenchCase>>
makeCases(const ModelFile &model, std::vector<std::string> shapes);

/// Gives each shape `past` rows in the model's caches.
llvm::Error addPast(const ModelFile &model, int64_t past,
                    std::vector<std::string> &shapes);

/// The inputs in `path`.
llvm::Expected<BenchCase> readCase(const ModelFile &model,
                                   const std::string &path);

} // namespace sparse_opt::tool
#endif
