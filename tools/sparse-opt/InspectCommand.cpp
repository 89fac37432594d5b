// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `sparse-opt inspect`: what the compiler sees in a model (inputs, FFN blocks,
// what was not recognised), or what a compiled model says about itself.
#include "Cli.h"
#include "ModelFile.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/BinaryFormat/Magic.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

static cl::SubCommand command("inspect", "look into a model");

namespace {
struct Flags {
  cl::opt<std::string> model{cl::Positional, cl::Required, cl::sub(command)};
  cl::opt<bool> json{"json", cl::sub(command), cl::desc("print JSON")};
  cl::opt<std::string> allowExternal{
      "allow-external", cl::sub(command), cl::value_desc("DIR"),
      cl::desc("read external weights from there too")};
  cl::opt<std::string> entry{"entry", cl::sub(command), cl::value_desc("NAME"),
                             cl::init("sparse_opt_model_v1"),
                             cl::desc("a compiled model's entry function")};
} flags;
} // namespace

static json::Array describeTensors(ArrayRef<sparse_opt_tensor_info> infos) {
  json::Array tensors;
  for (const sparse_opt_tensor_info &info : infos) {
    json::Array dims;
    for (int32_t i = 0; i < info.rank; ++i)
      if (info.dims[i] >= 0)
        dims.push_back(info.dims[i]);
      else
        dims.push_back(info.dim_names[i]);
    tensors.push_back(json::Object{{"name", info.name},
                                   {"type", elementName(info.element_type)},
                                   {"dims", std::move(dims)}});
  }
  return tensors;
}

static std::string shapeText(const json::Value &dims) {
  std::string text;
  for (const json::Value &dim : *dims.getAsArray())
    text += (text.empty() ? "" : ", ") +
            (dim.getAsString() ? dim.getAsString()->str()
                               : std::to_string(*dim.getAsInteger()));
  return "[" + text + "]";
}

static void printTensors(StringRef title, const json::Array &tensors) {
  outs() << title << '\n';
  for (const json::Value &value : tensors) {
    const json::Object &tensor = *value.getAsObject();
    outs() << formatv("  {0,-32} {1,-8} {2}\n", *tensor.getString("name"),
                      *tensor.getString("type"),
                      shapeText(*tensor.get("dims")));
  }
}

/// `key`: value lines for the simple members of a manifest.
static void printScalars(const json::Object &manifest) {
  std::vector<StringRef> keys;
  for (const auto &member : manifest)
    keys.push_back(member.first);
  llvm::sort(keys);
  for (StringRef key : keys) {
    const json::Value &value = *manifest.get(key);
    if (value.kind() == json::Value::Object)
      continue;
    std::string text = formatv("{0}", value);
    if (const json::Array *list = value.getAsArray()) {
      if (any_of(*list, [](const json::Value &item) {
            return item.kind() != json::Value::String;
          }))
        continue;
      text = join(map_range(*list,
                            [](const json::Value &item) {
                              return item.getAsString()->str();
                            }),
                  ", ");
    } else if (auto string = value.getAsString()) {
      text = string->str();
    }
    if (!text.empty())
      outs() << formatv("{0,-18} {1}\n", key, text);
  }
}

static int inspectArtefact() {
  Expected<ModelFile> model = ModelFile::open(flags.model, flags.entry);
  if (!model)
    return fail(model.takeError());
  json::Value manifest = model->getManifest();
  if (!manifest.getAsObject())
    return fail(flags.model + ": its manifest is damaged");
  json::Object &object = *manifest.getAsObject();
  json::Array inputs = describeTensors(model->getInputs());
  json::Array outputs = describeTensors(model->getOutputs());
  if (flags.json) {
    object["inputs"] = std::move(inputs);
    object["outputs"] = std::move(outputs);
    outs() << formatv("{0:2}\n", manifest);
    return Done;
  }
  printScalars(object);
  printTensors("inputs", inputs);
  printTensors("outputs", outputs);
  return Done;
}

static int inspectModel() { return fail("not yet"); }

int sparse_opt::tool::inspectMain(int argc, char **argv) {
  if (auto status = parseFlags(
          argc, argv, command,
          "usage: sparse-opt inspect model.onnx|model.so [--json]",
          "An ONNX model: inputs, outputs, FFN blocks with their share of the "
          "multiply-adds,\nand what was not recognised. A compiled model: its "
          "manifest.\n"))
    return *status;
  file_magic magic;
  if (std::error_code code = identify_magic(flags.model, magic))
    return fail(flags.model + ": " + code.message());
  return magic == file_magic::elf_shared_object ? inspectArtefact()
                                                : inspectModel();
}
