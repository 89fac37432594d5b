// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writing and reading stage dumps and their side file of weights. The side
// file is safetensors: a length, a JSON table, the bytes, mapped when read.
#include "sparse-opt/Pipelines/StageFile.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace sparse_opt;
using llvm::Error;

/// Larger resources go to the side file: about a line of hexadecimal.
static constexpr int64_t inlineResourceChars = 64;

llvm::Error sparse_opt::writeFileAtomically(
    StringRef path, llvm::function_ref<Error(llvm::raw_ostream &)> write) {
  auto file = llvm::sys::fs::TempFile::create(path + ".tmp%%%%%%");
  if (!file)
    return llvm::createFileError(path, file.takeError());
  Error error = Error::success();
  {
    llvm::raw_fd_ostream os(file->FD, /*shouldClose=*/false);
    error = write(os);
    os.flush();
    if (!error && os.has_error())
      error = llvm::createFileError(path, os.error());
    os.clear_error();
  }
  if (error)
    return llvm::joinErrors(std::move(error), file->discard());
  // TempFile makes private files; others may read what a compiler writes.
  auto mode = llvm::sys::fs::perms(0666 & ~llvm::sys::fs::getUmask());
  (void)llvm::sys::fs::setPermissions(file->TmpName, mode);
  return file->keep(path);
}

void sparse_opt::printStage(ModuleOp module, llvm::raw_ostream &os) {
  OpPrintingFlags flags;
  flags.elideLargeResourceString(inlineResourceChars);
  flags.enableDebugInfo(/*enable=*/true, /*prettyForm=*/false);
  module.print(os, flags);
  os << '\n';
}

/// Calls `visit` for every resource that `module` refers to.
static void
walkResources(ModuleOp module,
              llvm::function_ref<void(DenseResourceElementsAttr)> visit) {
  AttrTypeWalker walker;
  walker.addWalk([&](DenseResourceElementsAttr attr) { visit(attr); });
  module.walk([&](Operation *op) { walker.walk(op->getAttrDictionary()); });
}

llvm::Error StageDumper::add(ModuleOp module, StringRef file) {
  walkResources(module, [&](DenseResourceElementsAttr attr) {
    AsmResourceBlob *blob = attr.getRawHandle().getBlob();
    if (blob && 2 * int64_t(blob->getData().size()) > inlineResourceChars)
      resources.insert(
          {StringAttr::get(module.getContext(), attr.getRawHandle().getKey()),
           attr});
  });
  return addWithoutWeights(module, file);
}

llvm::Error StageDumper::addWithoutWeights(ModuleOp module, StringRef file) {
  if (!folder.empty())
    if (std::error_code code = llvm::sys::fs::create_directories(folder))
      return llvm::createFileError(folder, code);
  SmallString<128> path(folder);
  llvm::sys::path::append(path, file);
  return writeFileAtomically(path, [&](llvm::raw_ostream &os) {
    printStage(module, os);
    return Error::success();
  });
}

/// safetensors' name of an element type; "U8" where it has none.
static StringRef elementCode(Type type) {
  if (type.isF32())
    return "F32";
  if (type.isF64())
    return "F64";
  if (type.isF16())
    return "F16";
  if (type.isBF16())
    return "BF16";
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer)
    return "U8";
  switch (integer.getWidth()) {
  case 8:
    return integer.isUnsigned() ? "U8" : "I8";
  case 16:
    return integer.isUnsigned() ? "U16" : "I16";
  case 32:
    return integer.isUnsigned() ? "U32" : "I32";
  case 64:
    return integer.isUnsigned() ? "U64" : "I64";
  default:
    return "U8";
  }
}

llvm::Error StageDumper::finish(StringRef weights) {
  using Item = std::pair<StringAttr, DenseResourceElementsAttr>;
  std::vector<Item> items(resources.begin(), resources.end());
  // Widest elements first keeps all aligned without holes, which the format
  // forbids.
  llvm::sort(items, [](const Item &a, const Item &b) {
    auto rank = [](const Item &item) {
      int64_t bits = item.second.getElementType().getIntOrFloatBitWidth();
      return std::make_pair(-bits, item.first.getValue());
    };
    return rank(a) < rank(b);
  });
  llvm::json::Object table;
  uint64_t offset = 0;
  for (auto &[key, attr] : items) {
    uint64_t bytes = attr.getRawHandle().getBlob()->getData().size();
    llvm::json::Object entry{
        {"dtype", elementCode(attr.getElementType())},
        {"data_offsets", llvm::json::Array{offset, offset + bytes}}};
    entry["shape"] = llvm::json::Array(attr.getType().getShape());
    if (entry["dtype"] == "U8") // bool, packed or not: bytes as they are
      entry["shape"] = llvm::json::Array{bytes};
    table[key.getValue()] = std::move(entry);
    offset += bytes;
  }
  std::string header;
  llvm::raw_string_ostream(header) << llvm::json::Value(std::move(table));
  header.append(63 - (header.size() + 7) % 64, ' ');

  SmallString<128> path(folder);
  llvm::sys::path::append(path, weights);
  return writeFileAtomically(path, [&](llvm::raw_ostream &os) {
    char length[8];
    llvm::support::endian::write64le(length, header.size());
    os.write(length, sizeof length);
    os << header;
    for (auto &[key, attr] : items) {
      ArrayRef<char> data = attr.getRawHandle().getBlob()->getData();
      os.write(data.data(), data.size());
    }
    return Error::success();
  });
}

namespace {
/// A mapped safetensors file.
class SideFile {
public:
  /// False when there is none or it is malformed.
  bool open(const Twine &path) {
    auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
    if (!file || (*file)->getBufferSize() < 8)
      return false;
    buffer = std::move(*file);
    StringRef bytes = buffer->getBuffer();
    uint64_t length = llvm::support::endian::read64le(bytes.data());
    if (length > bytes.size() - 8)
      return false;
    auto parsed = llvm::json::parse(bytes.substr(8, length));
    if (!parsed) {
      llvm::consumeError(parsed.takeError());
      return false;
    }
    table = std::move(*parsed);
    data = bytes.substr(8 + length);
    return table.getAsObject();
  }

  std::optional<StringRef> lookup(StringRef key) const {
    const auto *entry = table.getAsObject()->getObject(key);
    const auto *range = entry ? entry->getArray("data_offsets") : nullptr;
    if (!range || range->size() != 2)
      return std::nullopt;
    auto begin = (*range)[0].getAsUINT64(), end = (*range)[1].getAsUINT64();
    if (!begin || !end || *begin > *end || *end > data.size())
      return std::nullopt;
    return data.slice(*begin, *end);
  }

private:
  std::shared_ptr<llvm::MemoryBuffer> buffer;
  llvm::json::Value table = nullptr;
  StringRef data;

public:
  /// Keeps the file mapped as long as the blob lives.
  AsmResourceBlob blob(StringRef bytes) const {
    ArrayRef<char> view(bytes.data(), bytes.size());
    return AsmResourceBlob(
        view, /*dataAlignment=*/1,
        [keep = buffer](void *, size_t, size_t) mutable { keep.reset(); },
        /*dataIsMutable=*/false);
  }
};
} // namespace

static std::optional<int64_t> byteSize(DenseResourceElementsAttr attr) {
  Type type = attr.getElementType();
  if (!type.isIntOrFloat() || !attr.getType().hasStaticShape())
    return std::nullopt;
  int64_t bits = type.getIntOrFloatBitWidth();
  return attr.getNumElements() * (bits == 1 ? 1 : bits / 8);
}

/// Gives resources that were left out of `path` their data.
static LogicalResult attachWeights(ModuleOp module, StringRef path) {
  SmallString<128> beside(path), common(path);
  llvm::sys::path::replace_extension(beside, ".safetensors");
  llvm::sys::path::remove_filename(common);
  llvm::sys::path::append(common, "weights.safetensors");
  SideFile side;
  bool opened = false, tried = false;
  LogicalResult result = success();
  walkResources(module, [&](DenseResourceElementsAttr attr) {
    DenseResourceElementsHandle handle = attr.getRawHandle();
    if (handle.getBlob() || failed(result))
      return;
    if (!std::exchange(tried, true))
      opened = side.open(beside) || side.open(common);
    auto data = opened ? side.lookup(handle.getKey()) : std::nullopt;
    if (data && byteSize(attr) == int64_t(data->size()))
      handle.getResource()->setBlob(side.blob(*data));
    else
      result = emitError(UnknownLoc::get(module.getContext()))
               << path << ": weights '" << handle.getKey()
               << "' are neither in the file nor in "
               << (opened ? "its side file" : StringRef(common));
  });
  return result;
}

OwningOpRef<ModuleOp> sparse_opt::loadStageFile(StringRef path,
                                                MLIRContext &context) {
  auto file = llvm::MemoryBuffer::getFile(path);
  if (!file) {
    emitError(UnknownLoc::get(&context))
        << path << ": " << file.getError().message();
    return nullptr;
  }
  llvm::SourceMgr sources;
  sources.AddNewSourceBuffer(std::move(*file), SMLoc());
  auto module = parseSourceFile<ModuleOp>(sources, ParserConfig(&context));
  if (!module || failed(attachWeights(*module, path)))
    return nullptr;
  return module;
}
