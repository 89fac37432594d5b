// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Evaluation of nodes on constants, by typed loops over bytes. Private to
// `--onnx-fold-constants`: which nodes to evaluate is decided there.
#ifndef SPARSE_OPT_LIB_TRANSFORMS_CONSTANTFOLDING_H
#define SPARSE_OPT_LIB_TRANSFORMS_CONSTANTFOLDING_H
#include "dialects/Onnx/OnnxOps.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include <cmath>
#include <cstring>
#include <limits>

namespace sparse_opt::folding {

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

struct Half {
  uint16_t bits;
};
struct BFloat {
  uint16_t bits;
};
struct Bool {
  uint8_t byte;
};

float toFloat(Half value);
Half toHalf(float value);
inline float toFloat(BFloat value) {
  uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof(result));
  return result;
}
BFloat toBFloat(float value);

/// The type that arithmetic on T is done in.
template <typename T> struct Compute {
  using Type = T;
};
template <> struct Compute<Half> {
  using Type = float;
};
template <> struct Compute<BFloat> {
  using Type = float;
};
template <> struct Compute<Bool> {
  using Type = uint8_t;
};

template <typename T> typename Compute<T>::Type load(const T *at) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat>)
    return toFloat(*at);
  else if constexpr (std::is_same_v<T, Bool>)
    return at->byte != 0;
  else
    return *at;
}

/// ONNX's Cast: floats are cut to integers (saturating where C++ says
/// nothing), whatever isn't 0 is true.
template <typename T, typename V> void store(T *at, V value) {
  if constexpr (std::is_same_v<T, Half>)
    *at = toHalf(static_cast<float>(value));
  else if constexpr (std::is_same_v<T, BFloat>)
    *at = toBFloat(static_cast<float>(value));
  else if constexpr (std::is_same_v<T, Bool>)
    at->byte = value != V(0);
  else if constexpr (std::is_integral_v<T> && std::is_floating_point_v<V>) {
    if (std::isnan(value))
      *at = 0;
    else if (value <= static_cast<V>(std::numeric_limits<T>::min()))
      *at = std::numeric_limits<T>::min();
    else if (value >= static_cast<V>(std::numeric_limits<T>::max()))
      *at = std::numeric_limits<T>::max();
    else
      *at = static_cast<T>(value);
  } else
    *at = static_cast<T>(value);
}

/// Calls `function(T())` for the storage type of `type`; false when there is
/// none.
template <typename Function>
bool dispatchFloat(mlir::Type type, Function &&function) {
  if (type.isF32())
    return function(float());
  if (type.isF64())
    return function(double());
  if (type.isF16())
    return function(Half());
  return type.isBF16() && function(BFloat());
}
template <typename Function>
bool dispatchInteger(mlir::Type type, Function &&function) {
  auto integer = mlir::dyn_cast<mlir::IntegerType>(type);
  if (!integer)
    return false;
  bool isUnsigned = integer.isUnsigned();
  switch (integer.getWidth()) {
  case 8:
    return isUnsigned ? function(uint8_t()) : function(int8_t());
  case 16:
    return isUnsigned ? function(uint16_t()) : function(int16_t());
  case 32:
    return isUnsigned ? function(uint32_t()) : function(int32_t());
  case 64:
    return isUnsigned ? function(uint64_t()) : function(int64_t());
  default:
    return false;
  }
}
template <typename Function>
bool dispatchNumber(mlir::Type type, Function &&function) {
  return dispatchFloat(type, function) || dispatchInteger(type, function);
}
template <typename Function>
bool dispatchAny(mlir::Type type, Function &&function) {
  if (type.isInteger(1))
    return function(Bool());
  return dispatchNumber(type, function);
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

using Strides = llvm::SmallVector<int64_t, 6>;

/// Elements between neighbours of each dimension of a row-major tensor.
Strides rowMajorStrides(llvm::ArrayRef<int64_t> shape);
/// Strides that read `data` broadcast to `shape`.
Strides broadcastStrides(const ConstantData &data,
                         llvm::ArrayRef<int64_t> shape);

/// Runs over `shape` in row-major order, with one list of strides for each
/// tensor taking part: `body(offsets, n, steps)` handles `n` elements from
/// `offsets` on, `steps` apart. Dimensions that all tensors step through
/// evenly are one row.
void forEachRow(
    llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<Strides> strides,
    llvm::function_ref<void(llvm::ArrayRef<int64_t> offsets, int64_t n,
                            llvm::ArrayRef<int64_t> steps)>
        body);

//===----------------------------------------------------------------------===//
// Folders
//===----------------------------------------------------------------------===//

/// One evaluation: result `index` of `node`, of static type `type`, into
/// `out`. Operands left out are empty.
struct Fold {
  onnx::NodeOp node;
  llvm::ArrayRef<std::optional<ConstantData>> inputs;
  unsigned index;
  mlir::RankedTensorType type;
  llvm::MutableArrayRef<char> out;

  bool has(unsigned i) const { return i < inputs.size() && inputs[i]; }
  const ConstantData &input(unsigned i) const { return *inputs[i]; }
  llvm::ArrayRef<int64_t> shape() const { return type.getShape(); }
};

/// Writes `fold.out`; false (with `out` undefined) when types, attributes or
/// values are outside what it knows.
using Folder = bool (*)(Fold &fold);

/// Null for operators without one.
Folder lookupElementwiseFolder(onnx::NodeOp node);
Folder lookupLayoutFolder(onnx::NodeOp node);

/// Replaces the uses of a product by packed constants; its weights as floats,
/// or null for other nodes.
onnx::ConstantOp unpackWeights(onnx::NodeOp node);
} // namespace sparse_opt::folding
#endif
