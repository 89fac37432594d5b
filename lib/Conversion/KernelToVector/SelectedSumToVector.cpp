// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.selected_sum on memrefs: parallel over parts of the neurons, so that
// each thread reads whole rows, eight side by side, while a part's sums stay in
// cache. Which part a neuron belongs to depends on its number alone, and a sum
// takes a part's neurons one after the other: neither threads nor neurons whose
// value is 0 change a bit. The parts' sums are added up where the epilogue
// runs.
#include "Lowerings.h"
#include "SelectedRows.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::SelectedSumOp;

namespace {

class SelectedSumLowering {
public:
  SelectedSumLowering(SelectedSumOp op, const TargetInfo &target)
      : op(op), b(op.getLoc(), op),
        selected(b, target, op.getWeight(), op.getList(), op.getCount()),
        lanes(target.f32Lanes()), registers(target.vectorBits == 512 ? 16 : 8) {
    columns = cast<MemRefType>(op.getOut().getType()).getDimSize(1);
    lines = llvm::divideCeil(columns, selected.line());
    splits = selected.elementType().isBF16();
    addsPairs = splits && op.getBf16Values() && target.convertsBf16();
    unit = splits ? 2 * lanes : lanes;
    int64_t neurons = cast<MemRefType>(op.getValues().getType()).getDimSize(1);
    parts = std::clamp<int64_t>(neurons / leastNeurons, 1, mostParts);
  }

  void lower();

private:
  static constexpr unsigned batchNeurons = 8;
  /// A part has sums of its own: few parts, and enough neurons in each.
  static constexpr int64_t mostParts = 8, leastNeurons = 64;
  /// Rows whose sums are kept at a time, and those of one pass over a batch.
  static constexpr unsigned mostRows = 16, rowsABlock = 4;
  static constexpr int64_t columnsATask = 256; ///< of the epilogue

  struct Batch {
    SmallVector<Value> neurons; ///< those of the next one behind them
    Value first, end;           ///< entries
  };
  struct Block {
    Value part, row, sumRow; ///< of values, of sums
    unsigned rows;
  };
  /// What a neuron's weights are multiplied by for one row.
  struct Factor {
    Value all;       ///< those of f32
    Value even, odd; ///< pairs of bf16
  };

  scf::ParallelOp parallel(int64_t count, int64_t grain);
  void emitParts(Emitter::Part rows);
  void emitPart(Value part, Emitter::Part rows);
  void emitBatch(Value part, Emitter::Part rows, Value first, Value end);
  void emitBlock(const Block &block, const Batch &batch, bool isFirst);
  SmallVector<Value> loadWeights(Value neuron, Value column);
  Factor factorOf(Value value, const Block &block);
  bool usesPairs(const Block &block) const {
    return addsPairs && block.rows == 1;
  }
  void emitLines(const Block &block, ArrayRef<Value> neurons,
                 ArrayRef<Factor> factors, Value line, unsigned count);
  void addPairs(MutableArrayRef<Value> sums, ArrayRef<Value> columns,
                Value neuron, const Factor &factor);
  void emitEpilogue(Emitter::Part rows);
  SmallVector<Value> emitTotals(Value row, Value column);
  void emitColumns(Emitter::Part rows, Value row, Value first);

  SelectedSumOp op;
  Emitter b;
  SelectedRows selected;
  unsigned lanes, registers; ///< registers for sums
  /// Sums of even columns lie before those of odd ones, as the halves of 32
  /// bits make them of bf16.
  bool splits;
  /// A dot product of pairs with (value, 0) or (0, value) takes fewer
  /// instructions than to split weights and to multiply: of one row, since
  /// several rows share what is split.
  bool addsPairs;
  int64_t unit; ///< columns of which that is so
  int64_t columns, lines, parts;
  Value sums; ///< parts x rows x columns
};

} // namespace

void SelectedSumLowering::lower() {
  Value rows = b.size(op.getValues(), 0);
  sums = memref::AllocOp::create(
      b,
      MemRefType::get({parts, ShapedType::kDynamic, lines * selected.line()},
                      b.getF32Type()),
      b.min(rows, b.index(mostRows)), b.getI64IntegerAttr(64));
  b.loop(rows, mostRows, [&](Value begin) {
    Emitter::Part some = {begin, b.min(b.sub(rows, begin), b.index(mostRows))};
    emitParts(some);
    emitEpilogue(some);
  });
}

/// Over [0, count); the code that follows is its body.
scf::ParallelOp SelectedSumLowering::parallel(int64_t count, int64_t grain) {
  auto parallel = scf::ParallelOp::create(b, ValueRange{b.index(0)},
                                          ValueRange{b.index(count)},
                                          ValueRange{b.index(1)});
  parallel->setAttr("kernel.grain", b.getI64IntegerAttr(grain));
  b.setInsertionPointToStart(parallel.getBody());
  return parallel;
}

void SelectedSumLowering::emitParts(Emitter::Part rows) {
  OpBuilder::InsertionGuard guard(b);
  scf::ParallelOp loop = parallel(parts, 1);
  emitPart(loop.getInductionVars()[0], rows);
}

void SelectedSumLowering::emitPart(Value part, Emitter::Part rows) {
  int64_t width = lines * selected.line();
  b.loop(rows.size, 1, [&](Value row) {
    b.loop(b.index(width), lanes, [&](Value column) {
      b.store(b.splat(0.0f, lanes), sums, {part, row, column});
    });
  });
  auto boundary = [&](Value part) {
    return selected.entryOf(b, b.div(b.mul(part, selected.groups()), parts));
  };
  Value begin = boundary(part), end = boundary(b.add(part, b.index(1)));
  b.loop(b.sub(end, begin), batchNeurons,
         [&](Value i) { emitBatch(part, rows, b.add(begin, i), end); });
}

void SelectedSumLowering::emitBatch(Value part, Emitter::Part rows, Value first,
                                    Value end) {
  Batch batch = {selected.neurons(b, first, 2 * batchNeurons), first, end};
  Value blocks = b.ceilDiv(rows.size, rowsABlock);
  auto emit = [&](Value number, bool isFirst) {
    Emitter::Part block = b.balancedPart(rows.size, blocks, number);
    b.switchOver(block.size, 1, rowsABlock, [&](unsigned count) {
      emitBlock({part, b.add(rows.begin, block.begin), block.begin, count},
                batch, isFirst);
    });
  };
  // The first rows bring the weights into cache for the others.
  emit(b.index(0), /*isFirst=*/true);
  b.loop(b.index(1), blocks, [&](Value i) { emit(i, /*isFirst=*/false); });
}

/// What a batch has behind the part's end is another's: it counts 0.
void SelectedSumLowering::emitBlock(const Block &block, const Batch &batch,
                                    bool isFirst) {
  Value zero = b.zero(b.getF32Type()), last = b.sub(batch.end, b.index(1));
  unsigned abreast = SelectedRows::abreast(lines);
  int64_t ahead = selected.rowsAhead(lines, abreast, batchNeurons);
  for (unsigned first = 0; first != batchNeurons; first += abreast) {
    SmallVector<Factor> factors; // neuron by neuron
    SmallVector<Value> next;
    for (unsigned n = first; n != first + abreast; ++n) {
      next.push_back(batch.neurons[n + ahead]);
      Value entry = b.add(batch.first, n);
      for (unsigned r = 0; r != block.rows; ++r) {
        Value value = memref::LoadOp::create(
            b, op.getValues(),
            ValueRange{b.add(block.row, r), b.min(entry, last)});
        factors.push_back(
            factorOf(b.select(b.less(entry, batch.end), value, zero), block));
      }
    }
    ArrayRef<Value> neurons = ArrayRef(batch.neurons).slice(first, abreast);
    selected.read(b, neurons, isFirst ? ValueRange(next) : ValueRange(), lines,
                  {}, [&](Value line, unsigned count, ValueRange) {
                    emitLines(block, neurons, factors, line, count);
                    return SmallVector<Value>();
                  });
  }
}

SelectedSumLowering::Factor SelectedSumLowering::factorOf(Value value,
                                                          const Block &block) {
  if (!usesPairs(block))
    return {b.broadcast(value, lanes), {}, {}};
  Value bits = arith::BitcastOp::create(b, b.getI32Type(), value),
        half = arith::ConstantOp::create(b, b.getI32IntegerAttr(16));
  auto pairs = [&](Value pair) {
    return vector::BitCastOp::create(
        b, VectorType::get({unit}, b.getBF16Type()), b.broadcast(pair, lanes));
  };
  return {{}, pairs(arith::ShRUIOp::create(b, bits, half)), pairs(bits)};
}

/// weight[neuron, column..., + unit) in the order of sums.
SmallVector<Value> SelectedSumLowering::loadWeights(Value neuron,
                                                    Value column) {
  if (!splits)
    return {selected.loadAsF32(b, neuron, column, lanes)};
  auto [even, odd] = b.splitBf16(selected.load(b, neuron, column, unit));
  return {even, odd};
}

/// sums += factor * weight[neuron, columns]
void SelectedSumLowering::addPairs(MutableArrayRef<Value> sums,
                                   ArrayRef<Value> columns, Value neuron,
                                   const Factor &factor) {
  for (auto [i, column] : llvm::enumerate(columns)) {
    Value weights = selected.load(b, neuron, column, unit);
    auto add = [&](Value &sum, Value pairs) {
      sum = x86vector::DotBF16Op::create(b, sum, weights, pairs);
    };
    add(sums[2 * i], factor.even);
    add(sums[2 * i + 1], factor.odd);
  }
}

void SelectedSumLowering::emitLines(const Block &block, ArrayRef<Value> neurons,
                                    ArrayRef<Factor> factors, Value line,
                                    unsigned count) {
  int64_t end = count * selected.line();
  int64_t step = std::max<int64_t>(
      unit, llvm::alignDown(registers / block.rows * lanes, unit));
  for (int64_t begin = 0; begin < end; begin += step) {
    SmallVector<Value> places, all; // all: row by row
    for (int64_t i = begin; i < std::min(begin + step, end); i += unit)
      places.push_back(b.add(b.mul(line, selected.line()), i));
    auto forEachSum = [&](llvm::function_ref<void(ArrayRef<Value>)> body) {
      for (unsigned r = 0; r != block.rows; ++r)
        for (Value column : places)
          for (int64_t i = 0; i != unit; i += lanes)
            body({block.part, b.add(block.sumRow, r), b.add(column, i)});
    };
    forEachSum(
        [&](ArrayRef<Value> at) { all.push_back(b.load(sums, at, lanes)); });
    for (auto [n, neuron] : llvm::enumerate(neurons)) {
      if (usesPairs(block)) {
        addPairs(all, places, neuron, factors[n]);
        continue;
      }
      SmallVector<Value> weights;
      for (Value column : places)
        llvm::append_range(weights, loadWeights(neuron, column));
      for (unsigned r = 0; r != block.rows; ++r)
        for (auto [i, weight] : llvm::enumerate(weights)) {
          Value &sum = all[r * weights.size() + i];
          sum = vector::FMAOp::create(b, factors[n * block.rows + r].all,
                                      weight, sum);
        }
    }
    unsigned next = 0;
    forEachSum([&](ArrayRef<Value> at) { b.store(all[next++], sums, at); });
  }
}

/// out[rows, :] = epilogue(the parts' sums added up, extras...)
void SelectedSumLowering::emitEpilogue(Emitter::Part rows) {
  OpBuilder::InsertionGuard guard(b);
  int64_t tasks = llvm::divideCeil(columns, columnsATask);
  // A range of work worth waking a thread for reads 64 KiB of sums.
  int64_t bytes = columnsATask * parts * sizeof(float);
  scf::ParallelOp loop = parallel(tasks, llvm::divideCeil(64 << 10, bytes));
  Value first = b.mul(loop.getInductionVars()[0], columnsATask);
  Value size = b.min(b.sub(b.index(columns), first), b.index(columnsATask));
  b.loop(rows.size, 1, [&](Value row) {
    b.loop(size, unit,
           [&](Value column) { emitColumns(rows, row, b.add(first, column)); });
  });
}

/// The parts' sums of the columns from `column` on, in their order.
SmallVector<Value> SelectedSumLowering::emitTotals(Value row, Value column) {
  SmallVector<Value> totals;
  for (int64_t i = 0; i != unit; i += lanes) {
    auto load = [&](int64_t part) {
      return b.load(sums, {b.index(part), row, b.add(column, i)}, lanes);
    };
    Value total = load(0);
    for (int64_t part = 1; part != parts; ++part)
      total = arith::AddFOp::create(b, total, load(part));
    totals.push_back(total);
  }
  if (!splits)
    return totals;
  Value both = b.interleave(totals);
  auto half = [&](int64_t from) {
    return vector::ExtractStridedSliceOp::create(b, both, from, lanes, 1);
  };
  return {half(0), half(lanes)};
}

void SelectedSumLowering::emitColumns(Emitter::Part rows, Value row,
                                      Value first) {
  Value outRow = b.add(rows.begin, row);
  for (auto [i, total] : llvm::enumerate(emitTotals(row, first))) {
    Value column = b.add(first, i * lanes), mask;
    if (columns % unit)
      mask = b.maskUpTo(column, b.index(columns), lanes);
    SmallVector<Value> arguments = {total};
    for (Value extra : op.getExtras())
      arguments.push_back(b.loadExtra(extra, outRow, column, lanes, mask));
    b.store(b.inlineVectorized(op.getEpilogue(), arguments, lanes), op.getOut(),
            {outRow, column}, mask);
  }
}

LogicalResult sparse_opt::lowerSelectedSum(SelectedSumOp op,
                                           const TargetInfo &target) {
  if (failed(verifyContiguousRows(op)))
    return failure();
  if (cast<MemRefType>(op.getOut().getType()).getDimSize(1) != 0)
    SelectedSumLowering(op, target).lower();
  op.erase();
  return success();
}
