// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.attention on memrefs: parallel over (b, heads of k, chunks of m,
// ranges of n). Ranges depend on sizes alone, and are merged in order. A task
// of many rows packs a block of its head's k and v, then takes a few rows at a
// time: scores by the micro-kernel with the score region on its registers,
// softmax on vectors, and the product with v by the same micro-kernel.
#include "AttentionLowering.h"
#include "Lowerings.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::AttentionOp;
using kernel::panelColumns;

/// Rows of one task: enough to pay for packing k and v.
constexpr int64_t taskRows = 128;
/// Tasks that are enough for any number of threads, and the panels of n that
/// are worth one where there are fewer.
constexpr int64_t enoughTasks = 16, splitPanels = 16;
/// Bytes of k and v that are packed at a time.
constexpr int64_t packedBytes = 256 << 10;

//===----------------------------------------------------------------------===//
// Geometry
//===----------------------------------------------------------------------===//

/// Heads of q that read one head of `x`.
static int64_t groupOf(const AttentionOperand &x, const AttentionOperand &out) {
  std::optional<unsigned> all = out.dimOf(AttentionOp::H);
  std::optional<unsigned> dim = x.dimOf(AttentionOp::H);
  if (dim)
    return AttentionOp::groupOf(x.map.getResult(*dim));
  int64_t heads =
      all ? cast<MemRefType>(out.memref.getType()).getDimSize(*all) : 1;
  return ShapedType::isDynamic(heads) ? 1 : heads;
}

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
  depth = staticSize(q, Op::D);
  if (ShapedType::isDynamic(depth))
    depth = staticSize(k, Op::D);
  columns = staticSize(v, Op::E);
  if (ShapedType::isDynamic(columns))
    columns = staticSize(out, Op::E);
  element = getElementTypeOrSelf(q.memref.getType());
  step = q.step();
  widens = step != 1 && target.bf16 == TargetInfo::Bf16::Widen;
  tileRows = target.tile(step != 1).rows;
  tilePanels = target.tile(step != 1).panels;
  int64_t ofK = groupOf(k, out), ofV = groupOf(v, out);
  group = ofK == ofV ? ofK : 1;
  chunkRows = std::max<int64_t>(taskRows / group, tileRows);
  streamRows = std::max<int64_t>(8, group);
  int64_t panelBytes =
      (depth + columns) * panelColumns * element.getIntOrFloatBitWidth() / 8;
  blockPanels = std::clamp<int64_t>(packedBytes / panelBytes, 8, 32);
  zeroesNan = Op::zeroesNan(op.getProbability());
  llvm::SetVector<Value> used;
  getUsedValuesDefinedAbove(op.getScore(), used);
  for (Value value : used)
    if (!matchPattern(value, m_Constant()))
      captured.push_back(value);
  // A factor and a mask are one instruction.
  op.getScore().walk([](arith::ArithFastMathInterface inner) {
    if (isa<arith::MulFOp, arith::AddFOp, arith::SubFOp>(inner))
      inner->setAttr(inner.getFastMathAttrName(),
                     arith::FastMathFlagsAttr::get(
                         inner->getContext(), arith::FastMathFlags::contract));
  });
  at.fill(Value());
}

//===----------------------------------------------------------------------===//
// Tasks
//===----------------------------------------------------------------------===//

void AttentionLowering::lower() {
  numRows = q.sizeOf(b, Op::M);
  numColumns = k.sizeOf(b, Op::N);
  numPanels = b.ceilDiv(numColumns, panelColumns);
  Value batches = out.sizeOf(b, Op::B);
  Value kvHeads = b.div(out.sizeOf(b, Op::H), group);
  Value chunks = b.ceilDiv(numRows, chunkRows);
  Value zero = b.index(0), one = b.index(1);
  Value tasks = b.max(b.mul(b.mul(batches, kvHeads), chunks), one);
  Value wanted = b.div(b.add(tasks, enoughTasks - 1), tasks);
  splits = b.max(b.min(b.ceilDiv(numPanels, splitPanels), wanted), one);
  Value rows = b.mul(b.mul(batches, out.sizeOf(b, Op::H)), numRows);
  Value stored = b.mul(b.min(b.sub(splits, one), one), splits);
  int64_t width = llvm::alignTo(columns, panelColumns) + panelColumns;
  partials = memref::AllocOp::create(
      b,
      MemRefType::get({ShapedType::kDynamic, ShapedType::kDynamic, width},
                      b.getF32Type()),
      ValueRange{stored, rows}, b.getI64IntegerAttr(64));
  auto parallel =
      scf::ParallelOp::create(b, ValueRange{zero, zero, zero, zero},
                              ValueRange{batches, kvHeads, chunks, splits},
                              ValueRange{one, one, one, one});
  parallel->setAttr("kernel.grain", b.getI64IntegerAttr(1));
  {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(parallel.getBody());
    ValueRange indices = parallel.getInductionVars();
    at[Op::B] = indices[0];
    emitTask(indices[1], b.createOrFold<arith::AddIOp>(indices[2], zero),
             indices[3]);
  }
  emitMerge();
}

void AttentionLowering::emitTask(Value kvHead, Value chunk, Value split) {
  this->split = split;
  at[Op::H] = b.mul(kvHead, group);
  allocateScratch();
  Value chunks = b.ceilDiv(numRows, chunkRows);
  Emitter::Part rows = b.balancedPart(numRows, chunks, chunk);
  Range range = b.balancedPart(numPanels, splits, split);
  if (!canStream())
    return emitPacked(rows, range);
  Value tooMany = b.less(b.index(streamRows), b.mul(numRows, group));
  APInt known;
  if (matchPattern(tooMany, m_ConstantInt(&known)))
    return known.isZero() ? emitStream(range) : emitPacked(rows, range);
  b.ifElse(
      tooMany, [&] { emitPacked(rows, range); }, [&] { emitStream(range); });
}

void AttentionLowering::allocateScratch() {
  auto scratch = [&](ArrayRef<int64_t> shape, Type type) -> Value {
    return memref::AllocOp::create(b, MemRefType::get(shape, type),
                                   b.getI64IntegerAttr(64));
  };
  Type f32 = b.getF32Type();
  int64_t rows = std::max<int64_t>(tileRows, streamRows);
  int64_t states = std::max(group * chunkRows, streamRows);
  int64_t panelsOut = llvm::divideCeil(columns, panelColumns);
  int64_t line = panelColumns * step;
  packedK = scratch({blockPanels, int64_t(llvm::divideCeil(depth, step)), line},
                    element);
  packedV =
      scratch({panelsOut, blockPanels * panelColumns / step, line}, element);
  scores = scratch({blockPanels, rows, panelColumns}, f32);
  probabilities = scores;
  if (step != 1 && !widens)
    probabilities = scratch({blockPanels, rows, panelColumns}, element);
  tile = scratch({panelsOut, rows, panelColumns}, f32);
  rowsOfQ = scratch({rows, int64_t(llvm::alignTo(depth, 2 * panelColumns))},
                    widens ? f32 : element);
  maxima = scratch({rows, panelColumns}, f32);
  scales = scratch({rows, panelColumns}, f32);
  this->states = scratch({states, 2}, f32);
  sums = scratch({states, panelsOut * panelColumns}, f32);
}

void AttentionLowering::forBlocks(Range range, int64_t blockPanels,
                                  llvm::function_ref<void(Keys)> body) {
  Value blocks = b.max(b.ceilDiv(range.size, blockPanels), b.index(1));
  b.loop(blocks, 1, [&](Value i) {
    Emitter::Part part = b.balancedPart(range.size, blocks, i);
    Value first = b.mul(b.add(range.begin, part.begin), panelColumns);
    Value count =
        b.min(b.mul(part.size, panelColumns), b.sub(numColumns, first));
    body({first, count, part.size, b.equal(i, b.index(0)),
          b.equal(b.add(i, 1), blocks)});
  });
}

//===----------------------------------------------------------------------===//
// Packed blocks
//===----------------------------------------------------------------------===//

void AttentionLowering::emitPacked(Emitter::Part chunk, Range range) {
  const LoopIndices firstHead = at;
  forBlocks(range, blockPanels, [&](Keys keys) {
    AttentionOperand::Part part = {keys.first, keys.columns};
    k.packColumns(b, firstHead, Op::N, part, Op::D, depth, packedK, lanes);
    v.packRows(b, firstHead, Op::N, part, Op::E, columns, packedV, lanes);
    b.loop(b.index(group), 1, [&](Value g) {
      at[Op::H] = b.add(firstHead[Op::H], g);
      Value blocks = b.ceilDiv(chunk.size, tileRows);
      b.loop(blocks, 1, [&](Value block) {
        Emitter::Part part = b.balancedPart(chunk.size, blocks, block);
        Value firstRow = b.add(chunk.begin, part.begin);
        Rows rows = {part.size, b.add(b.mul(g, chunkRows), part.begin),
                     [this, firstRow](Value r) {
                       LoopIndices row = at;
                       row[Op::M] = b.add(firstRow, r);
                       return row;
                     }};
        emitPackedBlock(rows, firstRow, keys);
      });
    });
  });
  at = firstHead;
}

void AttentionLowering::emitPackedBlock(Rows rows, Value firstRow,
                                        const Keys &keys) {
  if (widens || !q.isContiguousAlong(Op::D))
    b.loop(rows.count, 1, [&](Value r) { copyRowOfQ(rows.at(r), r); });
  emitScores(rows.count, firstRow, keys);
  b.loop(rows.count, 1, [&](Value r) {
    emitExponentials(r, b.add(rows.firstState, r), keys, probabilities);
  });
  emitOutput(rows.count, keys);
  b.loop(rows.count, 1, [&](Value r) {
    finishRow(rows.at(r), r, b.add(rows.firstState, r), keys);
  });
}

/// rowsOfQ[r] = q[from], zeros behind it; in f32 where the target widens.
void AttentionLowering::copyRowOfQ(const LoopIndices &row, Value r) {
  LoopIndices from = row;
  auto type = cast<MemRefType>(rowsOfQ.getType());
  int64_t size = type.getDimSize(1);
  from[Op::D] = b.index(0);
  if (q.isContiguousAlong(Op::D)) {
    for (int64_t d = 0; d < size; d += lanes) {
      from[Op::D] = b.index(d);
      Value mask;
      if (d + lanes > depth)
        mask = b.maskUpTo(b.index(std::min(d, depth)), b.index(depth), lanes);
      Value value = b.load(q.memref, q.indices(b, from), lanes, mask);
      b.store(widens ? b.widened(value) : value, rowsOfQ, {r, b.index(d)});
    }
    return;
  }
  auto store = [&](Value element, Value d) {
    memref::StoreOp::create(b, element, rowsOfQ, ValueRange{r, d});
  };
  b.loop(b.index(depth), 1, [&](Value d) {
    from[Op::D] = d;
    Value value = memref::LoadOp::create(b, q.memref, q.indices(b, from));
    store(widens ? arith::ExtFOp::create(b, b.getF32Type(), value).getResult()
                 : value,
          d);
  });
  b.loop(b.index(depth), b.index(size),
         [&](Value d) { store(b.zero(type.getElementType()), d); });
}

/// q's rows as they are, or their copy.
Value AttentionLowering::leftRows(MicroKernel &kernel, Value rows,
                                  Value firstRow) {
  Value zero = b.index(0);
  if (widens || !q.isContiguousAlong(Op::D)) {
    kernel.leftStride = cast<MemRefType>(rowsOfQ.getType()).getDimSize(1);
    return b.at(rowsOfQ, {zero, zero}, kernel.leftType(b.getContext()), rows);
  }
  LoopIndices from = at;
  from[Op::M] = firstRow;
  from[Op::D] = zero;
  kernel.leftStride = q.strideOf(Op::M);
  SmallVector<Value> dynamic = {rows};
  if (ShapedType::isDynamic(kernel.leftStride))
    dynamic.push_back(q.strideValue(b, Op::M));
  return b.at(q.memref, q.indices(b, from), kernel.leftType(b.getContext()),
              dynamic);
}

/// scores[.., 0 : rows, ..] = score(q k^T), and the rows' maxima.
void AttentionLowering::emitScores(Value rows, Value firstRow,
                                   const Keys &keys) {
  MicroKernel kernel;
  kernel.isBf16 = step != 1;
  kernel.isLeftWide = widens;
  kernel.depth = depth;
  Value left = leftRows(kernel, rows, firstRow);
  Score score = scoreHere();
  score.at[Op::M] = firstRow;
  SmallVector<Value> operands = {left,   packedK,     scores,
                                 maxima, keys.panels, keys.first};
  llvm::append_range(operands, scoreOperands(score));
  SmallVector<Type> types = llvm::to_vector(ValueRange(operands).getTypes());
  auto emit = [&](Emitter &inside, func::FuncOp function) {
    ValueRange own = function.getArguments();
    Score score = scoreInside(own.drop_front(6));
    Value panels = own[4], first = own[5];
    Value zero = inside.index(0);
    auto turn = [&](Value panel, unsigned count, bool masked) {
      MicroKernel some = kernel;
      some.panels = count;
      Value right = inside.at(own[1], {panel, zero, zero},
                              some.rightType(inside.getContext()));
      SmallVector<Value> sums =
          sparse_opt::emitSums(inside, some, target, own[0], right);
      Value column = inside.add(first, inside.mul(panel, panelColumns));
      emitPanelScores(inside, score, sums, kernel.rows, count, panel, column,
                      own[2], own[3], masked);
    };
    Value lowest = inside.splat(-std::numeric_limits<float>::infinity(), lanes);
    for (unsigned r = 0; r != kernel.rows; ++r)
      inside.store(lowest, own[3], {inside.index(r), zero});
    Value whole = inside.min(
        panels, inside.div(inside.sub(score.numColumns, first), panelColumns));
    whole = inside.sub(whole, inside.rem(whole, inside.index(tilePanels)));
    inside.loop(whole, tilePanels,
                [&](Value panel) { turn(panel, tilePanels, false); });
    inside.loop(whole, panels, [&](Value panel) { turn(panel, 1, true); });
  };
  b.switchOver(rows, 1, tileRows, [&](unsigned n) {
    kernel.rows = n;
    std::string prefix = "attention_scores_r" + std::to_string(n) + "_";
    func::CallOp::create(b, kernels.getShared(prefix, types, emit), operands);
  });
}

/// tile = probabilities v
void AttentionLowering::emitOutput(Value rows, const Keys &keys) {
  MLIRContext *context = b.getContext();
  MicroKernel kernel;
  kernel.isBf16 = step != 1;
  kernel.isLeftWide = widens;
  kernel.depth = ShapedType::kDynamic;
  int64_t stride =
      cast<MemRefType>(tile.getType()).getDimSize(1) * panelColumns;
  kernel.leftStride = stride;
  kernel.tilePanelStride = stride;
  kernel.tileRowStride = panelColumns;
  Value zero = b.index(0);
  Value lines = b.ceilDiv(keys.columns, step);
  auto packed = cast<MemRefType>(packedV.getType());
  Value panelStride = b.index(packed.getDimSize(1) * packed.getDimSize(2));
  Value left = b.at(probabilities, {zero, zero, zero}, kernel.leftType(context),
                    {keys.panels, rows});
  int64_t panels = llvm::divideCeil(columns, panelColumns);
  for (int64_t panel = 0; panel < panels; panel += kernel.panels) {
    kernel.panels = std::min<int64_t>(tilePanels, panels - panel);
    Value right = b.at(packedV, {b.index(panel), zero, zero},
                       kernel.rightType(context), {lines, panelStride});
    Value output = b.at(tile, {b.index(panel), zero, zero},
                        kernel.tileType(context), rows);
    b.switchOver(rows, 1, tileRows, [&](unsigned n) {
      kernel.rows = n;
      kernels.call(b, kernel, left, right, output, keys.columns, Value());
    });
  }
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
