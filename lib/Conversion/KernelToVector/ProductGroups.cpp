// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.product, one panel group: row blocks by micro-kernels into a tile in
// first-level cache, or all rows by one call with tile registers, and the
// epilogue over what comes out.
#include "ProductLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::panelColumns;
using kernel::panelsInInt8;

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
