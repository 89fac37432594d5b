// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the lowerings of kernel ops build code with: index arithmetic that
// folds as it is built, views, and scalar regions as vector code.
#ifndef SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_EMITTER_H
#define SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_EMITTER_H
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "sparse-opt/Target/TargetInfo.h"

namespace sparse_opt {

class Emitter : public mlir::ImplicitLocOpBuilder {
public:
  using mlir::ImplicitLocOpBuilder::ImplicitLocOpBuilder;
  using Value = mlir::Value;

  Value index(int64_t value);
  Value add(Value a, Value b);
  Value add(Value a, int64_t b) { return add(a, index(b)); }
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value mul(Value a, int64_t b) { return mul(a, index(b)); }
  Value div(Value a, Value b);
  Value div(Value a, int64_t b) { return div(a, index(b)); }
  Value rem(Value a, Value b);
  Value rem(Value a, int64_t b) { return rem(a, index(b)); }
  Value ceilDiv(Value a, int64_t b);
  Value min(Value a, Value b);
  Value max(Value a, Value b);
  Value less(Value a, Value b);
  Value equal(Value a, Value b);
  Value select(Value condition, Value a, Value b);

  /// Size of dimension `dim` of a memref.
  Value size(Value memref, unsigned dim);

  void loop(Value begin, Value end, llvm::function_ref<void(Value)> body);
  /// for i in [0, count) step `step`.
  void loop(Value count, int64_t step, llvm::function_ref<void(Value)> body);
  /// for i in [begin, end) with values carried from turn to turn.
  llvm::SmallVector<Value>
  carry(Value begin, Value end, mlir::ValueRange first,
        llvm::function_ref<llvm::SmallVector<Value>(Value, mlir::ValueRange)>
            body);
  void ifElse(Value condition, llvm::function_ref<void()> then,
              llvm::function_ref<void()> otherwise);
  /// body(n) for the `n` in [first, last] that `value` has.
  void switchOver(Value value, unsigned first, unsigned last,
                  llvm::function_ref<void(unsigned)> body);

  /// Part `i` of `total` split into `parts` that differ by at most one.
  struct Part {
    Value begin, size;
  };
  Part balancedPart(Value total, Value parts, Value i);

  /// The elements from memref[indices...] on, seen as `type`; its dynamic
  /// sizes and strides are `dynamic`, in this order.
  Value at(Value memref, mlir::ValueRange indices, mlir::MemRefType type,
           mlir::ValueRange dynamic = {});

  /// Elements memref[indices..., +lanes), only those of `mask` when given;
  /// the others are zero.
  Value load(Value memref, mlir::ValueRange indices, unsigned lanes,
             Value mask = {});
  void store(Value vector, Value memref, mlir::ValueRange indices,
             Value mask = {});
  /// The same of f32 or bf16, as f32.
  Value loadAsF32(Value memref, mlir::ValueRange indices, unsigned lanes,
                  Value mask = {});
  /// Into all caches, for reading.
  void prefetch(Value memref, mlir::ValueRange indices);
  /// to[toAt..., +count) = from[fromAt..., +count) of bf16 as f32, and zeros up
  /// to a multiple of `lanes`.
  void widen(Value from, mlir::ValueRange fromAt, int64_t count, Value to,
             mlir::ValueRange toAt, unsigned lanes);
  /// int8 from there on as f32.
  Value loadInt8(Value memref, mlir::ValueRange indices, unsigned lanes);
  /// Pairs of bf16 of two vectors of f32 that bf16 holds exactly.
  Value pairBf16(Value first, Value second);
  Value broadcast(Value scalar, unsigned lanes);
  Value splat(float value, unsigned lanes);
  /// `first`, an integer, and those that follow it.
  Value upFrom(Value first, unsigned lanes);
  /// Zero of a scalar or vector type.
  Value zero(mlir::Type type);
  /// One vector as it is; the elements of two in turns.
  Value interleave(mlir::ValueRange vectors);
  /// Lanes of a vector at `begin` that lie before `end`.
  Value maskUpTo(Value begin, Value end, unsigned lanes);

  /// `bf16` elements as f32.
  Value widened(Value bf16);
  /// Those of even number and of odd number, which is cheaper.
  std::pair<Value, Value> splitBf16(Value bf16);
  /// The yielded value of a one-block region of element-wise scalar code, on
  /// vectors: `arguments` stand for the block's, and what `outer` maps to for
  /// scalars from outside.
  Value inlineVectorized(mlir::Region &region, mlir::ValueRange arguments,
                         unsigned lanes,
                         const mlir::IRMapping *outer = nullptr) {
    return inlineAllVectorized(region, arguments, lanes, outer).front();
  }
  /// All that it yields.
  llvm::SmallVector<Value>
  inlineAllVectorized(mlir::Region &region, mlir::ValueRange arguments,
                      unsigned lanes, const mlir::IRMapping *outer = nullptr);
  /// What such a region gets of an operand beside its first at columns from
  /// `column` on: one of R x N or N, or a scalar in every lane.
  Value loadExtra(Value extra, Value row, Value column, unsigned lanes,
                  Value mask = {});
};

/// memref<shape x element> with these strides and any offset.
mlir::MemRefType stridedMemRef(mlir::Type element,
                               llvm::ArrayRef<int64_t> shape,
                               llvm::ArrayRef<int64_t> strides);

/// True when consecutive elements of the last dimension are adjacent.
bool hasContiguousRows(mlir::Value memref);

} // namespace sparse_opt
#endif
