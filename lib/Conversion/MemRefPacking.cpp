// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Takes memref descriptors apart and builds them, with casts that
// --reconcile-unrealized-casts removes once everything is LLVM.
#include "MemRefPacking.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace sparse_opt;

static Value castTo(OpBuilder &builder, Location loc, Type type, Value value) {
  if (value.getType() == type)
    return value;
  return UnrealizedConversionCastOp::create(builder, loc, type, value)
      .getResult(0);
}

static Value constant(OpBuilder &builder, Location loc, int64_t value) {
  return LLVM::ConstantOp::create(builder, loc, builder.getI64Type(),
                                  builder.getI64IntegerAttr(value));
}

static bool isPlain(MemRefType type) { return type.getLayout().isIdentity(); }

/// `sizes` are i64.
static Value buildDescriptor(OpBuilder &builder, Location loc, MemRefType type,
                             Value pointer, ValueRange sizes) {
  LLVMTypeConverter converter(builder.getContext());
  auto descriptor =
      MemRefDescriptor::poison(builder, loc, converter.convertType(type));
  descriptor.setAllocatedPtr(builder, loc, pointer);
  descriptor.setAlignedPtr(builder, loc, pointer);
  descriptor.setConstantOffset(builder, loc, 0);
  SmallVector<Value> all;
  for (int64_t size : type.getShape()) {
    all.push_back(ShapedType::isDynamic(size) ? sizes.front()
                                              : constant(builder, loc, size));
    if (ShapedType::isDynamic(size))
      sizes = sizes.drop_front();
  }
  Value stride = constant(builder, loc, 1);
  for (int64_t d = type.getRank(); d-- > 0;) {
    descriptor.setSize(builder, loc, d, all[d]);
    descriptor.setStride(builder, loc, d, stride);
    if (d > 0)
      stride = LLVM::MulOp::create(builder, loc, stride, all[d]);
  }
  return castTo(builder, loc, type, descriptor);
}

Value sparse_opt::buildMemRef(OpBuilder &builder, Location loc, MemRefType type,
                              Value pointer, ValueRange dynamicSizes) {
  SmallVector<Value> sizes;
  for (Value size : dynamicSizes)
    sizes.push_back(castTo(builder, loc, builder.getI64Type(), size));
  return buildDescriptor(builder, loc, type, pointer, sizes);
}

SmallVector<Type> sparse_opt::wordTypes(Type type) {
  LLVMTypeConverter converter(type.getContext());
  auto memref = dyn_cast<MemRefType>(type);
  if (!memref)
    return {converter.convertType(type)};
  Type i64 = IntegerType::get(type.getContext(), 64);
  SmallVector<Type> types = {LLVM::LLVMPointerType::get(type.getContext())};
  if (isPlain(memref)) {
    types.append(memref.getNumDynamicDims(), i64);
    return types;
  }
  types.push_back(types.front());
  types.append(1 + 2 * memref.getRank(), i64);
  return types;
}

SmallVector<Value> sparse_opt::packWords(OpBuilder &builder, Location loc,
                                         Value value) {
  LLVMTypeConverter converter(builder.getContext());
  Value llvmValue =
      castTo(builder, loc, converter.convertType(value.getType()), value);
  auto type = dyn_cast<MemRefType>(value.getType());
  if (!type)
    return {llvmValue};
  SmallVector<Value> words;
  if (!isPlain(type)) {
    MemRefDescriptor::unpack(builder, loc, llvmValue, type, words);
    return words;
  }
  MemRefDescriptor descriptor(llvmValue);
  words.push_back(descriptor.alignedPtr(builder, loc));
  for (int64_t d : llvm::seq(type.getRank()))
    if (type.isDynamicDim(d))
      words.push_back(descriptor.size(builder, loc, d));
  return words;
}

Value sparse_opt::unpackWords(OpBuilder &builder, Location loc, Type type,
                              ValueRange words) {
  auto memref = dyn_cast<MemRefType>(type);
  if (!memref)
    return castTo(builder, loc, type, words.front());
  if (isPlain(memref))
    return buildDescriptor(builder, loc, memref, words.front(),
                           words.drop_front());
  LLVMTypeConverter converter(builder.getContext());
  return castTo(builder, loc, type,
                MemRefDescriptor::pack(builder, loc, converter, memref, words));
}
