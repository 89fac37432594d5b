// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The file of a profile: a header with magic, version, size and checksum, then
// everything in one order, little-endian. Histograms are mostly zeros and are
// stored as runs of them and small numbers. Nothing of it depends on the
// machine or the time, so equal profiles are equal files.
#include "sparse-opt/Calibration/Profile.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/LEB128.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/xxhash.h"

using namespace llvm;
using namespace sparse_opt;

static constexpr StringLiteral magic = "SOPROF\r\n";
static constexpr uint32_t version = 1;
/// magic, version, 0, size of the rest, its checksum
static constexpr size_t headerSize = 32;

static_assert(sys::IsLittleEndianHost, "profiles are little-endian");

//===----------------------------------------------------------------------===//
// Archives: one description of the format serves writing and reading
//===----------------------------------------------------------------------===//

namespace {
class Writer {
public:
  static constexpr bool isReader = false;
  std::string bytes;

  bool ok() const { return true; }
  void fail() {}
  void raw(const void *data, size_t size) {
    if (size)
      bytes.append(static_cast<const char *>(data), size);
  }
  void varint(uint64_t &value) {
    uint8_t buffer[16];
    raw(buffer, encodeULEB128(value, buffer));
  }
};

class Reader {
public:
  static constexpr bool isReader = true;
  explicit Reader(StringRef bytes)
      : at(bytes.bytes_begin()), end(bytes.bytes_end()) {}

  bool ok() const { return at != nullptr; }
  bool atEnd() const { return at == end; }
  size_t left() const { return ok() ? end - at : 0; }
  void fail() { at = end = nullptr; }
  void raw(void *data, size_t size) {
    if (size > left())
      return fail();
    if (size)
      memcpy(data, at, size);
    at += size;
  }
  void varint(uint64_t &value) {
    unsigned length = 0;
    const char *error = nullptr;
    value = ok() ? decodeULEB128(at, &length, end, &error) : 0;
    if (error)
      return fail();
    at += length;
  }

private:
  const uint8_t *at, *end;
};
} // namespace

/// A field of the format: the same call writes `value` or reads into it.
template <typename Archive, typename T>
static void field(Archive &a, T &value) {
  a.raw(&value, sizeof(T));
}

/// The size of a list whose elements take `minBytes` or more.
template <typename Archive, typename T>
static void size(Archive &a, std::vector<T> &list, size_t minBytes) {
  uint64_t count = list.size();
  a.varint(count);
  if constexpr (Archive::isReader) {
    if (count > a.left() / minBytes)
      return a.fail();
    list.resize(count);
  }
}

template <typename Archive> static void text(Archive &a, std::string &value) {
  uint64_t count = value.size();
  a.varint(count);
  if constexpr (Archive::isReader) {
    if (count > a.left())
      return a.fail();
    value.resize(count);
  }
  a.raw(value.data(), value.size());
}

/// A list whose size is known already.
template <typename Archive, typename T>
static void fixed(Archive &a, std::vector<T> &list) {
  a.raw(list.data(), list.size() * sizeof(T));
}

template <typename Archive, typename T>
static void sized(Archive &a, std::vector<T> &list) {
  size(a, list, sizeof(T));
  fixed(a, list);
}

/// Counts: the length of a run of zeros, that of the run of others after it,
/// and these, in turn.
template <typename Archive, typename T>
static void sparse(Archive &a, std::vector<T> &counts) {
  size_t i = 0;
  auto run = [&](bool isZero) {
    uint64_t length = 0;
    if constexpr (!Archive::isReader)
      while (i + length < counts.size() && (counts[i + length] == 0) == isZero)
        ++length;
    a.varint(length);
    if (length > counts.size() - i)
      a.fail();
    return a.ok() ? length : 0;
  };
  while (i < counts.size() && a.ok()) {
    uint64_t zeros = run(true);
    i += zeros;
    uint64_t others = run(false);
    if (zeros + others == 0)
      a.fail(); // it would never end
    for (; others && a.ok(); --others) {
      uint64_t count = counts[i];
      a.varint(count);
      if (count > std::numeric_limits<T>::max())
        return a.fail();
      counts[i++] = static_cast<T>(count);
    }
  }
}

//===----------------------------------------------------------------------===//
// The parts, in order
//===----------------------------------------------------------------------===//

template <typename Archive> static void moments(Archive &a, Moments &m) {
  fixed(a, m.sum);
  fixed(a, m.squares);
}

template <typename Archive> static void range(Archive &a, Extremes &r) {
  fixed(a, r.low);
  fixed(a, r.high);
}

template <typename Archive>
static void blockInfo(Archive &a, CalibratedBlock &block) {
  text(a, block.name);
  text(a, block.activation);
  for (int64_t *value : {&block.d, &block.h, &block.out}) {
    field(a, *value);
    // Far more than any model has; sizes below stay far from overflow.
    if (*value < 0 || *value > (int64_t(1) << 24))
      a.fail();
  }
  uint8_t flags = block.gated | block.hasResidual << 1;
  field(a, flags);
  block.gated = flags & 1;
  block.hasResidual = flags & 2;
}

template <typename Archive>
static void shard(Archive &a, Shard &value,
                  std::vector<CalibratedBlock> &blocks) {
  field(a, value.hash);
  field(a, value.sequences);
  field(a, value.heldOutSequences);
  for (auto [i, block] : llvm::enumerate(blocks)) {
    if constexpr (Archive::isReader) {
      if (!a.ok() || uint64_t(block.d + block.h) > a.left() / 8)
        return a.fail();
      value.sums.emplace_back(block);
    }
    BlockSums &sums = value.sums[i];
    field(a, sums.rows);
    field(a, sums.heldOutRows);
    moments(a, sums.x);
    moments(a, sums.gate);
    moments(a, sums.up);
    moments(a, sums.act);
  }
}

template <typename Archive>
static void blockCounts(Archive &a, BlockCounts &counts) {
  sparse(a, counts.gate);
  sparse(a, counts.up);
  sparse(a, counts.zeros);
  sparse(a, counts.x);
  sparse(a, counts.act);
  range(a, counts.xRange);
  range(a, counts.gateRange);
  range(a, counts.upRange);
  range(a, counts.actRange);
}

template <typename Archive>
static void rowSample(Archive &a, RowSample &sample) {
  uint64_t capacity = sample.capacity(), width = sample.width();
  uint64_t count = sample.size();
  field(a, capacity);
  field(a, count);
  RowKey key;
  std::vector<uint16_t> row(width);
  if constexpr (Archive::isReader)
    sample = RowSample(capacity, width);
  for (uint64_t i = 0; i < count && a.ok(); ++i) {
    if constexpr (!Archive::isReader) {
      key = sample.key(i);
      row = sample.row(i).vec();
    }
    field(a, key);
    fixed(a, row);
    if constexpr (Archive::isReader)
      if (a.ok() && !sample.append(key, row))
        a.fail();
  }
}

template <typename Archive>
static void sequence(Archive &a, SampledSequence &value, size_t inputs) {
  field(a, value.hash);
  value.inputs.resize(inputs);
  for (SequenceInput &input : value.inputs) {
    sized(a, input.shape);
    sized(a, input.data);
  }
}

template <typename Archive>
static void sequenceSample(Archive &a, SequenceSample &sample, size_t inputs) {
  uint64_t capacity = sample.capacity(), horizon = sample.horizon();
  uint64_t count = sample.get().size();
  field(a, capacity);
  field(a, horizon);
  field(a, count);
  if constexpr (Archive::isReader) {
    sample = SequenceSample(capacity);
    sample.setHorizon(horizon);
  }
  for (uint64_t i = 0; i < count && a.ok(); ++i) {
    SampledSequence value;
    if constexpr (!Archive::isReader)
      value = sample.get()[i];
    sequence(a, value, inputs);
    if constexpr (Archive::isReader)
      if (a.ok())
        sample.add(std::move(value));
  }
  if (sample.get().size() != count)
    a.fail();
}

/// Everything after the header. Writing leaves `p` as it is.
template <typename Archive>
static void profile(Archive &a, CalibrationProfile &p) {
  text(a, p.modelHash);
  field(a, p.seed);
  size(a, p.inputs, 5);
  for (CalibratedInput &input : p.inputs) {
    text(a, input.name);
    field(a, input.elementType);
  }
  size(a, p.blocks, 27);
  for (CalibratedBlock &block : p.blocks)
    blockInfo(a, block);
  size(a, p.shards, 24);
  for (Shard &value : p.shards)
    if (a.ok())
      shard(a, value, p.blocks);
  for (auto [i, block] : llvm::enumerate(p.blocks)) {
    if (!a.ok())
      return;
    if constexpr (Archive::isReader) {
      if (uint64_t(block.d + block.h) > a.left() / 8)
        return a.fail();
      size_t width = block.d + (block.hasResidual ? block.out : 0);
      p.counts.emplace_back(block);
      p.rows.push_back({RowSample(0, width), RowSample(0, width)});
    }
    blockCounts(a, p.counts[i]);
    rowSample(a, p.rows[i].fit);
    rowSample(a, p.rows[i].heldOut);
  }
  sequenceSample(a, p.sequences.fit, p.inputs.size());
  sequenceSample(a, p.sequences.heldOut, p.inputs.size());
}

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

static uint64_t checksum(StringRef bytes) {
  return xxh3_64bits(arrayRefFromStringRef(bytes));
}

void sparse_opt::writeProfile(const CalibrationProfile &value,
                              raw_ostream &os) {
  Writer writer;
  profile(writer, const_cast<CalibrationProfile &>(value));
  os << magic;
  for (uint32_t word : {version, uint32_t(0)})
    os.write(reinterpret_cast<const char *>(&word), sizeof(word));
  for (uint64_t word : {uint64_t(writer.bytes.size()), checksum(writer.bytes)})
    os.write(reinterpret_cast<const char *>(&word), sizeof(word));
  os << writer.bytes;
}

bool sparse_opt::isProfile(StringRef path) {
  auto file = MemoryBuffer::getFileSlice(path, magic.size(), 0);
  return file && (*file)->getBuffer() == magic;
}

Expected<CalibrationProfile> sparse_opt::parseProfile(StringRef bytes,
                                                      StringRef name) {
  if (bytes.size() < headerSize || !bytes.starts_with(magic))
    return createStringError(name + ": not a profile made by 'sparse-opt "
                                    "calibrate'");
  const char *header = bytes.data() + magic.size();
  uint32_t found = support::endian::read32le(header);
  if (found != version)
    return createStringError(name + ": has version " + Twine(found) +
                             " of the format of profiles; this sparse-opt "
                             "reads version " +
                             Twine(version));
  uint64_t expected = support::endian::read64le(header + 8);
  StringRef payload = bytes.drop_front(headerSize);
  if (payload.size() != expected)
    return createStringError(name + ": is truncated or has something added: " +
                             Twine(payload.size()) +
                             " bytes after its header "
                             "instead of " +
                             Twine(expected));
  if (support::endian::read32le(header + 4) != 0 ||
      checksum(payload) != support::endian::read64le(header + 16))
    return createStringError(name + ": has been altered or damaged: its "
                                    "checksum is wrong");
  CalibrationProfile result;
  Reader reader(payload);
  profile(reader, result);
  if (!reader.ok() || !reader.atEnd())
    return createStringError(name + ": is no valid profile, though its "
                                    "checksum is right");
  return std::move(result);
}

Expected<CalibrationProfile> sparse_opt::readProfile(StringRef path) {
  auto file = MemoryBuffer::getFile(path, /*IsText=*/false,
                                    /*RequiresNullTerminator=*/false);
  if (!file)
    return createStringError(path + ": " + file.getError().message());
  return parseProfile((*file)->getBuffer(), path);
}
