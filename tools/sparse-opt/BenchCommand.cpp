// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `sparse-opt bench`: a compiled model and its peers take turns on the same
// inputs; medians, ratios, differences, and the share of this machine's
// multiply-add rate that was reached.
#include "BenchCase.h"
#include "Cli.h"
#include "Compare.h"
#include "FfnFlags.h"
#include "Peak.h"
#include "Roofline.h"
#include "Runner.h"
#include "sparse-opt/Pipelines/StageFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <cmath>
#include <set>
#include <thread>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

static cl::SubCommand command("bench", "measure a compiled model");

namespace {
struct Flags {
  cl::opt<std::string> model{cl::Positional, cl::sub(command)};
  cl::opt<std::string> against{
      "against", cl::sub(command), cl::value_desc("LIST"),
      cl::desc("peers: onnxruntime, openvino[-bf16], peer.py, m.so")};
  cl::opt<std::string> reference{
      "reference", cl::sub(command), cl::value_desc("model.onnx"),
      cl::desc("what peers run (default: the .onnx of the same name)")};
  cl::opt<std::string> threads{"threads", cl::sub(command),
                               cl::value_desc("LIST"), cl::init("1"),
                               cl::desc("thread counts, such as 1,2")};
  cl::list<std::string> shapes{
      "shape", cl::sub(command), cl::value_desc("SHAPE"),
      cl::desc("ids:1x128, batch=1,sequence=128 or 1x128; may repeat")};
  cl::opt<int64_t> past{
      "past", cl::sub(command), cl::value_desc("ROWS"), cl::init(-1),
      cl::desc("rows in the caches of the model before each run")};
  cl::opt<std::string> inputs{"inputs", cl::sub(command),
                              cl::value_desc("in.npz"),
                              cl::desc("measure on these inputs instead")};
  cl::opt<unsigned> runs{"runs", cl::sub(command), cl::value_desc("N"),
                         cl::init(30), cl::desc("timed runs of each (30)")};
  cl::opt<bool> roofline{
      "roofline", cl::sub(command),
      cl::desc("each kernel's time against this machine's limits")};
  cl::opt<std::string> json{"json", cl::sub(command), cl::value_desc("FILE"),
                            cl::desc("write the results as JSON too")};
  cl::opt<std::string> python{"python", cl::sub(command),
                              cl::value_desc("PROGRAM"), cl::init("python3"),
                              cl::desc("runs the peers")};
  cl::opt<std::string> entry{"entry", cl::sub(command), cl::value_desc("NAME"),
                             cl::init("sparse_opt_model_v1"),
                             cl::desc("the models' entry function")};
  FfnFlags ffn{command};
} flags;

class Bench {
public:
  explicit Bench(ModelFile model) : model(std::move(model)) {}
  Error run();

private:
  ModelFile model;
  std::vector<std::unique_ptr<ModelFile>> otherModels;
  std::vector<BenchCase> cases;
  std::vector<Runner> runners; // ours first
  json::Array rows;
  Progress progress;

  Error openRunners(unsigned threads);
  Expected<Runner> openRunner(StringRef name, unsigned threads);
  Error measure(const BenchCase &benchCase);
  Error compare(ArrayRef<unsigned> threadCounts);
  Error showRooflines(ArrayRef<unsigned> threadCounts);
  Error measureCase(const BenchCase &benchCase, unsigned threads);
  Arithmetic arithmetic() const;
  void printHeader();
  void printRow(const BenchCase &benchCase, unsigned threads, double peak,
                ArrayRef<Distance> distances);
};
} // namespace

/// Where --json says.
static Error writeResults(json::Object results) {
  return flags.json.empty() ? Error::success()
                            : writeJson(flags.json, std::move(results));
}

/// The names of --against.
static std::vector<std::string> peerNames() {
  SmallVector<StringRef> names;
  StringRef(flags.against).split(names, ',', -1, /*KeepEmpty=*/false);
  return {names.begin(), names.end()};
}

/// The ONNX file of the peers.
static Expected<std::string> referencePath() {
  SmallString<128> path(flags.reference);
  if (path.empty()) {
    path = flags.model;
    sys::path::replace_extension(path, ".onnx");
  }
  if (!sys::fs::exists(path))
    return makeError(path + ": not found; --reference=model.onnx says what "
                            "the peers run");
  return path.str().str();
}

Expected<Runner> Bench::openRunner(StringRef name, unsigned threads) {
  Runner runner;
  runner.name = sys::path::filename(name).str();
  if (isPeerName(name)) {
    Expected<std::string> onnx = referencePath();
    if (!onnx)
      return onnx.takeError();
    auto peer = Peer::open(flags.python, name.str(), *onnx, threads);
    if (!peer)
      return peer.takeError();
    runner.peer = std::move(*peer);
    return std::move(runner);
  }
  if (!sys::fs::exists(name))
    return makeError("--against=" + name +
                     " is neither onnxruntime, openvino, openvino-bf16 nor a "
                     "file");
  Expected<ModelFile> other = ModelFile::open(name.str(), flags.entry);
  if (!other)
    return other.takeError();
  otherModels.push_back(std::make_unique<ModelFile>(std::move(*other)));
  Expected<Instance> instance = Instance::create(*otherModels.back(), threads);
  if (!instance)
    return instance.takeError();
  runner.instance = std::make_unique<Instance>(std::move(*instance));
  return std::move(runner);
}

Error Bench::openRunners(unsigned threads) {
  runners.clear();
  Expected<Instance> instance = Instance::create(model, threads);
  if (!instance)
    return instance.takeError();
  Runner ours;
  ours.name = sys::path::filename(flags.model).str();
  ours.instance = std::make_unique<Instance>(std::move(*instance));
  runners.push_back(std::move(ours));
  for (const std::string &name : peerNames()) {
    progress.step("opening " + name);
    Expected<Runner> runner = openRunner(name, threads);
    if (!runner)
      return runner.takeError();
    runners.push_back(std::move(*runner));
  }
  return Error::success();
}

/// Turns of an untimed run and some timed ones, until all have enough. A pause
/// in between lets the threads of the one before stop spinning.
Error Bench::measure(const BenchCase &benchCase) {
  for (Runner &runner : runners)
    if (Error error = runner.bind(benchCase, Caches(model)))
      return error;
  const unsigned turn = 5;
  while (runners.front().times.size() < flags.runs)
    for (Runner &runner : runners) {
      std::this_thread::sleep_for(pauseBetweenTurns);
      Expected<std::vector<double>> times = runner.run(turn + 1);
      if (!times)
        return times.takeError();
      runner.times.insert(runner.times.end(), times->begin() + 1, times->end());
    }
  return Error::success();
}

void Bench::printHeader() {
  outs() << format("%-12s %7s %12s", "shape", "threads", "ours ms");
  for (const std::string &name : peerNames())
    outs() << ' '
           << right_justify((sys::path::filename(name) + " ms").str(), 15)
           << format("%7s %10s %9s", "ratio", "max diff", "cos");
  outs() << format("%10s %8s\n", "GMAC/s", "of peak");
}

/// JSON has no NaN: null says that the answers aren't numbers.
static json::Value number(double value) {
  return std::isfinite(value) ? json::Value(value) : json::Value(nullptr);
}

void Bench::printRow(const BenchCase &benchCase, unsigned threads, double peak,
                     ArrayRef<Distance> distances) {
  progress.clear();
  double ours = runners.front().median();
  json::Object row{{"shape", benchCase.shape},
                   {"threads", threads},
                   {"target", runners.front().instance->getTarget()},
                   {"median_ms", ours * 1e-6},
                   {"min_ms", runners.front().best() * 1e-6},
                   {"runs", runners.front().times.size()}};
  outs() << left_justify(benchCase.shape, 12)
         << format(" %7u %12.3f", threads, ours * 1e-6);
  json::Array peers;
  for (auto [runner, distance] : zip(drop_begin(runners), distances)) {
    double theirs = runner.median();
    outs() << format(" %15.3f %6.2f %10.1e %9.6f", theirs * 1e-6, theirs / ours,
                     distance.maxAbs, distance.cos);
    json::Object peer{{"name", runner.name},
                      {"median_ms", theirs * 1e-6},
                      {"min_ms", runner.best() * 1e-6},
                      {"ratio", theirs / ours},
                      {"max_abs_difference", number(distance.maxAbs)},
                      {"cos", number(distance.cos)}};
    if (runner.peer)
      peer["version"] = runner.peer->getVersion();
    peers.push_back(std::move(peer));
  }
  row["peers"] = std::move(peers);
  row["peak"] = nameOf(arithmetic());
  row["peak_gmacs"] = peak * 1e-9;
  json::Value manifest = model.getManifest();
  const json::Object *object = manifest.getAsObject();
  auto multiplyAdds =
      object ? benchCase.evaluate(*object, "multiply_adds") : std::nullopt;
  if (multiplyAdds) {
    double rate = *multiplyAdds / (ours * 1e-9);
    outs() << format("%10.1f %7.0f%%", rate * 1e-9, 100 * rate / peak);
    row["multiply_adds"] = *multiplyAdds;
    row["gmacs"] = rate * 1e-9;
    row["of_peak"] = rate / peak;
  }
  outs() << '\n';
  outs().flush();
  rows.push_back(std::move(row));
}

/// What the variant in use multiplies with.
Arithmetic Bench::arithmetic() const {
  return arithmeticOf(runners.front().instance->getTarget(),
                      model.getText("dtype") == "bf16");
}

Error Bench::measureCase(const BenchCase &benchCase, unsigned threads) {
  progress.step("measuring " + benchCase.shape);
  double peak = measurePeak(arithmetic(), threads);
  if (Error error = measure(benchCase))
    return error;
  auto ours = runners.front().getResults();
  if (!ours)
    return ours.takeError();
  const NpyArray *mask = findArray(benchCase.inputs, "attention_mask");
  std::vector<Distance> distances;
  for (Runner &runner : drop_begin(runners)) {
    Expected<Distance> one = runner.compareWith(*ours, mask);
    if (!one)
      return one.takeError();
    distances.push_back(*one);
  }
  peak = std::max(peak, measurePeak(arithmetic(), threads));
  printRow(benchCase, threads, peak, distances);
  return Error::success();
}

Error Bench::compare(ArrayRef<unsigned> threadCounts) {
  for (unsigned threads : threadCounts) {
    if (Error error = openRunners(threads))
      return error;
    if (threads == threadCounts.front())
      printHeader();
    for (const BenchCase &benchCase : cases)
      if (Error error = measureCase(benchCase, threads))
        return error;
  }
  outs() << "peak: " << nameOf(arithmetic()) << '\n';
  return writeResults(json::Object{{"model", model.getManifest()},
                                   {"results", std::move(rows)}});
}

/// How much memory to read at most: far more than the model's weights, and no
/// more than what shows the bandwidth of DRAM.
static uint64_t largestWorkingSet(const ModelFile &model) {
  json::Value manifest = model.getManifest();
  const json::Object *object = manifest.getAsObject();
  auto weights = object ? object->getInteger("weight_bytes") : std::nullopt;
  const int64_t MiB = 1 << 20;
  return std::clamp(weights.value_or(0), MiB, 32 * MiB) * 64;
}

/// Limits of one thread, and of each number of threads that is asked for.
Error Bench::showRooflines(ArrayRef<unsigned> threadCounts) {
  std::vector<Limits> limits;
  {
    ReadBuffer buffer(largestWorkingSet(model));
    std::set<unsigned> counts(threadCounts.begin(), threadCounts.end());
    counts.insert(1);
    for (unsigned threads : counts) {
      progress.step("measuring what this machine can do");
      limits.push_back(Limits::measure(buffer, threads));
    }
  }
  progress.clear();
  printLimits(outs(), limits);
  for (unsigned threads : threadCounts) {
    Expected<Instance> instance = Instance::create(model, threads);
    if (!instance)
      return instance.takeError();
    Limits &ofThreads = *find_if(
        limits, [&](const Limits &one) { return one.threads == threads; });
    for (const BenchCase &benchCase : cases) {
      progress.step("measuring " + benchCase.shape);
      auto table =
          measureRoofline(model, *instance, benchCase, ofThreads, flags.runs);
      if (!table)
        return table.takeError();
      progress.clear();
      outs() << '\n'
             << benchCase.shape << ", threads: " << threads << ", "
             << instance->getTarget() << '\n';
      table->print(outs());
      json::Object row = table->toJson();
      row["shape"] = benchCase.shape;
      row["threads"] = threads;
      row["target"] = instance->getTarget();
      rows.push_back(std::move(row));
    }
  }
  return writeResults(json::Object{{"model", model.getManifest()},
                                   {"limits", toJson(limits)},
                                   {"rooflines", std::move(rows)}});
}

Error Bench::run() {
  auto threadCounts = parseNumbers(flags.threads);
  if (!threadCounts)
    return makeError("--threads=" + flags.threads + " is no list such as 1,2");
  if (flags.inputs.empty()) {
    std::vector<std::string> shapes = flags.shapes;
    if (flags.past.getNumOccurrences())
      if (Error error = addPast(model, flags.past, shapes))
        return error;
    auto made = makeCases(model, std::move(shapes));
    if (!made)
      return made.takeError();
    cases = std::move(*made);
  } else {
    Expected<BenchCase> read = readCase(model, flags.inputs);
    if (!read)
      return read.takeError();
    cases.push_back(std::move(*read));
  }
  return flags.roofline ? showRooflines(*threadCounts) : compare(*threadCounts);
}

static Error benchBlock(FfnBenchOptions options) {
  // Lists overload the operator &.
  const cl::Option *others[] = {std::addressof(flags.shapes), &flags.reference,
                                &flags.inputs, &flags.past, &flags.roofline};
  if (Error error = flags.ffn.checkOthers(flags.model, others))
    return error;
  auto threads = parseNumbers(flags.threads);
  if (!threads)
    return makeError("--threads=" + flags.threads + " is no list such as 1,2");
  options.threads = std::move(*threads);
  options.peers = peerNames();
  for (const std::string &name : options.peers)
    if (!isPeerName(name))
      return makeError("--against=" + name +
                       " is neither onnxruntime, openvino, openvino-bf16 nor "
                       "a Python file");
  options.runs = flags.runs;
  options.python = flags.python;
  Expected<json::Object> results = benchFfn(options);
  if (!results)
    return results.takeError();
  return writeResults(std::move(*results));
}

int sparse_opt::tool::benchMain(int argc, char **argv) {
  if (auto status = parseFlags(
          argc, argv, command,
          "usage: sparse-opt bench model.so [--against=onnxruntime] [flags]\n"
          "       sparse-opt bench --ffn=gated,4096,11008,bf16 [flags]",
          "Each turn is one untimed run and five timed ones; medians. A ratio "
          "above 1 says\nthat the model is faster than the peer; cos compares "
          "outputs averaged over the\nsequence. GMAC/s: 1e9 multiply-adds of "
          "matrix products a second; the peak is\nthat of the model's type and "
          "instruction set, measured in the same run.\n"))
    return *status;
  if (flags.runs == 0)
    return fail("--runs=0 measures nothing");
  Expected<FfnBenchOptions> ffn = flags.ffn.parse();
  if (!ffn)
    return fail(ffn.takeError());
  if (flags.ffn.given()) {
    if (Error error = benchBlock(std::move(*ffn)))
      return fail(std::move(error));
    return Done;
  }
  if (flags.model.empty())
    return fail("which file? ('sparse-opt bench --help')");
  if (flags.roofline && !flags.against.empty())
    return fail("--roofline compares with this machine, not with "
                "--against=" +
                flags.against);
  Expected<ModelFile> model = ModelFile::open(flags.model, flags.entry);
  if (!model)
    return fail(model.takeError());
  if (Error error = Bench(std::move(*model)).run())
    return fail(std::move(error));
  return Done;
}
