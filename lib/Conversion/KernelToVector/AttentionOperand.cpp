// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packing of k and v for one head. A layout that is contiguous along one of
// its two loops moves by vectors; any other by elements.
#include "AttentionOperand.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::panelColumns;

//===----------------------------------------------------------------------===//
// Geometry
//===----------------------------------------------------------------------===//

std::optional<unsigned> AttentionOperand::dimOf(unsigned loop) const {
  for (auto [i, expr] : llvm::enumerate(map.getResults()))
    if (expr == getAffineDimExpr(loop, expr.getContext()))
      return i;
  return std::nullopt;
}

Value AttentionOperand::sizeOf(Emitter &b, unsigned loop) const {
  std::optional<unsigned> dim = dimOf(loop);
  return dim ? b.size(memref, *dim) : b.index(1);
}

int64_t AttentionOperand::strideOf(unsigned loop) const {
  return cast<MemRefType>(memref.getType())
      .getStridesAndOffset()
      .first[*dimOf(loop)];
}

Value AttentionOperand::strideValue(Emitter &b, unsigned loop) const {
  int64_t stride = strideOf(loop);
  if (!ShapedType::isDynamic(stride))
    return b.index(stride);
  auto metadata = memref::ExtractStridedMetadataOp::create(b, memref);
  return metadata.getStrides()[*dimOf(loop)];
}

SmallVector<Value> AttentionOperand::indices(Emitter &b,
                                             const LoopIndices &at) const {
  SmallVector<Value> result;
  for (AffineExpr expr : map.getResults()) {
    auto loop = dyn_cast<AffineDimExpr>(expr);
    result.push_back(loop ? at[loop.getPosition()] : b.index(0));
  }
  return result;
}

//===----------------------------------------------------------------------===//
// k: columns from rows
//===----------------------------------------------------------------------===//

/// Transposes a square of as many vectors as lanes, in log2(lanes) rounds of
/// two-operand shuffles.
static void transposeSquare(Emitter &b, SmallVectorImpl<Value> &rows) {
  int64_t lanes = rows.size();
  for (int64_t half = lanes / 2; half >= 1; half /= 2) {
    SmallVector<int64_t> low(lanes), high(lanes);
    for (int64_t j = 0; j < lanes; ++j) {
      bool upper = j & half;
      low[j] = upper ? lanes + j - half : j;
      high[j] = upper ? lanes + j : j + half;
    }
    for (int64_t i = 0; i < lanes; ++i) {
      if (i & half)
        continue;
      Value first = rows[i], second = rows[i + half];
      rows[i] = vector::ShuffleOp::create(b, first, second, low);
      rows[i + half] = vector::ShuffleOp::create(b, first, second, high);
    }
  }
}

static Value constantMask(Emitter &b, int64_t count, unsigned lanes) {
  return vector::ConstantMaskOp::create(
      b, VectorType::get(lanes, b.getI1Type()), ArrayRef<int64_t>{count});
}

void AttentionOperand::packColumns(Emitter &b, LoopIndices at, unsigned rows,
                                   unsigned depth, int64_t depthSize,
                                   Value packed, unsigned lanes) const {
  Value count = sizeOf(b, rows);
  Value last = b.sub(count, b.index(1));
  Value panels = b.ceilDiv(count, panelColumns);
  bool byDepth = isContiguousAlong(depth);
  bool byRows = !byDepth && isContiguousAlong(rows);
  unsigned width = byDepth || byRows ? lanes : 1;
  /// One piece of `width` columns, `valid` indices of depth from `from` on.
  auto piece = [&](Value panel, unsigned column, Value from, int64_t valid) {
    Value row = b.add(b.mul(panel, panelColumns), column);
    if (!byDepth) {
      at[depth] = from;
      at[rows] = byRows ? row : b.min(row, last);
      Value value = byRows ? b.load(memref, indices(b, at), lanes,
                                    b.maskUpTo(row, count, lanes))
                           : memref::LoadOp::create(b, memref, indices(b, at));
      if (byRows)
        b.store(value, packed, {panel, from, b.index(column)});
      else
        memref::StoreOp::create(b, value, packed,
                                ValueRange{panel, from, b.index(column)});
      return;
    }
    Value mask = valid == lanes ? Value() : constantMask(b, valid, lanes);
    SmallVector<Value> square;
    at[depth] = from;
    for (unsigned i = 0; i < lanes; ++i) {
      at[rows] = b.min(b.add(row, i), last);
      square.push_back(b.load(memref, indices(b, at), lanes, mask));
    }
    transposeSquare(b, square);
    for (int64_t i = 0; i < valid; ++i)
      b.store(square[i], packed, {panel, b.add(from, i), b.index(column)});
  };
  int64_t step = byDepth ? lanes : 1;
  int64_t whole = depthSize / step * step;
  b.loop(panels, 1, [&](Value panel) {
    for (unsigned column = 0; column < panelColumns; column += width) {
      b.loop(b.index(whole), step,
             [&](Value from) { piece(panel, column, from, step); });
      if (whole != depthSize)
        piece(panel, column, b.index(whole), depthSize - whole);
    }
  });
}

//===----------------------------------------------------------------------===//
// v: panels of columns
//===----------------------------------------------------------------------===//

void AttentionOperand::packRows(Emitter &b, LoopIndices at, unsigned rows,
                                unsigned columns, int64_t columnsSize,
                                Value packed, unsigned lanes) const {
  bool byColumns = isContiguousAlong(columns);
  int64_t panels = llvm::divideCeil(columnsSize, panelColumns);
  b.loop(sizeOf(b, rows), 1, [&](Value row) {
    at[rows] = row;
    for (int64_t column = 0; column < panels * panelColumns; column += lanes) {
      int64_t valid = std::clamp<int64_t>(columnsSize - column, 0, lanes);
      Value value = b.splat(0.0f, lanes);
      if (byColumns && valid) {
        at[columns] = b.index(column);
        Value mask = valid == lanes ? Value() : constantMask(b, valid, lanes);
        value = b.load(memref, indices(b, at), lanes, mask);
      }
      for (int64_t i = 0; !byColumns && i < valid; ++i) {
        at[columns] = b.index(column + i);
        Value element = memref::LoadOp::create(b, memref, indices(b, at));
        value = vector::InsertOp::create(b, element, value, i);
      }
      b.store(value, packed,
              {b.index(column / panelColumns), row,
               b.index(column % panelColumns)});
    }
  });
}
