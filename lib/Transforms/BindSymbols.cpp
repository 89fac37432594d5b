// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sizes as values: symbolic dims of the inputs become index arguments, every
// size in @main an expression over them, and the sizes of the results a
// function of their own. Which buffers these sizes lead to is decided later
// (--kernel-plan-buffers).
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "sparse-opt/Transforms/Passes.h"
#include "llvm/ADT/MapVector.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELBINDSYMBOLS
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

namespace {
/// The name of a dynamic dim of an argument; `onnx.dims` or one made up.
std::string symbolName(func::FuncOp func, unsigned arg, unsigned dim) {
  if (auto dims = func.getArgAttrOfType<ArrayAttr>(arg, "onnx.dims"))
    if (dim < dims.size())
      return cast<StringAttr>(dims[dim]).getValue().str();
  auto name = func.getArgAttrOfType<StringAttr>(arg, "onnx.name");
  std::string base = name ? name.str() : "arg" + std::to_string(arg);
  return base + "_dim_" + std::to_string(dim);
}

struct DimOfArgument {
  unsigned argument, dim;
  std::string symbol;
};

SmallVector<DimOfArgument> dynamicDims(func::FuncOp func) {
  SmallVector<DimOfArgument> dims;
  for (BlockArgument argument : func.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    for (int64_t dim = 0; type && dim < type.getRank(); ++dim)
      if (type.isDynamicDim(dim))
        dims.push_back({argument.getArgNumber(), unsigned(dim),
                        symbolName(func, argument.getArgNumber(), dim)});
  }
  return dims;
}

/// The arguments that are symbols, by name.
llvm::MapVector<StringRef, Value> symbolValues(func::FuncOp func) {
  llvm::MapVector<StringRef, Value> values;
  for (BlockArgument argument : func.getArguments())
    if (auto symbol = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                        "kernel.symbol"))
      values[symbol.getValue()] = argument;
  return values;
}

void replaceDims(func::FuncOp func, ArrayRef<DimOfArgument> dims,
                 const llvm::MapVector<StringRef, Value> &values) {
  for (const DimOfArgument &dim : dims) {
    Value argument = func.getArgument(dim.argument);
    for (Operation *user : llvm::make_early_inc_range(argument.getUsers())) {
      auto dimOp = dyn_cast<tensor::DimOp>(user);
      if (!dimOp || dimOp.getConstantIndex() != int64_t(dim.dim))
        continue;
      dimOp.replaceAllUsesWith(values.lookup(dim.symbol));
      dimOp.erase();
    }
  }
}

LogicalResult resolveDims(Operation *op) {
  RewritePatternSet patterns(op->getContext());
  memref::populateResolveRankedShapedTypeResultDimsPatterns(patterns);
  memref::populateResolveShapedTypeResultDimsPatterns(patterns);
  affine::AffineApplyOp::getCanonicalizationPatterns(patterns,
                                                     op->getContext());
  tensor::DimOp::getCanonicalizationPatterns(patterns, op->getContext());
  return applyPatternsGreedily(op, std::move(patterns));
}

/// Both branches over the number of rows make the same sizes: one stays.
void takeManyRows(func::FuncOp func) {
  func.walk([](scf::IfOp branch) {
    if (!branch->hasAttr(kernel::fewRowsAttr))
      return;
    Block &many = branch.getElseRegion().front();
    Operation *yield = many.getTerminator();
    branch->replaceAllUsesWith(yield->getOperands());
    yield->erase();
    branch->getBlock()->getOperations().splice(branch->getIterator(),
                                               many.getOperations());
    branch->erase();
  });
}

/// Results become their dims, then everything that is not a size goes. Of
/// states there is the length, which is an index already.
func::FuncOp cloneForDims(func::FuncOp main) {
  OpBuilder builder(main);
  auto clone = cast<func::FuncOp>(builder.clone(*main));
  clone.setName("kernel_output_dims");
  clone.setPrivate();
  clone.walk([](Operation *op) {
    if (isa<kernel::CheckIndexOp, kernel::CheckSizesOp, kernel::NoteRowsOp>(op))
      op->erase();
  });
  takeManyRows(clone);
  Operation *ret = clone.front().getTerminator();
  builder.setInsertionPoint(ret);
  SmallVector<Value> sizes;
  for (auto [i, result] : llvm::enumerate(ret->getOperands())) {
    if (main.getResultAttr(i, "kernel.state"))
      continue;
    auto type = dyn_cast<RankedTensorType>(result.getType());
    if (!type)
      sizes.push_back(result);
    for (int64_t d = 0; type && d < type.getRank(); ++d)
      sizes.push_back(tensor::DimOp::create(builder, main.getLoc(), result, d));
  }
  func::ReturnOp::create(builder, main.getLoc(), sizes);
  ret->erase();
  clone.setFunctionType(builder.getFunctionType(
      clone.getArgumentTypes(),
      SmallVector<Type>(sizes.size(), builder.getIndexType())));
  clone.removeResAttrsAttr();
  return clone;
}

/// Names the result whose size is not an expression over the symbols.
LogicalResult verifyDims(func::FuncOp main, func::FuncOp dims) {
  SmallVector<unsigned> owner;
  for (auto [i, type] : llvm::enumerate(main.getResultTypes()))
    if (auto tensor = dyn_cast<RankedTensorType>(type)) {
      if (!main.getResultAttr(i, "kernel.state"))
        owner.append(tensor.getRank(), i);
    } else {
      owner.push_back(i);
    }
  Operation *ret = dims.front().getTerminator();
  for (auto [i, size] : llvm::enumerate(ret->getOperands())) {
    SetVector<Operation *> slice;
    SmallVector<Value> work = {size};
    while (!work.empty()) {
      Operation *def = work.pop_back_val().getDefiningOp();
      if (!def || !slice.insert(def))
        continue;
      if (llvm::any_of(def->getOperandTypes(), llvm::IsaPred<TensorType>)) {
        auto name = main.getResultAttrOfType<StringAttr>(owner[i], "onnx.name");
        return emitError(def->getLoc())
               << "the size of output '" << (name ? name.getValue() : "?")
               << "' depends on the contents of a tensor";
      }
      llvm::append_range(work, def->getOperands());
    }
  }
  return success();
}

void eraseTensorArguments(func::FuncOp dims) {
  BitVector tensors(dims.getNumArguments());
  for (BlockArgument argument : dims.getArguments())
    if (isa<TensorType>(argument.getType()))
      tensors.set(argument.getArgNumber());
  (void)dims.eraseArguments(tensors);
}

struct BindSymbols
    : public sparse_opt::impl::KernelBindSymbolsBase<BindSymbols> {
  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (func.isPublic() && !func.isExternal())
        if (failed(bind(func)))
          return signalPassFailure();
  }

  LogicalResult bind(func::FuncOp main) {
    SmallVector<DimOfArgument> dims = dynamicDims(main);
    llvm::MapVector<StringRef, Value> values = symbolValues(main);
    Builder builder(&getContext());
    for (const DimOfArgument &dim : dims) {
      if (values.count(dim.symbol))
        continue;
      auto attrs = builder.getDictionaryAttr(builder.getNamedAttr(
          "kernel.symbol", builder.getStringAttr(dim.symbol)));
      if (failed(main.insertArgument(main.getNumArguments(),
                                     builder.getIndexType(), attrs,
                                     main.getLoc())))
        return failure();
      values[dim.symbol] = main.getArguments().back();
    }
    numSymbols += values.size();
    nameInputDims(main, dims);
    SmallVector<StringRef> names(llvm::make_first_range(values));
    getOperation()->setAttr("kernel.symbols", builder.getStrArrayAttr(names));
    if (failed(resolveDims(main)))
      return failure();
    replaceDims(main, dims, values);
    return splitOutputDims(main, dims);
  }

  /// `kernel.input_symbols`: the symbols of an argument's dynamic dims.
  void nameInputDims(func::FuncOp main, ArrayRef<DimOfArgument> dims) {
    for (unsigned i = 0, e = main.getNumArguments(); i != e; ++i) {
      SmallVector<StringRef> names;
      for (const DimOfArgument &dim : dims)
        if (dim.argument == i)
          names.push_back(dim.symbol);
      if (isa<TensorType>(main.getArgument(i).getType()))
        main.setArgAttr(i, "kernel.input_symbols",
                        Builder(&getContext()).getStrArrayAttr(names));
    }
  }

  LogicalResult splitOutputDims(func::FuncOp main,
                                ArrayRef<DimOfArgument> dims) {
    func::FuncOp outputDims = cloneForDims(main);
    if (failed(resolveDims(outputDims)))
      return failure();
    replaceDims(outputDims, dims, symbolValues(outputDims));
    if (failed(verifyDims(main, outputDims)))
      return failure();
    eraseTensorArguments(outputDims);
    return success();
  }
};
} // namespace
