// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// See IndexRange.h.
#include "IndexRange.h"
#include "dialects/Onnx/OnnxOps.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

namespace {
class RangeFinder {
public:
  explicit RangeFinder(const SymbolicShapes &shapes) : shapes(shapes) {}

  std::optional<IndexRange> of(Value value) {
    if (auto known = shapes.getKnownContents(value); known && !known->empty())
      return hull(*known);
    auto node = value.getDefiningOp<NodeOp>();
    // Each operand twice, say, grows without a limit of its own.
    if (!node || ++visited > 64)
      return std::nullopt;
    if (node.is("Range"))
      return ofRange(node);
    if (node.is("Add") || node.is("Mul"))
      return combine(node);
    if (movesOnly(node))
      return of(node.getOperand(0));
    return std::nullopt;
  }

  std::optional<IndexRange> ofColumn(Value value, int64_t column) {
    auto node = value.getDefiningOp<NodeOp>();
    while (node && (node.is("Cast") || node.is("Identity")))
      node = node.getOperand(0).getDefiningOp<NodeOp>();
    std::optional<ArrayRef<Dim>> shape = shapes.getShape(value);
    if (!node || !node.is("Concat") || !shape || shape->empty())
      return of(value);
    int64_t rank = shape->size(), axis = node.intAttr("axis", 0);
    bool last = axis == -1 || axis == rank - 1;
    if (!last || column >= static_cast<int64_t>(node.getNumOperands()) ||
        !llvm::all_of(node.getOperands(), [&](Value part) {
          Dim size = shapes.getDim(part, -1);
          return size && size->isConstant(1);
        }))
      return std::nullopt;
    return of(node.getOperand(column));
  }

private:
  static bool movesOnly(NodeOp node) {
    auto type = dyn_cast<ShapedType>(node.getResult(0).getType());
    return type && type.getElementType().isSignlessInteger() &&
           llvm::is_contained({"Cast", "Identity", "Unsqueeze", "Squeeze",
                               "Reshape", "Flatten", "Transpose", "Slice",
                               "Expand", "Tile"},
                              node.getOpType());
  }

  static IndexRange hull(ArrayRef<DimExpr> elements) {
    IndexRange range{elements[0], elements[0]};
    for (const DimExpr &element : elements.drop_front()) {
      range.least = DimExpr::min(range.least, element);
      range.most = DimExpr::max(range.most, element);
    }
    return range;
  }

  std::optional<IndexRange> ofRange(NodeOp node) {
    auto one = [&](unsigned i) -> Dim {
      auto known = shapes.getKnownContents(node.getOperand(i));
      return known && known->size() == 1 ? Dim(known->front()) : Dim();
    };
    Dim start = one(0), limit = one(1), step = one(2);
    if (!start || !limit || !step || !step->isConstant(1))
      return std::nullopt;
    return IndexRange{*start, *limit - DimExpr(1)};
  }

  /// Sums, and products of what is nowhere negative.
  std::optional<IndexRange> combine(NodeOp node) {
    std::optional<IndexRange> a = of(node.getOperand(0));
    std::optional<IndexRange> b = a ? of(node.getOperand(1)) : std::nullopt;
    if (!b)
      return std::nullopt;
    if (node.is("Add"))
      return IndexRange{a->least + b->least, a->most + b->most};
    if (!a->least.provablyAtLeast(0) || !b->least.provablyAtLeast(0))
      return std::nullopt;
    return IndexRange{a->least * b->least, a->most * b->most};
  }

  const SymbolicShapes &shapes;
  unsigned visited = 0;
};
} // namespace

std::optional<IndexRange> lowering::indexRange(Value value,
                                               const SymbolicShapes &shapes,
                                               std::optional<int64_t> column) {
  RangeFinder finder(shapes);
  return column ? finder.ofColumn(value, *column) : finder.of(value);
}
