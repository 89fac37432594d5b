// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The steps of a compilation: shown on a terminal while they run and, for
// --timing, listed with what each took.
#ifndef SPARSE_OPT_TOOLS_STEPCLOCK_H
#define SPARSE_OPT_TOOLS_STEPCLOCK_H
#include "Cli.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>

namespace sparse_opt::tool {

class StepClock {
public:
  explicit StepClock(bool isListed) : isListed(isListed) {}

  void begin(llvm::StringRef step) {
    end();
    current = step.str();
    start = Clock::now();
    progress.step(step);
  }
  void end() {
    progress.clear();
    if (isListed && !current.empty())
      llvm::errs() << llvm::format("%8.1f ms  ", milliseconds()) << current
                   << '\n';
    current.clear();
  }

private:
  using Clock = std::chrono::steady_clock;
  double milliseconds() const {
    return std::chrono::duration<double, std::milli>(Clock::now() - start)
        .count();
  }
  bool isListed;
  Progress progress;
  std::string current;
  Clock::time_point start;
};

} // namespace sparse_opt::tool
#endif
