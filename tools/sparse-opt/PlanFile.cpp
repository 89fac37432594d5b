// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "PlanFile.h"
#include "ModelFile.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

constexpr int64_t version = 2;

const PlannedBlock *Plan::find(StringRef block) const {
  for (const PlannedBlock &planned : blocks)
    if (planned.block == block)
      return &planned;
  return nullptr;
}

json::Object Plan::toJson() const {
  json::Array list;
  for (const PlannedBlock &planned : blocks) {
    json::Object entry{
        {"block", json::fixUTF8(planned.block)},
        {"decision", planned.isCompressed ? "compressed" : "dense"}};
    if (!planned.reason.empty())
      entry["reason"] = json::fixUTF8(planned.reason);
    if (const auto &times = planned.times) {
      entry["dense_us"] = times->dense * 1e6;
      if (times->compressedOnAll > 0) {
        entry["all_threads_dense_us"] = times->denseOnAll * 1e6;
        entry["all_threads_compressed_us"] = times->compressedOnAll * 1e6;
      }
      entry["whole_us"] = times->neurons.whole * 1e6;
      entry["measured_density"] = times->neurons.density;
      if (times->inputs.density > 0) {
        entry["inputs_whole_us"] = times->inputs.whole * 1e6;
        entry["measured_input_density"] = times->inputs.density;
      }
      entry["compressed_us"] = times->compressed * 1e6;
      entry["noise"] = times->noise;
      entry["measured_error"] = times->relError;
      entry["measured_max_error"] = times->maxError;
    }
    if (planned.isCompressed)
      entry["crossover"] = planned.crossover;
    if (planned.isCompressed && planned.inputCrossover < 1)
      entry["input_crossover"] = planned.inputCrossover;
    list.push_back(std::move(entry));
  }
  return json::Object{{"sparse_opt_plan", version},
                      {"model_hash", modelHash},
                      {"asked", json::fixUTF8(asked)},
                      {"method", json::fixUTF8(methods)},
                      {"dtype", dtype},
                      {"weight_type", weightType},
                      {"target", target},
                      {"rows", rows},
                      {"runs", runs},
                      {"threads", threads},
                      {"blocks", std::move(list)}};
}

static Expected<PlannedBlock> parseBlock(const json::Value &value) {
  const json::Object *entry = value.getAsObject();
  auto block = entry ? entry->getString("block") : std::nullopt;
  auto decision = entry ? entry->getString("decision") : std::nullopt;
  if (!block || !decision ||
      !is_contained({StringRef("compressed"), StringRef("dense")}, *decision))
    return makeError("has a block without a name and a decision");
  PlannedBlock planned{block->str(), *decision == "compressed",
                       entry->getString("reason").value_or("").str(),
                       std::nullopt};
  auto dense = entry->getNumber("dense_us");
  auto compressed = entry->getNumber("compressed_us");
  for (auto [key, share] :
       {std::pair<const char *, double *>{"crossover", &planned.crossover},
        {"input_crossover", &planned.inputCrossover}}) {
    const json::Value *given = entry->get(key);
    if (!given)
      continue;
    auto value = given->getAsNumber();
    if (!value)
      return makeError("block '" + *block + "' has a " + key +
                       " that is no number");
    *share = *value;
  }
  auto number = [&](StringRef key) {
    return entry->getNumber(key).value_or(0);
  };
  if (dense && compressed) {
    BlockTimes times;
    times.block = planned.block;
    times.dense = *dense * 1e-6;
    times.compressed = *compressed * 1e-6;
    times.neurons.whole = number("whole_us") * 1e-6;
    times.neurons.density = number("measured_density");
    times.inputs.whole = number("inputs_whole_us") * 1e-6;
    times.inputs.density = number("measured_input_density");
    times.denseOnAll = number("all_threads_dense_us") * 1e-6;
    times.compressedOnAll = number("all_threads_compressed_us") * 1e-6;
    times.noise = number("noise");
    times.relError = number("measured_error");
    times.maxError = number("measured_max_error");
    planned.times = times;
  }
  return planned;
}

Expected<Plan> sparse_opt::tool::readPlan(const std::string &path) {
  auto failed = [&](const Twine &why) {
    return makeError("--plan=" + path + ": " + why);
  };
  auto buffer = MemoryBuffer::getFile(path);
  if (!buffer)
    return failed(buffer.getError().message());
  Expected<json::Value> parsed = json::parse((*buffer)->getBuffer());
  if (!parsed) {
    consumeError(parsed.takeError());
    return failed("isn't JSON");
  }
  const json::Object *object = parsed->getAsObject();
  auto number = object ? object->getInteger("sparse_opt_plan") : std::nullopt;
  const json::Array *list = object ? object->getArray("blocks") : nullptr;
  if (!number || !list)
    return failed("isn't a plan of --save-plan=");
  if (*number != version)
    return failed("is a plan of version " + Twine(*number) +
                  "; this compiler reads " + Twine(version));
  Plan plan;
  using Texts = std::initializer_list<std::pair<StringRef, std::string *>>;
  for (auto [key, text] : Texts{{"model_hash", &plan.modelHash},
                                {"asked", &plan.asked},
                                {"method", &plan.methods},
                                {"target", &plan.target},
                                {"dtype", &plan.dtype},
                                {"weight_type", &plan.weightType}}) {
    auto value = object->getString(key);
    if (!value)
      return failed("doesn't have the text '" + Twine(key) + "'");
    *text = value->str();
  }
  using Counts = std::initializer_list<std::pair<StringRef, unsigned *>>;
  for (auto [key, count] : Counts{{"rows", &plan.rows},
                                  {"runs", &plan.runs},
                                  {"threads", &plan.threads}}) {
    auto value = object->getInteger(key);
    if (!value || *value < 0 || *value > std::numeric_limits<int32_t>::max())
      return failed("doesn't have the count '" + Twine(key) + "'");
    *count = unsigned(*value);
  }
  for (const json::Value &value : *list) {
    Expected<PlannedBlock> block = parseBlock(value);
    if (!block)
      return failed(toString(block.takeError()));
    plan.blocks.push_back(std::move(*block));
  }
  return std::move(plan);
}
