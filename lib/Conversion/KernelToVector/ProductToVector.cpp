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
#include "ProductLowering.h"
#include "UnpackRows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::panelColumns;
using kernel::ProductOp;

ProductLowering::ProductLowering(ProductOp op, MicroKernels &kernels)
    : op(op), kernels(kernels), target(kernels.getTarget()), b(op.getLoc(), op),
      epilogue(op, target.f32Lanes()) {
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
    bufferRows =
        overlaps ? target.tiles.rows * TileKernel::tileRows : rowsASuperblock();
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
