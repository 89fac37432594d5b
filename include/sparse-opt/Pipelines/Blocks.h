// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// FFN blocks of a model, whole or compressed: taken out so that each can be
// compared and timed alone, shown in the whole model, and put back as they
// were.
#ifndef SPARSE_OPT_PIPELINES_BLOCKS_H
#define SPARSE_OPT_PIPELINES_BLOCKS_H
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include <string>
#include <vector>

namespace sparse_opt {

/// Names of the FFN blocks of a module at stage `ffn` or `ffn-compressed`, in
/// order.
std::vector<std::string> blockNames(mlir::ModuleOp module);
/// Makes input and output of each block at stage `ffn` results of @main, called
/// "<block>:x" and "<block>:y".
void tapBlocks(mlir::ModuleOp module);
/// A model of the blocks alone, from "<block>:x" to "<block>:y", in the form
/// they have. Everything of a block is located at the block's name.
mlir::OwningOpRef<mlir::ModuleOp> extractBlocks(mlir::ModuleOp module);

/// Lets the module be compiled without taking the weights from others of its
/// context, which must outlive it.
void borrowWeights(mlir::ModuleOp module);

/// Puts block `name` of `dense`, a clone from before it was compressed, in its
/// compressed form's place.
void restoreBlock(mlir::ModuleOp module, llvm::StringRef name,
                  mlir::ModuleOp dense);

/// Names of the compressed blocks alone.
std::vector<std::string> compressedBlocks(mlir::ModuleOp module);
/// Sets what knob `name` is unless a run sets it. False when there is none.
bool setKnob(mlir::ModuleOp module, llvm::StringRef name, float value);

} // namespace sparse_opt
#endif
