// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Between which sizes the elements of an index tensor lie that exporters
// build from Range, as masks of decoders are read. Where that is known, a
// check of sizes replaces one of every element.
#ifndef SPARSE_OPT_LIB_CONVERSION_ONNXTOLINALG_INDEXRANGE_H
#define SPARSE_OPT_LIB_CONVERSION_ONNXTOLINALG_INDEXRANGE_H
#include "sparse-opt/Analysis/SymbolicShapes.h"

namespace sparse_opt::lowering {
/// Smallest and largest element.
struct IndexRange {
  DimExpr least, most;
};

/// The range of an ONNX value, or of entry `column` of its last dimension;
/// nothing where it depends on data.
std::optional<IndexRange> indexRange(mlir::Value value,
                                     const SymbolicShapes &shapes,
                                     std::optional<int64_t> column = {});
} // namespace sparse_opt::lowering
#endif
