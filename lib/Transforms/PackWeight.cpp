// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Constant weights in the panels that kernel.product reads: one packing for
// all targets. The packed copy is a resource of its own; once nothing refers
// to the original, its memory goes back. What reads rows of the original
// (embeddings, whose table is the last product's weight) reads them there.
#include "FormRegionsInternal.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "sparse-opt/Analysis/ConstantData.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::panelColumns;

std::optional<WeightPacker::Source>
WeightPacker::find(Value weight, unsigned kDim, unsigned nDim) {
  // Where dimension i of `weight` is in the constant.
  SmallVector<int64_t> positions = llvm::to_vector(llvm::seq<int64_t>(
      0, cast<RankedTensorType>(weight.getType()).getRank()));
  while (auto transpose = weight.getDefiningOp<linalg::TransposeOp>()) {
    for (int64_t &position : positions)
      position = transpose.getPermutation()[position];
    weight = transpose.getInput();
  }
  ElementsAttr attribute;
  if (!matchPattern(weight, m_Constant(&attribute)) ||
      !attribute.getElementType().isF32() || !getConstantData(attribute))
    return std::nullopt;
  ArrayRef<int64_t> shape = attribute.getShapedType().getShape();
  SmallVector<int64_t> strides = computeStrides(shape);
  int64_t k = positions[kDim], n = positions[nDim];
  if (shape[k] * shape[n] != attribute.getNumElements())
    return std::nullopt;
  return Source{attribute, shape[k], shape[n], strides[k], strides[n]};
}

/// Columns past N become zero.
static void packInto(float *out, const WeightPacker::Source &source,
                     const ConstantData &data) {
  const char *bytes = data.bytes.data();
  auto at = [&](int64_t k, int64_t n) {
    return bytes +
           sizeof(float) *
               (data.splat ? 0 : k * source.kStride + n * source.nStride);
  };
  for (int64_t first = 0; first < source.n; first += panelColumns) {
    int64_t count = std::min(panelColumns, source.n - first);
    bool isRow = source.nStride == 1 && !data.splat;
    for (int64_t k = 0; k < source.k; ++k, out += panelColumns) {
      if (isRow)
        std::memcpy(out, at(k, first), count * sizeof(float));
      else
        for (int64_t i = 0; i < count; ++i)
          std::memcpy(out + i, at(k, first + i), sizeof(float));
      std::fill(out + count, out + panelColumns, 0.0f);
    }
  }
}

static ElementsAttr packAttribute(const WeightPacker::Source &source) {
  std::optional<ConstantData> data = getConstantData(source.attribute);
  assert(data && "find() accepts what can be read");
  auto type =
      RankedTensorType::get({int64_t(llvm::divideCeil(source.n, panelColumns)),
                             source.k, panelColumns},
                            Float32Type::get(source.attribute.getContext()));
  int64_t count = type.getNumElements();
  // Small ones print where they are used.
  if (count <= 256) {
    SmallVector<float> values(count);
    packInto(values.data(), source, *data);
    return DenseElementsAttr::get(type, ArrayRef<float>(values));
  }
  AsmResourceBlob blob =
      HeapAsmResourceBlob::allocate(count * sizeof(float), /*align=*/64);
  packInto(reinterpret_cast<float *>(blob.getMutableData().data()), source,
           *data);
  auto original = dyn_cast<DenseResourceElementsAttr>(source.attribute);
  StringRef name = original ? original.getRawHandle().getKey() : "weight";
  return DenseResourceElementsAttr::get(type, (name + "_packed").str(),
                                        std::move(blob));
}

Value WeightPacker::pack(const Source &source, OpBuilder &builder,
                         Location loc) {
  ElementsAttr result;
  for (auto &[known, attribute] : packed)
    if (known.attribute == source.attribute &&
        known.kStride == source.kStride && known.nStride == source.nStride &&
        known.k == source.k)
      result = attribute;
  if (!result) {
    result = packAttribute(source);
    packed.push_back({source, result});
  }
  return arith::ConstantOp::create(builder, loc, cast<TypedAttr>(result));
}

/// True when row n of `table` is column n of the packed weight. Models store
/// shared ones once, or one of them transposed.
static bool holdsTable(ElementsAttr packed, ElementsAttr table,
                       const WeightPacker::Source &source) {
  ShapedType type = table.getShapedType();
  if (!type.getElementType().isF32() ||
      type.getShape() != ArrayRef<int64_t>({source.n, source.k}))
    return false;
  std::optional<ConstantData> rows = getConstantData(table),
                              panels = getConstantData(packed);
  if (!rows || !panels || rows->splat || panels->splat)
    return false;
  constexpr size_t size = sizeof(float);
  const char *column = panels->bytes.data();
  for (int64_t first = 0; first < source.n; first += panelColumns) {
    int64_t count = std::min(panelColumns, source.n - first);
    for (int64_t k = 0; k < source.k; ++k, column += panelColumns * size)
      for (int64_t i = 0; i < count; ++i)
        if (std::memcmp(rows->bytes.data() +
                            ((first + i) * source.k + k) * size,
                        column + i * size, size) != 0)
          return false;
  }
  return true;
}

/// extract %table[n, k] -> extract %packed[n / P, k, n mod P]
static void lookUpPacked(arith::ConstantOp table, ElementsAttr packed) {
  OpBuilder builder(table);
  Value panels = arith::ConstantOp::create(builder, table.getLoc(),
                                           cast<TypedAttr>(packed));
  for (Operation *user : llvm::make_early_inc_range(table->getUsers())) {
    auto lookup = cast<tensor::ExtractOp>(user);
    Location loc = lookup.getLoc();
    builder.setInsertionPoint(lookup);
    Value row = lookup.getIndices()[0], k = lookup.getIndices()[1];
    Value width = arith::ConstantIndexOp::create(builder, loc, panelColumns);
    Value panel = arith::DivUIOp::create(builder, loc, row, width);
    Value column = arith::RemUIOp::create(builder, loc, row, width);
    lookup.getTensorMutable().assign(panels);
    lookup.getIndicesMutable().assign({panel, k, column});
  }
}

static SmallVector<arith::ConstantOp> findTables(ModuleOp module) {
  SmallVector<arith::ConstantOp> tables;
  module.walk([&](arith::ConstantOp op) {
    if (isa<DenseResourceElementsAttr>(op.getValue()) && !op->use_empty() &&
        llvm::all_of(op->getUsers(), llvm::IsaPred<tensor::ExtractOp>))
      tables.push_back(op);
  });
  return tables;
}

bool WeightPacker::mayBeTable(Value weight) const {
  auto type = cast<ShapedType>(weight.getType());
  return type.hasStaticShape() &&
         llvm::any_of(findTables(module), [&](arith::ConstantOp table) {
           return cast<ShapedType>(table.getType()).getNumElements() ==
                  type.getNumElements();
         });
}

unsigned WeightPacker::shareTables() {
  SmallVector<arith::ConstantOp> tables = findTables(module);
  unsigned shared = 0;
  for (arith::ConstantOp table : tables)
    for (auto &[source, attribute] : packed) {
      auto rows = cast<ElementsAttr>(table.getValue());
      if (!holdsTable(attribute, rows, source))
        continue;
      lookUpPacked(table, attribute);
      uses.erase(table);
      ++shared;
      break;
    }
  return shared;
}
