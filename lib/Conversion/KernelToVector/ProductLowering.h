// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The lowering of one kernel.product. ProductToVector.cpp has the parallel loop
// and what a piece of work is, ProductGroups.cpp what is done for one panel
// group: calls of micro-kernels and of the epilogue.
#ifndef SPARSE_OPT_CONVERSION_PRODUCTLOWERING_H
#define SPARSE_OPT_CONVERSION_PRODUCTLOWERING_H
#include "Lowerings.h"
#include "ProductEpilogue.h"
#include "TileKernel.h"
#include "UnpackPanels.h"

namespace sparse_opt {

class ProductLowering {
public:
  ProductLowering(kernel::ProductOp op, MicroKernels &kernels);
  void lower();

private:
  /// Rows by input lie pages apart: so many columns of each are copied at once.
  static constexpr int64_t panelsOfWideRows = 4;

  using Tile = TargetInfo::Tile;
  Tile clipped(const Tile &tile) const {
    return {tile.rows, unsigned(std::min<int64_t>(tile.panels, panels))};
  }

  /// A panel group: `count` panels from `first` on; `masked` when the last one
  /// is only partly inside the output.
  struct Group {
    mlir::Value first;
    unsigned count;
    bool masked;
  };
  /// Rows that pass through the micro-kernel together, `least` to `most`.
  struct Block {
    mlir::Value first, size;
    unsigned least, most;
  };

  /// Where panels of weights lie; `isInt8` when they are still to be unpacked.
  struct Panels {
    mlir::Value memref, first;
    bool isInt8;
  };

  void emitWidening(mlir::Value rows);
  Emitter::Part superblockRows(mlir::Value rows, mlir::Value superblocks,
                               mlir::Value superblock);
  mlir::Value leftView(mlir::MemRefType type, mlir::Value firstRow,
                       mlir::Value rows);
  void emitPiece(const Tile &tiling, mlir::Value group,
                 llvm::function_ref<void(Group)> body);
  void emitTall(mlir::Value group, Emitter::Part rows);
  void emitUnpackedTask(mlir::Value task, mlir::Value rows);
  void emitTiledGroup(Group group, Emitter::Part rows);
  void emitBlocks(Group group, Emitter::Part rows);
  void emitProduct(Group group, const Block &block);
  void emitSwitch(Group group, const Panels &right, const Block &block,
                  mlir::Value nextPanel, unsigned prefetched, int64_t ahead);
  mlir::Value nextGroup(Group group);
  void emitEpilogue(Group group, mlir::Value firstRow, mlir::Value rows);
  mlir::Value panelsView(const Panels &panels, mlir::MemRefType type);
  Panels unpacked(Group group);
  bool isInt8() const { return weightType.isInteger(8); }
  int64_t weightBytes() const { return weightType.getIntOrFloatBitWidth() / 8; }
  int64_t rowsASuperblock() const;
  unsigned panelsACall() const;
  int64_t grain() const;

  kernel::ProductOp op;
  MicroKernels &kernels;
  const TargetInfo &target;
  Emitter b;
  ProductEpilogue epilogue;
  mlir::Type weightType;
  bool isPaired; ///< the target multiplies bf16
  bool byTiles;
  bool widens;   ///< x to f32
  bool overlaps; ///< epilogues with products, by tiles
  int64_t depth, columns, panels, rowStride;
  int64_t panelsATask; ///< of the parallel loop; tall.panels but by input
  Tile tall, thin;     ///< thin.rows is 0 where there is no second tiling
  unsigned bufferRows;
  mlir::Value left;          ///< x, or its copy in f32
  mlir::Value tile;          ///< f32 sums, panels x bufferRows x 16
  mlir::Value scratch;       ///< of a group of panels, unpacked
  mlir::Value firstUnpacked; ///< panel in there, of neuron-major weights
};

} // namespace sparse_opt
#endif
