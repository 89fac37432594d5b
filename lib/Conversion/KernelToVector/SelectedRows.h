// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The rows of a neuron-major weight that a list selects, read line by line: a
// few rows side by side, and meanwhile what is read next is fetched, which no
// hardware can foresee.
#ifndef SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_SELECTEDROWS_H
#define SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_SELECTEDROWS_H
#include "Emitter.h"

namespace sparse_opt {

class SelectedRows {
public:
  /// All memrefs; loads `counted`.
  SelectedRows(Emitter &b, const TargetInfo &target, mlir::Value weight,
               mlir::Value list, mlir::Value counted);

  /// Entries j of [0, size()) stand for neurons: `count` groups' of them.
  mlir::Value size() const { return entries; }
  /// The first entry of a neuron from number `group` * P on; the list ascends.
  mlir::Value entryOf(Emitter &b, mlir::Value group) const;
  /// Neurons of the entries from `first` on, behind `end` the last one's; by
  /// default the list's end.
  llvm::SmallVector<mlir::Value> neurons(Emitter &b, mlir::Value first,
                                         unsigned number,
                                         mlir::Value end = {}) const;
  /// The same as one vector of i32; lanes outside `mask` may be anything.
  mlir::Value neuronVector(Emitter &b, mlir::Value first, unsigned lanes,
                           mlir::Value mask) const;

  mlir::Type elementType() const;
  /// Elements in one cache line.
  int64_t line() const;
  int64_t rowBytes() const;
  int64_t groups() const;
  /// Elements of the row of `neuron` from `column` on, as f32 or as they are.
  mlir::Value loadAsF32(Emitter &b, mlir::Value neuron, mlir::Value column,
                        unsigned lanes) const;
  mlir::Value load(Emitter &b, mlir::Value neuron, mlir::Value column,
                   unsigned lanes) const;

  /// How many rows of `lines` to read side by side: fewer of short ones, which
  /// end before streams of them are found. Divides 8.
  static unsigned abreast(int64_t lines) { return lines > longLines ? 8 : 4; }
  /// Which row after another should be fetched while that is read, `abreast` at
  /// a time, where rows of `lines` are so short that the next one is too near;
  /// at most `most`.
  int64_t rowsAhead(int64_t lines, unsigned abreast, int64_t most) const;

  /// Lines from `line` on, with the values carried.
  using Body = llvm::function_ref<llvm::SmallVector<mlir::Value>(
      mlir::Value line, unsigned lines, mlir::ValueRange carried)>;
  /// body(...) for the first `lines` of the rows of `neurons`, a few at a time,
  /// while lines some way ahead are fetched, at the end those where the rows of
  /// `next` begin. Without `next` the rows are in cache.
  llvm::SmallVector<mlir::Value> read(Emitter &b, mlir::ValueRange neurons,
                                      mlir::ValueRange next, int64_t lines,
                                      mlir::ValueRange first, Body body) const;

private:
  static constexpr int64_t longLines = 64;

  mlir::Value weight, list, count, entries;
  int64_t group, ahead; ///< lines under way
};

} // namespace sparse_opt
#endif
