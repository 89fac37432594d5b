// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Who refers to large constants, so that passes that replace them one by one
// free each when its last use goes: never all of both copies at a time.
#ifndef SPARSE_OPT_LIB_TRANSFORMS_RESOURCEUSES_H
#define SPARSE_OPT_LIB_TRANSFORMS_RESOURCEUSES_H
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/DenseMap.h"

namespace sparse_opt {

/// Counts the ops of a module that have a resource among their attributes.
class ResourceUses {
public:
  explicit ResourceUses(mlir::ModuleOp module);
  /// Erases `op`, and frees resources that were its alone.
  void erase(mlir::Operation *op);
  unsigned numFreed() const { return freed; }

private:
  void release(mlir::DenseResourceElementsAttr resource);

  mlir::ModuleOp module;
  llvm::DenseMap<mlir::Attribute, unsigned> uses; ///< at the beginning
  unsigned freed = 0;
};

} // namespace sparse_opt
#endif
