// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bottom-k samples of rows and of sequences. What they are samples of, and
// which of it is held out, is the collector's.
#include "sparse-opt/Calibration/Sample.h"
#include "sparse-opt/Support/Bf16.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <cassert>
#include <cstring>

using namespace sparse_opt;

uint64_t sparse_opt::mixHashes(uint64_t a, uint64_t b) {
  // The finaliser of splitmix64, over both in turn.
  uint64_t value = a;
  for (uint64_t next : {uint64_t(0x9e3779b97f4a7c15), b}) {
    value ^= next;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    value ^= value >> 31;
  }
  return value;
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

bool RowSample::wants(uint64_t hash) const {
  return keys.size() < limit || (limit && hash <= largest());
}

void RowSample::add(const RowKey &key, llvm::ArrayRef<float> first,
                    llvm::ArrayRef<float> second) {
  assert(first.size() + second.size() == columns && "a row of another width");
  if (!wants(key.hash))
    return;
  std::vector<uint16_t> row;
  row.reserve(columns);
  for (llvm::ArrayRef<float> part : {first, second})
    llvm::append_range(row, llvm::map_range(part, toBf16));
  addBits(key, row);
}

void RowSample::addBits(const RowKey &key, llvm::ArrayRef<uint16_t> row) {
  if (!wants(key.hash))
    return;
  auto [place, isNew] = rowOf.try_emplace(key.hash, keys.size());
  if (!isNew) {
    uint16_t *old = values.data() + place->second * columns;
    if (std::lexicographical_compare(row.begin(), row.end(), old,
                                     old + columns))
      std::copy(row.begin(), row.end(), old);
    return;
  }
  if (keys.size() < limit) {
    keys.push_back(key);
    values.insert(values.end(), row.begin(), row.end());
  } else {
    // In place of the row with the largest hash.
    size_t slot = heap.front().second;
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    rowOf.erase(keys[slot].hash);
    place->second = slot;
    keys[slot] = key;
    std::copy(row.begin(), row.end(), values.begin() + slot * columns);
  }
  heap.push_back({key.hash, place->second});
  std::push_heap(heap.begin(), heap.end());
}

void RowSample::merge(const RowSample &other) {
  if (other.limit < limit)
    setCapacity(other.limit);
  for (size_t i = 0; i < other.size(); ++i)
    addBits(other.keys[i], other.row(i));
}

void RowSample::setCapacity(size_t capacity) {
  RowSample smaller(capacity, columns);
  for (size_t i = 0; i < size(); ++i)
    smaller.addBits(keys[i], row(i));
  *this = std::move(smaller);
}

void RowSample::sort() {
  std::vector<size_t> order(size());
  for (size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  llvm::sort(order,
             [&](size_t a, size_t b) { return keys[a].hash < keys[b].hash; });
  RowSample sorted(limit, columns);
  sorted.values.reserve(values.size());
  for (size_t i : order)
    sorted.append(keys[i], row(i));
  *this = std::move(sorted);
}

bool RowSample::append(const RowKey &key, llvm::ArrayRef<uint16_t> row) {
  if (size() == limit || (!keys.empty() && key.hash <= keys.back().hash))
    return false;
  addBits(key, row);
  return true;
}

std::vector<float> RowSample::columnsOf(size_t begin, size_t count) const {
  std::vector<float> result;
  result.reserve(size() * count);
  for (size_t i = 0; i < size(); ++i)
    llvm::append_range(result,
                       llvm::map_range(row(i).slice(begin, count), fromBf16));
  return result;
}

//===----------------------------------------------------------------------===//
// Sequences
//===----------------------------------------------------------------------===//

uint64_t SampledSequence::bytes() const {
  uint64_t sum = sizeof(hash);
  for (const SequenceInput &input : inputs)
    sum += input.data.size() + input.shape.size() * sizeof(int64_t);
  return sum;
}

void SequenceSample::add(SampledSequence sequence) {
  if (sequence.hash >= leftOut)
    return;
  auto place =
      llvm::lower_bound(sequences, sequence,
                        [](const SampledSequence &a, const SampledSequence &b) {
                          return a.hash < b.hash;
                        });
  if (place != sequences.end() && place->hash == sequence.hash)
    return; // the hash is of the content
  held += sequence.bytes();
  sequences.insert(place, std::move(sequence));
  cut();
}

/// Everything from the first sequence that doesn't fit goes.
void SequenceSample::cut() {
  while (!sequences.empty() &&
         (held > limit || sequences.back().hash >= leftOut)) {
    leftOut = std::min(leftOut, sequences.back().hash);
    held -= sequences.back().bytes();
    sequences.pop_back();
  }
}

void SequenceSample::merge(const SequenceSample &other) {
  limit = std::min(limit, other.limit);
  leftOut = std::min(leftOut, other.leftOut);
  cut();
  for (const SampledSequence &sequence : other.sequences)
    add(sequence);
}

void SequenceSample::setCapacity(uint64_t capacity) {
  limit = capacity;
  cut();
}
