// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// LLVM modules to object files: LLVM's -O3 pipeline and code generation for
// one CPU. Which CPUs there are is TargetInfo.h's, linking is Link.cpp's.
#include "Internal.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/Verifier.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"
#include <mutex>

using namespace llvm;

namespace sparse_opt {

static constexpr const char *tripleName = "x86_64-unknown-linux-gnu";

Expected<std::unique_ptr<TargetMachine>> createMachine(StringRef cpu,
                                                       StringRef features) {
  static std::once_flag once;
  std::call_once(once, [] {
    InitializeNativeTarget();
    InitializeNativeTargetAsmPrinter();
    InitializeNativeTargetAsmParser();
  });
  Triple triple(tripleName);
  std::string message;
  const Target *target = TargetRegistry::lookupTarget(triple, message);
  if (!target)
    return makeError("LLVM cannot compile for %s: %s", tripleName,
                     message.c_str());
  std::unique_ptr<TargetMachine> machine(target->createTargetMachine(
      triple, cpu, features, TargetOptions(), Reloc::PIC_, std::nullopt,
      CodeGenOptLevel::Aggressive));
  if (!machine)
    return makeError("LLVM has no code generator for %s", cpu.str().c_str());
  return machine;
}

std::string planName(StringRef isa) { return ("so_plan." + isa).str(); }
std::string runName(StringRef isa) { return ("so_run." + isa).str(); }

static Error exportAs(Module &module, StringRef from, const std::string &to) {
  Function *function = module.getFunction(from);
  if (!function || function->isDeclaration())
    return makeError("the code for a target lacks its function '%s'",
                     from.str().c_str());
  function->setName(to);
  function->setLinkage(GlobalValue::ExternalLinkage);
  function->setVisibility(GlobalValue::HiddenVisibility);
  return Error::success();
}

Error hideVariant(VariantCode &variant) {
  Module &module = *variant.module;
  for (GlobalValue &value : module.global_values()) {
    if (value.isDeclaration() || value.getName().starts_with("llvm."))
      continue;
    value.setVisibility(GlobalValue::DefaultVisibility);
    value.setLinkage(GlobalValue::InternalLinkage);
  }
  // The name ends up in the symbol table: the same for the same model.
  module.setSourceFileName("model." + variant.isa);
  if (Error error = exportAs(module, variant.planSymbol, planName(variant.isa)))
    return error;
  return exportAs(module, variant.runSymbol, runName(variant.isa));
}

/// Without the attribute on each function the cost model of -O3 assumes the
/// baseline's 128-bit vectors.
static void addTargetAttributes(Module &module, StringRef cpu,
                                StringRef features) {
  for (Function &function : module) {
    if (function.isDeclaration())
      continue;
    if (!function.hasFnAttribute("target-cpu"))
      function.addFnAttr("target-cpu", cpu);
    if (!features.empty() && !function.hasFnAttribute("target-features"))
      function.addFnAttr("target-features", features);
    function.addFnAttr(Attribute::NoUnwind);
  }
}

static void optimize(Module &module, TargetMachine &machine) {
  PipelineTuningOptions tuning;
  tuning.LoopUnrolling = true;
  tuning.LoopInterleaving = true;
  tuning.LoopVectorization = true;
  tuning.SLPVectorization = true;
  LoopAnalysisManager loops;
  FunctionAnalysisManager functions;
  CGSCCAnalysisManager sccs;
  ModuleAnalysisManager modules;
  PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  builder.buildPerModuleDefaultPipeline(OptimizationLevel::O3)
      .run(module, modules);
}

Expected<ObjectBuffer> emitObject(Module &module, StringRef cpu,
                                  StringRef features) {
  Expected<std::unique_ptr<TargetMachine>> machine =
      createMachine(cpu, features);
  if (!machine)
    return machine.takeError();
  module.setTargetTriple((*machine)->getTargetTriple());
  module.setDataLayout((*machine)->createDataLayout());
  module.setPICLevel(PICLevel::BigPIC);
  std::string message;
  raw_string_ostream diagnostics(message);
  if (verifyModule(module, &diagnostics))
    return makeError("the generated LLVM IR is invalid: %s", message.c_str());
  addTargetAttributes(module, cpu, features);
  optimize(module, **machine);
  ObjectBuffer object;
  raw_svector_ostream stream(object);
  legacy::PassManager codegen;
  if ((*machine)->addPassesToEmitFile(codegen, stream, nullptr,
                                      CodeGenFileType::ObjectFile))
    return makeError("LLVM cannot write object files for %s", tripleName);
  codegen.run(module);
  return std::move(object);
}

} // namespace sparse_opt
