// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Takes tensors out of the model and gives them back as attributes. Where
// external files may lie is decided in ExternalData.cpp.
#include "Weights.h"
#include "ExternalData.h"
#include "InlineWeights.h"
#include "Names.h"
#include "TensorData.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/xxhash.h"
#include <sys/mman.h>

using namespace llvm;
using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::frontend;

/// Larger tensors leave the graph.
static constexpr uint64_t kStubBytes = 1024;
/// Except integer vectors up to this: inference may read them as shapes.
static constexpr uint64_t kShapeBytes = 32 * 1024;
/// ONNX's checker looks for no file behind a location that starts with '#'.
static constexpr StringLiteral kStubPrefix = "#sparse-opt:";

/// Pages of a mapped file leave this process's memory; who reads them again
/// gets them from the file.
static void forgetPages(ArrayRef<char> bytes) {
  uintptr_t page = sys::Process::getPageSizeEstimate();
  uintptr_t begin = alignTo(reinterpret_cast<uintptr_t>(bytes.begin()), page);
  uintptr_t end = alignDown(reinterpret_cast<uintptr_t>(bytes.end()), page);
  if (begin < end)
    madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
}

Weights::Weights(StringRef folder, ArrayRef<std::string> allowExternal,
                 std::shared_ptr<MemoryBuffer> file, const Report &report)
    : folder(folder.empty() ? "." : folder.str()),
      allowExternal(allowExternal.begin(), allowExternal.end()),
      report(report) {
  if (file)
    files[inlineLocation] = std::move(file);
}

//===----------------------------------------------------------------------===//
// Taking
//===----------------------------------------------------------------------===//

LogicalResult Weights::take(pb::ModelProto &model) {
  if (failed(takeGraph(*model.mutable_graph())))
    return failure();
  for (auto &function : *model.mutable_functions())
    for (auto &node : *function.mutable_node())
      if (failed(takeNode(node)))
        return failure();
  return success();
}

LogicalResult Weights::takeGraph(pb::GraphProto &graph) {
  for (auto &tensor : *graph.mutable_initializer())
    if (failed(takeTensor(tensor, "initialiser '" + tensor.name() + "'")))
      return failure();
  for (auto &sparse : graph.sparse_initializer())
    if (failed(takeSparse(sparse, "sparse initialiser '" +
                                      sparse.values().name() + "'")))
      return failure();
  for (auto &node : *graph.mutable_node())
    if (failed(takeNode(node)))
      return failure();
  return success();
}

LogicalResult Weights::takeNode(pb::NodeProto &node) {
  for (auto &attr : *node.mutable_attribute()) {
    std::string what = describe(node) + ": attribute '" + attr.name() + "'";
    if (attr.has_t() && failed(takeTensor(*attr.mutable_t(), what)))
      return failure();
    for (auto &tensor : *attr.mutable_tensors())
      if (failed(takeTensor(tensor, what)))
        return failure();
    if (attr.has_sparse_tensor() &&
        failed(takeSparse(attr.sparse_tensor(), what)))
      return failure();
    for (auto &sparse : attr.sparse_tensors())
      if (failed(takeSparse(sparse, what)))
        return failure();
    if (attr.has_g() && failed(takeGraph(*attr.mutable_g())))
      return failure();
    for (auto &graph : *attr.mutable_graphs())
      if (failed(takeGraph(graph)))
        return failure();
  }
  return success();
}

/// Sparse tensors stay where they are.
LogicalResult Weights::takeSparse(const pb::SparseTensorProto &sparse,
                                  const Twine &what) {
  for (const pb::TensorProto *part : {&sparse.values(), &sparse.indices()}) {
    if (part->data_location() == pb::TensorProto::EXTERNAL)
      return report.error(what + " is sparse and stored in a file, which is "
                                 "not supported");
    if (failed(verifyTensor(*part, what, report)))
      return failure();
  }
  return success();
}

LogicalResult Weights::takeTensor(pb::TensorProto &tensor, const Twine &what) {
  if (tensor.data_location() == pb::TensorProto::EXTERNAL)
    return takeExternal(tensor, what);
  if (failed(verifyTensor(tensor, what, report)))
    return failure();
  uint64_t size = rawSize(tensor.data_type(), *elementCount(tensor));
  bool maybeShape = tensor.dims_size() <= 1 && size <= kShapeBytes &&
                    (tensor.data_type() == pb::TensorProto::INT64 ||
                     tensor.data_type() == pb::TensorProto::INT32);
  if (size <= kStubBytes || maybeShape) {
    pb::TensorProto copy = tensor;
    std::string text;
    for (const auto &part : tensor.string_data())
      text += part + '\0';
    addToHash(tensor, rawBits(tensor.data_type()) ? takeRawData(copy) : text);
    return success();
  }
  auto bytes = std::make_shared<std::string>(takeRawData(tensor));
  addToHash(tensor, *bytes);
  replaceByStub(tensor, {{bytes->data(), bytes->size()}, bytes, false, {}});
  return success();
}

LogicalResult Weights::takeExternal(pb::TensorProto &tensor,
                                    const Twine &what) {
  std::optional<int64_t> count = elementCount(tensor);
  if (!count || !rawBits(tensor.data_type()))
    return report.error(what + " has an element type or shape that external "
                               "data cannot have");
  uint64_t needed = rawSize(tensor.data_type(), *count);
  FailureOr<ExternalRange> range = readRange(tensor, what, report);
  if (failed(range))
    return failure();
  auto file = openExternal(range->location, what);
  if (failed(file))
    return failure();
  uint64_t size = (*file)->getBufferSize();
  std::string needs = (what + " needs " + Twine(needed) + " bytes at offset " +
                       Twine(range->offset) + " of '" + range->location + "'")
                          .str();
  if (range->length && *range->length != needed)
    return report.error(needs + ", not " + Twine(*range->length));
  if (range->offset > size || needed > size - range->offset)
    return report.error(needs + ", which has " + Twine(size));
  tensor.clear_external_data();
  tensor.clear_data_location();
  StringRef bytes = (*file)->getBuffer().substr(range->offset, needed);
  addToHash(tensor, bytes);
  if (needed <= kStubBytes)
    tensor.set_raw_data(bytes.data(), bytes.size());
  else
    replaceByStub(tensor,
                  {{bytes.data(), bytes.size()},
                   *file,
                   (*file)->getBufferKind() == MemoryBuffer::MemoryBuffer_MMap,
                   {}});
  if (!entries.empty() && entries.back().isMapped)
    forgetPages(entries.back().bytes);
  return success();
}

FailureOr<std::shared_ptr<MemoryBuffer>>
Weights::openExternal(StringRef location, const Twine &what) {
  auto &file = files[location];
  if (file)
    return file;
  auto opened = openExternalFile(location, folder, allowExternal, what, report);
  if (failed(opened))
    return failure();
  file = std::move(*opened);
  return file;
}

void Weights::replaceByStub(pb::TensorProto &tensor, Entry entry) {
  tensor.set_data_location(pb::TensorProto::EXTERNAL);
  auto *location = tensor.add_external_data();
  location->set_key("location");
  location->set_value((kStubPrefix + Twine(entries.size())).str());
  entries.push_back(std::move(entry));
}

//===----------------------------------------------------------------------===//
// Hash
//===----------------------------------------------------------------------===//

static std::string hashHex(StringRef bytes) {
  auto hash = xxh3_128bits(arrayRefFromStringRef(bytes));
  std::string text;
  raw_string_ostream(text) << format_hex_no_prefix(hash.high64, 16)
                           << format_hex_no_prefix(hash.low64, 16);
  return text;
}

void Weights::addToHash(const pb::TensorProto &tensor, StringRef bytes) {
  digest += tensor.name() + ':' + describeType(tensor, report.context) + ':' +
            hashHex(bytes) + ';';
}

std::string Weights::hash() const { return hashHex(digest); }

//===----------------------------------------------------------------------===//
// Giving back
//===----------------------------------------------------------------------===//

Weights::Entry *Weights::find(const pb::TensorProto &tensor) {
  if (tensor.data_location() != pb::TensorProto::EXTERNAL)
    return nullptr;
  StringRef location = tensor.external_data(0).value();
  size_t index;
  bool isStub = location.consume_front(kStubPrefix) &&
                !location.getAsInteger(10, index) && index < entries.size();
  assert(isStub && "external data left in the model");
  return isStub ? &entries[index] : nullptr;
}

/// Mapped files are shared however they lie (ConstantData::align).
static AsmResourceBlob shareOrAlign(ArrayRef<char> bytes, uint64_t align,
                                    std::shared_ptr<void> owner,
                                    bool isMapped) {
  if (!isMapped && !isAddrAligned(Align(align), bytes.data()))
    return HeapAsmResourceBlob::allocateAndCopyWithAlign(bytes, align);
  auto release = [owner = std::move(owner), bytes, isMapped](void *, size_t,
                                                             size_t) mutable {
    if (isMapped)
      forgetPages(bytes);
    owner.reset();
  };
  return AsmResourceBlob(bytes, align, std::move(release),
                         /*dataIsMutable=*/false);
}

ElementsAttr Weights::resource(ShapedType type, unsigned bits, StringRef name,
                               Entry &entry) {
  if (entry.attr)
    return entry.attr;
  if (bits < 8) {
    auto bytes = std::make_shared<std::string>(unpack(
        {entry.bytes.data(), entry.bytes.size()}, bits, type.getNumElements()));
    entry = {{bytes->data(), bytes->size()}, bytes, false, {}};
  }
  // Complex numbers are aligned like their parts.
  uint64_t align = std::min<uint64_t>(std::max(bits / 8, 1u), 8);
  entry.attr = DenseResourceElementsAttr::get(
      type, name,
      shareOrAlign(entry.bytes, align, std::move(entry.owner), entry.isMapped));
  return entry.attr;
}

static ElementsAttr denseStrings(ShapedType type,
                                 const pb::TensorProto &tensor) {
  SmallVector<StringRef> strings(tensor.string_data().begin(),
                                 tensor.string_data().end());
  return cast<ElementsAttr>(
      static_cast<Attribute>(DenseStringElementsAttr::get(type, strings)));
}

static ElementsAttr dense(ShapedType type, unsigned bits, std::string bytes) {
  int64_t count = type.getNumElements();
  if (count == 0)
    return DenseElementsAttr::get(type, ArrayRef<Attribute>());
  if (type.getElementType().isInteger(1)) {
    SmallVector<bool> values;
    for (char byte : bytes)
      values.push_back(byte != 0);
    return DenseElementsAttr::get(type, values);
  }
  if (bits < 8)
    bytes = unpack(bytes, bits, count);
  return DenseElementsAttr::getFromRawBuffer(type, bytes);
}

FailureOr<ElementsAttr> Weights::attribute(const pb::TensorProto &tensor,
                                           StringRef name) {
  Type element = elementType(report.context, tensor.data_type());
  std::optional<int64_t> count = elementCount(tensor);
  if (!element || !count)
    return report.error("tensor '" + name + "' has no type");
  SmallVector<int64_t> shape(tensor.dims().begin(), tensor.dims().end());
  auto type = RankedTensorType::get(shape, element);
  unsigned bits = rawBits(tensor.data_type());
  if (Entry *entry = find(tensor))
    return resource(type, bits, name, *entry);
  // ONNX's library may have made this tensor since `take`.
  if (failed(verifyTensor(tensor, "tensor '" + name + "'", report)))
    return failure();
  if (tensor.data_type() == pb::TensorProto::STRING)
    return denseStrings(type, tensor);
  pb::TensorProto copy = tensor;
  return dense(type, bits, takeRawData(copy));
}
