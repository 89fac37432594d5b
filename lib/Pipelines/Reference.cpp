// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model as plain loops, compiled in memory: one-shot bufferisation,
// linalg-to-loops, libm. Deliberately shares nothing with the code generator
// but the weights' way out of the IR. Buffers are never freed by the loops;
// the allocator given to them remembers and frees all when a run is over.
#include "sparse-opt/Pipelines/Reference.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "sparse-opt/Conversion/Passes.h"
#include "sparse-opt/Pipelines/Describe.h"
#include "sparse-opt/Transforms/Passes.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include <cstdlib>
#include <cstring>

using namespace mlir;
using namespace sparse_opt;

static constexpr llvm::StringLiteral entryName = "sparse_opt_reference";

struct Reference::State {
  ModelDescription description;
  std::vector<uint8_t> weights;
  std::unique_ptr<llvm::orc::LLJIT> jit;
  void (*entry)(void **arguments) = nullptr;
};

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

static void buildLoops(OpPassManager &pm) {
  pm.addPass(createCanonicalizerPass()); // branches that aren't taken go
  // 1. Weights out of the IR, as in the model itself.
  pm.addPass(createLinalgDecomposeAggregates());
  pm.addPass(createKernelExternalizeWeights());
  // 2. Buffers; results are allocated by the callee.
  bufferization::OneShotBufferizePassOptions bufferize;
  bufferize.bufferizeFunctionBoundaries = true;
  bufferize.functionBoundaryTypeConversion =
      bufferization::LayoutMapOption::IdentityLayoutMap;
  pm.addPass(bufferization::createOneShotBufferizePass(bufferize));
  // 3. Loops, then the LLVM dialect.
  pm.addNestedPass<func::FuncOp>(createConvertLinalgToLoopsPass());
  pm.addPass(createKernelExpandReshapes());
  pm.addPass(memref::createExpandStridedMetadataPass());
  pm.addPass(createLowerAffinePass());
  pm.addPass(createSCFToControlFlowPass());
  pm.addPass(createConvertMathToLibmPass());
  pm.addPass(createConvertToLLVMPass());
  pm.addPass(createReconcileUnrealizedCastsPass());
}

/// Checks go: the caller's inputs are in range. What is computed by kernels for
/// few rows is computed as for many, and knobs stay as they are.
static void usePlainForms(ModuleOp module) {
  SmallVector<scf::IfOp> branches;
  module.walk([&](Operation *op) {
    OpBuilder builder(op);
    if (isa<kernel::CheckIndexOp, kernel::CheckSizesOp, kernel::NoteRowsOp>(op))
      op->erase();
    else if (auto knob = dyn_cast<kernel::KnobOp>(op))
      knob.replaceAllUsesWith(
          arith::ConstantOp::create(builder, op->getLoc(), knob.getValueAttr())
              .getResult());
    else if (auto branch = dyn_cast<scf::IfOp>(op);
             branch && branch->hasAttr(kernel::fewRowsAttr))
      branches.push_back(branch);
  });
  for (scf::IfOp branch : branches) {
    OpBuilder builder(branch);
    branch.getConditionMutable().assign(
        arith::ConstantIntOp::create(builder, branch.getLoc(), 0, 1));
  }
}

static LogicalResult lower(ModuleOp module) {
  module.walk([](func::FuncOp func) {
    func->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                  UnitAttr::get(func.getContext()));
  });
  usePlainForms(module);
  PassManager pm(module.getContext());
  buildLoops(pm);
  if (failed(pm.run(module)))
    return failure();
  // Roles of arguments have served; the translation would warn of them.
  module.walk([](LLVM::LLVMFuncOp func) { func.removeArgAttrsAttr(); });
  return success();
}

/// The constants that left the IR, at their offsets.
static std::vector<uint8_t> gatherWeights(ModuleOp module) {
  auto size = module->getAttrOfType<IntegerAttr>("kernel.weights_size");
  std::vector<uint8_t> bytes(size ? size.getInt() : 0);
  for (const WeightSegment &segment : collectWeights(module))
    memcpy(bytes.data() + segment.offset, segment.data.data(),
           segment.data.size());
  return bytes;
}

/// void entry(void **arguments) { ciface_main(arguments[0], ...); }
static void addEntry(llvm::Module &code) {
  llvm::Function *main = code.getFunction("_mlir_ciface_main");
  llvm::IRBuilder<> builder(code.getContext());
  auto *type =
      llvm::FunctionType::get(builder.getVoidTy(), {builder.getPtrTy()}, false);
  auto *entry = llvm::Function::Create(type, llvm::Function::ExternalLinkage,
                                       entryName, code);
  builder.SetInsertPoint(
      llvm::BasicBlock::Create(code.getContext(), "entry", entry));
  SmallVector<llvm::Value *> arguments;
  for (unsigned i = 0; i < main->arg_size(); ++i) {
    llvm::Value *slot =
        builder.CreateConstGEP1_64(builder.getPtrTy(), entry->getArg(0), i);
    arguments.push_back(builder.CreateLoad(builder.getPtrTy(), slot));
  }
  builder.CreateCall(main, arguments);
  builder.CreateRetVoid();
}

//===----------------------------------------------------------------------===//
// Code in memory
//===----------------------------------------------------------------------===//

/// Blocks of the run in progress in this thread.
static thread_local std::vector<void *> *currentBlocks;

static void *allocate(size_t bytes) {
  void *block = malloc(bytes ? bytes : 1);
  currentBlocks->push_back(block);
  return block;
}

namespace {
/// What LLVM's memref lowering passes for a memref of any rank.
struct AnyMemRef {
  int64_t rank;
  int64_t *words; // allocated, aligned, offset, sizes, strides

  char *data(int64_t elementSize) const {
    return reinterpret_cast<char *>(intptr_t(words[1])) +
           words[2] * elementSize;
  }
  int64_t size(int64_t dim) const { return words[3 + dim]; }
  int64_t stride(int64_t dim) const { return words[3 + rank + dim]; }
};
} // namespace

static void copyDim(int64_t elementSize, const AnyMemRef &from,
                    const AnyMemRef &to, int64_t dim, char *source,
                    char *target) {
  if (dim == from.rank) {
    memcpy(target, source, elementSize);
    return;
  }
  for (int64_t i = 0; i < from.size(dim); ++i)
    copyDim(elementSize, from, to, dim + 1,
            source + i * from.stride(dim) * elementSize,
            target + i * to.stride(dim) * elementSize);
}

/// What memref.copy becomes when the layouts differ.
static void copyMemRef(int64_t elementSize, AnyMemRef *from, AnyMemRef *to) {
  copyDim(elementSize, *from, *to, 0, from->data(elementSize),
          to->data(elementSize));
}

static llvm::Error optimise(llvm::Module &code) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder passes;
  passes.registerModuleAnalyses(modules);
  passes.registerCGSCCAnalyses(sccs);
  passes.registerFunctionAnalyses(functions);
  passes.registerLoopAnalyses(loops);
  passes.crossRegisterProxies(loops, functions, sccs, modules);
  passes.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O2)
      .run(code, modules);
  return llvm::Error::success();
}

static llvm::Expected<std::unique_ptr<llvm::orc::LLJIT>>
compile(ModuleOp module) {
  llvm::InitializeNativeTarget();
  llvm::InitializeNativeTargetAsmPrinter();
  auto context = std::make_unique<llvm::LLVMContext>();
  auto code = translateModuleToLLVMIR(module, *context, "reference");
  if (!code)
    return llvm::createStringError("the reference has no LLVM IR");
  addEntry(*code);
  auto jit = llvm::orc::LLJITBuilder().create();
  if (!jit)
    return jit.takeError();
  code->setDataLayout((*jit)->getDataLayout());
  if (llvm::Error error = optimise(*code))
    return std::move(error);
  auto process = llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
      (*jit)->getDataLayout().getGlobalPrefix());
  if (!process)
    return process.takeError();
  llvm::orc::SymbolMap symbols;
  symbols[(*jit)->mangleAndIntern("malloc")] = {
      llvm::orc::ExecutorAddr::fromPtr(allocate),
      llvm::JITSymbolFlags::Exported};
  symbols[(*jit)->mangleAndIntern("memrefCopy")] = {
      llvm::orc::ExecutorAddr::fromPtr(copyMemRef),
      llvm::JITSymbolFlags::Exported};
  llvm::orc::JITDylib &library = (*jit)->getMainJITDylib();
  if (llvm::Error error =
          library.define(llvm::orc::absoluteSymbols(std::move(symbols))))
    return std::move(error);
  library.addGenerator(std::move(*process));
  if (llvm::Error error = (*jit)->addIRModule(
          llvm::orc::ThreadSafeModule(std::move(code), std::move(context))))
    return std::move(error);
  return std::move(*jit);
}

Reference::Reference(std::unique_ptr<State> state) : state(std::move(state)) {}
Reference::~Reference() = default;

std::unique_ptr<Reference> Reference::build(ModuleOp module) {
  auto state = std::make_unique<State>();
  std::optional<ModelDescription> description = describeModel(module);
  if (!description || failed(lower(module)))
    return nullptr;
  state->description = std::move(*description);
  state->weights = gatherWeights(module);
  auto jit = compile(module);
  if (!jit) {
    module.emitError() << toString(jit.takeError());
    return nullptr;
  }
  state->jit = std::move(*jit);
  auto entry = state->jit->lookup(entryName);
  if (!entry) {
    module.emitError() << toString(entry.takeError());
    return nullptr;
  }
  state->entry = entry->toPtr<void (*)(void **)>();
  return std::unique_ptr<Reference>(new Reference(std::move(state)));
}

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

namespace {
/// A memref descriptor: allocated, aligned, offset, sizes, strides.
using Descriptor = std::vector<int64_t>;

Descriptor describeBuffer(const void *data, ArrayRef<int64_t> shape) {
  int64_t address = int64_t(reinterpret_cast<intptr_t>(data));
  Descriptor words = {address, address, 0};
  words.insert(words.end(), shape.begin(), shape.end());
  words.resize(3 + 2 * shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= shape[i])
    words[3 + shape.size() + i] = stride;
  return words;
}

/// Results come with identity layout, so their elements lie in a row.
NpyArray readBuffer(const TensorDescription &tensor, const int64_t *words) {
  NpyArray array{tensor.name, tensor.elementType, {}, {}};
  int64_t size = elementSize(tensor.elementType), bytes = size;
  for (size_t i = 0; i < tensor.dims.size(); ++i) {
    array.shape.push_back(words[3 + i]);
    bytes *= words[3 + i];
  }
  auto *data = reinterpret_cast<const uint8_t *>(intptr_t(words[1]));
  array.data.assign(data + words[2] * size, data + words[2] * size + bytes);
  return array;
}
} // namespace

llvm::Expected<std::vector<NpyArray>>
Reference::run(const std::vector<NpyArray> &inputs) const {
  std::vector<Descriptor> buffers;
  for (const TensorDescription &tensor : state->description.inputs) {
    auto input = llvm::find_if(inputs, [&](const NpyArray &array) {
      return array.name == tensor.name;
    });
    if (input == inputs.end() || input->elementType != tensor.elementType ||
        input->shape.size() != tensor.dims.size())
      return llvm::createStringError("input '" + tensor.name +
                                     "' is missing or of another type");
    buffers.push_back(describeBuffer(input->data.data(), input->shape));
  }
  buffers.push_back(
      describeBuffer(state->weights.data(), {int64_t(state->weights.size())}));

  size_t words = 0;
  for (const TensorDescription &tensor : state->description.outputs)
    words += 3 + 2 * tensor.dims.size();
  std::vector<int64_t> results(words);
  std::vector<void *> arguments = {results.data()};
  for (Descriptor &buffer : buffers)
    arguments.push_back(buffer.data());

  std::vector<void *> blocks;
  currentBlocks = &blocks;
  state->entry(arguments.data());
  currentBlocks = nullptr;

  std::vector<NpyArray> outputs;
  const int64_t *at = results.data();
  for (const TensorDescription &tensor : state->description.outputs) {
    outputs.push_back(readBuffer(tensor, at));
    at += 3 + 2 * tensor.dims.size();
  }
  for (void *block : blocks)
    free(block);
  return outputs;
}
