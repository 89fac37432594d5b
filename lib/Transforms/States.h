// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a cache looks like in linalg: rows joined behind those of an input.
#ifndef SPARSE_OPT_LIB_TRANSFORMS_STATES_H
#define SPARSE_OPT_LIB_TRANSFORMS_STATES_H
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace sparse_opt {

/// The dimension along which `appended` puts rows behind those that `kept` put
/// first; nothing when it does something else.
std::optional<int64_t> appendAxis(mlir::tensor::InsertSliceOp kept,
                                  mlir::tensor::InsertSliceOp appended);

/// `onnx.dims` of a function's argument, or null.
mlir::ArrayAttr argDims(mlir::BlockArgument argument);

/// insert_slice(x, insert_slice(past, empty)), which is a result.
struct State {
  mlir::BlockArgument past;
  mlir::tensor::InsertSliceOp kept, appended;
  unsigned result; ///< its number
  int64_t axis;    ///< along which rows are appended

  llvm::StringRef dim(int64_t i) const {
    return llvm::cast<mlir::StringAttr>(argDims(past)[i]).getValue();
  }
  /// The symbol of the past's length.
  llvm::StringRef symbol() const { return dim(axis); }
  mlir::tensor::EmptyOp joined() const {
    return kept->getOperand(1).getDefiningOp<mlir::tensor::EmptyOp>();
  }
  llvm::SmallVector<mlir::OpFoldResult> joinedSizes() const {
    return joined().getMixedSizes();
  }
  mlir::OpFoldResult length() const { return joinedSizes()[axis]; }
};

/// `argument` as a cache; nothing when it isn't read only to be joined with
/// new rows for a result.
std::optional<State> matchState(mlir::BlockArgument argument);

} // namespace sparse_opt
#endif
