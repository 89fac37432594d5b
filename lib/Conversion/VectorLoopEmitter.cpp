// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The loop nest of a structured op. A value of the body is emitted right
// inside the innermost loop that it depends on, so that everything invariant
// is computed once, as a scalar. Tails are masked vectors of the same
// formula: an element's value doesn't depend on where a range begins or ends.
// What stands inside the loops is in VectorLoopBody.cpp.
#include "VectorLoopEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace sparse_opt;

/// Elements of one parallel iteration of an op with a single loop.
static constexpr int64_t chunkElements = 4096;

VectorLoopEmitter::VectorLoopEmitter(OpBuilder &builder, linalg::GenericOp op,
                                     const VectorLoopPlan &plan)
    : builder(builder), op(op), plan(plan), loc(op.getLoc()),
      sizes(op.getNumLoops()) {
  computeDependencies();
}

void VectorLoopEmitter::emit(bool inParallel) {
  parallel = inParallel;
  for (unsigned loop = 0, e = op.getNumLoops(); loop != e; ++loop)
    sizes[loop] = sizeOf(loop);
  BodyValues body;
  body.ivs.resize(op.getNumLoops());
  emitAvailable(body);
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  for (auto [loop, size] : llvm::enumerate(ranges))
    if (size == 1 && plan.vectorLoop != unsigned(loop))
      open(body, loop, constant(0));
  bool vectorOnly =
      plan.parallel.empty() && plan.vectorLoop && !plan.vectorReduces;
  if (parallel && !plan.parallel.empty())
    emitParallel(body);
  else if (parallel && vectorOnly)
    emitChunks(body);
  else
    emitSerial(body, plan.parallel);
}

//===----------------------------------------------------------------------===//
// Parallel loops
//===----------------------------------------------------------------------===//

static void setGrain(scf::ParallelOp loop, int64_t grain) {
  loop->setAttr("kernel.grain",
                Builder(loop.getContext())
                    .getI64IntegerAttr(std::max<int64_t>(1, grain)));
}

void VectorLoopEmitter::emitParallel(BodyValues body) {
  SmallVector<Value> lower(plan.parallel.size(), constant(0)), upper,
      steps(plan.parallel.size(), constant(1));
  for (unsigned loop : plan.parallel)
    upper.push_back(sizes[loop]);
  auto nest = scf::ParallelOp::create(builder, loc, lower, upper, steps);
  setGrain(nest, plan.grain);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(nest.getBody());
  for (auto [loop, iv] :
       llvm::zip_equal(plan.parallel, nest.getInductionVars()))
    open(body, loop, iv);
  emitSerial(body, {});
}

/// The vector loop is the only one: parallel over pieces of it.
void VectorLoopEmitter::emitChunks(BodyValues body) {
  Value end = sizes[*plan.vectorLoop];
  Value chunk = constant(chunkElements);
  auto nest = scf::ParallelOp::create(builder, loc, ValueRange(constant(0)),
                                      ValueRange(end), ValueRange(chunk));
  setGrain(nest, 2);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(nest.getBody());
  Value begin = nest.getInductionVars()[0];
  Value stop = arith::AddIOp::create(builder, loc, begin, chunk);
  emitVectorParallel(body, begin,
                     arith::MinSIOp::create(builder, loc, stop, end));
}

void VectorLoopEmitter::emitSerial(BodyValues body, ArrayRef<unsigned> loops) {
  if (loops.empty()) {
    if (plan.vectorLoop && !plan.vectorReduces)
      emitVectorParallel(body, constant(0), sizes[*plan.vectorLoop]);
    else
      emitPoint(body);
    return;
  }
  auto loop = scf::ForOp::create(builder, loc, constant(0),
                                 sizes[loops.front()], constant(1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  open(body, loops.front(), loop.getInductionVar());
  emitSerial(body, loops.drop_front());
}

/// [begin, end) of the vector loop: whole vectors, then one that is masked.
void VectorLoopEmitter::emitVectorParallel(BodyValues body, Value begin,
                                           Value end) {
  unsigned vectorLoop = *plan.vectorLoop;
  auto emitLoop = [&](Value from, Value to, bool masked) {
    auto loop =
        scf::ForOp::create(builder, loc, from, to, constant(plan.lanes));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    BodyValues inner = body;
    if (masked)
      inner.mask = tailMask(loop.getInductionVar(), end);
    open(inner, vectorLoop, loop.getInductionVar());
    emitPoint(inner);
  };
  std::optional<int64_t> size = getConstantIntValue(end);
  std::optional<int64_t> start = getConstantIntValue(begin);
  if (size && start && (*size - *start) % plan.lanes == 0)
    return emitLoop(begin, end, /*masked=*/false);
  if (plan.alwaysMasked || (size && start && *size - *start < plan.lanes))
    return emitLoop(begin, end, /*masked=*/true);
  // Ranges begin at multiples of the chunk: rounding `end` down is enough.
  Value whole = roundDown(end, plan.lanes);
  emitLoop(begin, whole, /*masked=*/false);
  emitLoop(whole, end, /*masked=*/true);
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

/// One point of the parallel loops (or one vector of them): reduce, store.
void VectorLoopEmitter::emitPoint(BodyValues body) {
  SmallVector<Value> results;
  if (!plan.vectorReduces && plan.reductions.empty()) {
    emitAll(body);
    results = yielded(body);
  } else if (plan.vectorReduces) {
    Accumulators last = emitReductions(body, plan.reductions, neutralVectors());
    results = combineVectors(body, last);
  } else {
    Accumulators initial;
    for (OpOperand &init : op.getDpsInitsMutable())
      initial.push_back(loadOperand(body, init));
    if (plan.vectorLoop)
      for (Value &value : initial)
        value = asVector(body, value);
    results = emitReductions(body, plan.reductions, initial);
  }
  for (auto [init, value] : llvm::zip_equal(op.getDpsInitsMutable(), results))
    storeOperand(body, init, value);
}

VectorLoopEmitter::Accumulators
VectorLoopEmitter::emitReductions(BodyValues body, ArrayRef<unsigned> loops,
                                  Accumulators accumulators) {
  if (loops.empty()) {
    if (plan.vectorReduces)
      return emitVectorReduction(body, accumulators);
    for (auto [argument, value] :
         llvm::zip_equal(op.getRegionOutputArgs(), accumulators))
      body.values.map(argument, value);
    emitAll(body);
    return yielded(body);
  }
  auto loop =
      scf::ForOp::create(builder, loc, constant(0), sizes[loops.front()],
                         constant(1), accumulators);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  open(body, loops.front(), loop.getInductionVar());
  Accumulators next = emitReductions(body, loops.drop_front(),
                                     Accumulators(loop.getRegionIterArgs()));
  scf::YieldOp::create(builder, loc, next);
  return Accumulators(loop.getResults());
}

/// Whole groups of vectors, each with an accumulator of its own, then single
/// vectors, masked.
VectorLoopEmitter::Accumulators
VectorLoopEmitter::emitVectorReduction(BodyValues body,
                                       Accumulators accumulators) {
  Value end = sizes[*plan.vectorLoop];
  int64_t group = int64_t(plan.lanes) * plan.accumulators;
  auto emitLoop = [&](Value from, Value to, unsigned vectors, bool masked) {
    auto loop = scf::ForOp::create(
        builder, loc, from, to, constant(plan.lanes * vectors), accumulators);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Accumulators next(loop.getRegionIterArgs());
    for (unsigned i = 0; i != vectors; ++i) {
      BodyValues inner = body;
      Value iv = loop.getInductionVar();
      if (i)
        iv = arith::AddIOp::create(builder, loc, iv, constant(i * plan.lanes));
      if (masked)
        inner.mask = tailMask(iv, end);
      open(inner, *plan.vectorLoop, iv);
      step(inner, next, i);
    }
    scf::YieldOp::create(builder, loc, next);
    accumulators.assign(loop.getResults().begin(), loop.getResults().end());
  };
  std::optional<int64_t> size = getConstantIntValue(end);
  bool exact = size && *size % group == 0;
  Value whole = exact ? end : roundDown(end, group);
  if (!size || *size >= group)
    emitLoop(constant(0), whole, plan.accumulators, /*masked=*/false);
  if (!exact)
    emitLoop(whole, end, 1, /*masked=*/true);
  return accumulators;
}

/// accumulators[output * count + i], i the vector within a group.
VectorLoopEmitter::Accumulators VectorLoopEmitter::neutralVectors() {
  Accumulators vectors;
  for (const Combiner &combiner : plan.combiners) {
    Value neutral = arith::ConstantOp::create(
        builder, loc, *arith::getNeutralElement(combiner.op));
    Value vector = vector::BroadcastOp::create(
        builder, loc, vectorOf(neutral.getType()), neutral);
    vectors.append(plan.accumulators, vector);
  }
  return vectors;
}

/// One vector of the body, combined into accumulator `number` of each output.
void VectorLoopEmitter::step(BodyValues &body, Accumulators &accumulators,
                             unsigned number) {
  for (auto [i, argument] : llvm::enumerate(op.getRegionOutputArgs()))
    body.values.map(argument, accumulators[i * plan.accumulators + number]);
  emitAll(body);
  for (auto [i, value] : llvm::enumerate(yielded(body))) {
    Value &accumulator = accumulators[i * plan.accumulators + number];
    accumulator = body.mask ? arith::SelectOp::create(builder, loc, body.mask,
                                                      value, accumulator)
                            : value;
  }
}

/// Pairs of accumulators, then across lanes, then the output's own value.
VectorLoopEmitter::Accumulators
VectorLoopEmitter::combineVectors(BodyValues &body, Accumulators accumulators) {
  Accumulators results;
  auto combine = [&](Operation *combiner, Value a, Value b) {
    Operation *copy = builder.clone(*combiner);
    copy->setOperands({a, b});
    copy->getResult(0).setType(a.getType());
    return copy->getResult(0);
  };
  for (auto [i, combiner] : llvm::enumerate(plan.combiners)) {
    SmallVector<Value> vectors(
        ArrayRef(accumulators).slice(i * plan.accumulators, plan.accumulators));
    for (unsigned distance = 1; distance < vectors.size(); distance *= 2)
      for (unsigned j = 0; j + distance < vectors.size(); j += 2 * distance)
        vectors[j] = combine(combiner.op, vectors[j], vectors[j + distance]);
    bool floating = isa<FloatType>(getElementTypeOrSelf(vectors[0].getType()));
    // A tree over the lanes: fixed by the lane count, so always the same.
    Value sum = vector::ReductionOp::create(
        builder, loc, combiner.kind, vectors[0],
        floating ? arith::FastMathFlags::reassoc : arith::FastMathFlags::none);
    OpOperand &init = op.getDpsInitsMutable()[i];
    results.push_back(combine(combiner.op, loadOperand(body, init), sum));
  }
  return results;
}

//===----------------------------------------------------------------------===//
// Sizes and types
//===----------------------------------------------------------------------===//

Value VectorLoopEmitter::constant(int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

/// The first dimension of an operand that a loop runs along gives its size.
Value VectorLoopEmitter::sizeOf(unsigned loop) {
  int64_t size = op.getStaticLoopRanges()[loop];
  if (!ShapedType::isDynamic(size))
    return constant(size);
  for (OpOperand &operand : op->getOpOperands()) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    for (auto [d, expr] : llvm::enumerate(map.getResults()))
      if (expr == builder.getAffineDimExpr(loop))
        return memref::DimOp::create(builder, loc, operand.get(), d);
  }
  llvm_unreachable("linalg's verifier gives every loop a size");
}

VectorType VectorLoopEmitter::vectorOf(Type element) {
  return VectorType::get(int64_t(plan.lanes), element);
}

Value VectorLoopEmitter::roundDown(Value size, int64_t multiple) {
  if (std::optional<int64_t> known = getConstantIntValue(size))
    return constant(*known - *known % multiple);
  if (llvm::isPowerOf2_64(multiple))
    return arith::AndIOp::create(builder, loc, size, constant(-multiple));
  Value rest = arith::RemUIOp::create(builder, loc, size, constant(multiple));
  return arith::SubIOp::create(builder, loc, size, rest);
}

Value VectorLoopEmitter::tailMask(Value iv, Value end) {
  Value left = arith::SubIOp::create(builder, loc, end, iv);
  return vector::CreateMaskOp::create(
      builder, loc, vectorOf(builder.getI1Type()), ValueRange(left));
}
