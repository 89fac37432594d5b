// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The two functions of ModelAbi.h that the runtime calls: `plan` wraps
// @kernel_output_dims and @kernel_arena_bytes, `run` unpacks a so_call into
// the arguments of @main. What the pointers mean is decided by the argument
// attributes that earlier passes left.
#include "MemRefPacking.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "sparse-opt/Conversion/Passes.h"
#include "sparse-opt/Runtime/ModelAbi.h"
#include <cstddef>

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELEMITENTRYPOINTS
#include "sparse-opt/Conversion/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

namespace {
/// Loads and stores through untyped pointers.
struct Memory {
  OpBuilder &builder;
  Location loc;

  Value at(Value pointer, int64_t bytes) {
    Type ptr = LLVM::LLVMPointerType::get(builder.getContext());
    return LLVM::GEPOp::create(builder, loc, ptr, builder.getI8Type(), pointer,
                               ArrayRef<LLVM::GEPArg>{int32_t(bytes)});
  }
  Value loadPointer(Value pointer, int64_t bytes) {
    Type ptr = LLVM::LLVMPointerType::get(builder.getContext());
    return LLVM::LoadOp::create(builder, loc, ptr, at(pointer, bytes));
  }
  Value loadIndex(Value pointer, int64_t bytes) {
    Value value = LLVM::LoadOp::create(builder, loc, builder.getI64Type(),
                                       at(pointer, bytes));
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                      value);
  }
  void storeIndex(Value index, Value pointer, int64_t bytes) {
    Value value =
        arith::IndexCastOp::create(builder, loc, builder.getI64Type(), index);
    LLVM::StoreOp::create(builder, loc, value, at(pointer, bytes));
  }
};

struct EmitEntryPoints
    : public sparse_opt::impl::KernelEmitEntryPointsBase<EmitEntryPoints> {
  using Base::Base;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    auto dims = getOperation().lookupSymbol<func::FuncOp>("kernel_output_dims");
    auto bytes =
        getOperation().lookupSymbol<func::FuncOp>("kernel_arena_bytes");
    if (!main || !dims || !bytes) {
      getOperation().emitError("needs @main, @kernel_output_dims and "
                               "@kernel_arena_bytes");
      return signalPassFailure();
    }
    emitPlan(dims, bytes);
    if (failed(emitRun(main, dims)))
      return signalPassFailure();
    main.setPrivate();
  }

  func::FuncOp createEntry(StringRef name, TypeRange arguments) {
    OpBuilder builder = OpBuilder::atBlockEnd(getOperation().getBody());
    auto func =
        func::FuncOp::create(builder, getOperation().getLoc(),
                             ("sparse_opt_" + name + "_" + suffix).str(),
                             builder.getFunctionType(arguments, {}));
    func.addEntryBlock();
    return func;
  }

  /// plan(symbols, threads, output_dims, arena_bytes)
  void emitPlan(func::FuncOp dims, func::FuncOp bytes) {
    Type ptr = LLVM::LLVMPointerType::get(&getContext());
    Type i64 = IntegerType::get(&getContext(), 64);
    func::FuncOp plan = createEntry("plan", {ptr, i64, ptr, ptr});
    OpBuilder builder = OpBuilder::atBlockEnd(&plan.front());
    Memory memory{builder, plan.getLoc()};
    SmallVector<Value> symbols;
    for (unsigned i = 0, e = dims.getNumArguments(); i != e; ++i)
      symbols.push_back(memory.loadIndex(plan.getArgument(0), 8 * i));
    auto sizes = func::CallOp::create(builder, plan.getLoc(), dims, symbols);
    for (auto [i, size] : llvm::enumerate(sizes.getResults()))
      memory.storeIndex(size, plan.getArgument(2), 8 * i);
    symbols.push_back(arith::IndexCastOp::create(
        builder, plan.getLoc(), builder.getIndexType(), plan.getArgument(1)));
    auto arena = func::CallOp::create(builder, plan.getLoc(), bytes, symbols);
    memory.storeIndex(arena.getResult(0), plan.getArgument(3), 0);
    func::ReturnOp::create(builder, plan.getLoc());
  }

  /// run(call)
  LogicalResult emitRun(func::FuncOp main, func::FuncOp dims) {
    Type ptr = LLVM::LLVMPointerType::get(&getContext());
    // The call travels on to launches and index checks.
    if (failed(main.insertArgument(
            main.getNumArguments(), ptr,
            DictionaryAttr::get(
                &getContext(),
                NamedAttribute(StringAttr::get(&getContext(), "kernel.call"),
                               UnitAttr::get(&getContext()))),
            main.getLoc())))
      return failure();
    func::FuncOp run = createEntry("run", ptr);
    OpBuilder builder = OpBuilder::atBlockEnd(&run.front());
    Memory memory{builder, run.getLoc()};
    Value call = run.getArgument(0);
    SmallVector<Value> symbols = loadSymbols(memory, call, main);
    auto sizes =
        func::CallOp::create(builder, run.getLoc(), dims, ArrayRef(symbols));
    llvm::StringMap<Value> byName;
    for (auto [i, name] : llvm::enumerate(symbolNames()))
      byName[name] = symbols[i];
    SmallVector<Value> arguments;
    for (BlockArgument argument : main.getArguments()) {
      Value value =
          argumentOf(memory, call, main, argument, byName, sizes.getResults());
      if (!value)
        return main.emitError("argument ")
               << argument.getArgNumber() << " of @main has no known role";
      arguments.push_back(value);
    }
    func::CallOp::create(builder, run.getLoc(), main, arguments);
    func::ReturnOp::create(builder, run.getLoc());
    return success();
  }

  SmallVector<StringRef> symbolNames() {
    auto names = getOperation()->getAttrOfType<ArrayAttr>("kernel.symbols");
    return names ? llvm::to_vector(names.getAsValueRange<StringAttr>())
                 : SmallVector<StringRef>();
  }

  SmallVector<Value> loadSymbols(Memory memory, Value call, func::FuncOp main) {
    Value base = memory.loadPointer(call, offsetof(so_call, symbols));
    SmallVector<Value> symbols;
    for (unsigned i = 0, e = symbolNames().size(); i != e; ++i)
      symbols.push_back(memory.loadIndex(base, 8 * i));
    return symbols;
  }

  Value argumentOf(Memory memory, Value call, func::FuncOp main,
                   BlockArgument argument,
                   const llvm::StringMap<Value> &symbols, ValueRange sizes) {
    unsigned i = argument.getArgNumber();
    auto has = [&](StringRef name) { return main.getArgAttr(i, name); };
    if (auto symbol = main.getArgAttrOfType<StringAttr>(i, "kernel.symbol"))
      return symbols.lookup(symbol.getValue());
    if (has("kernel.threads"))
      return memory.loadIndex(call, offsetof(so_call, threads));
    if (has("kernel.call"))
      return call;
    if (has("kernel.weights_base"))
      return bytesAt(memory, argument,
                     memory.loadPointer(call, offsetof(so_call, weights)));
    if (has("kernel.arena"))
      return bytesAt(memory, argument,
                     memory.loadPointer(call, offsetof(so_call, arena)));
    if (auto input = main.getArgAttrOfType<IntegerAttr>(i, "kernel.input"))
      return inputAt(memory, call, offsetof(so_call, inputs), main, argument,
                     input.getInt(), symbols);
    if (auto state = main.getArgAttrOfType<IntegerAttr>(i, "kernel.state"))
      return inputAt(memory, call, offsetof(so_call, states), main, argument,
                     state.getInt(), symbols);
    if (auto output = main.getArgAttrOfType<IntegerAttr>(i, "kernel.output"))
      return outputAt(memory, call, main, argument, output.getInt(), sizes);
    return Value();
  }

  /// The extent of weights and arena is the runtime's business.
  Value bytesAt(Memory memory, BlockArgument argument, Value pointer) {
    Value unknown = arith::ConstantIndexOp::create(
        memory.builder, memory.loc, std::numeric_limits<int64_t>::max());
    return buildMemRef(memory.builder, memory.loc,
                       cast<MemRefType>(argument.getType()), pointer, unknown);
  }

  /// Number `number` of the pointers at `table`, sized by symbols.
  Value inputAt(Memory memory, Value call, int64_t table, func::FuncOp main,
                BlockArgument argument, int64_t number,
                const llvm::StringMap<Value> &symbols) {
    auto type = cast<MemRefType>(argument.getType());
    auto names = main.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                  "kernel.input_symbols");
    SmallVector<Value> sizes;
    for (StringRef name : names.getAsValueRange<StringAttr>())
      sizes.push_back(symbols.lookup(name));
    Value base = memory.loadPointer(call, table);
    return buildMemRef(memory.builder, memory.loc, type,
                       memory.loadPointer(base, 8 * number), sizes);
  }

  Value outputAt(Memory memory, Value call, func::FuncOp main,
                 BlockArgument argument, int64_t number, ValueRange sizes) {
    unsigned first = 0;
    for (BlockArgument other : main.getArguments())
      if (auto output = main.getArgAttrOfType<IntegerAttr>(other.getArgNumber(),
                                                           "kernel.output"))
        if (output.getInt() < number)
          first += cast<MemRefType>(other.getType()).getRank();
    auto type = cast<MemRefType>(argument.getType());
    SmallVector<Value> dynamic;
    for (int64_t d : llvm::seq(type.getRank()))
      if (type.isDynamicDim(d))
        dynamic.push_back(sizes[first + d]);
    Value base = memory.loadPointer(call, offsetof(so_call, outputs));
    return buildMemRef(memory.builder, memory.loc, type,
                       memory.loadPointer(base, 8 * number), dynamic);
  }
};
} // namespace
