// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The last step in IR: MLIR's LLVM dialect to an llvm::Module for one CPU.
// Optimising it and writing objects is lib/Target's.
#include "sparse-opt/Conversion/TranslateToLLVM.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "sparse-opt/Target/TargetInfo.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

using namespace mlir;
using namespace sparse_opt;

static constexpr llvm::StringLiteral triple = "x86_64-unknown-linux-gnu";

static LogicalResult setTarget(llvm::Module &module, ModuleOp source,
                               const TargetInfo &target) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  std::string error;
  llvm::Triple parsed(triple);
  const llvm::Target *backend =
      llvm::TargetRegistry::lookupTarget(parsed, error);
  if (!backend)
    return source.emitError("LLVM has no code generator for ")
           << triple << ": " << error;
  std::unique_ptr<llvm::TargetMachine> machine(
      backend->createTargetMachine(parsed, target.cpu, target.features,
                                   llvm::TargetOptions(), llvm::Reloc::PIC_));
  module.setTargetTriple(parsed);
  module.setDataLayout(machine->createDataLayout());
  return success();
}

/// What an argument stood for has been used; LLVM IR has no place for it.
static void dropArgumentRoles(ModuleOp module) {
  for (auto func : module.getOps<FunctionOpInterface>())
    for (unsigned i = 0, e = func.getNumArguments(); i != e; ++i) {
      SmallVector<NamedAttribute> roles = llvm::to_vector(func.getArgAttrs(i));
      for (NamedAttribute role : roles)
        if (role.getName().getValue().starts_with("kernel."))
          func.removeArgAttr(i, role.getName());
    }
}

std::unique_ptr<llvm::Module>
sparse_opt::translateToLLVM(ModuleOp module, const TargetInfo &target,
                            llvm::LLVMContext &context) {
  dropArgumentRoles(module);
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  module.getContext()->appendDialectRegistry(registry);
  std::unique_ptr<llvm::Module> result =
      translateModuleToLLVMIR(module, context, "sparse-opt");
  if (!result || failed(setTarget(*result, module, target)))
    return nullptr;
  for (llvm::Function &function : *result) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", target.cpu);
    function.addFnAttr("tune-cpu", target.tuneCpu);
    if (!target.features.empty())
      function.addFnAttr("target-features", target.features);
    function.addFnAttr("prefer-vector-width",
                       std::to_string(target.vectorBits));
    function.addFnAttr(llvm::Attribute::NoUnwind);
  }
  return result;
}
