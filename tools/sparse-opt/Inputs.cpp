// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shapes and contents of made-up inputs.
#include "Inputs.h"
#include "Caches.h"
#include "sparse-opt/Analysis/DimExpr.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include <cstring>
#include <random>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

std::vector<std::string> sparse_opt::tool::symbolNames(const ModelFile &model) {
  std::vector<std::string> names;
  for (const sparse_opt_tensor_info &input : model.getInputs())
    for (int32_t i = 0; i < input.rank; ++i)
      if (input.dims[i] < 0 && !is_contained(names, input.dim_names[i]))
        names.push_back(input.dim_names[i]);
  std::string length = Caches(model).getLength();
  if (!length.empty() && !is_contained(names, length))
    names.push_back(length);
  return names;
}

/// What decides the size `symbol`; nothing for a symbol that is its own.
static std::optional<DimExpr> decidedBy(StringRef symbol,
                                        const Caches &caches) {
  auto size = caches.getSizes().find(symbol.str());
  std::optional<DimExpr> expr = DimExpr::parse(
      size == caches.getSizes().end() ? symbol : StringRef(size->second));
  return expr && !expr->symbolName() ? expr : std::nullopt;
}

void sparse_opt::tool::setDecidedSizes(DimValues &dims,
                                       const ModelFile &model) {
  Caches caches(model);
  for (const std::string &symbol : symbolNames(model)) {
    std::optional<DimExpr> expr = decidedBy(symbol, caches);
    auto value =
        expr ? expr->evaluate([&](StringRef name) -> std::optional<int64_t> {
          auto dim = dims.find(name.str());
          if (dim == dims.end())
            return std::nullopt;
          return dim->second;
        })
             : std::nullopt;
    if (value && *value >= 0)
      dims[symbol] = *value;
  }
}

/// Gives symbols without a size `size`, or what is decided.
static void setOthers(DimValues &dims, int64_t size, const ModelFile &model) {
  DimValues given = dims;
  std::string length = Caches(model).getLength();
  for (const std::string &symbol : symbolNames(model))
    dims.insert({symbol, symbol == length ? 0 : size});
  setDecidedSizes(dims, model);
  for (const auto &[symbol, value] : given)
    dims[symbol] = value;
}

static std::optional<SmallVector<int64_t>> parseSizes(StringRef text) {
  SmallVector<StringRef> parts;
  SmallVector<int64_t> sizes;
  text.split(parts, 'x');
  for (StringRef part : parts)
    if (int64_t size; part.getAsInteger(10, size) || size < 0)
      return std::nullopt;
    else
      sizes.push_back(size);
  return sizes;
}

/// Sets `symbol`; false when it already has another value.
static bool setDim(DimValues &dims, StringRef symbol, int64_t value) {
  auto [place, isNew] = dims.insert({symbol.str(), value});
  return isNew || place->second == value;
}

static Error setInputShape(DimValues &dims, StringRef name, StringRef text,
                           const ModelFile &model) {
  auto inputs = model.getInputs();
  const auto *input =
      find_if(inputs, [&](const auto &input) { return input.name == name; });
  auto sizes = parseSizes(text);
  if (input == inputs.end())
    return makeError("--shape: the model has no input '" + name + "'");
  if (!sizes || int32_t(sizes->size()) != input->rank)
    return makeError("--shape: '" + text + "' is no shape of rank " +
                     Twine(input->rank) + ", which '" + name + "' has");
  for (auto [i, size] : enumerate(*sizes))
    if (input->dims[i] >= 0 ? input->dims[i] != size
                            : !setDim(dims, input->dim_names[i], size))
      return makeError("--shape: dimension " + Twine(i) + " of '" + name +
                       "' can't be " + Twine(size));
  return Error::success();
}

Expected<DimValues> sparse_opt::tool::parseShape(StringRef text,
                                                 const ModelFile &model) {
  DimValues dims;
  std::vector<std::string> symbols = symbolNames(model);
  SmallVector<StringRef> parts;
  text.split(parts, ',');
  for (StringRef part : parts) {
    if (auto [symbol, value] = part.split('='); !value.empty()) {
      int64_t size;
      if (!is_contained(symbols, symbol) || value.getAsInteger(10, size) ||
          size < 0)
        return makeError("--shape: '" + part +
                         "' sets no symbol of the model "
                         "(" +
                         join(symbols, ", ") + ")");
      setDim(dims, symbol, size);
    } else if (auto [name, shape] = part.rsplit(':'); !shape.empty()) {
      if (Error error = setInputShape(dims, name, shape, model))
        return std::move(error);
    } else if (auto sizes = parseSizes(part);
               sizes && sizes->size() <= symbols.size()) {
      for (auto [symbol, size] : zip(symbols, *sizes))
        setDim(dims, symbol, size);
    } else {
      return makeError("--shape: '" + part +
                       "' is neither INPUT:1x128 nor "
                       "symbol=128 nor 1x128");
    }
  }
  setOthers(dims, 1, model);
  return dims;
}

DimValues sparse_opt::tool::defaultShape(const ModelFile &model, int64_t first,
                                         int64_t others) {
  DimValues dims;
  if (std::vector<std::string> names = symbolNames(model); !names.empty())
    dims.insert({names.front(), first});
  setOthers(dims, others, model);
  return dims;
}

std::string sparse_opt::tool::shapeText(const DimValues &dims,
                                        const ModelFile &model) {
  std::string text;
  for (const std::string &symbol : symbolNames(model))
    text += (text.empty() ? "" : "x") + std::to_string(dims.at(symbol));
  return text.empty() ? "static" : text;
}

std::optional<DimValues>
sparse_opt::tool::dimsOf(const std::vector<NpyArray> &arrays,
                         const ModelFile &model) {
  DimValues dims;
  for (const sparse_opt_tensor_info &input : model.getInputs())
    for (const NpyArray &array : arrays)
      if (array.name == input.name && int32_t(array.shape.size()) == input.rank)
        for (int32_t i = 0; i < input.rank; ++i)
          if (input.dims[i] < 0 &&
              !setDim(dims, input.dim_names[i], array.shape[i]))
            return std::nullopt;
  return dims;
}

namespace {
/// Contents of one input.
class Filler {
public:
  Filler(std::mt19937_64 &random, bool padding, int64_t firstPosition)
      : random(random), padding(padding), firstPosition(firstPosition) {}

  void fill(NpyArray &array, std::optional<int64_t> bound) {
    StringRef name = array.name;
    int64_t count = array.data.size() / elementSize(array.elementType);
    int64_t row = array.shape.empty() ? 1 : array.shape.back();
    for (int64_t i = 0; i < count; ++i) {
      if (i % std::max<int64_t>(row, 1) == 0)
        length = i == 0 || !padding ? row : 1 + int64_t(random() % row);
      int64_t column = row ? i % row : 0;
      if (name.contains_insensitive("mask"))
        put(array, i, column < length);
      else if (name.contains_insensitive("position"))
        put(array, i, position(column, bound));
      else if (name.contains_insensitive("type_id"))
        put(array, i, 0);
      else if (bound)
        put(array, i, int64_t(random() % *bound));
      else
        put(array, i, normal());
    }
  }

private:
  std::mt19937_64 &random;
  bool padding;
  int64_t firstPosition, length = 0;

  int64_t position(int64_t column, std::optional<int64_t> bound) const {
    int64_t position = firstPosition + column;
    return bound ? position % *bound : position;
  }

  /// Sum of uniforms: the same on every C++ library, unlike its normal one.
  double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i)
      sum += double(random() >> 11) / double(1ull << 53);
    return sum;
  }

  template <typename T> void store(NpyArray &array, int64_t i, T value) {
    memcpy(&array.data[i * sizeof(T)], &value, sizeof(T));
  }

  void put(NpyArray &array, int64_t i, double value) {
    switch (array.elementType) {
    case SPARSE_OPT_FLOAT:
      return store(array, i, float(value));
    case SPARSE_OPT_DOUBLE:
      return store(array, i, value);
    case SPARSE_OPT_INT64:
    case SPARSE_OPT_UINT64:
      return store(array, i, int64_t(value));
    case SPARSE_OPT_INT32:
    case SPARSE_OPT_UINT32:
      return store(array, i, int32_t(value));
    case SPARSE_OPT_INT16:
    case SPARSE_OPT_UINT16:
      return store(array, i, int16_t(value));
    case SPARSE_OPT_BOOL:
      return store(array, i, uint8_t(value != 0));
    case SPARSE_OPT_INT8:
    case SPARSE_OPT_UINT8:
      return store(array, i, int8_t(value));
    default: // half types: zeros are valid
      return;
    }
  }
};
} // namespace

std::vector<NpyArray> sparse_opt::tool::makeInputs(const ModelFile &model,
                                                   const DimValues &dims,
                                                   unsigned seed,
                                                   bool padding) {
  std::mt19937_64 random(seed);
  json::Value manifest = model.getManifest();
  const json::Object *object = manifest.getAsObject();
  const json::Object *bounds =
      object ? object->getObject("input_bounds") : nullptr;
  std::vector<NpyArray> arrays;
  int64_t past = Caches(model).lengthIn(dims);
  for (const sparse_opt_tensor_info &input : model.getInputs()) {
    NpyArray array{input.name, input.element_type, {}, {}};
    int64_t bytes = elementSize(input.element_type);
    for (int32_t i = 0; i < input.rank; ++i) {
      bool isSymbol = input.dims[i] < 0;
      array.shape.push_back(isSymbol ? dims.at(input.dim_names[i])
                                     : input.dims[i]);
      bytes *= array.shape.back();
    }
    array.data.resize(bytes);
    std::optional<int64_t> bound;
    if (bounds)
      bound = bounds->getInteger(input.name);
    Filler(random, padding, past).fill(array, bound);
    arrays.push_back(std::move(array));
  }
  return arrays;
}
