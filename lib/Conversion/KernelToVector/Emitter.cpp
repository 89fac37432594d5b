// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Implementation of the builder that all kernel lowerings share.
#include "Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"
#include "sparse-opt/Conversion/VectorMath.h"

using namespace mlir;
using namespace sparse_opt;

//===----------------------------------------------------------------------===//
// Index arithmetic
//===----------------------------------------------------------------------===//

Value Emitter::index(int64_t value) {
  return arith::ConstantIndexOp::create(*this, value);
}
Value Emitter::add(Value a, Value b) {
  return createOrFold<arith::AddIOp>(a, b);
}
Value Emitter::sub(Value a, Value b) {
  return createOrFold<arith::SubIOp>(a, b);
}
Value Emitter::mul(Value a, Value b) {
  return createOrFold<arith::MulIOp>(a, b);
}
Value Emitter::div(Value a, Value b) {
  return createOrFold<arith::DivUIOp>(a, b);
}
Value Emitter::rem(Value a, Value b) {
  return createOrFold<arith::RemUIOp>(a, b);
}
Value Emitter::ceilDiv(Value a, int64_t b) {
  return div(add(a, b - 1), index(b));
}
Value Emitter::min(Value a, Value b) {
  return createOrFold<arith::MinUIOp>(a, b);
}
Value Emitter::max(Value a, Value b) {
  return createOrFold<arith::MaxUIOp>(a, b);
}
Value Emitter::less(Value a, Value b) {
  return createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ult, a, b);
}
Value Emitter::equal(Value a, Value b) {
  return createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, a, b);
}
Value Emitter::select(Value condition, Value a, Value b) {
  return createOrFold<arith::SelectOp>(condition, a, b);
}

/// What sizes `memref` was made with, through ops that make one: scratch must
/// be sized by the function's arguments, not by a view.
static OpFoldResult sizeOf(Emitter &b, Value memref, unsigned dim) {
  if (auto cast = memref.getDefiningOp<memref::CastOp>())
    return sizeOf(b, cast.getSource(), dim);
  if (auto expand = memref.getDefiningOp<memref::ExpandShapeOp>())
    return expand.getMixedOutputShape()[dim];
  if (auto alloc = memref.getDefiningOp<memref::AllocOp>())
    return alloc.getMixedSizes()[dim];
  if (auto view = memref.getDefiningOp<memref::ReinterpretCastOp>())
    return view.getMixedSizes()[dim];
  if (auto collapse = memref.getDefiningOp<memref::CollapseShapeOp>()) {
    Value product = b.index(1);
    for (int64_t source : collapse.getReassociationIndices()[dim])
      product = b.mul(product, b.size(collapse.getSrc(), source));
    return product;
  }
  return b.createOrFold<memref::DimOp>(memref, static_cast<int64_t>(dim));
}

Value Emitter::size(Value memref, unsigned dim) {
  auto type = cast<MemRefType>(memref.getType());
  if (!type.isDynamicDim(dim))
    return index(type.getDimSize(dim));
  return getValueOrCreateConstantIndexOp(*this, getLoc(),
                                         sizeOf(*this, memref, dim));
}

Emitter::Part Emitter::balancedPart(Value total, Value parts, Value i) {
  Value least = div(total, parts), longer = rem(total, parts);
  Value begin = add(mul(i, least), min(i, longer));
  Value one =
      createOrFold<arith::IndexCastUIOp>(getIndexType(), less(i, longer));
  return {begin, add(least, one)};
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

void Emitter::loop(Value begin, Value end,
                   llvm::function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(*this, begin, end, index(1));
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

void Emitter::loop(Value count, int64_t step,
                   llvm::function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(*this, index(0), count, index(step));
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

SmallVector<Value>
Emitter::carry(Value begin, Value end, ValueRange first,
               llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(*this, begin, end, index(1), first);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  SmallVector<Value> next =
      body(loop.getInductionVar(), loop.getRegionIterArgs());
  if (!next.empty()) // else the loop has its yield
    scf::YieldOp::create(*this, next);
  return llvm::to_vector_of<Value>(loop.getResults());
}

void Emitter::ifElse(Value condition, llvm::function_ref<void()> then,
                     llvm::function_ref<void()> otherwise) {
  auto branch = scf::IfOp::create(*this, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(branch.thenBlock());
  then();
  setInsertionPointToStart(branch.elseBlock());
  otherwise();
}

void Emitter::switchOver(Value value, unsigned first, unsigned last,
                         llvm::function_ref<void(unsigned)> body) {
  if (first == last)
    return body(last);
  // The default is `last`: there are no other values.
  SmallVector<int64_t> cases = llvm::to_vector(llvm::seq<int64_t>(first, last));
  auto branch = scf::IndexSwitchOp::create(*this, TypeRange(), value, cases,
                                           cases.size());
  OpBuilder::InsertionGuard guard(*this);
  auto fill = [&](Region &region, unsigned n) {
    setInsertionPointToStart(&region.emplaceBlock());
    body(n);
    scf::YieldOp::create(*this);
  };
  for (auto [i, region] : llvm::enumerate(branch.getCaseRegions()))
    fill(region, cases[i]);
  fill(branch.getDefaultRegion(), last);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value Emitter::at(Value memref, ValueRange indices, MemRefType type,
                  ValueRange dynamic) {
  auto source = cast<MemRefType>(memref.getType());
  auto [strides, offset] = source.getStridesAndOffset();
  auto metadata = memref::ExtractStridedMetadataOp::create(*this, memref);
  Value linear = ShapedType::isDynamic(offset) ? Value(metadata.getOffset())
                                               : index(offset);
  for (auto [i, position] : llvm::enumerate(indices))
    linear = add(linear, mul(position, ShapedType::isDynamic(strides[i])
                                           ? Value(metadata.getStrides()[i])
                                           : index(strides[i])));
  auto mixed = [&](ArrayRef<int64_t> values) {
    SmallVector<OpFoldResult> result;
    for (int64_t value : values) {
      if (!ShapedType::isDynamic(value)) {
        result.push_back(getIndexAttr(value));
        continue;
      }
      result.push_back(dynamic.front());
      dynamic = dynamic.drop_front();
    }
    return result;
  };
  SmallVector<OpFoldResult> sizes = mixed(type.getShape());
  SmallVector<OpFoldResult> newStrides =
      mixed(type.getStridesAndOffset().first);
  return memref::ReinterpretCastOp::create(
      *this, type, metadata.getBaseBuffer(), OpFoldResult(linear), sizes,
      newStrides);
}

Value Emitter::load(Value memref, ValueRange indices, unsigned lanes,
                    Value mask) {
  auto type = VectorType::get(
      lanes, cast<MemRefType>(memref.getType()).getElementType());
  if (!mask)
    return vector::LoadOp::create(*this, type, memref, indices);
  return vector::MaskedLoadOp::create(*this, type, memref, indices, mask,
                                      zero(type));
}

void Emitter::store(Value vector, Value memref, ValueRange indices,
                    Value mask) {
  if (mask)
    vector::MaskedStoreOp::create(*this, memref, indices, mask, vector);
  else
    vector::StoreOp::create(*this, vector, memref, indices);
}

Value Emitter::loadAsF32(Value memref, ValueRange indices, unsigned lanes,
                         Value mask) {
  Value value = load(memref, indices, lanes, mask);
  return getElementTypeOrSelf(value.getType()).isBF16() ? widened(value)
                                                        : value;
}

void Emitter::prefetch(Value memref, ValueRange indices) {
  memref::PrefetchOp::create(*this, memref, indices, /*isWrite=*/false,
                             /*localityHint=*/3, /*isDataCache=*/true);
}

void Emitter::widen(Value from, ValueRange fromAt, int64_t count, Value to,
                    ValueRange toAt, unsigned lanes) {
  auto piece = [&](Value i, Value mask) {
    auto at = [&](ValueRange indices) {
      SmallVector<Value> result(indices);
      result.back() = add(result.back(), i);
      return result;
    };
    store(loadAsF32(from, at(fromAt), lanes, mask), to, at(toAt));
  };
  int64_t whole = count / lanes * lanes;
  loop(index(whole), lanes, [&](Value i) { piece(i, Value()); });
  if (whole != count)
    piece(index(whole), maskUpTo(index(whole), index(count), lanes));
}

Value Emitter::widened(Value bf16) {
  auto type = cast<VectorType>(bf16.getType());
  VectorType bits = type.clone(getI32Type());
  Value value =
      vector::BitCastOp::create(*this, type.clone(getI16Type()), bf16);
  value = arith::ExtUIOp::create(*this, bits, value);
  value = arith::ShLIOp::create(
      *this, value,
      arith::ConstantOp::create(
          *this, DenseElementsAttr::get(bits, getI32IntegerAttr(16))));
  return vector::BitCastOp::create(*this, type.clone(getF32Type()), value);
}

std::pair<Value, Value> Emitter::splitBf16(Value bf16) {
  int64_t lanes = cast<VectorType>(bf16.getType()).getNumElements() / 2;
  auto bits = VectorType::get(lanes, getI32Type());
  auto floats = VectorType::get(lanes, getF32Type());
  Value pairs = vector::BitCastOp::create(*this, bits, bf16);
  auto constant = [&](int32_t value) {
    return arith::ConstantOp::create(
        *this, DenseElementsAttr::get(bits, getI32IntegerAttr(value)));
  };
  Value even = arith::ShLIOp::create(*this, pairs, constant(16));
  Value odd = arith::AndIOp::create(*this, pairs, constant(-65536));
  return {vector::BitCastOp::create(*this, floats, even),
          vector::BitCastOp::create(*this, floats, odd)};
}

Value Emitter::loadInt8(Value memref, ValueRange indices, unsigned lanes) {
  Value wide =
      arith::ExtSIOp::create(*this, VectorType::get(lanes, getI32Type()),
                             load(memref, indices, lanes));
  return arith::SIToFPOp::create(*this, VectorType::get(lanes, getF32Type()),
                                 wide);
}

/// The lower halves of the f32 are zero.
Value Emitter::pairBf16(Value first, Value second) {
  int64_t lanes = cast<VectorType>(first.getType()).getNumElements();
  auto bits = VectorType::get(lanes, getI32Type());
  Value low = arith::ShRUIOp::create(
      *this, vector::BitCastOp::create(*this, bits, first),
      arith::ConstantOp::create(
          *this, DenseElementsAttr::get(bits, getI32IntegerAttr(16))));
  Value both = arith::OrIOp::create(
      *this, low, vector::BitCastOp::create(*this, bits, second));
  return vector::BitCastOp::create(
      *this, VectorType::get(2 * lanes, getBF16Type()), both);
}

Value Emitter::broadcast(Value scalar, unsigned lanes) {
  return vector::BroadcastOp::create(
      *this, VectorType::get(lanes, scalar.getType()), scalar);
}

Value Emitter::splat(float value, unsigned lanes) {
  return arith::ConstantOp::create(
      *this, DenseElementsAttr::get(VectorType::get(lanes, getF32Type()),
                                    ArrayRef<float>{value}));
}

Value Emitter::upFrom(Value first, unsigned lanes) {
  auto type = VectorType::get(lanes, first.getType());
  SmallVector<Attribute> steps;
  for (unsigned i = 0; i != lanes; ++i)
    steps.push_back(getIntegerAttr(first.getType(), i));
  Value offsets =
      arith::ConstantOp::create(*this, DenseElementsAttr::get(type, steps));
  return arith::AddIOp::create(*this, broadcast(first, lanes), offsets);
}

Value Emitter::zero(Type type) {
  return arith::ConstantOp::create(*this, getZeroAttr(type));
}

Value Emitter::interleave(ValueRange vectors) {
  if (vectors.size() == 1)
    return vectors.front();
  return vector::InterleaveOp::create(*this, vectors[0], vectors[1]);
}

Value Emitter::maskUpTo(Value begin, Value end, unsigned lanes) {
  return vector::CreateMaskOp::create(
      *this, VectorType::get(lanes, getI1Type()), sub(end, begin));
}

//===----------------------------------------------------------------------===//
// Scalar regions
//===----------------------------------------------------------------------===//

/// A scalar from outside the region, in every lane.
static Value splatOfOuter(Emitter &b, Value scalar, unsigned lanes) {
  TypedAttr constant;
  if (!matchPattern(scalar, m_Constant(&constant)))
    return b.broadcast(scalar, lanes);
  auto type = VectorType::get(lanes, scalar.getType());
  return arith::ConstantOp::create(b, DenseElementsAttr::get(type, constant));
}

static Value vectorize(Emitter &b, Operation &op, ValueRange operands,
                       unsigned lanes) {
  bool isF32 = op.getResult(0).getType().isF32();
  if (isa<math::ExpOp>(op) && isF32)
    return emitExp(b, operands.front());
  if (isa<math::ErfOp>(op) && isF32)
    return emitErf(b, operands.front());
  OperationState state(b.getLoc(), op.getName(), operands,
                       VectorType::get(lanes, op.getResult(0).getType()),
                       op.getAttrs());
  return b.create(state)->getResult(0);
}

SmallVector<Value> Emitter::inlineAllVectorized(Region &region,
                                                ValueRange arguments,
                                                unsigned lanes,
                                                const IRMapping *outer) {
  IRMapping vectors;
  Block &block = region.front();
  vectors.map(block.getArguments(), arguments);
  auto vectorOf = [&](Value scalar) {
    if (!vectors.contains(scalar))
      vectors.map(scalar,
                  splatOfOuter(*this,
                               outer ? outer->lookupOrDefault(scalar) : scalar,
                               lanes));
    return vectors.lookup(scalar);
  };
  for (Operation &op : block.without_terminator()) {
    if (op.hasTrait<OpTrait::ConstantLike>())
      continue;
    SmallVector<Value> operands =
        llvm::map_to_vector(op.getOperands(), vectorOf);
    vectors.map(op.getResult(0), vectorize(*this, op, operands, lanes));
  }
  return llvm::map_to_vector(block.getTerminator()->getOperands(), vectorOf);
}

Value Emitter::loadExtra(Value extra, Value row, Value column, unsigned lanes,
                         Value mask) {
  auto type = dyn_cast<MemRefType>(extra.getType());
  if (!type)
    return broadcast(extra, lanes);
  if (type.getRank() == 0)
    return broadcast(memref::LoadOp::create(*this, extra), lanes);
  if (type.getRank() == 1)
    return load(extra, column, lanes, mask);
  return load(extra, {row, column}, lanes, mask);
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

MemRefType sparse_opt::stridedMemRef(Type element, ArrayRef<int64_t> shape,
                                     ArrayRef<int64_t> strides) {
  return MemRefType::get(shape, element,
                         StridedLayoutAttr::get(element.getContext(),
                                                ShapedType::kDynamic, strides));
}

bool sparse_opt::hasContiguousRows(Value memref) {
  auto [strides, offset] =
      cast<MemRefType>(memref.getType()).getStridesAndOffset();
  return strides.empty() || strides.back() == 1;
}
