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

/// Weights are mapped from the page cache, whose pages become as large as the
/// writes that fill it: up to 2 MiB. Those of 4 KiB that writing through a
/// mapping can leave make a decoder a quarter slower.
constexpr size_t pieceBytes = 16 << 20;

Error writeFile(StringRef path, function_ref<Error(raw_fd_ostream &)> write) {
  std::error_code code;
  raw_fd_ostream os(path, code);
  if (code)
    return createFileError(path, code);
  os.SetBufferSize(pieceBytes);
  Error error = write(os);
  os.close();
  if (!os.has_error())
    return error;
  code = os.error();
  os.clear_error();
  return joinErrors(std::move(error), createFileError(path, code));
}

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
  return writeFile(name, [&](raw_fd_ostream &os) {
    os.write(bytes.data(), bytes.size());
    return Error::success();
  });
}

Error TempFile::copy(StringRef from) {
  Expected<sys::fs::file_t> file = sys::fs::openNativeFileForRead(from);
  if (!file)
    return file.takeError();
  Error error = writeFile(name, [&](raw_fd_ostream &os) -> Error {
    std::vector<char> piece(1 << 20);
    for (;;) {
      Expected<size_t> size = sys::fs::readNativeFile(*file, piece);
      if (!size || *size == 0)
        return size.takeError();
      os.write(piece.data(), *size);
    }
  });
  sys::fs::closeFile(*file);
  return error;
}

Error TempFile::renameTo(StringRef target) {
  if (std::error_code code = sys::fs::rename(name, target))
    return createFileError(target, code);
  sys::DontRemoveFileOnSignal(name);
  name.clear();
  return Error::success();
}

} // namespace sparse_opt
