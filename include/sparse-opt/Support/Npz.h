// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// NumPy's .npy and .npz files, read and written. Plain C++ and zlib, no LLVM:
// the main program of `exe` artefacts links it too. Every function answers
// with an empty string or one sentence that says what is wrong with the file.
#ifndef SPARSE_OPT_SUPPORT_NPZ_H
#define SPARSE_OPT_SUPPORT_NPZ_H
#include <cstdint>
#include <string>
#include <vector>

namespace sparse_opt {

/// A dense array, row-major in this machine's byte order.
struct NpyArray {
  std::string name; // without ".npy"
  /// ONNX TensorProto.DataType; bfloat16 is stored as two raw bytes (`V2`).
  int32_t elementType = 1;
  std::vector<int64_t> shape;
  std::vector<uint8_t> data;
};

/// Bytes of one element, 0 for types these files cannot hold (strings).
int64_t elementSize(int32_t elementType);
/// "float32"; "type 8" for one that has no NumPy name.
std::string elementName(int32_t elementType);

/// All arrays of an archive, in its order, or the one of a .npy file (named
/// "").
std::string readNpz(const std::string &path, std::vector<NpyArray> &arrays);
/// Entries stored or deflated; written beside `path` and renamed. Dates are
/// fixed: same arrays, same bytes.
std::string writeNpz(const std::string &path,
                     const std::vector<NpyArray> &arrays, bool deflate = false);

/// One array in the .npy format of `bytes`, which `where` names in errors.
std::string parseNpy(const std::string &where, const uint8_t *bytes,
                     size_t size, NpyArray &array);
/// The bytes in front of the data in a .npy file of that type and shape.
std::string npyHeader(const NpyArray &array);

} // namespace sparse_opt
#endif
