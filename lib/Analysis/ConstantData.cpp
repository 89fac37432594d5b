// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reading and building constants by their bytes. Elements of odd types are
// converted one at a time here; loops over weights belong to the folders.
#include "sparse-opt/Analysis/ConstantData.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinDialect.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/Support/Alignment.h"

using namespace mlir;
using namespace sparse_opt;

unsigned sparse_opt::getElementBytes(Type elementType) {
  if (!elementType.isIntOrFloat())
    return 0;
  unsigned bits = elementType.getIntOrFloatBitWidth();
  if (bits == 1)
    return 1;
  return bits % 8 ? 0 : bits / 8;
}

int64_t ConstantData::getInteger(int64_t i) const {
  Type element = type.getElementType();
  if (isa<FloatType>(element))
    return static_cast<int64_t>(getDouble(i));
  unsigned width = getElementBytes(element);
  uint64_t raw = 0;
  std::memcpy(&raw, bytes.data() + (splat ? 0 : i) * width, width);
  unsigned shift = 64 - 8 * width;
  if (element.isUnsignedInteger() || element.isInteger(1))
    return static_cast<int64_t>(raw);
  return static_cast<int64_t>(raw << shift) >> shift;
}

double ConstantData::getDouble(int64_t i) const {
  Type element = type.getElementType();
  auto floatType = dyn_cast<FloatType>(element);
  if (!floatType)
    return static_cast<double>(getInteger(i));
  unsigned width = getElementBytes(element);
  const char *at = bytes.data() + (splat ? 0 : i) * width;
  if (element.isF32()) {
    float value;
    std::memcpy(&value, at, sizeof(value));
    return value;
  }
  uint64_t raw = 0;
  std::memcpy(&raw, at, width);
  APFloat value(floatType.getFloatSemantics(), APInt(8 * width, raw));
  bool losesInfo;
  value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                &losesInfo);
  return value.convertToDouble();
}

void ConstantData::align() {
  unsigned width = getElementBytes(type.getElementType());
  if (llvm::isAddrAligned(llvm::Align(width & -width), bytes.data()))
    return;
  storage = std::make_shared<SmallVector<char>>(bytes);
  bytes = *storage;
}

std::optional<ConstantData> sparse_opt::getConstantData(ElementsAttr value) {
  auto type = dyn_cast<RankedTensorType>(value.getShapedType());
  if (!type || !type.hasStaticShape())
    return std::nullopt;
  unsigned width = getElementBytes(type.getElementType());
  if (!width || width > 8)
    return std::nullopt;
  ConstantData data{type, {}, false, nullptr};
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob ||
        blob->getData().size() < static_cast<size_t>(data.size()) * width)
      return std::nullopt;
    data.bytes = blob->getData();
    return data;
  }
  auto dense = dyn_cast<DenseElementsAttr>(value);
  if (!dense)
    return std::nullopt;
  data.splat = dense.isSplat() && data.size() != 1;
  data.bytes = dense.getRawData();
  if (type.getElementType().isInteger(1)) {
    data.storage = std::make_shared<SmallVector<char>>();
    if (dense.isSplat())
      data.storage->push_back(dense.getSplatValue<bool>());
    else
      for (bool bit : dense.getValues<bool>())
        data.storage->push_back(bit);
    data.bytes = *data.storage;
  }
  return data;
}

std::optional<ConstantData> sparse_opt::getConstantData(Value value) {
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  if (!constant)
    return std::nullopt;
  return getConstantData(constant.getValue());
}

static ElementsAttr makeInline(RankedTensorType type, ArrayRef<char> bytes) {
  if (!type.getElementType().isInteger(1))
    return DenseElementsAttr::getFromRawBuffer(type, bytes);
  SmallVector<bool> bits(bytes.begin(), bytes.end());
  return DenseElementsAttr::get(type, ArrayRef<bool>(bits));
}

ElementsAttr
sparse_opt::makeConstant(RankedTensorType type, StringRef name,
                         llvm::function_ref<void(MutableArrayRef<char>)> fill) {
  constexpr size_t inlineBytes = 1024, alignment = 64;
  size_t size = type.getNumElements() * getElementBytes(type.getElementType());
  if (size <= inlineBytes) {
    SmallVector<char> bytes(size);
    fill(bytes);
    return makeInline(type, bytes);
  }
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(size, alignment);
  fill(blob.getMutableData());
  auto &manager =
      DenseResourceElementsHandle::getManagerInterface(type.getContext());
  return DenseResourceElementsAttr::get(type,
                                        manager.insert(name, std::move(blob)));
}

ElementsAttr sparse_opt::makeIntegers(RankedTensorType type,
                                      ArrayRef<int64_t> values) {
  unsigned width = getElementBytes(type.getElementType());
  return makeConstant(type, "ints", [&](MutableArrayRef<char> bytes) {
    for (auto [i, value] : llvm::enumerate(values))
      std::memcpy(bytes.data() + i * width, &value, width);
  });
}
