// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "TemporaryFiles.h"
#include "ModelFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Signals.h"
#include <atomic>
#include <unistd.h>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

Expected<TemporaryFile> TemporaryFile::create(StringRef prefix,
                                              StringRef suffix) {
  SmallString<64> made;
  if (std::error_code code = sys::fs::createTemporaryFile(prefix, suffix, made))
    return makeError("no temporary file: " + code.message());
  TemporaryFile file;
  file.paths = {made.str().str(), (made + ".weights").str()};
  for (const std::string &path : file.paths)
    sys::RemoveFileOnSignal(path);
  return std::move(file);
}

TemporaryFile::~TemporaryFile() {
  for (const std::string &path : paths) {
    sys::fs::remove(path);
    sys::DontRemoveFileOnSignal(path);
  }
}

/// Of those that are there; a signal reads them at any time.
static std::atomic<const char *> folders[8];

/// After LLVM removed the files; with the status of what a shell interrupts.
static void endWithoutFolders() {
  for (const std::atomic<const char *> &folder : folders)
    if (const char *name = folder.load())
      rmdir(name);
  _exit(130);
}

Error TemporaryFolder::create(StringRef prefix, ArrayRef<StringRef> names) {
  SmallString<64> made;
  if (std::error_code code = sys::fs::createUniqueDirectory(prefix, made))
    return makeError("no temporary folder: " + code.message());
  name = made.str().str();
  for (StringRef file : names) {
    files.push_back(name + "/" + file.str());
    sys::RemoveFileOnSignal(files.back());
  }
  for (std::atomic<const char *> &folder : folders) {
    const char *none = nullptr;
    if (folder.compare_exchange_strong(none, name.c_str()))
      break;
  }
  sys::SetInterruptFunction(endWithoutFolders);
  return Error::success();
}

TemporaryFolder::~TemporaryFolder() {
  for (std::atomic<const char *> &folder : folders) {
    const char *ours = name.c_str();
    folder.compare_exchange_strong(ours, nullptr);
  }
  if (!name.empty())
    sys::fs::remove_directories(name);
  for (const std::string &file : files)
    sys::DontRemoveFileOnSignal(file);
}
