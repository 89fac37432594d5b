// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Files that exist only while an artefact is made: beside it, because that is
// where there must be room, and because renaming works within a file system.
#include "Internal.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace sparse_opt {

Expected<TempFile> TempFile::create(StringRef beside, StringRef suffix) {
  SmallString<128> path;
  if (std::error_code code =
          sys::fs::createUniqueFile(beside + ".%%%%%%%%." + suffix, path))
    return createFileError(beside, code);
  sys::RemoveFileOnSignal(path);
  return TempFile(path.str().str());
}

TempFile::TempFile(TempFile &&other) : name(std::move(other.name)) {
  other.name.clear();
}

TempFile::~TempFile() {
  if (name.empty())
    return;
  sys::fs::remove(name);
  sys::DontRemoveFileOnSignal(name);
}

Error TempFile::write(ArrayRef<char> bytes) {
  std::error_code code;
  raw_fd_ostream os(name, code);
  if (code)
    return createFileError(name, code);
  os.write(bytes.data(), bytes.size());
  os.close();
  if (!os.has_error())
    return Error::success();
  code = os.error();
  os.clear_error();
  return createFileError(name, code);
}

Error TempFile::renameTo(StringRef target) {
  if (std::error_code code = sys::fs::rename(name, target))
    return createFileError(target, code);
  sys::DontRemoveFileOnSignal(name);
  name.clear();
  return Error::success();
}

} // namespace sparse_opt
