// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The body of a structured op inside its loops: scalars as long as a value
// doesn't change along the vector loop, then vectors; loads and stores of
// operands by how they lie along that loop.
#include "VectorLoopEmitter.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace sparse_opt;

static constexpr unsigned accumulatorBit = 63;

static uint64_t loopsOf(AffineMap map) {
  uint64_t loops = 0;
  for (unsigned d = 0, e = map.getNumDims(); d != e; ++d)
    if (map.isFunctionOfDim(d))
      loops |= uint64_t(1) << d;
  return loops;
}

void VectorLoopEmitter::computeDependencies() {
  bool reduces = plan.vectorReduces || !plan.reductions.empty();
  for (OpOperand &operand : op->getOpOperands()) {
    uint64_t &depends = dependencies[op.getMatchingBlockArgument(&operand)];
    depends = loopsOf(op.getMatchingIndexingMap(&operand));
    if (reduces && op.isDpsInit(&operand))
      depends |= uint64_t(1) << accumulatorBit;
  }
  for (Operation &inner : op.getBody()->without_terminator()) {
    uint64_t depends = 0;
    if (auto index = dyn_cast<linalg::IndexOp>(inner))
      depends = uint64_t(1) << index.getDim();
    inner.walk([&](Operation *nested) {
      for (Value operand : nested->getOperands())
        depends |= dependsOn(operand);
      if (auto index = dyn_cast<linalg::IndexOp>(nested))
        depends |= uint64_t(1) << index.getDim();
    });
    for (Value result : inner.getResults())
      dependencies[result] = depends;
  }
}

bool VectorLoopEmitter::isVector(Value value) const {
  if (!plan.vectorLoop)
    return false;
  return dependsOn(value) &
         (uint64_t(1) << *plan.vectorLoop | uint64_t(1) << accumulatorBit);
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

void VectorLoopEmitter::open(BodyValues &body, unsigned loop, Value iv) {
  body.ivs[loop] = iv;
  emitAvailable(body);
}

/// Emits what depends on open loops only.
void VectorLoopEmitter::emitAvailable(BodyValues &body) {
  uint64_t open = 0;
  for (auto [loop, iv] : llvm::enumerate(body.ivs))
    if (iv)
      open |= uint64_t(1) << loop;
  auto ready = [&](Value value) { return !(dependsOn(value) & ~open); };
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument argument = op.getMatchingBlockArgument(&operand);
    if (!argument.use_empty() && ready(argument) &&
        !body.values.contains(argument))
      body.values.map(argument, loadOperand(body, operand));
  }
  for (Operation &inner : op.getBody()->without_terminator())
    if (inner.getNumResults() && ready(inner.getResult(0)) &&
        !body.values.contains(inner.getResult(0)))
      emitOp(body, inner);
}

/// Emits what is left: all loops are open and accumulators are mapped.
void VectorLoopEmitter::emitAll(BodyValues &body) {
  for (Operation &inner : op.getBody()->without_terminator())
    if (!inner.getNumResults() || !body.values.contains(inner.getResult(0)))
      emitOp(body, inner);
}

void VectorLoopEmitter::emitOp(BodyValues &body, Operation &inner) {
  if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
    body.values.map(index.getResult(), emitIndex(body, index));
    return;
  }
  bool vector = inner.getNumResults() && isVector(inner.getResult(0));
  if (!vector) {
    Operation *copy = builder.clone(inner, body.values);
    copy->walk([&](linalg::IndexOp index) {
      index.replaceAllUsesWith(body.ivs[index.getDim()]);
      index.erase();
    });
    return;
  }
  if (isa<memref::LoadOp>(inner)) {
    body.values.map(inner.getResult(0), emitGather(body, inner));
    return;
  }
  OperationState state(loc, inner.getName());
  for (Value operand : inner.getOperands())
    state.operands.push_back(asVector(body, operand));
  for (Type type : inner.getResultTypes())
    state.types.push_back(vectorOf(type));
  state.attributes = inner.getAttrs();
  Operation *copy = builder.create(state);
  body.values.map(inner.getResults(), copy->getResults());
}

Value VectorLoopEmitter::emitIndex(BodyValues &body, linalg::IndexOp index) {
  Value iv = body.ivs[index.getDim()];
  if (plan.vectorLoop != unsigned(index.getDim()))
    return iv;
  VectorType type = vectorOf(builder.getIndexType());
  Value lanes = vector::StepOp::create(builder, loc, type);
  Value first = vector::BroadcastOp::create(builder, loc, type, iv);
  return arith::AddIOp::create(builder, loc, first, lanes);
}

SmallVector<Value> VectorLoopEmitter::yielded(BodyValues &body) {
  SmallVector<Value> values;
  for (Value value : op.getBody()->getTerminator()->getOperands())
    values.push_back(body.values.lookupOrDefault(value));
  if (plan.vectorLoop)
    for (Value &value : values)
      if (!isa<VectorType>(value.getType()))
        value = vector::BroadcastOp::create(builder, loc,
                                            vectorOf(value.getType()), value);
  return values;
}

Value VectorLoopEmitter::asVector(BodyValues &body, Value value) {
  value = body.values.lookupOrDefault(value);
  if (isa<VectorType>(value.getType()))
    return value;
  return vector::BroadcastOp::create(builder, loc, vectorOf(value.getType()),
                                     value);
}

/// A load of the body at an index that changes along the vector loop: one
/// vector when it is the loop's own index in the last place, else a gather.
Value VectorLoopEmitter::emitGather(BodyValues &body, Operation &op) {
  auto load = cast<memref::LoadOp>(op);
  MemRefType memref = load.getMemRefType();
  OperandRange indices = load.getIndices();
  auto own = indices.empty() ? linalg::IndexOp()
                             : indices.back().getDefiningOp<linalg::IndexOp>();
  bool contiguous =
      own && plan.vectorLoop == unsigned(own.getDim()) &&
      memref.isLastDimUnitStride() &&
      llvm::none_of(indices.drop_back(), [&](Value v) { return isVector(v); });
  Value base = body.values.lookupOrDefault(load.getMemRef());
  if (contiguous) {
    SmallVector<Value> at;
    for (Value index : indices.drop_back())
      at.push_back(body.values.lookupOrDefault(index));
    at.push_back(body.ivs[*plan.vectorLoop]);
    return loadVector(body, base, at);
  }
  auto metadata = memref::ExtractStridedMetadataOp::create(builder, loc, base);
  Value offset;
  for (auto [index, stride] : llvm::zip_equal(indices, metadata.getStrides())) {
    Value scaled = arith::MulIOp::create(builder, loc, asVector(body, index),
                                         asVector(body, stride));
    offset =
        offset ? arith::AddIOp::create(builder, loc, offset, scaled) : scaled;
  }
  SmallVector<Value> origin(memref.getRank(), constant(0));
  return gatherVector(body, base, origin, offset);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value VectorLoopEmitter::zeroOf(VectorType type) {
  return arith::ConstantOp::create(builder, loc,
                                   builder.getZeroAttr(type.getElementType()));
}

Value VectorLoopEmitter::maskOrAll(BodyValues &body) {
  if (body.mask)
    return body.mask;
  Value all =
      arith::ConstantOp::create(builder, loc, builder.getBoolAttr(true));
  return vector::BroadcastOp::create(builder, loc,
                                     vectorOf(builder.getI1Type()), all);
}

/// Where an operand is read, at the first lane.
SmallVector<Value> VectorLoopEmitter::indicesOf(BodyValues &body,
                                                OpOperand &operand) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  SmallVector<Value> ivs = body.ivs;
  for (Value &iv : ivs)
    if (!iv)
      iv = constant(0); // not used by this map
  SmallVector<Value> indices;
  for (AffineExpr expr : map.getResults()) {
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      indices.push_back(ivs[dim.getPosition()]);
    else if (auto number = dyn_cast<AffineConstantExpr>(expr))
      indices.push_back(constant(number.getValue()));
    else
      indices.push_back(affine::AffineApplyOp::create(
          builder, loc, AffineMap::get(map.getNumDims(), 0, expr), ivs));
  }
  return indices;
}

/// Distance of each lane's element from the first lane's.
Value VectorLoopEmitter::laneOffsets(OpOperand &operand) {
  AffineMap map = op.getMatchingIndexingMap(&operand);
  auto metadata =
      memref::ExtractStridedMetadataOp::create(builder, loc, operand.get());
  Value stride;
  for (auto [i, expr] : llvm::enumerate(map.getResults())) {
    if (expr != builder.getAffineDimExpr(*plan.vectorLoop))
      continue;
    Value own = metadata.getStrides()[i];
    stride = stride ? arith::AddIOp::create(builder, loc, stride, own) : own;
  }
  VectorType type = vectorOf(builder.getIndexType());
  Value lanes = vector::StepOp::create(builder, loc, type);
  Value strides = vector::BroadcastOp::create(builder, loc, type, stride);
  return arith::MulIOp::create(builder, loc, lanes, strides);
}

/// Gathers and scatters count elements from one place and want the memref's
/// last stride to be 1: a view of that place alone, where it isn't.
void VectorLoopEmitter::makeUnitStride(Value &base,
                                       SmallVectorImpl<Value> &at) {
  auto type = cast<MemRefType>(base.getType());
  if (type.isLastDimUnitStride())
    return;
  auto metadata = memref::ExtractStridedMetadataOp::create(builder, loc, base);
  Value place = metadata.getOffset();
  for (auto [index, stride] : llvm::zip_equal(at, metadata.getStrides()))
    place = arith::AddIOp::create(
        builder, loc, place,
        arith::MulIOp::create(builder, loc, index, stride));
  OpFoldResult one = builder.getIndexAttr(1);
  auto layout =
      StridedLayoutAttr::get(builder.getContext(), ShapedType::kDynamic, {1});
  auto flat = MemRefType::get({1}, type.getElementType(), layout,
                              type.getMemorySpace());
  base = memref::ReinterpretCastOp::create(
      builder, loc, flat, metadata.getBaseBuffer(), OpFoldResult(place),
      ArrayRef<OpFoldResult>{one}, ArrayRef<OpFoldResult>{one});
  at.assign({constant(0)});
}

/// Bools are bytes in memory, but bits in a vector that is loaded or stored:
/// the buffer as bytes.
Value VectorLoopEmitter::inBytes(Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  if (!type.getElementType().isInteger(1))
    return buffer;
  auto bytes = MemRefType::get(type.getShape(), builder.getI8Type(),
                               type.getLayout(), type.getMemorySpace());
  return UnrealizedConversionCastOp::create(builder, loc, bytes, buffer)
      .getResult(0);
}

/// The vector of bools that was loaded as bytes, or any other as it is.
Value VectorLoopEmitter::fromBytes(BodyValues &body, Value buffer,
                                   Value loaded) {
  if (!getElementTypeOrSelf(buffer.getType()).isInteger(1))
    return loaded;
  Value zero = asVector(body, zeroOf(cast<VectorType>(loaded.getType())));
  return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ne, loaded,
                               zero);
}

/// Elements that follow each other from `at` on.
Value VectorLoopEmitter::loadVector(BodyValues &body, Value buffer,
                                    ValueRange at) {
  Value base = inBytes(buffer);
  VectorType type = vectorOf(getElementTypeOrSelf(base.getType()));
  Value loaded;
  if (body.mask)
    loaded = vector::MaskedLoadOp::create(
        builder, loc, type, base, at, body.mask, asVector(body, zeroOf(type)));
  else
    loaded = vector::LoadOp::create(builder, loc, type, base, at);
  return fromBytes(body, buffer, loaded);
}

/// Elements `offsets` behind that at `at`.
Value VectorLoopEmitter::gatherVector(BodyValues &body, Value buffer,
                                      SmallVector<Value> at, Value offsets) {
  Value base = inBytes(buffer);
  makeUnitStride(base, at);
  VectorType type = vectorOf(getElementTypeOrSelf(base.getType()));
  Value loaded =
      vector::GatherOp::create(builder, loc, type, base, at, offsets,
                               maskOrAll(body), asVector(body, zeroOf(type)));
  return fromBytes(body, buffer, loaded);
}

Value VectorLoopEmitter::loadOperand(BodyValues &body, OpOperand &operand) {
  auto memref = dyn_cast<MemRefType>(operand.get().getType());
  if (!memref)
    return operand.get();
  AffineMap map = op.getMatchingIndexingMap(&operand);
  SmallVector<Value> at = indicesOf(body, operand);
  Access access = plan.vectorLoop ? accessAlong(map, memref, *plan.vectorLoop)
                                  : Access::Invariant;
  if (access == Access::Invariant)
    return memref::LoadOp::create(builder, loc, operand.get(), at);
  if (access == Access::Strided)
    return gatherVector(body, operand.get(), at, laneOffsets(operand));
  return loadVector(body, operand.get(), at);
}

void VectorLoopEmitter::storeOperand(BodyValues &body, OpOperand &operand,
                                     Value value) {
  auto memref = cast<MemRefType>(operand.get().getType());
  AffineMap map = op.getMatchingIndexingMap(&operand);
  SmallVector<Value> at = indicesOf(body, operand);
  Access access = plan.vectorLoop ? accessAlong(map, memref, *plan.vectorLoop)
                                  : Access::Invariant;
  if (access == Access::Invariant) {
    memref::StoreOp::create(builder, loc, value, operand.get(), at);
    return;
  }
  Value base = inBytes(operand.get());
  if (memref.getElementType().isInteger(1))
    value = arith::ExtUIOp::create(builder, loc, vectorOf(builder.getI8Type()),
                                   value);
  if (access == Access::Strided) {
    makeUnitStride(base, at);
    vector::ScatterOp::create(builder, loc, Type(), base, at,
                              laneOffsets(operand), maskOrAll(body), value);
  } else if (!body.mask) {
    vector::StoreOp::create(builder, loc, value, base, at);
  } else {
    vector::MaskedStoreOp::create(builder, loc, base, at, body.mask, value);
  }
}
