// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_LIB_FRONTEND_TYPES_H
#define SPARSE_OPT_LIB_FRONTEND_TYPES_H
#include "Report.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Types.h"
#include "llvm/ADT/StringSet.h"

namespace sparse_opt::frontend {

/// Tensors become tensors, ranked or not; everything else, and null, becomes
/// `!onnx.opaque`.
mlir::Type convertType(const pb::TypeProto *type, mlir::MLIRContext &context);

/// Names for the dims of a function's arguments and results.
class DimNames {
public:
  explicit DimNames(const pb::GraphProto &graph);
  /// `onnx.dims` of `value`, whose MLIR type is `type`; null when unranked.
  mlir::ArrayAttr dims(const pb::ValueInfoProto &value, mlir::Type type);

private:
  /// Every name the graph's inputs and outputs use.
  llvm::StringSet<> declared;
};

} // namespace sparse_opt::frontend
#endif
