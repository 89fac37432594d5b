// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What --kernel-describe-work leaves in locations: what a kernel computes, for
// profiles.
#ifndef SPARSE_OPT_CONVERSION_WORK_H
#define SPARSE_OPT_CONVERSION_WORK_H
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"

namespace sparse_opt {

/// The description that `location` carries, or null. Equal ones are of one op.
mlir::DictionaryAttr workOf(mlir::Location location);

/// The name of an ONNX node in `location`, or "".
llvm::StringRef nodeNameOf(mlir::Location location);

} // namespace sparse_opt
#endif
