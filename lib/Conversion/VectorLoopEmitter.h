// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Emits the loops of one structured op on buffers, as its plan says.
#ifndef SPARSE_OPT_CONVERSION_VECTORLOOPEMITTER_H
#define SPARSE_OPT_CONVERSION_VECTORLOOPEMITTER_H
#include "VectorLoopPlan.h"
#include "mlir/IR/IRMapping.h"

namespace sparse_opt {

/// What a body's values are at one place of the loop nest. Copied where the
/// nest branches (a loop and its tail).
struct BodyValues {
  mlir::IRMapping values;
  llvm::SmallVector<mlir::Value> ivs; ///< per loop; null while not open
  mlir::Value mask;                   ///< lanes that exist, or null: all
};

class VectorLoopEmitter {
public:
  VectorLoopEmitter(mlir::OpBuilder &builder, mlir::linalg::GenericOp op,
                    const VectorLoopPlan &plan);
  /// Emits everything before the builder's insertion point. `parallel`: the
  /// parallel loops become one scf.parallel.
  void emit(bool parallel);

private:
  using Accumulators = llvm::SmallVector<mlir::Value>;

  // Loops, outermost to innermost.
  void emitParallel(BodyValues body);
  void emitChunks(BodyValues body);
  void emitSerial(BodyValues body, llvm::ArrayRef<unsigned> loops);
  void emitVectorParallel(BodyValues body, mlir::Value begin, mlir::Value end);
  void emitPoint(BodyValues body);
  Accumulators emitReductions(BodyValues body, llvm::ArrayRef<unsigned> loops,
                              Accumulators accumulators);
  Accumulators emitVectorReduction(BodyValues body, Accumulators accumulators);

  // Reductions over the vector loop.
  Accumulators neutralVectors();
  Accumulators combineVectors(BodyValues &body, Accumulators accumulators);
  void step(BodyValues &body, Accumulators &accumulators, unsigned first);

  // The body.
  void open(BodyValues &body, unsigned loop, mlir::Value iv);
  void emitAvailable(BodyValues &body);
  void emitAll(BodyValues &body);
  void emitOp(BodyValues &body, mlir::Operation &op);
  mlir::Value emitIndex(BodyValues &body, mlir::linalg::IndexOp op);
  mlir::Value emitGather(BodyValues &body, mlir::Operation &load);
  llvm::SmallVector<mlir::Value> yielded(BodyValues &body);
  mlir::Value asVector(BodyValues &body, mlir::Value value);

  // Memory.
  llvm::SmallVector<mlir::Value> indicesOf(BodyValues &body,
                                           mlir::OpOperand &operand);
  mlir::Value loadOperand(BodyValues &body, mlir::OpOperand &operand);
  void storeOperand(BodyValues &body, mlir::OpOperand &operand,
                    mlir::Value value);
  mlir::Value loadVector(BodyValues &body, mlir::Value buffer,
                         mlir::ValueRange at);
  mlir::Value gatherVector(BodyValues &body, mlir::Value buffer,
                           llvm::SmallVector<mlir::Value> at,
                           mlir::Value offsets);
  mlir::Value inBytes(mlir::Value buffer);
  mlir::Value fromBytes(BodyValues &body, mlir::Value buffer,
                        mlir::Value loaded);
  mlir::Value laneOffsets(mlir::OpOperand &operand);
  void makeUnitStride(mlir::Value &base,
                      llvm::SmallVectorImpl<mlir::Value> &at);
  mlir::Value maskOrAll(BodyValues &body);
  mlir::Value zeroOf(mlir::VectorType type);

  // Sizes and types.
  mlir::Value sizeOf(unsigned loop);
  mlir::Value constant(int64_t value);
  mlir::VectorType vectorOf(mlir::Type element);
  mlir::Value roundDown(mlir::Value size, int64_t multiple);
  mlir::Value tailMask(mlir::Value iv, mlir::Value end);

  /// Loops that a value of the body depends on, one bit each; bit 63: an
  /// accumulator.
  uint64_t dependsOn(mlir::Value value) const {
    return dependencies.lookup(value);
  }
  bool isVector(mlir::Value value) const;
  void computeDependencies();

  mlir::OpBuilder &builder;
  mlir::linalg::GenericOp op;
  const VectorLoopPlan &plan;
  mlir::Location loc;
  llvm::DenseMap<mlir::Value, uint64_t> dependencies;
  llvm::SmallVector<mlir::Value> sizes;
  bool parallel = false;
};
} // namespace sparse_opt
#endif
