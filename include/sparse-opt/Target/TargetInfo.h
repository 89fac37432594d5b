// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The CPU targets as one table: what a pass that generates code must know of
// each. A new target (AMX, bf16) is a new row; the names are those of
// `--march` and of the artefact's variants.
#ifndef SPARSE_OPT_TARGET_TARGETINFO_H
#define SPARSE_OPT_TARGET_TARGETINFO_H
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <string>

namespace sparse_opt {

struct TargetInfo {
  /// How products multiply bf16: as f32, element by element, by dot products
  /// of pairs (VDPBF16PS), or by tiles (AMX). Attention's take dot products
  /// where products take tiles.
  enum class Bf16 { Widen, Dot, Tiles };

  llvm::StringRef name;     ///< "x86-64-v4"
  uint64_t isaBits;         ///< SO_ISA_* that the CPU must have
  llvm::StringRef cpu;      ///< LLVM's -mcpu
  llvm::StringRef features; ///< LLVM's -mattr on top of `cpu`, may be empty
  llvm::StringRef tuneCpu;  ///< whose timings LLVM schedules for
  unsigned vectorBits;      ///< width of one register
  /// Register tile of a matrix product: rows, and 16-column panels.
  struct Tile {
    unsigned rows, panels;
  };
  Tile f32Tile, bf16Tile;
  /// Of products of f32 by bf16 weights, widened in registers.
  Tile wideTile;
  /// Tile of products with at most that many rows: weights stream fastest
  /// through several panels at a time. Those of int8 take whole lines of 4
  /// panels.
  Tile thinTile, thinInt8Tile;
  /// Bytes of second-level cache that one thread may fill with the rows of a
  /// product that it visits once per panel.
  unsigned rowCacheBytes;
  /// How many lines ahead a product with few rows fetches each panel, and all
  /// of them together of int8.
  unsigned prefetchLines, int8PrefetchLines;
  /// The same of selected neurons' rows, of all that are read side by side.
  unsigned selectedLines;
  Bf16 bf16;
  /// Of Bf16::Tiles: tiles of the left operand and panels that are multiplied
  /// with each other at a time, `rows * panels` accumulators.
  Tile tiles = {};
  unsigned tilePanels = 0; ///< panels that one call takes, of few

  unsigned f32Lanes() const { return vectorBits / 32; }
  const Tile &tile(bool ofBf16) const { return ofBf16 ? bf16Tile : f32Tile; }
  /// Has instructions that round f32 to bf16.
  bool convertsBf16() const { return bf16 != Bf16::Widen; }
};

/// Those worth a variant of their own in a model of f32 or of bf16, the most
/// capable first.
llvm::SmallVector<const TargetInfo *> targetsFor(bool bf16);

/// The target of this name, or null.
const TargetInfo *lookupTarget(llvm::StringRef name);

/// The first of `targetsFor` that this machine runs, or null.
const TargetInfo *hostTarget(bool bf16);

/// True when this machine can run code for `target`.
bool hostRuns(const TargetInfo &target);

/// "x86-64-v3, x86-64-v4", for messages and help.
std::string targetNames();

} // namespace sparse_opt
#endif
