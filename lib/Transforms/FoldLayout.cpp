// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Constant folders of operators that move elements: all are copies with
// strides, by element size.
#include "ConstantFolding.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::folding;
using onnx::NodeOp;

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

template <typename T>
static void copyRows(ArrayRef<int64_t> shape, const char *from,
                     const Strides &fromStrides, char *to,
                     const Strides &toStrides) {
  const T *in = reinterpret_cast<const T *>(from);
  T *out = reinterpret_cast<T *>(to);
  forEachRow(shape, {toStrides, fromStrides},
             [&](ArrayRef<int64_t> at, int64_t n, ArrayRef<int64_t> step) {
               if (step[0] == 1 && step[1] == 1)
                 std::memcpy(out + at[0], in + at[1], n * sizeof(T));
               else
                 for (int64_t i = 0; i < n; ++i)
                   out[at[0] + i * step[0]] = in[at[1] + i * step[1]];
             });
}

/// Copies a box of `shape` elements between strided tensors.
static bool copyBox(ArrayRef<int64_t> shape, unsigned width, const char *from,
                    const Strides &fromStrides, char *to,
                    const Strides &toStrides) {
  switch (width) {
  case 1:
    copyRows<uint8_t>(shape, from, fromStrides, to, toStrides);
    return true;
  case 2:
    copyRows<uint16_t>(shape, from, fromStrides, to, toStrides);
    return true;
  case 4:
    copyRows<uint32_t>(shape, from, fromStrides, to, toStrides);
    return true;
  case 8:
    copyRows<uint64_t>(shape, from, fromStrides, to, toStrides);
    return true;
  default:
    return false;
  }
}

static unsigned width(const Fold &fold) {
  return getElementBytes(fold.type.getElementType());
}

static Strides ownStrides(const ConstantData &data) {
  if (data.splat)
    return Strides(data.type.getRank(), 0);
  return rowMajorStrides(data.type.getShape());
}

/// Fills the result from operand 0 by `strides`, from element `offset` on.
static bool gatherStrided(Fold &fold, const Strides &strides, int64_t offset) {
  const ConstantData &x = fold.input(0);
  if (x.type.getElementType() != fold.type.getElementType())
    return false;
  if (x.splat)
    offset = 0;
  return copyBox(fold.shape(), width(fold),
                 x.bytes.data() + offset * width(fold), strides,
                 fold.out.data(), rowMajorStrides(fold.shape()));
}

static std::optional<int64_t> frontAxis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    return std::nullopt;
  return axis < 0 ? axis + rank : axis;
}

//===----------------------------------------------------------------------===//
// Folders
//===----------------------------------------------------------------------===//

static bool keep(Fold &fold) {
  const ConstantData &x = fold.input(0);
  if (x.size() != fold.type.getNumElements())
    return false;
  Strides strides =
      x.splat ? Strides(fold.type.getRank(), 0) : rowMajorStrides(fold.shape());
  return gatherStrided(fold, strides, 0);
}

static bool transpose(Fold &fold) {
  const ConstantData &x = fold.input(0);
  size_t rank = x.type.getRank();
  SmallVector<int64_t> perm =
      llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(rank)));
  if (auto given = fold.node.intsAttr("perm"))
    perm = llvm::to_vector(*given);
  Strides own = ownStrides(x), strides;
  for (auto [i, axis] : llvm::enumerate(perm)) {
    if (axis < 0 || axis >= static_cast<int64_t>(rank) ||
        fold.type.getRank() != static_cast<int64_t>(rank) ||
        x.type.getDimSize(axis) != fold.shape()[i])
      return false;
    strides.push_back(own[axis]);
  }
  return strides.size() == rank && gatherStrided(fold, strides, 0);
}

static bool expand(Fold &fold) {
  ArrayRef<int64_t> own = fold.input(0).type.getShape();
  if (own.size() > fold.shape().size())
    return false;
  for (auto [from, to] : llvm::zip(own, fold.shape().take_back(own.size())))
    if (from != to && from != 1)
      return false;
  return gatherStrided(fold, broadcastStrides(fold.input(0), fold.shape()), 0);
}

static bool concat(Fold &fold) {
  std::optional<int64_t> axis =
      frontAxis(fold.node.intAttr("axis", 0), fold.type.getRank());
  if (!axis)
    return false;
  Strides strides = rowMajorStrides(fold.shape());
  int64_t at = 0;
  for (const std::optional<ConstantData> &x : fold.inputs) {
    if (!x || x->type.getRank() != fold.type.getRank() ||
        x->type.getElementType() != fold.type.getElementType() ||
        at + x->type.getDimSize(*axis) > fold.shape()[*axis])
      return false;
    for (auto [i, size] : llvm::enumerate(x->type.getShape()))
      if (static_cast<int64_t>(i) != *axis && size != fold.shape()[i])
        return false;
    if (!copyBox(x->type.getShape(), width(fold), x->bytes.data(),
                 ownStrides(*x),
                 fold.out.data() + at * strides[*axis] * width(fold), strides))
      return false;
    at += x->type.getDimSize(*axis);
  }
  return at == fold.shape()[*axis];
}

static bool split(Fold &fold) {
  const ConstantData &x = fold.input(0);
  std::optional<int64_t> axis =
      frontAxis(fold.node.intAttr("axis", 0), x.type.getRank());
  if (!axis || fold.type.getRank() != x.type.getRank())
    return false;
  int64_t at = 0;
  for (unsigned i = 0; i < fold.index; ++i) {
    auto type = dyn_cast<RankedTensorType>(fold.node->getResultTypes()[i]);
    if (!type || !type.hasStaticShape())
      return false;
    at += type.getDimSize(*axis);
  }
  if (at + fold.shape()[*axis] > x.type.getDimSize(*axis))
    return false;
  Strides strides = ownStrides(x);
  return gatherStrided(fold, strides, at * strides[*axis]);
}

static bool slice(Fold &fold) {
  const ConstantData &x = fold.input(0);
  if (!fold.has(1) || !fold.has(2) || fold.type.getRank() != x.type.getRank())
    return false;
  for (unsigned i = 2; i < 5; ++i)
    if (fold.has(i) && fold.input(i).size() != fold.input(1).size())
      return false;
  Strides strides = ownStrides(x);
  int64_t offset = 0;
  for (int64_t i = 0; i < fold.input(1).size(); ++i) {
    std::optional<int64_t> axis = frontAxis(
        fold.has(3) ? fold.input(3).getInteger(i) : i, x.type.getRank());
    int64_t step = fold.has(4) ? fold.input(4).getInteger(i) : 1;
    if (!axis || !step || std::abs(step) > INT32_MAX)
      return false;
    int64_t size = x.type.getDimSize(*axis);
    int64_t start = fold.input(1).getInteger(i);
    start = std::clamp<int64_t>(start < 0 ? start + size : start, 0,
                                step > 0 ? size : size - 1);
    int64_t count = fold.shape()[*axis];
    if (count &&
        (start + (count - 1) * step < 0 || start + (count - 1) * step >= size))
      return false;
    offset += start * strides[*axis];
    strides[*axis] *= step;
  }
  return fold.type.getNumElements() == 0 ||
         gatherStrided(fold, strides, offset);
}

static bool gather(Fold &fold) {
  if (!fold.has(1))
    return false;
  const ConstantData &x = fold.input(0), &index = fold.input(1);
  std::optional<int64_t> axis =
      frontAxis(fold.node.intAttr("axis", 0), x.type.getRank());
  if (!axis || x.splat || x.type.getElementType() != fold.type.getElementType())
    return false;
  ArrayRef<int64_t> shape = x.type.getShape();
  int64_t size = shape[*axis], outer = 1, inner = width(fold);
  for (int64_t before : shape.take_front(*axis))
    outer *= before;
  for (int64_t behind : shape.drop_front(*axis + 1))
    inner *= behind;
  if (outer * index.size() * inner != static_cast<int64_t>(fold.out.size()))
    return false;
  char *to = fold.out.data();
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < index.size(); ++i, to += inner) {
      int64_t at = index.getInteger(i);
      at += at < 0 ? size : 0;
      if (at < 0 || at >= size)
        return false;
      std::memcpy(to, x.bytes.data() + (o * size + at) * inner, inner);
    }
  return true;
}

static bool tile(Fold &fold) {
  const ConstantData &x = fold.input(0);
  if (fold.type.getRank() != x.type.getRank() ||
      fold.type.getElementType() != x.type.getElementType())
    return false;
  // Each dimension as (repetition, position): repetitions don't move.
  SmallVector<int64_t> shape;
  Strides from, own = ownStrides(x);
  for (auto [i, size] : llvm::enumerate(x.type.getShape())) {
    if (size == 0 || fold.shape()[i] % size)
      return false;
    shape.append({fold.shape()[i] / size, size});
    from.append({0, own[i]});
  }
  return copyBox(shape, width(fold), x.bytes.data(), from, fold.out.data(),
                 rowMajorStrides(shape));
}

static bool constantOfShape(Fold &fold) {
  if (auto value = dyn_cast_or_null<ElementsAttr>(fold.node.attr("value"))) {
    std::optional<ConstantData> data = getConstantData(value);
    if (!data || data->size() != 1 || data->bytes.size() < width(fold))
      return false;
    return copyBox(fold.shape(), width(fold), data->bytes.data(),
                   Strides(fold.type.getRank(), 0), fold.out.data(),
                   rowMajorStrides(fold.shape()));
  }
  std::memset(fold.out.data(), 0, fold.out.size());
  return true;
}

static bool range(Fold &fold) {
  for (unsigned i = 0; i < 3; ++i)
    if (!fold.has(i) || fold.input(i).size() != 1 ||
        fold.input(i).type.getElementType() != fold.type.getElementType())
      return false;
  return dispatchNumber(fold.type.getElementType(), [&](auto tag) {
    using T = decltype(tag);
    // Integers wrap instead of overflowing.
    using Sum = std::conditional_t<std::is_integral_v<T>, uint64_t,
                                   typename Compute<T>::Type>;
    auto value = [&](unsigned i) {
      return static_cast<Sum>(
          load(reinterpret_cast<const T *>(fold.input(i).bytes.data())));
    };
    Sum first = value(0), step = value(2);
    T *to = reinterpret_cast<T *>(fold.out.data());
    for (int64_t i = 0, end = fold.type.getNumElements(); i < end; ++i)
      store(to + i, first + static_cast<Sum>(i) * step);
    return true;
  });
}

static bool trilu(Fold &fold) {
  const ConstantData &x = fold.input(0);
  int64_t rank = fold.type.getRank();
  if (rank < 2 || x.type != fold.type ||
      (fold.has(1) && fold.input(1).size() != 1) || !keep(fold))
    return false;
  int64_t k = fold.has(1) ? fold.input(1).getInteger(0) : 0;
  bool upper = fold.node.intAttr("upper", 1);
  int64_t rows = fold.shape()[rank - 2], columns = fold.shape()[rank - 1];
  for (int64_t i = 0, end = x.size(); i < end; ++i) {
    int64_t row = i / columns % rows, column = i % columns;
    if (upper ? column - row < k : column - row > k)
      std::memset(fold.out.data() + i * width(fold), 0, width(fold));
  }
  return true;
}

Folder folding::lookupLayoutFolder(NodeOp node) {
  static const llvm::StringMap<Folder> folders = {
      {"Reshape", keep},
      {"Flatten", keep},
      {"Squeeze", keep},
      {"Unsqueeze", keep},
      {"Identity", keep},
      {"Transpose", transpose},
      {"Expand", expand},
      {"Concat", concat},
      {"Split", split},
      {"Slice", slice},
      {"Gather", gather},
      {"Tile", tile},
      {"Range", range},
      {"Trilu", trilu},
      {"ConstantOfShape", constantOfShape}};
  return folders.lookup(node.getOpType());
}
