// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Constant folders of operators that compute element by element, with
// broadcasting.
#include "ConstantFolding.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::folding;
using onnx::NodeOp;

template <typename T> static const T *elements(const ConstantData &data) {
  return reinterpret_cast<const T *>(data.bytes.data());
}
template <typename T> static T *elements(MutableArrayRef<char> bytes) {
  return reinterpret_cast<T *>(bytes.data());
}

static bool broadcasts(const ConstantData &data, ArrayRef<int64_t> shape) {
  ArrayRef<int64_t> own = data.type.getShape();
  if (own.size() > shape.size())
    return false;
  for (auto [a, b] : llvm::zip(own, shape.take_back(own.size())))
    if (a != b && a != 1)
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// One operand
//===----------------------------------------------------------------------===//

template <typename In, typename Out, typename Function>
static bool mapOne(Fold &fold, Function function) {
  const ConstantData &x = fold.input(0);
  if (x.type.getShape() != fold.shape())
    return false;
  const In *from = elements<In>(x);
  Out *to = elements<Out>(fold.out);
  int64_t size = fold.type.getNumElements(), step = x.splat ? 0 : 1;
  for (int64_t i = 0; i < size; ++i)
    store(to + i, function(load(from + i * step)));
  return true;
}

static bool cast(Fold &fold) {
  return dispatchAny(fold.input(0).type.getElementType(), [&](auto from) {
    return dispatchAny(fold.type.getElementType(), [&](auto to) {
      return mapOne<decltype(from), decltype(to)>(fold,
                                                  [](auto x) { return x; });
    });
  });
}

template <typename Function>
static bool mapFloat(Fold &fold, Function function) {
  if (fold.input(0).type.getElementType() != fold.type.getElementType())
    return false;
  return dispatchFloat(fold.type.getElementType(), [&](auto type) {
    using T = decltype(type);
    return mapOne<T, T>(fold, function);
  });
}

template <typename Function>
static bool mapNumber(Fold &fold, Function function) {
  if (fold.input(0).type.getElementType() != fold.type.getElementType())
    return false;
  return dispatchNumber(fold.type.getElementType(), [&](auto type) {
    using T = decltype(type);
    return mapOne<T, T>(fold, function);
  });
}

static bool logicalNot(Fold &fold) {
  return fold.type.getElementType().isInteger(1) &&
         fold.input(0).type.getElementType().isInteger(1) &&
         mapOne<Bool, Bool>(fold, [](uint8_t x) { return !x; });
}

template <typename Function>
static bool testFloat(Fold &fold, Function function) {
  if (!fold.type.getElementType().isInteger(1))
    return false;
  return dispatchFloat(fold.input(0).type.getElementType(), [&](auto type) {
    return mapOne<decltype(type), Bool>(fold, function);
  });
}

//===----------------------------------------------------------------------===//
// Several operands
//===----------------------------------------------------------------------===//

template <typename In, typename Out, typename Right = In, typename Function>
static bool mapTwo(Fold &fold, const ConstantData &a, const ConstantData &b,
                   Function function) {
  if (!broadcasts(a, fold.shape()) || !broadcasts(b, fold.shape()))
    return false;
  const In *left = elements<In>(a);
  const Right *right = elements<Right>(b);
  Out *to = elements<Out>(fold.out);
  forEachRow(fold.shape(),
             {rowMajorStrides(fold.shape()), broadcastStrides(a, fold.shape()),
              broadcastStrides(b, fold.shape())},
             [&](ArrayRef<int64_t> at, int64_t n, ArrayRef<int64_t> step) {
               for (int64_t i = 0; i < n; ++i)
                 store(to + at[0] + i * step[0],
                       function(load(left + at[1] + i * step[1]),
                                load(right + at[2] + i * step[2])));
             });
  return true;
}

/// Two operands of the result's type; `function` may refuse a type by
/// returning nothing for it.
template <typename Function>
static bool arithmetic(Fold &fold, Function function) {
  Type type = fold.type.getElementType();
  if (fold.inputs.size() != 2 || fold.input(0).type.getElementType() != type ||
      fold.input(1).type.getElementType() != type)
    return false;
  return dispatchNumber(type, [&](auto tag) {
    using T = decltype(tag);
    return mapTwo<T, T>(fold, fold.input(0), fold.input(1), function);
  });
}

template <typename Function>
static bool compare(Fold &fold, Function function) {
  Type type = fold.input(0).type.getElementType();
  if (fold.inputs.size() != 2 || fold.input(1).type.getElementType() != type ||
      !fold.type.getElementType().isInteger(1))
    return false;
  return dispatchAny(type, [&](auto tag) {
    return mapTwo<decltype(tag), Bool>(fold, fold.input(0), fold.input(1),
                                       function);
  });
}

template <typename Function>
static bool logical(Fold &fold, Function function) {
  for (const std::optional<ConstantData> &input : fold.inputs)
    if (!input->type.getElementType().isInteger(1))
      return false;
  return fold.inputs.size() == 2 && fold.type.getElementType().isInteger(1) &&
         mapTwo<Bool, Bool>(fold, fold.input(0), fold.input(1), function);
}

/// Integers wrap as in the reference, without C++'s undefined overflow.
template <typename T, typename Function>
static T wrapping(T a, T b, Function function) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(
        function(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
  else
    return function(a, b);
}

static bool divide(Fold &fold) {
  if (fold.inputs.size() != 2)
    return false;
  // Integer division by zero is left for the run to report.
  if (isa<IntegerType>(fold.type.getElementType()))
    for (int64_t i = 0; i < (fold.input(1).splat ? 1 : fold.input(1).size());
         ++i)
      if (fold.input(1).getInteger(i) == 0 || fold.input(1).getInteger(i) == -1)
        return false;
  return arithmetic(
      fold, [](auto a, auto b) { return static_cast<decltype(a)>(a / b); });
}

static bool power(Fold &fold) {
  // The exponent may be of another type than the base.
  if (fold.inputs.size() != 2 ||
      fold.input(0).type.getElementType() != fold.type.getElementType())
    return false;
  return dispatchFloat(fold.type.getElementType(), [&](auto base) {
    return dispatchNumber(
        fold.input(1).type.getElementType(), [&](auto exponent) {
          using T = decltype(base);
          return mapTwo<T, T, decltype(exponent)>(
              fold, fold.input(0), fold.input(1), [](auto a, auto b) {
                return static_cast<decltype(a)>(
                    std::pow(a, static_cast<decltype(a)>(b)));
              });
        });
  });
}

static bool where(Fold &fold) {
  if (fold.inputs.size() != 3 ||
      !fold.input(0).type.getElementType().isInteger(1) ||
      fold.input(1).type.getElementType() != fold.type.getElementType() ||
      fold.input(2).type.getElementType() != fold.type.getElementType())
    return false;
  const ConstantData &condition = fold.input(0), &a = fold.input(1),
                     &b = fold.input(2);
  for (const auto &input : fold.inputs)
    if (!broadcasts(*input, fold.shape()))
      return false;
  return dispatchAny(fold.type.getElementType(), [&](auto tag) {
    using T = decltype(tag);
    const Bool *choose = elements<Bool>(condition);
    const T *yes = elements<T>(a), *no = elements<T>(b);
    T *to = elements<T>(fold.out);
    ArrayRef<int64_t> shape = fold.shape();
    forEachRow(shape,
               {rowMajorStrides(shape), broadcastStrides(condition, shape),
                broadcastStrides(a, shape), broadcastStrides(b, shape)},
               [&](ArrayRef<int64_t> at, int64_t n, ArrayRef<int64_t> step) {
                 for (int64_t i = 0; i < n; ++i)
                   to[at[0] + i * step[0]] = load(choose + at[1] + i * step[1])
                                                 ? yes[at[2] + i * step[2]]
                                                 : no[at[3] + i * step[3]];
               });
    return true;
  });
}

//===----------------------------------------------------------------------===//
// Quantised weights
//===----------------------------------------------------------------------===//

/// `data` (a scale or zero point) as strides over x: one value, one per
/// position of `axis`, or blocks of `block` positions (0: neither).
static std::optional<Strides>
quantStrides(const ConstantData &data, ArrayRef<int64_t> shape, int64_t axis) {
  Strides strides(shape.size(), 0);
  if (data.size() == 1 || data.splat)
    return strides;
  if (data.type.getRank() != 1 || axis < 0 ||
      axis >= static_cast<int64_t>(shape.size()) || data.size() != shape[axis])
    return std::nullopt;
  strides[axis] = 1;
  return strides;
}

/// (x - zero point) * scale, in the type of the scale.
static bool dequantize(Fold &fold) {
  if (!fold.has(0) || !fold.has(1) ||
      (fold.has(2) && fold.input(2).type.getElementType() !=
                          fold.input(0).type.getElementType()))
    return false;
  const ConstantData &x = fold.input(0), &scale = fold.input(1);
  ArrayRef<int64_t> shape = fold.shape();
  int64_t axis = fold.node.intAttr("axis", 1);
  axis += axis < 0 ? shape.size() : 0;
  std::optional<Strides> scaleAt = quantStrides(scale, shape, axis);
  std::optional<Strides> zeroAt = fold.has(2)
                                      ? quantStrides(fold.input(2), shape, axis)
                                      : std::optional(Strides(shape.size(), 0));
  if (!scaleAt || !zeroAt || fold.node.intAttr("block_size", 0) ||
      x.type.getShape() != shape ||
      scale.type.getElementType() != fold.type.getElementType())
    return false;
  Strides from = broadcastStrides(x, shape);
  return dispatchInteger(x.type.getElementType(), [&](auto inTag) {
    return dispatchFloat(fold.type.getElementType(), [&](auto outTag) {
      using In = decltype(inTag);
      using Out = decltype(outTag);
      static const In noZero[1] = {};
      const In *in = elements<In>(x);
      const In *zero = fold.has(2) ? elements<In>(fold.input(2)) : noZero;
      const Out *factor = elements<Out>(scale);
      Out *to = elements<Out>(fold.out);
      forEachRow(shape, {rowMajorStrides(shape), from, *scaleAt, *zeroAt},
                 [&](ArrayRef<int64_t> at, int64_t n, ArrayRef<int64_t> step) {
                   for (int64_t i = 0; i < n; ++i) {
                     auto s = load(factor + at[2] + i * step[2]);
                     auto centred =
                         static_cast<int64_t>(in[at[1] + i * step[1]]) -
                         static_cast<int64_t>(zero[at[3] + i * step[3]]);
                     store(to + at[0] + i * step[0],
                           static_cast<decltype(s)>(centred) * s);
                   }
                 });
      return true;
    });
  });
}

//===----------------------------------------------------------------------===//
// Table
//===----------------------------------------------------------------------===//

#define SPARSE_OPT_FLOAT(expression)                                           \
  [](Fold &fold) {                                                             \
    return mapFloat(fold, [](auto x) -> decltype(x) { return expression; });   \
  }
#define SPARSE_OPT_ARITHMETIC(expression)                                      \
  [](Fold &fold) {                                                             \
    return arithmetic(fold, [](auto x, auto y) {                               \
      return wrapping(x, y, [](auto a, auto b) { return expression; });        \
    });                                                                        \
  }
#define SPARSE_OPT_COMPARE(expression)                                         \
  [](Fold &fold) {                                                             \
    return compare(fold, [](auto a, auto b) { return expression; });           \
  }
#define SPARSE_OPT_LOGICAL(expression)                                         \
  [](Fold &fold) {                                                             \
    return logical(fold, [](auto a, auto b) { return expression; });           \
  }

Folder folding::lookupElementwiseFolder(NodeOp node) {
  static const llvm::StringMap<Folder> folders = {
      {"Cast", cast},
      {"CastLike", cast},
      {"Neg",
       [](Fold &fold) {
         return mapNumber(fold, [](auto x) {
           return wrapping(x, x, [](auto a, auto) { return 0 - a; });
         });
       }},
      {"Sqrt", SPARSE_OPT_FLOAT(std::sqrt(x))},
      {"Exp", SPARSE_OPT_FLOAT(std::exp(x))},
      {"Log", SPARSE_OPT_FLOAT(std::log(x))},
      {"Erf", SPARSE_OPT_FLOAT(std::erf(x))},
      {"Tanh", SPARSE_OPT_FLOAT(std::tanh(x))},
      {"Sin", SPARSE_OPT_FLOAT(std::sin(x))},
      {"Cos", SPARSE_OPT_FLOAT(std::cos(x))},
      {"Reciprocal", SPARSE_OPT_FLOAT(1 / x)},
      {"Sigmoid", SPARSE_OPT_FLOAT(1 / (1 + std::exp(-x)))},
      {"Floor", SPARSE_OPT_FLOAT(std::floor(x))},
      {"Ceil", SPARSE_OPT_FLOAT(std::ceil(x))},
      {"Round", SPARSE_OPT_FLOAT(std::nearbyint(x))},
      {"Abs", SPARSE_OPT_FLOAT(std::fabs(x))},
      {"Relu", SPARSE_OPT_FLOAT(x < 0 ? 0 : x)},
      {"Not", logicalNot},
      {"IsNaN",
       [](Fold &fold) {
         return testFloat(fold, [](auto x) { return std::isnan(x); });
       }},
      {"Add", SPARSE_OPT_ARITHMETIC(a + b)},
      {"Sub", SPARSE_OPT_ARITHMETIC(a - b)},
      {"Mul", SPARSE_OPT_ARITHMETIC(a * b)},
      {"Div", divide},
      {"Pow", power},
      {"Min",
       [](Fold &fold) {
         return arithmetic(fold, [](auto a, auto b) { return a < b ? a : b; });
       }},
      {"Max",
       [](Fold &fold) {
         return arithmetic(fold, [](auto a, auto b) { return a > b ? a : b; });
       }},
      {"Equal", SPARSE_OPT_COMPARE(a == b)},
      {"Greater", SPARSE_OPT_COMPARE(a > b)},
      {"GreaterOrEqual", SPARSE_OPT_COMPARE(a >= b)},
      {"Less", SPARSE_OPT_COMPARE(a < b)},
      {"LessOrEqual", SPARSE_OPT_COMPARE(a <= b)},
      {"And", SPARSE_OPT_LOGICAL(a && b)},
      {"Or", SPARSE_OPT_LOGICAL(a || b)},
      {"Xor", SPARSE_OPT_LOGICAL(a != b)},
      {"Where", where},
      {"DequantizeLinear", dequantize}};
  return folders.lookup(node.getOpType());
}
#undef SPARSE_OPT_FLOAT
#undef SPARSE_OPT_ARITHMETIC
#undef SPARSE_OPT_COMPARE
#undef SPARSE_OPT_LOGICAL
