// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the two halves of --kernel-form-regions share: contractions, chains of
// element-wise ops after them, and constants in a product's packing.
#ifndef SPARSE_OPT_LIB_TRANSFORMS_FORMREGIONSINTERNAL_H
#define SPARSE_OPT_LIB_TRANSFORMS_FORMREGIONSINTERNAL_H
#include "ResourceUses.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/PatternMatch.h"

namespace sparse_opt {

/// A linalg.generic over (batch..., m, n, k) that sums lhs * rhs in f32 from
/// zero; lhs doesn't depend on n, rhs not on m.
struct Contraction {
  mlir::linalg::GenericOp op;
  mlir::Value lhs, rhs;
  mlir::AffineMap lhsMap, rhsMap;

  unsigned k() const { return lhsMap.getNumDims() - 1; }
  unsigned n() const { return k() - 1; }
  unsigned m() const { return k() - 2; }
  mlir::Value result() const {
    return mlir::linalg::GenericOp(op)->getResult(0);
  }
};
std::optional<Contraction> matchContraction(mlir::linalg::GenericOp op);

/// Element-wise ops on one value, all of whose uses end in one result.
struct Chain {
  mlir::Value start, exit;
  llvm::SmallVector<mlir::linalg::GenericOp> members; ///< in program order

  /// An operand that no member makes.
  struct Extra {
    mlir::Value value;
    mlir::AffineMap map;
  };
  llvm::SmallVector<Extra> extras() const;

  /// Fills `region` with the chain as scalar code: arguments are f32 (times
  /// `factor`) and the extras' elements as they are stored.
  void build(mlir::Region &region, mlir::OpBuilder &builder, mlir::Location loc,
             float factor = 1) const;
};

/// `convert` of each element, as one linalg.generic.
mlir::Value
mapElements(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value tensor,
            mlir::Type type,
            llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Location,
                                           mlir::Value)>
                convert);

/// A tensor of bools as bytes; any other as it is.
mlir::Value asStored(mlir::OpBuilder &builder, mlir::Location loc,
                     mlir::Value tensor);

/// The longest chain from `start` on whose other operands all satisfy
/// `isExtra` and whose exit satisfies `isExit`; a chain without members is one.
std::optional<Chain>
growChain(mlir::Value start,
          llvm::function_ref<bool(mlir::OpOperand &)> isExtra,
          llvm::function_ref<bool(mlir::Value)> isExit);

/// Sizes of a destination-style result without asking the value itself.
llvm::SmallVector<mlir::OpFoldResult> sizesOf(mlir::OpBuilder &builder,
                                              mlir::linalg::GenericOp op);

/// Packs constant weights, each once.
class WeightPacker {
public:
  WeightPacker(mlir::ModuleOp module, ResourceUses &uses)
      : module(module), uses(uses) {}

  /// The f32 constant behind `weight` (transposes included), whose dimensions
  /// `kDim` and `nDim` are K and N and whose others are 1.
  struct Source {
    mlir::ElementsAttr attribute;
    int64_t k, n, kStride, nStride;
  };
  static std::optional<Source> find(mlir::Value weight, unsigned kDim,
                                    unsigned nDim);

  /// ceil(N / P) x K x P
  mlir::Value pack(const Source &source, mlir::OpBuilder &builder,
                   mlir::Location loc);

  /// True when `weight` has as many elements as a table whose rows are looked
  /// up.
  bool mayBeTable(mlir::Value weight) const;

  /// Look-ups of rows of a table that is packed as well, as embeddings are that
  /// a model's last product shares, read the packed copy; returns how many
  /// tables.
  unsigned shareTables();

private:
  mlir::ModuleOp module;
  ResourceUses &uses;
  llvm::SmallVector<std::pair<Source, mlir::ElementsAttr>> packed;
};

/// Each returns success after a rewrite, which leaves what it replaced without
/// uses, and says why when it declines.
mlir::LogicalResult formProduct(mlir::linalg::GenericOp op,
                                WeightPacker &weights,
                                mlir::IRRewriter &rewriter);
mlir::LogicalResult formAttention(mlir::linalg::SoftmaxOp op,
                                  mlir::IRRewriter &rewriter);

} // namespace sparse_opt
#endif
