// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.launch and the kernel.check ops in terms of a so_call (ModelAbi.h): a
// launch stores its captures in a record on the stack and calls the runtime's
// `parallel` with a thunk that loads them; a check fills the error slot. Sizes
// are checked before anything else, and a function ends when they don't fit:
// its loops would leave their buffers. Ordinary --convert-to-llvm does the
// rest.
#include "KernelCall.h"
#include "MemRefPacking.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "sparse-opt/Conversion/Passes.h"
#include "sparse-opt/Runtime/ModelAbi.h"
#include <cstddef>

namespace sparse_opt {
#define GEN_PASS_DEF_CONVERTKERNELTOLLVM
#include "sparse-opt/Conversion/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

namespace sparse_opt {
Type pointerType(Builder &builder) {
  return LLVM::LLVMPointerType::get(builder.getContext());
}

Value fieldAt(OpBuilder &builder, Location loc, Value pointer, int64_t bytes) {
  return LLVM::GEPOp::create(builder, loc, pointerType(builder),
                             builder.getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{int32_t(bytes)});
}

Value toI64(OpBuilder &builder, Location loc, Value index) {
  return arith::IndexCastOp::create(builder, loc, builder.getI64Type(), index);
}

Value toIndex(OpBuilder &builder, Location loc, Value value) {
  return arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                    value);
}

Value callOf(func::FuncOp func) {
  for (BlockArgument argument : func.getArguments())
    if (func.getArgAttr(argument.getArgNumber(), "kernel.call"))
      return argument;
  return Value();
}
} // namespace sparse_opt

namespace {

/// Every captured word takes eight bytes of the record.
constexpr int64_t wordBytes = 8;

struct ConvertKernelToLLVM
    : public sparse_opt::impl::ConvertKernelToLLVMBase<ConvertKernelToLLVM> {
  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>())
      checkSizesFirst(func);
    if (failed(convertKnobsAndCounts(getOperation())))
      return signalPassFailure();
    SmallVector<kernel::LaunchOp> launches;
    SmallVector<Operation *> checks;
    getOperation().walk([&](Operation *op) {
      if (auto launch = dyn_cast<kernel::LaunchOp>(op))
        launches.push_back(launch);
      else if (isa<kernel::CheckIndexOp, kernel::CheckSizesOp>(op))
        checks.push_back(op);
    });
    for (auto [number, launch] : llvm::enumerate(launches))
      if (failed(convert(launch, number)))
        return signalPassFailure();
    for (Operation *check : checks)
      if (failed(convertCheck(check)))
        return signalPassFailure();
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      dropRoles(func);
      if (func.isPrivate() && !func.isExternal())
        func->setAttr(
            "llvm.linkage",
            LLVM::LinkageAttr::get(&getContext(), LLVM::Linkage::Internal));
    }
  }

  /// Attributes of arguments have served; the translation would warn of them.
  static void dropRoles(func::FuncOp func) {
    for (unsigned i = 0, e = func.getNumArguments(); i != e; ++i)
      for (NamedAttribute attr :
           llvm::to_vector(mlir::function_interface_impl::getArgAttrs(func, i)))
        if (StringRef name = attr.getName();
            name.starts_with("kernel.") || name.starts_with("onnx."))
          func.removeArgAttr(i, attr.getName());
  }

  FailureOr<Value> callFor(Operation *op) {
    Value call = callOf(op->getParentOfType<func::FuncOp>());
    if (!call)
      return op->emitOpError("needs a function with a `kernel.call` argument");
    return call;
  }

  //===--------------------------------------------------------------------===//
  // Launches
  //===--------------------------------------------------------------------===//

  LogicalResult convert(kernel::LaunchOp launch, int64_t number) {
    FailureOr<Value> call = callFor(launch);
    if (failed(call))
      return failure();
    Location loc = launch.getLoc();
    OpBuilder builder(launch);
    auto body = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
        launch, launch.getBodyAttr());
    Value record = recordOf(launch->getParentOfType<func::FuncOp>());
    int64_t offset = 0;
    for (Value capture : launch.getCaptures())
      for (Value word : packWords(builder, loc, capture)) {
        LLVM::StoreOp::create(builder, loc, word,
                              fieldAt(builder, loc, record, offset));
        offset += wordBytes;
      }
    growRecord(record, offset);
    func::FuncOp thunk = thunkFor(body);
    Value address =
        UnrealizedConversionCastOp::create(
            builder, loc, pointerType(builder),
            func::ConstantOp::create(builder, loc, thunk.getFunctionType(),
                                     SymbolRefAttr::get(thunk))
                .getResult())
            .getResult(0);
    Value parallel = LLVM::LoadOp::create(
        builder, loc, pointerType(builder),
        fieldAt(builder, loc, *call, offsetof(so_call, parallel)));
    Type i64 = builder.getI64Type(), ptr = pointerType(builder);
    LLVM::StoreOp::create(
        builder, loc, arith::ConstantIntOp::create(builder, loc, number, 64),
        fieldAt(builder, loc, *call, offsetof(so_call, launch)));
    auto type = LLVM::LLVMFunctionType::get(
        LLVM::LLVMVoidType::get(&getContext()), {ptr, ptr, ptr, i64, i64});
    LLVM::CallOp::create(builder, loc, type,
                         ValueRange{parallel, *call, address, record,
                                    toI64(builder, loc, launch.getCount()),
                                    toI64(builder, loc, launch.getGrain())});
    launch.erase();
    return success();
  }

  /// One record a function: launches follow each other.
  Value recordOf(func::FuncOp func) {
    Value &record = records[func];
    if (!record) {
      OpBuilder builder = OpBuilder::atBlockBegin(&func.front());
      Value one =
          LLVM::ConstantOp::create(builder, func.getLoc(), builder.getI64Type(),
                                   builder.getI64IntegerAttr(1));
      record =
          LLVM::AllocaOp::create(builder, func.getLoc(), pointerType(builder),
                                 builder.getI8Type(), one, 64);
    }
    return record;
  }

  static void growRecord(Value record, int64_t bytes) {
    auto alloca = record.getDefiningOp<LLVM::AllocaOp>();
    auto type = dyn_cast<LLVM::LLVMArrayType>(alloca.getElemType());
    if (!type || int64_t(type.getNumElements()) < bytes)
      alloca.setElemType(
          LLVM::LLVMArrayType::get(IntegerType::get(record.getContext(), 8),
                                   std::max<int64_t>(bytes, 1)));
  }

  /// thunk(record, begin, end, thread) calls the body.
  func::FuncOp thunkFor(func::FuncOp body) {
    func::FuncOp &thunk = thunks[body];
    if (thunk)
      return thunk;
    Location loc = body.getLoc();
    OpBuilder builder(body);
    Type i64 = builder.getI64Type();
    thunk = func::FuncOp::create(
        builder, loc, (body.getName() + "_thunk").str(),
        builder.getFunctionType({pointerType(builder), i64, i64, i64}, {}));
    thunk.setPrivate();
    builder.setInsertionPointToEnd(thunk.addEntryBlock());
    SmallVector<Value> arguments;
    for (unsigned i : {1, 2, 3})
      arguments.push_back(toIndex(builder, loc, thunk.getArgument(i)));
    int64_t offset = 0;
    for (Type type : body.getArgumentTypes().drop_front(3)) {
      SmallVector<Value> words;
      for (Type word : wordTypes(type)) {
        words.push_back(LLVM::LoadOp::create(
            builder, loc, word,
            fieldAt(builder, loc, thunk.getArgument(0), offset)));
        offset += wordBytes;
      }
      arguments.push_back(unpackWords(builder, loc, type, words));
    }
    func::CallOp::create(builder, loc, body, arguments);
    func::ReturnOp::create(builder, loc);
    return thunk;
  }

  //===--------------------------------------------------------------------===//
  // Checks
  //===--------------------------------------------------------------------===//

  LogicalResult convertCheck(Operation *check) {
    FailureOr<Value> call = callFor(check);
    if (failed(call))
      return failure();
    OpBuilder builder(check);
    if (auto sizes = dyn_cast<kernel::CheckSizesOp>(check))
      checkSizes(builder, sizes, *call);
    else
      checkIndices(builder, cast<kernel::CheckIndexOp>(check), *call);
    check->erase();
    return success();
  }

  void checkIndices(OpBuilder &builder, kernel::CheckIndexOp check,
                    Value call) {
    Location loc = check.getLoc();
    Value indices = check.getIndices();
    auto type = cast<MemRefType>(indices.getType());
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    SmallVector<Value> lower(type.getRank(), zero), upper,
        step(type.getRank(), one);
    for (int64_t d : llvm::seq(type.getRank()))
      upper.push_back(memref::DimOp::create(builder, loc, indices, d));
    scf::buildLoopNest(builder, loc, lower, upper, step,
                       [&](OpBuilder &nested, Location, ValueRange ivs) {
                         Value index =
                             memref::LoadOp::create(nested, loc, indices, ivs);
                         checkOne(nested, check, call, index);
                       });
  }

  void checkOne(OpBuilder &builder, kernel::CheckIndexOp check, Value call,
                Value index) {
    Location loc = check.getLoc();
    if (index.getType().isIndex())
      index = toI64(builder, loc, index);
    else if (index.getType() != builder.getI64Type())
      index = arith::ExtSIOp::create(builder, loc, builder.getI64Type(), index);
    Value bound = toI64(builder, loc, check.getBound());
    // -bound <= index < bound, as one unsigned comparison.
    Value shifted = arith::AddIOp::create(builder, loc, index, bound);
    Value range = arith::AddIOp::create(builder, loc, bound, bound);
    Value bad = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::uge,
                                      shifted, range);
    noteWhere(builder, loc, bad, call, check.getMessageAttr(), index, bound,
              /*areSizes=*/false);
  }

  /// Moves checks of sizes, which only arguments decide, before all else and
  /// ends the function behind them when one has failed. A check inside a loop
  /// or of sizes that are computed from memory stays where it is.
  static void checkSizesFirst(func::FuncOp func) {
    Value call = func.isExternal() ? Value() : callOf(func);
    if (!call || func.getNumResults())
      return;
    Block *entry = &func.front();
    SetVector<Operation *> first;
    // Stack that a function takes once must be taken in its first block.
    for (auto alloca : entry->getOps<memref::AllocaOp>())
      if (alloca->getNumOperands() == 0)
        first.insert(alloca);
    size_t numAllocas = first.size();
    for (auto check : entry->getOps<kernel::CheckSizesOp>())
      insertWithOperands(check, first);
    if (first.size() == numAllocas)
      return;
    for (Operation *op : llvm::reverse(first))
      op->moveBefore(entry, entry->begin());
    Block *rest = entry->splitBlock(first.back()->getNextNode());
    Block *end = &func.getBody().emplaceBlock();
    Location loc = func.getLoc();
    OpBuilder builder = OpBuilder::atBlockEnd(end);
    func::ReturnOp::create(builder, loc);
    builder.setInsertionPointToEnd(entry);
    Type pointer = pointerType(builder);
    Value message = LLVM::LoadOp::create(
        builder, loc, pointer,
        fieldAt(builder, loc, call, offsetof(so_call, error_message)));
    Value fits =
        LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::eq, message,
                             LLVM::ZeroOp::create(builder, loc, pointer));
    cf::CondBranchOp::create(builder, loc, fits, rest, end);
  }

  /// Adds `check` behind what it is computed from, if that may be moved.
  static void insertWithOperands(kernel::CheckSizesOp check,
                                 SetVector<Operation *> &ops) {
    SetVector<Operation *> slice;
    (void)getBackwardSlice(check.getOperation(), &slice);
    for (Operation *op : slice)
      if (op->getBlock() != check->getBlock() || !isMemoryEffectFree(op))
        return;
    ops.insert_range(slice);
    ops.insert(check);
  }

  void checkSizes(OpBuilder &builder, kernel::CheckSizesOp check, Value call) {
    Location loc = check.getLoc();
    Value yes = arith::ConstantIntOp::create(builder, loc, 1, 1);
    Value bad = arith::XOrIOp::create(builder, loc, check.getHolds(), yes);
    noteWhere(builder, loc, bad, call, check.getMessageAttr(),
              toI64(builder, loc, check.getLhs()),
              toI64(builder, loc, check.getRhs()), /*areSizes=*/true);
  }

  /// Where `bad`, and if it is the first error of the call: note it.
  void noteWhere(OpBuilder &builder, Location loc, Value bad, Value call,
                 StringAttr message, Value value, Value bound, bool areSizes) {
    auto onBad = scf::IfOp::create(builder, loc, bad, /*withElse=*/false);
    OpBuilder inBad = onBad.getThenBodyBuilder();
    Value slot = fieldAt(inBad, loc, call, offsetof(so_call, error_message));
    Value present = LLVM::LoadOp::create(inBad, loc, pointerType(inBad), slot);
    Value null = LLVM::ZeroOp::create(inBad, loc, pointerType(inBad));
    Value first = LLVM::ICmpOp::create(inBad, loc, LLVM::ICmpPredicate::eq,
                                       present, null);
    auto onFirst = scf::IfOp::create(inBad, loc, first, /*withElse=*/false);
    OpBuilder then = onFirst.getThenBodyBuilder();
    Value kind = arith::ConstantIntOp::create(then, loc, areSizes, 64);
    auto store = [&](Value field, size_t offset) {
      LLVM::StoreOp::create(then, loc, field, fieldAt(then, loc, call, offset));
    };
    LLVM::StoreOp::create(then, loc, messageAddress(then, loc, message), slot);
    store(value, offsetof(so_call, error_value));
    store(bound, offsetof(so_call, error_bound));
    store(kind, offsetof(so_call, error_is_sizes));
  }

  Value messageAddress(OpBuilder &builder, Location loc, StringAttr message) {
    LLVM::GlobalOp &global = messages[message];
    if (!global) {
      OpBuilder top = OpBuilder::atBlockBegin(getOperation().getBody());
      std::string text = message.str() + '\0';
      auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), text.size());
      global = LLVM::GlobalOp::create(
          top, loc, type, /*isConstant=*/true, LLVM::Linkage::Internal,
          "kernel_message_" + std::to_string(messages.size()),
          builder.getStringAttr(text));
    }
    return LLVM::AddressOfOp::create(builder, loc, global);
  }

  DenseMap<Operation *, Value> records;
  DenseMap<Operation *, func::FuncOp> thunks;
  DenseMap<Attribute, LLVM::GlobalOp> messages;
};
} // namespace
