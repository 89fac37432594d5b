// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the two forms of a compressed block share: the rule of a selection as
// scalar code, and the values that a correction is computed from.
#ifndef SPARSE_OPT_LIB_CONVERSION_ONNXTOLINALG_FFNSELECTION_H
#define SPARSE_OPT_LIB_CONVERSION_ONNXTOLINALG_FFNSELECTION_H
#include "Lowering.h"
#include "dialects/Ffn/FfnOps.h"

namespace sparse_opt::lowering {

/// Tensors that one element-wise op reads, each once.
class Operands {
public:
  explicit Operands(Lowering &l) : l(l) {}

  /// Where the body finds `value`; -1 when there is none.
  int add(mlir::Value value) { return value ? add(l.lookup(value)) : -1; }
  int add(Tensor tensor);
  llvm::ArrayRef<Tensor> get() const { return tensors; }

private:
  Lowering &l;
  llvm::SmallVector<Tensor> tensors;
};

/// The rule of a selection as scalar code over operands.
class Rule {
public:
  Rule(ffn::SelectOp op, Operands &operands);
  /// Whether it keeps a neuron; a NaN is kept.
  mlir::Value keeps(Scalars &s, mlir::ValueRange v);

private:
  ffn::SelectOp op;
  int score, times, minus, weight;
};

/// Whether each neuron is kept, an i1 tensor of `shape`; one that is kept keeps
/// its group.
Tensor keptNeurons(Lowering &l, ffn::SelectOp select,
                   llvm::ArrayRef<Size> shape);

/// The same as scalar code over operands, by what it takes: the rule, or a
/// tensor where groups are kept.
class Keeps {
public:
  Keeps(Lowering &l, ffn::SelectOp select, llvm::ArrayRef<Size> shape,
        Operands &operands);
  mlir::Value operator()(Scalars &s, mlir::ValueRange v);

private:
  std::optional<Rule> rule;
  int mask = -1;
};

/// ffn.keep by masking.
Tensor keptColumns(Lowering &l, ffn::KeepOp op);

/// What a projection goes through.
struct Activated {
  Activated(ffn::Activation kind,
            std::optional<llvm::APFloat> cutoff = std::nullopt)
      : kind(kind), cutoff(cutoff) {}
  /// The one of a block, a score or a correction.
  template <typename OpTy> static Activated of(OpTy op) {
    return {op.getActivation(), op.getCutoff()};
  }
  mlir::Value operator()(Scalars &s, mlir::Value x) const;

  ffn::Activation kind;
  std::optional<llvm::APFloat> cutoff;
};

/// act(x weight + bias), dense.
Tensor project(Lowering &l, Tensor x, mlir::Value weight, mlir::Value bias,
               Activated activation);

/// What a correction is made of.
struct Correction {
  ffn::CorrectOp op;
  ffn::SelectOp select;
  Tensor x, down;
  /// act(x gate) and act_up(x up), where they are known; of a plain block only
  /// the first.
  std::optional<Tensor> act, up;
  std::optional<Tensor> minus;
  /// Scores of kept columns of x that nothing else reads, or null: each form of
  /// the correction computes them its own way, and knows act and up then.
  ffn::ScoreOp actScore, upScore;
  Sizes shape; ///< of x, with the neurons in place of its columns

  bool isGated() { return !!op.getGate(); }
  int64_t neurons() { return select.getType().getNeurons(); }
  bool hasOwnScores() { return actScore || upScore; }
  /// Where the scores' x comes from.
  ffn::KeepOp keep() { return op.getX().getDefiningOp<ffn::KeepOp>(); }
};

/// A projection into neurons and its activation. The weight is neuron-major.
struct Projection {
  Tensor weight;
  std::optional<Tensor> bias;
  Activated activation;
};
Projection actProjection(Lowering &l, Correction &c);
Projection upProjection(Lowering &l, Correction &c);

/// What telemetry has an entry for: a block's neurons or columns of its x.
struct Counted {
  mlir::StringAttr name; ///< null: there is no entry
  int64_t size;
  mlir::DenseF64ArrayAttr band;
};
Counted countedNeurons(Correction &c);
/// Those of which the correction's scores are.
Counted countedColumns(Correction &c);

/// True when kernel.select and its kin can compute it.
bool fitsKernels(Lowering &l, Correction &c);
/// The most rows that those are for.
constexpr int64_t fewRows = 16;
/// Tells the telemetry of rows that were computed, whole without `selected` or
/// if `guarded`.
void noteRows(Lowering &l, const Counted &counted, mlir::Value rows,
              mlir::Value selected, bool guarded = false);
/// The correction's own scores by dense products of masked columns.
void scoreDensely(Lowering &l, Correction &c);
/// The correction by dense products, masked by the selection or of `all`.
Tensor correctManyRows(Lowering &l, Correction c, bool all = false);
/// The correction of few rows, by kernels that read the selected neurons'
/// weights alone.
Tensor correctFewRows(Lowering &l, Correction c);

} // namespace sparse_opt::lowering
#endif
