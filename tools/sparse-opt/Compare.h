// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Errors between two sets of arrays, as `verify` and `bench` report them.
#ifndef SPARSE_OPT_TOOLS_COMPARE_H
#define SPARSE_OPT_TOOLS_COMPARE_H
#include "sparse-opt/Support/Npz.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

namespace sparse_opt::tool {

/// Of the rows (last dimension) of two arrays. `rel` is
/// norm(y - ref) / norm(ref) a row, `cos` is 1 - the mean cosine of the rows.
struct Differences {
  double maxAbs = 0;
  double relMean = 0, relP99 = 0, relMax = 0;
  double cos = 0;

  llvm::json::Object toJson() const;
};

/// An error when types or shapes differ or are not numbers.
llvm::Expected<Differences> compareArrays(const NpyArray &array,
                                          const NpyArray &reference);

/// The mean cosine of the rows of two arrays of one shape; those of a 3-D array
/// are first averaged over its second dimension, where `mask` (of the first two
/// dimensions, may be null) isn't 0.
double pooledCosine(const NpyArray &array, const NpyArray &reference,
                    const NpyArray *mask);

/// The array called `name`, or null.
const NpyArray *findArray(const std::vector<NpyArray> &arrays,
                          llvm::StringRef name);

/// The limit of `verify`: "rel:1e-4", "cos:...", "abs:..." or a number (rel).
struct ErrorLimit {
  enum Kind { Rel, Cos, Abs } kind = Rel;
  double limit = 1e-4;

  static llvm::Expected<ErrorLimit> parse(llvm::StringRef text);
  /// True when the differences are numbers and within the limit; rel is held
  /// by the mean.
  bool holds(const Differences &differences) const;
  /// The error that the limit is on.
  double errorOf(const Differences &differences) const;
  std::string str() const;
};

} // namespace sparse_opt::tool
#endif
