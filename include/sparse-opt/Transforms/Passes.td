// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_TRANSFORMS_PASSES_TD
#define SPARSE_OPT_TRANSFORMS_PASSES_TD
include "mlir/Pass/PassBase.td"

def KernelBindSymbols : Pass<"kernel-bind-symbols", "mlir::ModuleOp"> {
  let summary = "Make the inputs' symbolic dims arguments of @main";
  let description = [{
    Every distinct dynamic name in the `onnx.dims` of the arguments becomes an
    index argument behind them, in order of first appearance; `tensor.dim` of
    an argument becomes that argument. The module attribute `kernel.symbols`
    keeps the names. The private function `@kernel_output_dims` computes all
    dims of all results from the symbols. It fails when a result's size
    depends on anything else.
    Example: `test/Transforms/kernel-bind-symbols.mlir`.
  }];
  let statistics = [
    Statistic<"numSymbols", "symbols", "Distinct symbolic dims">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::affine::AffineDialect",
                           "mlir::func::FuncDialect",
                           "mlir::tensor::TensorDialect"];
}

def KernelExternalizeWeights : Pass<"kernel-externalize-weights", "mlir::ModuleOp"> {
  let summary = "Move constant tensors out of the IR";
  let description = [{
    Constant tensors of at least `min-bytes` become `memref.view` of the new
    argument `%weights` (attribute `kernel.weights_base`), at offsets that are
    multiples of 64. Equal contents are stored once, whatever their type. The
    module attribute `kernel.weights` lists `{offset, resource}`;
    `kernel.weights_size` is their extent in bytes. Large splats become
    `linalg.fill`. Constants of i1 stay.
    Example: `test/Transforms/kernel-externalize-weights.mlir`.
  }];
  let options = [
    Option<"minBytes", "min-bytes", "int64_t", "256",
           "smallest constant that is moved, in bytes">];
  let statistics = [
    Statistic<"numExternalized", "externalized", "Constants moved">,
    Statistic<"weightBytes", "weight-bytes", "Bytes of all weights">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::bufferization::BufferizationDialect",
                           "mlir::linalg::LinalgDialect",
                           "mlir::memref::MemRefDialect",
                           "mlir::tensor::TensorDialect"];
}

def KernelBindBuffers : Pass<"kernel-bind-buffers", "mlir::ModuleOp"> {
  let summary = "Inputs and results of @main become buffers of the caller";
  let description = [{
    Tensor arguments become memrefs (attribute `kernel.input`) that are only
    read; each result is written to a new memref argument
    (`kernel.output`, with the result's attributes). One-shot bufferisation
    follows.
    Example: `test/Transforms/kernel-bind-buffers.mlir`.
  }];
  let dependentDialects = ["mlir::bufferization::BufferizationDialect",
                           "mlir::memref::MemRefDialect"];
}

#endif
