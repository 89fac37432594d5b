// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The one inner loop of all matrix products: a tile of rows times a few
// 16-column panels, accumulated in registers, as a private function.
#ifndef SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_MICROKERNEL_H
#define SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_MICROKERNEL_H
#include "Emitter.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringMap.h"

namespace sparse_opt {

/// tile[p, r, c] = sum_k left[r, k] * right[p, k, c], k ascending from zero
/// whatever the other numbers are. Strides are in elements. The tile holds
/// f32; of bf16 operands `right` is paired along k, right[p, k / 2, c, k mod
/// 2], where an odd number of k ends in a zero.
struct MicroKernel {
  bool isBf16 = false; ///< what left and right hold; else f32
  /// `left` is f32 beside a right side of bf16: it always was, or the target
  /// widens bf16, which is done once, not in every call.
  bool isLeftWide = false;
  /// `right` holds int8, right[p / 4, k, p mod 4 * 16 + c], which becomes what
  /// `left` holds in registers; only of static depth. Panels lie one behind the
  /// other in all that is read, so that fetching ahead needs no `next`.
  bool isRightInt8 = false;
  unsigned rows = 0, panels = 0;
  /// Number of k; kDynamic: an argument, and `left` is blocked by 16 along k,
  /// `left[k / 16, r, k mod 16]`, so that every address is base + constant;
  /// in bf16 it ends in zeros as well.
  int64_t depth = 0;
  int64_t leftStride = 0; ///< from row to row, or block to block
  int64_t tilePanelStride = 0, tileRowStride = 0;
  /// Panels to fetch meanwhile, one line of each in a step: the line `ahead`
  /// steps further on in `right`, past its end in the next group. Of int8
  /// lines are fetched whole: that of each k `ahead` k's further on.
  unsigned prefetched = 0;
  int64_t ahead = 0; ///< all of `lines()`: of the next group only

  /// k's of a step of the loop: as many as one 64-byte line of a panel holds,
  /// of int8 as many as make its turns worth while.
  int64_t step() const { return isRightInt8 ? 4 : isBf16 ? 2 : 1; }
  bool fetchesNext() const { return prefetched && !isRightInt8; }
  /// True when the target multiplies pairs of bf16.
  bool isPaired() const { return isBf16 && !isLeftWide; }
  /// Lines of a panel, of which there is one for each step.
  int64_t lines() const { return llvm::divideCeil(depth, step()); }

  std::string name() const;
  /// The types don't depend on `rows`: heights share one view.
  mlir::MemRefType leftType(mlir::MLIRContext *context) const;
  mlir::MemRefType rightType(mlir::MLIRContext *context) const;
  mlir::MemRefType tileType(mlir::MLIRContext *context) const;
  mlir::MemRefType nextType(mlir::MLIRContext *context) const;

private:
  mlir::Type leftElement(mlir::MLIRContext *context) const;
  mlir::Type elementType(mlir::MLIRContext *context) const;
  mlir::MemRefType panelsType(mlir::MLIRContext *context, int64_t count) const;
};

/// The same inside another function: the sums, ordered by row, panel and
/// vector. `depth` is static, nothing is prefetched.
llvm::SmallVector<mlir::Value> emitSums(Emitter &b, const MicroKernel &kernel,
                                        const TargetInfo &target,
                                        mlir::Value left, mlir::Value right);

/// Makes each micro-kernel once a module.
class MicroKernels {
public:
  MicroKernels(mlir::ModuleOp module, const TargetInfo &target)
      : module(module), target(target), symbols(module) {}
  const TargetInfo &getTarget() const { return target; }

  /// Calls the function of `kernel`; `depth` only when dynamic, `next` only
  /// when it fetches from there.
  void call(Emitter &b, const MicroKernel &kernel, mlir::Value left,
            mlir::Value right, mlir::Value tile, mlir::Value depth,
            mlir::Value next);

  /// The private function `name`, its body made by `emit` when there is none.
  mlir::func::FuncOp
  get(const std::string &name, llvm::ArrayRef<mlir::Type> inputs,
      llvm::function_ref<void(Emitter &, mlir::func::FuncOp)> emit);

  /// A private function named from `prefix` on that does what `emit` says: an
  /// earlier one where that does the same.
  mlir::func::FuncOp
  getShared(const std::string &prefix, llvm::ArrayRef<mlir::Type> inputs,
            llvm::function_ref<void(Emitter &, mlir::func::FuncOp)> emit);

private:
  mlir::func::FuncOp get(const MicroKernel &kernel);

  mlir::ModuleOp module;
  const TargetInfo &target;
  mlir::SymbolTable symbols;
  llvm::StringMap<llvm::SmallVector<mlir::func::FuncOp>> shared; ///< by prefix
};

} // namespace sparse_opt
#endif
