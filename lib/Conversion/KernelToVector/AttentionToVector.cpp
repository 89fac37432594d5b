// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.attention on memrefs: parallel over (b, h, chunks of m). A task packs
// its head's k and v, then takes a few rows at a time: scores by the
// micro-kernel into scratch, score region, softmax and probability region on
// vectors, and the product with v by the same micro-kernel. Scratch holds the
// rows in blocks of 16 columns, so that no address depends on a run-time
// stride.
#include "AttentionOperand.h"
#include "Lowerings.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "sparse-opt/Conversion/VectorMath.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::AttentionOp;
using kernel::panelColumns;

/// Rows of one task: enough to pay for packing k and v.
constexpr int64_t chunkRows = 128;

namespace {

class AttentionLowering {
public:
  AttentionLowering(AttentionOp op, MicroKernels &kernels);
  void lower();

private:
  Value scratch(ArrayRef<int64_t> shape, Value dynamic, Type element);
  void emitBlock(Value firstRow, Value rows);
  void emitRowOfQ(Value row, Value r);
  void emitScores(Value rows, Value firstRow);
  void emitScoreCall(MicroKernel kernel, Value rows, Value left, Value panel);
  Value leftRows(MicroKernel &kernel, Value rows, Value firstRow);
  void emitSoftmax(Value row, Value r);
  void emitOutput(Value rows, Value firstRow);
  Value outputView(const MicroKernel &kernel, Value rows, Value firstRow,
                   int64_t panel);
  void emitTileCopy(Value firstRow, Value rows);
  Value emitScoredRow(Value row, Value r);
  Value emitExponentials(Value r, Value highest);
  void emitProbabilities(Value r, Value sum);
  Value scoreExtra(const AttentionOperand &extra, Value row, Value column,
                   Value mask);

  AttentionOp op;
  MicroKernels &kernels;
  const TargetInfo &target;
  Emitter b;
  unsigned lanes, tileRows, tilePanels;
  AttentionOperand q, k, v, out;
  SmallVector<AttentionOperand> extras;
  Type element;           ///< of q, k and v
  int64_t step;           ///< elements that lie together in a panel
  int64_t depth, columns; ///< d and e
  Value numColumns;       ///< n
  Value numPanels;        ///< of n
  Value numLines;         ///< of n in a panel of v
  bool widens;            ///< left operands of bf16 are multiplied as f32
  bool isDirect;          ///< whole panels go to `out` itself
  LoopIndices at;
  Value packedK, packedV, scores, probabilities, tile, rowsOfQ;
};

} // namespace

AttentionLowering::AttentionLowering(AttentionOp op, MicroKernels &kernels)
    : op(op), kernels(kernels), target(kernels.getTarget()), b(op.getLoc(), op),
      lanes(target.f32Lanes()) {
  auto operand = [&](OpOperand &operand) {
    return AttentionOperand(operand.get(), op.getMap(operand));
  };
  q = operand(op.getQMutable());
  k = operand(op.getKMutable());
  v = operand(op.getVMutable());
  out = operand(op.getOutMutable());
  for (OpOperand &extra : op.getExtrasMutable())
    extras.push_back(operand(extra));
  auto staticSize = [&](const AttentionOperand &x, unsigned loop) {
    return cast<MemRefType>(x.memref.getType()).getDimSize(*x.dimOf(loop));
  };
  depth = staticSize(q, AttentionOp::D);
  if (ShapedType::isDynamic(depth))
    depth = staticSize(k, AttentionOp::D);
  columns = staticSize(v, AttentionOp::E);
  if (ShapedType::isDynamic(columns))
    columns = staticSize(out, AttentionOp::E);
  element = getElementTypeOrSelf(q.memref.getType());
  step = q.step();
  widens = step != 1 && target.bf16 == TargetInfo::Bf16::Widen;
  tileRows = target.tile(step != 1).rows;
  tilePanels = target.tile(step != 1).panels;
  isDirect = columns % panelColumns == 0 &&
             out.isContiguousAlong(AttentionOp::E) &&
             getElementTypeOrSelf(out.memref.getType()).isF32();
  at.fill(Value());
}

//===----------------------------------------------------------------------===//
// The loops
//===----------------------------------------------------------------------===//

Value AttentionLowering::scratch(ArrayRef<int64_t> shape, Value dynamic,
                                 Type element) {
  auto type = MemRefType::get(shape, element);
  if (!dynamic)
    return memref::AllocaOp::create(b, type, b.getI64IntegerAttr(64));
  return memref::AllocOp::create(b, type, dynamic, b.getI64IntegerAttr(64));
}

void AttentionLowering::lower() {
  constexpr int64_t dynamic = ShapedType::kDynamic;
  Value rows = q.sizeOf(b, AttentionOp::M);
  numColumns = k.sizeOf(b, AttentionOp::N);
  numPanels = b.ceilDiv(numColumns, panelColumns);
  numLines = b.ceilDiv(numColumns, step);
  Value chunks = b.ceilDiv(rows, chunkRows);
  Value zero = b.index(0), one = b.index(1);
  auto parallel =
      scf::ParallelOp::create(b, ValueRange{zero, zero, zero},
                              ValueRange{out.sizeOf(b, AttentionOp::B),
                                         out.sizeOf(b, AttentionOp::H), chunks},
                              ValueRange{one, one, one});
  parallel->setAttr("kernel.grain", b.getI64IntegerAttr(2));
  b.setInsertionPointToStart(parallel.getBody());
  at[AttentionOp::B] = parallel.getInductionVars()[0];
  at[AttentionOp::H] = parallel.getInductionVars()[1];
  int64_t panelsOut = llvm::divideCeil(columns, panelColumns);
  int64_t line = panelColumns * step;
  packedK = scratch({dynamic, int64_t(llvm::divideCeil(depth, step)), line},
                    numPanels, element);
  packedV = scratch({panelsOut, dynamic, line}, numLines, element);
  scores =
      scratch({dynamic, tileRows, panelColumns}, numPanels, b.getF32Type());
  probabilities = scores;
  if (step != 1 && !widens)
    probabilities =
        scratch({dynamic, tileRows, panelColumns}, numPanels, element);
  if (!isDirect)
    tile =
        scratch({panelsOut, tileRows, panelColumns}, Value(), b.getF32Type());
  if (widens)
    rowsOfQ = scratch({tileRows, int64_t(llvm::alignTo(depth, panelColumns))},
                      Value(), b.getF32Type());
  else if (!q.isContiguousAlong(AttentionOp::D))
    rowsOfQ = scratch({tileRows, depth}, Value(), element);
  k.packColumns(b, at, AttentionOp::N, AttentionOp::D, depth, packedK, lanes);
  v.packRows(b, at, AttentionOp::N, AttentionOp::E, columns, packedV, lanes);
  Emitter::Part chunk =
      b.balancedPart(rows, chunks, parallel.getInductionVars()[2]);
  Value blocks = b.ceilDiv(chunk.size, tileRows);
  b.loop(blocks, 1, [&](Value block) {
    Emitter::Part part = b.balancedPart(chunk.size, blocks, block);
    emitBlock(b.add(chunk.begin, part.begin), part.size);
  });
}

void AttentionLowering::emitBlock(Value firstRow, Value rows) {
  if (rowsOfQ)
    b.loop(rows, 1, [&](Value r) { emitRowOfQ(b.add(firstRow, r), r); });
  emitScores(rows, firstRow);
  b.loop(rows, 1, [&](Value r) { emitSoftmax(b.add(firstRow, r), r); });
  emitOutput(rows, firstRow);
  if (!isDirect)
    emitTileCopy(firstRow, rows);
}

/// rowsOfQ[r] = q[row], in f32 where the target widens.
void AttentionLowering::emitRowOfQ(Value row, Value r) {
  LoopIndices from = at;
  from[AttentionOp::M] = row;
  from[AttentionOp::D] = b.index(0);
  if (widens && q.isContiguousAlong(AttentionOp::D))
    return b.widen(q.memref, q.indices(b, from), depth, rowsOfQ,
                   {r, b.index(0)}, lanes);
  auto copy = [&](Value d, Value element) {
    if (widens)
      element = arith::ExtFOp::create(b, b.getF32Type(), element);
    memref::StoreOp::create(b, element, rowsOfQ, ValueRange{r, d});
  };
  b.loop(b.index(depth), 1, [&](Value d) {
    from[AttentionOp::D] = d;
    copy(d, memref::LoadOp::create(b, q.memref, q.indices(b, from)));
  });
  if (widens && depth % step)
    copy(b.index(depth), b.zero(element));
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

/// q's rows as they are, or their copy.
Value AttentionLowering::leftRows(MicroKernel &kernel, Value rows,
                                  Value firstRow) {
  Value zero = b.index(0);
  if (rowsOfQ) {
    kernel.leftStride = cast<MemRefType>(rowsOfQ.getType()).getDimSize(1);
    return b.at(rowsOfQ, {zero, zero}, kernel.leftType(b.getContext()), rows);
  }
  LoopIndices from = at;
  from[AttentionOp::M] = firstRow;
  from[AttentionOp::D] = zero;
  kernel.leftStride = q.strideOf(AttentionOp::M);
  SmallVector<Value> dynamic = {rows};
  if (ShapedType::isDynamic(kernel.leftStride))
    dynamic.push_back(q.strideValue(b, AttentionOp::M));
  return b.at(q.memref, q.indices(b, from), kernel.leftType(b.getContext()),
              dynamic);
}

void AttentionLowering::emitScoreCall(MicroKernel kernel, Value rows,
                                      Value left, Value panel) {
  Value zero = b.index(0);
  MLIRContext *context = b.getContext();
  Value right = b.at(packedK, {panel, zero, zero}, kernel.rightType(context));
  Value output =
      b.at(scores, {panel, zero, zero}, kernel.tileType(context), rows);
  b.switchOver(rows, 1, tileRows, [&](unsigned n) {
    kernel.rows = n;
    kernels.call(b, kernel, left, right, output, Value(), Value());
  });
}

/// scores[.., 0 : rows, ..] = q k^T
void AttentionLowering::emitScores(Value rows, Value firstRow) {
  MicroKernel kernel;
  kernel.isBf16 = step != 1;
  kernel.isLeftWide = widens;
  kernel.panels = tilePanels;
  kernel.depth = depth;
  kernel.tilePanelStride = tileRows * panelColumns;
  kernel.tileRowStride = panelColumns;
  Value left = leftRows(kernel, rows, firstRow);
  Value whole = b.sub(numPanels, b.rem(numPanels, tilePanels));
  b.loop(whole, tilePanels,
         [&](Value panel) { emitScoreCall(kernel, rows, left, panel); });
  if (tilePanels == 1)
    return;
  kernel.panels = 1;
  b.loop(whole, numPanels,
         [&](Value panel) { emitScoreCall(kernel, rows, left, panel); });
}

/// Where a product with v puts `rows` rows of the panels from `panel` on.
Value AttentionLowering::outputView(const MicroKernel &kernel, Value rows,
                                    Value firstRow, int64_t panel) {
  MLIRContext *context = b.getContext();
  Value zero = b.index(0);
  if (!isDirect)
    return b.at(tile, {b.index(panel), zero, zero}, kernel.tileType(context),
                rows);
  LoopIndices to = at;
  to[AttentionOp::M] = firstRow;
  to[AttentionOp::E] = b.index(panel * panelColumns);
  SmallVector<Value> dynamic = {rows};
  if (ShapedType::isDynamic(kernel.tileRowStride))
    dynamic.push_back(out.strideValue(b, AttentionOp::M));
  return b.at(out.memref, out.indices(b, to), kernel.tileType(context),
              dynamic);
}

/// out[rows] = scores v, into `out` or the tile.
void AttentionLowering::emitOutput(Value rows, Value firstRow) {
  MLIRContext *context = b.getContext();
  MicroKernel kernel;
  kernel.isBf16 = step != 1;
  kernel.isLeftWide = widens;
  kernel.depth = ShapedType::kDynamic;
  kernel.leftStride = tileRows * panelColumns;
  kernel.tilePanelStride = isDirect ? panelColumns : tileRows * panelColumns;
  kernel.tileRowStride = isDirect ? out.strideOf(AttentionOp::M) : panelColumns;
  Value zero = b.index(0);
  Value left = b.at(probabilities, {zero, zero, zero}, kernel.leftType(context),
                    {numPanels, rows});
  int64_t panels = llvm::divideCeil(columns, panelColumns);
  for (int64_t panel = 0; panel < panels; panel += kernel.panels) {
    kernel.panels = std::min<int64_t>(tilePanels, panels - panel);
    Value right =
        b.at(packedV, {b.index(panel), zero, zero}, kernel.rightType(context),
             {numLines, b.mul(numLines, panelColumns * step)});
    Value output = outputView(kernel, rows, firstRow, panel);
    b.switchOver(rows, 1, tileRows, [&](unsigned n) {
      kernel.rows = n;
      kernels.call(b, kernel, left, right, output, numColumns, Value());
    });
  }
}

/// out[rows] = tile, by vectors where e is contiguous.
void AttentionLowering::emitTileCopy(Value firstRow, Value rows) {
  Type outElement = getElementTypeOrSelf(out.memref.getType());
  auto rounded = [&](Value value, Type type) {
    return outElement.isF32() ? value : arith::TruncFOp::create(b, type, value);
  };
  auto vectorType = VectorType::get(lanes, outElement);
  bool byVectors = out.isContiguousAlong(AttentionOp::E);
  b.loop(rows, 1, [&](Value r) {
    LoopIndices to = at;
    to[AttentionOp::M] = b.add(firstRow, r);
    if (byVectors) {
      for (int64_t e = 0; e < columns; e += lanes) {
        Value mask = e + lanes <= columns
                         ? Value()
                         : b.maskUpTo(b.index(e), b.index(columns), lanes);
        Value value = b.load(
            tile, {b.index(e / panelColumns), r, b.index(e % panelColumns)},
            lanes);
        to[AttentionOp::E] = b.index(e);
        b.store(rounded(value, vectorType), out.memref, out.indices(b, to),
                mask);
      }
      return;
    }
    b.loop(b.index(columns), 1, [&](Value e) {
      Value value = memref::LoadOp::create(
          b, tile,
          ValueRange{b.div(e, panelColumns), r, b.rem(e, panelColumns)});
      to[AttentionOp::E] = e;
      memref::StoreOp::create(b, rounded(value, outElement), out.memref,
                              out.indices(b, to));
    });
  });
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

Value AttentionLowering::scoreExtra(const AttentionOperand &extra, Value row,
                                    Value column, Value mask) {
  LoopIndices from = at;
  from[AttentionOp::M] = row;
  from[AttentionOp::N] = column;
  SmallVector<Value> indices = extra.indices(b, from);
  if (extra.dimOf(AttentionOp::N))
    return b.load(extra.memref, indices, lanes, mask);
  return b.broadcast(memref::LoadOp::create(b, extra.memref, indices), lanes);
}

/// scores[.., r, ..] = score(scores), minus infinity past n; its maximum.
Value AttentionLowering::emitScoredRow(Value row, Value r) {
  Value lowest = b.splat(-std::numeric_limits<float>::infinity(), lanes);
  auto turn = [&](Value panel, ValueRange carried, bool masked) {
    Value highest = carried.front();
    for (unsigned lane = 0; lane < panelColumns; lane += lanes) {
      Value column = b.add(b.mul(panel, panelColumns), lane);
      Value mask = masked ? b.maskUpTo(column, numColumns, lanes) : Value();
      SmallVector<Value> indices = {panel, r, b.index(lane)};
      SmallVector<Value> arguments = {b.load(scores, indices, lanes)};
      for (const AttentionOperand &extra : extras)
        arguments.push_back(scoreExtra(extra, row, column, mask));
      Value score = b.inlineVectorized(op.getScore(), arguments, lanes);
      if (mask)
        score = b.select(mask, score, lowest);
      b.store(score, scores, indices);
      // Never a NaN: one is passed over here, and makes the sum one.
      Value greater =
          arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, score, highest);
      highest = b.select(greater, score, highest);
    }
    return SmallVector<Value>{highest};
  };
  Value whole = b.div(numColumns, panelColumns);
  SmallVector<Value> highest =
      b.carry(b.index(0), whole, lowest, [&](Value panel, ValueRange carried) {
        return turn(panel, carried, /*masked=*/false);
      });
  highest =
      b.carry(whole, numPanels, highest, [&](Value panel, ValueRange carried) {
        return turn(panel, carried, /*masked=*/true);
      });
  return vector::ReductionOp::create(b, vector::CombiningKind::MAXNUMF,
                                     highest.front(),
                                     arith::FastMathFlags::nnan);
}

/// scores[.., r, ..] = exp(scores - highest); their sum.
Value AttentionLowering::emitExponentials(Value r, Value highest) {
  Value shift = b.broadcast(highest, lanes);
  SmallVector<Value> sum =
      b.carry(b.index(0), numPanels, b.splat(0.0f, lanes),
              [&](Value panel, ValueRange carried) {
                Value sum = carried.front();
                for (unsigned lane = 0; lane < panelColumns; lane += lanes) {
                  SmallVector<Value> indices = {panel, r, b.index(lane)};
                  Value shifted = arith::SubFOp::create(
                      b, b.load(scores, indices, lanes), shift);
                  Value exponential = emitExp(b, shifted);
                  b.store(exponential, scores, indices);
                  sum = arith::AddFOp::create(b, sum, exponential);
                }
                return SmallVector<Value>{sum};
              });
  // One fixed tree, whatever the number of threads.
  return vector::ReductionOp::create(b, vector::CombiningKind::ADD, sum.front(),
                                     arith::FastMathFlags::reassoc);
}

void AttentionLowering::emitProbabilities(Value r, Value sum) {
  Value one = arith::ConstantOp::create(b, b.getF32FloatAttr(1.0f)).getResult();
  Value factor = b.broadcast(arith::DivFOp::create(b, one, sum), lanes);
  b.loop(numPanels, 1, [&](Value panel) {
    for (unsigned lane = 0; lane < panelColumns; lane += lanes) {
      SmallVector<Value> indices = {panel, r, b.index(lane)};
      Value probability =
          arith::MulFOp::create(b, b.load(scores, indices, lanes), factor);
      probability = b.inlineVectorized(op.getProbability(), probability, lanes);
      if (widens)
        probability = arith::ExtFOp::create(
            b, VectorType::get(lanes, b.getF32Type()), probability);
      b.store(probability, probabilities, indices);
    }
  });
}

void AttentionLowering::emitSoftmax(Value row, Value r) {
  Value highest = emitScoredRow(row, r);
  Value sum = emitExponentials(r, highest);
  emitProbabilities(r, sum);
}

LogicalResult sparse_opt::lowerAttention(AttentionOp op,
                                         MicroKernels &kernels) {
  for (OpOperand &extra : op.getExtrasMutable()) {
    AttentionOperand operand(extra.get(), op.getMap(extra));
    if (operand.dimOf(AttentionOp::N) &&
        !operand.isContiguousAlong(AttentionOp::N))
      return op.emitOpError(
                 "needs extras that are contiguous along n, but has ")
             << extra.get().getType();
  }
  AttentionLowering(op, kernels).lower();
  op.erase();
  return success();
}
