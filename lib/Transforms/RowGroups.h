// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which structured ops on tensors are computed together, a row at a time.
#ifndef SPARSE_OPT_TRANSFORMS_ROWGROUPS_H
#define SPARSE_OPT_TRANSFORMS_ROWGROUPS_H
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace sparse_opt {

/// Ops of one block whose outer `rows` loops run over the same rows. A value
/// made in the group is only used by the row that made it, or outside.
struct RowGroup {
  llvm::SetVector<mlir::Operation *> ops;
  unsigned rows = 0;
  unsigned needed = 0; ///< rows that some member would lose much without
};

/// The groups of `block` with at least two ops and rows worth a loop, in the
/// order of their first ops. Contracting all of them leaves no cycle.
std::vector<RowGroup> findRowGroups(mlir::Block &block);
} // namespace sparse_opt
#endif
