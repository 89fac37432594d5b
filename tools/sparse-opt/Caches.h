// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a model says of the caches its instances keep: how they are filled to a
// length, and what others, whose caller passes the caches, are given instead.
#ifndef SPARSE_OPT_TOOLS_CACHES_H
#define SPARSE_OPT_TOOLS_CACHES_H
#include "Inputs.h"

namespace sparse_opt::tool {

class Caches {
public:
  explicit Caches(const ModelFile &model);
  /// True for a model that keeps none.
  bool empty() const { return pairs.empty(); }

  /// The symbol of their length; "" when there are none.
  const std::string &getLength() const { return length; }
  int64_t lengthIn(const DimValues &dims) const;
  /// Sizes that the length decides: {"total": "past+sequence"}.
  const std::map<std::string, std::string> &getSizes() const { return sizes; }

  /// Sizes of runs that one after the other bring empty caches to the length
  /// in `dims`.
  llvm::Expected<std::vector<DimValues>> fills(const DimValues &dims) const;
  /// Sizes of the run after one of `dims`, with a row if rows can be counted.
  llvm::Expected<DimValues> nextStep(const DimValues &dims) const;

  /// Empty caches as inputs.
  std::vector<NpyArray> none(const DimValues &dims) const;
  /// The inputs that these results are for the run after.
  std::vector<NpyArray> passedOn(std::vector<NpyArray> results) const;

private:
  struct Pair {
    std::string input, output;
    int32_t elementType;
    llvm::ArrayRef<const char *> dimNames;
    llvm::ArrayRef<int64_t> dims;
  };
  std::vector<Pair> pairs;
  std::string length, after;
  std::map<std::string, std::string> sizes;
};

} // namespace sparse_opt::tool
#endif
