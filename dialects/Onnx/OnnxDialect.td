// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_DIALECTS_ONNX_ONNXDIALECT_TD
#define SPARSE_OPT_DIALECTS_ONNX_ONNXDIALECT_TD
include "mlir/IR/OpBase.td"

def OnnxDialect : Dialect {
  let name = "onnx";
  let summary = "The graph as exported: one generic op for every ONNX operator";
  let description = [{
    Small on purpose. `onnx.node` holds operator name, domain, since-version
    and attributes of any ONNX node, so that every valid model imports; what
    an operator means is known to ONNX's own library and to the lowerings,
    which are keyed by (domain, name, version).
  }];
  let cppNamespace = "::sparse_opt::onnx";
  let useDefaultTypePrinterParser = 1;
  let hasConstantMaterializer = 1;
}
#endif
