// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model small enough to write its LLVM IR by hand, for tests of the
// artefacts: y: float[n, 4] = x: float[n, 4] + weights.
#ifndef SPARSE_OPT_TEST_UNIT_EMITFIXTURE_H
#define SPARSE_OPT_TEST_UNIT_EMITFIXTURE_H
#include "sparse-opt/Runtime/ModelAbi.h"
#include "sparse-opt/Target/Emit.h"
#include "sparse-opt/Target/Manifest.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SourceMgr.h"

namespace fixture {

inline constexpr const char *code = R"(
define void @plan(ptr %symbols, i64 %threads, ptr %dims, ptr %arena) {
  %n = load i64, ptr %symbols
  store i64 %n, ptr %dims
  %second = getelementptr i64, ptr %dims, i64 1
  store i64 4, ptr %second
  store i64 0, ptr %arena
  ret void
}
define void @run(ptr %call) {
  %weights = load ptr, ptr %call
  %inputs.at = getelementptr i8, ptr %call, i64 16
  %inputs = load ptr, ptr %inputs.at
  %x = load ptr, ptr %inputs
  %outputs.at = getelementptr i8, ptr %call, i64 24
  %outputs = load ptr, ptr %outputs.at
  %y = load ptr, ptr %outputs
  %symbols.at = getelementptr i8, ptr %call, i64 32
  %symbols = load ptr, ptr %symbols.at
  %n = load i64, ptr %symbols
  %ctx = alloca [3 x ptr]
  store ptr %weights, ptr %ctx
  %ctx.x = getelementptr ptr, ptr %ctx, i64 1
  store ptr %x, ptr %ctx.x
  %ctx.y = getelementptr ptr, ptr %ctx, i64 2
  store ptr %y, ptr %ctx.y
  %parallel.at = getelementptr i8, ptr %call, i64 48
  %parallel = load ptr, ptr %parallel.at
  call void %parallel(ptr %call, ptr @rows, ptr %ctx, i64 %n, i64 1)
  ret void
}
define void @rows(ptr %ctx, i64 %begin, i64 %end, i64 %thread) {
  %weights = load ptr, ptr %ctx
  %w = load <4 x float>, ptr %weights, align 4
  %ctx.x = getelementptr ptr, ptr %ctx, i64 1
  %x = load ptr, ptr %ctx.x
  %ctx.y = getelementptr ptr, ptr %ctx, i64 2
  %y = load ptr, ptr %ctx.y
  br label %head
head:
  %i = phi i64 [ %begin, %0 ], [ %next, %body ]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %body, label %exit
body:
  call void @helper(ptr %x, ptr %y, i64 %i, <4 x float> %w)
  %next = add i64 %i, 1
  br label %head
exit:
  ret void
}
define void @helper(ptr %x, ptr %y, i64 %i, <4 x float> %w) noinline {
  %from = getelementptr <4 x float>, ptr %x, i64 %i
  %value = load <4 x float>, ptr %from, align 4
  %sum = fadd <4 x float> %value, %w
  %to = getelementptr <4 x float>, ptr %y, i64 %i
  store <4 x float> %sum, ptr %to, align 4
  ret void
}
)";

/// Parses `text` for a variant that lives as long as `context`.
inline sparse_opt::VariantCode variant(llvm::LLVMContext &context,
                                       const char *isa, uint64_t bits,
                                       const char *text = code) {
  llvm::SMDiagnostic diagnostic;
  sparse_opt::VariantCode variant;
  variant.isa = isa;
  variant.isaBits = bits;
  variant.cpu = bits ? isa : "x86-64";
  variant.module = llvm::parseAssemblyString(text, diagnostic, context);
  variant.planSymbol = "plan";
  variant.runSymbol = "run";
  return variant;
}

inline sparse_opt::ModelDescription description() {
  sparse_opt::ModelDescription model;
  model.inputs = {{"x", 1, {{-1, "n"}, {4, ""}}}};
  model.outputs = {{"y", 1, {{-1, "n"}, {4, ""}}}};
  model.symbols = {"n"};
  sparse_opt::ManifestInfo info;
  info.modelHash = "0123";
  info.targets = {"x86-64-v3", "x86-64"};
  model.manifest = sparse_opt::buildManifest(std::move(info));
  return model;
}

/// Emits the model with four weights `base`, `base` + 1, ...
inline llvm::Error emit(float base, const sparse_opt::EmitOptions &options) {
  llvm::LLVMContext contexts[2];
  std::vector<sparse_opt::VariantCode> variants;
  variants.push_back(variant(contexts[0], "x86-64-v3", SO_ISA_X86_64_V3));
  variants.push_back(variant(contexts[1], "x86-64", 0));
  const float low[] = {base, base + 1}, high[] = {base + 2, base + 3};
  sparse_opt::WeightSegment segments[] = {
      {0, {reinterpret_cast<const char *>(low), sizeof(low)}},
      {8, {reinterpret_cast<const char *>(high), sizeof(high)}}};
  return sparse_opt::emitModel(description(), std::move(variants), segments,
                               4096, options);
}

} // namespace fixture
#endif // SPARSE_OPT_TEST_UNIT_EMITFIXTURE_H
