// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.product on memrefs: parallel over (row superblock, panel group), the
// group inner so that few rows are split by weights and each thread streams
// its share once. Inside, row blocks of nearly equal height call the
// micro-kernel into a tile in first-level cache, and the epilogue runs over
// the tile. With tile registers one call takes all rows of the superblock.
// Weights of int8 are unpacked in registers for one row block, and once for all
// of them where there are more; neuron-major ones once always. The register
// tile and cache sizes are the target's.
#include "Lowerings.h"
#include "ProductEpilogue.h"
#include "TileKernel.h"
#include "UnpackPanels.h"
#include "UnpackRows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::panelColumns;
using kernel::panelsInInt8;
using kernel::ProductOp;

namespace {

class ProductLowering {
public:
  ProductLowering(ProductOp op, MicroKernels &kernels)
      : op(op), kernels(kernels), target(kernels.getTarget()),
        b(op.getLoc(), op), epilogue(op, target.f32Lanes()) {
    auto x = cast<MemRefType>(op.getX().getType());
    weightType = getElementTypeOrSelf(op.getWeight().getType());
    isPaired = x.getElementType().isBF16() && !weightType.isF32() &&
               target.bf16 != TargetInfo::Bf16::Widen;
    depth = x.getDimSize(1);
    left = op.getX();
    rowStride = x.getStridesAndOffset().first[0];
    widens = x.getElementType().isBF16() && !isPaired;
    columns = cast<MemRefType>(op.getOut().getType()).getDimSize(1);
    panels = llvm::divideCeil(columns, panelColumns);
    byTiles = isPaired && target.bf16 == TargetInfo::Bf16::Tiles;
    tall = clipped(isPaired              ? target.bf16Tile
                   : weightType.isBF16() ? target.wideTile
                                         : target.f32Tile);
    overlaps = byTiles && TileKernel::canOverlap(depth) && epilogue.canMove();
    bufferRows = tall.rows;
    if (byTiles) {
      tall = clipped({tall.rows, panelsACall()});
      bufferRows = overlaps ? target.tiles.rows * TileKernel::tileRows
                            : rowsASuperblock();
    }
    thin = clipped(isInt8() ? target.thinInt8Tile : target.thinTile);
    // A second tiling is worth its code where it differs.
    if (byTiles || op.isNeuronMajor() || thin.panels <= tall.panels)
      thin.rows = 0;
    if (op.getByInput())
      panelsATask = llvm::alignTo(panelsOfWideRows, tall.panels);
    else
      panelsATask = tall.panels;
  }

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
    Value first;
    unsigned count;
    bool masked;
  };
  /// Rows that pass through the micro-kernel together, `least` to `most`.
  struct Block {
    Value first, size;
    unsigned least, most;
  };

  /// Where panels of weights lie; `isInt8` when they are still to be unpacked.
  struct Panels {
    Value memref, first;
    bool isInt8;
  };

  void emitWidening(Value rows);
  Emitter::Part superblockRows(Value rows, Value superblocks, Value superblock);
  Value leftView(MemRefType type, Value firstRow, Value rows);
  void emitPiece(const Tile &tiling, Value group,
                 llvm::function_ref<void(Group)> body);
  void emitTall(Value group, Emitter::Part rows);
  void emitUnpackedTask(Value task, Value rows);
  void emitTiledGroup(Group group, Emitter::Part rows);
  void emitBlocks(Group group, Emitter::Part rows);
  void emitProduct(Group group, const Block &block);
  void emitSwitch(Group group, const Panels &right, const Block &block,
                  Value nextPanel, unsigned prefetched, int64_t ahead);
  Value nextGroup(Group group);
  void emitEpilogue(Group group, Value firstRow, Value rows);
  Value panelsView(const Panels &panels, MemRefType type);
  Panels unpacked(Group group);
  bool isInt8() const { return weightType.isInteger(8); }
  int64_t weightBytes() const { return weightType.getIntOrFloatBitWidth() / 8; }
  int64_t rowsASuperblock() const;
  unsigned panelsACall() const;
  int64_t grain() const;

  ProductOp op;
  MicroKernels &kernels;
  const TargetInfo &target;
  Emitter b;
  ProductEpilogue epilogue;
  Type weightType;
  bool isPaired; ///< the target multiplies bf16
  bool byTiles;
  bool widens;   ///< x to f32
  bool overlaps; ///< epilogues with products, by tiles
  int64_t depth, columns, panels, rowStride;
  int64_t panelsATask; ///< of the parallel loop; tall.panels but by input
  Tile tall, thin;     ///< thin.rows is 0 where there is no second tiling
  unsigned bufferRows;
  Value left;          ///< x, or its copy in f32
  Value tile;          ///< f32 sums, panels x bufferRows x 16
  Value scratch;       ///< of a group of panels, unpacked
  Value firstUnpacked; ///< panel in there, of neuron-major weights
};

} // namespace

/// So many rows that the left operand stays in second-level cache while all
/// panels pass, and few enough that many rows make many pieces of work.
int64_t ProductLowering::rowsASuperblock() const {
  int64_t rowBytes = std::max<int64_t>(1, depth) * (isPaired ? 2 : 4);
  return std::clamp<int64_t>(target.rowCacheBytes / rowBytes, 2 * tall.rows,
                             128);
}

/// Twice as many where that still makes enough pieces of work: nothing hides
/// the epilogue of a call's last block.
unsigned ProductLowering::panelsACall() const {
  unsigned least = target.tilePanels;
  return overlaps && panels >= 16 * least ? 2 * least : least;
}

/// A range of work worth waking a thread for streams 64 KiB of weights.
int64_t ProductLowering::grain() const {
  int64_t groupBytes =
      std::max<int64_t>(1, depth) * panelsATask * panelColumns * weightBytes();
  return std::max<int64_t>(1, (64 << 10) / groupBytes);
}

/// All of x in f32 where the target multiplies nothing else: a micro-kernel
/// would do it for every panel group.
void ProductLowering::emitWidening(Value rows) {
  unsigned lanes = target.f32Lanes();
  // Not a power of two, so that rows don't compete for the same cache lines.
  rowStride = llvm::alignTo(depth, panelColumns) + panelColumns;
  left = memref::AllocOp::create(
      b, MemRefType::get({ShapedType::kDynamic, rowStride}, b.getF32Type()),
      rows, b.getI64IntegerAttr(64));
  auto parallel = scf::ParallelOp::create(
      b, ValueRange{b.index(0)}, ValueRange{rows}, ValueRange{b.index(1)});
  int64_t grain = std::max<int64_t>(1, (64 << 10) / rowStride);
  parallel->setAttr("kernel.grain", b.getI64IntegerAttr(grain));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(parallel.getBody());
  Value from[] = {parallel.getInductionVars()[0], b.index(0)};
  b.widen(op.getX(), from, depth, left, from, lanes);
}

/// Whole row tiles up to the last one. There are at least two in each of
/// several superblocks, so that none has fewer rows than a tile.
Emitter::Part ProductLowering::superblockRows(Value rows, Value superblocks,
                                              Value superblock) {
  if (!byTiles)
    return b.balancedPart(rows, superblocks, superblock);
  constexpr int64_t height = TileKernel::tileRows;
  Emitter::Part tiles =
      b.balancedPart(b.ceilDiv(rows, height), superblocks, superblock);
  Value begin = b.mul(tiles.begin, height);
  return {begin, b.min(b.mul(tiles.size, height), b.sub(rows, begin))};
}

void ProductLowering::lower() {
  Value rows = b.size(op.getX(), 0);
  if (widens)
    emitWidening(rows);
  // Panels made of a neuron-major weight serve all rows.
  Value superblocks =
      op.isNeuronMajor() ? b.index(1) : b.ceilDiv(rows, rowsASuperblock());
  auto groupsOf = [&](const Tile &tiling) {
    return b.index(llvm::divideCeil(panels, tiling.panels));
  };
  Value isThin = b.less(rows, b.index(thin.rows + 1));
  Value groups = b.index(llvm::divideCeil(panels, panelsATask));
  if (thin.rows)
    groups = b.select(isThin, groupsOf(thin), groups);
  Value zero = b.index(0), superblock = zero, group = zero;
  // A loop of one turn would be canonicalised away, and the grain with it.
  SmallVector<Value> counts;
  SmallVector<Value *> places;
  for (auto [count, place] :
       {std::pair(superblocks, &superblock), std::pair(groups, &group)})
    if (!isConstantIntValue(count, 1) || (place == &group && counts.empty())) {
      counts.push_back(count);
      places.push_back(place);
    }
  auto parallel = scf::ParallelOp::create(
      b, SmallVector<Value>(counts.size(), zero), counts,
      SmallVector<Value>(counts.size(), b.index(1)));
  parallel->setAttr("kernel.grain", b.getI64IntegerAttr(grain()));
  for (auto [place, iv] : llvm::zip_equal(places, parallel.getInductionVars()))
    *place = iv;
  b.setInsertionPointToStart(parallel.getBody());
  tile = memref::AllocaOp::create(
      b,
      MemRefType::get(
          {std::max(tall.panels, thin.panels), bufferRows, panelColumns},
          b.getF32Type()),
      b.getI64IntegerAttr(64));
  if (isInt8() || op.isNeuronMajor()) {
    PanelUnpacking largest = {unsigned(std::min(panelsATask, panels)), depth,
                              /*toBf16=*/isPaired || weightType.isBF16()};
    MemRefType type = largest.toType(op.getContext());
    scratch = memref::AllocOp::create(
        b, MemRefType::get(type.getShape(), type.getElementType()),
        ValueRange(), b.getI64IntegerAttr(64));
  }
  auto emitThin = [&] {
    emitPiece(thin, group, [&](Group group) {
      Block block = {zero, rows, 1, thin.rows};
      emitProduct(group, block);
      emitEpilogue(group, block.first, block.size);
    });
  };
  auto emitSuperblock = [&] {
    if (op.isNeuronMajor())
      return emitUnpackedTask(group, rows);
    emitTall(group, superblockRows(rows, superblocks, superblock));
  };
  if (thin.rows)
    b.ifElse(isThin, emitThin, emitSuperblock);
  else
    emitSuperblock();
}

void ProductLowering::emitTall(Value group, Emitter::Part rows) {
  emitPiece(tall, group, [&](Group group) {
    byTiles ? emitTiledGroup(group, rows) : emitBlocks(group, rows);
  });
}

/// A task's panels made of a neuron-major weight, then all rows, group by
/// group.
void ProductLowering::emitUnpackedTask(Value task, Value rows) {
  firstUnpacked = b.mul(task, panelsATask);
  Value count =
      b.min(b.sub(b.index(panels), firstUnpacked), b.index(panelsATask));
  RowUnpacking unpacking;
  unpacking.weight = op.getWeight();
  unpacking.byInput = op.getByInput();
  unpacking.toPairs = isPaired || weightType.isBF16();
  unpacking.depth = depth;
  unpacking.outputs = columns;
  unpacking.emit(b, target, firstUnpacked, count, scratch);
  Value superblocks = b.ceilDiv(rows, rowsASuperblock());
  b.loop(superblocks, 1, [&](Value superblock) {
    Emitter::Part part = superblockRows(rows, superblocks, superblock);
    b.loop(b.ceilDiv(count, tall.panels), 1, [&](Value i) {
      emitTall(b.add(b.mul(task, panelsATask / tall.panels), i), part);
    });
  });
}

/// `rows` rows of the left operand from `firstRow` on.
Value ProductLowering::leftView(MemRefType type, Value firstRow, Value rows) {
  SmallVector<Value> dynamic = {rows};
  if (ShapedType::isDynamic(rowStride))
    dynamic.push_back(
        memref::ExtractStridedMetadataOp::create(b, left).getStrides()[0]);
  return b.at(left, {firstRow, b.index(0)}, type, dynamic);
}

/// One call for all rows, by whole row tiles where there is one; the function
/// does the epilogue where that can be done among the products.
void ProductLowering::emitTiledGroup(Group group, Emitter::Part rows) {
  MLIRContext *context = op.getContext();
  TileKernel kernel;
  kernel.panels = group.count;
  kernel.depth = depth;
  kernel.leftStride = rowStride;
  kernel.rowsInSums = bufferRows;
  Value zero = b.index(0);
  TileOperands operands;
  operands.left = leftView(kernel.leftType(context), rows.begin, rows.size);
  Panels right = unpacked(group);
  operands.right = panelsView(right, kernel.rightType(context));
  operands.sums = b.at(tile, {zero, zero, zero}, kernel.sumsType(context));
  operands.rows = rows.size;
  if (kernel.hasTail()) {
    auto scratch = [&](MemRefType type) {
      return memref::AllocaOp::create(b, type, b.getI64IntegerAttr(64));
    };
    auto left = MemRefType::get({rowsASuperblock(), TileKernel::tileDepth},
                                b.getBF16Type());
    operands.leftTail =
        memref::CastOp::create(b, kernel.leftTailType(context), scratch(left));
    operands.rightTail = scratch(kernel.rightTailType(context));
    emitTails(b, kernel, operands);
  }
  auto emitCall = [&](unsigned height) {
    kernel.rows = height;
    callTileKernel(b, kernels, kernel, operands);
  };
  b.ifElse(
      b.less(rows.size, b.index(TileKernel::tileRows)),
      [&] {
        b.switchOver(rows.size, 1, TileKernel::tileRows - 1, emitCall);
        emitEpilogue(group, rows.begin, rows.size);
      },
      [&] {
        kernel.rows = TileKernel::tileRows;
        if (overlaps)
          return callTileProduct(
              b, kernels, kernel, operands,
              {epilogue, group.masked, rows.begin, group.first});
        callTileKernel(b, kernels, kernel, operands);
        emitEpilogue(group, rows.begin, rows.size);
      });
}

/// body(group), where the last group may be smaller than the others.
void ProductLowering::emitPiece(const Tile &tiling, Value group,
                                llvm::function_ref<void(Group)> body) {
  int64_t groupColumns = tiling.panels * panelColumns;
  int64_t full = columns / groupColumns, left = columns % groupColumns;
  auto emitFull = [&] {
    body({b.mul(group, tiling.panels), tiling.panels, false});
  };
  auto emitLast = [&] {
    body({b.index(full * tiling.panels),
          unsigned(llvm::divideCeil(left, panelColumns)),
          left % panelColumns != 0});
  };
  if (left == 0)
    emitFull();
  else if (full == 0)
    emitLast();
  else
    b.ifElse(b.less(group, b.index(full)), emitFull, emitLast);
}

/// All rows of one superblock times one panel group. The weights come from far
/// away, so the micro-kernel fetches what comes: a little further on in its
/// own panels when there is one row block, else each block one of the next
/// group's in turn.
void ProductLowering::emitBlocks(Group group, Emitter::Part rows) {
  Value blocks = b.ceilDiv(rows.size, tall.rows);
  auto emitSingle = [&] {
    Block block = {rows.begin, rows.size, thin.rows + 1, tall.rows};
    emitProduct(group, block);
    emitEpilogue(group, block.first, block.size);
  };
  auto emitSeveral = [&] {
    Panels right = unpacked(group);
    b.loop(blocks, 1, [&](Value i) {
      Emitter::Part part = b.balancedPart(rows.size, blocks, i);
      Block block = {b.add(rows.begin, part.begin), part.size,
                     op.isNeuronMajor() ? 1 : (tall.rows + 1) / 2, tall.rows};
      if (scratch)
        emitSwitch(group, right, block, Value(), 0, 0);
      else
        emitSwitch(group, right, block,
                   b.add(nextGroup(group), b.rem(i, group.count)), 1, depth);
      emitEpilogue(group, block.first, block.size);
    });
  };
  if (op.isNeuronMajor())
    emitSeveral();
  else
    b.ifElse(b.less(blocks, b.index(2)), emitSingle, emitSeveral);
}

/// Some panels as `type`.
Value ProductLowering::panelsView(const Panels &panels, MemRefType type) {
  if (!panels.isInt8)
    return b.at(panels.memref, panels.first, type);
  Value column = b.mul(b.rem(panels.first, panelsInInt8), panelColumns);
  return b.at(panels.memref,
              {b.div(panels.first, panelsInInt8), b.index(0), column}, type);
}

/// A group's weights as micro-kernels of many rows take them.
ProductLowering::Panels ProductLowering::unpacked(Group group) {
  if (op.isNeuronMajor())
    return {scratch, b.sub(group.first, firstUnpacked), false};
  if (!isInt8())
    return {op.getWeight(), group.first, false};
  PanelUnpacking unpacking = {group.count, depth, /*toBf16=*/isPaired};
  MLIRContext *context = op.getContext();
  Value zero = b.index(0);
  unpacking.call(b, kernels,
                 panelsView({op.getWeight(), group.first, /*isInt8=*/true},
                            unpacking.fromType(context)),
                 b.at(scratch, {zero, zero, zero}, unpacking.toType(context)));
  return {scratch, zero, false};
}

/// The tile of an only block.
void ProductLowering::emitProduct(Group group, const Block &block) {
  emitSwitch(group, {op.getWeight(), group.first, isInt8()}, block,
             nextGroup(group), group.count,
             isInt8() ? target.int8PrefetchLines : target.prefetchLines);
}

/// The first panel behind `group`, or of as many as there are at the end.
Value ProductLowering::nextGroup(Group group) {
  return b.min(b.add(group.first, group.count), b.index(panels - group.count));
}

/// The micro-kernel for the block's height.
void ProductLowering::emitSwitch(Group group, const Panels &right,
                                 const Block &block, Value nextPanel,
                                 unsigned prefetched, int64_t ahead) {
  MLIRContext *context = op.getContext();
  MicroKernel kernel;
  kernel.isBf16 = isPaired || weightType.isBF16();
  kernel.isLeftWide = kernel.isBf16 && !isPaired;
  kernel.isRightInt8 = right.isInt8;
  kernel.panels = group.count;
  kernel.depth = depth;
  kernel.leftStride = rowStride;
  kernel.tilePanelStride = tall.rows * panelColumns;
  kernel.tileRowStride = panelColumns;
  kernel.prefetched = prefetched;
  kernel.ahead = isInt8() ? ahead : std::min(kernel.lines(), ahead);
  Value zero = b.index(0);
  Value left = leftView(kernel.leftType(context), block.first, block.size);
  Value panels = panelsView(right, kernel.rightType(context));
  Value next;
  if (kernel.fetchesNext())
    next = b.at(op.getWeight(), nextPanel, kernel.nextType(context));
  Value output =
      b.at(tile, {zero, zero, zero}, kernel.tileType(context), block.size);
  b.switchOver(block.size, block.least, block.most, [&](unsigned n) {
    kernel.rows = n;
    kernels.call(b, kernel, left, panels, output, Value(), next);
  });
}

/// out[rows, columns of the group] = epilogue(tile, extras...)
void ProductLowering::emitEpilogue(Group group, Value firstRow, Value rows) {
  b.loop(rows, 1, [&](Value r) {
    epilogue.emit(b, {{tile, b.index(0), r, b.add(firstRow, r), group.first,
                       group.count, group.masked}});
  });
}

LogicalResult sparse_opt::lowerProduct(ProductOp op, MicroKernels &kernels) {
  if (failed(verifyContiguousRows(op)))
    return failure();
  auto rows = cast<MemRefType>(op.getOut().getType());
  // Nothing to write, or no column to read a panel of.
  if (rows.getDimSize(1) != 0)
    ProductLowering(op, kernels).lower();
  op.erase();
  return success();
}
