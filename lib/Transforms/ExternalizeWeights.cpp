// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Moves constant tensors out of the IR: code reaches them through the base
// pointer `%weights`, at offsets that the module attribute `kernel.weights`
// lists. Writing the bytes to a file is lib/Target's.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "sparse-opt/Transforms/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/xxhash.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELEXTERNALIZEWEIGHTS
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

namespace {
/// The bytes of a constant as they lie in memory, or nothing when it is a
/// splat or of a type that is not stored in whole bytes.
std::optional<ArrayRef<char>> rawBytes(ElementsAttr value) {
  Type element = value.getElementType();
  if (!element.isIntOrFloat() || element.getIntOrFloatBitWidth() % 8 != 0)
    return std::nullopt;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      return blob->getData();
    return std::nullopt;
  }
  if (auto dense = dyn_cast<DenseElementsAttr>(value);
      dense && !dense.isSplat())
    return dense.getRawData();
  return std::nullopt;
}

int64_t byteSize(ShapedType type) {
  return type.getNumElements() *
         llvm::divideCeil(type.getElementTypeBitWidth(), 8);
}

/// The blob under construction: bytes stored once, whatever their type.
class WeightStore {
public:
  int64_t offsetOf(ElementsAttr value, ArrayRef<char> bytes) {
    uint64_t hash = llvm::xxh3_64bits(ArrayRef(
        reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
    for (const Entry &entry : byHash[hash])
      if (entry.bytes == bytes)
        return entry.offset;
    int64_t offset = size;
    size = llvm::alignTo(size + bytes.size(), 64);
    byHash[hash].push_back({bytes, offset});
    Builder builder(value.getContext());
    entries.push_back(builder.getDictionaryAttr(
        {builder.getNamedAttr("offset", builder.getI64IntegerAttr(offset)),
         builder.getNamedAttr("resource", value)}));
    return offset;
  }
  ArrayRef<Attribute> getEntries() const { return entries; }
  int64_t getSize() const { return size; }

private:
  struct Entry {
    ArrayRef<char> bytes;
    int64_t offset;
  };
  DenseMap<uint64_t, SmallVector<Entry, 1>> byHash;
  SmallVector<Attribute> entries;
  int64_t size = 0;
};

/// A large constant of one value is cheaper made than stored.
void replaceBySplat(arith::ConstantOp constant, DenseElementsAttr value) {
  OpBuilder builder(constant);
  auto type = cast<RankedTensorType>(constant.getType());
  Location loc = constant.getLoc();
  Value empty = tensor::EmptyOp::create(builder, loc, type.getShape(),
                                        type.getElementType());
  Value scalar = arith::ConstantOp::create(
      builder, loc, cast<TypedAttr>(value.getSplatValue<Attribute>()));
  constant.replaceAllUsesWith(
      linalg::FillOp::create(builder, loc, scalar, empty).getResult(0));
  constant.erase();
}

int64_t bytesOf(arith::ConstantOp constant) {
  auto type = dyn_cast<RankedTensorType>(constant.getType());
  return type ? byteSize(type) : 0;
}

/// A run reads weights from one end to the other, so that what a product
/// fetches past the end of its own is the next one's. Of one op the large ones
/// are last: they are what is streamed.
SmallVector<arith::ConstantOp> inOrderOfUse(func::FuncOp func) {
  llvm::SetVector<arith::ConstantOp> constants;
  func.walk<WalkOrder::PreOrder>([&](Operation *op) {
    SmallVector<arith::ConstantOp> used;
    for (Value operand : op->getOperands())
      if (auto constant = operand.getDefiningOp<arith::ConstantOp>())
        used.push_back(constant);
    llvm::stable_sort(used, [](arith::ConstantOp a, arith::ConstantOp b) {
      return bytesOf(a) < bytesOf(b);
    });
    constants.insert_range(used);
  });
  return constants.takeVector();
}

struct ExternalizeWeights
    : public sparse_opt::impl::KernelExternalizeWeightsBase<
          ExternalizeWeights> {
  using Base::Base;

  void runOnOperation() override {
    WeightStore store;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (func.isPublic() && !func.isExternal())
        if (failed(externalize(func, store)))
          return signalPassFailure();
    Builder builder(&getContext());
    getOperation()->setAttr("kernel.weights",
                            builder.getArrayAttr(store.getEntries()));
    getOperation()->setAttr("kernel.weights_size",
                            builder.getI64IntegerAttr(store.getSize()));
    weightBytes += store.getSize();
  }

  LogicalResult externalize(func::FuncOp func, WeightStore &store) {
    Type bytes = MemRefType::get({ShapedType::kDynamic},
                                 IntegerType::get(&getContext(), 8));
    auto attrs = DictionaryAttr::get(
        &getContext(),
        NamedAttribute(StringAttr::get(&getContext(), "kernel.weights_base"),
                       UnitAttr::get(&getContext())));
    if (failed(func.insertArgument(func.getNumArguments(), bytes, attrs,
                                   func.getLoc())))
      return failure();
    base = func.getArguments().back();
    views.clear();
    for (arith::ConstantOp constant : inOrderOfUse(func))
      visit(constant, store);
    return success();
  }

  void visit(arith::ConstantOp constant, WeightStore &store) {
    auto type = dyn_cast<RankedTensorType>(constant.getType());
    auto value = dyn_cast<ElementsAttr>(constant.getValue());
    if (!type || !value || bytesOf(constant) < minBytes)
      return;
    auto dense = dyn_cast<DenseElementsAttr>(value);
    if (dense && dense.isSplat())
      return replaceBySplat(constant, dense);
    std::optional<ArrayRef<char>> bytes = rawBytes(value);
    if (!bytes || bytes->size() != size_t(byteSize(type)))
      return;
    Value &tensor = views[{store.offsetOf(value, *bytes), type}];
    if (!tensor)
      tensor = viewOf(store.offsetOf(value, *bytes), type, constant.getLoc());
    constant.replaceAllUsesWith(tensor);
    constant.erase();
    ++numExternalized;
  }

  Value viewOf(int64_t offset, RankedTensorType type, Location loc) {
    OpBuilder builder = OpBuilder::atBlockBegin(base.getParentBlock());
    Value shift = arith::ConstantIndexOp::create(builder, loc, offset);
    auto memref = MemRefType::get(type.getShape(), type.getElementType());
    Value view =
        memref::ViewOp::create(builder, loc, memref, base, shift, ValueRange());
    return bufferization::ToTensorOp::create(builder, loc, type, view,
                                             /*restrict=*/true,
                                             /*writable=*/false);
  }

  BlockArgument base;
  llvm::MapVector<std::pair<int64_t, Type>, Value> views;
};
} // namespace
