// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "sparse-opt/Target/Manifest.h"
#include "sparse-opt/Runtime/Runtime.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace sparse_opt {

const char *sparseOptVersion() { return SPARSE_OPT_VERSION; }

static json::Array list(ArrayRef<std::string> texts) {
  json::Array array;
  for (const std::string &text : texts)
    array.push_back(json::fixUTF8(text));
  return array;
}

std::string buildManifest(ManifestInfo info) {
  json::Object object{{"sparse_opt", SPARSE_OPT_VERSION},
                      {"llvm", LLVM_VERSION_STRING},
                      {"abi", SPARSE_OPT_API_VERSION},
                      {"model_hash", json::fixUTF8(info.modelHash)},
                      {"producer", json::fixUTF8(info.producer)},
                      {"opset", info.opset},
                      {"dtype", info.dtype},
                      {"weight_type", info.weightType},
                      {"targets", list(info.targets)},
                      {"flags", list(info.flags)},
                      {"weight_bytes", static_cast<int64_t>(info.weightBytes)},
                      {"blocks", std::move(info.blocks)},
                      {"kernels", std::move(info.kernels)},
                      {"input_bounds", std::move(info.inputBounds)}};
  if (!info.weightFile.empty())
    object["weight_file"] = json::fixUTF8(info.weightFile);
  if (!info.accuracy.empty())
    object["accuracy"] = std::move(info.accuracy);
  if (!info.methods.empty())
    object["methods"] = std::move(info.methods);
  if (!info.states.empty())
    object["states"] = std::move(info.states);
  if (!info.multiplyAdds.empty())
    object["multiply_adds"] = json::fixUTF8(info.multiplyAdds);
  std::string text;
  raw_string_ostream(text) << json::Value(std::move(object));
  return text;
}

} // namespace sparse_opt
