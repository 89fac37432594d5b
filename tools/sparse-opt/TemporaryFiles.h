// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Files and folders of the tool's own, which go with the object that made them,
// and with a process that a signal ends.
#ifndef SPARSE_OPT_TOOLS_TEMPORARYFILES_H
#define SPARSE_OPT_TOOLS_TEMPORARYFILES_H
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace sparse_opt::tool {

/// Goes with what was written beside it under its name and ".weights".
class TemporaryFile {
public:
  static llvm::Expected<TemporaryFile> create(llvm::StringRef prefix,
                                              llvm::StringRef suffix);
  TemporaryFile(TemporaryFile &&other) : paths(std::move(other.paths)) {
    other.paths.clear();
  }
  ~TemporaryFile();
  const std::string &path() const { return paths.front(); }

private:
  TemporaryFile() = default;
  std::vector<std::string> paths;
};

/// Goes with all that is in it; at a signal, with the files of those names that
/// were said.
class TemporaryFolder {
public:
  llvm::Error create(llvm::StringRef prefix,
                     llvm::ArrayRef<llvm::StringRef> files);
  TemporaryFolder() = default;
  TemporaryFolder(const TemporaryFolder &) = delete;
  ~TemporaryFolder();
  const std::string &path() const { return name; }

private:
  std::string name;
  std::vector<std::string> files;
};

} // namespace sparse_opt::tool
#endif
