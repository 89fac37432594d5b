// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which blocks leave their dense form: those whose compressed kernels were
// measured faster, or that a plan names. What was decided, and why, goes to the
// terminal, to --report= and to --save-plan=.
#ifndef SPARSE_OPT_TOOLS_CHOOSEMETHODS_H
#define SPARSE_OPT_TOOLS_CHOOSEMETHODS_H
#include "MeasureBlocks.h"
#include "MeasureModel.h"
#include <optional>

namespace sparse_opt::tool {

struct ChoiceOptions {
  std::string asked;                  ///< --method=
  std::string plan, savePlan, report; ///< files, or ""
  bool unmeasured = false; ///< compress what methods can, faster or not
  bool lossless = false;   ///< check that nothing was lost
  unsigned rows = 0;       ///< a run computes; 0: as the model is used
};

/// --profile=, or the one that a method names itself.
std::string profileFor(const MethodChoice &methods);

class MethodChooser {
public:
  explicit MethodChooser(ChoiceOptions options) : options(std::move(options)) {}

  /// For CompileOptions::methodsDone: puts the blocks back that stay dense.
  mlir::LogicalResult choose(mlir::ModuleOp dense, mlir::ModuleOp compressed,
                             const CompileOptions &compile);
  /// A line for each block and one for all.
  void print(llvm::raw_ostream &os) const;
  /// --report= and --save-plan=, once the artefact is written.
  llvm::Error save(const CompileOptions &compile) const;

private:
  struct Choice {
    std::string block;
    bool isCompressed = true;
    std::string reason;              ///< of staying dense
    std::optional<BlockTimes> times; ///< measured here or, by a plan, there
    /// All neurons, or columns of x, above that density.
    double crossover = 1, inputCrossover = 1;
    llvm::json::Object method; ///< what `ffn.methods` says
  };

  llvm::Error decide(mlir::ModuleOp dense, mlir::ModuleOp compressed,
                     const CompileOptions &compile);
  llvm::Error follow(llvm::StringRef modelHash, const CompileOptions &compile);
  llvm::Error measure(mlir::ModuleOp dense, mlir::ModuleOp compressed,
                      const CompileOptions &compile);
  llvm::Error measureModel(mlir::ModuleOp dense, mlir::ModuleOp compressed,
                           const CompileOptions &compile);
  llvm::Error checkLossless(const CompileOptions &compile) const;
  void stayDense(llvm::StringRef reason);
  std::string textOf(const Choice &choice) const;
  void printTimes(llvm::raw_ostream &os) const;
  void printModel(llvm::raw_ostream &os) const;
  llvm::json::Object planJson(const CompileOptions &compile) const;

  ChoiceOptions options;
  std::vector<Choice> choices;
  std::string modelHash, methods;
  BlockMeasurement measured; ///< but for its blocks, which `choices` have
  std::optional<llvm::json::Object> model; ///< of the whole model
  std::string whyNoModel; ///< a report was asked for and it wasn't measured
};

} // namespace sparse_opt::tool
#endif
