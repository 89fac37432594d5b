// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_LIB_FRONTEND_INLINEWEIGHTS_H
#define SPARSE_OPT_LIB_FRONTEND_INLINEWEIGHTS_H
#include "llvm/ADT/StringRef.h"
#include <optional>
#include <string>

namespace sparse_opt::frontend {

/// The location of "external data" that lies in the model's own file.
constexpr llvm::StringLiteral inlineLocation = "#sparse-opt:file";

/// The binary ModelProto `bytes` with the data of its float initialisers over
/// 1 KiB replaced by external data at `inlineLocation`, whose offsets count
/// from the beginning of `bytes`. Nothing when `bytes` is damaged or has no
/// such initialiser. An initialiser that holds too few or too many bytes stays
/// as it is, for others to complain about.
std::optional<std::string> detachInlineWeights(llvm::StringRef bytes);

} // namespace sparse_opt::frontend
#endif
