// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads ONNX models, binary (.onnx) or textual (.onnxtxt), into the `onnx`
// stage (docs/pipeline.md). No ONNX or protobuf type crosses this header.
#ifndef SPARSE_OPT_FRONTEND_IMPORT_H
#define SPARSE_OPT_FRONTEND_IMPORT_H
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <string>
#include <vector>

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace sparse_opt {

struct ImportOptions {
  /// Folders outside the model's own from which external data may be read.
  std::vector<std::string> allowExternal;
  /// Operators are converted up to this opset of ai.onnx; models written for
  /// a newer one keep theirs.
  int64_t canonicalOpset = 21;
};

/// The dialects that an imported module needs.
void registerImportDialects(mlir::DialectRegistry &registry);

/// True for names that `importOnnxFile` reads: *.onnx and *.onnxtxt.
bool isOnnxFileName(llvm::StringRef path);

/// The model in `path` as a module with one function `@main`; its weights are
/// resources that share the file's memory. Module attributes: `onnx.opset`
/// (after conversion), `onnx.source_opset`, `onnx.ir_version`,
/// `onnx.producer`, and `onnx.model_hash` (of the weights' names, types and
/// bytes, so it does not change with the container). Null when the input is no
/// valid model, after one error whose message names the file and, where there
/// is one, the node (its location is unknown; errors of later stages are
/// located at the node's NameLoc instead).
mlir::OwningOpRef<mlir::ModuleOp> importOnnxFile(llvm::StringRef path,
                                                 mlir::MLIRContext &context,
                                                 const ImportOptions &options);

/// The same for a model in memory; `name` is what diagnostics call it and
/// external data is looked up in `folder`. `text` selects the textual form.
mlir::OwningOpRef<mlir::ModuleOp>
importOnnxBuffer(llvm::StringRef bytes, bool text, llvm::StringRef name,
                 llvm::StringRef folder, mlir::MLIRContext &context,
                 const ImportOptions &options);

} // namespace sparse_opt
#endif
