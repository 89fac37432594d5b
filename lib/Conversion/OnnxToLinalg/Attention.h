// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What ONNX's and ONNX Runtime's attention operators have in common.
#ifndef SPARSE_OPT_LIB_CONVERSION_ONNXTOLINALG_ATTENTION_H
#define SPARSE_OPT_LIB_CONVERSION_ONNXTOLINALG_ATTENTION_H
#include "Lowering.h"

namespace sparse_opt::lowering {

/// Which columns a row may look at, by position alone.
struct Window {
  bool causal = false;
  int64_t left = -1, right = -1; // columns on either side; -1: all
  Size past;                     // columns before the first row's own
  bool hasPast = false;
  std::optional<Tensor> validLengths; // [batch]: columns that hold anything
  std::optional<Tensor> starts;       // [batch]: instead of `past`
  double masked = 0;                  // what is added where it may not look
};

struct AttentionOptions {
  float scale = 1, softcap = 0;
  Window window;
  std::optional<Tensor> mask; // broadcast to [batch, heads, rows, columns]
  int64_t captureStage = 0;   // which scores to hand out: scaled, capped,
                              // biased, probabilities
};

/// com.microsoft's `scale` for q [batch, heads, rows, depth]: 1 / sqrt(depth)
/// where the node gives none.
mlir::LogicalResult readScale(onnx::NodeOp node, Lowering &l, const Tensor &q,
                              float &scale);
/// Fails where `heads` don't divide the columns of x [batch, rows, columns].
mlir::LogicalResult needHeads(Lowering &l, const Tensor &x, int64_t heads);
/// [batch, rows, heads * depth] <-> [batch, heads, rows, depth]
Tensor splitHeads(Lowering &l, Tensor x, int64_t heads);
Tensor joinHeads(Lowering &l, Tensor x);
/// Rotates pairs of the first `part` of x [batch, rows, heads, depth] by the
/// angles of each row, [batch, rows, part / 2].
Tensor rotateRows(Lowering &l, Tensor x, Tensor cos, Tensor sin, Size part,
                  bool interleaved);
/// What is added for `window`, [batch or 1, 1, rows, columns].
std::optional<Tensor> positionBias(Lowering &l, const Window &window, Size rows,
                                   Size columns, mlir::Type type);
/// linalg.softmax over the last dimension.
Tensor rowSoftmax(Lowering &l, Tensor x);
/// softmax(scale q k^T + bias) v on [batch, heads, rows, depth].
Tensor attend(Lowering &l, Tensor q, Tensor k, Tensor v,
              const AttentionOptions &options,
              std::optional<Tensor> *captured = nullptr);
mlir::LogicalResult lowerGroupQueryAttention(onnx::NodeOp node, Lowering &l);
} // namespace sparse_opt::lowering
#endif
