// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads ONNX's binary form field by field, as far as its initialisers, so that
// protobuf needn't copy them: what it gets is the model with all else, and
// weights are read where the file is mapped. Field numbers are onnx.proto's.
#include "InlineWeights.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/LEB128.h"

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::frontend;

namespace {
enum Wire : unsigned { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };
enum FieldNumber : unsigned {
  ModelGraph = 7,
  GraphInitializer = 5,
  TensorDims = 1,
  TensorType = 2,
  TensorRawData = 9,
  TensorExternalData = 13,
  TensorDataLocation = 14,
};
constexpr size_t smallest = 1024;

/// One field of a message: all its bytes, and the payload of those with a
/// length or the value of a varint.
struct Field {
  unsigned number, wire;
  StringRef whole, payload;
  uint64_t value;
};

/// Protobuf's varints are LEB128.
bool readVarint(StringRef &rest, uint64_t &value) {
  unsigned length = 0;
  const char *error = nullptr;
  value = decodeULEB128(rest.bytes_begin(), &length, rest.bytes_end(), &error);
  if (error)
    return false;
  rest = rest.drop_front(length);
  return true;
}

bool readField(StringRef &rest, Field &field) {
  StringRef begin = rest;
  uint64_t tag, length = 0;
  if (!readVarint(rest, tag) || tag >> 32)
    return false;
  field.number = tag >> 3;
  field.wire = tag & 7;
  if (field.wire == Varint) {
    if (!readVarint(rest, field.value))
      return false;
  } else if (field.wire == Bytes) {
    if (!readVarint(rest, length) || length > rest.size())
      return false;
    field.payload = rest.take_front(length);
  } else if (field.wire == Fixed32 || field.wire == Fixed64) {
    length = field.wire == Fixed32 ? 4 : 8;
    if (length > rest.size())
      return false;
  } else {
    return false; // groups, which ONNX hasn't
  }
  rest = rest.drop_front(length);
  field.whole = begin.drop_back(rest.size());
  return true;
}

bool forEachField(StringRef message, function_ref<bool(const Field &)> visit) {
  Field field;
  while (!message.empty())
    if (!readField(message, field) || !visit(field))
      return false;
  return true;
}

void putVarint(std::string &out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    out += char(value | 0x80);
  out += char(value);
}

void putBytes(std::string &out, unsigned number, StringRef payload) {
  putVarint(out, number << 3 | Bytes);
  putVarint(out, payload.size());
  out += payload;
}

/// Of float, float16, double and bfloat16; 0 for other types.
uint64_t bytesOf(uint64_t type) {
  return type == 1 ? 4 : type == 10 || type == 16 ? 2 : type == 11 ? 8 : 0;
}

class Splitter {
public:
  explicit Splitter(StringRef file) : file(file) {}

  std::optional<std::string> run() {
    std::string model;
    bool isSound = forEachField(file, [&](const Field &field) {
      if (field.number != ModelGraph || field.wire != Bytes) {
        model += field.whole;
        return true;
      }
      std::string graph;
      if (!addGraph(field.payload, graph))
        return false;
      putBytes(model, ModelGraph, graph);
      return true;
    });
    if (!isSound || !found)
      return std::nullopt;
    return model;
  }

private:
  bool addGraph(StringRef message, std::string &out) {
    return forEachField(message, [&](const Field &field) {
      std::string tensor;
      if (field.number == GraphInitializer && field.wire == Bytes &&
          detach(field.payload, tensor)) {
        putBytes(out, GraphInitializer, tensor);
        found = true;
      } else {
        out += field.whole;
      }
      return true;
    });
  }

  /// The tensor with its raw data elsewhere; false: it stays as it is.
  bool detach(StringRef message, std::string &out) {
    std::optional<StringRef> data;
    uint64_t needed = 1, type = 0;
    auto addDim = [&](uint64_t dim) {
      return !__builtin_mul_overflow(needed, dim, &needed);
    };
    bool isPlain = forEachField(message, [&](const Field &field) {
      if (field.number == TensorRawData) {
        bool isFirst = !data && field.wire == Bytes;
        data = field.payload;
        return isFirst;
      }
      out += field.whole;
      if (field.number == TensorType)
        type = field.value;
      if (field.number == TensorDims && field.wire == Varint)
        return addDim(field.value);
      if (field.number != TensorDims)
        return field.number != TensorExternalData &&
               field.number != TensorDataLocation;
      StringRef dims = field.payload; // packed
      uint64_t dim;
      while (!dims.empty())
        if (!readVarint(dims, dim) || !addDim(dim))
          return false;
      return true;
    });
    if (!isPlain || !data || data->size() <= smallest || !bytesOf(type) ||
        data->size() % bytesOf(type) || data->size() / bytesOf(type) != needed)
      return false;
    addEntry(out, "location", inlineLocation);
    addEntry(out, "offset", utostr(data->data() - file.data()));
    addEntry(out, "length", utostr(data->size()));
    putVarint(out, TensorDataLocation << 3 | Varint);
    putVarint(out, 1); // external
    return true;
  }

  static void addEntry(std::string &out, StringRef key, StringRef value) {
    std::string entry;
    putBytes(entry, 1, key);
    putBytes(entry, 2, value);
    putBytes(out, TensorExternalData, entry);
  }

  StringRef file;
  bool found = false;
};
} // namespace

std::optional<std::string> frontend::detachInlineWeights(StringRef bytes) {
  return Splitter(bytes).run();
}
