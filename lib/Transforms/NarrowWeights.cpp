// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Rounds constants to bf16 or quantises them to int8: symmetric, to nearest,
// with one f32 scale for each neuron of a weight and each row of a table. A
// scale is a factor of a whole sum, so products take it in their epilogue and
// kernels know nothing of it. Which ops to narrow is NarrowTypes.cpp's.
#include "NarrowWeights.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/TypeUtilities.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include "sparse-opt/Support/Bf16.h"
#include <cmath>

using namespace mlir;
using namespace sparse_opt;
using kernel::panelColumns;

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

namespace {
/// Elements of an f32 constant.
class Floats {
public:
  explicit Floats(ElementsAttr attribute) : data(*getConstantData(attribute)) {}
  float operator[](int64_t i) const {
    float value;
    std::memcpy(&value,
                data.bytes.data() + (data.splat ? 0 : i * sizeof(value)),
                sizeof(value));
    return value;
  }

private:
  ConstantData data;
};

/// Where elements lie: the first, and each `stride` behind the one before.
struct Place {
  int64_t first, stride;
  int64_t operator[](int64_t i) const { return first + i * stride; }
};

/// What one scale belongs to: `count` elements, as they are and as int8.
struct Neuron {
  int64_t count;
  Place from, to;
};
} // namespace

/// The largest magnitude becomes 127; nothing where that isn't finite.
static std::optional<float> scaleOf(const Floats &values,
                                    const Neuron &neuron) {
  float largest = 0;
  for (int64_t i = 0; i < neuron.count; ++i) {
    float value = std::fabs(values[neuron.from[i]]);
    if (!std::isfinite(value))
      return std::nullopt;
    largest = std::max(largest, value);
  }
  return largest / 127;
}

static void quantize(const Floats &values, const Neuron &neuron, float scale,
                     int8_t *out) {
  for (int64_t i = 0; i < neuron.count; ++i) {
    float value = values[neuron.from[i]];
    // Scales that are denormal can round to less than the largest needs.
    float level = scale == 0 ? 0 : std::nearbyint(value / scale);
    out[neuron.to[i]] = static_cast<int8_t>(std::clamp(level, -127.0f, 127.0f));
  }
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

/// An attribute of `type`, whose bytes `fill` writes.
static TypedAttr makeNarrow(ElementsAttr original, StringRef suffix,
                            RankedTensorType type,
                            llvm::function_ref<void(char *)> fill) {
  int64_t count = type.getNumElements();
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(
      count * getElementBytes(type.getElementType()), /*align=*/64);
  fill(blob.getMutableData().data());
  if (count <= 256) // small ones print where they are used
    return cast<TypedAttr>(static_cast<Attribute>(
        DenseElementsAttr::getFromRawBuffer(type, blob.getData())));
  auto resource = dyn_cast<DenseResourceElementsAttr>(original);
  StringRef name = resource ? resource.getRawHandle().getKey() : "weight";
  return DenseResourceElementsAttr::get(type, (name + suffix).str(),
                                        std::move(blob));
}

/// The neurons of `original` as an attribute of `type`, and a scale for each.
static std::optional<std::pair<TypedAttr, TypedAttr>>
quantizeAll(ElementsAttr original, RankedTensorType type,
            ArrayRef<Neuron> neurons) {
  Builder builder(type.getContext());
  Floats values(original);
  std::vector<float> scales;
  for (const Neuron &neuron : neurons) {
    std::optional<float> scale = scaleOf(values, neuron);
    if (!scale)
      return std::nullopt;
    scales.push_back(*scale);
  }
  auto fillScales = [&](char *out) {
    std::memcpy(out, scales.data(), scales.size() * sizeof(float));
  };
  auto fill = [&](char *out) {
    // Columns that belong to no neuron.
    std::memset(out, 0, type.getNumElements());
    for (auto [neuron, scale] : llvm::zip_equal(neurons, scales))
      quantize(values, neuron, scale, reinterpret_cast<int8_t *>(out));
  };
  auto count =
      RankedTensorType::get({int64_t(scales.size())}, builder.getF32Type());
  return std::pair(makeNarrow(original, "_int8", type, fill),
                   makeNarrow(original, "_scales", count, fillScales));
}

/// panels x K x P in pairs along K, the second of an odd K's last zero.
static TypedAttr pairUp(ElementsAttr weight) {
  auto type = cast<RankedTensorType>(weight.getType());
  int64_t panels = type.getDimSize(0), k = type.getDimSize(1);
  RankedTensorType narrow = kernel::packedWeightType(
      k, panels * panelColumns, BFloat16Type::get(type.getContext()));
  Floats values(weight);
  return makeNarrow(weight, "_bf16", narrow, [&](char *bytes) {
    auto *out = reinterpret_cast<uint16_t *>(bytes);
    for (int64_t panel = 0; panel < panels; ++panel)
      for (int64_t pair = 0; pair < narrow.getDimSize(1); ++pair)
        for (int64_t column = 0; column < panelColumns; ++column)
          for (int64_t i = 2 * pair; i < 2 * pair + 2; ++i)
            *out++ =
                i < k ? toBf16(values[(panel * k + i) * panelColumns + column])
                      : 0;
  });
}

static TypedAttr roundTable(ElementsAttr table) {
  auto type = cast<RankedTensorType>(table.getType());
  Floats values(table);
  return makeNarrow(table, "_bf16",
                    type.clone(BFloat16Type::get(type.getContext())),
                    [&](char *bytes) {
                      auto *out = reinterpret_cast<uint16_t *>(bytes);
                      for (int64_t i = 0; i < type.getNumElements(); ++i)
                        *out++ = toBf16(values[i]);
                    });
}

//===----------------------------------------------------------------------===//
// The narrower
//===----------------------------------------------------------------------===//

const WeightNarrower::Narrow *
WeightNarrower::narrowWeight(ElementsAttr weight, int64_t n, Type type) {
  auto [place, isNew] =
      known.insert({{weight, type}, {{}, {}, /*isPacked=*/true}});
  Narrow &narrow = place->second;
  if (isNew && type.isBF16())
    narrow.values = pairUp(weight);
  else if (isNew) {
    SmallVector<Neuron> neurons;
    int64_t k = cast<ShapedType>(weight.getType()).getDimSize(1);
    auto placeOf = [&](int64_t neuron, int64_t width) -> Place {
      return {neuron / width * k * width + neuron % width, width};
    };
    for (int64_t i = 0; i < n; ++i)
      neurons.push_back(
          {k, placeOf(i, panelColumns), placeOf(i, kernel::int8PanelColumns)});
    if (auto made =
            quantizeAll(weight, kernel::packedWeightType(k, n, type), neurons))
      std::tie(narrow.values, narrow.scales) = *made;
  }
  return narrow.values ? &narrow : nullptr;
}

const WeightNarrower::Narrow *WeightNarrower::narrowTable(ElementsAttr table,
                                                          Type type) {
  auto shaped = cast<ShapedType>(table.getType());
  if (!type.isBF16() && shaped.getRank() < 2)
    return nullptr;
  auto [place, isNew] =
      known.insert({{table, type}, {{}, {}, /*isPacked=*/false}});
  Narrow &narrow = place->second;
  if (isNew && type.isBF16())
    narrow.values = roundTable(table);
  else if (isNew) {
    SmallVector<Neuron> rows;
    int64_t length = shaped.getNumElements() / shaped.getDimSize(0);
    for (int64_t i = 0; i < shaped.getDimSize(0); ++i)
      rows.push_back({length, {i * length, 1}, {i * length, 1}});
    if (auto made = quantizeAll(
            table, cast<RankedTensorType>(shaped.clone(type)), rows))
      std::tie(narrow.values, narrow.scales) = *made;
  }
  return narrow.values ? &narrow : nullptr;
}

const WeightNarrower::Narrow *WeightNarrower::narrowColumns(ElementsAttr table,
                                                            Type type) {
  if (type.isBF16())
    return narrowTable(table, type);
  auto [place, isNew] =
      known.insert({{table, type}, {{}, {}, /*isPacked=*/false}});
  Narrow &narrow = place->second;
  if (isNew) {
    auto shape = cast<ShapedType>(table.getType()).getShape();
    SmallVector<Neuron> columns;
    for (int64_t i = 0; i < shape[1]; ++i)
      columns.push_back({shape[0], {i, shape[1]}, {i, shape[1]}});
    if (auto made = quantizeAll(
            table, cast<RankedTensorType>(table.getType()).clone(type),
            columns))
      std::tie(narrow.values, narrow.scales) = *made;
  }
  return narrow.values ? &narrow : nullptr;
}

/// epilogue(acc, extras...) -> epilogue(acc * scale, extras..., scale)
static void scaleSums(MutableOperandRange extras, Region &epilogue,
                      Value scales) {
  extras.append(scales);
  Block &body = epilogue.front();
  OpBuilder builder = OpBuilder::atBlockBegin(&body);
  Value scale = body.addArgument(builder.getF32Type(), scales.getLoc());
  Value sum = body.getArgument(0);
  auto scaled = arith::MulFOp::create(builder, scales.getLoc(), sum, scale);
  sum.replaceAllUsesExcept(scaled, scaled);
}

/// Gives an op the narrow form of the weight that `operand` is.
LogicalResult
WeightNarrower::narrow(OpOperand &operand, MutableOperandRange extras,
                       Region &epilogue,
                       llvm::function_ref<const Narrow *(ElementsAttr)> make) {
  auto constant = operand.get().getDefiningOp<arith::ConstantOp>();
  auto weight =
      constant ? dyn_cast<ElementsAttr>(constant.getValue()) : ElementsAttr();
  if (!weight || !weight.getElementType().isF32() || !getConstantData(weight))
    return failure();
  const Narrow *narrow = make(weight);
  if (!narrow)
    return failure();
  OpBuilder builder(operand.getOwner());
  Location loc = operand.getOwner()->getLoc();
  operand.set(arith::ConstantOp::create(builder, loc, narrow->values));
  if (narrow->scales)
    scaleSums(extras, epilogue,
              arith::ConstantOp::create(builder, loc, narrow->scales));
  if (constant->use_empty())
    uses.erase(constant);
  return success();
}

LogicalResult WeightNarrower::narrowProduct(kernel::ProductOp op, Type type) {
  int64_t n = cast<ShapedType>(op.getOut().getType()).getDimSize(1);
  return narrow(
      op.getWeightMutable(), op.getExtrasMutable(), op.getEpilogue(),
      [&](ElementsAttr weight) { return narrowWeight(weight, n, type); });
}

LogicalResult WeightNarrower::narrowSelected(Operation *op, Type type) {
  if (auto product = dyn_cast<kernel::SelectedProductOp>(op))
    return narrow(product.getWeightMutable(), product.getExtrasMutable(),
                  product.getEpilogue(), [&](ElementsAttr weight) {
                    return narrowTable(weight, type);
                  });
  auto sum = cast<kernel::SelectedSumOp>(op);
  return narrow(
      sum.getWeightMutable(), sum.getExtrasMutable(), sum.getEpilogue(),
      [&](ElementsAttr weight) { return narrowColumns(weight, type); });
}

/// The narrow element where `lookup` reads the f32 one, widened.
static Value lookUp(tensor::ExtractOp lookup, Value values, Value scales,
                    bool isPacked) {
  OpBuilder builder(lookup);
  Location loc = lookup.getLoc();
  SmallVector<Value> at(lookup.getIndices());
  Type type = getElementTypeOrSelf(values.getType());
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  Value row = at[0];
  if (isPacked && scales) {
    row = arith::AddIOp::create(
        builder, loc,
        arith::MulIOp::create(builder, loc, at[0], constant(panelColumns)),
        at[2]);
    Value width = constant(kernel::int8PanelColumns);
    at[0] = arith::DivUIOp::create(builder, loc, row, width);
    at[2] = arith::RemUIOp::create(builder, loc, row, width);
  }
  if (isPacked && type.isBF16()) {
    Value k = at[1], two = constant(2);
    at[1] = arith::DivUIOp::create(builder, loc, k, two);
    at.push_back(arith::RemUIOp::create(builder, loc, k, two));
  }
  Value element = tensor::ExtractOp::create(builder, loc, values, at);
  Type f32 = builder.getF32Type();
  if (type.isBF16())
    return arith::ExtFOp::create(builder, loc, f32, element);
  Value scale = tensor::ExtractOp::create(builder, loc, scales, row);
  return arith::MulFOp::create(
      builder, loc, arith::SIToFPOp::create(builder, loc, f32, element), scale);
}

bool WeightNarrower::narrowLookups(arith::ConstantOp constant, Type type,
                                   int64_t minBytes) {
  auto table = dyn_cast<DenseResourceElementsAttr>(constant.getValue());
  if (!table || !table.getElementType().isF32() || constant->use_empty() ||
      !llvm::all_of(constant->getUsers(), llvm::IsaPred<tensor::ExtractOp>))
    return false;
  const Narrow *narrow = nullptr;
  for (auto &[key, made] : known)
    if (key.first == table && made.values)
      narrow = &made;
  if (!narrow && table.getNumElements() * 4 >= minBytes &&
      getConstantData(table))
    narrow = narrowTable(table, type);
  if (!narrow)
    return false;
  OpBuilder builder(constant);
  Location loc = constant.getLoc();
  Value values = arith::ConstantOp::create(builder, loc, narrow->values);
  Value scales;
  if (narrow->scales)
    scales = arith::ConstantOp::create(builder, loc, narrow->scales);
  for (Operation *user : llvm::make_early_inc_range(constant->getUsers())) {
    auto lookup = cast<tensor::ExtractOp>(user);
    lookup.replaceAllUsesWith(lookUp(lookup, values, scales, narrow->isPacked));
    lookup.erase();
  }
  uses.erase(constant);
  return true;
}
