// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Panels of int8 as the panels of f32 or bf16 that micro-kernels multiply: for
// many rows, which use each weight often enough to pay for the copy.
#ifndef SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_UNPACKPANELS_H
#define SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_UNPACKPANELS_H
#include "MicroKernel.h"

namespace sparse_opt {

struct PanelUnpacking {
  unsigned panels = 0;
  int64_t depth = 0;
  bool toBf16 = false; ///< in pairs; else to f32

  /// One private function for all products of these numbers: reads `from`, of
  /// int8, and writes `to`, as micro-kernels of `toBf16` take it.
  void call(Emitter &b, MicroKernels &kernels, mlir::Value from,
            mlir::Value to) const;

  mlir::MemRefType fromType(mlir::MLIRContext *context) const;
  mlir::MemRefType toType(mlir::MLIRContext *context) const;

private:
  MicroKernel kernel(bool ofInt8) const;
  void emit(Emitter &b, const TargetInfo &target, mlir::Value from,
            mlir::Value to) const;
};

} // namespace sparse_opt
#endif
