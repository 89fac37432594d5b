// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_DIALECTS_FFN_FFNDIALECT_TD
#define SPARSE_OPT_DIALECTS_FFN_FFNDIALECT_TD
include "mlir/IR/OpBase.td"

def FfnDialect : Dialect {
  let name = "ffn";
  let summary = "Feed-forward blocks of a transformer, one op a block";
  let cppNamespace = "::sparse_opt::ffn";
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
}
#endif
