// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// --kernel-narrow-states: caches of the instance in bf16 where everybody who
// reads them rounds them first. A row is then rounded once, when it comes in,
// to the bits that each run would have rounded it to.
#include "FormRegionsInternal.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "sparse-opt/Transforms/Passes.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELNARROWSTATES
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

#define DEBUG_TYPE "kernel-narrow-states"

using namespace mlir;
using namespace sparse_opt;

namespace {

/// A state, what is inserted, and who reads it how.
struct StateUses {
  tensor::InsertSliceOp insert;
  SmallVector<tensor::ExtractSliceOp> slices;
  SmallVector<linalg::GenericOp> roundings; // of the slices
};

/// y = round(x), element by element, to bf16.
bool isRounding(Operation *op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  if (!generic || generic.getNumDpsInputs() != 1 ||
      generic->getNumResults() != 1 ||
      !llvm::all_of(generic.getIndexingMapsArray(),
                    [](AffineMap map) { return map.isIdentity(); }))
    return false;
  Operation &first = generic.getBody()->front();
  return isa<arith::TruncFOp>(first) &&
         isa<linalg::YieldOp>(*first.getNextNode()) &&
         first.getOperand(0) == generic.getBody()->getArgument(0) &&
         first.getNextNode()->getOperand(0) == first.getResult(0) &&
         first.getResult(0).getType().isBF16();
}

bool collectRoundings(tensor::ExtractSliceOp slice, StateUses &uses) {
  for (Operation *user : slice->getUsers()) {
    if (isa<tensor::DimOp>(user))
      continue;
    if (!isRounding(user))
      return false;
    uses.roundings.push_back(cast<linalg::GenericOp>(user));
  }
  uses.slices.push_back(slice);
  return true;
}

/// Nothing when somebody reads the state as it is.
std::optional<StateUses> matchUses(BlockArgument state) {
  if (!getElementTypeOrSelf(state.getType()).isF32())
    return std::nullopt;
  StateUses uses;
  for (Operation *user : state.getUsers()) {
    if (isa<tensor::DimOp>(user))
      continue;
    auto insert = dyn_cast<tensor::InsertSliceOp>(user);
    if (!insert || uses.insert || insert.getDest() != state)
      return std::nullopt;
    uses.insert = insert;
  }
  if (!uses.insert)
    return std::nullopt;
  for (Operation *user : uses.insert->getUsers()) {
    if (isa<func::ReturnOp, tensor::DimOp>(user))
      continue;
    auto slice = dyn_cast<tensor::ExtractSliceOp>(user);
    if (!slice || !collectRoundings(slice, uses))
      return std::nullopt;
  }
  return uses;
}

struct NarrowStates
    : public sparse_opt::impl::KernelNarrowStatesBase<NarrowStates> {
  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (!func.isPublic() || func.isExternal())
        continue;
      for (BlockArgument argument : func.getArguments()) {
        if (!func.getArgAttr(argument.getArgNumber(), "kernel.state"))
          continue;
        if (std::optional<StateUses> uses = matchUses(argument)) {
          narrow(argument, *uses);
          ++numNarrowed;
        }
      }
      func.setType(
          FunctionType::get(func.getContext(), func.front().getArgumentTypes(),
                            func.front().getTerminator()->getOperandTypes()));
    }
  }

  static void setElementType(Value value, Type element) {
    value.setType(cast<RankedTensorType>(value.getType()).clone(element));
  }

  /// round(extract_slice(insert_slice(x, state)))
  ///   -> extract_slice(insert_slice(round(x), state))
  static void narrow(BlockArgument state, StateUses &uses) {
    OpBuilder builder(uses.insert);
    Type bf16 = builder.getBF16Type();
    Value rows = mapElements(
        builder, uses.insert.getLoc(), uses.insert.getSource(), bf16,
        [&](OpBuilder &nested, Location loc, Value element) {
          return arith::TruncFOp::create(nested, loc, bf16, element);
        });
    uses.insert.getSourceMutable().assign(rows);
    setElementType(state, bf16);
    setElementType(uses.insert.getResult(), bf16);
    for (tensor::ExtractSliceOp slice : uses.slices)
      setElementType(slice.getResult(), bf16);
    for (linalg::GenericOp rounding : uses.roundings) {
      rounding.getResult(0).replaceAllUsesWith(rounding.getInputs()[0]);
      rounding->erase();
    }
  }
};

} // namespace
