// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_DIALECTS_KERNEL_KERNELDIALECT_TD
#define SPARSE_OPT_DIALECTS_KERNEL_KERNELDIALECT_TD
include "mlir/IR/OpBase.td"

def KernelDialect : Dialect {
  let name = "kernel";
  let summary = "Fused regions worth one kernel each, and their launch";
  let description = [{
    The step between linalg and vector code. A region op (`kernel.product`,
    `kernel.attention`) is destination-passing, works on tensors and, after
    bufferisation, on memrefs, and carries its element-wise epilogue as a
    scalar region. `kernel.launch` runs an outlined body over a range on the
    runtime's threads.
  }];
  let cppNamespace = "::sparse_opt::kernel";
}
#endif
