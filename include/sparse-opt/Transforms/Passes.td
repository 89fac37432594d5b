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

#endif
