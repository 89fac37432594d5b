// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Emits the loops that make panels of rows. Where a row is an output, squares
// of rows times elements are transposed in registers, pairs of bf16 as one
// element of 32 bits; where a row is a k, its columns are copied, several
// panels of a row in turn, since rows lie pages apart.
#include "UnpackRows.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::panelColumns;

/// Of each row, on the way to another.
constexpr int64_t rowsAhead = 16, linesAhead = 16;
/// Squares of a row that are read in turn.
constexpr int64_t squaresATurn = 4;

class RowUnpacking::Impl {
public:
  Impl(Emitter &b, const RowUnpacking &from, const TargetInfo &target,
       Value firstPanel, Value count, Value to)
      : b(b), from(from), lanes(target.f32Lanes()), firstPanel(firstPanel),
        count(count), to(to) {
    element = cast<MemRefType>(from.weight.getType()).getElementType();
    step = from.toPairs ? 2 : 1;
  }

  void emitByInput();
  void emitByOutput();

private:
  /// Elements from weight[row, column] on, as f32.
  Value loadAsF32(Value row, Value column, unsigned count);
  void emitLine(Value panel, Value k, bool isLast);
  Value loadSquareRow(Value row, Value k);
  void emitSquare(ArrayRef<Value> rows, Value panel, Value line,
                  int64_t firstColumn, int64_t linesLeft);
  void transpose(MutableArrayRef<Value> rows);
  void prefetch(Value row, Value column) {
    b.prefetch(from.weight, {row, column});
  }

  Emitter &b;
  const RowUnpacking &from;
  int64_t lanes, step;
  Value firstPanel, count, to;
  Type element;
};

Value RowUnpacking::Impl::loadAsF32(Value row, Value column, unsigned count) {
  return element.isInteger(8) ? b.loadInt8(from.weight, {row, column}, count)
                              : b.loadAsF32(from.weight, {row, column}, count);
}

//===----------------------------------------------------------------------===//
// Rows of columns
//===----------------------------------------------------------------------===//

/// One line of a panel: one k, or two in pairs, of which a last may be alone.
void RowUnpacking::Impl::emitLine(Value panel, Value k, bool isLast) {
  Value column = b.mul(b.add(firstPanel, panel), panelColumns);
  Value line = b.div(k, step);
  if (!from.toPairs) {
    for (int64_t i = 0; i != panelColumns; i += lanes)
      b.store(loadAsF32(k, b.add(column, i), lanes), to,
              {panel, line, b.index(i)});
    return;
  }
  if (element.isInteger(8)) {
    Value next =
        isLast ? b.splat(0.0f, lanes) : loadAsF32(b.add(k, 1), column, lanes);
    b.store(b.pairBf16(loadAsF32(k, column, lanes), next), to,
            {panel, line, b.index(0)});
    return;
  }
  auto bits = VectorType::get(panelColumns, b.getI16Type());
  auto load = [&](Value row) {
    return vector::BitCastOp::create(
        b, bits, b.load(from.weight, {row, column}, panelColumns));
  };
  Value first = load(k);
  Value second = isLast ? b.zero(bits) : load(b.add(k, 1));
  Value pairs =
      vector::BitCastOp::create(b, VectorType::get(2 * panelColumns, element),
                                b.interleave({first, second}));
  b.store(pairs, to, {panel, line, b.index(0)});
}

void RowUnpacking::Impl::emitByInput() {
  int64_t lines = from.depth / step;
  int64_t aLine = 512 / element.getIntOrFloatBitWidth() / panelColumns;
  b.loop(b.index(lines), 1, [&](Value line) {
    Value k = b.mul(line, step);
    b.loop(b.ceilDiv(count, aLine), 1, [&](Value i) {
      Value panel = b.add(firstPanel, b.mul(i, aLine));
      for (int64_t row = 0; row != step; ++row)
        prefetch(b.add(k, rowsAhead + row), b.mul(panel, panelColumns));
    });
    b.loop(count, 1,
           [&](Value panel) { emitLine(panel, k, /*isLast=*/false); });
  });
  if (from.depth % step)
    b.loop(count, 1, [&](Value panel) {
      emitLine(panel, b.index(lines * step), /*isLast=*/true);
    });
}

//===----------------------------------------------------------------------===//
// Rows of k
//===----------------------------------------------------------------------===//

/// What fills a register of f32 from weight[row, k] on.
Value RowUnpacking::Impl::loadSquareRow(Value row, Value k) {
  Type bits = VectorType::get(lanes, b.getF32Type());
  if (!from.toPairs)
    return loadAsF32(row, k, lanes);
  Value pairs;
  if (element.isInteger(8))
    pairs =
        arith::TruncFOp::create(b, VectorType::get(2 * lanes, b.getBF16Type()),
                                loadAsF32(row, k, 2 * lanes));
  else
    pairs = b.load(from.weight, {row, k}, 2 * lanes);
  return vector::BitCastOp::create(b, bits, pairs);
}

/// As many rows as lanes; each step exchanges squares of half the size.
void RowUnpacking::Impl::transpose(MutableArrayRef<Value> rows) {
  for (int64_t bit = 1; bit != lanes; bit *= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t lane = 0; lane != lanes; ++lane) {
      low.push_back(lane & bit ? lanes + lane - bit : lane);
      high.push_back(lane & bit ? lanes + lane : lane + bit);
    }
    for (int64_t row = 0; row != lanes; ++row) {
      if (row & bit)
        continue;
      Value first = rows[row], second = rows[row + bit];
      rows[row] = vector::ShuffleOp::create(b, first, second, low);
      rows[row + bit] = vector::ShuffleOp::create(b, first, second, high);
    }
  }
}

void RowUnpacking::Impl::emitSquare(ArrayRef<Value> rows, Value panel,
                                    Value line, int64_t firstColumn,
                                    int64_t linesLeft) {
  SmallVector<Value> square;
  for (Value row : rows)
    square.push_back(loadSquareRow(row, b.mul(line, step)));
  transpose(square);
  for (int64_t i = 0; i != std::min(lanes, linesLeft); ++i) {
    Value value = square[i];
    if (from.toPairs)
      value = vector::BitCastOp::create(
          b, VectorType::get(2 * lanes, b.getBF16Type()), value);
    b.store(value, to, {panel, b.add(line, i), b.index(firstColumn * step)});
  }
}

/// Rows end in zeros up to a cache line, so that the last square is whole.
void RowUnpacking::Impl::emitByOutput() {
  int64_t lines = llvm::divideCeil(from.depth, step);
  int64_t aTurn = lanes * squaresATurn, whole = lines / aTurn;
  int64_t aCacheLine = 512 / element.getIntOrFloatBitWidth();
  b.loop(count, 1, [&](Value panel) {
    for (int64_t column = 0; column != panelColumns; column += lanes) {
      SmallVector<Value> rows;
      Value first =
          b.add(b.mul(b.add(firstPanel, panel), panelColumns), column);
      for (int64_t i = 0; i != lanes; ++i)
        rows.push_back(b.min(b.add(first, i), b.index(from.outputs - 1)));
      b.loop(b.index(whole), 1, [&](Value turn) {
        Value line = b.mul(turn, aTurn);
        for (Value row : rows)
          for (int64_t k = 0; k < aTurn * step; k += aCacheLine)
            prefetch(row,
                     b.add(b.mul(line, step), k + linesAhead * aCacheLine));
        for (int64_t i = 0; i != squaresATurn; ++i)
          emitSquare(rows, panel, b.add(line, i * lanes), column, lanes);
      });
      for (int64_t line = whole * aTurn; line < lines; line += lanes)
        emitSquare(rows, panel, b.index(line), column, lines - line);
    }
  });
}

void RowUnpacking::emit(Emitter &b, const TargetInfo &target, Value firstPanel,
                        Value count, Value to) const {
  Impl impl(b, *this, target, firstPanel, count, to);
  byInput ? impl.emitByInput() : impl.emitByOutput();
}
