// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bytes of constants, whichever attribute holds them: read without a copy,
// with bool as one byte and splats marked instead of repeated.
#ifndef SPARSE_OPT_ANALYSIS_CONSTANTDATA_H
#define SPARSE_OPT_ANALYSIS_CONSTANTDATA_H
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"
#include <memory>
#include <optional>

namespace sparse_opt {

struct ConstantData {
  mlir::RankedTensorType type;
  /// Row-major elements in host byte order; a single one for a splat.
  llvm::ArrayRef<char> bytes;
  bool splat = false;
  /// Holds `bytes` where the attribute has another layout (packed bool).
  std::shared_ptr<llvm::SmallVector<char>> storage;

  int64_t size() const { return type.getNumElements(); }
  /// Element `i` of a float or integer tensor; bool is 0 or 1.
  double getDouble(int64_t i) const;
  int64_t getInteger(int64_t i) const;
  /// Copies `bytes` unless they are aligned for the element type. Those that a
  /// file holds, which is mapped, may lie anywhere.
  void align();
};

/// Bytes an element takes in memory, 0 for types that hold none.
unsigned getElementBytes(mlir::Type elementType);

/// The data of `value`; nothing for attributes without bytes (a resource that
/// was not loaded, strings).
std::optional<ConstantData> getConstantData(mlir::ElementsAttr value);
/// The same for the result of an `onnx.constant`; nothing for other values.
std::optional<ConstantData> getConstantData(mlir::Value value);

/// A constant of `type` whose elements `fill` writes (bool as bytes): a
/// resource called `name`, or one like it, when larger than 1 KiB, else inline.
mlir::ElementsAttr
makeConstant(mlir::RankedTensorType type, llvm::StringRef name,
             llvm::function_ref<void(llvm::MutableArrayRef<char>)> fill);
/// A small integer or bool tensor.
mlir::ElementsAttr makeIntegers(mlir::RankedTensorType type,
                                llvm::ArrayRef<int64_t> values);
} // namespace sparse_opt
#endif
