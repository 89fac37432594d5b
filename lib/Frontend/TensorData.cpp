// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "TensorData.h"
#include "dialects/Onnx/OnnxOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace llvm;
using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::frontend;
namespace ir = ::sparse_opt::onnx;
using pb::TensorProto;

Type frontend::elementType(MLIRContext &context, int32_t dataType) {
  auto integer = [&](unsigned width) {
    return IntegerType::get(&context, width);
  };
  auto unsignedInteger = [&](unsigned width) {
    return IntegerType::get(&context, width, IntegerType::Unsigned);
  };
  switch (dataType) {
  case TensorProto::FLOAT:
    return Float32Type::get(&context);
  case TensorProto::DOUBLE:
    return Float64Type::get(&context);
  case TensorProto::FLOAT16:
    return Float16Type::get(&context);
  case TensorProto::BFLOAT16:
    return BFloat16Type::get(&context);
  case TensorProto::BOOL:
    return integer(1);
  case TensorProto::INT2:
    return integer(2);
  case TensorProto::INT4:
    return integer(4);
  case TensorProto::INT8:
    return integer(8);
  case TensorProto::INT16:
    return integer(16);
  case TensorProto::INT32:
    return integer(32);
  case TensorProto::INT64:
    return integer(64);
  case TensorProto::UINT2:
    return unsignedInteger(2);
  case TensorProto::UINT4:
    return unsignedInteger(4);
  case TensorProto::UINT8:
    return unsignedInteger(8);
  case TensorProto::UINT16:
    return unsignedInteger(16);
  case TensorProto::UINT32:
    return unsignedInteger(32);
  case TensorProto::UINT64:
    return unsignedInteger(64);
  case TensorProto::COMPLEX64:
    return ComplexType::get(Float32Type::get(&context));
  case TensorProto::COMPLEX128:
    return ComplexType::get(Float64Type::get(&context));
  case TensorProto::FLOAT8E4M3FN:
    return Float8E4M3FNType::get(&context);
  case TensorProto::FLOAT8E4M3FNUZ:
    return Float8E4M3FNUZType::get(&context);
  case TensorProto::FLOAT8E5M2:
    return Float8E5M2Type::get(&context);
  case TensorProto::FLOAT8E5M2FNUZ:
    return Float8E5M2FNUZType::get(&context);
  case TensorProto::FLOAT8E8M0:
    return Float8E8M0FNUType::get(&context);
  case TensorProto::FLOAT6E2M3:
    return Float6E2M3FNType::get(&context);
  case TensorProto::FLOAT6E3M2:
    return Float6E3M2FNType::get(&context);
  case TensorProto::FLOAT4E2M1:
    return Float4E2M1FNType::get(&context);
  case TensorProto::STRING:
    return ir::StringType::get(&context);
  default:
    return {};
  }
}

unsigned frontend::rawBits(int32_t dataType) {
  switch (dataType) {
  case TensorProto::INT2:
  case TensorProto::UINT2:
    return 2;
  case TensorProto::INT4:
  case TensorProto::UINT4:
  case TensorProto::FLOAT4E2M1:
    return 4;
  case TensorProto::FLOAT6E2M3:
  case TensorProto::FLOAT6E3M2:
    return 6;
  case TensorProto::BOOL:
  case TensorProto::INT8:
  case TensorProto::UINT8:
  case TensorProto::FLOAT8E4M3FN:
  case TensorProto::FLOAT8E4M3FNUZ:
  case TensorProto::FLOAT8E5M2:
  case TensorProto::FLOAT8E5M2FNUZ:
  case TensorProto::FLOAT8E8M0:
    return 8;
  case TensorProto::INT16:
  case TensorProto::UINT16:
  case TensorProto::FLOAT16:
  case TensorProto::BFLOAT16:
    return 16;
  case TensorProto::FLOAT:
  case TensorProto::INT32:
  case TensorProto::UINT32:
    return 32;
  case TensorProto::DOUBLE:
  case TensorProto::INT64:
  case TensorProto::UINT64:
  case TensorProto::COMPLEX64:
    return 64;
  case TensorProto::COMPLEX128:
    return 128;
  default:
    return 0;
  }
}

std::optional<int64_t> frontend::elementCount(const TensorProto &tensor) {
  bool empty = false;
  int64_t count = 1;
  for (int64_t dim : tensor.dims()) {
    if (dim < 0 || MulOverflow(count, std::max<int64_t>(dim, 1), count) ||
        count > int64_t(1) << 48)
      return std::nullopt;
    empty |= dim == 0;
  }
  return empty ? 0 : count;
}

uint64_t frontend::rawSize(int32_t dataType, int64_t count) {
  return divideCeil(uint64_t(count) * rawBits(dataType), 8);
}

std::string frontend::describeType(const TensorProto &tensor,
                                   MLIRContext &context) {
  std::string text;
  raw_string_ostream os(text);
  os << elementType(context, tensor.data_type()) << '['
     << join(map_range(tensor.dims(), [](int64_t d) { return itostr(d); }), "x")
     << ']';
  return text;
}

/// Entries of the typed field that holds the data: how many there are and how
/// many there should be.
static std::pair<int64_t, int64_t> typedEntries(const TensorProto &tensor,
                                                int64_t count) {
  switch (tensor.data_type()) {
  case TensorProto::FLOAT:
    return {tensor.float_data_size(), count};
  case TensorProto::COMPLEX64:
    return {tensor.float_data_size(), 2 * count};
  case TensorProto::DOUBLE:
    return {tensor.double_data_size(), count};
  case TensorProto::COMPLEX128:
    return {tensor.double_data_size(), 2 * count};
  case TensorProto::INT64:
    return {tensor.int64_data_size(), count};
  case TensorProto::UINT32:
  case TensorProto::UINT64:
    return {tensor.uint64_data_size(), count};
  case TensorProto::STRING:
    return {tensor.string_data_size(), count};
  default:
    break;
  }
  unsigned bits = rawBits(tensor.data_type());
  int64_t expected =
      bits == 2 || bits == 4 ? divideCeil(count * bits, 8) : count;
  // Some writers pack four bytes of small elements into an entry.
  int64_t packed = divideCeil(count * bits, 32);
  if (bits < 6 && tensor.int32_data_size() == packed)
    expected = packed;
  return {tensor.int32_data_size(), expected};
}

LogicalResult frontend::verifyTensor(const TensorProto &tensor,
                                     const Twine &what, const Report &report) {
  if (!elementType(report.context, tensor.data_type()))
    return report.error(what + " has unknown element type " +
                        Twine(tensor.data_type()));
  std::optional<int64_t> count = elementCount(tensor);
  if (!count)
    return report.error(what + " has a negative or too large dimension");
  std::string type = describeType(tensor, report.context);
  if (tensor.has_raw_data() && tensor.data_type() != TensorProto::STRING) {
    uint64_t expected = rawSize(tensor.data_type(), *count);
    if (tensor.raw_data().size() != expected)
      return report.error(what + " holds " + Twine(tensor.raw_data().size()) +
                          " bytes where " + type + " needs " + Twine(expected));
    return success();
  }
  auto [actual, expected] = typedEntries(tensor, *count);
  if (actual != expected)
    return report.error(what + " holds " + Twine(actual) +
                        " values of its type where " + type + " needs " +
                        Twine(expected));
  return success();
}

template <typename To, typename Entries>
static std::string convert(const Entries &entries) {
  std::string bytes(entries.size() * sizeof(To), '\0');
  char *out = bytes.data();
  for (auto entry : entries) {
    To value = static_cast<To>(entry);
    memcpy(out, &value, sizeof(To));
    out += sizeof(To);
  }
  return bytes;
}

/// Six-bit elements have an entry each but share bytes in raw_data.
static std::string packSixBits(const TensorProto &tensor) {
  std::string bytes(divideCeil(tensor.int32_data_size() * 6, 8), '\0');
  for (int i = 0; i < tensor.int32_data_size(); ++i) {
    unsigned value = (tensor.int32_data(i) & 0x3f) << (i * 6 % 8);
    bytes[i * 6 / 8] |= value & 0xff;
    if (value >> 8)
      bytes[i * 6 / 8 + 1] |= value >> 8;
  }
  return bytes;
}

static std::string convertInt32Data(const TensorProto &tensor) {
  int64_t count = *elementCount(tensor);
  switch (rawBits(tensor.data_type())) {
  case 6:
    return packSixBits(tensor);
  case 16:
    return convert<uint16_t>(tensor.int32_data());
  case 32:
    return convert<uint32_t>(tensor.int32_data());
  default:
    break;
  }
  uint64_t size = rawSize(tensor.data_type(), count);
  if (uint64_t(tensor.int32_data_size()) == size)
    return convert<uint8_t>(tensor.int32_data());
  std::string bytes = convert<uint32_t>(tensor.int32_data());
  bytes.resize(size);
  return bytes;
}

std::string frontend::takeRawData(TensorProto &tensor) {
  std::string bytes;
  if (tensor.has_raw_data()) {
    bytes = std::move(*tensor.mutable_raw_data());
    tensor.clear_raw_data();
    return bytes;
  }
  if (tensor.float_data_size())
    bytes = convert<float>(tensor.float_data());
  else if (tensor.double_data_size())
    bytes = convert<double>(tensor.double_data());
  else if (tensor.int64_data_size())
    bytes = convert<int64_t>(tensor.int64_data());
  else if (tensor.data_type() == TensorProto::UINT32)
    bytes = convert<uint32_t>(tensor.uint64_data());
  else if (tensor.uint64_data_size())
    bytes = convert<uint64_t>(tensor.uint64_data());
  else if (tensor.int32_data_size())
    bytes = convertInt32Data(tensor);
  tensor.mutable_float_data()->Clear();
  tensor.mutable_double_data()->Clear();
  tensor.mutable_int64_data()->Clear();
  tensor.mutable_uint64_data()->Clear();
  tensor.mutable_int32_data()->Clear();
  return bytes;
}

std::string frontend::unpack(StringRef packed, unsigned bits, int64_t count) {
  std::string bytes(count, '\0');
  auto byteAt = [&](size_t i) {
    return i < packed.size() ? static_cast<uint8_t>(packed[i]) : 0u;
  };
  for (int64_t i = 0; i < count; ++i) {
    size_t first = i * bits / 8;
    unsigned window = byteAt(first) | byteAt(first + 1) << 8;
    bytes[i] = window >> (i * bits % 8) & ((1u << bits) - 1);
  }
  return bytes;
}
