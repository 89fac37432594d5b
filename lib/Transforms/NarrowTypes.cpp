// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// --kernel-narrow-types: products and attentions on bf16 operands, summed in
// f32. What only such operands use is rounded where it is made; residual
// streams, norms and softmax stay f32. Which instructions multiply bf16 is the
// lowerings' matter.
#include "FormRegionsInternal.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include "sparse-opt/Transforms/Passes.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELNARROWTYPES
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;
using kernel::panelColumns;

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// To nearest, ties to even; a NaN stays one.
static uint16_t toBf16(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return (bits >> 16) | 0x40;
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

/// panels x K x P of f32 in pairs along K, the second of an odd K's last zero.
static void pairUp(ArrayRef<float> packed, int64_t panels, int64_t k,
                   uint16_t *out) {
  for (int64_t panel = 0; panel < panels; ++panel)
    for (int64_t pair = 0; pair < int64_t(llvm::divideCeil(k, 2)); ++pair)
      for (int64_t column = 0; column < panelColumns; ++column)
        for (int64_t i = 2 * pair; i < 2 * pair + 2; ++i)
          *out++ = i < k
                       ? toBf16(packed[(panel * k + i) * panelColumns + column])
                       : 0;
}

/// An attribute of `type`, whose bytes `fill` writes.
static TypedAttr makeNarrow(ElementsAttr original, RankedTensorType type,
                            llvm::function_ref<void(uint16_t *)> fill) {
  int64_t count = type.getNumElements();
  AsmResourceBlob blob =
      HeapAsmResourceBlob::allocate(count * sizeof(uint16_t), /*align=*/64);
  fill(reinterpret_cast<uint16_t *>(blob.getMutableData().data()));
  if (count <= 256) // small ones print where they are used
    return DenseElementsAttr::getFromRawBuffer(type, blob.getData());
  auto resource = dyn_cast<DenseResourceElementsAttr>(original);
  StringRef name = resource ? resource.getRawHandle().getKey() : "weight";
  return DenseResourceElementsAttr::get(type, (name + "_bf16").str(),
                                        std::move(blob));
}

/// The packed f32 weight in bf16.
static TypedAttr narrowWeight(ElementsAttr weight) {
  auto type = cast<RankedTensorType>(weight.getType());
  int64_t panels = type.getDimSize(0), k = type.getDimSize(1);
  RankedTensorType narrow = kernel::packedWeightType(
      k, panels * panelColumns, BFloat16Type::get(type.getContext()));
  std::optional<ConstantData> data = getConstantData(weight);
  assert(data && "a packed weight can be read");
  std::vector<float> values(type.getNumElements());
  for (auto [i, value] : llvm::enumerate(values))
    std::memcpy(&value, data->bytes.data() + (data->splat ? 0 : i * 4), 4);
  return makeNarrow(weight, narrow,
                    [&](uint16_t *out) { pairUp(values, panels, k, out); });
}

/// A large f32 table that is only looked up, and its data.
static std::optional<ConstantData> findTable(arith::ConstantOp constant,
                                             int64_t minBytes) {
  auto table = dyn_cast<DenseResourceElementsAttr>(constant.getValue());
  if (!table || !table.getElementType().isF32() ||
      table.getNumElements() * 4 < minBytes || constant->use_empty() ||
      !llvm::all_of(constant->getUsers(), llvm::IsaPred<tensor::ExtractOp>))
    return std::nullopt;
  return getConstantData(table);
}

static TypedAttr narrowTable(ElementsAttr table, const ConstantData &data) {
  auto type = cast<RankedTensorType>(table.getType());
  RankedTensorType narrow = type.clone(BFloat16Type::get(type.getContext()));
  return makeNarrow(table, narrow, [&](uint16_t *out) {
    for (int64_t i = 0, e = type.getNumElements(); i < e; ++i) {
      float value;
      std::memcpy(&value, data.bytes.data() + (data.splat ? 0 : i * 4), 4);
      out[i] = toBf16(value);
    }
  });
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {

struct NarrowTypes : sparse_opt::impl::KernelNarrowTypesBase<NarrowTypes> {
  using KernelNarrowTypesBase::KernelNarrowTypesBase;

  void runOnOperation() override {
    SmallVector<Operation *> regions;
    getOperation().walk([&](Operation *op) {
      if (isa<kernel::ProductOp, kernel::AttentionOp>(op) &&
          op->getNumResults() == 1)
        regions.push_back(op);
    });
    for (Operation *op : regions) {
      OpBuilder builder(op);
      if (auto product = dyn_cast<kernel::ProductOp>(op))
        narrowOperands(product, builder);
      else
        narrowOperands(cast<kernel::AttentionOp>(op), builder);
    }
    for (Operation *op : llvm::reverse(moved))
      if (op->use_empty())
        op->erase();
    for (Operation *op : regions)
      narrowResult(op);
    SmallVector<arith::ConstantOp> constants;
    getOperation().walk([&](arith::ConstantOp op) { constants.push_back(op); });
    for (arith::ConstantOp op : constants)
      if (std::optional<ConstantData> data = findTable(op, minTableBytes))
        narrowLookups(op, *data);
    freeUnused();
  }

private:
  void narrowOperands(kernel::ProductOp op, OpBuilder &builder) {
    ElementsAttr weight;
    if (!getElementTypeOrSelf(op.getX().getType()).isF32() ||
        !matchPattern(op.getWeight(), m_Constant(&weight)))
      return;
    TypedAttr &narrow = weights[weight];
    if (!narrow)
      narrow = narrowWeight(weight);
    op.getWeightMutable().assign(
        arith::ConstantOp::create(builder, op.getLoc(), narrow));
    op.getXMutable().assign(narrowed(op.getX()));
    ++numProducts;
  }

  void narrowOperands(kernel::AttentionOp op, OpBuilder &builder) {
    if (!getElementTypeOrSelf(op.getQ().getType()).isF32())
      return;
    for (OpOperand *operand :
         {&op.getQMutable(), &op.getKMutable(), &op.getVMutable()})
      operand->set(narrowed(operand->get()));
    roundYield(op.getProbability(), builder);
    ++numAttentions;
  }

  /// Look-ups in a bf16 copy, widened.
  void narrowLookups(arith::ConstantOp constant, const ConstantData &data) {
    auto table = cast<ElementsAttr>(constant.getValue());
    TypedAttr &narrow = weights[table];
    if (!narrow)
      narrow = narrowTable(table, data);
    OpBuilder builder(constant);
    Value rounded =
        arith::ConstantOp::create(builder, constant.getLoc(), narrow);
    for (Operation *user : llvm::make_early_inc_range(constant->getUsers())) {
      auto lookup = cast<tensor::ExtractOp>(user);
      builder.setInsertionPoint(lookup);
      Value element = tensor::ExtractOp::create(builder, lookup.getLoc(),
                                                rounded, lookup.getIndices());
      Value wide = arith::ExtFOp::create(builder, lookup.getLoc(),
                                         builder.getF32Type(), element);
      lookup.replaceAllUsesWith(wide);
      lookup.erase();
    }
    ++numTables;
  }

  /// A region's yielded f32 becomes bf16.
  static void roundYield(Region &region, OpBuilder &builder) {
    OpBuilder::InsertionGuard guard(builder);
    Operation *yield = region.front().getTerminator();
    builder.setInsertionPoint(yield);
    yield->setOperand(0, arith::TruncFOp::create(builder, yield->getLoc(),
                                                 builder.getBF16Type(),
                                                 yield->getOperand(0)));
  }

  static RankedTensorType narrowType(Type type) {
    return cast<RankedTensorType>(type).clone(
        BFloat16Type::get(type.getContext()));
  }

  /// `value` in bf16; what only moves elements does so on bf16.
  Value narrowed(Value value) {
    Value &known = narrow[value];
    if (known)
      return known;
    Operation *op = value.getDefiningOp();
    OpBuilder builder(value.getContext());
    builder.setInsertionPointAfterValue(value);
    if (isa_and_nonnull<tensor::CollapseShapeOp, tensor::ExpandShapeOp,
                        tensor::CastOp>(op)) {
      Value source = narrowed(op->getOperand(0));
      Operation *clone = builder.clone(*op);
      clone->setOperand(0, source);
      clone->getResult(0).setType(narrowType(value.getType()));
      moved.insert(op);
      return narrow[value] = clone->getResult(0);
    }
    return narrow[value] = rounded(builder, value);
  }

  static Value rounded(OpBuilder &builder, Value value) {
    Type bf16 = builder.getBF16Type();
    return mapElements(builder, value.getLoc(), value, bf16,
                       [&](OpBuilder &nested, Location loc, Value element) {
                         return arith::TruncFOp::create(nested, loc, bf16,
                                                        element);
                       });
  }

  /// A result that is only rounded is made in bf16.
  void narrowResult(Operation *op) {
    Value result = op->getResult(0);
    Value known = narrow.lookup(result);
    if (!known || !known.getDefiningOp<linalg::GenericOp>())
      return;
    Operation *rounding = known.getDefiningOp();
    // The rounding asks for the result's sizes too.
    for (Operation *user : result.getUsers())
      if (user != rounding && !isa<tensor::DimOp>(user))
        return;
    auto destination = cast<DestinationStyleOpInterface>(op);
    OpOperand &init = *destination.getDpsInitOperand(0);
    OpBuilder builder(op);
    auto empty = init.get().getDefiningOp<tensor::EmptyOp>();
    if (!empty)
      return;
    init.set(tensor::EmptyOp::create(
        builder, op->getLoc(), empty.getMixedSizes(), builder.getBF16Type()));
    result.setType(narrowType(result.getType()));
    if (auto product = dyn_cast<kernel::ProductOp>(op))
      roundYield(product.getEpilogue(), builder);
    known.replaceAllUsesWith(result);
    rounding->erase();
    ++numResults;
  }

  /// The f32 weights' memory, once no op refers to them.
  void freeUnused() {
    llvm::SmallPtrSet<Attribute, 16> used;
    getOperation().walk([&](Operation *op) {
      if (auto constant = dyn_cast<arith::ConstantOp>(op))
        if (constant->use_empty() && weights.contains(constant.getValue()))
          return constant->erase();
      for (NamedAttribute named : op->getAttrs())
        used.insert(named.getValue());
    });
    for (auto &[weight, narrow] : weights) {
      auto resource = dyn_cast<DenseResourceElementsAttr>(weight);
      if (!resource || used.contains(weight))
        continue;
      auto handle = resource.getRawHandle();
      handle.getManagerInterface(&getContext())
          .getBlobManager()
          .update(handle.getKey(), AsmResourceBlob());
    }
  }

  llvm::MapVector<Attribute, TypedAttr> weights;
  llvm::MapVector<Value, Value> narrow;
  llvm::SetVector<Operation *> moved;
};

} // namespace
