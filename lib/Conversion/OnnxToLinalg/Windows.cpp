// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Convolutions and pooling over any number of spatial dimensions: what vision
// and audio transformers have in front. One linalg.generic over a padded
// operand; no layout or tiling is chosen here.
#include "Lowering.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

namespace {
/// A window that slides over the dimensions of an operand from 2 on.
struct Window {
  IntList kernel, strides, dilations;
  Sizes before, after, result; // padding, and the number of positions
};
} // namespace

static IntList intsOr(NodeOp node, StringRef name, size_t count,
                      int64_t byDefault) {
  if (auto given = node.intsAttr(name); given && given->size() == count)
    return IntList(given->begin(), given->end());
  return IntList(count, byDefault);
}

/// (size + padding - extent) / stride + 1, rounded up with `ceil`
static Size positions(Lowering &l, Size padded, int64_t extent, int64_t stride,
                      bool ceil) {
  Size room = l.sub(padded, l.size(extent));
  return l.add(ceil ? l.ceilDiv(room, stride) : l.floorDiv(room, stride),
               l.size(1));
}

/// Padding of SAME_UPPER and SAME_LOWER: as many positions as strides fit.
static void padSame(Lowering &l, Window &window, Size size, size_t i,
                    bool upper, int64_t extent) {
  int64_t stride = window.strides[i];
  Size count = l.ceilDiv(size, stride);
  Size covered =
      l.add(l.mul(l.sub(count, l.size(1)), l.size(stride)), l.size(extent));
  Size missing = l.max(l.sub(covered, size), l.size(0));
  Size half = l.floorDiv(missing, 2), rest = l.sub(missing, half);
  window.before.push_back(upper ? half : rest);
  window.after.push_back(upper ? rest : half);
  window.result.push_back(count);
}

static FailureOr<Window> readWindow(NodeOp node, Lowering &l, const Tensor &x,
                                    IntList kernel) {
  size_t count = kernel.size();
  Window window;
  window.kernel = kernel;
  window.strides = intsOr(node, "strides", count, 1);
  window.dilations = intsOr(node, "dilations", count, 1);
  IntList pads = intsOr(node, "pads", 2 * count, 0);
  StringRef automatic = node.stringAttr("auto_pad", "NOTSET");
  bool ceil = node.intAttr("ceil_mode", 0);
  for (size_t i = 0; i < count; ++i) {
    int64_t extent = (kernel[i] - 1) * window.dilations[i] + 1;
    if (window.strides[i] < 1 || extent < 1)
      return l.fail("has a stride or kernel below 1");
    Size size = x.shape[i + 2];
    if (automatic.starts_with("SAME")) {
      padSame(l, window, size, i, automatic == "SAME_UPPER", extent);
      continue;
    }
    bool valid = automatic == "VALID";
    int64_t before = valid ? 0 : pads[i], after = valid ? 0 : pads[count + i];
    Size padded = l.add(size, l.size(before + after));
    Size steps = positions(l, padded, extent, window.strides[i], ceil);
    if (ceil) { // a window must start inside the operand or its left padding
      Size starts = l.ceilDiv(l.add(size, l.size(before)), window.strides[i]);
      steps = l.min(steps, starts);
    }
    window.before.push_back(l.size(before));
    // With ceil_mode the last window may hang over: pad what it reads.
    Size covered =
        l.add(l.mul(l.sub(steps, l.size(1)), l.size(window.strides[i])),
              l.size(extent));
    Size needed = l.sub(covered, l.add(size, l.size(before)));
    window.after.push_back(l.atLeast(l.size(after), needed)
                               ? l.size(after)
                               : l.max(needed, l.size(after)));
    window.result.push_back(steps);
  }
  return window;
}

/// `x` with the window's padding around its spatial dimensions.
static Tensor pad(Lowering &l, Tensor x, const Window &window, Value value,
                  size_t firstSpatial) {
  Sizes shape = x.shape, offsets(x.rank(), l.size(0));
  bool any = false;
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    size_t d = firstSpatial + i;
    shape[d] = l.add(l.add(shape[d], window.before[i]), window.after[i]);
    offsets[d] = window.before[i];
    any |= shape[d] != x.shape[d];
  }
  if (!any)
    return x;
  Tensor filled = l.fill(shape, x.elementType, value);
  filled.value =
      tensor::InsertSliceOp::create(l.b, l.loc, x.value, filled.value, offsets,
                                    x.shape, Sizes(x.rank(), l.size(1)));
  return filled;
}

/// position * stride + offset * dilation
static AffineExpr slide(Lowering &l, const Window &window, size_t i,
                        unsigned position, unsigned offset) {
  return l.b.getAffineDimExpr(position) * window.strides[i] +
         l.b.getAffineDimExpr(offset) * window.dilations[i];
}

//===----------------------------------------------------------------------===//
// Conv
//===----------------------------------------------------------------------===//

/// Loops (n, group, channel out, positions..., channel in, kernel...).
static Tensor convolve(Lowering &l, Tensor x, Tensor w, const Window &window) {
  unsigned spatial = window.kernel.size(), loops = 4 + 2 * spatial;
  unsigned in = 3 + spatial;
  SmallVector<AffineExpr> readX, readW;
  for (unsigned loop : {0u, 1u, in})
    readX.push_back(l.b.getAffineDimExpr(loop));
  for (unsigned loop : {1u, 2u, in})
    readW.push_back(l.b.getAffineDimExpr(loop));
  for (unsigned i = 0; i < spatial; ++i) {
    readX.push_back(slide(l, window, i, 3 + i, in + 1 + i));
    readW.push_back(l.b.getAffineDimExpr(in + 1 + i));
  }
  Sizes bounds = {x.shape[0], x.shape[1], w.shape[1]};
  llvm::append_range(bounds, window.result);
  bounds.push_back(x.shape[2]);
  bounds.append(w.shape.begin() + 3, w.shape.end());
  Type type = computeType(x.elementType);
  return l.generic(bounds,
                   {{x, AffineMap::get(loops, 0, readX, l.b.getContext())},
                    {w, AffineMap::get(loops, 0, readW, l.b.getContext())}},
                   l.b.getMultiDimIdentityMap(loops).getMajorSubMap(in), type,
                   l.scalarConstant(type, 0), [](Scalars &s, ValueRange v) {
                     return s.add(v[2], s.mul(v[0], v[1]));
                   });
}

static LogicalResult lowerConv(NodeOp node, Lowering &l) {
  Tensor x = l.in(0), w = l.in(1);
  int64_t groups = node.intAttr("group", 1), rank = x.rank();
  IntList kernel;
  for (Size size : ArrayRef<Size>(w.shape).drop_front(2))
    if (std::optional<int64_t> known = getConstantIntValue(size))
      kernel.push_back(*known);
  if (rank < 3 || w.rank() != rank || groups < 1 ||
      static_cast<int64_t>(kernel.size()) != rank - 2)
    return l.fail("needs a kernel of constant size and the rank of its data");
  FailureOr<Window> window = readWindow(node, l, x, kernel);
  if (failed(window))
    return failure();
  // Channels apart by group: [n, group, channel, ...] and [group, out, in, ...]
  Sizes splitX = x.shape, splitW = w.shape;
  splitX[1] = l.floorDiv(x.shape[1], groups);
  splitX.insert(splitX.begin() + 1, l.size(groups));
  splitW[0] = l.floorDiv(w.shape[0], groups);
  splitW.insert(splitW.begin(), l.size(groups));
  Tensor padded = pad(l, l.reshape(x, splitX), *window,
                      l.scalarConstant(x.elementType, 0), 3);
  Tensor result = convolve(l, padded, l.reshape(w, splitW), *window);
  Sizes shape = {x.shape[0], w.shape[0]};
  llvm::append_range(shape, window->result);
  result = l.reshape(result, shape);
  if (l.has(2)) {
    Sizes perChannel(rank - 1, l.size(1));
    perChannel[0] = w.shape[0];
    result = addBias(l, result, l.reshape(l.in(2), perChannel));
  }
  l.out(0, l.cast(result, l.type()));
  return success();
}

//===----------------------------------------------------------------------===//
// Pooling
//===----------------------------------------------------------------------===//

/// Reduces each window of a padded operand from `init`.
static Tensor pool(Lowering &l, Tensor x, const Window &window, Value init,
                   ScalarBody combine) {
  unsigned spatial = window.kernel.size(), loops = 2 + 2 * spatial;
  SmallVector<AffineExpr> read = {l.b.getAffineDimExpr(0),
                                  l.b.getAffineDimExpr(1)};
  Sizes bounds = {x.shape[0], x.shape[1]}, kernel;
  llvm::append_range(bounds, window.result);
  IntList inKernel;
  for (unsigned i = 0; i < spatial; ++i) {
    read.push_back(slide(l, window, i, 2 + i, 2 + spatial + i));
    inKernel.push_back(2 + spatial + i);
    kernel.push_back(l.size(window.kernel[i]));
  }
  llvm::append_range(bounds, kernel);
  // An operand that nothing reads gives the kernel's loops their bounds.
  Type type = computeType(x.elementType);
  Tensor shape{l.empty(kernel, type), kernel, type};
  return l.generic(
      bounds,
      {{x, AffineMap::get(loops, 0, read, l.b.getContext())},
       {shape, l.dims(loops, inKernel)}},
      l.b.getMultiDimIdentityMap(loops).getMajorSubMap(2 + spatial), type, init,
      [&](Scalars &s, ValueRange v) { return combine(s, {v[0], v[2]}); });
}

static FailureOr<Window> poolWindow(NodeOp node, Lowering &l, const Tensor &x) {
  auto kernel = node.intsAttr("kernel_shape");
  if (!kernel || static_cast<int64_t>(kernel->size()) != x.rank() - 2)
    return l.fail("needs a kernel of the rank of its data");
  return readWindow(node, l, x, IntList(kernel->begin(), kernel->end()));
}

static LogicalResult lowerMaxPool(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  if (l.wanted(1))
    return l.fail("with indices has no lowering to CPU code");
  FailureOr<Window> window = poolWindow(node, l, x);
  if (failed(window))
    return failure();
  Scalars s(l.b, l.loc, x.elementType.isUnsignedInteger());
  Tensor padded = pad(l, x, *window, s.lowest(signless(x.elementType)), 2);
  Value init = s.lowest(computeType(signless(x.elementType)));
  Tensor result = pool(l, padded, *window, init, [](Scalars &s, ValueRange v) {
    return s.max(v[1], v[0]);
  });
  l.out(0, l.cast(result, l.type()));
  return success();
}

/// How many elements each window holds: all, or those that aren't padding.
static Tensor windowCounts(Lowering &l, NodeOp node, const Tensor &x,
                           Window window, Type type) {
  Sizes one = {l.size(1), l.size(1)};
  one.append(x.shape.begin() + 2, x.shape.end());
  Tensor ones = l.fill(one, type, l.scalarConstant(type, 1));
  // Padding that counts holds ones; what hangs over never counts.
  if (node.intAttr("count_include_pad", 0)) {
    IntList pads = intsOr(node, "pads", 2 * window.kernel.size(), 0);
    bool automatic = node.stringAttr("auto_pad", "NOTSET") != "NOTSET";
    Sizes shape = one;
    for (size_t i = 0; i < window.kernel.size(); ++i) {
      Size after =
          automatic ? window.after[i] : l.size(pads[window.kernel.size() + i]);
      shape[2 + i] = l.add(l.add(shape[2 + i], window.before[i]), after);
      window.after[i] = l.sub(window.after[i], after);
      window.before[i] = l.size(0);
    }
    ones = l.fill(shape, type, l.scalarConstant(type, 1));
  }
  Tensor padded = pad(l, ones, window, l.scalarConstant(type, 0), 2);
  return pool(l, padded, window, l.scalarConstant(type, 0),
              [](Scalars &s, ValueRange v) { return s.add(v[1], v[0]); });
}

static LogicalResult lowerAveragePool(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  FailureOr<Window> window = poolWindow(node, l, x);
  if (failed(window))
    return failure();
  Type type = computeType(x.elementType);
  Tensor padded = pad(l, x, *window, l.scalarConstant(x.elementType, 0), 2);
  Tensor sums =
      pool(l, padded, *window, l.scalarConstant(type, 0),
           [](Scalars &s, ValueRange v) { return s.add(v[1], v[0]); });
  Tensor counts = windowCounts(l, node, x, *window, type);
  l.out(0, l.map({sums, counts}, l.type(),
                 [](Scalars &s, ValueRange v) { return s.div(v[0], v[1]); }));
  return success();
}

/// Everything from dimension 2 on becomes one element.
static LogicalResult lowerGlobalPool(NodeOp, Lowering &l, bool largest) {
  Tensor x = l.in(0);
  Type type = computeType(x.elementType);
  IntList axes = llvm::to_vector<6>(llvm::seq<int64_t>(2, x.rank()));
  Value init =
      largest ? Scalars(l.b, l.loc).lowest(type) : l.scalarConstant(type, 0);
  Tensor result = l.reduce(x, axes, type, init, [&](Scalars &s, ValueRange v) {
    return largest ? s.max(v[1], v[0]) : s.add(v[1], v[0]);
  });
  if (!largest) {
    Size count = l.product(ArrayRef<Size>(x.shape).drop_front(2));
    result = l.map(result, type, [&](Scalars &s, ValueRange v) {
      Value size = getValueOrCreateConstantIndexOp(s.b, s.loc, count);
      return s.div(v[0], s.fromIndex(size, type));
    });
  }
  l.out(0, l.cast(l.keepDims(result, axes), l.type()));
  return success();
}

static LogicalResult lowerGlobalAveragePool(NodeOp node, Lowering &l) {
  return lowerGlobalPool(node, l, /*largest=*/false);
}
static LogicalResult lowerGlobalMaxPool(NodeOp node, Lowering &l) {
  return lowerGlobalPool(node, l, /*largest=*/true);
}

ArrayRef<Entry> lowering::windowLowerings() {
  static const Entry entries[] = {
      {onnxDomain, "Conv", 1, latest, lowerConv},
      {onnxDomain, "MaxPool", 1, latest, lowerMaxPool},
      {onnxDomain, "AveragePool", 7, latest, lowerAveragePool},
      {onnxDomain, "GlobalAveragePool", 1, latest, lowerGlobalAveragePool},
      {onnxDomain, "GlobalMaxPool", 1, latest, lowerGlobalMaxPool},
  };
  return entries;
}
