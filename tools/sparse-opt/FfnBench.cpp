// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// All forms of the block and the peers take turns. Before each turn over 2 GB
// of other memory are read, which is the bandwidth that they are compared with:
// whatever a turn reads comes from memory. Each run has another random
// selection.
#include "FfnBench.h"
#include "Bandwidth.h"
#include "Cli.h"
#include "Compare.h"
#include "Quantile.h"
#include "Runner.h"
#include "TemporaryFiles.h"
#include "TemporaryModel.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

static constexpr uint64_t bytesBetween = 2ull << 30;

namespace {
/// One line of the table.
struct Line {
  std::string name;
  std::optional<FfnForm> form; ///< of ours
  double density;              ///< of each row
  Runner *runner;
  bool isWhole = false;             ///< all neurons, by the guard's kernels
  std::vector<double> times = {};   ///< nanoseconds
  std::vector<double> bytes = {};   ///< of weights that the selections want
  std::vector<double> touched = {}; ///< share of the neurons
};

class FfnBench {
public:
  explicit FfnBench(const FfnBenchOptions &options) : options(options) {}
  Expected<json::Object> run();

private:
  const FfnBenchOptions &options;
  Progress progress;
  TemporaryFolder folder;
  std::vector<std::pair<FfnForm, std::unique_ptr<TemporaryModel>>> models;
  NpyArray x;
  std::mt19937 engine{1};
  json::Array rows;

  Error build();
  Error measure(unsigned threads, const ReadBuffer &buffer);
  Error openRunners(unsigned threads, sparse_opt_pool *pool,
                    std::vector<std::unique_ptr<Runner>> &runners);
  Error checkAnswers(ArrayRef<std::unique_ptr<Runner>> runners);
  Error runOnce(Line &line);
  NpyArray drawMask(double density, double &share);
  double bytesOf(FfnForm form, double share) const;
  void print(ArrayRef<Line> lines, unsigned threads, StringRef target,
             double bandwidth);
  void printCrossover(ArrayRef<Line> lines, FfnForm form, unsigned threads);
};
} // namespace

static NpyArray makeArray(StringRef name, int32_t type,
                          std::vector<int64_t> shape) {
  NpyArray array;
  array.name = name.str();
  array.elementType = type;
  int64_t count = elementSize(type);
  for (int64_t size : shape)
    count *= size;
  array.data.resize(count);
  array.shape = std::move(shape);
  return array;
}

/// Each form of ours, compiled for the variant that the runtime would take.
Error FfnBench::build() {
  progress.step("writing the block");
  if (Error error = writeFfnModel(options.shape, folder.path()))
    return error;
  std::vector<FfnForm> forms = {FfnForm::Dense};
  forms.insert(forms.end(), options.forms.begin(), options.forms.end());
  for (FfnForm form : forms) {
    CompileOptions compile;
    compile.input = folder.path() + "/ffn.onnx";
    const char *wanted = getenv("SPARSE_OPT_ISA");
    compile.march = wanted && *wanted ? wanted : "native";
    if (options.shape.type == "int8")
      compile.weightType = "int8";
    else
      compile.dtype = options.shape.type;
    compile.progress = [&](StringRef step) { progress.step(step); };
    models.emplace_back(form, std::make_unique<TemporaryModel>());
    if (Error error = models.back().second->buildAlone(
            compile, nameOf(form),
            [&](mlir::MLIRContext &context, const CompileOptions &options) {
              return compileFfn(context, options, form);
            }))
      return error;
  }
  return Error::success();
}

Error FfnBench::openRunners(unsigned threads, sparse_opt_pool *pool,
                            std::vector<std::unique_ptr<Runner>> &runners) {
  for (auto &[form, model] : models) {
    Expected<Instance> instance =
        Instance::create(model->getFile(), threads, pool);
    if (!instance)
      return instance.takeError();
    runners.push_back(std::make_unique<Runner>());
    runners.back()->name = nameOf(form).str();
    runners.back()->instance = std::make_unique<Instance>(std::move(*instance));
  }
  for (const std::string &name : options.peers) {
    progress.step("opening " + name);
    auto peer =
        Peer::open(options.python, name, folder.path() + "/ffn.onnx", threads);
    if (!peer)
      return peer.takeError();
    runners.push_back(std::make_unique<Runner>());
    runners.back()->name = name;
    runners.back()->peer = std::move(*peer);
    if (Error error = runners.back()->peer->bind({x}))
      return error;
  }
  return Error::success();
}

/// With all neurons selected, forms of ours compute what the dense one does, up
/// to the rounding of hidden values.
Error FfnBench::checkAnswers(ArrayRef<std::unique_ptr<Runner>> runners) {
  const double limit = options.shape.type == "bf16" ? 0.02 : 1e-4;
  auto dense = runners.front()->resultsFor({x});
  if (!dense)
    return dense.takeError();
  double share;
  std::vector<NpyArray> inputs = {x, drawMask(1, share)};
  for (const std::unique_ptr<Runner> &runner :
       runners.slice(1, models.size() - 1)) {
    auto results = runner->resultsFor(inputs);
    if (!results)
      return results.takeError();
    auto differences = compareArrays(results->front(), dense->front());
    if (!differences)
      return differences.takeError();
    if (!(differences->relMax <= limit))
      return makeError("form " + runner->name +
                       " with all neurons is not what the dense form is");
  }
  return Error::success();
}

/// Each neuron of each row by chance; `share` is of those that any row keeps.
NpyArray FfnBench::drawMask(double density, double &share) {
  int64_t neurons = options.shape.hidden, kept = 0;
  NpyArray mask = makeArray("mask", SPARSE_OPT_BOOL, {options.rows, neurons});
  for (uint8_t &keep : mask.data)
    keep = (engine() >> 8) * 0x1p-24 < density;
  for (int64_t i = 0; i < neurons; ++i) {
    bool any = false;
    for (int64_t row = 0; row < options.rows; ++row)
      any |= mask.data[row * neurons + i] != 0;
    kept += any;
  }
  share = double(kept) / double(neurons);
  return mask;
}

/// Of weights; everything else is small.
double FfnBench::bytesOf(FfnForm form, double share) const {
  int64_t all = options.shape.matrices();
  int64_t whole = form == FfnForm::Dense ? all : form == FfnForm::GateFirst;
  return options.shape.matrixBytes() * (whole + share * double(all - whole));
}

Error FfnBench::runOnce(Line &line) {
  std::vector<NpyArray> inputs = {x};
  double share = 1;
  if (line.form && *line.form != FfnForm::Dense)
    inputs.push_back(drawMask(line.density, share));
  if (line.form) {
    line.runner->instance->bind(inputs);
    if (*line.form != FfnForm::Dense)
      if (Error error = line.runner->instance->setKnob(
              ffnCrossoverKnob.str(), line.isWhole ? -1.0 : 1.0))
        return error;
    line.bytes.push_back(bytesOf(*line.form, share));
    line.touched.push_back(share);
  } else {
    // The threads of the one before stop spinning.
    std::this_thread::sleep_for(pauseBetweenTurns);
  }
  Expected<std::vector<double>> times = line.runner->run(1);
  if (!times)
    return times.takeError();
  line.times.push_back(times->front());
  return Error::success();
}

Error FfnBench::measure(unsigned threads, const ReadBuffer &buffer) {
  const sparse_opt_api &api = models.front().second->getFile().getApi();
  sparse_opt_pool *pool = nullptr;
  if (api.pool_create(api.model, threads, &pool) != SPARSE_OPT_OK)
    return makeError(api.last_error());
  llvm::scope_exit destroyPool([&] { api.pool_destroy(pool); });
  std::vector<std::unique_ptr<Runner>> runners;
  if (Error error = openRunners(threads, pool, runners))
    return error;
  if (Error error = checkAnswers(runners))
    return error;

  // Turns: each density of the others behind the dense form, and what they do
  // where the guard finds the density too high.
  std::vector<Line> dense, peers;
  dense.push_back({"dense", FfnForm::Dense, 1, runners.front().get()});
  std::vector<std::vector<Line>> turns(options.densities.size() + 1);
  for (size_t i = 1; i < models.size(); ++i) {
    Line line{runners[i]->name, models[i].first, 1, runners[i].get()};
    for (auto [turn, density] : zip(turns, options.densities)) {
      line.density = density;
      turn.push_back(line);
    }
    line.name += ", guarded";
    line.density = 1;
    line.isWhole = true;
    turns.back().push_back(line);
  }
  for (size_t i = models.size(); i < runners.size(); ++i)
    peers.push_back({runners[i]->name, std::nullopt, 1, runners[i].get()});
  std::vector<double> bandwidth;
  auto take = [&](MutableArrayRef<Line> lines) -> Error {
    for (Line &line : lines)
      if (Error error = runOnce(line))
        return error;
    return Error::success();
  };
  for (unsigned run = 0; run <= options.runs; ++run) {
    progress.step("run " + std::to_string(run) + " of " +
                  std::to_string(options.runs));
    for (size_t i = 0; i < turns.size(); ++i) {
      append_range(bandwidth, readThrough(buffer, bytesBetween, threads));
      if (Error error = take(dense))
        return error;
      if (Error error = take(turns[i]))
        return error;
      if (i + 1 == turns.size())
        if (Error error = take(peers))
          return error;
    }
    if (run == 0) { // untimed
      bandwidth.clear();
      for (std::vector<Line> *lines : {&dense, &peers})
        for (Line &line : *lines)
          line.times.clear();
      for (std::vector<Line> &lines : turns)
        for (Line &line : lines)
          line.times.clear();
    }
  }
  std::vector<Line> all = std::move(dense);
  for (size_t i = 1; i < models.size(); ++i)
    for (std::vector<Line> &lines : turns)
      all.push_back(std::move(lines[i - 1]));
  for (Line &line : peers)
    all.push_back(std::move(line));
  progress.clear();
  print(all, threads, runners.front()->instance->getTarget(),
        medianOf(bandwidth));
  for (FfnForm form : options.forms)
    printCrossover(all, form, threads);
  return Error::success();
}

void FfnBench::print(ArrayRef<Line> lines, unsigned threads, StringRef target,
                     double bandwidth) {
  outs() << '\n'
         << options.shape.str() << ", rows: " << options.rows
         << ", threads: " << threads << ", " << target
         << ", memory: " << format("%.1f GB/s\n", bandwidth * 1e-9)
         << format("%-20s %7s %10s %10s %8s %8s %8s %8s %9s\n", "neurons",
                   "density", "median ms", "best ms", "MB", "GB/s", "of read",
                   "x dense", "by bytes");
  double dense = medianOf(lines.front().times),
         denseBytes = lines.front().bytes.front();
  for (const Line &line : lines) {
    double time = medianOf(line.times);
    double best = *min_element(line.times);
    json::Object row{{"name", line.name},
                     {"threads", threads},
                     {"target", target.str()},
                     {"density", line.density},
                     {"median_ms", time * 1e-6},
                     {"min_ms", best * 1e-6},
                     {"runs", line.times.size()},
                     {"of_dense", dense / time},
                     {"bandwidth_gbs", bandwidth * 1e-9}};
    outs() << left_justify(line.name, 20)
           << format(" %6.1f%% %10.3f %10.3f", 100 * line.density, time * 1e-6,
                     best * 1e-6);
    if (line.form) {
      double bytes = medianOf(line.bytes), rate = bytes / (time * 1e-9);
      outs() << format(" %8.1f %8.1f %7.0f%% %8.2f %9.2f", bytes * 1e-6,
                       rate * 1e-9, 100 * rate / bandwidth, dense / time,
                       denseBytes / bytes);
      row["bytes"] = bytes;
      row["touched"] = medianOf(line.touched);
      row["gbs"] = rate * 1e-9;
      row["of_bandwidth"] = rate / bandwidth;
    } else {
      outs() << format(" %8s %8s %8s %8.2f", "", "", "", dense / time);
      row["version"] = line.runner->peer->getVersion().str();
    }
    outs() << '\n';
    rows.push_back(std::move(row));
  }
  outs().flush();
}

/// The density from which on dense kernels are faster, on the line through the
/// least and the largest density; 1 when they never are.
static double crossoverOf(ArrayRef<Line> skipping, double whole) {
  auto [least, most] = std::minmax_element(
      skipping.begin(), skipping.end(),
      [](const Line &a, const Line &b) { return a.density < b.density; });
  double low = medianOf(least->times), high = medianOf(most->times);
  if (high <= low)
    return 1;
  double part = (whole - low) / (high - low);
  return std::clamp(least->density + part * (most->density - least->density),
                    0.0, 1.0);
}

void FfnBench::printCrossover(ArrayRef<Line> lines, FfnForm form,
                              unsigned threads) {
  SmallVector<Line> skipping;
  const Line *whole = nullptr;
  for (const Line &line : lines)
    if (line.form == form && line.isWhole)
      whole = &line;
    else if (line.form == form)
      skipping.push_back(line);
  if (skipping.size() < 2)
    return; // one density is no line
  double crossover = crossoverOf(skipping, medianOf(whole->times));
  outs() << nameOf(form)
         << format(": dense kernels are faster from %.0f%% on\n",
                   100 * crossover);
  outs().flush();
  rows.push_back(json::Object{{"name", (nameOf(form) + ", crossover").str()},
                              {"threads", threads},
                              {"density", crossover}});
}

Expected<json::Object> FfnBench::run() {
  if (Error error =
          folder.create("sparse-opt-ffn", {"ffn.onnx", "ffn.weights"}))
    return std::move(error);
  if (Error error =
          checkRoom(options.shape, 1 + options.forms.size(), folder.path()))
    return std::move(error);
  x = makeArray("x", SPARSE_OPT_FLOAT, {options.rows, options.shape.d});
  auto *values = reinterpret_cast<float *>(x.data.data());
  for (size_t i = 0; i < x.data.size() / sizeof(float); ++i)
    values[i] = (engine() >> 8) * 0x1p-23f - 1;
  if (Error error = build())
    return std::move(error);
  ReadBuffer buffer(bytesBetween);
  if (buffer.getBytes() == 0)
    return makeError("there is no memory to measure the bandwidth with");
  for (unsigned threads : options.threads)
    if (Error error = measure(threads, buffer))
      return std::move(error);
  return json::Object{{"ffn", options.shape.str()},
                      {"rows", options.rows},
                      {"results", std::move(rows)}};
}

Expected<json::Object>
sparse_opt::tool::benchFfn(const FfnBenchOptions &options) {
  return FfnBench(options).run();
}
