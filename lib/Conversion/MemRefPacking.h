// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Buffers as few words: a memref without a layout is its pointer and its
// dynamic sizes; strides follow.
#ifndef SPARSE_OPT_CONVERSION_MEMREFPACKING_H
#define SPARSE_OPT_CONVERSION_MEMREFPACKING_H
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace sparse_opt {

/// A memref of `type` (identity layout) at `pointer` with these dynamic sizes
/// (of type index).
mlir::Value buildMemRef(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::MemRefType type, mlir::Value pointer,
                        mlir::ValueRange dynamicSizes);

/// The words of `value` as LLVM values: pointer and dynamic sizes of a plain
/// memref, every word of another, the value itself of anything else.
llvm::SmallVector<mlir::Value> packWords(mlir::OpBuilder &builder,
                                         mlir::Location loc, mlir::Value value);

/// The LLVM types of those words.
llvm::SmallVector<mlir::Type> wordTypes(mlir::Type type);

/// The inverse of packWords.
mlir::Value unpackWords(mlir::OpBuilder &builder, mlir::Location loc,
                        mlir::Type type, mlir::ValueRange words);
} // namespace sparse_opt
#endif
