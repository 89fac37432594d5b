// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ExternalData.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::frontend;

FailureOr<ExternalRange> frontend::readRange(const pb::TensorProto &tensor,
                                             const Twine &what,
                                             const Report &report) {
  ExternalRange range;
  for (const auto &entry : tensor.external_data()) {
    StringRef value = entry.value();
    uint64_t length = 0;
    if (entry.key() == "location")
      range.location = entry.value();
    bool isBad =
        (entry.key() == "offset" && value.getAsInteger(10, range.offset)) ||
        (entry.key() == "length" && value.getAsInteger(10, length));
    if (isBad)
      return report.error(what + ": external data has " + entry.key() + " '" +
                          value + "', which is not a number");
    if (entry.key() == "length")
      range.length = length;
  }
  if (range.location.empty() || StringRef(range.location).contains('\0'))
    return report.error(what + ": external data names no file");
  return range;
}

/// True when `path` lies in `folder`, both without links.
static bool isInside(StringRef path, StringRef folder) {
  SmallString<128> real;
  if (sys::fs::real_path(folder, real))
    return false;
  return path.consume_front(real) && (real == "/" || path.starts_with("/"));
}

FailureOr<std::unique_ptr<MemoryBuffer>>
frontend::openExternalFile(StringRef location, StringRef folder,
                           ArrayRef<std::string> allowed, const Twine &what,
                           const Report &report) {
  SmallString<128> path(location), real;
  if (!sys::path::is_absolute(location)) {
    path = folder;
    sys::path::append(path, location);
  }
  std::string quoted = "external data '" + location.str() + "'";
  if (std::error_code error = sys::fs::real_path(path, real))
    return report.error(what + ": " + quoted +
                        " cannot be read: " + error.message());
  auto contains = [&](StringRef each) { return isInside(real, each); };
  if (!contains(folder) && none_of(allowed, contains))
    return report.error(what + ": " + quoted +
                        " lies outside the model's folder (--allow-external "
                        "names further folders)");
  if (!sys::fs::is_regular_file(real))
    return report.error(what + ": " + quoted + " is not a regular file");
  auto buffer = MemoryBuffer::getFile(real, /*IsText=*/false,
                                      /*RequiresNullTerminator=*/false);
  if (!buffer)
    return report.error(what + ": " + quoted +
                        " cannot be read: " + buffer.getError().message());
  return std::move(*buffer);
}
