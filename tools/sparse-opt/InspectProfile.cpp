// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `sparse-opt inspect model.profile`: of what data a profile is, and how
// active the neurons of each block were on it.
#include "Cli.h"
#include "sparse-opt/Calibration/Profile.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <cmath>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

static constexpr std::pair<StringLiteral, double> quantiles[] = {
    {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};

static json::Object describeBlock(const CalibrationProfile &profile, size_t i) {
  const CalibratedBlock &block = profile.blocks[i];
  const BlockCounts &counts = profile.counts[i];
  uint64_t rows = profile.rowsOf(i), zeros = 0, dead = 0;
  for (uint32_t count : counts.zeros) {
    zeros += count;
    dead += count == rows;
  }
  double largest = 0;
  for (size_t c = 0; c < counts.actRange.low.size(); ++c)
    largest = std::max<double>(
        {largest, -counts.actRange.low[c], counts.actRange.high[c]});
  json::Object abs;
  for (auto [name, q] : quantiles)
    abs[name] = gridQuantileOfAbs(counts.act.data(), q);
  abs["max"] = largest;
  return json::Object{{"name", block.name},
                      {"kind", block.gated ? "gated" : "plain"},
                      {"activation", block.activation},
                      {"d", block.d},
                      {"h", block.h},
                      {"residual", block.hasResidual},
                      {"rows", rows},
                      {"held_out_rows", profile.heldOutRowsOf(i)},
                      {"sampled_rows", profile.rows[i].fit.size()},
                      {"sampled_held_out_rows", profile.rows[i].heldOut.size()},
                      {"zeros", double(zeros) / double(rows) / double(block.h)},
                      {"never_active", dead},
                      {"abs_act", std::move(abs)}};
}

static json::Object describe(const CalibrationProfile &profile) {
  json::Array blocks, inputs;
  for (size_t i = 0; i < profile.blocks.size(); ++i)
    blocks.push_back(describeBlock(profile, i));
  for (const CalibratedInput &input : profile.inputs)
    inputs.push_back(input.name);
  return json::Object{
      {"model_hash", profile.modelHash},
      {"seed", profile.seed},
      {"calibrations", profile.shards.size()},
      {"sequences", profile.numSequences()},
      {"held_out_sequences", profile.numHeldOutSequences()},
      {"kept_sequences", profile.sequences.fit.get().size()},
      {"kept_held_out_sequences", profile.sequences.heldOut.get().size()},
      {"inputs", std::move(inputs)},
      {"blocks", std::move(blocks)}};
}

static void printBlocks(const json::Array &blocks) {
  size_t width = 4;
  for (const json::Value &block : blocks)
    width = std::max(width, block.getAsObject()->getString("name")->size());
  outs() << formatv("FFN blocks: rows, share of exact zeros, neurons never "
                    "active, quantiles of abs(act)\n"
                    "  {0} {1,-5} {2,-10} {3,5} {4,5} {5,9} {6,7} {7,5}",
                    left_justify("name", width), "kind", "activation", "d", "h",
                    "rows", "zeros", "never");
  for (auto [name, q] : quantiles)
    outs() << formatv(" {0,8}", name);
  outs() << formatv(" {0,8}\n", "max");
  for (const json::Value &value : blocks) {
    const json::Object &block = *value.getAsObject();
    std::string zeros = formatv("{0:f2}%", 100 * *block.getNumber("zeros"));
    outs() << formatv("  {0} {1,-5} {2,-10} {3,5} {4,5} {5,9} {6,7} {7,5}",
                      left_justify(*block.getString("name"), width),
                      *block.getString("kind"), *block.getString("activation"),
                      *block.getInteger("d"), *block.getInteger("h"),
                      *block.getInteger("rows"), zeros,
                      *block.getInteger("never_active"));
    const json::Object &abs = *block.getObject("abs_act");
    for (auto [name, q] : quantiles)
      outs() << formatv(" {0,8:f4}", *abs.getNumber(name));
    outs() << formatv(" {0,8:f4}\n", *abs.getNumber("max"));
  }
}

int sparse_opt::tool::inspectProfile(StringRef path, bool asJson) {
  Expected<CalibrationProfile> profile = readProfile(path);
  if (!profile)
    return fail(profile.takeError());
  json::Object object = describe(*profile);
  if (asJson) {
    outs() << formatv("{0:2}\n", json::Value(std::move(object)));
    return Done;
  }
  outs() << formatv(
      "a calibration profile of the model with the weight hash {0}\n"
      "{1} sequences ({2} held out) in {3} calibrations, seed {4}\n"
      "kept: {5} and, held out, {6} whole sequences; {7} and {8} rows of a "
      "block's x with its residual\n",
      profile->modelHash, profile->numSequences(),
      profile->numHeldOutSequences(), profile->shards.size(), profile->seed,
      profile->sequences.fit.get().size(),
      profile->sequences.heldOut.get().size(),
      profile->rows.empty() ? 0 : profile->rows[0].fit.size(),
      profile->rows.empty() ? 0 : profile->rows[0].heldOut.size());
  printBlocks(*object.getArray("blocks"));
  return Done;
}
