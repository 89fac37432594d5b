// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "SelectedRows.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sparse_opt;

constexpr int64_t lineBits = 512;

/// Of each row, before it is the next one's turn: rows together have eight.
static int64_t linesAStep(int64_t abreast) { return 8 / abreast; }

static Value loadIndex(Emitter &b, Value memref, ValueRange indices) {
  Value number = memref::LoadOp::create(b, memref, indices);
  return arith::IndexCastOp::create(b, b.getIndexType(), number);
}

SelectedRows::SelectedRows(Emitter &b, const TargetInfo &target, Value weight,
                           Value list, Value counted)
    : weight(weight), list(list), ahead(target.selectedLines) {
  group =
      kernel::neuronsInAGroup(cast<ShapedType>(list.getType()),
                              cast<ShapedType>(weight.getType()).getDimSize(0));
  count = loadIndex(b, counted, {});
  entries = b.mul(count, group);
}

/// How many of the list are less than `number`: with steps of powers of two,
/// each taken where it still ends among them.
Value SelectedRows::entryOf(Emitter &b, Value number) const {
  Value zero = b.index(0), last = b.index(groups() - 1);
  unsigned bits = llvm::Log2_64(groups()) + 1;
  Value found =
      b.carry(zero, b.index(bits), zero,
              [&](Value i, ValueRange found) -> SmallVector<Value> {
                Value step = arith::ShLIOp::create(b, b.index(1),
                                                   b.sub(b.index(bits - 1), i));
                Value next = b.add(found[0], step);
                Value listed =
                    loadIndex(b, list, b.min(b.sub(next, b.index(1)), last));
                Value isBefore = arith::AndIOp::create(
                    b, b.less(listed, number),
                    b.less(next, b.add(count, b.index(1))));
                return {b.select(isBefore, next, found[0])};
              })
          .front();
  return b.mul(found, group);
}

SmallVector<Value> SelectedRows::neurons(Emitter &b, Value first,
                                         unsigned number, Value end) const {
  Value last = b.sub(end ? end : entries, b.index(1));
  SmallVector<Value> result;
  for (unsigned i = 0; i != number; ++i) {
    Value entry = b.min(b.add(first, i), last);
    Value listed = loadIndex(b, list, b.div(entry, group));
    result.push_back(b.add(b.mul(listed, group), b.rem(entry, group)));
  }
  return result;
}

Value SelectedRows::neuronVector(Emitter &b, Value first, unsigned lanes,
                                 Value mask) const {
  if (group == 1)
    return b.load(list, first, lanes, mask);
  // `lanes` divides the group, so that they are in one.
  Value listed = memref::LoadOp::create(b, list, b.div(first, group));
  Value within =
      arith::IndexCastOp::create(b, b.getI32Type(), b.rem(first, group));
  Value size = arith::ConstantOp::create(b, b.getI32IntegerAttr(group));
  Value start =
      arith::AddIOp::create(b, arith::MulIOp::create(b, listed, size), within);
  return b.upFrom(start, lanes);
}

Type SelectedRows::elementType() const {
  return cast<MemRefType>(weight.getType()).getElementType();
}

int64_t SelectedRows::line() const {
  return lineBits / elementType().getIntOrFloatBitWidth();
}

int64_t SelectedRows::rowBytes() const {
  return cast<MemRefType>(weight.getType()).getDimSize(1) *
         elementType().getIntOrFloatBitWidth() / 8;
}

int64_t SelectedRows::groups() const {
  return cast<MemRefType>(list.getType()).getDimSize(0);
}

Value SelectedRows::loadAsF32(Emitter &b, Value neuron, Value column,
                              unsigned lanes) const {
  if (elementType().isInteger(8))
    return b.loadInt8(weight, {neuron, column}, lanes);
  return b.loadAsF32(weight, {neuron, column}, lanes);
}

Value SelectedRows::load(Emitter &b, Value neuron, Value column,
                         unsigned lanes) const {
  return b.load(weight, {neuron, column}, lanes);
}

int64_t SelectedRows::rowsAhead(int64_t lines, unsigned abreast,
                                int64_t most) const {
  if (lines == 0 || ahead / abreast < lines)
    return abreast;
  // As many lines under way however many rows are read at a time.
  int64_t rows = llvm::divideCeil(ahead / 2, lines);
  return std::clamp<int64_t>(rows, abreast, most);
}

SmallVector<Value> SelectedRows::read(Emitter &b, ValueRange neurons,
                                      ValueRange next, int64_t lines,
                                      ValueRange first, Body body) const {
  int64_t rows = neurons.size(), step = linesAStep(rows);
  int64_t steps = lines / step, rest = lines % step;
  int64_t distance =
      next.empty() ? 0 : std::min<int64_t>(steps, ahead / step / rows);
  Value zero = b.index(0), turn = b.index(steps - distance);
  auto fetch = [&](ValueRange rows, Value number, int64_t count) {
    for (Value row : rows)
      for (int64_t i = 0; i != count; ++i) {
        Value line = b.add(b.mul(number, step), i);
        b.prefetch(weight, {row, b.mul(line, this->line())});
      }
  };
  auto emit = [&](Value number, int64_t count, ValueRange carried) {
    return body(b.mul(number, step), count, carried);
  };
  SmallVector<Value> carried =
      b.carry(zero, turn, first, [&](Value i, ValueRange carried) {
        if (distance)
          fetch(neurons, b.add(i, distance), step);
        return emit(i, step, carried);
      });
  carried =
      b.carry(turn, b.index(steps), carried, [&](Value i, ValueRange carried) {
        fetch(next, b.sub(i, turn), step);
        return emit(i, step, carried);
      });
  if (rest) {
    // Rows so short that the next ones are fetched from end to end.
    if (distance == steps)
      fetch(next, b.index(steps), rest);
    carried = emit(b.index(steps), rest, carried);
  }
  return carried;
}
