// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Finds feed-forward blocks among onnx nodes, whatever their spelling. There
// is no pattern per exporter: a linear layer is matched structurally, and what
// lies between two linear layers is taken as a function of one value (or of
// gate and up) and recognised by its values. Changes no IR; what has an
// activation in front of a product but is no block is answered with a reason.
#ifndef SPARSE_OPT_ANALYSIS_FFNMATCH_H
#define SPARSE_OPT_ANALYSIS_FFNMATCH_H
#include "dialects/Ffn/FfnOps.h"
#include "dialects/Onnx/OnnxOps.h"
#include "sparse-opt/Analysis/SymbolicShapes.h"
#include "llvm/ADT/SetVector.h"

namespace sparse_opt {

/// Columns [offset, offset + size) of `alpha x weight + bias`. Weight and bias
/// are results of `onnx.constant`.
struct LinearLayer {
  onnx::NodeOp product;
  mlir::Value x;
  mlir::Value weight;      // rank 2
  bool transposed = false; // weight is out x in
  double alpha = 1;
  mlir::Value bias;        // may be null; as many elements as columns
  int64_t in = 0, out = 0; // of the whole weight
  int64_t offset = 0, size = 0;
  /// Nodes it consists of.
  llvm::SmallSetVector<mlir::Operation *, 4> nodes;
};

/// A Reshape whose operand and result agree in the last dimension: rows stay
/// rows, in order.
bool keepsRows(onnx::NodeOp reshape);

/// The linear layer whose result `value` is: MatMul or Gemm with a constant
/// weight, then bias, float Casts, reshapes that keep rows, and at last a
/// Split or Slice of the last dimension. `why` says what was missing.
std::optional<LinearLayer> matchLinear(mlir::Value value, std::string &why);

/// A function of the results of linear layers, computed element by element.
struct ElementwiseCone {
  llvm::SmallVector<LinearLayer, 2> leaves;
  llvm::DenseMap<mlir::Value, unsigned> leafOf;
  llvm::SmallSetVector<mlir::Operation *, 8> nodes;
  bool hasActivation = false;
  std::string why; // empty when everything was understood
};

/// Walks backwards from `value` to linear layers.
ElementwiseCone exploreCone(mlir::Value value, const SymbolicShapes &shapes);

/// The activation's value at `x`.
double applyActivation(ffn::Activation kind, double x);

struct FfnActivations {
  ffn::Activation activation;
  std::optional<ffn::Activation> up; // of gated forms, unless identity
  unsigned gate = 0;                 // the leaf that is the gate
  double scale = 1;                  // what the down projection takes over
  std::optional<float> cutoff;       // FATReLU's, where activation is relu
};

/// What `value` computes from the leaves of `cone`: `scale * act(leaf)` for one
/// leaf, `scale * act(gate) * act_up(up)` for two. Decided by its values on a
/// grid, to a tolerance that tells GELU from its tanh form and forgives
/// constants rounded to half precision. What is linear or 0 has to agree in all
/// digits, on both sides of every constant that it may compare with.
std::optional<FfnActivations> classifyCone(mlir::Value value,
                                           const ElementwiseCone &cone);

struct FfnMatch {
  FfnActivations activations;
  LinearLayer up, down;
  std::optional<LinearLayer> gate;
  mlir::Value result;
  /// Rows of `up.x` and `result` are the same, but may be shaped differently;
  /// then the shape of `result` is known.
  bool reshapes = false;
};

struct FfnMiss {
  onnx::NodeOp node;
  std::string reason;
};

/// The block that ends in the product `node`, or why it is none; neither when
/// nothing suggests one.
struct FfnAnswer {
  std::optional<FfnMatch> match;
  std::optional<FfnMiss> miss;
};
FfnAnswer matchFfn(onnx::NodeOp node, const SymbolicShapes &shapes);
} // namespace sparse_opt
#endif
