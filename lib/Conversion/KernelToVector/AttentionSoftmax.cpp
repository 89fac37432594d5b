// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Between and behind attention's products: scores, their maxima and
// exponentials, and sums of several blocks or ranges of n made into outputs.
#include "AttentionLowering.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "sparse-opt/Conversion/VectorMath.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::panelColumns;

static constexpr float infinity = std::numeric_limits<float>::infinity();
static constexpr float log2OfE = 1.44269504088896341f;

static Value constant(Emitter &b, float value) {
  return arith::ConstantOp::create(b, b.getF32FloatAttr(value));
}

/// The greater; never a NaN unless `a` is one: it is passed over here, and
/// makes the sum one.
static Value greater(Emitter &b, Value x, Value a) {
  Value isGreater = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, a);
  return b.select(isGreater, x, a);
}

/// `highest`, or 0 where no column counts: exponentials are zeros then.
static Value shiftOf(Emitter &b, Value highest) {
  Value none = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, highest,
                                     constant(b, -infinity));
  return b.select(none, constant(b, 0), highest);
}

namespace {
/// exp(x - highest) as 2^(x * factor + shift).
struct Exponent {
  Value factor, shift;
};
} // namespace

/// Where all of a row is masked by the lowest float, as exporters do,
/// log2(e) times its maximum would be infinite. Such numbers are equal or far
/// apart, so that any factor will do: 1/4 is exact, and equal ones count alike.
static Exponent exponentFor(Emitter &b, Value highest, unsigned lanes) {
  Value shift = shiftOf(b, highest);
  Value isSmall = arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, shift,
                                        constant(b, -1e38f));
  Value factor = b.select(isSmall, constant(b, log2OfE), constant(b, 0.25f));
  Value negative = arith::NegFOp::create(b, factor);
  return {b.broadcast(factor, lanes),
          b.broadcast(arith::MulFOp::create(b, shift, negative), lanes)};
}

static Value exponential(Emitter &b, Value x, const Exponent &exponent,
                         bool isShort) {
  Value power = vector::FMAOp::create(b, x, exponent.factor, exponent.shift);
  return emitExp2(b, power, isShort);
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

AttentionLowering::Score AttentionLowering::scoreHere() const {
  return {at, numColumns, extras, {}};
}

SmallVector<Value> AttentionLowering::scoreOperands(const Score &score) const {
  SmallVector<Value> operands = {score.at[Op::B], score.at[Op::H],
                                 score.at[Op::M], score.numColumns};
  for (const AttentionOperand &extra : extras)
    operands.push_back(extra.memref);
  llvm::append_range(operands, captured);
  return operands;
}

AttentionLowering::Score
AttentionLowering::scoreInside(ValueRange arguments) const {
  Score score;
  score.at.fill(Value());
  score.at[Op::B] = arguments[0];
  score.at[Op::H] = arguments[1];
  score.at[Op::M] = arguments[2];
  score.numColumns = arguments[3];
  arguments = arguments.drop_front(4);
  for (auto [extra, argument] : llvm::zip(extras, arguments))
    score.extras.push_back({argument, extra.map});
  score.outer.map(captured, arguments.drop_front(extras.size()));
  return score;
}

/// The score of `sum`: of row `row` past the first, from `column` on.
Value AttentionLowering::emitScore(Emitter &b, const Score &score, Value sum,
                                   Value row, Value column, bool masked) {
  LoopIndices from = score.at;
  from[Op::M] = b.add(from[Op::M], row);
  from[Op::N] = column;
  Value mask = masked ? b.maskUpTo(column, score.numColumns, lanes) : Value();
  SmallVector<Value> arguments = {sum};
  for (const AttentionOperand &extra : score.extras) {
    SmallVector<Value> indices = extra.indices(b, from);
    arguments.push_back(
        extra.dimOf(Op::N)
            ? b.load(extra.memref, indices, lanes, mask)
            : b.broadcast(memref::LoadOp::create(b, extra.memref, indices),
                          lanes));
  }
  Value result =
      b.inlineVectorized(op.getScore(), arguments, lanes, &score.outer);
  return mask ? b.select(mask, result, b.splat(-infinity, lanes)) : result;
}

/// Scores of a micro-kernel's sums, minus infinity past n, and what maxima
/// they make.
void AttentionLowering::emitPanelScores(Emitter &b, const Score &score,
                                        ArrayRef<Value> sums, unsigned rows,
                                        unsigned panels, Value panel,
                                        Value firstColumn, Value scores,
                                        Value maxima, bool masked) {
  for (unsigned r = 0; r != rows; ++r) {
    SmallVector<Value> at = {b.index(r), b.index(0)};
    Value highest = b.load(maxima, at, lanes);
    for (unsigned p = 0; p != panels; ++p)
      for (unsigned lane = 0; lane != panelColumns; lane += lanes) {
        Value column = b.add(firstColumn, p * panelColumns + lane);
        Value value =
            emitScore(b, score, sums.front(), b.index(r), column, masked);
        sums = sums.drop_front();
        b.store(value, scores, {b.add(panel, p), b.index(r), b.index(lane)});
        highest = greater(b, value, highest);
      }
    b.store(highest, maxima, at);
  }
}

/// scores[.., r, ..] = score(scores), minus infinity past n; its maxima.
void AttentionLowering::emitScoredRow(const LoopIndices &row, Value r,
                                      const Keys &keys) {
  Score score = scoreHere();
  score.at = row;
  Value zero = b.index(0);
  SmallVector<Value> highest =
      b.carry(zero, keys.panels, b.splat(-infinity, lanes),
              [&](Value panel, ValueRange carried) {
                Value highest = carried.front();
                for (unsigned lane = 0; lane < panelColumns; lane += lanes) {
                  Value column = b.add(keys.first,
                                       b.add(b.mul(panel, panelColumns), lane));
                  SmallVector<Value> at = {panel, r, b.index(lane)};
                  Value value = emitScore(b, score, b.load(scores, at, lanes),
                                          zero, column, /*masked=*/true);
                  b.store(value, scores, at);
                  highest = greater(b, value, highest);
                }
                return SmallVector<Value>{highest};
              });
  b.store(highest.front(), maxima, {r, zero});
}

//===----------------------------------------------------------------------===//
// Exponentials
//===----------------------------------------------------------------------===//

/// to[.., r, ..] = exp(scores - highest), and the row's state after this block.
void AttentionLowering::emitExponentials(Value r, Value state, const Keys &keys,
                                         Value to) {
  Value zero = b.index(0), one = b.index(1);
  Type element = getElementTypeOrSelf(to.getType());
  auto stored = VectorType::get(lanes, element);
  bool isShort = !element.isF32();
  Value highest = vector::ReductionOp::create(b, vector::CombiningKind::MAXNUMF,
                                              b.load(maxima, {r, zero}, lanes),
                                              arith::FastMathFlags::nnan);
  Value before =
      b.select(keys.isFirst, constant(b, -infinity),
               memref::LoadOp::create(b, states, ValueRange{state, zero}));
  highest = greater(b, highest, before);
  Exponent exponent = exponentFor(b, highest, lanes);
  memref::StoreOp::create(b, highest, states, ValueRange{state, zero});
  SmallVector<Value> sum =
      b.carry(zero, keys.panels, b.splat(0.0f, lanes),
              [&](Value panel, ValueRange carried) {
                Value sum = carried.front();
                for (unsigned lane = 0; lane < panelColumns; lane += lanes) {
                  SmallVector<Value> at = {panel, r, b.index(lane)};
                  Value value = exponential(b, b.load(scores, at, lanes),
                                            exponent, isShort);
                  sum = arith::AddFOp::create(b, sum, value);
                  if (isShort)
                    value = arith::TruncFOp::create(b, stored, value);
                  b.store(value, to, at);
                }
                return SmallVector<Value>{sum};
              });
  // One fixed tree, whatever the number of threads.
  Value total =
      vector::ReductionOp::create(b, vector::CombiningKind::ADD, sum.front(),
                                  arith::FastMathFlags::reassoc);
  auto storeTotal = [&](Value total) {
    memref::StoreOp::create(b, total, states, ValueRange{state, one});
  };
  b.ifElse(
      keys.isFirst, [&] { storeTotal(total); },
      [&] {
        Value scale = exponential(b, b.broadcast(before, lanes), exponent,
                                  /*isShort=*/false);
        b.store(scale, scales, {r, zero});
        Value sum = memref::LoadOp::create(b, states, ValueRange{state, one});
        sum = arith::MulFOp::create(b, sum,
                                    vector::ExtractOp::create(b, scale, 0));
        storeTotal(arith::AddFOp::create(b, sum, total));
      });
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

/// The row's tile and what earlier blocks have summed: kept, put aside for the
/// merge, or the output.
void AttentionLowering::finishRow(const LoopIndices &row, Value r, Value state,
                                  const Keys &keys) {
  auto tileAt = [&](int64_t e) {
    return SmallVector<Value>{b.index(e / panelColumns), r,
                              b.index(e % panelColumns)};
  };
  Value zero = b.index(0), one = b.index(1);
  auto stateAt = [&](Value which) {
    return memref::LoadOp::create(b, states, ValueRange{state, which});
  };
  b.ifElse(
      keys.isFirst, [] {},
      [&] {
        Value scale = b.load(scales, {r, zero}, lanes);
        for (int64_t e = 0; e < columns; e += lanes) {
          Value sum =
              vector::FMAOp::create(b, b.load(sums, {state, b.index(e)}, lanes),
                                    scale, b.load(tile, tileAt(e), lanes));
          b.store(sum, tile, tileAt(e));
        }
      });
  auto copyTo = [&](Value to, ArrayRef<Value> at) {
    for (int64_t e = 0; e < columns; e += lanes) {
      SmallVector<Value> indices(at);
      indices.push_back(b.index(e));
      b.store(b.load(tile, tileAt(e), lanes), to, indices);
    }
  };
  auto output = [&] {
    storeOutput(
        row, [&](int64_t e) { return b.load(tile, tileAt(e), lanes); },
        emitFactor(stateAt(one)));
  };
  auto putAside = [&] {
    Value place = partialRow(row);
    copyTo(partials, {split, place});
    int64_t width = cast<MemRefType>(partials.getType()).getDimSize(2);
    for (Value which : {zero, one})
      memref::StoreOp::create(
          b, stateAt(which), partials,
          ValueRange{split, place, b.add(which, width - panelColumns)});
  };
  b.ifElse(
      keys.isLast, [&] { b.ifElse(b.less(one, splits), putAside, output); },
      [&] { copyTo(sums, {state}); });
}

/// What sums are multiplied by: NaN where no column counts.
Value AttentionLowering::emitFactor(Value sum) {
  Value one = constant(b, 1), zero = constant(b, 0);
  Value factor = arith::DivFOp::create(b, one, sum);
  Value isNone = arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, sum, zero);
  Value none = b.select(b.equal(numColumns, b.index(0)), zero,
                        constant(b, std::numeric_limits<float>::quiet_NaN()));
  return b.select(isNone, none, factor);
}

/// out[row] = value * factor, by vectors where e is contiguous.
void AttentionLowering::storeOutput(LoopIndices row,
                                    llvm::function_ref<Value(int64_t)> value,
                                    Value factor) {
  Type outElement = getElementTypeOrSelf(out.memref.getType());
  auto vectorType = VectorType::get(lanes, outElement);
  Value factors = b.broadcast(factor, lanes);
  for (int64_t e = 0; e < columns; e += lanes) {
    Value result = arith::MulFOp::create(b, value(e), factors);
    if (zeroesNan) {
      Value none =
          arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, factors, factors);
      result = b.select(none, b.splat(0.0f, lanes), result);
    }
    if (!outElement.isF32())
      result = arith::TruncFOp::create(b, vectorType, result);
    int64_t valid = std::min<int64_t>(lanes, columns - e);
    if (out.isContiguousAlong(Op::E)) {
      row[Op::E] = b.index(e);
      Value mask = valid == lanes
                       ? Value()
                       : b.maskUpTo(b.index(e), b.index(columns), lanes);
      b.store(result, out.memref, out.indices(b, row), mask);
      continue;
    }
    for (int64_t i = 0; i < valid; ++i) {
      row[Op::E] = b.index(e + i);
      memref::StoreOp::create(b, vector::ExtractOp::create(b, result, i),
                              out.memref, out.indices(b, row));
    }
  }
}

//===----------------------------------------------------------------------===//
// Several ranges of n
//===----------------------------------------------------------------------===//

/// Where a row's partial results are.
Value AttentionLowering::partialRow(const LoopIndices &row) {
  Value heads = out.sizeOf(b, Op::H);
  return b.add(b.mul(b.add(b.mul(row[Op::B], heads), row[Op::H]), numRows),
               row[Op::M]);
}

/// out = the ranges' sums, each times 2^(its maximum - all maxima), in order.
void AttentionLowering::emitMerge() {
  // Only the tasks' loop is the attention that profiles know.
  Location loc = b.getLoc();
  if (auto fused = dyn_cast<FusedLoc>(loc))
    b.setLoc(fused.getLocations().front());
  Value zero = b.index(0), one = b.index(1);
  Value heads = out.sizeOf(b, Op::H);
  Value rows = b.mul(b.mul(out.sizeOf(b, Op::B), heads), numRows);
  Value several = b.min(b.sub(splits, one), one);
  auto parallel = scf::ParallelOp::create(
      b, ValueRange{zero}, ValueRange{b.mul(rows, several)}, ValueRange{one});
  parallel->setAttr("kernel.grain", b.getI64IntegerAttr(32));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(parallel.getBody());
  Value place = parallel.getInductionVars().front();
  LoopIndices row;
  row.fill(Value());
  row[Op::M] = b.rem(place, numRows);
  Value head = b.div(place, numRows);
  row[Op::H] = b.rem(head, heads);
  row[Op::B] = b.div(head, heads);
  int64_t width = cast<MemRefType>(partials.getType()).getDimSize(2);
  auto state = [&](Value split, int64_t which) -> Value {
    return memref::LoadOp::create(
        b, partials,
        ValueRange{split, place, b.index(width - panelColumns + which)});
  };
  Value highest = b.carry(zero, splits, constant(b, -infinity),
                          [&](Value split, ValueRange carried) {
                            return SmallVector<Value>{
                                greater(b, state(split, 0), carried.front())};
                          })
                      .front();
  Exponent exponent = exponentFor(b, highest, lanes);
  SmallVector<Value> first(llvm::divideCeil(columns, lanes) + 1,
                           b.splat(0.0f, lanes));
  SmallVector<Value> all =
      b.carry(zero, splits, first, [&](Value split, ValueRange carried) {
        Value scale = exponential(b, b.broadcast(state(split, 0), lanes),
                                  exponent, /*isShort=*/false);
        SmallVector<Value> sums = {vector::FMAOp::create(
            b, b.broadcast(state(split, 1), lanes), scale, carried.front())};
        for (auto [i, sum] : llvm::enumerate(carried.drop_front()))
          sums.push_back(vector::FMAOp::create(
              b, b.load(partials, {split, place, b.index(i * lanes)}, lanes),
              scale, sum));
        return sums;
      });
  Value factor = emitFactor(vector::ExtractOp::create(b, all.front(), 0));
  storeOutput(row, [&](int64_t e) { return all[1 + e / lanes]; }, factor);
  b.setLoc(loc);
}
