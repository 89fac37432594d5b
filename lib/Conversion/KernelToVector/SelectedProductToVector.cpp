// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.selected_product on memrefs: parallel over tiles of eight selected
// neurons, whose weights stream past a few rows of x at a time. Each sum has a
// register, every lane of which is a chain over K; the eight neurons' are then
// added up across their lanes into one vector, where the epilogue runs.
#include "Lowerings.h"
#include "SelectedRows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::SelectedProductOp;

namespace {

class SelectedProductLowering {
public:
  SelectedProductLowering(SelectedProductOp op, const TargetInfo &target)
      : op(op), target(target), b(op.getLoc(), op),
        selected(b, target, op.getWeight(), op.getList(), op.getCount()) {
    bool areBf16 = selected.elementType().isBF16() &&
                   getElementTypeOrSelf(op.getX().getType()).isBF16();
    byPairs = areBf16 && target.convertsBf16();
    width = target.f32Lanes() * (byPairs ? 2 : 1);
    depth = cast<MemRefType>(op.getX().getType()).getDimSize(1);
  }

  void lower();

private:
  /// Neurons of a tile, and lanes of its epilogue.
  static constexpr unsigned tileNeurons = 8;
  using Sums = SmallVector<Value>; ///< row by row, in each neuron by neuron

  struct Tile {
    Value first;                ///< entry
    SmallVector<Value> neurons; ///< those of the next one behind them
  };
  struct Rows {
    Value first;
    unsigned count;
  };

  /// As many as have registers for their sums, and at least one.
  unsigned rowsABlock() const { return target.vectorBits == 512 ? 2 : 1; }
  void emitRows(const Tile &tile, Emitter::Part rows, bool isFirst);
  void emitBlock(const Tile &tile, Rows rows, bool isFirst);
  Sums accumulate(ArrayRef<Value> neurons, Rows rows, Value line,
                  unsigned lines, Sums sums, bool isLast);
  Value loadX(Value row, Value column, Value mask);
  Value multiplyAdd(Value x, Value weight, Value sum);
  Value addAcross(ArrayRef<Value> sums);
  void emitEpilogue(const Tile &tile, Value row, Value sums);

  SelectedProductOp op;
  const TargetInfo &target;
  Emitter b;
  SelectedRows selected;
  bool byPairs;   ///< dot products of pairs of bf16
  unsigned width; ///< elements of a vector of operands
  int64_t depth;
};

} // namespace

void SelectedProductLowering::lower() {
  Value zero = b.index(0), one = b.index(1);
  Value tiles = b.ceilDiv(selected.size(), tileNeurons);
  auto parallel = scf::ParallelOp::create(b, ValueRange{zero},
                                          ValueRange{tiles}, ValueRange{one});
  // A range of work worth waking a thread for streams 64 KiB of weights.
  int64_t tileBytes = tileNeurons * std::max<int64_t>(1, selected.rowBytes());
  parallel->setAttr("kernel.grain", b.getI64IntegerAttr(std::max<int64_t>(
                                        1, (64 << 10) / tileBytes)));
  b.setInsertionPointToStart(parallel.getBody());
  Tile tile;
  tile.first = b.mul(parallel.getInductionVars()[0], tileNeurons);
  tile.neurons = selected.neurons(b, tile.first, 2 * tileNeurons);
  Value rows = b.size(op.getX(), 0);
  Value blocks = b.ceilDiv(rows, rowsABlock());
  // The first rows bring the weights into cache for the others.
  Value isAny = b.less(zero, rows);
  auto ifAny = scf::IfOp::create(b, isAny, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(ifAny.thenBlock());
  emitRows(tile, b.balancedPart(rows, blocks, zero), /*isFirst=*/true);
  b.loop(one, blocks, [&](Value block) {
    emitRows(tile, b.balancedPart(rows, blocks, block), /*isFirst=*/false);
  });
}

void SelectedProductLowering::emitRows(const Tile &tile, Emitter::Part rows,
                                       bool isFirst) {
  b.switchOver(rows.size, 1, rowsABlock(), [&](unsigned count) {
    emitBlock(tile, {rows.begin, count}, isFirst);
  });
}

void SelectedProductLowering::emitBlock(const Tile &tile, Rows rows,
                                        bool isFirst) {
  Sums sums(rows.count * tileNeurons);
  int64_t lines = depth / selected.line();
  unsigned abreast = SelectedRows::abreast(lines);
  int64_t ahead = selected.rowsAhead(lines, abreast, tileNeurons);
  for (unsigned first = 0; first != tileNeurons; first += abreast) {
    auto neurons = ArrayRef(tile.neurons).slice(first, abreast);
    auto next = ArrayRef(tile.neurons).slice(first + ahead, abreast);
    Sums parts = selected.read(
        b, neurons, isFirst ? next : ArrayRef<Value>(), lines,
        Sums(rows.count * abreast, b.splat(0.0f, target.f32Lanes())),
        [&](Value line, unsigned count, ValueRange carried) {
          return accumulate(neurons, rows, line, count, Sums(carried),
                            /*isLast=*/false);
        });
    if (depth % selected.line())
      parts = accumulate(neurons, rows, b.index(lines), 1, parts,
                         /*isLast=*/true);
    for (unsigned i = 0, e = rows.count * abreast; i != e; ++i)
      sums[i / abreast * tileNeurons + first + i % abreast] = parts[i];
  }
  for (unsigned r = 0; r != rows.count; ++r)
    emitEpilogue(tile, b.add(rows.first, r),
                 addAcross(ArrayRef(sums).slice(r * tileNeurons, tileNeurons)));
}

/// sums += x[rows, lines] * w[neurons, lines], neuron by neuron; of the last
/// line what x has.
SelectedProductLowering::Sums
SelectedProductLowering::accumulate(ArrayRef<Value> neurons, Rows rows,
                                    Value line, unsigned lines, Sums sums,
                                    bool isLast) {
  SmallVector<Value> columns;
  SmallVector<SmallVector<Value>> x; // by column, then row
  for (int64_t part = 0; part != lines * selected.line(); part += width) {
    int64_t begin = depth / selected.line() * selected.line() + part;
    if (isLast && begin >= depth)
      break;
    Value column = b.add(b.mul(line, selected.line()), part), mask;
    if (isLast && begin + width > depth)
      mask = b.maskUpTo(column, b.index(depth), width);
    columns.push_back(column);
    x.emplace_back();
    for (unsigned r = 0; r != rows.count; ++r)
      x.back().push_back(loadX(b.add(rows.first, r), column, mask));
  }
  for (auto [n, neuron] : llvm::enumerate(neurons))
    for (auto [i, column] : llvm::enumerate(columns)) {
      Value weight = byPairs ? selected.load(b, neuron, column, width)
                             : selected.loadAsF32(b, neuron, column, width);
      for (unsigned r = 0; r != rows.count; ++r) {
        Value &sum = sums[r * neurons.size() + n];
        sum = multiplyAdd(x[i][r], weight, sum);
      }
    }
  return sums;
}

Value SelectedProductLowering::loadX(Value row, Value column, Value mask) {
  if (byPairs)
    return b.load(op.getX(), {row, column}, width, mask);
  return b.loadAsF32(op.getX(), {row, column}, width, mask);
}

Value SelectedProductLowering::multiplyAdd(Value x, Value weight, Value sum) {
  if (byPairs)
    return x86vector::DotBF16Op::create(b, sum, x, weight);
  return vector::FMAOp::create(b, x, weight, sum);
}

/// Lane n is the sum of all lanes of sums[n], added up pairwise in the same
/// order for every n.
Value SelectedProductLowering::addAcross(ArrayRef<Value> sums) {
  SmallVector<Value> level(sums);
  if (target.f32Lanes() > tileNeurons)
    for (Value &sum : level) {
      auto half = [&](int64_t from) {
        return vector::ExtractStridedSliceOp::create(b, sum, from, tileNeurons,
                                                     1);
      };
      sum = arith::AddFOp::create(b, half(0), half(tileNeurons));
    }
  for (int64_t bit = 1; bit != tileNeurons; bit *= 2)
    for (unsigned i = 0, e = level.size() / 2; i != e; ++i) {
      SmallVector<int64_t> own, other;
      for (int64_t lane = 0; lane != tileNeurons; ++lane) {
        int64_t source = lane & bit ? tileNeurons : 0;
        own.push_back(source + lane);
        other.push_back(source + (lane ^ bit));
      }
      Value first = level[2 * i], second = level[2 * i + 1];
      level[i] = arith::AddFOp::create(
          b, vector::ShuffleOp::create(b, first, second, own),
          vector::ShuffleOp::create(b, first, second, other));
      if (i + 1 == e)
        level.truncate(e);
    }
  return level.front();
}

/// out[row, entries of the tile] = epilogue(sums, extras...)
void SelectedProductLowering::emitEpilogue(const Tile &tile, Value row,
                                           Value sums) {
  Value mask = b.maskUpTo(tile.first, selected.size(), tileNeurons);
  SmallVector<Value> arguments = {sums};
  for (Value extra : op.getExtras()) {
    auto type = dyn_cast<MemRefType>(extra.getType());
    if (type && type.getRank() == 1) {
      auto loaded = VectorType::get(tileNeurons, type.getElementType());
      Value neurons = selected.neuronVector(b, tile.first, tileNeurons, mask);
      arguments.push_back(
          vector::GatherOp::create(b, loaded, extra, ValueRange{b.index(0)},
                                   neurons, mask, b.zero(loaded)));
    } else {
      arguments.push_back(
          b.loadExtra(extra, row, tile.first, tileNeurons, mask));
    }
  }
  b.store(b.inlineVectorized(op.getEpilogue(), arguments, tileNeurons),
          op.getOut(), {row, tile.first}, mask);
}

LogicalResult sparse_opt::lowerSelectedProduct(SelectedProductOp op,
                                               const TargetInfo &target) {
  if (failed(verifyContiguousRows(op)))
    return failure();
  SelectedProductLowering(op, target).lower();
  op.erase();
  return success();
}
