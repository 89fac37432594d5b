// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Contents of small integer tensors: what exporters do to shapes between
// Shape and Reshape. Booleans are 0 and 1, floats take part while they hold
// integers, elements that depend on data are unknown one by one.
#include "ShapeRules.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace sparse_opt;
using onnx::NodeOp;

static bool isFloat(Value value) {
  return isa<FloatType>(getElementTypeOrSelf(value.getType()));
}

/// Elements of the result, where its shape is known to be [n] or a scalar.
static std::optional<size_t> resultSize(NodeOp node, SymbolicShapes &shapes) {
  std::optional<ArrayRef<Dim>> shape = shapes.getShape(node.getResult(0));
  if (!shape || shape->size() > 1)
    return std::nullopt;
  if (shape->empty())
    return 1;
  if (!(*shape)[0] || !(*shape)[0]->constant())
    return std::nullopt;
  int64_t size = *(*shape)[0]->constant();
  if (size < 0 || size > static_cast<int64_t>(maxTrackedElements))
    return std::nullopt;
  return size;
}

//===----------------------------------------------------------------------===//
// Shapes become contents
//===----------------------------------------------------------------------===//

static void shapeOp(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes);
  if (!x)
    return;
  int64_t rank = x->size();
  auto clamp = [&](int64_t bound) {
    return std::clamp<int64_t>(bound < 0 ? bound + rank : bound, 0, rank);
  };
  int64_t start = clamp(node.intAttr("start", 0));
  int64_t end = std::max(start, clamp(node.intAttr("end", rank)));
  DimList list = toList(x->slice(start, end - start));
  shapes.setShape(node.getResult(0), {DimExpr(end - start)});
  shapes.setContents(node.getResult(0), std::move(list));
}

static void sizeOp(NodeOp node, SymbolicShapes &shapes) {
  shapes.setShape(node.getResult(0), {});
  if (ShapeList x = shapeOf(node, 0, shapes))
    shapes.setContents(node.getResult(0), {product(*x)});
}

static void constantOfShape(NodeOp node, SymbolicShapes &shapes) {
  std::optional<size_t> size = resultSize(node, shapes);
  if (!size)
    return;
  Dim value = DimExpr(0);
  if (auto attribute = dyn_cast_or_null<ElementsAttr>(node.attr("value"))) {
    std::optional<ConstantData> data = getConstantData(attribute);
    if (!data || data->size() != 1)
      return;
    double number = data->getDouble(0);
    value = isFloat(node.getResult(0)) && number != std::floor(number)
                ? Dim()
                : Dim(DimExpr(data->getInteger(0)));
  }
  shapes.setContents(node.getResult(0), DimList(*size, value));
}

static void range(NodeOp node, SymbolicShapes &shapes) {
  std::optional<size_t> size = resultSize(node, shapes);
  ShapeList start = contentsOf(node, 0, shapes);
  ShapeList delta = contentsOf(node, 2, shapes);
  if (!size || !start || start->size() != 1 || !(*start)[0] || !delta ||
      delta->size() != 1 || !(*delta)[0])
    return;
  DimList list;
  for (size_t i = 0; i < *size; ++i)
    list.push_back(*(*start)[0] + *(*delta)[0] * DimExpr(i));
  shapes.setContents(node.getResult(0), std::move(list));
}

//===----------------------------------------------------------------------===//
// Moving elements
//===----------------------------------------------------------------------===//

/// Reshape, Squeeze, Unsqueeze, Cast, Identity: the same elements in order.
static void keep(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = contentsOf(node, 0, shapes);
  std::optional<size_t> size = resultSize(node, shapes);
  if (x && size == x->size())
    shapes.setContents(node.getResult(0), toList(*x));
}

static void cast(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = contentsOf(node, 0, shapes);
  if (!x)
    return;
  DimList list = toList(*x);
  if (getElementTypeOrSelf(node.getResult(0).getType()).isInteger(1))
    for (Dim &element : list)
      element = !element                               ? Dim()
                : element->provablyDiffers(DimExpr(0)) ? Dim(DimExpr(1))
                : element->constant()                  ? element
                                                       : Dim();
  shapes.setContents(node.getResult(0), std::move(list));
}

static void concat(NodeOp node, SymbolicShapes &shapes) {
  DimList list;
  for (unsigned i = 0; i < node.getOperands().size(); ++i) {
    ShapeList x = contentsOf(node, i, shapes);
    ShapeList shape = shapeOf(node, i, shapes);
    if (!x || !shape || shape->size() != 1)
      return;
    list.append(x->begin(), x->end());
  }
  shapes.setContents(node.getResult(0), std::move(list));
}

static void split(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = contentsOf(node, 0, shapes);
  if (!x)
    return;
  DimList all = toList(*x);
  size_t at = 0;
  for (Value part : node->getResults()) {
    Dim size = shapes.getDim(part, 0);
    if (!size || !size->constant() || *size->constant() < 0 ||
        at + *size->constant() > all.size())
      return;
    ArrayRef<Dim> elements = ArrayRef<Dim>(all).slice(at, *size->constant());
    shapes.setContents(part, toList(elements));
    at += *size->constant();
  }
}

static void slice(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = contentsOf(node, 0, shapes);
  ShapeList shape = shapeOf(node, 0, shapes);
  auto starts = constantsOf(node, 1, "starts", shapes);
  auto steps = constantsOf(node, 4, "steps", shapes);
  std::optional<size_t> size = resultSize(node, shapes);
  if (!x || !shape || shape->size() != 1 || !starts || starts->size() != 1 ||
      !size || (!steps && node.operandOrNull(4)))
    return;
  int64_t count = x->size(), step = steps ? (*steps)[0] : 1;
  int64_t start = (*starts)[0];
  start = std::clamp<int64_t>(start < 0 ? start + count : start, 0,
                              step > 0 ? count : count - 1);
  DimList list;
  for (size_t i = 0; i < *size; ++i) {
    int64_t at = start + static_cast<int64_t>(i) * step;
    if (at < 0 || at >= count)
      return;
    list.push_back((*x)[at]);
  }
  shapes.setContents(node.getResult(0), std::move(list));
}

static void gather(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = contentsOf(node, 0, shapes);
  ShapeList shape = shapeOf(node, 0, shapes);
  auto index = constantsOf(node, 1, "", shapes);
  if (!x || !shape || shape->size() != 1 || !index)
    return;
  DimList list;
  for (int64_t i : *index) {
    std::optional<size_t> at = normalizeAxis(i, x->size());
    list.push_back(at ? (*x)[*at] : Dim());
  }
  shapes.setContents(node.getResult(0), std::move(list));
}

static void expand(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = contentsOf(node, 0, shapes);
  std::optional<size_t> size = resultSize(node, shapes);
  if (!x || !size || (x->size() != 1 && x->size() != *size))
    return;
  shapes.setContents(node.getResult(0),
                     x->size() == *size ? toList(*x) : DimList(*size, (*x)[0]));
}

static void tile(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = contentsOf(node, 0, shapes);
  std::optional<size_t> size = resultSize(node, shapes);
  if (!x || !size || x->empty() || *size % x->size())
    return;
  DimList list;
  for (size_t i = 0; i < *size; ++i)
    list.push_back((*x)[i % x->size()]);
  shapes.setContents(node.getResult(0), std::move(list));
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

using Function = llvm::function_ref<Dim(ArrayRef<Dim>)>;

/// Applies `function` to the broadcast elements of all `count` operands (0:
/// any number).
static void map(NodeOp node, SymbolicShapes &shapes, unsigned count,
                Function function) {
  std::optional<size_t> size = resultSize(node, shapes);
  if (!size || (count && node.getOperands().size() != count))
    return;
  SmallVector<ArrayRef<Dim>> lists;
  for (unsigned i = 0; i < node.getOperands().size(); ++i) {
    ShapeList x = contentsOf(node, i, shapes);
    if (!x || (x->size() != *size && x->size() != 1))
      return;
    lists.push_back(*x);
  }
  DimList result;
  for (size_t i = 0; i < *size; ++i) {
    DimList operands;
    for (ArrayRef<Dim> list : lists)
      operands.push_back(list[list.size() == 1 ? 0 : i]);
    result.push_back(function(operands));
  }
  shapes.setContents(node.getResult(0), std::move(result));
}

static bool allKnown(ArrayRef<Dim> list) {
  return llvm::all_of(list, [](const Dim &dim) { return !!dim; });
}

template <DimExpr (*function)(const DimExpr &, const DimExpr &)>
static void fold(NodeOp node, SymbolicShapes &shapes) {
  map(node, shapes, 0, [](ArrayRef<Dim> x) -> Dim {
    if (x.empty() || !allKnown(x))
      return std::nullopt;
    DimExpr result = *x[0];
    for (const Dim &next : x.drop_front())
      result = function(result, *next);
    return result;
  });
}

static DimExpr add(const DimExpr &a, const DimExpr &b) { return a + b; }
static DimExpr sub(const DimExpr &a, const DimExpr &b) { return a - b; }

static void mul(NodeOp node, SymbolicShapes &shapes) {
  map(node, shapes, 2, [](ArrayRef<Dim> x) -> Dim {
    // Zero times anything: the exporter's mask idioms.
    if (llvm::is_contained(x, Dim(DimExpr(0))))
      return DimExpr(0);
    return allKnown(x) ? Dim(*x[0] * *x[1]) : std::nullopt;
  });
}

static void div(NodeOp node, SymbolicShapes &shapes) {
  bool floats = isFloat(node.getResult(0));
  map(node, shapes, 2, [&](ArrayRef<Dim> x) -> Dim {
    if (!allKnown(x))
      return std::nullopt;
    return floats ? x[0]->exactDiv(*x[1]) : DimExpr::truncDiv(*x[0], *x[1]);
  });
}

static void mod(NodeOp node, SymbolicShapes &shapes) {
  bool likeC = node.intAttr("fmod", 0);
  map(node, shapes, 2, [&](ArrayRef<Dim> x) -> Dim {
    if (!allKnown(x) ||
        (likeC && !(x[0]->provablyAtLeast(0) && x[1]->provablyAtLeast(0))))
      return std::nullopt;
    return DimExpr::mod(*x[0], *x[1]);
  });
}

static void neg(NodeOp node, SymbolicShapes &shapes) {
  map(node, shapes, 1,
      [](ArrayRef<Dim> x) -> Dim { return x[0] ? Dim(-*x[0]) : std::nullopt; });
}

static void absolute(NodeOp node, SymbolicShapes &shapes) {
  map(node, shapes, 1, [](ArrayRef<Dim> x) -> Dim {
    return x[0] ? Dim(DimExpr::max(*x[0], -*x[0])) : std::nullopt;
  });
}

//===----------------------------------------------------------------------===//
// Comparisons and choices
//===----------------------------------------------------------------------===//

static Dim truth(std::optional<bool> value) {
  return value ? Dim(DimExpr(*value)) : std::nullopt;
}

static void equal(NodeOp node, SymbolicShapes &shapes) {
  map(node, shapes, 2, [](ArrayRef<Dim> x) -> Dim {
    if (!allKnown(x))
      return std::nullopt;
    if (*x[0] == *x[1])
      return DimExpr(1);
    return x[0]->provablyDiffers(*x[1]) ? Dim(DimExpr(0)) : std::nullopt;
  });
}

/// a >= b + margin, where all sizes agree; `swap` compares b with a.
template <bool swap, int64_t margin>
static void compare(NodeOp node, SymbolicShapes &shapes) {
  map(node, shapes, 2, [](ArrayRef<Dim> x) -> Dim {
    if (!allKnown(x))
      return std::nullopt;
    DimExpr difference = *x[swap] - *x[!swap];
    if (difference.provablyAtLeast(margin))
      return truth(true);
    return (-difference).provablyAtLeast(1 - margin) ? truth(false) : Dim();
  });
}

static void logicalNot(NodeOp node, SymbolicShapes &shapes) {
  map(node, shapes, 1, [](ArrayRef<Dim> x) -> Dim {
    return x[0] ? Dim(DimExpr(1) - *x[0]) : std::nullopt;
  });
}

/// And (the value that decides is 0) and Or (1).
template <int64_t decisive>
static void logical(NodeOp node, SymbolicShapes &shapes) {
  map(node, shapes, 2, [](ArrayRef<Dim> x) -> Dim {
    if (llvm::is_contained(x, Dim(DimExpr(decisive))))
      return DimExpr(decisive);
    return allKnown(x) ? Dim(DimExpr(1 - decisive)) : std::nullopt;
  });
}

static void where(NodeOp node, SymbolicShapes &shapes) {
  map(node, shapes, 3, [](ArrayRef<Dim> x) -> Dim {
    if (x[1] && x[2] && *x[1] == *x[2])
      return x[1];
    if (!x[0] || !x[0]->constant())
      return std::nullopt;
    return x[0]->isConstant(0) ? x[2] : x[1];
  });
}

/// Reduces all elements of a vector.
template <DimExpr (*function)(const DimExpr &, const DimExpr &)>
static void reduce(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = contentsOf(node, 0, shapes);
  if (!x || x->empty() || !allKnown(*x) || resultSize(node, shapes) != 1)
    return;
  DimExpr result = *(*x)[0];
  for (const Dim &next : x->drop_front())
    result = function(result, *next);
  shapes.setContents(node.getResult(0), {result});
}

static DimExpr times(const DimExpr &a, const DimExpr &b) { return a * b; }

ShapeRule sparse_opt::lookupContentRule(NodeOp node) {
  static const llvm::StringMap<ShapeRule> rules = {
      {"Shape", shapeOp},
      {"Size", sizeOp},
      {"ConstantOfShape", constantOfShape},
      {"Range", range},
      {"Reshape", keep},
      {"Flatten", keep},
      {"Squeeze", keep},
      {"Unsqueeze", keep},
      {"Identity", keep},
      {"Floor", keep},
      {"Ceil", keep},
      {"Round", keep},
      {"Cast", cast},
      {"CastLike", cast},
      {"Concat", concat},
      {"Split", split},
      {"Slice", slice},
      {"Gather", gather},
      {"Expand", expand},
      {"Tile", tile},
      {"Add", fold<add>},
      {"Sub", fold<sub>},
      {"Mul", mul},
      {"Div", div},
      {"Mod", mod},
      {"Neg", neg},
      {"Abs", absolute},
      {"Min", fold<DimExpr::min>},
      {"Max", fold<DimExpr::max>},
      {"Sum", fold<add>},
      {"Equal", equal},
      {"Greater", compare<false, 1>},
      {"GreaterOrEqual", compare<false, 0>},
      {"Less", compare<true, 1>},
      {"LessOrEqual", compare<true, 0>},
      {"Not", logicalNot},
      {"And", logical<0>},
      {"Or", logical<1>},
      {"Where", where},
      {"ReduceSum", reduce<add>},
      {"ReduceProd", reduce<times>},
      {"ReduceMax", reduce<DimExpr::max>},
      {"ReduceMin", reduce<DimExpr::min>}};
  return node.getDomain().value_or("").empty() ? rules.lookup(node.getOpType())
                                               : nullptr;
}
