// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the manifest's "states" beside the runtime's list of them.
#include "Caches.h"
#include "sparse-opt/Analysis/DimExpr.h"
#include "llvm/ADT/STLExtras.h"

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

Caches::Caches(const ModelFile &model) {
  json::Value manifest = model.getManifest();
  const json::Object *object = manifest.getAsObject();
  const json::Object *states = object ? object->getObject("states") : nullptr;
  const json::Array *list = states ? states->getArray("list") : nullptr;
  auto infos = model.getStates();
  if (!list || list->size() != infos.size())
    return;
  length = states->getString("length").value_or("").str();
  after = states->getString("after").value_or("").str();
  if (const json::Object *decided = states->getObject("sizes"))
    for (const auto &[name, size] : *decided)
      sizes[name.str()] = size.getAsString().value_or("").str();
  for (auto [value, info] : zip_equal(*list, infos)) {
    const json::Object &pair = *value.getAsObject();
    pairs.push_back({pair.getString("input").value_or("").str(),
                     pair.getString("output").value_or("").str(),
                     int32_t(pair.getInteger("type").value_or(0)),
                     {info.dim_names, size_t(info.rank)},
                     {info.dims, size_t(info.rank)}});
  }
}

int64_t Caches::lengthIn(const DimValues &dims) const {
  auto known = dims.find(length);
  return known == dims.end() ? 0 : known->second;
}

/// What a run appends: a number, or a symbol's size.
static Expected<DimExpr> appendedBy(StringRef after, StringRef length) {
  auto total = DimExpr::parse(after);
  if (!total)
    return makeError("the caches' length '" + after + "' can't be read");
  return *total - DimExpr::symbol(length);
}

Expected<std::vector<DimValues>> Caches::fills(const DimValues &dims) const {
  std::vector<DimValues> runs;
  int64_t wanted = lengthIn(dims);
  if (empty() || wanted == 0)
    return runs;
  Expected<DimExpr> rows = appendedBy(after, length);
  if (!rows)
    return rows.takeError();
  DimValues run = dims;
  run[length] = 0;
  if (auto symbol = rows->symbolName()) {
    run[symbol->str()] = wanted;
    runs.push_back(run);
  } else if (auto each = rows->constant();
             each && *each > 0 && wanted % *each == 0) {
    for (; run[length] < wanted; run[length] += *each)
      runs.push_back(run);
  } else {
    return makeError("caches that a run appends '" + rows->str() +
                     "' rows to can't be brought to a length of " +
                     Twine(wanted));
  }
  return runs;
}

Expected<DimValues> Caches::nextStep(const DimValues &dims) const {
  Expected<DimExpr> rows = appendedBy(after, length);
  if (!rows)
    return rows.takeError();
  DimValues next = dims;
  auto appended = rows->evaluate([&](StringRef name) -> std::optional<int64_t> {
    auto dim = dims.find(name.str());
    return dim == dims.end() ? std::nullopt : std::optional(dim->second);
  });
  next[length] += appended.value_or(0);
  if (auto symbol = rows->symbolName())
    next[symbol->str()] = 1;
  return next;
}

std::vector<NpyArray> Caches::none(const DimValues &dims) const {
  std::vector<NpyArray> arrays;
  for (const Pair &pair : pairs) {
    NpyArray array{pair.input, pair.elementType, {}, {}};
    for (auto [size, name] : zip_equal(pair.dims, pair.dimNames)) {
      bool isLength = size < 0 && name == length;
      array.shape.push_back(isLength ? 0 : size < 0 ? dims.at(name) : size);
    }
    arrays.push_back(std::move(array));
  }
  return arrays;
}

std::vector<NpyArray> Caches::passedOn(std::vector<NpyArray> results) const {
  std::vector<NpyArray> arrays;
  for (NpyArray &array : results)
    for (const Pair &pair : pairs)
      if (pair.output == array.name) {
        arrays.push_back(std::move(array));
        arrays.back().name = pair.input;
        break;
      }
  return arrays;
}
