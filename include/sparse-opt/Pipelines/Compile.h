// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `sparse-opt compile` as a library: runs the stages of Stages.h over a model
// and writes what was asked for. Flags and printing are tools/'s; code
// generation, linking and import are the libraries' that it calls.
#ifndef SPARSE_OPT_PIPELINES_COMPILE_H
#define SPARSE_OPT_PIPELINES_COMPILE_H
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/OwningOpRef.h"
#include "sparse-opt/Pipelines/Methods.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/JSON.h"
#include <functional>
#include <string>
#include <vector>

namespace mlir {
class PassManager;
class TimingScope;
} // namespace mlir

namespace sparse_opt {

struct CompileOptions {
  std::string input;          ///< .onnx, .onnxtxt, or a stage dump (.mlir)
  std::string output;         ///< "-" prints IR
  std::string emit = "so";    ///< the last stage
  std::string march = "all";  ///< all, native, or a target's name
  std::string dtype = "f32";  ///< of activations: f32 or bf16
  std::string weightType;     ///< f32, bf16, int8, or empty: dtype's own
  bool weightsInFile = false; ///< beside the artefact instead of in it
  /// Who keeps caches: the caller, as the ONNX graph says, or in-place, the
  /// instance.
  std::string kvCache = "caller";
  MethodChoice methods; ///< of compressing FFN blocks
  /// For `calibrate`: results are what --ffn-expose makes them.
  bool expose = false;
  /// For the manifest: errors that were measured, and on what; may be empty.
  llvm::json::Object accuracy;
  std::string entry = "sparse_opt_model_v1";
  std::string dumpStages;    ///< a folder for one file a stage, or empty
  std::string allowExternal; ///< a further folder for external data
  unsigned jobs = 1;         ///< targets compiled at the same time
  bool timePasses = false;   ///< MLIR's report per pass, on stderr

  const std::string &getWeightType() const {
    return weightType.empty() ? dtype : weightType;
  }
  /// Sees what the methods made, beside a clone from before, and may change it
  /// (Blocks.h). A failure, with a diagnostic, ends the compilation. May be
  /// empty.
  std::function<mlir::LogicalResult(mlir::ModuleOp dense,
                                    mlir::ModuleOp compressed)>
      methodsDone;
  /// Told the name of each step as it begins; may be empty.
  std::function<void(llvm::StringRef step)> progress;
};

/// OurBug: the input was fine, a later stage was not.
enum class CompileStatus { Done, BadInput, OurBug };

/// All that `options` describe. Diagnostics go to `context`'s handlers; nothing
/// is left at `output` after a failure.
CompileStatus compileModel(mlir::MLIRContext &context,
                           const CompileOptions &options);

/// The same for a module that is already at a stage of kind Model.
CompileStatus compileModule(mlir::OwningOpRef<mlir::ModuleOp> module,
                            const CompileOptions &options);

/// The model at the end of stage `last` (a stage of kind Model).
mlir::OwningOpRef<mlir::ModuleOp> buildStage(mlir::MLIRContext &context,
                                             const CompileOptions &options,
                                             llvm::StringRef last);
mlir::OwningOpRef<mlir::ModuleOp>
buildStage(mlir::OwningOpRef<mlir::ModuleOp> module,
           const CompileOptions &options, llvm::StringRef last);

} // namespace sparse_opt
#endif
