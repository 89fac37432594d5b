// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Transfer functions of the symbolic shape analysis: what an operator does to
// shapes and to tracked contents. Private to lib/Analysis.
#ifndef SPARSE_OPT_LIB_ANALYSIS_SHAPERULES_H
#define SPARSE_OPT_LIB_ANALYSIS_SHAPERULES_H
#include "dialects/Onnx/OnnxOps.h"
#include "sparse-opt/Analysis/SymbolicShapes.h"

namespace sparse_opt {

/// Contents with more elements aren't tracked.
constexpr size_t maxTrackedElements = 256;

using ShapeList = std::optional<llvm::ArrayRef<Dim>>;
using ShapeRule = void (*)(onnx::NodeOp node, SymbolicShapes &shapes);

/// The rule that sets the shapes of `node`'s results; null when there is none.
ShapeRule lookupAttentionRule(onnx::NodeOp node);
ShapeRule lookupLayoutRule(onnx::NodeOp node);
ShapeRule lookupMathRule(onnx::NodeOp node);
ShapeRule lookupSpatialRule(onnx::NodeOp node);
/// The rule that computes contents from contents; null when there is none.
ShapeRule lookupContentRule(onnx::NodeOp node);

/// Operand `i`; the unknown rank when it was left out.
ShapeList shapeOf(onnx::NodeOp node, unsigned i, const SymbolicShapes &shapes);
ShapeList contentsOf(onnx::NodeOp node, unsigned i,
                     const SymbolicShapes &shapes);
/// Operand `i`, or attribute `name` of older versions, as known constants.
std::optional<llvm::SmallVector<int64_t>>
constantsOf(onnx::NodeOp node, unsigned i, llvm::StringRef name,
            const SymbolicShapes &shapes);
/// The axis counted from the front; nothing when it is out of range.
std::optional<size_t> normalizeAxis(int64_t axis, size_t rank);
inline DimList toList(llvm::ArrayRef<Dim> dims) {
  return DimList(dims.begin(), dims.end());
}
/// The product, when every factor is known.
Dim product(llvm::ArrayRef<Dim> dims);
} // namespace sparse_opt
#endif
