// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The CPU targets as one table: what a pass that generates code must know of
// each. A new target (AMX, bf16) is a new row; the names are those of
// `--march` and of the artefact's variants.
#ifndef SPARSE_OPT_TARGET_TARGETINFO_H
#define SPARSE_OPT_TARGET_TARGETINFO_H
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <string>

namespace sparse_opt {

struct TargetInfo {
  llvm::StringRef name;     ///< "x86-64-v4"
  uint64_t isaBits;         ///< SO_ISA_* that the CPU must have
  llvm::StringRef cpu;      ///< LLVM's -mcpu
  llvm::StringRef features; ///< LLVM's -mattr on top of `cpu`, may be empty
  unsigned vectorBits;      ///< width of one register
  /// Register tile of a matrix product: rows, and 16-column panels.
  unsigned tileRows, tilePanels;
  /// Bytes of second-level cache that one thread may fill with the rows of a
  /// product that it visits once per panel.
  unsigned rowCacheBytes;

  unsigned f32Lanes() const { return vectorBits / 32; }
};

/// All targets, the most capable last.
llvm::ArrayRef<TargetInfo> getTargets();

/// The target of this name, or null.
const TargetInfo *lookupTarget(llvm::StringRef name);

/// The most capable target that this machine runs, or null.
const TargetInfo *hostTarget();

/// "x86-64-v3, x86-64-v4", for messages and help.
std::string targetNames();

} // namespace sparse_opt
#endif
