// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelJit.h"
#include "TileEmulation.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "sparse-opt/Pipelines/Registration.h"
#include "sparse-opt/Runtime/ModelAbi.h"
#include "llvm/ExecutionEngine/Orc/JITTargetMachineBuilder.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include <sys/syscall.h>
#include <unistd.h>

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

/// What runs the code for `target` here.
static const TargetInfo &machineFor(const TargetInfo &target) {
  return isEmulated(target) ? *lookupTarget("x86-64-v4-bf16") : target;
}

bool sparse_opt::isEmulated(const TargetInfo &target) {
  return target.isaBits & SO_ISA_AMX_BF16 && !hostRuns(target);
}

bool sparse_opt::canRun(const TargetInfo &target) {
  if (!hostRuns(machineFor(target)))
    return false;
  // Linux asks to be asked.
  constexpr int requestPermission = 0x1023, tileData = 18;
  return isEmulated(target) || !(target.isaBits & SO_ISA_AMX_BF16) ||
         syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
}

static void run(ModuleOp module, const std::string &pipeline) {
  PassManager pm(module.getContext());
  // Behind every pass it would take a fifth of a test's time.
  pm.enableVerifier(false);
  if (failed(parsePassPipeline(pipeline, pm)) || failed(pm.run(module)) ||
      failed(verify(module)))
    llvm::report_fatal_error("a kernel doesn't compile");
}

static void lowerModel(ModuleOp module, const TargetInfo &target) {
  run(module, "kernel-target-pipeline{target=" + target.name.str() +
                  "},kernel-llvm-pipeline");
}

static void lowerKernels(ModuleOp module, const TargetInfo &target) {
  run(module, "kernel-shorten-activations");
  run(module, "convert-kernel-to-vector{target=" + target.name.str() + "}");
  run(module, "expand-math{target=" + target.name.str() + "}");
  // Stands in for the arena: scratch lives for one iteration.
  module.walk([](memref::AllocOp alloc) {
    OpBuilder atEnd(alloc->getBlock()->getTerminator());
    memref::DeallocOp::create(atEnd, alloc.getLoc(), alloc);
  });
  if (isEmulated(target))
    emulateTiles(module);
  run(module,
      "canonicalize,cse,convert-vector-to-scf{full-unroll=true},"
      "convert-scf-to-cf,expand-strided-metadata,lower-affine,"
      "convert-math-to-llvm,convert-vector-to-llvm{enable-x86vector},"
      "convert-to-llvm,reconcile-unrealized-casts,llvm-legalize-bf16-masks");
}

static void optimize(llvm::Module &module, llvm::TargetMachine &machine,
                     StringRef tuneCpu) {
  module.setTargetTriple(machine.getTargetTriple());
  module.setDataLayout(machine.createDataLayout());
  for (llvm::Function &function : module) {
    function.addFnAttr("target-cpu", machine.getTargetCPU());
    function.addFnAttr("tune-cpu", tuneCpu);
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

KernelJit::KernelJit(StringRef text, const TargetInfo &target, Form form)
    : suffix(target.name) {
  llvm::replace(suffix, '-', '_');
  MLIRContext context(registry(), MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  OwningOpRef<ModuleOp> module =
      parseSourceString<ModuleOp>(text, ParserConfig(&context));
  if (!module)
    llvm::report_fatal_error("a kernel doesn't parse");
  form == Form::Model ? lowerModel(*module, target)
                      : lowerKernels(*module, target);

  auto builder =
      llvm::cantFail(llvm::orc::JITTargetMachineBuilder::detectHost());
  const TargetInfo &machineInfo = machineFor(target);
  builder.setCPU(machineInfo.cpu.str());
  builder.getFeatures() = llvm::SubtargetFeatures(machineInfo.features);
  builder.setCodeGenOptLevel(llvm::CodeGenOptLevel::Aggressive);
  auto machine = llvm::cantFail(builder.createTargetMachine());
  auto llvmContext = std::make_unique<llvm::LLVMContext>();
  std::unique_ptr<llvm::Module> llvmModule =
      translateModuleToLLVMIR(*module, *llvmContext);
  optimize(*llvmModule, *machine, machineInfo.tuneCpu);
  jit = llvm::cantFail(llvm::orc::LLJITBuilder()
                           .setJITTargetMachineBuilder(std::move(builder))
                           .create());
  llvm::cantFail(jit->addIRModule(llvm::orc::ThreadSafeModule(
      std::move(llvmModule), std::move(llvmContext))));
}

void *KernelJit::entry(StringRef name) {
  return address(("sparse_opt_" + name + "_" + suffix).str());
}

void *KernelJit::address(const std::string &symbol) {
  return llvm::cantFail(jit->lookup(symbol)).toPtr<void *>();
}
