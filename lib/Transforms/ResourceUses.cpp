// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ResourceUses.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinDialect.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace sparse_opt;

static void
forEachResource(Operation *op,
                llvm::function_ref<void(DenseResourceElementsAttr)> body) {
  for (NamedAttribute named : op->getAttrs())
    if (auto resource = dyn_cast<DenseResourceElementsAttr>(named.getValue()))
      body(resource);
}

ResourceUses::ResourceUses(ModuleOp module) : module(module) {
  module.walk([&](Operation *op) {
    forEachResource(op, [&](auto resource) { ++uses[resource]; });
  });
}

void ResourceUses::erase(Operation *op) {
  SmallVector<DenseResourceElementsAttr, 1> released;
  forEachResource(op, [&](auto resource) { released.push_back(resource); });
  op->erase();
  llvm::for_each(released, [&](auto resource) { release(resource); });
}

void ResourceUses::release(DenseResourceElementsAttr resource) {
  auto known = uses.find(resource);
  if (known == uses.end() || known->second == 0 || --known->second != 0)
    return;
  // Clones that were made since.
  WalkResult other = module.walk([&](Operation *op) {
    bool found = false;
    forEachResource(op, [&](auto other) { found |= other == resource; });
    return found ? WalkResult::interrupt() : WalkResult::advance();
  });
  if (other.wasInterrupted())
    return;
  auto handle = resource.getRawHandle();
  handle.getManagerInterface(resource.getContext())
      .getBlobManager()
      .update(handle.getKey(), AsmResourceBlob());
  ++freed;
}
