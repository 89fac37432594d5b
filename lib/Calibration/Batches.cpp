// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How the arrays of a file become runs. Which dimension is the batch and which
// counts positions is read off the model's own names for its dimensions.
#include "sparse-opt/Calibration/Batches.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/xxhash.h"
#include <cmath>
#include <cstring>

using namespace llvm;
using namespace sparse_opt;

static bool isDynamic(StringRef dim) { return !all_of(dim, llvm::isDigit); }

Expected<BatchSplitter> BatchSplitter::create(std::vector<ModelInput> inputs,
                                              StringRef rowMask) {
  BatchSplitter splitter;
  auto indexOf = [&](StringRef name) {
    auto it = find_if(inputs, [&](auto &input) { return input.name == name; });
    return it == inputs.end() ? -1 : int(it - inputs.begin());
  };
  splitter.mask = indexOf(rowMask.empty() ? "attention_mask" : rowMask);
  if (rowMask == "none")
    splitter.mask = -1;
  else if (splitter.mask < 0 && !rowMask.empty())
    return createStringError("--row-mask=" + rowMask +
                             ": the model has no such input");
  if (splitter.mask >= 0 && inputs[splitter.mask].dims.size() != 2)
    return createStringError(
        "--row-mask: '" + inputs[splitter.mask].name + "' has rank " +
        Twine(inputs[splitter.mask].dims.size()) +
        ", not 2 (batch and position); --row-mask=none counts every row");
  // The batch: of the mask, else the first dimension that varies.
  splitter.reference = splitter.mask;
  for (int i = 0; i < int(inputs.size()) && splitter.reference < 0; ++i)
    if (!inputs[i].dims.empty() && isDynamic(inputs[i].dims[0]))
      splitter.reference = i;
  for (int i = 0; i < int(inputs.size()) && splitter.reference < 0; ++i)
    if (!inputs[i].dims.empty())
      splitter.reference = i;
  if (splitter.reference < 0)
    return createStringError("the model has no input with a dimension, so it "
                             "can't be calibrated");
  splitter.inputs = std::move(inputs);
  return std::move(splitter);
}

//===----------------------------------------------------------------------===//
// Contents
//===----------------------------------------------------------------------===//

/// True when element `i` isn't 0; -0.0 is 0.
static bool isNonZero(const NpyArray &array, size_t i) {
  size_t size = elementSize(array.elementType);
  const uint8_t *at = array.data.data() + i * size;
  bool isFloat = is_contained({1, 10, 11, 16}, array.elementType);
  for (size_t byte = 0; byte < size; ++byte)
    if (uint8_t value = at[byte];
        isFloat && byte + 1 == size ? value & 0x7f : value)
      return true;
  return false;
}

/// Index of the first element that is NaN, or -1.
static int64_t findNan(const NpyArray &array) {
  size_t size = elementSize(array.elementType);
  for (size_t i = 0; size && i < array.data.size() / size; ++i) {
    uint64_t bits = 0;
    memcpy(&bits, array.data.data() + i * size, size);
    bool isNan = false;
    if (array.elementType == 1 || array.elementType == 16)
      isNan = (bits << (4 - size) * 8 & 0x7fffffff) > 0x7f800000;
    else if (array.elementType == 10)
      isNan = (bits & 0x7fff) > 0x7c00;
    else if (array.elementType == 11)
      isNan = (bits & 0x7fffffffffffffff) > 0x7ff0000000000000;
    if (isNan)
      return i;
  }
  return -1;
}

static uint64_t hashOf(ArrayRef<SequenceInput> inputs) {
  std::vector<uint8_t> bytes;
  for (const SequenceInput &input : inputs) {
    auto *shape = reinterpret_cast<const uint8_t *>(input.shape.data());
    bytes.insert(bytes.end(), shape,
                 shape + input.shape.size() * sizeof(int64_t));
    append_range(bytes, input.data);
  }
  return xxh3_64bits(bytes);
}

//===----------------------------------------------------------------------===//
// One file
//===----------------------------------------------------------------------===//

/// The arrays of one file, by input.
struct BatchSplitter::Layout {
  std::vector<const NpyArray *> arrays;
  std::vector<char> isBatched, isPerPosition;
  int64_t batch = 0, positions = 0;
  bool canTrim = false;
  std::vector<uint8_t> mask;
  std::vector<int64_t> lengths; // of each sequence, up to its last counted one

  /// Sequence `i` of input `k`, at positions where `keep`.
  SequenceInput contentOf(size_t k, int64_t i) const;
  /// Input `k` of the sequences in `order`, up to column `length`.
  NpyArray join(size_t k, ArrayRef<int64_t> order, int64_t length) const;
  ModelRun makeRun(ArrayRef<int64_t> order) const;

  static Error arrange(Layout &layout, const BatchSplitter &splitter,
                       ArrayRef<NpyArray> given, StringRef file);
  void readMask(int input);
};

SequenceInput BatchSplitter::Layout::contentOf(size_t k, int64_t i) const {
  const NpyArray &array = *arrays[k];
  if (!isBatched[k])
    return {array.shape, array.data};
  size_t bytes = array.data.size() / batch;
  auto row = ArrayRef(array.data).slice(i * bytes, bytes);
  SequenceInput input;
  input.shape.assign(array.shape.begin() + 1, array.shape.end());
  if (!isPerPosition[k]) {
    input.data = row.vec();
    return input;
  }
  size_t step = bytes / positions;
  input.shape[0] = 0;
  for (int64_t p = 0; p < positions; ++p)
    if (mask[i * positions + p]) {
      ++input.shape[0];
      append_range(input.data, row.slice(p * step, step));
    }
  return input;
}

NpyArray BatchSplitter::Layout::join(size_t k, ArrayRef<int64_t> order,
                                     int64_t length) const {
  const NpyArray &array = *arrays[k];
  if (!isBatched[k])
    return array;
  NpyArray result{array.name, array.elementType, array.shape, {}};
  size_t bytes = array.data.size() / batch, kept = bytes;
  result.shape[0] = order.size();
  if (isPerPosition[k] && canTrim) {
    result.shape[1] = length;
    kept = bytes / positions * length;
  }
  result.data.reserve(order.size() * kept);
  for (int64_t i : order)
    append_range(result.data, ArrayRef(array.data).slice(i * bytes, kept));
  return result;
}

ModelRun BatchSplitter::Layout::makeRun(ArrayRef<int64_t> order) const {
  ModelRun run;
  int64_t length = 0;
  for (int64_t i : order)
    length = std::max(length, lengths[i]);
  for (size_t k = 0; k < arrays.size(); ++k)
    run.inputs.push_back(join(k, order, length));
  run.positions = canTrim ? length : positions;
  for (int64_t i : order) {
    append_range(run.mask, ArrayRef(mask).slice(i * positions, run.positions));
    Sequence sequence;
    for (size_t k = 0; k < arrays.size(); ++k)
      sequence.inputs.push_back(contentOf(k, i));
    sequence.contentHash = hashOf(sequence.inputs);
    run.sequences.push_back(std::move(sequence));
  }
  return run;
}

static std::string describe(const NpyArray &array) {
  return elementName(array.elementType) + " of rank " +
         std::to_string(array.shape.size());
}

/// Finds an array for each input and says which dimensions mean what.
Error BatchSplitter::Layout::arrange(Layout &layout,
                                     const BatchSplitter &splitter,
                                     ArrayRef<NpyArray> given, StringRef file) {
  auto error = [&](const Twine &text) {
    return createStringError(file + ": " + text);
  };
  for (const NpyArray &array : given)
    if (none_of(splitter.inputs,
                [&](auto &input) { return input.name == array.name; }))
      return error("the model has no input '" + array.name + "'");
  for (const ModelInput &input : splitter.inputs) {
    auto array = find_if(
        given, [&](const NpyArray &array) { return array.name == input.name; });
    if (array == given.end())
      return error("has no array for the input '" + input.name + "'");
    if (array->elementType != input.elementType ||
        array->shape.size() != input.dims.size())
      return error("'" + input.name + "' is " + describe(*array) +
                   ", but the model takes " + elementName(input.elementType) +
                   " of rank " + Twine(input.dims.size()));
    if (int64_t at = findNan(*array); at >= 0)
      return error("'" + input.name + "' holds NaN, first in element " +
                   Twine(at));
    layout.arrays.push_back(&*array);
  }
  const ModelInput &reference = splitter.inputs[splitter.reference];
  layout.batch = layout.arrays[splitter.reference]->shape[0];
  for (auto [input, array] : zip_equal(splitter.inputs, layout.arrays)) {
    bool isBatched = !input.dims.empty() && input.dims[0] == reference.dims[0];
    if (isBatched && array->shape[0] != layout.batch)
      return error("'" + input.name + "' holds " + Twine(array->shape[0]) +
                   " sequences, '" + reference.name + "' " +
                   Twine(layout.batch));
    layout.isBatched.push_back(isBatched);
  }
  layout.isPerPosition.assign(layout.arrays.size(), false);
  if (splitter.mask < 0)
    return Error::success();
  // Positions: the mask's second dimension, by its name or its size.
  StringRef name = splitter.inputs[splitter.mask].dims[1];
  layout.positions = layout.arrays[splitter.mask]->shape[1];
  layout.canTrim = isDynamic(name);
  for (auto [k, input] : enumerate(splitter.inputs)) {
    if (!layout.isBatched[k] || input.dims.size() < 2)
      continue;
    bool isSame = layout.arrays[k]->shape[1] == layout.positions;
    bool isFree = isDynamic(input.dims[1]);
    layout.isPerPosition[k] =
        isSame && (input.dims[1] == name || (isFree && isDynamic(name)));
    layout.canTrim &= layout.isPerPosition[k] || !isFree;
  }
  layout.readMask(splitter.mask);
  return Error::success();
}

void BatchSplitter::Layout::readMask(int input) {
  const NpyArray &array = *arrays[input];
  mask.resize(batch * positions);
  lengths.assign(batch, 0);
  for (size_t i = 0; i < mask.size(); ++i) {
    mask[i] = isNonZero(array, i);
    if (mask[i])
      lengths[i / positions] = i % positions + 1;
  }
}

Error BatchSplitter::split(ArrayRef<NpyArray> arrays, StringRef file,
                           int64_t rowsPerRun,
                           function_ref<Error(const ModelRun &)> visit) const {
  Layout layout;
  if (Error error = Layout::arrange(layout, *this, arrays, file))
    return error;
  std::vector<int64_t> order;
  layout.lengths.resize(layout.batch, 1); // without a mask all are alike
  for (int64_t i = 0; i < layout.batch; ++i)
    if (layout.lengths[i])
      order.push_back(i);
  // A batch of fixed size stays as it is.
  if (!isDynamic(inputs[reference].dims[0])) {
    order.clear();
    for (int64_t i = 0; i < layout.batch; ++i)
      order.push_back(i);
    return order.empty() ? Error::success() : visit(layout.makeRun(order));
  }
  llvm::sort(order, [&](int64_t a, int64_t b) {
    return std::pair(layout.lengths[a], a) < std::pair(layout.lengths[b], b);
  });
  // Of one sequence when nothing says how many rows it has.
  int64_t untrimmed = layout.positions;
  for (size_t k = 0; k < inputs.size() && mask < 0; ++k)
    if (layout.isBatched[k] && inputs[k].dims.size() >= 2)
      untrimmed = std::max(untrimmed, layout.arrays[k]->shape[1]);
  for (size_t begin = 0, end; begin < order.size(); begin = end) {
    for (end = begin + 1; end < order.size(); ++end) {
      int64_t length = layout.canTrim ? layout.lengths[order[end]] : untrimmed;
      if (int64_t(end + 1 - begin) * std::max<int64_t>(length, 1) > rowsPerRun)
        break;
    }
    if (Error error =
            visit(layout.makeRun(ArrayRef(order).slice(begin, end - begin))))
      return error;
  }
  return Error::success();
}
