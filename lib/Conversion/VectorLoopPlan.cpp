// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Chooses by a small cost model: an operand read or written along memory is
// cheap, one that takes a gather is dear, one that takes a scatter is dearest.
#include "VectorLoopPlan.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace sparse_opt;

/// Assumed of a dynamic dim, only to size ranges.
static constexpr int64_t typicalSize = 64;
/// Elements that are worth a launch of their own.
static constexpr int64_t worthLaunching = 1024;

int64_t sparse_opt::typicalElements(linalg::LinalgOp op) {
  int64_t elements = 1;
  for (int64_t size : op.getStaticLoopRanges())
    elements *= ShapedType::isDynamic(size) ? typicalSize : size;
  return elements;
}

Access sparse_opt::accessAlong(AffineMap map, Type buffer, unsigned loop) {
  if (!map.isFunctionOfDim(loop))
    return Access::Invariant;
  auto type = dyn_cast<MemRefType>(buffer);
  if (!type)
    return Access::Irregular;
  unsigned uses = 0;
  bool last = false;
  for (auto [i, expr] : llvm::enumerate(map.getResults())) {
    if (!expr.isFunctionOfDim(loop))
      continue;
    if (!isa<AffineDimExpr>(expr))
      return Access::Irregular;
    ++uses;
    last = i + 1 == map.getNumResults();
  }
  if (uses == 1 && last && type.isLastDimUnitStride())
    return Access::Contiguous;
  return Access::Strided;
}

static bool isScalar(Type type) { return type.isIntOrIndexOrFloat(); }

/// A vector of it computes what its lanes would, and lanes that are masked
/// off can't trap.
static bool isVectorizable(Operation *op) {
  if (isa<linalg::IndexOp, linalg::YieldOp, memref::LoadOp>(op) ||
      op->hasTrait<OpTrait::ConstantLike>())
    return true;
  if (!isa_and_nonnull<arith::ArithDialect, math::MathDialect>(
          op->getDialect()) ||
      !OpTrait::hasElementwiseMappableTraits(op) ||
      !llvm::all_of(op->getOperandTypes(), isScalar) ||
      !llvm::all_of(op->getResultTypes(), isScalar))
    return false;
  if (isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp,
          arith::CeilDivSIOp, arith::CeilDivUIOp, arith::FloorDivSIOp>(op))
    return matchPattern(op->getOperand(1), m_Constant());
  return true;
}

static bool isVectorizable(linalg::GenericOp op) {
  for (Operation &inner : *op.getBody())
    if (inner.getNumRegions() || !isVectorizable(&inner))
      return false;
  for (Type type : op->getOperandTypes()) {
    auto memref = dyn_cast<MemRefType>(type);
    if (memref && !isScalar(memref.getElementType()))
      return false;
  }
  return true;
}

/// Lanes that fit the widest kind of element that is computed with; 64-bit
/// operands beside 32-bit ones take two registers.
static unsigned chooseLanes(linalg::GenericOp op, const TargetInfo &target) {
  unsigned bits = 0;
  for (Type type : op->getOperandTypes()) {
    Type element = getElementTypeOrSelf(type);
    if (isa<MemRefType>(type) && element.isIntOrFloat()) {
      unsigned width = element.getIntOrFloatBitWidth();
      bits = bits == 0 ? width
             : std::min(bits, width) <= 32
                 ? std::max(32u, std::min(bits, width))
                 : std::max(bits, width);
    }
  }
  return target.vectorBits / std::max(bits, 8u);
}

/// Combiners of all outputs, or nothing when one is of another form.
static std::optional<SmallVector<Combiner>>
matchCombiners(linalg::GenericOp op) {
  SmallVector<Combiner> combiners;
  for (auto [i, output] : llvm::enumerate(op.getRegionOutputArgs())) {
    SmallVector<Operation *> ops;
    if (!matchReduction(op.getRegionOutputArgs(), i, ops) || ops.size() != 1 ||
        !output.hasOneUse() || !ops[0]->hasOneUse())
      return std::nullopt;
    std::optional<vector::CombiningKind> kind =
        linalg::getCombinerOpKind(ops[0]);
    if (!kind || !arith::getNeutralElement(ops[0]))
      return std::nullopt;
    combiners.push_back({ops[0], *kind});
  }
  return combiners;
}

/// Cost of an iteration when `loop` becomes vectors, or nothing.
static std::optional<int64_t> costOf(linalg::GenericOp op, unsigned loop,
                                     bool reduces) {
  int64_t cost = 0;
  for (OpOperand &operand : op->getOpOperands()) {
    auto type = dyn_cast<MemRefType>(operand.get().getType());
    AffineMap map = op.getMatchingIndexingMap(&operand);
    Access access = type ? accessAlong(map, type, loop) : Access::Invariant;
    bool output = op.isDpsInit(&operand);
    switch (access) {
    case Access::Irregular:
      return std::nullopt;
    case Access::Invariant:
      if (output && !reduces)
        return std::nullopt;
      break;
    case Access::Contiguous:
      cost += 1;
      break;
    case Access::Strided:
      cost += output ? 24 : 16;
      break;
    }
  }
  return cost;
}

static SmallVector<int64_t> staticSizes(linalg::GenericOp op) {
  return op.getStaticLoopRanges();
}

static void chooseVectorLoop(linalg::GenericOp op, const TargetInfo &target,
                             ArrayRef<int64_t> sizes, VectorLoopPlan &plan) {
  if (!isVectorizable(op))
    return;
  unsigned lanes = chooseLanes(op, target);
  std::optional<SmallVector<Combiner>> combiners = matchCombiners(op);
  std::optional<int64_t> best;
  for (unsigned loop = 0, e = op.getNumLoops(); loop != e; ++loop) {
    bool reduces =
        linalg::isReductionIterator(op.getIteratorTypesArray()[loop]);
    if (sizes[loop] == 1 || (reduces && !combiners))
      continue;
    std::optional<int64_t> cost = costOf(op, loop, reduces);
    if (!cost)
      continue;
    // A short loop leaves lanes idle.
    if (!ShapedType::isDynamic(sizes[loop]) && sizes[loop] < lanes)
      *cost = (*cost + 1) * (lanes / sizes[loop]);
    // A sum across lanes costs a little; with equal cost the inner loop wins.
    *cost = 2 * *cost + reduces;
    if (best && *best < *cost)
      continue;
    best = cost;
    plan.vectorLoop = loop;
    plan.vectorReduces = reduces;
  }
  if (!plan.vectorLoop)
    return;
  plan.lanes = lanes;
  if (plan.vectorReduces)
    plan.combiners = *combiners;
}

/// Math functions expand to tens of instructions.
static bool isHeavy(linalg::GenericOp op) {
  unsigned cost = 0;
  for (Operation &inner : *op.getBody())
    cost += isa<math::MathDialect>(inner.getDialect()) &&
                    !isa<math::SqrtOp, math::AbsFOp, math::FmaOp>(inner)
                ? 16
                : 1;
  return cost > 16;
}

VectorLoopPlan sparse_opt::planVectorLoop(linalg::GenericOp op,
                                          const TargetInfo &target) {
  VectorLoopPlan plan;
  SmallVector<int64_t> sizes = staticSizes(op);
  chooseVectorLoop(op, target, sizes, plan);
  int64_t inner = 1, total = 1;
  bool dynamic = false;
  for (auto [loop, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    int64_t size =
        ShapedType::isDynamic(sizes[loop]) ? typicalSize : sizes[loop];
    dynamic |= ShapedType::isDynamic(sizes[loop]);
    total *= size;
    bool reduces = linalg::isReductionIterator(kind);
    if (plan.vectorLoop == loop || reduces)
      inner *= size;
    if (plan.vectorLoop == loop || sizes[loop] == 1)
      continue;
    (reduces ? plan.reductions : plan.parallel).push_back(loop);
  }
  if (plan.vectorReduces) {
    int64_t size = sizes[*plan.vectorLoop];
    int64_t vectors = ShapedType::isDynamic(size) ? 4 : size / plan.lanes;
    plan.accumulators = vectors >= 4 ? 4 : vectors >= 2 ? 2 : 1;
  }
  plan.alwaysMasked = isHeavy(op);
  plan.grain =
      std::max<int64_t>(1, rangeElements / std::max<int64_t>(inner, 1));
  plan.tiny = !dynamic && total < worthLaunching;
  return plan;
}
