// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention of a few rows, those of a decoder: memory is what takes time, so
// that k and v are read once, as they lie, for all heads that share them.
// Scores are dot products along d, whose lanes are added by a tree of shuffles
// for as many keys as a vector has lanes; values are added row by row.
#include "AttentionLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::panelColumns;

/// Panels of n in a block: k's of one stay in the first-level cache while all
/// rows use them.
constexpr int64_t streamPanels = 8;
/// Rows that share what is loaded.
constexpr int64_t sharedRows = 4;
/// What lies this far ahead is fetched: a block of k or v is too short for the
/// hardware to see where it goes on.
constexpr int64_t prefetchBytes = 8192;
/// Largest d and e that code is unrolled for.
constexpr int64_t mostColumns = 256;

bool AttentionLowering::canStream() const {
  int64_t rows = ShapedType::kDynamic;
  if (std::optional<unsigned> dim = q.dimOf(Op::M))
    rows = cast<MemRefType>(q.memref.getType()).getDimSize(*dim);
  bool isFew = ShapedType::isDynamic(rows) || rows * group <= streamRows;
  return isFew && k.isContiguousAlong(Op::D) && v.isContiguousAlong(Op::E) &&
         depth <= mostColumns && columns <= mostColumns;
}

void AttentionLowering::emitStream(Range range) {
  Value rows = b.mul(numRows, group);
  auto rowAt = [&](Value r) {
    LoopIndices row = at;
    row[Op::H] = b.add(at[Op::H], b.div(r, numRows));
    row[Op::M] = b.rem(r, numRows);
    return row;
  };
  b.loop(rows, 1, [&](Value r) { copyRowOfQ(rowAt(r), r); });
  forBlocks(range, std::min(streamPanels, blockPanels), [&](Keys keys) {
    emitDots(rows, keys);
    b.loop(rows, 1, [&](Value r) {
      emitScoredRow(rowAt(r), r, keys);
      emitExponentials(r, r, keys, scores);
    });
    emitSums(rows, keys);
    b.loop(rows, 1, [&](Value r) { finishRow(rowAt(r), r, r, keys); });
  });
}

/// Calls `emit`'s function of 1 to `sharedRows` rows for all `rows`; operand 0
/// is the first of them.
static void
callByRows(Emitter &b, MicroKernels &kernels, Value rows, StringRef name,
           ValueRange others,
           llvm::function_ref<void(Emitter &, ValueRange, unsigned)> emit) {
  Value blocks = b.ceilDiv(rows, sharedRows);
  b.loop(blocks, 1, [&](Value block) {
    Emitter::Part part = b.balancedPart(rows, blocks, block);
    SmallVector<Value> operands = {part.begin};
    llvm::append_range(operands, others);
    SmallVector<Type> types = llvm::to_vector(ValueRange(operands).getTypes());
    b.switchOver(part.size, 1, sharedRows, [&](unsigned n) {
      std::string prefix = (name + "_r" + Twine(n) + "_").str();
      func::CallOp::create(
          b,
          kernels.getShared(prefix, types,
                            [&](Emitter &inside, func::FuncOp function) {
                              emit(inside, function.getArguments(), n);
                            }),
          operands);
    });
  });
}

/// Rows of `x` from the block's first on, columns adjacent.
static Value rowsFrom(Emitter &b, const AttentionOperand &x, LoopIndices at,
                      unsigned rows, unsigned columns, Value first, Value count,
                      int64_t size) {
  at[rows] = first;
  at[columns] = b.index(0);
  int64_t stride = x.strideOf(rows);
  SmallVector<Value> dynamic = {count};
  if (ShapedType::isDynamic(stride))
    dynamic.push_back(x.strideValue(b, rows));
  MemRefType type =
      stridedMemRef(cast<MemRefType>(x.memref.getType()).getElementType(),
                    {ShapedType::kDynamic, size}, {stride, 1});
  return b.at(x.memref, x.indices(b, at), type, dynamic);
}

static Value partialMask(Emitter &b, int64_t begin, int64_t end,
                         unsigned lanes) {
  if (begin + lanes <= end)
    return {};
  return b.maskUpTo(b.index(begin), b.index(end), lanes);
}

/// Fetches columns [begin, end) of the row that many bytes past `row`.
static void prefetch(Emitter &b, Value rows, Value row, int64_t begin,
                     int64_t end) {
  auto type = cast<MemRefType>(rows.getType());
  int64_t bytes = type.getElementTypeBitWidth() / 8;
  int64_t ahead =
      std::max<int64_t>(prefetchBytes / (type.getDimSize(1) * bytes), 1);
  Value last = b.sub(b.size(rows, 0), b.index(1));
  Value target = b.min(b.add(row, ahead), last);
  for (int64_t column = begin; column < end; column += 64 / bytes)
    b.prefetch(rows, {target, b.index(column)});
}

//===----------------------------------------------------------------------===//
// Dot products with k
//===----------------------------------------------------------------------===//

/// Sums of the lanes of as many vectors as there are lanes, in their order:
/// each level adds halves of two, of vectors `half` apart. `leaf(i)` makes
/// vector i of each row.
static SmallVector<Value>
sumLanes(Emitter &b, unsigned lanes, unsigned first, unsigned half,
         llvm::function_ref<SmallVector<Value>(unsigned)> leaf) {
  if (half == lanes)
    return leaf(first);
  SmallVector<Value> low = sumLanes(b, lanes, first, half * 2, leaf);
  SmallVector<Value> high = sumLanes(b, lanes, first + half, half * 2, leaf);
  unsigned distance = half;
  SmallVector<int64_t> kept(lanes), moved(lanes);
  for (unsigned j = 0; j != lanes; ++j) {
    bool upper = j & distance;
    kept[j] = upper ? lanes + j - distance : j;
    moved[j] = upper ? lanes + j : j + distance;
  }
  SmallVector<Value> sums;
  for (auto [x, y] : llvm::zip_equal(low, high))
    sums.push_back(
        arith::AddFOp::create(b, vector::ShuffleOp::create(b, x, y, kept),
                              vector::ShuffleOp::create(b, x, y, moved)));
  return sums;
}

/// scores[panel, r, ..] = q k^T of a block; columns past n repeat the last.
void AttentionLowering::emitDots(Value rows, const Keys &keys) {
  bool dots = step != 1 && !widens;
  unsigned width = dots ? 2 * lanes : lanes;
  Value from = rowsFrom(b, k, at, Op::N, Op::D, keys.first,
                        b.sub(numColumns, keys.first), depth);
  SmallVector<Value> operands = {rowsOfQ, from, scores, keys.panels,
                                 b.sub(keys.columns, b.index(1))};
  auto emit = [&](Emitter &b, ValueRange own, unsigned rows) {
    Value firstRow = own[0], q = own[1], k = own[2], scores = own[3];
    Value last = own[5];
    auto leaf = [&](Value first, unsigned i) {
      Value key = b.min(b.add(first, i), last);
      prefetch(b, k, key, 0, depth);
      SmallVector<Value> sums;
      for (int64_t d = 0; d < depth; d += width) {
        Value x = b.load(k, {key, b.index(d)}, width,
                         partialMask(b, d, depth, width));
        if (step != 1 && !dots)
          x = b.widened(x);
        for (unsigned r = 0; r != rows; ++r) {
          Value y = b.load(q, {b.add(firstRow, r), b.index(d)}, width);
          if (dots)
            y = x86vector::DotBF16Op::create(
                b, d ? sums[r] : b.splat(0.0f, lanes), x, y);
          else if (d)
            y = vector::FMAOp::create(b, x, y, sums[r]);
          else
            y = arith::MulFOp::create(b, x, y);
          d ? sums[r] = y : sums.emplace_back(y);
        }
      }
      return sums;
    };
    b.loop(own[4], 1, [&](Value panel) {
      for (unsigned lane = 0; lane != panelColumns; lane += lanes) {
        Value first = b.add(b.mul(panel, panelColumns), lane);
        SmallVector<Value> sums = sumLanes(
            b, lanes, 0, 1, [&](unsigned i) { return leaf(first, i); });
        for (auto [r, sum] : llvm::enumerate(sums))
          b.store(sum, scores, {panel, b.add(firstRow, r), b.index(lane)});
      }
    });
  };
  callByRows(b, kernels, rows, "attention_dots", operands, emit);
}

//===----------------------------------------------------------------------===//
// Sums of v
//===----------------------------------------------------------------------===//

/// tile = scores v, of a block.
void AttentionLowering::emitSums(Value rows, const Keys &keys) {
  Value from = rowsFrom(b, v, at, Op::N, Op::E, keys.first,
                        b.sub(numColumns, keys.first), columns);
  SmallVector<Value> operands = {scores, from, tile, keys.columns};
  // Registers for sums: two thirds of all.
  const unsigned most = target.vectorBits == 512 ? 20 : 10;
  auto emit = [&](Emitter &b, ValueRange own, unsigned rows) {
    Value firstRow = own[0], scores = own[1], v = own[2], tile = own[3];
    int64_t vectors = llvm::divideCeil(columns, lanes);
    int64_t parts = llvm::divideCeil(vectors, std::max(1u, most / rows));
    int64_t size = llvm::divideCeil(vectors, parts);
    for (int64_t begin = 0; begin < vectors; begin += size) {
      int64_t end = std::min(begin + size, vectors);
      auto addKeys = [&](Value panel, Value count, ValueRange sums) {
        return b.carry(
            b.index(0), count, sums, [&](Value lane, ValueRange carried) {
              SmallVector<Value> next(carried);
              Value key = b.add(b.mul(panel, panelColumns), lane);
              prefetch(b, v, key, begin * lanes,
                       std::min<int64_t>(end * lanes, columns));
              SmallVector<Value> factors;
              for (unsigned r = 0; r != rows; ++r)
                factors.push_back(b.broadcast(
                    memref::LoadOp::create(
                        b, scores, ValueRange{panel, b.add(firstRow, r), lane}),
                    lanes));
              for (int64_t i = begin; i < end; ++i) {
                Value x = b.load(v, {key, b.index(i * lanes)}, lanes,
                                 partialMask(b, i * lanes, columns, lanes));
                if (step != 1)
                  x = b.widened(x);
                for (unsigned r = 0; r != rows; ++r) {
                  Value &sum = next[(i - begin) * rows + r];
                  sum = vector::FMAOp::create(b, x, factors[r], sum);
                }
              }
              return next;
            });
      };
      SmallVector<Value> sums((end - begin) * rows, b.splat(0.0f, lanes));
      Value whole = b.div(own[4], panelColumns);
      sums = b.carry(b.index(0), whole, sums,
                     [&](Value panel, ValueRange carried) {
                       return addKeys(panel, b.index(panelColumns), carried);
                     });
      sums = addKeys(whole, b.rem(own[4], b.index(panelColumns)), sums);
      for (int64_t i = begin; i < end; ++i)
        for (unsigned r = 0; r != rows; ++r)
          b.store(sums[(i - begin) * rows + r], tile,
                  {b.index(i * lanes / panelColumns), b.add(firstRow, r),
                   b.index(i * lanes % panelColumns)});
    }
  };
  callByRows(b, kernels, rows, "attention_sums", operands, emit);
}
