// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "InspectMethods.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

static const SurveyedRule *findRule(const SurveyedBlock &block,
                                    StringRef rule) {
  for (const SurveyedRule &entry : block.rules)
    if (entry.rule == rule)
      return &entry;
  return nullptr;
}

MethodGains::MethodGains(const FfnReport &report,
                         std::vector<SurveyedBlock> found)
    : report(report), survey(std::move(found)) {
  for (const SurveyedBlock &block : survey)
    for (const SurveyedRule &entry : block.rules) {
      if (targets.empty())
        for (const SurveyedLevel &level : entry.levels)
          targets.push_back(level.target);
      if (none_of(totals,
                  [&](const Total &total) { return total.rule == entry.rule; }))
        totals.push_back(totalOf(entry.rule));
    }
}

namespace {
/// Means over blocks: of densities by their neurons and columns of x, of work
/// by their work.
class MeanWork {
public:
  void add(const FfnBlockReport &block, const SurveyedWork &work) {
    double h = double(block.h), d = double(block.d),
           all = double(block.multiplyAddsPerRow);
    neurons += h;
    columns += d;
    products += all;
    sum.density += h * work.density;
    sum.inputs += d * work.inputs;
    sum.multiplyAdds += all * work.multiplyAdds;
    sum.bytes += all * work.bytes;
  }
  SurveyedWork get() const {
    return {sum.density / neurons, sum.multiplyAdds / products,
            sum.bytes / products, sum.inputs / columns};
  }

private:
  double neurons = 0, columns = 0, products = 0;
  SurveyedWork sum{0, 0, 0, 0};
};
} // namespace

MethodGains::Total MethodGains::totalOf(StringRef rule) const {
  Total total{rule.str(), "", 0, {}};
  for (const SurveyedBlock &block : survey)
    if (const SurveyedRule *entry = findRule(block, rule)) {
      total.centre = !total.blocks || total.centre == entry->centre
                         ? entry->centre
                         : "various";
      ++total.blocks;
    }
  for (size_t level = 0; level < targets.size(); ++level) {
    MeanWork mean;
    for (auto [block, surveyed] : zip_equal(report.blocks, survey)) {
      const SurveyedRule *entry = findRule(surveyed, rule);
      mean.add(block, entry ? entry->levels[level].work : SurveyedWork());
    }
    total.levels.push_back(mean.get());
  }
  return total;
}

SurveyedWork MethodGains::skipZeros() const {
  MeanWork mean;
  for (auto [block, surveyed] : zip_equal(report.blocks, survey))
    mean.add(block, surveyed.skipZeros);
  return mean.get();
}

const MethodGains::Total *MethodGains::best(bool gated) const {
  const Total *least = nullptr;
  double leastBytes = 0;
  for (const Total &total : totals) {
    double bytes = 0;
    bool isFor = false;
    for (auto [block, surveyed] : zip_equal(report.blocks, survey)) {
      if (block.gated != gated)
        continue;
      const SurveyedRule *entry = findRule(surveyed, total.rule);
      isFor |= entry != nullptr;
      for (size_t level = 0; level < targets.size(); ++level)
        bytes += double(block.multiplyAddsPerRow) *
                 (entry ? entry->levels[level].work.bytes : 1);
    }
    if (isFor && (!least || bytes < leastBytes))
      std::tie(least, leastBytes) = std::pair(&total, bytes);
  }
  return least;
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

static json::Object describeWork(const SurveyedWork &work) {
  json::Object object{{"density", work.density},
                      {"multiply_adds", work.multiplyAdds},
                      {"bytes", work.bytes}};
  if (work.inputs < 1)
    object["input_density"] = work.inputs;
  return object;
}

static json::Object describeRule(const SurveyedRule &entry) {
  json::Array levels;
  for (const SurveyedLevel &level : entry.levels) {
    json::Object object = describeWork(level.work);
    object["target"] = level.target;
    object["met"] = level.isMet;
    object["cett"] = level.cett;
    object["error_after_norm"] = level.afterNorm;
    levels.push_back(std::move(object));
  }
  return json::Object{{"rule", entry.rule},
                      {"centre", entry.centre},
                      {"levels", std::move(levels)}};
}

void MethodGains::addTo(json::Array &blocks) const {
  for (auto [value, block] : zip_equal(blocks, survey)) {
    json::Object object{{"rows", block.rows},
                        {"held_out_rows", block.heldOutRows},
                        {"zeros", block.zeros},
                        {"never_active", block.dead},
                        {"skip_zeros", describeWork(block.skipZeros)}};
    json::Array rules;
    for (const SurveyedRule &entry : block.rules)
      rules.push_back(describeRule(entry));
    object["rules"] = std::move(rules);
    if (!block.whyNot.empty())
      object["reason"] = block.whyNot;
    if (!block.norm.empty())
      object["norm"] = json::fixUTF8(block.norm);
    if (!block.whyNoNorm.empty())
      object["no_norm"] = block.whyNoNorm;
    (*value.getAsObject())["name"] = json::fixUTF8(block.name);
    (*value.getAsObject())["profile"] = std::move(object);
  }
}

json::Array MethodGains::describe() const {
  json::Object zeros = describeWork(skipZeros());
  zeros["method"] = "ffn-skip-zeros";
  json::Array methods;
  methods.push_back(std::move(zeros));
  for (const Total &total : totals) {
    json::Array levels;
    for (auto [target, work] : zip_equal(targets, total.levels)) {
      json::Object object = describeWork(work);
      object["target"] = target;
      levels.push_back(std::move(object));
    }
    methods.push_back(json::Object{{"method", "ffn-threshold"},
                                   {"rule", total.rule},
                                   {"centre", total.centre},
                                   {"blocks", total.blocks},
                                   {"levels", std::move(levels)}});
  }
  return methods;
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

static std::string workText(const SurveyedWork *work) {
  return work ? formatv(" {0,9:f2} {1,5:f2}", work->density, work->bytes).str()
              : formatv(" {0,9} {1,5}", "-", "-").str();
}

void MethodGains::printBlocks(raw_ostream &os) const {
  const Total *bests[] = {best(/*gated=*/false), best(/*gated=*/true)};
  size_t width = 4;
  for (const SurveyedBlock &block : survey)
    width = std::max(width, block.name.size());
  const char *row = "  {0} {1,-16} {2,10} {3,6} {4,7} {5,5}";
  os << "FFN blocks\n"
     << formatv(row, left_justify("name", width), "kind", "d x h", "share",
                "zeros", "never");
  for (double target : targets)
    os << formatv(" {0,15}", formatv("CETT {0}", target).str());
  os << '\n';
  for (auto [block, surveyed] : zip_equal(report.blocks, survey)) {
    auto percent = [](double share, int digits) {
      return (digits == 1 ? formatv("{0:f1}%", 100 * share).str()
                          : formatv("{0:f2}%", 100 * share).str());
    };
    os << formatv(row, left_justify(surveyed.name, width),
                  (block.gated ? "gated " : "plain ") + block.activation,
                  formatv("{0}x{1}", block.d, block.h).str(),
                  percent(block.share, 1), percent(surveyed.zeros, 2),
                  surveyed.dead);
    const Total *total = bests[block.gated];
    const SurveyedRule *rule =
        total ? findRule(surveyed, total->rule) : nullptr;
    for (size_t level = 0; level < targets.size(); ++level)
      os << workText(rule ? &rule->levels[level].work : nullptr);
    if (!surveyed.whyNot.empty())
      os << "  no threshold: " << surveyed.whyNot;
    os << '\n';
  }
  for (bool gated : {false, true})
    if (const Total *total = bests[gated])
      os << formatv("  CETT columns of {0} blocks: share of neurons and of "
                    "bytes, by {1}\n",
                    gated ? "gated" : "plain", total->rule);
}

void MethodGains::print(raw_ostream &os) const {
  printBlocks(os);
  size_t heldOut = 0, rows = 0;
  for (const SurveyedBlock &block : survey) {
    heldOut = std::max(heldOut, block.heldOutRows);
    rows = std::max(rows, block.rows);
  }
  os << formatv("what methods could gain in all blocks: share of neurons, and "
                "of bytes read; on {0} rows {1}\n",
                heldOut ? heldOut : rows,
                heldOut ? "held out" : "that thresholds are fitted to");
  os << formatv("  {0,-15} {1,-7}", "method", "centre");
  for (double target : targets)
    os << formatv(" {0,15}", formatv("CETT {0}", target).str());
  os << '\n';
  SurveyedWork zeros = skipZeros();
  os << formatv("  {0,-15} {1,-7}{2}  (loses nothing)\n", "ffn-skip-zeros", "",
                workText(&zeros));
  for (const Total &total : totals) {
    os << formatv("  {0,-15} {1,-7}", total.rule, total.centre);
    for (const SurveyedWork &work : total.levels)
      os << workText(&work);
    if (any_of(total.levels,
               [](const SurveyedWork &work) { return work.inputs < 1; })) {
      os << "  (of inputs:";
      for (const SurveyedWork &work : total.levels)
        os << formatv(" {0:f2}", work.inputs);
      os << ')';
    }
    if (total.blocks < survey.size())
      os << formatv("  ({0} of {1} blocks)", total.blocks, survey.size());
    os << '\n';
  }
}
