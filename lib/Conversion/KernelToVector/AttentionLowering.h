// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The state that the parts of attention's lowering share. A task has some rows
// of a head, or of the heads that share k and v, and a range of n that it
// visits in blocks; sums of one block are scaled when a later one raises a
// row's maximum, so that scratch doesn't grow with n. AttentionToVector.cpp
// has the tasks and the products with packed k and v, AttentionStream.cpp
// those that read k and v once for a few rows, AttentionSoftmax.cpp what lies
// between the products and behind them.
#ifndef SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_ATTENTIONLOWERING_H
#define SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_ATTENTIONLOWERING_H
#include "AttentionOperand.h"
#include "MicroKernel.h"
#include <functional>

namespace sparse_opt {

class AttentionLowering {
public:
  AttentionLowering(kernel::AttentionOp op, MicroKernels &kernels);
  void lower();

private:
  using Op = kernel::AttentionOp;
  using Value = mlir::Value;
  /// A block of n.
  struct Keys {
    Value first, columns, panels;
    Value isFirst, isLast; ///< of the task's
  };
  /// Rows that go through a block of n together.
  struct Rows {
    Value count;
    Value firstState; ///< in what lives from block to block
    std::function<LoopIndices(Value r)> at;
  };
  /// The task's share of n, in panels.
  using Range = Emitter::Part;

  // Tasks.
  void emitTask(Value kvHead, Value chunk, Value split);
  void allocateScratch();
  void forBlocks(Range range, int64_t blockPanels,
                 llvm::function_ref<void(Keys)> body);
  void emitPacked(Emitter::Part chunk, Range range);
  void emitPackedBlock(Rows rows, Value firstRow, const Keys &keys);
  void copyRowOfQ(const LoopIndices &from, Value r);
  Value leftRows(MicroKernel &kernel, Value rows, Value firstRow);
  void emitScores(Value rows, Value firstRow, const Keys &keys);
  void emitOutput(Value rows, const Keys &keys);

  // A few rows.
  bool canStream() const;
  void emitStream(Range range);
  void emitDots(Value rows, const Keys &keys);
  void emitSums(Value rows, const Keys &keys);

  // Softmax.
  /// What the score of some rows needs inside a function of its own.
  struct Score {
    LoopIndices at; ///< M: of the first row
    Value numColumns;
    llvm::SmallVector<AttentionOperand> extras;
    mlir::IRMapping outer;
  };
  Score scoreHere() const;
  llvm::SmallVector<Value> scoreOperands(const Score &score) const;
  Score scoreInside(mlir::ValueRange arguments) const;
  Value emitScore(Emitter &b, const Score &score, Value sum, Value row,
                  Value column, bool masked);
  void emitPanelScores(Emitter &b, const Score &score,
                       mlir::ArrayRef<Value> sums, unsigned rows,
                       unsigned panels, Value panel, Value firstColumn,
                       Value scores, Value maxima, bool masked);
  void emitScoredRow(const LoopIndices &row, Value r, const Keys &keys);
  void emitExponentials(Value r, Value state, const Keys &keys, Value to);
  void finishRow(const LoopIndices &row, Value r, Value state,
                 const Keys &keys);
  void storeOutput(LoopIndices row,
                   llvm::function_ref<Value(int64_t column)> value,
                   Value factor);
  Value emitFactor(Value sum);
  Value partialRow(const LoopIndices &row);
  void emitMerge();

  Op op;
  MicroKernels &kernels;
  const TargetInfo &target;
  Emitter b;
  unsigned lanes, tileRows, tilePanels;
  AttentionOperand q, k, v, out;
  llvm::SmallVector<AttentionOperand> extras;
  llvm::SmallVector<Value> captured; ///< scalars that the score uses
  mlir::Type element;                ///< of q, k and v
  int64_t step;                      ///< elements that lie together in a panel
  int64_t depth, columns;            ///< d and e
  int64_t group;                     ///< heads of q that share one of k and v
  int64_t chunkRows;                 ///< rows of one head in a task, at most
  int64_t streamRows;  ///< rows of all its heads that are streamed, at most
  int64_t blockPanels; ///< panels of n in a packed block, at most
  bool widens;         ///< left operands of bf16 are multiplied as f32
  bool zeroesNan;      ///< rows without a column become zero
  Value numRows, numColumns, numPanels, splits;
  LoopIndices at;
  Value split;
  /// Of a task. Row r of a block is at r of the first three, its scores in
  /// panels of 16; sums, maxima and outputs of all rows live between blocks.
  Value scores, probabilities, tile, packedK, packedV, rowsOfQ;
  Value maxima; ///< of a row's lanes in this block
  Value scales; ///< of what earlier blocks have summed
  Value states; ///< [row, 0] the maximum, [row, 1] the sum
  Value sums;   ///< [row, e] times v
  Value partials;
};

} // namespace sparse_opt
#endif
