// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `sparse-opt inspect`: what the compiler sees in a model (inputs, FFN blocks,
// what was not recognised), or what a compiled model says about itself.
#include "Cli.h"
#include "InspectMethods.h"
#include "ModelFile.h"
#include "TensorTable.h"
#include "sparse-opt/Calibration/Profile.h"
#include "sparse-opt/Pipelines/Compile.h"
#include "sparse-opt/Pipelines/Describe.h"
#include "sparse-opt/Pipelines/Methods.h"
#include "sparse-opt/Pipelines/Registration.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/BinaryFormat/Magic.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/ThreadPool.h"
#include "llvm/Support/raw_ostream.h"
#include <mutex>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

static cl::SubCommand command("inspect", "look into a model");

namespace {
struct Flags {
  cl::opt<std::string> model{cl::Positional, cl::Required, cl::sub(command)};
  cl::opt<bool> json{"json", cl::sub(command), cl::desc("print JSON")};
  cl::opt<std::string> profile{
      "profile", cl::sub(command), cl::value_desc("FILE"),
      cl::desc("of an ONNX model: what methods could gain on its data")};
  cl::opt<std::string> cett{
      "cett", cl::sub(command), cl::value_desc("LIST"), cl::init("0.1,0.2"),
      cl::desc("with --profile=: errors of a block to allow (0.1,0.2)")};
  cl::opt<unsigned> threads{"threads", cl::sub(command), cl::value_desc("N"),
                            cl::desc("with --profile= (default: one a CPU)")};
  cl::opt<bool> checkWeights{
      "check-weights", cl::sub(command),
      cl::desc("of a compiled model in a file: compare the checksum")};
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

static std::string joinTexts(const json::Array &texts, StringRef separator) {
  return join(map_range(texts,
                        [](const json::Value &text) {
                          return text.getAsString()->str();
                        }),
              separator);
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
      text = joinTexts(*list, ", ");
    } else if (auto string = value.getAsString()) {
      text = string->str();
    }
    if (!text.empty())
      outs() << formatv("{0,-18} {1}\n", key, text);
  }
}

static void printAccuracy(const json::Object &accuracy) {
  const json::Object *errors = accuracy.getObject("errors_to_f32");
  if (!errors)
    return;
  outs() << formatv("{0,-18} rel mean {1:e1}, p99 {2:e1}, cos {3:e1} to f32 "
                    "('{4}', {5})\n",
                    "accuracy", errors->getNumber("rel_mean").value_or(NAN),
                    errors->getNumber("rel_p99").value_or(NAN),
                    errors->getNumber("cos").value_or(NAN),
                    accuracy.getString("output").value_or(""),
                    accuracy.getString("inputs").value_or(""));
}

static void printBlocks(const json::Array &blocks) {
  size_t width = 4;
  for (const json::Value &block : blocks)
    width = std::max(width, block.getAsObject()->getString("name")->size());
  const char *row = "  {0} {1,-5} {2,-10} {3,5} {4,5} {5,-12} {6,10} {7,6}\n";
  outs() << "FFN blocks\n";
  if (blocks.empty())
    outs() << "  none\n";
  else
    outs() << formatv(row, left_justify("name", width), "kind", "activation",
                      "d", "h", "biases", "parameters", "share");
  for (const json::Value &value : blocks) {
    const json::Object &block = *value.getAsObject();
    std::string biases = joinTexts(*block.getArray("biases"), ",");
    std::string share =
        formatv("{0:f1}%", 100 * block.getNumber("share").value_or(0));
    outs() << formatv(row, left_justify(*block.getString("name"), width),
                      *block.getString("kind"), *block.getString("activation"),
                      *block.getInteger("d"), *block.getInteger("h"),
                      biases.empty() ? "none" : biases,
                      *block.getInteger("parameters"), share);
  }
}

/// "1.30e-02", or of two knobs "1.30e-02, of inputs 4.00e-03".
static std::string thresholdText(const json::Object &entry) {
  std::string text = formatv("{0:e2}", *entry.getNumber("threshold"));
  if (auto input = entry.getNumber("input_threshold"))
    text += formatv(", of inputs {0:e2}", *input);
  return text;
}

/// What compressed blocks are, and what their thresholds could be set to.
static void printMethods(const json::Array &methods) {
  outs() << "methods\n";
  for (const json::Value &value : methods) {
    const json::Object &entry = *value.getAsObject();
    outs() << "  " << methodText(entry) << '\n';
    const json::Array *settings = entry.getArray("settings");
    if (!settings)
      continue;
    outs() << "    threshold " << thresholdText(entry) << ", or:";
    for (const json::Value &item : *settings) {
      const json::Object &setting = *item.getAsObject();
      outs() << formatv(" {0} (density {1:f2}, CETT {2:f3})",
                        thresholdText(setting), *setting.getNumber("density"),
                        *setting.getNumber("cett"));
    }
    outs() << '\n';
  }
}

static int inspectArtefact() {
  Expected<ModelFile> model = ModelFile::open(flags.model, flags.entry);
  if (!model)
    return fail(model.takeError());
  if (flags.checkWeights) {
    setenv("SPARSE_OPT_CHECK_WEIGHTS", "1", /*overwrite=*/1);
    Expected<Instance> instance = Instance::create(*model, /*threads=*/1);
    if (!instance)
      return fail(instance.takeError());
  }
  json::Value manifest = model->getManifest();
  if (!manifest.getAsObject())
    return fail(flags.model + ": its manifest is damaged");
  json::Object &object = *manifest.getAsObject();
  json::Array inputs = describeTensors(model->getInputs());
  json::Array outputs = describeTensors(model->getOutputs());
  json::Array caches = describeTensors(model->getStates());
  if (flags.json) {
    object["caches"] = std::move(caches);
    object["inputs"] = std::move(inputs);
    object["outputs"] = std::move(outputs);
    outs() << formatv("{0:2}\n", manifest);
    return Done;
  }
  printScalars(object);
  if (const json::Object *accuracy = object.getObject("accuracy"))
    printAccuracy(*accuracy);
  printTensors(outs(), "inputs", inputs);
  printTensors(outs(), "outputs", outputs);
  if (!caches.empty())
    printTensors(outs(), "caches in the instance", caches);
  if (const json::Array *blocks = object.getArray("blocks"))
    printBlocks(*blocks);
  if (const json::Array *methods = object.getArray("methods"))
    printMethods(*methods);
  return Done;
}

static json::Array describeTensors(ArrayRef<TensorDescription> tensors) {
  json::Array result;
  for (const TensorDescription &tensor : tensors) {
    json::Array dims;
    for (const DimDescription &dim : tensor.dims)
      if (dim.size >= 0)
        dims.push_back(dim.size);
      else
        dims.push_back(dim.name.empty() ? "?" : dim.name);
    result.push_back(json::Object{{"name", tensor.name},
                                  {"type", elementName(tensor.elementType)},
                                  {"dims", std::move(dims)}});
  }
  return result;
}

static json::Object describeReport(const ModelDescription &description,
                                   const FfnReport &report) {
  json::Array blocks, misses;
  for (const FfnBlockReport &block : report.blocks)
    blocks.push_back(describeBlock(block));
  for (const FfnMissReport &miss : report.misses)
    misses.push_back(
        json::Object{{"node", miss.node}, {"reason", miss.reason}});
  json::Object sizes;
  for (const auto &[symbol, size] : report.sizes)
    sizes[symbol] = size;
  return json::Object{{"inputs", describeTensors(description.inputs)},
                      {"outputs", describeTensors(description.outputs)},
                      {"blocks", std::move(blocks)},
                      {"not_recognised", std::move(misses)},
                      {"parameters", report.parameters},
                      {"multiply_adds", report.multiplyAddsOfSizes.str()},
                      {"multiply_adds_at", std::move(sizes)},
                      {"multiply_adds_there", report.multiplyAdds}};
}

static void printReport(const json::Object &object, const FfnReport &report,
                        const std::optional<MethodGains> &gains) {
  printTensors(outs(), "inputs", *object.getArray("inputs"));
  printTensors(outs(), "outputs", *object.getArray("outputs"));
  double share = 0;
  for (const FfnBlockReport &block : report.blocks)
    share += block.share;
  if (gains)
    gains->print(outs());
  else
    printBlocks(*object.getArray("blocks"));
  for (const FfnMissReport &miss : report.misses)
    outs() << "not recognised: " << miss.node << ": " << miss.reason << '\n';
  std::string sizes;
  for (const auto &[symbol, size] : report.sizes)
    sizes +=
        (sizes.empty() ? " at " : ", ") + symbol + "=" + std::to_string(size);
  outs() << formatv(
      "{0:f1} M parameters; {1:f1} M multiply-adds{2}, {3:f1}% of "
      "them in FFN blocks\n",
      report.parameters * 1e-6, report.multiplyAdds * 1e-6, sizes, 100 * share);
}

/// --cett=, ascending; nothing when it is no list of errors.
static std::optional<std::vector<double>> parseLevels(StringRef list) {
  std::vector<double> levels;
  SmallVector<StringRef> parts;
  list.split(parts, ',');
  for (StringRef part : parts)
    if (double level; part.getAsDouble(level) || !(level > 0) || !(level < 1))
      return std::nullopt;
    else
      levels.push_back(level);
  sort(levels);
  return levels;
}

static mlir::FailureOr<std::vector<SurveyedBlock>>
survey(mlir::ModuleOp module, std::vector<double> levels) {
  Progress progress;
  std::mutex mutex;
  SurveyOptions options{flags.profile, std::move(levels), {}};
  options.progress = [&](size_t done, size_t blocks) {
    std::lock_guard<std::mutex> lock(mutex);
    progress.step(formatv("{0} of {1} blocks", done, blocks).str());
  };
  return surveyMethods(module, options, "inspect");
}

static int inspectModel() {
  std::optional<std::vector<double>> levels = parseLevels(flags.cett);
  if (!levels)
    return fail("--cett=" + flags.cett +
                " is no list of numbers above 0 and below 1");
  if (flags.cett.getNumOccurrences() && flags.profile.empty())
    return fail("--cett= needs --profile=");
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  StdThreadPool pool(hardware_concurrency(flags.threads));
  if (pool.getMaxConcurrency() > 1 && !flags.profile.empty())
    context.setThreadPool(pool);
  DiagnosticPrinter printer(&context, flags.model);
  CompileOptions options;
  options.input = flags.model;
  options.allowExternal = flags.allowExternal;
  auto module = buildStage(context, options, "ffn");
  if (!module)
    return BadInput;
  std::optional<ModelDescription> description = describeModel(*module);
  if (!description)
    return BadInput;
  FfnReport report = makeFfnReport(*module);
  json::Object object = describeReport(*description, report);
  std::optional<MethodGains> gains;
  if (!flags.profile.empty()) {
    auto found = survey(*module, std::move(*levels));
    if (failed(found))
      return BadInput;
    gains.emplace(report, std::move(*found));
    gains->addTo(*object.getArray("blocks"));
    object["methods"] = gains->describe();
  }
  if (flags.json)
    outs() << formatv("{0:2}\n", json::Value(std::move(object)));
  else
    printReport(object, report, gains);
  return Done;
}

int sparse_opt::tool::inspectMain(int argc, char **argv) {
  if (auto status = parseFlags(
          argc, argv, command,
          "usage: sparse-opt inspect model.onnx|model.so|model.profile "
          "[--json]",
          "An ONNX model: inputs, outputs, FFN blocks and their share of the "
          "work,\nwhat was not recognised; with a profile, what methods could "
          "gain. A compiled\nmodel: its manifest. A profile: what its data "
          "were and how active neurons are\non it.\n"))
    return *status;
  file_magic magic;
  if (std::error_code code = identify_magic(flags.model, magic))
    return fail(flags.model + ": " + code.message());
  bool isArtefact = magic == file_magic::elf_shared_object;
  if (isProfile(flags.model) || isArtefact)
    for (const cl::Option *flag : {static_cast<cl::Option *>(&flags.profile),
                                   static_cast<cl::Option *>(&flags.cett)})
      if (flag->getNumOccurrences())
        return fail("--" + flag->ArgStr + "= is for ONNX models, which " +
                    flags.model + " is not");
  if (isProfile(flags.model))
    return inspectProfile(flags.model, flags.json);
  return isArtefact ? inspectArtefact() : inspectModel();
}
