// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the recognition of feed-forward blocks knows about single nodes.
// Private to lib/Analysis.
#ifndef SPARSE_OPT_LIB_ANALYSIS_FFNNODES_H
#define SPARSE_OPT_LIB_ANALYSIS_FFNNODES_H
#include "sparse-opt/Analysis/FfnMatch.h"

namespace sparse_opt {

/// The result of an `onnx.constant`.
bool isConstant(mlir::Value value);
/// The node as reasons call it.
std::string nameOf(onnx::NodeOp node);
/// Nodes that pass operand 0 on, as far as a block is concerned.
bool passesOn(onnx::NodeOp node);
/// The elements of a constant that adds to the last dimension only.
std::optional<int64_t> biasSize(mlir::Value value);
/// MatMul, Gemm, FusedMatMul.
bool isProduct(onnx::NodeOp node);
/// The layer of a product alone, with a bias only if it is the node's own.
std::optional<LinearLayer> matchProduct(onnx::NodeOp node, std::string &why);
/// What `node` computes from the elements `x` of its operands (those left out
/// are NaN); nothing for operators that it doesn't know.
std::optional<double> evaluate(onnx::NodeOp node, llvm::ArrayRef<double> x);
} // namespace sparse_opt
#endif
