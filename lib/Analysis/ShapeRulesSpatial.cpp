// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shapes of convolutions and poolings: batch and channels pass, the spatial
// sizes shrink by window, stride and padding.
#include "ShapeRules.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace sparse_opt;
using onnx::NodeOp;

static int64_t entry(NodeOp node, StringRef name, size_t i, int64_t byDefault) {
  std::optional<ArrayRef<int64_t>> list = node.intsAttr(name);
  return list && i < list->size() ? (*list)[i] : byDefault;
}

/// Positions of a window of `window` elements along spatial dimension `i`.
static Dim windowCount(NodeOp node, size_t i, size_t spatial, const Dim &size,
                       const Dim &window) {
  int64_t stride = entry(node, "strides", i, 1);
  if (!size || !window || stride < 1)
    return std::nullopt;
  StringRef padding = node.stringAttr("auto_pad", "NOTSET");
  if (padding.starts_with("SAME"))
    return DimExpr::ceilDiv(*size, DimExpr(stride));
  int64_t pads = 0;
  if (padding != "VALID")
    pads = entry(node, "pads", i, 0) + entry(node, "pads", i + spatial, 0);
  DimExpr covered =
      (*window - DimExpr(1)) * DimExpr(entry(node, "dilations", i, 1)) +
      DimExpr(1);
  DimExpr free = *size + DimExpr(pads) - covered;
  Dim steps = node.intAttr("ceil_mode", 0)
                  ? std::nullopt // the last window may start in the padding
                  : DimExpr::floorDiv(free, DimExpr(stride));
  return steps ? Dim(*steps + DimExpr(1)) : std::nullopt;
}

/// Conv (operand 1 is the filter) and pooling (attribute kernel_shape).
static void window(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes);
  bool isConv = node.is("Conv");
  ShapeList filter = isConv ? shapeOf(node, 1, shapes) : std::nullopt;
  if (!x || x->size() < 3 ||
      (isConv && (!filter || filter->size() != x->size())))
    return;
  size_t spatial = x->size() - 2;
  DimList result = {(*x)[0], isConv ? (*filter)[0] : (*x)[1]};
  for (size_t i = 0; i < spatial; ++i) {
    Dim size = isConv ? (*filter)[i + 2]
                      : Dim(DimExpr(entry(node, "kernel_shape", i, 1)));
    result.push_back(windowCount(node, i, spatial, (*x)[i + 2], size));
  }
  for (Value output : node->getResults())
    if (isa<ShapedType>(output.getType()))
      shapes.setShape(output, result);
}

static void globalPool(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes);
  if (!x || x->size() < 2)
    return;
  DimList result = {(*x)[0], (*x)[1]};
  result.resize(x->size(), DimExpr(1));
  shapes.setShape(node.getResult(0), std::move(result));
}

ShapeRule sparse_opt::lookupSpatialRule(NodeOp node) {
  static const llvm::StringMap<ShapeRule> rules = {
      {"Conv", window},
      {"MaxPool", window},
      {"AveragePool", window},
      {"LpPool", window},
      {"GlobalMaxPool", globalPool},
      {"GlobalAveragePool", globalPool}};
  return node.getDomain().value_or("").empty() ? rules.lookup(node.getOpType())
                                               : nullptr;
}
