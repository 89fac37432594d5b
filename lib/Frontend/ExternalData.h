// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_LIB_FRONTEND_EXTERNALDATA_H
#define SPARSE_OPT_LIB_FRONTEND_EXTERNALDATA_H
#include "Report.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>
#include <optional>

namespace sparse_opt::frontend {

/// Where a tensor's bytes lie.
struct ExternalRange {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
};

llvm::FailureOr<ExternalRange> readRange(const pb::TensorProto &tensor,
                                         const llvm::Twine &what,
                                         const Report &report);

/// Maps the file `location` of `folder` into memory. Whatever way the path
/// takes (absolute, "..", symbolic links), the file must lie in `folder` or in
/// one of `allowed`.
llvm::FailureOr<std::unique_ptr<llvm::MemoryBuffer>>
openExternalFile(llvm::StringRef location, llvm::StringRef folder,
                 llvm::ArrayRef<std::string> allowed, const llvm::Twine &what,
                 const Report &report);

} // namespace sparse_opt::frontend
#endif
