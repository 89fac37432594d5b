// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Calls and times one model, whoever runs it.
#include "Runner.h"
#include "Compare.h"
#include "Quantile.h"
#include "llvm/ADT/STLExtras.h"
#include <chrono>
#include <cmath>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

Expected<std::vector<NpyArray>>
Runner::resultsFor(const std::vector<NpyArray> &inputs) {
  if (!peer)
    instance->bind(inputs);
  else if (Error error = peer->bind(inputs))
    return std::move(error);
  return getResults();
}

Error Runner::bind(const BenchCase &benchCase, const Caches &caches) {
  times.clear();
  passed = benchCase.inputs;
  if (instance && instance->keepsCaches()) {
    if (Error error = instance->fill(benchCase.fills))
      return error;
  } else if (!caches.empty()) {
    std::vector<NpyArray> cached = caches.none(benchCase.dims);
    for (std::vector<NpyArray> inputs : benchCase.fills) {
      inputs.insert(inputs.end(), cached.begin(), cached.end());
      auto results = resultsFor(inputs);
      if (!results)
        return results.takeError();
      cached = caches.passedOn(std::move(*results));
    }
    passed.insert(passed.end(), cached.begin(), cached.end());
  }
  if (peer)
    return peer->bind(passed);
  instance->bind(passed);
  return Error::success();
}

Expected<std::vector<NpyArray>> Runner::getResults() {
  if (peer)
    return peer->getResults();
  if (Error error = instance->run())
    return std::move(error);
  return instance->getResults();
}

Expected<std::vector<double>> Runner::run(unsigned runs) {
  if (peer)
    return peer->run(runs);
  std::vector<double> result;
  for (unsigned i = 0; i < runs; ++i) {
    auto start = std::chrono::steady_clock::now();
    if (Error error = instance->run())
      return std::move(error);
    std::chrono::duration<double, std::nano> time =
        std::chrono::steady_clock::now() - start;
    result.push_back(time.count());
  }
  return result;
}

double Runner::median() const { return medianOf(times); }

double Runner::best() const {
  return *std::min_element(times.begin(), times.end());
}

Expected<Distance> Runner::compareWith(const std::vector<NpyArray> &ours,
                                       const NpyArray *mask) {
  auto theirs = getResults();
  if (!theirs)
    return theirs.takeError();
  Distance worst;
  for (const NpyArray &array : ours)
    if (const NpyArray *reference = findArray(*theirs, array.name)) {
      auto differences = compareArrays(array, *reference);
      if (!differences)
        return makeError(name + ": " + toString(differences.takeError()));
      bool isNan = std::isnan(differences->maxAbs) || std::isnan(worst.maxAbs);
      worst.maxAbs = isNan ? NAN : std::max(worst.maxAbs, differences->maxAbs);
      worst.cos =
          isNan ? NAN
                : std::min(worst.cos, pooledCosine(array, *reference, mask));
    }
  return worst;
}
