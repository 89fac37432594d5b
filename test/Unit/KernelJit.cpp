// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelJit.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "sparse-opt/Pipelines/Registration.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace sparse_opt;

static const DialectRegistry &registry() {
  static const DialectRegistry *all = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    auto *registry = new DialectRegistry;
    registerEverything(*registry);
    registerAllToLLVMIRTranslations(*registry);
    return registry;
  }();
  return *all;
}

static void lower(ModuleOp module, const TargetInfo &target) {
  auto run = [&](const std::string &pipeline) {
    PassManager pm(module.getContext());
    if (failed(parsePassPipeline(pipeline, pm)) || failed(pm.run(module)))
      llvm::report_fatal_error("a kernel doesn't compile");
  };
  run("convert-kernel-to-vector{target=" + target.name.str() + "}");
  run("expand-math{target=" + target.name.str() + "}");
  // Stands in for the arena: scratch lives for one iteration.
  module.walk([](memref::AllocOp alloc) {
    OpBuilder atEnd(alloc->getBlock()->getTerminator());
    memref::DeallocOp::create(atEnd, alloc.getLoc(), alloc);
  });
  run("canonicalize,cse,convert-vector-to-scf{full-unroll=true},"
      "convert-scf-to-cf,expand-strided-metadata,lower-affine,"
      "convert-math-to-llvm,convert-vector-to-llvm{enable-x86vector},"
      "convert-to-llvm,reconcile-unrealized-casts,llvm-legalize-bf16-masks");
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  for (llvm::Function &function : module) {
    function.addFnAttr("target-cpu", machine.getTargetCPU());
    function.addFnAttr("target-features", machine.getTargetFeatureString());
  }
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3)
      .run(module, modules);
}

KernelJit::KernelJit(StringRef text, const TargetInfo &target) {
  MLIRContext context(registry(), MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module =
      parseSourceString<ModuleOp>(text, ParserConfig(&context));
  if (!module)
    llvm::report_fatal_error("a kernel doesn't parse");
  lower(*module, target);

  auto builder =
      llvm::cantFail(llvm::orc::JITTargetMachineBuilder::detectHost());
  builder.setCPU(target.cpu.str());
  builder.getFeatures() = llvm::SubtargetFeatures(target.features);
  builder.setCodeGenOptLevel(llvm::CodeGenOptLevel::Aggressive);
  auto machine = llvm::cantFail(builder.createTargetMachine());
  auto llvmContext = std::make_unique<llvm::LLVMContext>();
  std::unique_ptr<llvm::Module> llvmModule =
      translateModuleToLLVMIR(*module, *llvmContext);
  optimize(*llvmModule, *machine);
  jit = llvm::cantFail(llvm::orc::LLJITBuilder()
                           .setJITTargetMachineBuilder(std::move(builder))
                           .create());
  llvm::cantFail(jit->addIRModule(llvm::orc::ThreadSafeModule(
      std::move(llvmModule), std::move(llvmContext))));
}

void *KernelJit::address(const char *function) {
  return llvm::cantFail(jit->lookup(std::string("_mlir_ciface_") + function))
      .toPtr<void *>();
}
