// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `sparse-opt bench`: a compiled model and its peers take turns on the same
// inputs; medians, ratios, differences, and the share of this machine's
// multiply-add rate that was reached.
#include "Cli.h"
#include "Compare.h"
#include "Inputs.h"
#include "Peak.h"
#include "Peer.h"
#include "sparse-opt/Analysis/DimExpr.h"
#include "sparse-opt/Pipelines/StageFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <numeric>
#include <thread>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

static cl::SubCommand command("bench", "measure a compiled model");

namespace {
struct Flags {
  cl::opt<std::string> model{cl::Positional, cl::Required, cl::sub(command)};
  cl::opt<std::string> against{
      "against", cl::sub(command), cl::value_desc("LIST"),
      cl::desc("peers: onnxruntime, openvino, openvino-bf16, model.so")};
  cl::opt<std::string> reference{
      "reference", cl::sub(command), cl::value_desc("model.onnx"),
      cl::desc("what peers run (default: the .onnx of the same name)")};
  cl::opt<std::string> threads{"threads", cl::sub(command),
                               cl::value_desc("LIST"), cl::init("1"),
                               cl::desc("thread counts, such as 1,2")};
  cl::list<std::string> shapes{
      "shape", cl::sub(command), cl::value_desc("SHAPE"),
      cl::desc("ids:1x128, batch=1,sequence=128 or 1x128; may repeat")};
  cl::opt<std::string> inputs{"inputs", cl::sub(command),
                              cl::value_desc("in.npz"),
                              cl::desc("measure on these inputs instead")};
  cl::opt<unsigned> runs{"runs", cl::sub(command), cl::value_desc("N"),
                         cl::init(30), cl::desc("timed runs of each (30)")};
  cl::opt<std::string> json{"json", cl::sub(command), cl::value_desc("FILE"),
                            cl::desc("write the results as JSON too")};
  cl::opt<std::string> python{"python", cl::sub(command),
                              cl::value_desc("PROGRAM"), cl::init("python3"),
                              cl::desc("runs onnxruntime and openvino")};
  cl::opt<std::string> entry{"entry", cl::sub(command), cl::value_desc("NAME"),
                             cl::init("sparse_opt_model_v1"),
                             cl::desc("the models' entry function")};
} flags;

/// One of those that take turns.
struct Runner {
  std::string name;
  std::unique_ptr<Peer> peer;         // or:
  std::unique_ptr<Instance> instance; // of ours
  std::vector<double> times;          // nanoseconds

  Error bind(const std::vector<NpyArray> &inputs) {
    times.clear();
    if (peer)
      return peer->bind(inputs);
    instance->bind(inputs);
    return Error::success();
  }

  Expected<std::vector<NpyArray>> getResults() {
    if (peer)
      return peer->getResults();
    if (Error error = instance->run())
      return std::move(error);
    return instance->getResults();
  }

  Expected<std::vector<double>> run(unsigned runs) {
    if (peer)
      return peer->run(runs);
    std::vector<double> result;
    for (unsigned i = 0; i < runs; ++i) {
      auto start = std::chrono::steady_clock::now();
      if (Error error = instance->run())
        return std::move(error);
      std::chrono::duration<double, std::nano> time =
          std::chrono::steady_clock::now() - start;
      result.push_back(time.count());
    }
    return result;
  }

  double median() const {
    std::vector<double> sorted = times;
    llvm::sort(sorted);
    size_t half = sorted.size() / 2;
    return sorted.size() % 2 ? sorted[half]
                             : (sorted[half - 1] + sorted[half]) / 2;
  }
  double best() const { return *std::min_element(times.begin(), times.end()); }
};

/// Between two results: the worst output of each kind.
struct Distance {
  double maxAbs = 0;
  double cos = 1; // of mean-pooled rows
};

struct Case {
  std::string shape;
  std::vector<NpyArray> inputs;
  std::optional<double> multiplyAdds;
};

class Bench {
public:
  explicit Bench(ModelFile model) : model(std::move(model)) {}
  Error run();

private:
  ModelFile model;
  std::vector<std::unique_ptr<ModelFile>> otherModels;
  std::vector<Case> cases;
  std::vector<Runner> runners; // ours first
  json::Array rows;
  Progress progress;

  Error makeCases();
  Case makeCase(std::string shape, std::vector<NpyArray> inputs,
                const DimValues &dims);
  Error openRunners(unsigned threads);
  Expected<Runner> openRunner(StringRef name, unsigned threads);
  Error measure(const Case &benchCase);
  Expected<Distance> distance(const Case &benchCase,
                              std::vector<NpyArray> &ours, Runner &other);
  Error measureCase(const Case &benchCase, unsigned threads);
  Arithmetic arithmetic() const;
  void printHeader();
  void printRow(const Case &benchCase, unsigned threads, double peak,
                ArrayRef<Distance> distances);
};
} // namespace

/// The multiply-adds of one run, where the manifest has them.
static std::optional<double> multiplyAdds(const ModelFile &model,
                                          const DimValues &dims) {
  json::Value manifest = model.getManifest();
  const json::Object *object = manifest.getAsObject();
  auto text = object ? object->getString("multiply_adds") : std::nullopt;
  auto expr = text ? DimExpr::parse(*text) : std::nullopt;
  if (!expr)
    return std::nullopt;
  auto value = expr->evaluate([&](StringRef name) -> std::optional<int64_t> {
    auto dim = dims.find(name.str());
    return dim == dims.end() ? std::nullopt : std::optional(dim->second);
  });
  return value ? std::optional<double>(double(*value)) : std::nullopt;
}

Case Bench::makeCase(std::string shape, std::vector<NpyArray> inputs,
                     const DimValues &dims) {
  return {std::move(shape), std::move(inputs), multiplyAdds(model, dims)};
}

Error Bench::makeCases() {
  if (!flags.inputs.empty()) {
    Expected<std::vector<NpyArray>> inputs = readInputs(flags.inputs, model);
    if (!inputs)
      return inputs.takeError();
    DimValues dims = dimsOf(*inputs, model).value_or(DimValues());
    std::string name = sys::path::filename(flags.inputs).str();
    cases.push_back(makeCase(name, std::move(*inputs), dims));
    return Error::success();
  }
  std::vector<std::string> shapes(flags.shapes.begin(), flags.shapes.end());
  if (shapes.empty() && symbolNames(model).size() >= 2)
    shapes = {"1x16", "1x128", "8x128"};
  else if (shapes.empty())
    shapes = {symbolNames(model).empty() ? "" : "1"};
  for (const std::string &shape : shapes) {
    Expected<DimValues> dims = parseShape(shape, model);
    if (!dims)
      return dims.takeError();
    cases.push_back(makeCase(shapeText(*dims, model),
                             makeInputs(model, *dims, 1, /*padding=*/false),
                             *dims));
  }
  return Error::success();
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
  SmallVector<StringRef> names;
  StringRef(flags.against).split(names, ',', -1, /*KeepEmpty=*/false);
  for (StringRef name : names) {
    progress.step(("opening " + name).str());
    Expected<Runner> runner = openRunner(name, threads);
    if (!runner)
      return runner.takeError();
    runners.push_back(std::move(*runner));
  }
  return Error::success();
}

/// Turns of an untimed run and some timed ones, until all have enough. A pause
/// in between lets the threads of the one before stop spinning.
Error Bench::measure(const Case &benchCase) {
  for (Runner &runner : runners)
    if (Error error = runner.bind(benchCase.inputs))
      return error;
  const unsigned turn = 5;
  while (runners.front().times.size() < flags.runs)
    for (Runner &runner : runners) {
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
      Expected<std::vector<double>> times = runner.run(turn + 1);
      if (!times)
        return times.takeError();
      runner.times.insert(runner.times.end(), times->begin() + 1, times->end());
    }
  return Error::success();
}

Expected<Distance> Bench::distance(const Case &benchCase,
                                   std::vector<NpyArray> &ours, Runner &other) {
  auto theirs = other.getResults();
  if (!theirs)
    return theirs.takeError();
  const NpyArray *mask = findArray(benchCase.inputs, "attention_mask");
  Distance worst;
  for (const NpyArray &array : ours)
    if (const NpyArray *reference = findArray(*theirs, array.name)) {
      auto differences = compareArrays(array, *reference);
      if (!differences)
        return makeError(other.name + ": " + toString(differences.takeError()));
      bool isNan = std::isnan(differences->maxAbs) || std::isnan(worst.maxAbs);
      worst.maxAbs = isNan ? NAN : std::max(worst.maxAbs, differences->maxAbs);
      worst.cos =
          isNan ? NAN
                : std::min(worst.cos, pooledCosine(array, *reference, mask));
    }
  return worst;
}

void Bench::printHeader() {
  outs() << format("%-12s %7s %12s", "shape", "threads", "ours ms");
  SmallVector<StringRef> names;
  StringRef(flags.against).split(names, ',', -1, /*KeepEmpty=*/false);
  for (StringRef name : names)
    outs() << ' '
           << right_justify((sys::path::filename(name) + " ms").str(), 15)
           << format("%7s %10s %9s", "ratio", "max diff", "cos");
  outs() << format("%10s %8s\n", "GMAC/s", "of peak");
}

/// JSON has no NaN: null says that the answers aren't numbers.
static json::Value number(double value) {
  return std::isfinite(value) ? json::Value(value) : json::Value(nullptr);
}

void Bench::printRow(const Case &benchCase, unsigned threads, double peak,
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
  if (benchCase.multiplyAdds) {
    double rate = *benchCase.multiplyAdds / (ours * 1e-9);
    outs() << format("%10.1f %7.0f%%", rate * 1e-9, 100 * rate / peak);
    row["multiply_adds"] = *benchCase.multiplyAdds;
    row["gmacs"] = rate * 1e-9;
    row["of_peak"] = rate / peak;
  }
  outs() << '\n';
  outs().flush();
  rows.push_back(std::move(row));
}

/// What the variant in use multiplies with.
Arithmetic Bench::arithmetic() const {
  json::Value manifest = model.getManifest();
  const json::Object *object = manifest.getAsObject();
  bool isBf16 = object && object->getString("dtype") == StringRef("bf16");
  return arithmeticOf(runners.front().instance->getTarget(), isBf16);
}

Error Bench::measureCase(const Case &benchCase, unsigned threads) {
  progress.step("measuring " + benchCase.shape);
  double peak = measurePeak(arithmetic(), threads);
  if (Error error = measure(benchCase))
    return error;
  auto ours = runners.front().getResults();
  if (!ours)
    return ours.takeError();
  std::vector<Distance> distances;
  for (Runner &runner : drop_begin(runners)) {
    Expected<Distance> one = distance(benchCase, *ours, runner);
    if (!one)
      return one.takeError();
    distances.push_back(*one);
  }
  peak = std::max(peak, measurePeak(arithmetic(), threads));
  printRow(benchCase, threads, peak, distances);
  return Error::success();
}

Error Bench::run() {
  auto threadCounts = parseNumbers(flags.threads);
  if (!threadCounts)
    return makeError("--threads=" + flags.threads + " is no list such as 1,2");
  if (Error error = makeCases())
    return error;
  for (unsigned threads : *threadCounts) {
    if (Error error = openRunners(threads))
      return error;
    if (threads == threadCounts->front())
      printHeader();
    for (const Case &benchCase : cases)
      if (Error error = measureCase(benchCase, threads))
        return error;
  }
  outs() << "peak: " << nameOf(arithmetic()) << '\n';
  if (flags.json.empty())
    return Error::success();
  return writeFileAtomically(flags.json, [&](raw_ostream &os) {
    json::Value all = json::Object{{"model", model.getManifest()},
                                   {"results", std::move(rows)}};
    os << formatv("{0:2}\n", all);
    return Error::success();
  });
}

int sparse_opt::tool::benchMain(int argc, char **argv) {
  if (auto status = parseFlags(
          argc, argv, command,
          "usage: sparse-opt bench model.so [--against=onnxruntime] [flags]",
          "Each turn is one untimed run and five timed ones; medians. A ratio "
          "above 1 says\nthat the model is faster than the peer; cos compares "
          "outputs averaged over the\nsequence. GMAC/s: 1e9 multiply-adds of "
          "matrix products a second; the peak is\nthat of the model's type and "
          "instruction set, measured in the same run.\n"))
    return *status;
  if (flags.runs == 0)
    return fail("--runs=0 measures nothing");
  Expected<ModelFile> model = ModelFile::open(flags.model, flags.entry);
  if (!model)
    return fail(model.takeError());
  if (Error error = Bench(std::move(*model)).run())
    return fail(std::move(error));
  return Done;
}
