// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Constants of products and look-ups in fewer bits: bf16, or int8 with a scale
// a neuron. Private to --kernel-narrow-types.
#ifndef SPARSE_OPT_LIB_TRANSFORMS_NARROWWEIGHTS_H
#define SPARSE_OPT_LIB_TRANSFORMS_NARROWWEIGHTS_H
#include "ResourceUses.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/MapVector.h"

namespace sparse_opt {

/// Narrows constants, each once, and frees the f32 ones as it goes.
class WeightNarrower {
public:
  explicit WeightNarrower(mlir::ModuleOp module) : uses(module) {}

  /// Gives `op` its weight in `type` (bf16 or i8); of i8 its epilogue begins
  /// with a multiplication by the scales. Fails where the weight is no f32
  /// constant or, of i8, isn't finite.
  mlir::LogicalResult narrowProduct(kernel::ProductOp op, mlir::Type type);

  /// The same for `kernel.selected_product` and `kernel.selected_sum`.
  mlir::LogicalResult narrowSelected(mlir::Operation *op, mlir::Type type);

  /// Look-ups in `constant` where nothing but look-ups use it: of a weight that
  /// a product has narrowed, and of tables of at least `minBytes`. True when
  /// they read narrow elements now.
  bool narrowLookups(mlir::arith::ConstantOp constant, mlir::Type type,
                     int64_t minBytes);

private:
  /// `values`, of i8 to be multiplied by the scale of their neuron or row.
  struct Narrow {
    mlir::TypedAttr values, scales;
    bool isPacked; ///< in panels
  };
  using Key = std::pair<mlir::Attribute, mlir::Type>;
  const Narrow *narrowWeight(mlir::ElementsAttr weight, int64_t n,
                             mlir::Type type);
  const Narrow *narrowTable(mlir::ElementsAttr table, mlir::Type type);
  const Narrow *narrowColumns(mlir::ElementsAttr table, mlir::Type type);
  mlir::LogicalResult
  narrow(mlir::OpOperand &operand, mlir::MutableOperandRange extras,
         mlir::Region &epilogue,
         llvm::function_ref<const Narrow *(mlir::ElementsAttr)> make);

  llvm::MapVector<Key, Narrow> known;
  ResourceUses uses;
};

} // namespace sparse_opt
#endif
