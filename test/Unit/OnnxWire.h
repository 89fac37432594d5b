// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes ONNX's binary form field by field, with field numbers of onnx.proto:
// tests of the importer need files that ONNX's library would not write.
#ifndef SPARSE_OPT_TEST_UNIT_ONNXWIRE_H
#define SPARSE_OPT_TEST_UNIT_ONNXWIRE_H
#include <cstdint>
#include <string>
#include <vector>

namespace wire {

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
inline std::string model(const std::string &graph, int64_t version = 13,
                         int64_t irVersion = 8) {
  return num(1, irVersion) + str(2, "wire") + str(7, graph) +
         str(8, opset("", version)) + str(8, opset("my", 1));
}

/// A model with a weight, shape arithmetic, a branch, a constant and a local
/// function: float[N, 16] to float[N, 16].
inline std::string sample() {
  std::string weight(4 * 16 * 32, '\0');
  for (size_t i = 0; i < weight.size(); i += 4)
    weight[i + 2] = weight[i + 3] = 0x3e;
  std::string shape =
      std::string(8, '\xff') + std::string("\x20\0\0\0\0\0\0\0", 8);
  std::string then =
      graph({node("Relu", {"r"}, {"t"})}, output(value("t", 1, {-1, 32})));
  std::string other =
      graph({node("Neg", {"r"}, {"e"})}, output(value("e", 1, {-1, 32})));
  std::vector<std::string> nodes = {
      node("MatMul", {"x", "w"}, {"m"}),
      node("Shape", {"m"}, {"s"}),
      node("Reshape", {"m", "target"}, {"r"}),
      node("If", {"c"}, {"i"},
           graphAttr("then_branch", then) + graphAttr("else_branch", other)),
      node(
          "Constant", {}, {"half"},
          tensorAttr("value", tensor("", 1, {}, std::string("\0\0\0\x3f", 4)))),
      node("scale", {"i", "half"}, {"f"}, "", "my"),
      node("Softmax", {"f"}, {"p"}, intAttr("axis", -1)),
      node("Transpose", {"w"}, {"wt"}),
      node("MatMul", {"p", "wt"}, {"y"}),
  };
  std::string rest = initializer(tensor("w", 1, {16, 32}, weight)) +
                     initializer(tensor("target", 7, {2}, shape)) +
                     input(value("x", 1, {-1, 16})) + input(value("c", 9, {})) +
                     output(value("y", 1, {-1, 16}));
  std::string scale = str(1, "scale") + str(4, "a") + str(4, "b") +
                      str(5, "o") + str(7, node("Mul", {"a", "b"}, {"o"})) +
                      str(9, opset("", 13)) + str(10, "my");
  return model(graph(nodes, rest)) + str(25, scale);
}

} // namespace wire
#endif
