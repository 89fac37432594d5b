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
/// Of each resource in the side file.
static constexpr uint64_t resourceAlignment = 64;

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
  if (Error failed = file->keep(path))
    return llvm::createFileError(path, std::move(failed));
  return Error::success();
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

StageDumper::~StageDumper() {
  if (data)
    llvm::consumeError(data->discard());
}

llvm::Error StageDumper::add(ModuleOp module, StringRef file) {
  if (Error error = addWithoutWeights(module, file))
    return error;
  Error error = Error::success();
  walkResources(module, [&](DenseResourceElementsAttr attr) {
    if (!error)
      error = append(attr);
  });
  return error;
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

llvm::Error StageDumper::appendBytes(StringRef key, StringRef type,
                                     llvm::json::Array shape,
                                     ArrayRef<char> bytes) {
  if (!data) {
    SmallString<128> model(folder);
    llvm::sys::path::append(model, "weights.tmp%%%%%%");
    auto file = llvm::sys::fs::TempFile::create(model);
    if (!file)
      return file.takeError();
    data = std::move(*file);
  }
  llvm::raw_fd_ostream os(data->FD, /*shouldClose=*/false);
  os.write(bytes.data(), bytes.size());
  os.flush();
  if (os.has_error()) {
    std::error_code code = os.error();
    os.clear_error();
    return llvm::createFileError(data->TmpName, code);
  }
  uint64_t end = size + bytes.size();
  table[key] =
      llvm::json::Object{{"dtype", type},
                         {"shape", std::move(shape)},
                         {"data_offsets", llvm::json::Array{size, end}}};
  size = end;
  return Error::success();
}

llvm::Error StageDumper::append(DenseResourceElementsAttr attr) {
  AsmResourceBlob *blob = attr.getRawHandle().getBlob();
  StringRef key = attr.getRawHandle().getKey();
  if (!blob || table.get(key) ||
      2 * int64_t(blob->getData().size()) <= inlineResourceChars)
    return Error::success();
  // The format allows no holes: what keeps elements aligned is a tensor too.
  if (uint64_t rest = size % resourceAlignment) {
    std::string zeros(resourceAlignment - rest, '\0');
    llvm::json::Array shape{int64_t(zeros.size())};
    if (Error error = appendBytes("padding." + std::to_string(size), "U8",
                                  std::move(shape), zeros))
      return error;
  }
  ArrayRef<char> bytes = blob->getData();
  StringRef type = elementCode(attr.getElementType());
  llvm::json::Array shape(attr.getType().getShape());
  if (type == "U8") // bool, packed or not: bytes as they are
    shape = llvm::json::Array{int64_t(bytes.size())};
  return appendBytes(key, type, std::move(shape), bytes);
}

llvm::Error StageDumper::finish(StringRef weights) {
  if (!data)
    return Error::success();
  std::string header;
  llvm::raw_string_ostream(header) << llvm::json::Value(std::move(table));
  header.append(63 - (header.size() + 7) % 64, ' ');
  auto bytes = llvm::MemoryBuffer::getFile(data->TmpName, /*IsText=*/false,
                                           /*RequiresNullTerminator=*/false);
  if (!bytes)
    return llvm::createFileError(data->TmpName, bytes.getError());
  SmallString<128> path(folder);
  llvm::sys::path::append(path, weights);
  return writeFileAtomically(path, [&](llvm::raw_ostream &os) {
    char length[8];
    llvm::support::endian::write64le(length, header.size());
    os.write(length, sizeof length);
    os << header << (*bytes)->getBuffer();
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

LogicalResult sparse_opt::attachWeights(ModuleOp module, StringRef path) {
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
  return parseSourceFile<ModuleOp>(sources, ParserConfig(&context));
}
