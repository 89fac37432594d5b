// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The .npy format: a magic, a Python literal that describes the array, the
// elements. Fortran order and the other byte order are turned around here, so
// that nobody else meets them. Archives are Npz.cpp's.
#include "sparse-opt/Support/Npz.h"
#include <cstring>

using namespace sparse_opt;

namespace {
struct TypeRow {
  int32_t type; // ONNX TensorProto.DataType
  const char *name;
  const char *descr; // NumPy's kind and size
  int64_t size;
  int64_t word; // what a change of byte order turns around
};
constexpr TypeRow typeTable[] = {
    {1, "float32", "f4", 4, 4},    {2, "uint8", "u1", 1, 1},
    {3, "int8", "i1", 1, 1},       {4, "uint16", "u2", 2, 2},
    {5, "int16", "i2", 2, 2},      {6, "int32", "i4", 4, 4},
    {7, "int64", "i8", 8, 8},      {9, "bool", "b1", 1, 1},
    {10, "float16", "f2", 2, 2},   {11, "float64", "f8", 8, 8},
    {12, "uint32", "u4", 4, 4},    {13, "uint64", "u8", 8, 8},
    {14, "complex64", "c8", 8, 4}, {15, "complex128", "c16", 16, 8},
    {16, "bfloat16", "V2", 2, 2},
};

const TypeRow *findType(int32_t type) {
  for (const TypeRow &row : typeTable)
    if (row.type == type)
      return &row;
  return nullptr;
}

const TypeRow *findDescr(const std::string &descr) {
  for (const TypeRow &row : typeTable)
    if (descr == row.descr)
      return &row;
  return nullptr;
}

/// Reads the literal `{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}`
/// in any order of keys; nothing else of Python.
class HeaderParser {
public:
  HeaderParser(const char *begin, const char *end) : at(begin), end(end) {}

  bool parse() {
    if (!eat('{'))
      return false;
    while (!eat('}')) {
      std::string key;
      if (!parseString(key) || !eat(':') || !parseValue(key))
        return false;
      eat(',');
    }
    return hasDescr && hasOrder && hasShape;
  }

  std::string descr;
  bool fortran = false;
  std::vector<int64_t> shape;

private:
  const char *at, *end;
  bool hasDescr = false, hasOrder = false, hasShape = false;

  void skipSpace() {
    while (at != end && (*at == ' ' || *at == '\n' || *at == '\t'))
      ++at;
  }
  bool eat(char c) {
    skipSpace();
    if (at == end || *at != c)
      return false;
    ++at;
    return true;
  }
  bool eatWord(const char *word) {
    skipSpace();
    size_t length = strlen(word);
    if (size_t(end - at) < length || memcmp(at, word, length) != 0)
      return false;
    at += length;
    return true;
  }
  bool parseString(std::string &text) {
    skipSpace();
    if (at == end || (*at != '\'' && *at != '"'))
      return false;
    char quote = *at++;
    while (at != end && *at != quote)
      text += *at++;
    return eat(quote);
  }
  bool parseShape() {
    if (!eat('('))
      return false;
    while (!eat(')')) {
      skipSpace();
      int64_t value = 0;
      const char *first = at;
      for (; at != end && *at >= '0' && *at <= '9'; ++at)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *at - '0', &value))
          return false;
      if (at == first)
        return false;
      shape.push_back(value);
      eatWord("L"); // Python 2
      eat(',');
    }
    return true;
  }
  bool parseValue(const std::string &key) {
    if (key == "descr")
      return (hasDescr = parseString(descr));
    if (key == "shape")
      return (hasShape = parseShape());
    if (key != "fortran_order")
      return false;
    hasOrder = true;
    fortran = eatWord("True");
    return fortran || eatWord("False");
  }
};

/// shape (a, b, c) stored with a fastest -> stored with c fastest.
void turnFortranOrder(NpyArray &array, int64_t size) {
  std::vector<uint8_t> rowMajor(array.data.size());
  std::vector<int64_t> index(array.shape.size(), 0), stride;
  int64_t step = size;
  for (int64_t dim : array.shape) {
    stride.push_back(step);
    step *= dim;
  }
  for (size_t out = 0; out < rowMajor.size(); out += size) {
    int64_t in = 0;
    for (size_t i = 0; i < index.size(); ++i)
      in += index[i] * stride[i];
    memcpy(&rowMajor[out], &array.data[in], size);
    for (size_t i = index.size(); i-- > 0;) {
      if (++index[i] < array.shape[i])
        break;
      index[i] = 0;
    }
  }
  array.data = std::move(rowMajor);
}

void turnByteOrder(std::vector<uint8_t> &data, int64_t word) {
  for (size_t at = 0; at + word <= data.size(); at += word)
    for (int64_t i = 0; i < word / 2; ++i)
      std::swap(data[at + i], data[at + word - 1 - i]);
}

bool byteCount(const std::vector<int64_t> &shape, int64_t size,
               int64_t &bytes) {
  bool empty = false;
  for (int64_t dim : shape)
    empty |= dim == 0;
  bytes = empty ? 0 : size;
  for (int64_t dim : shape)
    if (!empty && __builtin_mul_overflow(bytes, dim, &bytes))
      return false;
  return true;
}
} // namespace

int64_t sparse_opt::elementSize(int32_t elementType) {
  const TypeRow *row = findType(elementType);
  return row ? row->size : 0;
}

std::string sparse_opt::elementName(int32_t elementType) {
  const TypeRow *row = findType(elementType);
  return row ? row->name : "type " + std::to_string(elementType);
}

std::string sparse_opt::parseNpy(const std::string &where, const uint8_t *bytes,
                                 size_t size, NpyArray &array) {
  if (size < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0)
    return where + ": not a .npy array";
  int version = bytes[6];
  if (version < 1 || version > 3 || (version > 1 && size < 12))
    return where + ": unknown version " + std::to_string(version) +
           " of the .npy format";
  size_t start = version == 1 ? 10 : 12, length = bytes[8] | bytes[9] << 8;
  if (version > 1)
    length |= size_t(bytes[10]) << 16 | size_t(bytes[11]) << 24;
  if (length > size - start)
    return where + ": the array's header is cut off";
  const char *text = reinterpret_cast<const char *>(bytes + start);
  HeaderParser header(text, text + length);
  if (!header.parse() || header.descr.empty())
    return where + ": the array's header is malformed";

  char order = header.descr[0];
  bool hasOrder = order == '<' || order == '>' || order == '|' || order == '=';
  const TypeRow *row = findDescr(header.descr.substr(hasOrder ? 1 : 0));
  if (!row)
    return where + ": element type '" + header.descr + "' is not supported";
  int64_t expected, actual = size - start - length;
  if (!byteCount(header.shape, row->size, expected))
    return where + ": the array's shape is too large";
  if (expected != actual)
    return where + ": the array's shape needs " + std::to_string(expected) +
           " bytes, the file has " + std::to_string(actual);

  array.elementType = row->type;
  array.shape = header.shape;
  array.data.assign(bytes + start + length, bytes + size);
  if (order == '>')
    turnByteOrder(array.data, row->word);
  if (header.fortran && array.shape.size() > 1 && !array.data.empty())
    turnFortranOrder(array, row->size);
  return "";
}

std::string sparse_opt::npyHeader(const NpyArray &array) {
  const TypeRow *row = findType(array.elementType);
  std::string dict = "{'descr': '";
  dict += row->size == 1 || row->descr[0] == 'V' ? '|' : '<';
  dict += row->descr;
  dict += "', 'fortran_order': False, 'shape': (";
  for (size_t i = 0; i < array.shape.size(); ++i) {
    dict += (i ? ", " : "") + std::to_string(array.shape[i]);
    if (array.shape.size() == 1)
      dict += ',';
  }
  dict += "), }";
  // The data starts at a multiple of 64, as NumPy writes it.
  dict.append(63 - (10 + dict.size()) % 64, ' ');
  dict += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += char(dict.size() & 0xff);
  header += char(dict.size() >> 8);
  return header + dict;
}
