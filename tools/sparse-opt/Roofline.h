// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `bench --roofline`: each kernel of a model against what this machine can do.
#ifndef SPARSE_OPT_TOOLS_ROOFLINE_H
#define SPARSE_OPT_TOOLS_ROOFLINE_H
#include "Bandwidth.h"
#include "BenchCase.h"
#include "Peak.h"

namespace sparse_opt::tool {

/// What a number of threads can do together.
struct Limits {
  unsigned threads;
  std::vector<std::pair<Arithmetic, double>> peaks; // multiply-adds a second
  ReadBandwidth bandwidth;

  static Limits measure(const ReadBuffer &buffer, unsigned threads);
  /// Once more, later: clocks change. Keeps the higher ones.
  void measurePeaksAgain();
  double peakOf(Arithmetic arithmetic) const;
};

/// One line of the table: a kernel, or equal ones together.
struct KernelLine {
  std::string name, kind; // "/MatMul", "product 384x384 bf16"
  unsigned count = 1;
  double seconds = 0; // of a run; those of all lines add up
  double best = 0;    // what others on this machine left alone
  /// Unknown: negative.
  double flops = -1, bytes = -1;
  double limitSeconds = -1; // what the limit that applies allows
  bool computeBound = false;

  double ofLimit() const { return limitSeconds / best; }
};

/// Where the time of a run went.
struct RooflineTable {
  std::vector<KernelLine> kernels;
  double between = 0; // seconds in compiled code outside kernels
  double runtime = 0; // seconds outside compiled code
  double total = 0;   // seconds of a run
  double best = 0;    // of the fastest run
  double plain = 0;   // seconds of a run that isn't timed inside

  void print(llvm::raw_ostream &os) const;
  llvm::json::Object toJson() const;
};

/// "32 KiB 256 KiB ..." and what `limits` has for them.
void printLimits(llvm::raw_ostream &os, llvm::ArrayRef<Limits> limits);
llvm::json::Array toJson(llvm::ArrayRef<Limits> limits);

/// Runs `instance` with `benchCase` bound, `runs` times with and without
/// timing what is inside.
llvm::Expected<RooflineTable> measureRoofline(const ModelFile &model,
                                              Instance &instance,
                                              const BenchCase &benchCase,
                                              Limits &limits, unsigned runs);

struct Launch {
  std::string node, kind;
};
/// The launches of `target`, in the order of Profile::launches.
std::vector<Launch> launchesOf(const ModelFile &model, llvm::StringRef target);

} // namespace sparse_opt::tool
#endif
