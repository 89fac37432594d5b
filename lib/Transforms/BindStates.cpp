// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// --kernel-bind-states: caches out of the interface. An input that is read
// only to be joined with new rows, where the joined tensor is a result, becomes
// one buffer with room for more rows: new rows are inserted behind the old
// ones, and what reads the joined tensor reads a slice of the buffer. Who owns
// the buffer, and its room, is the runtime's matter.
#include "States.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "sparse-opt/Transforms/Passes.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELBINDSTATES
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

#define DEBUG_TYPE "kernel-bind-states"

using namespace mlir;
using namespace sparse_opt;

namespace {

/// Names of the dims of all inputs but `states`.
llvm::StringSet<> symbolsOfOthers(func::FuncOp func, ArrayRef<State> states) {
  llvm::StringSet<> names;
  for (BlockArgument argument : func.getArguments()) {
    ArrayAttr dims = argDims(argument);
    if (!dims || llvm::any_of(states, [&](const State &state) {
          return state.past == argument;
        }))
      continue;
    for (StringRef name : dims.getAsValueRange<StringAttr>())
      names.insert(name);
  }
  return names;
}

struct BindStates : public sparse_opt::impl::KernelBindStatesBase<BindStates> {
  using Base::Base;

  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (!func.isPublic() || func.isExternal())
        continue;
      SmallVector<State> states = findStates(func);
      if (states.empty()) {
        func.emitError("--kv-cache=in-place: no input is a cache, read only to "
                       "be joined with new rows for an output");
        return signalPassFailure();
      }
      numStates += states.size();
      bind(func, states);
    }
  }

  SmallVector<State> findStates(func::FuncOp func) {
    SmallVector<State> states;
    for (BlockArgument argument : func.getArguments())
      if (std::optional<State> state = matchState(argument))
        states.push_back(*state);
    noteOthers(func, states);
    keepOneLength(states);
    dropUnbound(func, states);
    return states;
  }

  void decline(BlockArgument past, Location loc, const Twine &why) {
    auto func = cast<func::FuncOp>(past.getOwner()->getParentOp());
    auto name =
        func.getArgAttrOfType<StringAttr>(past.getArgNumber(), "onnx.name");
    emitRemark(loc) << "cache '" << (name ? name.getValue() : "?")
                    << "' stays an input: " << why;
    ++numDeclined;
  }
  void decline(const State &state, const Twine &why) {
    tensor::InsertSliceOp appended = state.appended;
    decline(state.past, appended.getLoc(), why);
  }

  /// Inputs that look like caches, but to which nothing is appended, or not
  /// behind what they hold: keys and values of an encoder, those of
  /// GroupQueryAttention, whose sequences have a length each. They are floats
  /// of rank 4 or more and have all sizes but one of a cache that is kept or
  /// of a result.
  void noteOthers(func::FuncOp func, ArrayRef<State> matched) {
    SmallVector<std::pair<Type, ArrayAttr>> caches;
    for (const State &state : matched)
      caches.push_back({state.past.getType(), argDims(state.past)});
    for (auto [i, type] : llvm::enumerate(func.getResultTypes()))
      caches.push_back({type, resultDims(func, i)});
    for (BlockArgument argument : func.getArguments()) {
      auto type = dyn_cast<RankedTensorType>(argument.getType());
      ArrayAttr dims = argDims(argument);
      // Neither caches that were found nor their new rows.
      bool isKnown = llvm::any_of(matched, [&](State state) {
        return state.past == argument || state.appended.getSource() == argument;
      });
      if (isKnown || !type || type.getRank() < 4 || !dims ||
          !isa<FloatType>(type.getElementType()))
        continue;
      auto isLike = [&](const std::pair<Type, ArrayAttr> &cache) {
        auto other = dyn_cast<RankedTensorType>(cache.first);
        return other && cache.second && other.getRank() == type.getRank() &&
               other.getElementType() == type.getElementType() &&
               llvm::count_if(llvm::zip(dims, cache.second), [](auto pair) {
                 return std::get<0>(pair) != std::get<1>(pair);
               }) == 1;
      };
      if (llvm::any_of(caches, isLike))
        decline(argument, argument.getLoc(),
                "it is not read only to get new rows behind those it holds");
    }
  }

  /// An instance has one length: that of most caches.
  void keepOneLength(SmallVectorImpl<State> &states) {
    auto isLike = [](const State &a, const State &b) {
      return a.symbol() == b.symbol() && a.length() == b.length();
    };
    auto count = [&](const State &like) {
      return llvm::count_if(
          states, [&](const State &state) { return isLike(state, like); });
    };
    if (states.empty())
      return;
    State first =
        *llvm::max_element(states, [&](const State &a, const State &b) {
          return count(a) < count(b);
        });
    llvm::erase_if(states, [&](const State &state) {
      if (isLike(state, first))
        return false;
      decline(state,
              "its length is another than that of '" + first.symbol() + "'");
      return true;
    });
  }

  /// Sizes but the length must be those of inputs that stay.
  void dropUnbound(func::FuncOp func, SmallVectorImpl<State> &states) {
    for (size_t before = 0; before != states.size();) {
      before = states.size();
      llvm::StringSet<> bound = symbolsOfOthers(func, states);
      llvm::erase_if(states, [&](const State &state) {
        auto type = cast<RankedTensorType>(state.past.getType());
        for (int64_t i : llvm::seq(type.getRank()))
          if (i != state.axis && type.isDynamicDim(i) &&
              !bound.contains(state.dim(i))) {
            decline(state,
                    "no other input has its size '" + state.dim(i) + "'");
            return true;
          }
        return false;
      });
    }
  }

  void bind(func::FuncOp func, ArrayRef<State> states) {
    Builder b(&getContext());
    const State &first = states.front();
    auto total = cast<Value>(first.length());
    NamedAttrList lengthAttrs(b.getDictionaryAttr(b.getNamedAttr(
        "kernel.state_length", resultDims(func, first.result)[first.axis])));
    checkMasks(func, first);
    BlockArgument length = addArgument(
        func, b.getIndexType(),
        b.getNamedAttr("kernel.symbol", b.getStringAttr(first.symbol())));
    StringAttr room = b.getStringAttr(freshSymbol(func));
    SmallVector<Value> buffers;
    for (auto [i, state] : llvm::enumerate(states))
      buffers.push_back(append(func, state, i, room, length));
    rebuildResults(func, states, buffers, total, lengthAttrs);
    BitVector gone(func.getNumArguments());
    for (const State &state : states) {
      gone.set(state.past.getArgNumber());
      tensor::InsertSliceOp kept = state.kept;
      kept->erase();
    }
    (void)func.eraseArguments(gone);
  }

  static ArrayAttr resultDims(func::FuncOp func, unsigned result) {
    return func.getResultAttrOfType<ArrayAttr>(result, "onnx.dims");
  }

  static BlockArgument addArgument(func::FuncOp func, Type type,
                                   ArrayRef<NamedAttribute> attrs) {
    (void)func.insertArgument(func.getNumArguments(), type,
                              DictionaryAttr::get(func.getContext(), attrs),
                              func.getLoc());
    return func.getArguments().back();
  }

  /// The name of the buffers' room, which no dim has.
  static std::string freshSymbol(func::FuncOp func) {
    llvm::StringSet<> taken = symbolsOfOthers(func, {});
    std::string name = "capacity";
    while (taken.contains(name))
      name += "_";
    return name;
  }

  /// A mask of another length than that of the caches with their new rows is
  /// a mistake, but not one that its reader sees: too long a mask has all rows
  /// that are read. Two things give such an input away: the check that it is
  /// long enough, and a lookup in one piece, [batch * total], of as many
  /// indices a row as the caches get.
  static void checkMasks(func::FuncOp func, const State &state) {
    auto total = cast<Value>(state.length());
    llvm::SmallSetVector<std::pair<BlockArgument, int64_t>, 2> found;
    func.walk([&](kernel::CheckSizesOp check) {
      auto dim = check.getRhs().getDefiningOp<tensor::DimOp>();
      auto input = dim ? dyn_cast<BlockArgument>(dim.getSource()) : nullptr;
      if (check.getLhs() == total && input && dim.getConstantIndex())
        found.insert({input, *dim.getConstantIndex()});
    });
    func.walk([&](kernel::CheckIndexOp check) {
      auto product = check.getBound().getDefiningOp<arith::MulIOp>();
      auto indices = check.getIndices().getDefiningOp<linalg::GenericOp>();
      if (!product || !indices)
        return;
      auto empty = indices.getOutputs()[0].getDefiningOp<tensor::EmptyOp>();
      if (!empty || !llvm::is_contained(empty.getDynamicSizes(), total))
        return;
      for (Value factor : product->getOperands()) {
        auto dim = factor.getDefiningOp<tensor::DimOp>();
        auto input = dim ? dyn_cast<BlockArgument>(dim.getSource()) : nullptr;
        if (input && dim.getConstantIndex() &&
            !llvm::is_contained(empty.getDynamicSizes(), factor))
          found.insert({input, *dim.getConstantIndex()});
      }
    });
    OpBuilder b(func.getContext());
    b.setInsertionPointAfterValue(total);
    for (auto [input, dim] : found) {
      auto name =
          func.getArgAttrOfType<StringAttr>(input.getArgNumber(), "onnx.name");
      Value size = tensor::DimOp::create(b, func.getLoc(), input, dim);
      Value same = arith::CmpIOp::create(b, func.getLoc(),
                                         arith::CmpIPredicate::eq, size, total);
      kernel::CheckSizesOp::create(
          b, func.getLoc(), same, size, total,
          ("dimension " + Twine(dim) + " of input '" +
           (name ? name.getValue() : "?") +
           "' must be the length of the caches with the new rows")
              .str());
      noteEqual(func, input, dim, state);
    }
  }

  /// `kernel.equal_size` of an argument: its dims that must be some polynomial.
  static void noteEqual(func::FuncOp func, BlockArgument input, int64_t dim,
                        const State &state) {
    ArrayAttr dims = argDims(input);
    if (!dims)
      return;
    SmallVector<NamedAttribute> equal;
    if (auto known = func->getAttrOfType<DictionaryAttr>("kernel.state_sizes"))
      llvm::append_range(equal, known);
    NamedAttrList list(equal);
    list.set(cast<StringAttr>(dims[dim]),
             resultDims(func, state.result)[state.axis]);
    func->setAttr("kernel.state_sizes", list.getDictionary(func.getContext()));
  }

  /// insert_slice(x, insert_slice(past, empty))
  ///   -> extract_slice(insert_slice(x, buffer)); the whole buffer.
  Value append(func::FuncOp func, const State &state, unsigned number,
               StringAttr room, BlockArgument length) {
    Builder builder(&getContext());
    auto type = cast<RankedTensorType>(state.past.getType());
    NamedAttrList attrs(func.getArgAttrDict(state.past.getArgNumber()));
    SmallVector<Attribute> dims(
        llvm::to_vector(cast<ArrayAttr>(attrs.get("onnx.dims"))));
    dims[state.axis] = room;
    attrs.set("onnx.dims", builder.getArrayAttr(dims));
    attrs.set("kernel.state", builder.getI64IntegerAttr(number));
    attrs.set("kernel.state_axis", builder.getI64IntegerAttr(state.axis));
    if (auto name =
            func.getResultAttrOfType<StringAttr>(state.result, "onnx.name"))
      attrs.set("kernel.state_result", name);
    BlockArgument buffer = addArgument(func, type, attrs.getAttrs());

    for (Operation *user : llvm::make_early_inc_range(state.past.getUsers()))
      if (auto dim = dyn_cast<tensor::DimOp>(user)) {
        if (dim.getConstantIndex() == state.axis) {
          dim.replaceAllUsesWith(Value(length));
          dim.erase();
        } else {
          dim.getSourceMutable().assign(buffer);
        }
      }
    tensor::InsertSliceOp appended = state.appended;
    SmallVector<OpFoldResult> sizes = state.joinedSizes();
    appended.getDestMutable().assign(buffer);
    appended.getResult().setType(type);
    OpBuilder b(appended->getContext());
    b.setInsertionPointAfter(appended);
    auto rows = tensor::ExtractSliceOp::create(
        b, appended.getLoc(), state.joined().getType(), appended.getResult(),
        SmallVector<OpFoldResult>(type.getRank(), b.getIndexAttr(0)), sizes,
        SmallVector<OpFoldResult>(type.getRank(), b.getIndexAttr(1)));
    // A slice of the joined tensor is one of the buffer.
    appended.getResult().replaceUsesWithIf(rows, [](OpOperand &use) {
      return !isa<tensor::ExtractSliceOp>(use.getOwner());
    });
    return appended.getResult();
  }

  /// The other results, the buffers, the length with the new rows.
  static void rebuildResults(func::FuncOp func, ArrayRef<State> states,
                             ArrayRef<Value> buffers, Value total,
                             NamedAttrList lengthAttrs) {
    Operation *ret = func.front().getTerminator();
    Builder builder(func.getContext());
    SmallVector<Value> values;
    SmallVector<Attribute> attrs;
    for (unsigned i = 0, e = ret->getNumOperands(); i != e; ++i) {
      if (llvm::any_of(states,
                       [&](const State &state) { return state.result == i; }))
        continue;
      values.push_back(ret->getOperand(i));
      DictionaryAttr known = func.getResultAttrDict(i);
      attrs.push_back(known ? known : builder.getDictionaryAttr({}));
    }
    for (auto [i, buffer] : llvm::enumerate(buffers)) {
      values.push_back(buffer);
      attrs.push_back(builder.getDictionaryAttr(
          builder.getNamedAttr("kernel.state", builder.getI64IntegerAttr(i))));
    }
    values.push_back(total);
    attrs.push_back(lengthAttrs.getDictionary(func.getContext()));
    ret->setOperands(values);
    func.setType(builder.getFunctionType(func.getArgumentTypes(),
                                         TypeRange(ValueRange(values))));
    func.setResAttrsAttr(builder.getArrayAttr(attrs));
  }
};

} // namespace
