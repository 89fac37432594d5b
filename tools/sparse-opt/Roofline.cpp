// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The manifest says what each kernel computes and touches, a profile how long
// it took. A kernel's limit is the slower of two: its FLOPs at the peak of its
// type and instruction set, or its bytes at the read bandwidth of where they
// are. Weights come round once a run, so that they are where a working set of
// all of the run's weights is; activations were written by the kernel before.
#include "Roofline.h"
#include "ModelFile.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>
#include <numeric>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

Limits Limits::measure(const ReadBuffer &buffer, unsigned threads) {
  Limits limits{threads, {}, ReadBandwidth::measure(buffer, threads)};
  for (Arithmetic arithmetic : hostArithmetic())
    limits.peaks.push_back({arithmetic, measurePeak(arithmetic, threads)});
  return limits;
}

void Limits::measurePeaksAgain() {
  for (auto &[arithmetic, rate] : peaks)
    rate = std::max(rate, measurePeak(arithmetic, threads));
}

double Limits::peakOf(Arithmetic arithmetic) const {
  for (auto [measured, rate] : peaks)
    if (measured == arithmetic)
      return rate;
  return 0;
}

//===----------------------------------------------------------------------===//
// What the manifest knows
//===----------------------------------------------------------------------===//

/// The manifest's description of the launches of `target`, or null.
static const json::Array *findLaunches(const json::Object &manifest,
                                       StringRef target) {
  const json::Array *groups = manifest.getArray("kernels");
  if (!groups)
    return nullptr;
  for (const json::Value &group : *groups)
    if (const json::Object *object = group.getAsObject())
      if (const json::Array *targets = object->getArray("targets"))
        if (is_contained(*targets, json::Value(target)))
          return object->getArray("launches");
  return nullptr;
}

std::vector<Launch> sparse_opt::tool::launchesOf(const ModelFile &model,
                                                 StringRef target) {
  std::vector<Launch> all;
  json::Value manifest = model.getManifest();
  const json::Object *object = manifest.getAsObject();
  if (const json::Array *launches =
          object ? findLaunches(*object, target) : nullptr)
    for (const json::Value &launch : *launches) {
      const json::Object &kernel = *launch.getAsObject();
      all.insert(all.end(), kernel.getInteger("launches").value_or(1),
                 {kernel.getString("name").value_or("").str(),
                  kernel.getString("kind").value_or("").str()});
    }
  return all;
}

static std::string kindOf(const json::Object &kernel) {
  std::string text = kernel.getString("kind").value_or("unknown").str();
  if (auto shape = kernel.getString("shape"))
    text += " " + shape->str();
  if (kernel.getString("dtype") == StringRef("bf16"))
    text += " bf16";
  if (auto weights = kernel.getString("weight_type"))
    text += " x " + weights->str();
  return text;
}

namespace {
/// Bytes of one run.
struct Traffic {
  double weights = 0, activations = -1; // of a kernel; negative: unknown
};
} // namespace

static Traffic trafficOf(const json::Object &kernel, const BenchCase &sizes) {
  Traffic traffic;
  auto all = sizes.evaluate(kernel, "bytes");
  auto weights = sizes.evaluate(kernel, "weight_bytes");
  if (all && weights)
    traffic = {*weights, *all - *weights};
  return traffic;
}

/// All bytes between two uses of a weight: the weights, and the activations
/// that are in use at a time.
static double workingSet(const json::Array &launches, const BenchCase &sizes) {
  double weights = 0, activations = 0;
  for (const json::Value &launch : launches) {
    Traffic traffic = trafficOf(*launch.getAsObject(), sizes);
    weights += traffic.weights;
    activations = std::max(activations, traffic.activations);
  }
  return weights + activations;
}

static KernelLine describe(const json::Object &kernel, const BenchCase &sizes,
                           const Limits &limits, StringRef target,
                           double workingSet) {
  KernelLine line;
  line.name = kernel.getString("name").value_or("").str();
  line.kind = kindOf(kernel);
  line.flops = sizes.evaluate(kernel, "flops").value_or(-1);
  Traffic traffic = trafficOf(kernel, sizes);
  if (traffic.activations < 0 || line.flops < 0)
    return line;
  line.bytes = traffic.weights + traffic.activations;
  bool isBf16 = kernel.getString("dtype") == StringRef("bf16");
  double peak = 2 * limits.peakOf(arithmeticOf(target, isBf16));
  double compute = line.flops / peak;
  const ReadBandwidth &bandwidth = limits.bandwidth;
  double memory = traffic.weights / bandwidth.at(workingSet) +
                  traffic.activations / bandwidth.at(traffic.activations);
  line.computeBound = compute > memory;
  line.limitSeconds = std::max(compute, memory);
  return line;
}

//===----------------------------------------------------------------------===//
// Measuring
//===----------------------------------------------------------------------===//

namespace {
struct TimedRun {
  double seconds;
  Profile profile;
};
} // namespace

static Expected<double> timeRun(Instance &instance) {
  auto start = std::chrono::steady_clock::now();
  if (Error error = instance.run())
    return std::move(error);
  std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
  return time.count();
}

/// The mean of the fastest quarter: lines add up, and interruptions don't
/// count.
template <typename Run, typename Get>
static double meanOfFastest(ArrayRef<Run> sorted, Get get) {
  size_t count = (sorted.size() + 3) / 4;
  double sum = 0;
  for (const Run &run : sorted.take_front(count))
    sum += get(run);
  return sum / double(count);
}

static Error runBoth(Instance &instance, unsigned runs,
                     std::vector<TimedRun> &timed, std::vector<double> &plain) {
  for (unsigned i = 0; i <= runs; ++i)
    for (bool profiled : {false, true}) {
      if (Error error = instance.enableProfile(profiled))
        return error;
      Expected<double> seconds = timeRun(instance);
      if (!seconds)
        return seconds.takeError();
      if (i == 0) // warms up
        continue;
      if (!profiled) {
        plain.push_back(*seconds);
        continue;
      }
      Expected<Profile> profile = instance.getProfile();
      if (!profile)
        return profile.takeError();
      timed.push_back({*seconds, std::move(*profile)});
    }
  llvm::sort(plain);
  llvm::sort(timed, [](const TimedRun &a, const TimedRun &b) {
    return a.seconds < b.seconds;
  });
  return Error::success();
}

Expected<RooflineTable>
sparse_opt::tool::measureRoofline(const ModelFile &model, Instance &instance,
                                  const BenchCase &benchCase, Limits &limits,
                                  unsigned runs) {
  json::Value manifest = model.getManifest();
  const json::Object *object = manifest.getAsObject();
  StringRef target = instance.getTarget();
  const json::Array *launches =
      object ? findLaunches(*object, target) : nullptr;
  if (!launches)
    return makeError(model.getPath() + ": doesn't say what its kernels are");
  if (Error error = instance.fill(benchCase.fills))
    return std::move(error);
  instance.bind(benchCase.inputs);
  std::vector<TimedRun> timed;
  std::vector<double> plain;
  if (Error error = runBoth(instance, runs, timed, plain))
    return std::move(error);
  limits.measurePeaksAgain();
  auto mean = [&](auto get) { return meanOfFastest(ArrayRef(timed), get); };
  RooflineTable table;
  table.plain = meanOfFastest(ArrayRef(plain), [](double run) { return run; });
  table.total = mean([](const TimedRun &run) { return run.seconds; });
  table.best = timed.front().seconds;
  double compiled = mean(
      [](const TimedRun &run) { return double(run.profile.total) * 1e-9; });
  table.runtime = table.total - compiled;
  table.between = compiled;
  double set = workingSet(*launches, benchCase);
  size_t number = 0;
  for (const json::Value &launch : *launches) {
    const json::Object &kernel = *launch.getAsObject();
    KernelLine line = describe(kernel, benchCase, limits, target, set);
    for (int64_t i = kernel.getInteger("launches").value_or(1); i > 0; --i) {
      auto time = [number](const TimedRun &run) {
        const std::vector<uint64_t> &times = run.profile.launches;
        return number < times.size() ? double(times[number]) * 1e-9 : 0;
      };
      line.seconds += mean(time);
      line.best += time(
          *llvm::min_element(timed, [&](const TimedRun &a, const TimedRun &b) {
            return time(a) < time(b);
          }));
      ++number;
    }
    table.between -= line.seconds;
    table.kernels.push_back(std::move(line));
  }
  for (const TimedRun &run : timed)
    if (run.profile.launches.size() > number)
      return makeError(model.getPath() +
                       ": ran more kernels than it describes");
  return table;
}

//===----------------------------------------------------------------------===//
// Printing
//===----------------------------------------------------------------------===//

static std::string sizeText(uint64_t bytes) {
  const char *units[] = {"B", "KiB", "MiB", "GiB"};
  unsigned unit = 0;
  for (; bytes >= 1024 && bytes % 1024 == 0 && unit < 3; ++unit)
    bytes /= 1024;
  return std::to_string(bytes) + " " + units[unit];
}

void sparse_opt::tool::printLimits(raw_ostream &os, ArrayRef<Limits> limits) {
  os << "peaks in GFLOP/s, reading in GB/s by working set\n";
  os << "threads";
  for (auto [arithmetic, rate] : limits.front().peaks)
    os << "  " << nameOf(arithmetic);
  os << '\n';
  for (const Limits &one : limits) {
    os << format("%7u", one.threads);
    for (auto [arithmetic, rate] : one.peaks)
      os << "  "
         << right_justify(std::to_string(int64_t(2e-9 * rate)),
                          nameOf(arithmetic).size());
    os << '\n';
  }
  os << "threads";
  for (const ReadBandwidth::Point &point : limits.front().bandwidth.getPoints())
    os << right_justify(sizeText(point.bytes), 9);
  os << '\n';
  for (const Limits &one : limits) {
    os << format("%7u", one.threads);
    for (const ReadBandwidth::Point &point : one.bandwidth.getPoints())
      os << format("%9.1f", point.rate * 1e-9);
    os << '\n';
  }
}

json::Array sparse_opt::tool::toJson(ArrayRef<Limits> limits) {
  json::Array array;
  for (const Limits &one : limits) {
    json::Object peaks;
    for (auto [arithmetic, rate] : one.peaks)
      peaks[nameOf(arithmetic)] = 2e-9 * rate;
    array.push_back(json::Object{{"threads", one.threads},
                                 {"peak_gflops", std::move(peaks)},
                                 {"read", one.bandwidth.toJson()}});
  }
  return array;
}

/// The end of a name is what tells it from others.
static std::string shortened(StringRef name, size_t width) {
  if (name.size() <= width)
    return name.str();
  return (".." + name.take_back(width - 2)).str();
}

static constexpr unsigned nameWidth = 32, kindWidth = 24;

/// Without a `best` when that isn't known.
static void printTime(raw_ostream &os, StringRef name, StringRef kind,
                      double seconds, double total, double best = -1) {
  os << left_justify(shortened(name, nameWidth), nameWidth) << ' '
     << left_justify(kind, kindWidth)
     << format("%10.1f %5.1f%%", seconds * 1e6, 100 * seconds / total);
  if (best >= 0)
    os << format(" %9.1f", best * 1e6);
}

static void printKernel(raw_ostream &os, const KernelLine &line, double total) {
  printTime(os, line.name, line.kind, line.seconds, total, line.best);
  if (line.limitSeconds >= 0 && line.best > 0)
    os << format("%9.2f %8.0f %8.1f %8.1f %6.0f%% ", line.flops * 1e-6,
                 line.bytes * 1e-3, line.flops / line.best * 1e-9,
                 line.bytes / line.best * 1e-9, 100 * line.ofLimit())
       << (line.computeBound ? "compute" : "memory");
  os << '\n';
}

/// Kernels of one kind together, the longest first.
static std::vector<KernelLine> byKind(ArrayRef<KernelLine> kernels) {
  MapVector<StringRef, KernelLine> groups;
  for (const KernelLine &kernel : kernels) {
    auto [place, isNew] = groups.insert({kernel.kind, kernel});
    KernelLine &group = place->second;
    if (isNew)
      continue;
    ++group.count;
    group.seconds += kernel.seconds;
    group.best += kernel.best;
    bool known = group.limitSeconds >= 0 && kernel.limitSeconds >= 0;
    group.flops = known ? group.flops + kernel.flops : -1;
    group.bytes = known ? group.bytes + kernel.bytes : -1;
    group.limitSeconds = known ? group.limitSeconds + kernel.limitSeconds : -1;
  }
  std::vector<KernelLine> sorted;
  for (auto &[kind, group] : groups) {
    group.name = std::to_string(group.count) + " x";
    sorted.push_back(group);
  }
  llvm::sort(sorted, [](const KernelLine &a, const KernelLine &b) {
    return a.seconds > b.seconds;
  });
  return sorted;
}

void RooflineTable::print(raw_ostream &os) const {
  auto printTitle = [&](StringRef first) {
    os << left_justify(first, nameWidth) << ' '
       << left_justify("kind", kindWidth)
       << format("%10s %6s %9s%9s %8s %8s %8s %7s %s\n", "us", "share",
                 "best us", "MFLOP", "kB", "GFLOP/s", "GB/s", "of limit",
                 "limit");
  };
  printTitle("kernel");
  for (const KernelLine &line : kernels)
    printKernel(os, line, total);
  printTitle("together");
  for (const KernelLine &line : byKind(kernels))
    printKernel(os, line, total);
  printTime(os, "between kernels", "", between, total);
  os << '\n';
  printTime(os, "outside compiled code", "", runtime, total);
  os << '\n';
  printTime(os, "total", "", total, total, best);
  os << format("  (%.1f us when nothing inside is timed)\n", plain * 1e6);
}

json::Object RooflineTable::toJson() const {
  json::Array lines;
  for (const KernelLine &line : kernels) {
    json::Object object{{"name", line.name},
                        {"kind", line.kind},
                        {"us", line.seconds * 1e6},
                        {"best_us", line.best * 1e6},
                        {"share", line.seconds / total}};
    if (line.limitSeconds >= 0) {
      object["flops"] = line.flops;
      object["bytes"] = line.bytes;
      object["limit_us"] = line.limitSeconds * 1e6;
      object["limit"] = line.computeBound ? "compute" : "memory";
    }
    lines.push_back(std::move(object));
  }
  return json::Object{
      {"kernels", std::move(lines)}, {"between_kernels_us", between * 1e6},
      {"outside_us", runtime * 1e6}, {"total_us", total * 1e6},
      {"best_us", best * 1e6},       {"plain_us", plain * 1e6}};
}
