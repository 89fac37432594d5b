// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Errors between arrays, in double precision.
#include "Compare.h"
#include "ModelFile.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <cstring>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

json::Object Differences::toJson() const {
  // JSON has no NaN: null says that the answers aren't numbers.
  auto number = [](double value) -> json::Value {
    return std::isfinite(value) ? json::Value(value) : json::Value(nullptr);
  };
  return json::Object{{"max_abs", number(maxAbs)},
                      {"rel_mean", number(relMean)},
                      {"rel_p99", number(relP99)},
                      {"rel_max", number(relMax)},
                      {"cos", number(cos)}};
}

namespace {
float halfToFloat(uint16_t half) {
  int exponent = half >> 10 & 31, mantissa = half & 1023;
  float value = exponent == 0 ? std::ldexp(float(mantissa), -24)
                : exponent == 31
                    ? (mantissa ? NAN : INFINITY)
                    : std::ldexp(float(mantissa + 1024), exponent - 25);
  return half >> 15 ? -value : value;
}

float bfloatToFloat(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float value;
  memcpy(&value, &wide, sizeof value);
  return value;
}

template <typename T> double load(const NpyArray &array, size_t i) {
  T value;
  memcpy(&value, &array.data[i * sizeof(T)], sizeof(T));
  return double(value);
}

double element(const NpyArray &array, size_t i) {
  switch (array.elementType) {
  case SPARSE_OPT_FLOAT:
    return load<float>(array, i);
  case SPARSE_OPT_DOUBLE:
    return load<double>(array, i);
  case SPARSE_OPT_FLOAT16:
    return halfToFloat(uint16_t(load<uint16_t>(array, i)));
  case SPARSE_OPT_BFLOAT16:
    return bfloatToFloat(uint16_t(load<uint16_t>(array, i)));
  case SPARSE_OPT_INT64:
    return load<int64_t>(array, i);
  case SPARSE_OPT_UINT64:
    return load<uint64_t>(array, i);
  case SPARSE_OPT_INT32:
    return load<int32_t>(array, i);
  case SPARSE_OPT_UINT32:
    return load<uint32_t>(array, i);
  case SPARSE_OPT_INT16:
    return load<int16_t>(array, i);
  case SPARSE_OPT_UINT16:
    return load<uint16_t>(array, i);
  case SPARSE_OPT_INT8:
    return load<int8_t>(array, i);
  default:
    return load<uint8_t>(array, i);
  }
}

std::string describe(const NpyArray &array) {
  std::string text = elementName(array.elementType) + "[";
  for (size_t i = 0; i < array.shape.size(); ++i)
    text += (i ? "," : "") + std::to_string(array.shape[i]);
  return text + "]";
}

/// Sums over one row.
struct Row {
  double difference = 0, reference = 0, other = 0, product = 0, maxAbs = 0;

  void add(double value, double ref) {
    // Equal infinities are no difference.
    double d = value == ref ? 0 : value - ref;
    difference += d * d;
    reference += ref * ref;
    other += value * value;
    product += value * ref;
    maxAbs = std::isnan(d) ? NAN : std::max(maxAbs, std::fabs(d));
  }
  double rel() const {
    if (difference == 0)
      return 0;
    return reference == 0 ? INFINITY : std::sqrt(difference / reference);
  }
  double cosine() const {
    if (difference == 0)
      return 1;
    double norms = std::sqrt(reference) * std::sqrt(other);
    return norms == 0 ? 0 : product / norms;
  }
};
} // namespace

Expected<Differences>
sparse_opt::tool::compareArrays(const NpyArray &array,
                                const NpyArray &reference) {
  if (array.elementType != reference.elementType ||
      array.shape != reference.shape)
    return makeError("'" + array.name + "' is " + describe(array) +
                     ", the reference's is " + describe(reference));
  Differences result;
  int64_t size = elementSize(array.elementType);
  size_t count = size ? array.data.size() / size : 0;
  size_t width = array.shape.empty() ? 1 : size_t(array.shape.back());
  std::vector<double> rels;
  double cosines = 0;
  for (size_t begin = 0; begin < count; begin += width) {
    Row row;
    for (size_t i = begin; i < begin + width; ++i)
      row.add(element(array, i), element(reference, i));
    bool isNan = std::isnan(row.maxAbs) || std::isnan(result.maxAbs);
    result.maxAbs = isNan ? NAN : std::max(result.maxAbs, row.maxAbs);
    rels.push_back(row.rel());
    cosines += row.cosine();
    result.relMean += rels.back();
  }
  if (rels.empty())
    return result;
  result.relMean /= double(rels.size());
  result.cos = 1 - cosines / double(rels.size());
  bool hasNan = any_of(rels, [](double rel) { return std::isnan(rel); });
  llvm::sort(rels);
  result.relP99 = hasNan ? NAN : rels[(rels.size() * 99 + 99) / 100 - 1];
  result.relMax = hasNan ? NAN : rels.back();
  return result;
}

/// Means over the second dimension of a 3-D array where the mask isn't 0, one
/// row after the other. A row without any is all zeros.
static std::vector<double> pooled(const NpyArray &array, const NpyArray *mask) {
  size_t batch = array.shape[0], steps = array.shape[1], width = array.shape[2];
  bool masked =
      mask && ArrayRef(mask->shape) == ArrayRef(array.shape).take_front(2);
  std::vector<double> means(batch * width);
  for (size_t b = 0; b < batch; ++b) {
    double count = 0;
    for (size_t s = b * steps; s < (b + 1) * steps; ++s) {
      if (masked && element(*mask, s) == 0)
        continue;
      ++count;
      for (size_t i = 0; i < width; ++i)
        means[b * width + i] += element(array, s * width + i);
    }
    for (size_t i = 0; i < width && count != 0; ++i)
      means[b * width + i] /= count;
  }
  return means;
}

static std::vector<double> elements(const NpyArray &array) {
  int64_t size = elementSize(array.elementType);
  std::vector<double> values(size ? array.data.size() / size : 0);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = element(array, i);
  return values;
}

double sparse_opt::tool::pooledCosine(const NpyArray &array,
                                      const NpyArray &reference,
                                      const NpyArray *mask) {
  bool pools = array.shape.size() == 3;
  std::vector<double> a = pools ? pooled(array, mask) : elements(array);
  std::vector<double> b = pools ? pooled(reference, mask) : elements(reference);
  size_t width = array.shape.empty() ? 1 : size_t(array.shape.back());
  double sum = 0;
  for (size_t begin = 0; begin < a.size(); begin += width) {
    Row row;
    for (size_t i = begin; i < begin + width; ++i)
      row.add(a[i], b[i]);
    sum += row.cosine();
  }
  return a.empty() ? 1 : sum / double(a.size() / width);
}

const NpyArray *sparse_opt::tool::findArray(const std::vector<NpyArray> &arrays,
                                            StringRef name) {
  for (const NpyArray &array : arrays)
    if (array.name == name)
      return &array;
  return nullptr;
}

Expected<ErrorLimit> ErrorLimit::parse(StringRef text) {
  ErrorLimit limit;
  StringRef number = text;
  if (number.consume_front("abs:"))
    limit.kind = Abs;
  else if (number.consume_front("cos:"))
    limit.kind = Cos;
  else
    number.consume_front("rel:");
  if (number.getAsDouble(limit.limit) || !(limit.limit >= 0))
    return makeError("--max-error=" + text +
                     " is neither rel:1e-4 nor cos:1e-6 nor abs:1e-4");
  return limit;
}

bool ErrorLimit::holds(const Differences &differences) const {
  return std::isfinite(differences.maxAbs) && errorOf(differences) <= limit;
}

double ErrorLimit::errorOf(const Differences &differences) const {
  return kind == Abs   ? differences.maxAbs
         : kind == Cos ? differences.cos
                       : differences.relMean;
}

std::string ErrorLimit::str() const {
  const char *names[] = {"rel", "cos", "abs"};
  return formatv("{0}:{1:e1}", names[kind], limit);
}
