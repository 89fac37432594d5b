// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `sparse-opt calibrate`: compiles the model for this machine with the insides
// of its FFN blocks as results, runs it over the data and hands what it
// computed to lib/Calibration.
#include "Cli.h"
#include "ModelFile.h"
#include "TemporaryFiles.h"
#include "sparse-opt/Calibration/Collector.h"
#include "sparse-opt/Pipelines/Compile.h"
#include "sparse-opt/Pipelines/Registration.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include <chrono>
#include <sys/resource.h>
#include <thread>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

static cl::SubCommand command("calibrate", "gather a calibration profile");

namespace {
struct Flags {
  cl::opt<std::string> model{cl::Positional, cl::Required, cl::sub(command)};
  cl::list<std::string> inputs{
      "inputs", cl::sub(command), cl::value_desc("calib.npz"),
      cl::desc("an .npz or a folder of them; may be given again")};
  cl::opt<std::string> output{"o", cl::sub(command),
                              cl::value_desc("model.profile"),
                              cl::desc("what to write")};
  cl::opt<std::string> rowMask{
      "row-mask", cl::sub(command), cl::value_desc("INPUT"),
      cl::desc("rows count where it isn't 0 (attention_mask), or none")};
  cl::opt<unsigned> sampleMb{
      "sample-mb", cl::sub(command), cl::value_desc("N"), cl::init(128),
      cl::desc("MB of sampled rows (128); sequences: a quarter")};
  cl::opt<unsigned> seed{"seed", cl::sub(command), cl::value_desc("N"),
                         cl::init(0), cl::desc("of samples (0)")};
  cl::opt<unsigned> threads{"threads", cl::sub(command), cl::value_desc("N"),
                            cl::desc("threads to use (default: one a CPU)")};
  cl::opt<std::string> allowExternal{
      "allow-external", cl::sub(command), cl::value_desc("DIR"),
      cl::desc("read external weights from there too")};
} flags;

class Stopwatch {
public:
  void start() { begin = Clock::now(); }
  void stop() { total += Clock::now() - begin; }
  double seconds() const {
    return std::chrono::duration<double>(total).count();
  }

private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin;
  Clock::duration total{};
};

/// Memory that results of one run may take: it bounds the rows of a run.
constexpr int64_t bytesPerRun = 192 << 20;

/// One calibration of one model.
class Calibration {
public:
  /// Done, or another status after a printed error.
  int run();

private:
  std::vector<std::string> files;
  std::optional<ModelFile> model;
  std::optional<Instance> instance;
  std::optional<Collector> collector;
  /// Of each block: where its values are among the model's outputs, or -1.
  struct Outputs {
    int x, gate, up, act, residual;
  };
  std::vector<Outputs> outputs;
  int64_t rowsPerRun = 0;
  unsigned threads = 1;
  Stopwatch all, compiling, running, counting;
  Progress progress;

  /// Errors name the file of the model, which is a temporary one: `name`
  /// instead.
  std::string withoutPath(Error error, const Twine &name) const {
    std::string text = toString(std::move(error));
    StringRef sentence = text;
    sentence.consume_front(model->getPath());
    return (name + sentence).str();
  }
  Error findFiles();
  int compile();
  Error openModel(StringRef path);
  Error addFile(const BatchSplitter &splitter, const std::string &file);
  Error addRun(const ModelRun &run, StringRef file);
  Error collect();
  Error finish();
};
} // namespace

/// The files that --inputs= names, those of a folder by name.
Error Calibration::findFiles() {
  for (const std::string &path : flags.inputs) {
    if (!sys::fs::is_directory(path)) {
      if (!sys::fs::exists(path))
        return makeError("--inputs=" + path + ": no such file or directory");
      files.push_back(path);
      continue;
    }
    size_t first = files.size();
    std::error_code code;
    for (sys::fs::directory_iterator it(path, code), end; it != end && !code;
         it.increment(code))
      if (StringRef(it->path()).ends_with(".npz"))
        files.push_back(it->path());
    if (code)
      return makeError("--inputs=" + path + ": " + code.message());
    if (files.size() == first)
      return makeError("--inputs=" + path + ": the folder has no .npz file");
    std::sort(files.begin() + first, files.end());
  }
  return Error::success();
}

int Calibration::compile() {
  Expected<TemporaryFile> temporary =
      TemporaryFile::create("sparse-opt-calibrate", "so");
  if (!temporary)
    return fail(temporary.takeError());
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  DiagnosticPrinter printer(&context, flags.model);
  CompileOptions options;
  options.input = flags.model;
  options.output = temporary->path();
  options.march = "native";
  options.expose = true;
  options.allowExternal = flags.allowExternal;
  options.jobs = threads;
  options.progress = [&](StringRef step) { progress.step(step); };
  compiling.start();
  CompileStatus status = compileModel(context, options);
  compiling.stop();
  progress.clear();
  if (status != CompileStatus::Done)
    return status == CompileStatus::OurBug ? OurBug : BadInput;
  if (Error error = openModel(temporary->path()))
    return fail(std::move(error));
  return Done;
}

/// Blocks of the manifest and where their values come out.
Error Calibration::openModel(StringRef path) {
  Expected<ModelFile> file = ModelFile::open(path.str(), "sparse_opt_model_v1");
  if (!file)
    return file.takeError();
  model = std::move(*file);
  json::Value parsed = model->getManifest();
  const json::Object &manifest = *parsed.getAsObject();
  const json::Array &described = *manifest.getArray("blocks");
  if (described.empty())
    return makeError(flags.model + ": has no FFN block that is recognised, so "
                                   "there is nothing to calibrate");
  auto indexOf = [&](const Twine &name) {
    std::string text = name.str();
    auto infos = model->getOutputs();
    auto it = find_if(infos, [&](auto &info) { return info.name == text; });
    return it == infos.end() ? -1 : int(it - infos.begin());
  };
  std::vector<CalibratedBlock> blocks;
  for (const json::Value &value : described) {
    const json::Object &object = *value.getAsObject();
    CalibratedBlock block;
    block.name = object.getString("name")->str();
    block.activation = object.getString("activation")->str();
    block.d = *object.getInteger("d");
    block.h = *object.getInteger("h");
    block.out = *object.getInteger("out");
    Outputs found{indexOf(block.name + ":x"), indexOf(block.name + ":gate"),
                  indexOf(block.name + ":up"), indexOf(block.name + ":act"),
                  indexOf(block.name + ":residual")};
    if (any_of(blocks, [&](auto &other) { return other.name == block.name; }))
      return makeError(flags.model + ": two FFN blocks are called '" +
                       block.name + "'; give their nodes names of their own");
    block.gated = found.gate >= 0;
    block.hasResidual = found.residual >= 0;
    outputs.push_back(found);
    blocks.push_back(std::move(block));
  }
  int64_t bytesPerRow = 0;
  for (const sparse_opt_tensor_info &info : model->getOutputs())
    bytesPerRow += info.dims[info.rank - 1] * int64_t(sizeof(float));
  rowsPerRun = std::clamp<int64_t>(bytesPerRun / bytesPerRow, 64, 2048);
  std::vector<CalibratedInput> inputs;
  for (const sparse_opt_tensor_info &info : model->getInputs())
    inputs.push_back({info.name, info.element_type});
  uint64_t sampleBytes = uint64_t(flags.sampleMb) * 1000000;
  collector.emplace(makeProfile(manifest.getString("model_hash")->str(),
                                flags.seed, std::move(inputs),
                                std::move(blocks), sampleBytes,
                                sampleBytes / 4),
                    threads);
  return Error::success();
}

/// One run of the model; the values stay in its own memory.
Error Calibration::addRun(const ModelRun &run, StringRef file) {
  running.start();
  instance->bind(run.inputs);
  if (Error error = instance->run()) {
    return makeError(withoutPath(std::move(error), file));
  }
  running.stop();
  ArrayRef<sparse_opt_tensor> results = instance->getOutputs();
  std::vector<BlockRows> values;
  for (const Outputs &at : outputs) {
    BlockRows block;
    std::pair<int, RowsOf *> all[] = {{at.x, &block.x},
                                      {at.gate, &block.gate},
                                      {at.up, &block.up},
                                      {at.act, &block.act},
                                      {at.residual, &block.residual}};
    for (auto [index, to] : all) {
      if (index < 0)
        continue;
      const sparse_opt_tensor &tensor = results[index];
      *to = {static_cast<const float *>(tensor.data),
             size_t(tensor.dims[tensor.rank - 1])};
      int64_t rows = tensor.bytes / sizeof(float) / to->columns;
      if (index == at.x)
        block.rows = rows;
      else if (rows != block.rows) // one row for all, say
        return makeError(file + ": '" + tensor.name + "' has " + Twine(rows) +
                         " rows, the block's x " + Twine(block.rows));
    }
    values.push_back(block);
  }
  counting.start();
  if (Error error = collector->add(run, values))
    return makeError(file + ": " + toString(std::move(error)));
  counting.stop();
  progress.step(formatv("calibrating: {0} sequences, {1} rows, {2}",
                        collector->numSequences(), collector->numRows(), file)
                    .str());
  return Error::success();
}

Error Calibration::addFile(const BatchSplitter &splitter,
                           const std::string &file) {
  Expected<std::vector<NpyArray>> arrays = readInputs(file, *model);
  if (!arrays)
    return arrays.takeError();
  return splitter.split(*arrays, file, rowsPerRun,
                        [&](const ModelRun &run) { return addRun(run, file); });
}

Error Calibration::collect() {
  std::vector<ModelInput> inputs;
  for (const sparse_opt_tensor_info &info : model->getInputs()) {
    ModelInput input{info.name, info.element_type, {}};
    for (int32_t i = 0; i < info.rank; ++i)
      input.dims.push_back(info.dims[i] >= 0 ? std::to_string(info.dims[i])
                                             : info.dim_names[i]);
    inputs.push_back(std::move(input));
  }
  Expected<BatchSplitter> splitter =
      BatchSplitter::create(std::move(inputs), flags.rowMask);
  if (!splitter)
    return splitter.takeError();
  Expected<Instance> created = Instance::create(*model, threads);
  if (!created)
    return makeError(withoutPath(created.takeError(), flags.model));
  instance.emplace(std::move(*created));
  for (const std::string &file : files)
    if (Error error = addFile(*splitter, file))
      return error;
  instance.reset(); // its memory is needed again
  return Error::success();
}

/// Peak memory of this process, in MB.
static double peakMemory() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024 / 1e6;
}

Error Calibration::finish() {
  uint64_t rows = collector->numRows();
  Expected<CalibrationProfile> profile = collector->finish();
  if (!profile)
    return makeError("--inputs=" + flags.inputs.front() +
                     (flags.inputs.size() > 1 ? ",...: " : ": ") +
                     toString(profile.takeError()));
  progress.step("writing " + flags.output);
  Expected<std::string> size = saveProfile(*profile, flags.output);
  if (!size)
    return size.takeError();
  progress.clear();
  all.stop();
  outs() << formatv("{0}: {1} rows of {2} sequences ({3} held out), {4} FFN "
                    "blocks, {5}\n",
                    flags.output, rows, profile->numSequences(),
                    profile->numHeldOutSequences(), profile->blocks.size(),
                    *size);
  outs() << formatv("{0:f1} s: {1:f1} compiling, {2:f1} running the model, "
                    "{3:f1} counting; peak memory {4:f0} MB; threads: {5}\n",
                    all.seconds(), compiling.seconds(), running.seconds(),
                    counting.seconds(), peakMemory(), threads);
  if (profile->numHeldOutSequences() == 0)
    errs() << "sparse-opt: warning: no sequence is held out, so no error can "
              "be reported on data that fits don't see; give more sequences\n";
  return Error::success();
}

int Calibration::run() {
  all.start();
  threads = flags.threads ? flags.threads : std::thread::hardware_concurrency();
  if (Error error = findFiles())
    return fail(std::move(error));
  if (int status = compile(); status != Done)
    return status;
  Error error = collect();
  if (!error)
    error = finish();
  progress.clear();
  return error ? fail(std::move(error)) : Done;
}

int sparse_opt::tool::calibrateMain(int argc, char **argv) {
  if (auto status = parseFlags(
          argc, argv, command,
          "usage: sparse-opt calibrate model.onnx --inputs=calib.npz -o "
          "model.profile",
          "The arrays of an .npz are the model's inputs by name, with any "
          "number of\nsequences. What is kept: "
          "docs/rationale/calibration.md.\n"))
    return *status;
  if (flags.inputs.empty() || flags.output.empty())
    return fail("calibrate needs --inputs=calib.npz and -o model.profile");
  if (flags.sampleMb == 0)
    return fail("--sample-mb=0 keeps no rows");
  return Calibration().run();
}
