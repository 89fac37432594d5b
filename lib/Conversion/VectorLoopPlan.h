// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How one structured op on buffers is to be looped over: which loop becomes
// vectors, in which order the others run, which run in parallel.
#ifndef SPARSE_OPT_CONVERSION_VECTORLOOPPLAN_H
#define SPARSE_OPT_CONVERSION_VECTORLOOPPLAN_H
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "sparse-opt/Target/TargetInfo.h"

namespace sparse_opt {

/// How an operand changes along one loop.
enum class Access {
  Invariant,
  Contiguous, ///< the next element in memory
  Strided,    ///< elements at a constant distance
  Irregular
};

Access accessAlong(mlir::AffineMap map, mlir::Type buffer, unsigned loop);

/// A reduction `out = combiner(out, x)` in the body of a structured op.
struct Combiner {
  mlir::Operation *op;
  mlir::vector::CombiningKind kind;
};

struct VectorLoopPlan {
  /// Loops that are not of static size 1, outermost first: parallel ones, the
  /// vector loop behind them when it is parallel, then reductions.
  llvm::SmallVector<unsigned> parallel, reductions;
  /// The loop that becomes vectors (in neither list), and how many lanes.
  std::optional<unsigned> vectorLoop;
  unsigned lanes = 1;
  bool vectorReduces = false;
  /// With vectorReduces: vectors of partial results, per output its combiner.
  unsigned accumulators = 1;
  llvm::SmallVector<Combiner> combiners;
  /// The body is large: one masked loop, rather than a loop and its tail.
  bool alwaysMasked = false;
  /// Iterations of one launched range, for loops outside parallel loops.
  int64_t grain = 1;
  /// Too little work to be worth a launch.
  bool tiny = false;
};

/// Elements of one range of a launch, at least.
constexpr int64_t rangeElements = 8192;

/// Points of an op's loops, with a typical size for what is dynamic.
int64_t typicalElements(mlir::linalg::LinalgOp op);

VectorLoopPlan planVectorLoop(mlir::linalg::GenericOp op,
                              const TargetInfo &target);
} // namespace sparse_opt
#endif
