// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes ONNX's binary form field by field, with field numbers of onnx.proto,
// where ONNX's library would not do: models of many gigabytes, and tests of the
// importer on files that it would not write.
#ifndef SPARSE_OPT_SUPPORT_ONNXWIRE_H
#define SPARSE_OPT_SUPPORT_ONNXWIRE_H
#include <cstdint>
#include <string>
#include <vector>

namespace sparse_opt::wire {

inline std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7)
    bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
inline std::string num(int field, uint64_t value) {
  return varint(field << 3) + varint(value);
}
inline std::string str(int field, const std::string &value) {
  return varint(field << 3 | 2) + varint(value.size()) + value;
}

/// Dims below 0 are symbolic.
inline std::string value(const std::string &name, int type,
                         const std::vector<int64_t> &dims) {
  std::string shape;
  for (int64_t dim : dims)
    shape += str(1, dim < 0 ? str(2, "N") : num(1, dim));
  return str(1, name) + str(2, str(1, num(1, type) + str(2, shape)));
}
inline std::string tensor(const std::string &name, int type,
                          const std::vector<int64_t> &dims,
                          const std::string &raw) {
  std::string bytes;
  for (int64_t dim : dims)
    bytes += num(1, dim);
  return bytes + num(2, type) + str(8, name) + str(9, raw);
}
/// One whose data are `bytes` bytes of a file beside the model.
inline std::string externalTensor(const std::string &name, int type,
                                  const std::vector<int64_t> &dims,
                                  const std::string &file, uint64_t offset,
                                  uint64_t size) {
  std::string bytes;
  for (int64_t dim : dims)
    bytes += num(1, dim);
  bytes += num(2, type) + str(8, name);
  auto entry = [&](const std::string &key, const std::string &value) {
    bytes += str(13, str(1, key) + str(2, value));
  };
  entry("location", file);
  entry("offset", std::to_string(offset));
  entry("length", std::to_string(size));
  return bytes + num(14, 1);
}
inline std::string node(const std::string &op,
                        const std::vector<std::string> &inputs,
                        const std::vector<std::string> &outputs,
                        const std::string &attributes = "",
                        const std::string &domain = "") {
  std::string bytes;
  for (const std::string &input : inputs)
    bytes += str(1, input);
  for (const std::string &output : outputs)
    bytes += str(2, output);
  bytes += str(3, outputs[0] + "_node") + str(4, op) + attributes;
  return domain.empty() ? bytes : bytes + str(7, domain);
}
inline std::string intAttr(const std::string &name, int64_t value) {
  return str(5, str(1, name) + num(3, value) + num(20, 2));
}
inline std::string tensorAttr(const std::string &name,
                              const std::string &tensor) {
  return str(5, str(1, name) + str(5, tensor) + num(20, 4));
}
inline std::string graphAttr(const std::string &name,
                             const std::string &graph) {
  return str(5, str(1, name) + str(6, graph) + num(20, 5));
}
/// The parts are already fields of a graph.
inline std::string graph(const std::vector<std::string> &nodes,
                         const std::string &rest) {
  std::string bytes;
  for (const std::string &node : nodes)
    bytes += str(1, node);
  return bytes + str(2, "g") + rest;
}
inline std::string input(const std::string &value) { return str(11, value); }
inline std::string output(const std::string &value) { return str(12, value); }
inline std::string initializer(const std::string &tensor) {
  return str(5, tensor);
}
inline std::string opset(const std::string &domain, int64_t version) {
  return str(1, domain) + num(2, version);
}

} // namespace sparse_opt::wire
#endif
