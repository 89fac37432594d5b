// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Packing of k and v for one head. A layout that is contiguous along one of
// its two loops moves by vectors; any other by elements.
#include "AttentionOperand.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::AttentionOp;
using kernel::panelColumns;

//===----------------------------------------------------------------------===//
// Geometry
//===----------------------------------------------------------------------===//

std::optional<unsigned> AttentionOperand::dimOf(unsigned loop) const {
  for (auto [i, expr] : llvm::enumerate(map.getResults()))
    if (AttentionOp::loopOf(expr) == loop)
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
    std::optional<unsigned> loop = AttentionOp::loopOf(expr);
    result.push_back(loop ? b.div(at[*loop], AttentionOp::groupOf(expr))
                          : b.index(0));
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

unsigned AttentionOperand::step() const {
  return cast<MemRefType>(memref.getType()).getElementType().isBF16() ? 2 : 1;
}

/// What elements are while they only move: bf16 as i16, since LLVM takes apart
/// shuffles and selects of bf16 where the target lacks the type.
static Type movedType(Emitter &b, Type type) {
  Type element = getElementTypeOrSelf(type);
  if (!element.isBF16())
    return type;
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.clone(b.getI16Type());
  return b.getI16Type();
}

static Value asMoved(Emitter &b, Value value) {
  Type type = movedType(b, value.getType());
  if (type == value.getType())
    return value;
  if (isa<VectorType>(type))
    return vector::BitCastOp::create(b, type, value);
  return arith::BitcastOp::create(b, type, value);
}

/// The opposite of asMoved.
static Value asElements(Emitter &b, Value value, Type element) {
  auto type = cast<VectorType>(value.getType()).clone(element);
  if (type == value.getType())
    return value;
  return vector::BitCastOp::create(b, type, value);
}

/// Steps of k's elements as the columns of squares: pairs of bf16 move as one.
static Value asSteps(Emitter &b, Value elements, unsigned step) {
  auto type = cast<VectorType>(elements.getType());
  if (step == 1)
    return elements;
  return vector::BitCastOp::create(
      b, VectorType::get(type.getDimSize(0) / step, b.getI32Type()), elements);
}

void AttentionOperand::packColumns(Emitter &b, LoopIndices at, unsigned rows,
                                   Part part, unsigned depth, int64_t depthSize,
                                   Value packed, unsigned lanes) const {
  const int64_t step = this->step();
  Value end = b.add(part.first, part.count);
  Value last = b.sub(end, b.index(1));
  Value panels = b.ceilDiv(part.count, panelColumns);
  auto rowOf = [&](Value panel, unsigned column) {
    return b.add(part.first, b.add(b.mul(panel, panelColumns), column));
  };
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  bool byDepth = isContiguousAlong(depth);
  bool byRows = !byDepth && isContiguousAlong(rows);
  unsigned width = byDepth || byRows ? lanes : 1;
  /// A column's elements of one step, of which `valid` are in memory.
  auto gather = [&](Value panel, unsigned column, Value from, int64_t valid) {
    Value row = rowOf(panel, column);
    at[rows] = byRows ? row : b.min(row, last);
    SmallVector<Value> values;
    for (int64_t i = 0; i < step; ++i) {
      at[depth] = b.add(b.mul(from, step), i);
      if (i >= valid)
        values.push_back(
            byRows ? b.zero(movedType(b, VectorType::get(lanes, element)))
                   : b.zero(element));
      else if (byRows)
        values.push_back(asMoved(b, b.load(memref, indices(b, at), lanes,
                                           b.maskUpTo(row, end, lanes))));
      else
        values.push_back(
            memref::LoadOp::create(b, memref, indices(b, at)).getResult());
    }
    if (byRows)
      return b.store(asElements(b, b.interleave(values), element), packed,
                     {panel, from, b.index(column * step)});
    for (int64_t i = 0; i < step; ++i)
      memref::StoreOp::create(
          b, values[i], packed,
          ValueRange{panel, from, b.index(column * step + i)});
  };
  /// A square of steps, of which `valid` elements are in memory.
  auto square = [&](Value panel, unsigned column, Value from, int64_t valid) {
    Value row = rowOf(panel, column);
    int64_t whole = lanes * step;
    Value mask = valid == whole ? Value() : constantMask(b, valid, whole);
    SmallVector<Value> square;
    at[depth] = b.mul(from, step);
    for (unsigned i = 0; i < lanes; ++i) {
      at[rows] = b.min(b.add(row, i), last);
      square.push_back(
          asSteps(b, b.load(memref, indices(b, at), whole, mask), step));
    }
    transposeSquare(b, square);
    for (int64_t i = 0; i < int64_t(llvm::divideCeil(valid, step)); ++i) {
      Value line = square[i];
      if (step != 1)
        line =
            vector::BitCastOp::create(b, VectorType::get(whole, element), line);
      b.store(line, packed, {panel, b.add(from, i), b.index(column * step)});
    }
  };
  auto piece = [&](Value panel, unsigned column, Value from, int64_t valid) {
    byDepth ? square(panel, column, from, valid)
            : gather(panel, column, from, valid);
  };
  int64_t stepsAPiece = byDepth ? lanes : 1, size = stepsAPiece * step;
  int64_t whole = depthSize / size * stepsAPiece;
  b.loop(panels, 1, [&](Value panel) {
    for (unsigned column = 0; column < panelColumns; column += width) {
      b.loop(b.index(whole), stepsAPiece,
             [&](Value from) { piece(panel, column, from, size); });
      if (depthSize % size)
        piece(panel, column, b.index(whole), depthSize % size);
    }
  });
}

//===----------------------------------------------------------------------===//
// v: panels of columns
//===----------------------------------------------------------------------===//

/// Elements [row, column : column + lanes], `valid` of them in memory, zeros
/// behind them and where not `inside` (null: always).
Value AttentionOperand::loadRow(Emitter &b, LoopIndices at, unsigned columns,
                                int64_t column, int64_t valid, Value inside,
                                unsigned lanes) const {
  auto type = cast<VectorType>(movedType(
      b, VectorType::get(lanes,
                         cast<MemRefType>(memref.getType()).getElementType())));
  Value value = b.zero(type);
  if (valid == 0)
    return value;
  at[columns] = b.index(column);
  if (isContiguousAlong(columns)) {
    Value mask = valid == lanes ? Value() : constantMask(b, valid, lanes);
    if (inside)
      mask = b.maskUpTo(b.index(0),
                        b.select(inside, b.index(valid), b.index(0)), lanes);
    return asMoved(b, b.load(memref, indices(b, at), lanes, mask));
  }
  Value zero = b.zero(type.getElementType());
  for (int64_t i = 0; i < valid; ++i) {
    at[columns] = b.index(column + i);
    Value element =
        asMoved(b, memref::LoadOp::create(b, memref, indices(b, at)));
    if (inside)
      element = b.select(inside, element, zero);
    value = vector::InsertOp::create(b, element, value, i);
  }
  return value;
}

void AttentionOperand::packRows(Emitter &b, LoopIndices at, unsigned rows,
                                Part part, unsigned columns,
                                int64_t columnsSize, Value packed,
                                unsigned lanes) const {
  const unsigned step = this->step();
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  int64_t panels = llvm::divideCeil(columnsSize, panelColumns);
  Value end = b.add(part.first, part.count);
  Value last = b.sub(end, b.index(1));
  b.loop(b.ceilDiv(part.count, step), 1, [&](Value line) {
    for (int64_t column = 0; column < panels * panelColumns; column += lanes) {
      int64_t valid = std::clamp<int64_t>(columnsSize - column, 0, lanes);
      SmallVector<Value> values;
      for (unsigned i = 0; i < step; ++i) {
        Value row = b.add(part.first, b.add(b.mul(line, step), i));
        Value inside = i ? b.less(row, end) : Value();
        at[rows] = i ? b.min(row, last) : row;
        values.push_back(loadRow(b, at, columns, column, valid, inside, lanes));
      }
      b.store(asElements(b, b.interleave(values), element), packed,
              {b.index(column / panelColumns), line,
               b.index(column % panelColumns * step)});
    }
  });
}
