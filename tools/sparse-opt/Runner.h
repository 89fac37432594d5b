// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One of those that take turns in `bench`: a compiled model or a peer.
#ifndef SPARSE_OPT_TOOLS_RUNNER_H
#define SPARSE_OPT_TOOLS_RUNNER_H
#include "BenchCase.h"
#include "Caches.h"
#include "ModelFile.h"
#include "Peer.h"
#include <chrono>

namespace sparse_opt::tool {

/// Before another's turn: longer than our threads spin. (Peers are waited for.)
constexpr std::chrono::milliseconds pauseBetweenTurns(1);

/// Between two results: the worst output of each kind.
struct Distance {
  double maxAbs = 0;
  double cos = 1; // of mean-pooled rows
};

struct Runner {
  std::string name;
  std::unique_ptr<Peer> peer;         // or:
  std::unique_ptr<Instance> instance; // of ours
  std::vector<double> times;          // nanoseconds
  std::vector<NpyArray> passed;       // inputs with caches

  /// Forgets the times and fills the caches: its own, or those that it gets as
  /// inputs because `caches`, of the model that is measured, are not its own.
  llvm::Error bind(const BenchCase &benchCase, const Caches &caches);
  llvm::Expected<std::vector<NpyArray>> getResults();
  /// Nanoseconds of each of `runs` runs.
  llvm::Expected<std::vector<double>> run(unsigned runs);
  double median() const;
  double best() const;
  /// Of one run on `inputs`, which must stay.
  llvm::Expected<std::vector<NpyArray>>
  resultsFor(const std::vector<NpyArray> &inputs);
  /// Of `ours` to what this one computes; `mask` as pooledCosine takes it.
  llvm::Expected<Distance> compareWith(const std::vector<NpyArray> &ours,
                                       const NpyArray *mask);
};

} // namespace sparse_opt::tool
#endif
