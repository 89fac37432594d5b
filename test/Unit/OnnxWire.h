// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Models in ONNX's binary form for tests of the importer.
#ifndef SPARSE_OPT_TEST_UNIT_ONNXWIRE_H
#define SPARSE_OPT_TEST_UNIT_ONNXWIRE_H
#include "sparse-opt/Support/OnnxWire.h"

namespace sparse_opt::wire {

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

} // namespace sparse_opt::wire

namespace wire = sparse_opt::wire;
#endif
