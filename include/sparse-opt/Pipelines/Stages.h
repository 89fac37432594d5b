// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The stages of a compilation as data: what each is called, what it makes and
// what may be left after it. `--help` prints this table, `--emit` and
// `--stop-after` take its names, Compile.h runs it.
#ifndef SPARSE_OPT_PIPELINES_STAGES_H
#define SPARSE_OPT_PIPELINES_STAGES_H
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Support/LLVM.h"
#include "sparse-opt/Pipelines/Methods.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace mlir {
class OpPassManager;
} // namespace mlir

namespace sparse_opt {
struct TargetInfo;

/// What the user chose that passes of all targets depend on.
struct StageOptions {
  std::string operands = "f32"; ///< of products and attentions: --dtype
  std::string weights = "f32";  ///< --weight-type
  bool statesInPlace = false;   ///< --kv-cache
  bool expose = false;          ///< FFN blocks' values instead of results
  MethodChoice methods;         ///< of compressing FFN blocks: --method
};

struct Stage {
  enum Kind {
    Model,  ///< one module for all targets
    Target, ///< one module a target
    File    ///< a file that isn't IR
  };
  llvm::StringRef name;
  llvm::StringRef description; ///< for --help: what a reader sees
  Kind kind;
  /// Passes from the stage before to this one, on the one module of the model.
  void (*buildModel)(mlir::OpPassManager &, const StageOptions &);
  /// Then those on the clone of a target.
  void (*buildTarget)(mlir::OpPassManager &, const TargetInfo &);
  /// Dialects that may remain after it; "builtin" always may.
  llvm::ArrayRef<llvm::StringLiteral> legal;
};

/// In the order in which they run.
llvm::ArrayRef<Stage> getStages();
/// The stage of this name, or null.
const Stage *lookupStage(llvm::StringRef name);
/// "onnx, ffn, ...", for messages.
std::string stageNames();

/// Reports every operation (once a kind) that may not remain after `stage`, at
/// its ONNX node.
mlir::LogicalResult checkStage(mlir::ModuleOp module, const Stage &stage);

/// The earliest stage whose contract `module` fulfils: where to go on when a
/// stage dump is compiled.
const Stage *guessStage(mlir::ModuleOp module);

} // namespace sparse_opt
#endif
