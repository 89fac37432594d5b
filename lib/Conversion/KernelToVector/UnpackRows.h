// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Panels made of a neuron-major weight's rows, as micro-kernels multiply them:
// for many rows, where ops on selected neurons read the same copy for few.
#ifndef SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_UNPACKROWS_H
#define SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_UNPACKROWS_H
#include "Emitter.h"

namespace sparse_opt {

struct RowUnpacking {
  mlir::Value weight;   ///< N x K', or K x N'
  bool byInput = false; ///< the latter
  bool toPairs = false; ///< of bf16 along k; else f32
  int64_t depth = 0;    ///< K
  int64_t outputs = 0;  ///< N

  /// to[p, ...] = panel firstPanel + p, for p in [0, count).
  void emit(Emitter &b, const TargetInfo &target, mlir::Value firstPanel,
            mlir::Value count, mlir::Value to) const;

private:
  class Impl;
};

} // namespace sparse_opt
#endif
