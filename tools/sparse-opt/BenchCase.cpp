// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which sizes to measure, and what the manifest says of them.
#include "BenchCase.h"
#include "Caches.h"
#include "sparse-opt/Analysis/DimExpr.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

std::optional<double> BenchCase::evaluate(const json::Object &object,
                                          StringRef key) const {
  auto text = object.getString(key);
  auto expr = text ? DimExpr::parse(*text) : std::nullopt;
  if (!expr)
    return std::nullopt;
  auto value = expr->evaluate([&](StringRef name) -> std::optional<int64_t> {
    auto dim = dims.find(name.str());
    return dim == dims.end() ? std::nullopt : std::optional(dim->second);
  });
  return value ? std::optional<double>(double(*value)) : std::nullopt;
}

Expected<std::vector<BenchCase>>
sparse_opt::tool::makeCases(const ModelFile &model,
                            std::vector<std::string> shapes) {
  if (shapes.empty() && symbolNames(model).size() >= 2)
    shapes = {"1x16", "1x128", "8x128"};
  else if (shapes.empty())
    shapes = {symbolNames(model).empty() ? "" : "1"};
  std::vector<BenchCase> cases;
  for (const std::string &shape : shapes) {
    Expected<DimValues> dims = parseShape(shape, model);
    if (!dims)
      return dims.takeError();
    Expected<std::vector<DimValues>> fills = Caches(model).fills(*dims);
    if (!fills)
      return fills.takeError();
    cases.push_back({shapeText(*dims, model),
                     makeInputs(model, *dims, 1, /*padding=*/false),
                     *dims,
                     {}});
    for (DimValues &fill : *fills) {
      setDecidedSizes(fill, model);
      cases.back().fills.push_back(
          makeInputs(model, fill, 2, /*padding=*/false));
    }
  }
  return cases;
}

Error sparse_opt::tool::addPast(const ModelFile &model, int64_t past,
                                std::vector<std::string> &shapes) {
  Caches caches(model);
  if (caches.empty() || past < 0)
    return makeError("--past=" + Twine(past) +
                     (caches.empty() ? ": the model keeps no caches"
                                     : " is no number of rows"));
  if (shapes.empty())
    shapes.push_back("");
  for (std::string &shape : shapes)
    shape += (shape.empty() ? "" : ",") + caches.getLength() + "=" +
             std::to_string(past);
  return Error::success();
}

Expected<BenchCase> sparse_opt::tool::readCase(const ModelFile &model,
                                               const std::string &path) {
  Expected<std::vector<NpyArray>> inputs = readInputs(path, model);
  if (!inputs)
    return inputs.takeError();
  DimValues dims = dimsOf(*inputs, model).value_or(DimValues());
  return BenchCase{
      sys::path::filename(path).str(), std::move(*inputs), dims, {}};
}
