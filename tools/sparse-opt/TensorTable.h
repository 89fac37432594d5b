// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tables of a model's inputs, outputs and caches. Those of one kind that
// layers have each (`past.0.key`, `past.1.key`, ...) are one line; JSON, which
// is the caller's, has all of them.
#ifndef SPARSE_OPT_TOOLS_TENSORTABLE_H
#define SPARSE_OPT_TOOLS_TENSORTABLE_H
#include "llvm/Support/JSON.h"

namespace sparse_opt::tool {

/// `tensors` are objects with `name`, `type` and `dims`.
void printTensors(llvm::raw_ostream &os, llvm::StringRef title,
                  const llvm::json::Array &tensors);

} // namespace sparse_opt::tool
#endif
