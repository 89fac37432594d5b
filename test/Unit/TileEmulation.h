// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tile instructions as vector code, to test code for AMX where there is none.
#ifndef SPARSE_OPT_TEST_UNIT_TILEEMULATION_H
#define SPARSE_OPT_TEST_UNIT_TILEEMULATION_H
#include "mlir/IR/BuiltinOps.h"

namespace sparse_opt {
/// Replaces the ops of dialect amx that multiply bf16 and their types.
void emulateTiles(mlir::ModuleOp module);
} // namespace sparse_opt
#endif
