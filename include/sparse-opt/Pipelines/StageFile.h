// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Stage dumps: MLIR text without the weights, which lie once, for all dumps of
// a folder, in `weights.safetensors` beside them. Text stays readable, the
// weights stay mappable, and NumPy users can open them.
#ifndef SPARSE_OPT_PIPELINES_STAGEFILE_H
#define SPARSE_OPT_PIPELINES_STAGEFILE_H
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include <optional>
#include <string>

namespace sparse_opt {

/// Writes stage files into one folder.
class StageDumper {
public:
  explicit StageDumper(std::string folder) : folder(std::move(folder)) {}
  ~StageDumper();

  /// Writes `file` (a name in the folder) and keeps the data of the module's
  /// resources, which later passes may let go of.
  llvm::Error add(mlir::ModuleOp module, llvm::StringRef file);
  /// Writes `file` alone: what the module refers to is not kept.
  llvm::Error addWithoutWeights(mlir::ModuleOp module, llvm::StringRef file);
  bool empty() const { return table.empty(); }
  /// Writes `weights` with every resource seen; last.
  llvm::Error finish(llvm::StringRef weights = "weights.safetensors");

private:
  llvm::Error append(mlir::DenseResourceElementsAttr attr);
  llvm::Error appendBytes(llvm::StringRef key, llvm::StringRef type,
                          llvm::json::Array shape, llvm::ArrayRef<char> data);

  std::string folder;
  std::optional<llvm::sys::fs::TempFile> data; // the bytes so far
  uint64_t size = 0;
  llvm::json::Object table; // safetensors' header
};

/// Prints `module`; data of resources larger than a line is left out.
void printStage(mlir::ModuleOp module, llvm::raw_ostream &os);

/// Reads MLIR text or bytecode. Null after a diagnostic.
mlir::OwningOpRef<mlir::ModuleOp> loadStageFile(llvm::StringRef path,
                                                mlir::MLIRContext &context);
/// Gives resources that were left out of `path` their data, from
/// `<stem>.safetensors` or `weights.safetensors` beside it.
mlir::LogicalResult attachWeights(mlir::ModuleOp module, llvm::StringRef path);

/// Writes beside and renames; `write` fills the stream.
llvm::Error
writeFileAtomically(llvm::StringRef path,
                    llvm::function_ref<llvm::Error(llvm::raw_ostream &)> write);

} // namespace sparse_opt
#endif
