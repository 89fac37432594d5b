// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_CONVERSION_PASSES_TD
#define SPARSE_OPT_CONVERSION_PASSES_TD
include "mlir/Pass/PassBase.td"

def ConvertOnnxToLinalg : Pass<"convert-onnx-to-linalg", "mlir::ModuleOp"> {
  let summary = "Lower ONNX nodes and FFN blocks to structured loops";
  let description = [{
    Every node is looked up by (domain, name, version) in the tables of
    `lib/Conversion/OnnxToLinalg`; `docs/pipeline.md` (stage `linalg`) says
    what products, norms, gathers and broadcasts become. Sizes are computed
    once, at the function's entry, from `tensor.dim` of its arguments. A
    broadcast dimension of size 1 is the constant 0 in an indexing map.
    Element types become signless; ONNX's own stay in `onnx.type`. An operator
    without a lowering is an error at its node, as is a result whose size
    depends on the contents of a tensor. Accuracy: 16-bit floats are computed
    in f32, everything else in its own type.
    Example: `test/Conversion/convert-onnx-to-linalg.mlir`.
  }];
  let statistics = [
    Statistic<"numNodes", "nodes", "ONNX nodes lowered">,
    Statistic<"numBlocks", "blocks", "FFN blocks lowered">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::linalg::LinalgDialect",
                           "mlir::math::MathDialect",
                           "mlir::scf::SCFDialect",
                           "mlir::tensor::TensorDialect",
                           "sparse_opt::kernel::KernelDialect"];
}

def ConvertOnnxToFfn : Pass<"convert-onnx-to-ffn", "mlir::ModuleOp"> {
  let summary = "Recognise feed-forward blocks and make them ffn.block";
  let description = [{
    A block ends in a MatMul or Gemm with a constant weight. What is in front
    of it up to one or two linear layers (MatMul or Gemm with a constant
    weight, a bias on either side or in BiasGelu; Split or Slice of one fused
    weight) is taken as a function and recognised by its values, so every
    spelling of ReLU, ReLU^2, SiLU, GELU, its tanh form and QuickGELU counts,
    plain or gated (dReLU and bilinear gates included). Float Casts and
    reshapes that keep rows may stand in between. Residual and norm stay
    outside. Weights are transposed and cut at compile time.

    A block is named by its down projection (`ffn.N` when unnamed). Declines
    when a hidden value is read elsewhere, a weight isn't constant or an
    activation is unknown; `sparse-opt inspect` lists these with the reason.
    Run `--onnx-fold-constants` and `--onnx-fold-shapes` before.
    Example: `test/Conversion/convert-onnx-to-ffn.mlir`.
  }];
  let options = [
    Option<"explain", "explain", "bool", "false",
           "Say at each product behind an activation why it ends no block">];
  let statistics = [
    Statistic<"numBlocks", "blocks", "Blocks recognised">,
    Statistic<"numGated", "gated-blocks", "Blocks with a gate">,
    Statistic<"numDeclined", "declined", "Products behind an activation that "
                                         "end no block">];
  let dependentDialects = ["ffn::FfnDialect", "onnx::OnnxDialect"];
}

def ConvertLinalgToVector : Pass<"convert-linalg-to-vector", "mlir::ModuleOp"> {
  let summary = "Lower linalg on buffers to vector loops";
  let description = [{
    Every structured op and `memref.copy` on buffers becomes loops, outside
    parallel loops a parallel one with a grain (`kernel.grain`). One loop
    becomes vectors of the target's width, with masked tails of the same
    formula: the one along which most operands are contiguous. Sums over it
    use several vectors, combined in a fixed order. Values that don't change
    along a loop are computed outside of it. Bools, which are bytes in memory,
    are loaded and stored as such. A body that has no vector form (regions,
    integer division) runs in plain loops. `scf.forall` becomes `scf.parallel`.
    Example: `test/Conversion/convert-linalg-to-vector.mlir`.
  }];
  let options = [
    Option<"target", "target", "std::string", "\"x86-64-v4\"",
           "name of the target, as --march spells it">];
  let statistics = [
    Statistic<"numVector", "vector-ops", "Structured ops in vectors">,
    Statistic<"numScalar", "scalar-ops", "Structured ops in plain loops">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::affine::AffineDialect",
                           "mlir::linalg::LinalgDialect",
                           "mlir::math::MathDialect",
                           "mlir::memref::MemRefDialect",
                           "mlir::scf::SCFDialect",
                           "mlir::vector::VectorDialect"];
}

def ExpandMath : Pass<"expand-math"> {
  let summary = "Expand f32 math functions to polynomials";
  let description = [{
    exp, expm1, erf, tanh, log, log2 and log1p of f32, scalar and vector
    alike, by upstream's approximations: at most 6 ulp, but exp flushes
    denormals to 0, and log and log2 take them for the smallest normal number.
    Others stay for libm.
    Conversions from and to bf16 become integer arithmetic where the target
    has no instructions for them.
    Example: `test/Conversion/expand-math.mlir`.
  }];
  let options = [Option<"target", "target", "std::string", "\"x86-64-v4\"",
                        "name of the target (TargetInfo.h)">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::math::MathDialect",
                           "mlir::vector::VectorDialect"];
}

def KernelDescribeWork : Pass<"kernel-describe-work", "mlir::ModuleOp"> {
  let summary = "Note what each op of @main computes and touches";
  let description = [{
    For profiles: ops that become launches get a fused location whose metadata
    is a dictionary of `kind`, `shape`, `dtype` (of the multiply-adds), `flops`,
    `bytes` and, of those, `weight_bytes`, polynomials of the symbols, and an
    `id` (`include/sparse-opt/Conversion/Work.h` reads it). Locations stay with
    whatever an op is lowered to. FLOPs are 2 a multiply-add of a product, else
    one for each scalar operation on floats, `exp` and the like included; of a
    product those of the epilogue don't count. Bytes are counted once, however
    often an op comes back to them. What isn't known is left out.
    Example: `test/Conversion/kernel-describe-work.mlir`.
  }];
  let statistics = [
    Statistic<"numDescribed", "described", "Ops described">];
}

def KernelPlanBuffers : Pass<"kernel-plan-buffers", "mlir::ModuleOp"> {
  let summary = "Place every buffer of @main in one arena";
  let description = [{
    `memref.alloc` becomes `memref.view` of the new argument `kernel.arena`,
    at offsets that are multiples of 64. Buffers that never live together share
    a place when one is provably the larger for all sizes. A buffer allocated
    in a parallel body exists once a thread (argument `kernel.threads`), or on
    the thread's stack when it is small.
    `@kernel_arena_bytes(symbols..., threads)` computes the size. It fails when
    a size depends on more than the symbols.
    Example: `test/Conversion/kernel-plan-buffers.mlir`.
  }];
  let statistics = [
    Statistic<"numBuffers", "buffers", "Buffers placed">,
    Statistic<"numOnStack", "on-stack", "Buffers on a thread's stack">,
    Statistic<"numSlots", "slots", "Places in the arena">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::func::FuncDialect",
                           "mlir::memref::MemRefDialect",
                           "kernel::KernelDialect"];
}

def KernelOutlineParallel : Pass<"kernel-outline-parallel", "mlir::ModuleOp"> {
  let summary = "Outline parallel loops of @main to kernel.launch";
  let description = [{
    Each outermost `scf.parallel` becomes a private function
    `body(begin, end, thread, captures...)` and a `kernel.launch` over the
    product of its dimensions; the attribute `kernel.grain` is the launch's
    grain. `kernel.thread` becomes the body's argument, static
    `memref.alloca` moves to the body's entry. Equal private functions are
    merged. It fails on a parallel loop that reduces.
    Example: `test/Conversion/kernel-outline-parallel.mlir`.
  }];
  let statistics = [
    Statistic<"numLaunches", "launches", "Parallel loops outlined">,
    Statistic<"numMerged", "merged", "Functions merged into an equal one">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::func::FuncDialect",
                           "mlir::scf::SCFDialect",
                           "kernel::KernelDialect"];
}

def KernelEmitEntryPoints : Pass<"kernel-emit-entry-points", "mlir::ModuleOp"> {
  let summary = "Emit the plan and run functions that the runtime calls";
  let description = [{
    `sparse_opt_plan_<suffix>` and `sparse_opt_run_<suffix>` as ModelAbi.h
    declares them; @main becomes private and gets the call as its last
    argument (`kernel.call`).
    Example: `test/Conversion/kernel-emit-entry-points.mlir`.
  }];
  let options = [
    Option<"suffix", "suffix", "std::string", "\"x86_64\"",
           "end of the functions' names: the target with underscores">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::func::FuncDialect",
                           "mlir::LLVM::LLVMDialect"];
}

def ConvertKernelToLLVM : Pass<"convert-kernel-to-llvm", "mlir::ModuleOp"> {
  let summary = "Lower launches and checks to calls of the runtime";
  let description = [{
    `kernel.launch` stores its captures in a record on the stack (a memref
    without a layout is a pointer and its dynamic sizes) and calls
    `so_call.parallel` with a thunk. The `kernel.check_` ops note the first
    violation in the call's error slot. Checks of sizes that follow from the
    arguments come before all else, and where one fails nothing else runs: loops
    over such sizes would leave their buffers. Private functions get internal
    linkage.
    Example: `test/Conversion/convert-kernel-to-llvm.mlir`.
  }];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::cf::ControlFlowDialect",
                           "mlir::func::FuncDialect",
                           "mlir::LLVM::LLVMDialect",
                           "mlir::memref::MemRefDialect",
                           "mlir::scf::SCFDialect"];
}

def ConvertKernelToVector
    : Pass<"convert-kernel-to-vector", "mlir::ModuleOp"> {
  let summary = "Generate vector code for kernel ops on regions";
  let description = [{
    Each region op on memrefs becomes an `scf.parallel` (attribute
    `kernel.grain`: iterations worth a thread) over calls of private
    micro-kernels and a vectorised epilogue. Register tiles come from the
    target's row of the table in `sparse-opt/Target/TargetInfo.h`; products of
    bf16 on a target with tile registers become ops of dialect `amx`. Every
    output element is one chain of fused multiply-adds in ascending k, on tile
    registers one of sums of 32 products, so results don't depend on rows,
    threads or tiles; of `kernel.selected_product` as many chains as a vector
    has lanes, added up in pairs. `math.exp` and `math.erf` of f32 in a region become
    polynomials (errors 2e-7 relative and 6e-7 absolute).
    It fails on an unknown target and on operands whose last dimension isn't
    contiguous.
    Examples: `test/Conversion/convert-kernel-to-vector.mlir`,
    `convert-kernel-to-vector-selected.mlir` and
    `convert-kernel-to-vector-tiles.mlir`.
  }];
  let options = [Option<"target", "target", "std::string", "\"x86-64-v3\"",
                        "name of the target, as for --march">];
  let statistics = [
    Statistic<"numProducts", "products", "Products lowered">,
    Statistic<"numAttentions", "attentions", "Attentions lowered">,
    Statistic<"numSelections", "selections", "Selections lowered">,
    Statistic<"numSelectedProducts", "selected-products",
              "Products with selected rows lowered">,
    Statistic<"numSelectedSums", "selected-sums",
              "Sums of selected rows lowered">];
  let dependentDialects = [
    "mlir::amx::AMXDialect", "mlir::arith::ArithDialect",
    "mlir::func::FuncDialect", "mlir::LLVM::LLVMDialect",
    "mlir::math::MathDialect", "mlir::memref::MemRefDialect",
    "mlir::scf::SCFDialect", "mlir::vector::VectorDialect",
    "mlir::x86vector::X86VectorDialect"];
}

def KernelExpandReshapes : Pass<"kernel-expand-reshapes"> {
  let summary = "Lower expand_shape with several dynamic sizes in a group";
  let description = [{
    `memref.expand_shape` becomes
    `memref.reinterpret_cast` where `--expand-strided-metadata`, which follows,
    could not tell the sizes.
    Example: `test/Conversion/kernel-expand-reshapes.mlir`.
  }];
  let dependentDialects = ["mlir::affine::AffineDialect",
                           "mlir::arith::ArithDialect",
                           "mlir::memref::MemRefDialect"];
}

def LlvmLegalizeBf16Masks : Pass<"llvm-legalize-bf16-masks"> {
  let summary = "Masked accesses of bf16 as accesses of i16";
  let description = [{
    Masked loads, stores, gathers and scatters of bf16 vectors move i16
    between bitcasts, and plain stores of a bitcast i16 vector store that.
    LLVM's x86 backend splits the bf16 ones (and selections of them, into which
    it turns selected i16) into elements and calls `__truncsfbf2` for each.
    Example: `test/Conversion/llvm-legalize-bf16-masks.mlir`.
  }];
  let statistics = [Statistic<"numAccesses", "accesses", "Accesses rewritten">];
  let dependentDialects = ["mlir::LLVM::LLVMDialect"];
}

#endif
