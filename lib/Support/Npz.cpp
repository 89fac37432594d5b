// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// .npz archives: the part of the zip format that NumPy writes (stored and
// deflated entries, 64-bit sizes), so that an `exe` artefact needs zlib and
// nothing more. Sizes of the file are never believed before they are checked
// against it: a bad file costs a sentence, not memory.
#include "sparse-opt/Support/Npz.h"
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

using namespace sparse_opt;

namespace {
using Bytes = std::vector<uint8_t>;
struct CloseFile {
  void operator()(FILE *file) const { fclose(file); }
};
using File = std::unique_ptr<FILE, CloseFile>;

uint64_t load(const uint8_t *at, int bytes) {
  uint64_t value = 0;
  for (int i = bytes; i-- > 0;)
    value = value << 8 | at[i];
  return value;
}

void store(std::string &out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i, value >>= 8)
    out += char(value & 0xff);
}

struct Entry {
  std::string name;
  uint64_t packed = 0, size = 0, offset = 0;
  uint32_t crc = 0;
  int method = 0;
  bool encrypted = false;
};

constexpr uint32_t localMagic = 0x04034b50, centralMagic = 0x02014b50,
                   endMagic = 0x06054b50, end64Magic = 0x06064b50,
                   locator64Magic = 0x07064b50;
constexpr uint32_t full32 = 0xffffffff;

/// One open archive. Methods answer with an error or "".
class Reader {
public:
  Reader(const std::string &path, FILE *file, uint64_t size)
      : path(path), file(file), size(size) {}

  std::string readDirectory(std::vector<Entry> &entries) {
    uint64_t offset = 0, bytes = 0;
    if (!findDirectory(offset, bytes))
      return path + ": not a .npz archive, or cut off";
    Bytes directory;
    if (!readAt(offset, bytes, directory))
      return path + ": the archive's directory is cut off";
    for (size_t at = 0; at < directory.size();) {
      Entry entry;
      if (!parseEntry(directory, at, entry))
        return path + ": the archive's directory is malformed";
      entries.push_back(std::move(entry));
    }
    return "";
  }

  std::string readEntry(const Entry &entry, Bytes &data) {
    std::string where = path + ": '" + entry.name + "'";
    Bytes header, packed;
    if (!readAt(entry.offset, 30, header) ||
        load(header.data(), 4) != localMagic)
      return where + " is cut off";
    uint64_t start =
        entry.offset + 30 + load(&header[26], 2) + load(&header[28], 2);
    if (!readAt(start, entry.packed, packed))
      return where + " is cut off";
    if (entry.encrypted)
      return where + " is encrypted";
    if (entry.method == 0)
      data = std::move(packed);
    else if (entry.method != 8)
      return where + " uses an unsupported compression";
    else if (!inflateEntry(packed, entry.size, data))
      return where + " is damaged";
    uint32_t crc = crc32_z(0, data.data(), data.size());
    if (data.size() != entry.size || crc != entry.crc)
      return where + " is damaged";
    return "";
  }

private:
  const std::string &path;
  FILE *file;
  uint64_t size;

  bool readAt(uint64_t offset, uint64_t bytes, Bytes &data) {
    if (offset > size || bytes > size - offset)
      return false;
    data.resize(bytes);
    return fseeko(file, offset, SEEK_SET) == 0 &&
           fread(data.data(), 1, bytes, file) == bytes;
  }

  bool findDirectory(uint64_t &offset, uint64_t &bytes) {
    uint64_t length = std::min<uint64_t>(size, 22 + 0xffff);
    Bytes tail;
    if (size < 22 || !readAt(size - length, length, tail))
      return false;
    for (size_t at = length - 22;; --at) {
      if (load(&tail[at], 4) == endMagic) {
        bytes = load(&tail[at + 12], 4);
        offset = load(&tail[at + 16], 4);
        bool wide = bytes == full32 || offset == full32 ||
                    load(&tail[at + 10], 2) == 0xffff;
        return !wide || findDirectory64(size - length + at, offset, bytes);
      }
      if (at == 0)
        return false;
    }
  }

  bool findDirectory64(uint64_t end, uint64_t &offset, uint64_t &bytes) {
    Bytes locator, record;
    if (end < 20 || !readAt(end - 20, 20, locator) ||
        load(locator.data(), 4) != locator64Magic ||
        !readAt(load(&locator[8], 8), 56, record) ||
        load(record.data(), 4) != end64Magic)
      return false;
    bytes = load(&record[40], 8);
    offset = load(&record[48], 8);
    return true;
  }

  static bool parseEntry(const Bytes &directory, size_t &at, Entry &entry) {
    if (directory.size() - at < 46)
      return false;
    const uint8_t *head = &directory[at];
    size_t name = load(head + 28, 2), extra = load(head + 30, 2),
           comment = load(head + 32, 2);
    if (load(head, 4) != centralMagic ||
        directory.size() - at - 46 < name + extra + comment)
      return false;
    entry.encrypted = head[8] & 1;
    entry.method = load(head + 10, 2);
    entry.crc = load(head + 16, 4);
    entry.packed = load(head + 20, 4);
    entry.size = load(head + 24, 4);
    entry.offset = load(head + 42, 4);
    entry.name.assign(reinterpret_cast<const char *>(head + 46), name);
    at += 46 + name + extra + comment;
    return parseWideSizes(head + 46 + name, extra, entry);
  }

  /// The extra field 1 replaces the sizes that did not fit, in this order.
  static bool parseWideSizes(const uint8_t *extra, size_t length,
                             Entry &entry) {
    uint64_t *wide[] = {&entry.size, &entry.packed, &entry.offset};
    while (length >= 4) {
      size_t id = load(extra, 2), bytes = load(extra + 2, 2), at = 0;
      if (bytes > length - 4)
        return false;
      for (uint64_t *value : wide)
        if (id == 1 && *value == full32) {
          if (bytes - at < 8)
            return false;
          *value = load(extra + 4 + at, 8);
          at += 8;
        }
      extra += 4 + bytes;
      length -= 4 + bytes;
    }
    return true;
  }

  static bool inflateEntry(const Bytes &packed, uint64_t size, Bytes &data) {
    // Deflate's best is 1032 to 1: a larger claim is a lie about memory.
    if (size / 1100 > packed.size())
      return false;
    data.resize(size);
    z_stream stream = {};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
      return false;
    size_t in = 0, out = 0;
    int status = Z_OK;
    uint8_t spill;
    while (status == Z_OK) {
      uInt inChunk = std::min<size_t>(packed.size() - in, INT_MAX);
      uInt outChunk = std::min<size_t>(size - out, INT_MAX);
      bool full = outChunk == 0;
      stream.next_in = const_cast<uint8_t *>(packed.data()) + in;
      stream.avail_in = inChunk;
      stream.next_out = full ? &spill : data.data() + out;
      stream.avail_out = full ? 1 : outChunk;
      status = inflate(&stream, Z_NO_FLUSH);
      if (full && stream.avail_out == 0)
        status = Z_DATA_ERROR;
      in += inChunk - stream.avail_in;
      out += full ? 0 : outChunk - stream.avail_out;
    }
    inflateEnd(&stream);
    return status == Z_STREAM_END && out == size;
  }
};

/// Appends entries to an open file and remembers the directory.
class Writer {
public:
  explicit Writer(FILE *file) : file(file) {}

  bool add(const NpyArray &array, bool deflateData) {
    std::string header = npyHeader(array), name = array.name + ".npy";
    uint64_t size = header.size() + array.data.size();
    uint32_t crc = crc32_z(0, reinterpret_cast<const Bytef *>(header.data()),
                           header.size());
    if (!array.data.empty())
      crc = crc32_z(crc, array.data.data(), array.data.size());
    Bytes packed;
    if (deflateData && !deflateEntry(header, array.data, packed))
      return false;
    uint64_t bytes = deflateData ? packed.size() : size;

    std::string common;
    store(common, 45, 2);    // version: 64-bit sizes
    store(common, 0x800, 2); // names are UTF-8
    store(common, deflateData ? 8 : 0, 2);
    store(common, 0, 2);
    store(common, 0x21, 2); // 1980-01-01: same arrays, same bytes
    store(common, crc, 4);
    store(common, full32, 4);
    store(common, full32, 4);
    store(common, name.size(), 2);
    addToDirectory(common, name, size, bytes);

    std::string local;
    store(local, localMagic, 4);
    local += common;
    store(local, 20, 2);
    local += name;
    store(local, 1, 2);
    store(local, 16, 2);
    store(local, size, 8);
    store(local, bytes, 8);
    if (!write(local.data(), local.size()))
      return false;
    if (deflateData)
      return write(packed.data(), packed.size());
    return write(header.data(), header.size()) &&
           write(array.data.data(), array.data.size());
  }

  bool finish() {
    uint64_t start = offset, bytes = directory.size();
    std::string end;
    store(end, end64Magic, 4);
    store(end, 44, 8);
    store(end, 45, 2);
    store(end, 45, 2);
    store(end, 0, 8);
    store(end, count, 8);
    store(end, count, 8);
    store(end, bytes, 8);
    store(end, start, 8);
    store(end, locator64Magic, 4);
    store(end, 0, 4);
    store(end, start + bytes, 8);
    store(end, 1, 4);
    store(end, endMagic, 4);
    store(end, 0, 4);
    store(end, 0xffff, 2);
    store(end, 0xffff, 2);
    store(end, full32, 4);
    store(end, full32, 4);
    store(end, 0, 2);
    return write(directory.data(), bytes) && write(end.data(), end.size());
  }

private:
  FILE *file;
  uint64_t offset = 0, count = 0;
  std::string directory;

  bool write(const void *data, size_t size) {
    offset += size;
    return size == 0 || fwrite(data, 1, size, file) == size;
  }

  void addToDirectory(const std::string &common, const std::string &name,
                      uint64_t size, uint64_t bytes) {
    ++count;
    store(directory, centralMagic, 4);
    store(directory, 45, 2);
    directory += common;
    store(directory, 28, 2);
    store(directory, 0, 10); // no comment, first disk, attributes
    store(directory, full32, 4);
    directory += name;
    store(directory, 1, 2);
    store(directory, 24, 2);
    store(directory, size, 8);
    store(directory, bytes, 8);
    store(directory, offset, 8);
  }

  static bool deflateEntry(const std::string &header, const Bytes &data,
                           Bytes &packed) {
    z_stream stream = {};
    if (deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
      return false;
    bool ok = feed(stream, header.data(), header.size(), false, packed) &&
              feed(stream, data.data(), data.size(), true, packed);
    deflateEnd(&stream);
    return ok;
  }

  static bool feed(z_stream &stream, const void *data, size_t size, bool last,
                   Bytes &packed) {
    const uint8_t *at = static_cast<const uint8_t *>(data);
    uint8_t chunk[1 << 16];
    int status = Z_OK;
    do {
      uInt in = std::min<size_t>(size, INT_MAX);
      stream.next_in = const_cast<uint8_t *>(at);
      stream.avail_in = in;
      at += in;
      size -= in;
      int flush = last && size == 0 ? Z_FINISH : Z_NO_FLUSH;
      do {
        stream.next_out = chunk;
        stream.avail_out = sizeof chunk;
        status = deflate(&stream, flush);
        packed.insert(packed.end(), chunk,
                      chunk + sizeof chunk - stream.avail_out);
      } while (stream.avail_out == 0);
    } while (size != 0);
    return status != Z_STREAM_ERROR;
  }
};

std::string openError(const std::string &path) {
  return path + ": " + strerror(errno);
}

std::string stripNpy(const std::string &name) {
  bool has = name.size() > 4 && name.compare(name.size() - 4, 4, ".npy") == 0;
  return has ? name.substr(0, name.size() - 4) : name;
}

std::string writeAll(const std::string &temporary,
                     const std::vector<NpyArray> &arrays, bool deflate) {
  File file(fopen(temporary.c_str(), "wb"));
  if (!file)
    return openError(temporary);
  Writer writer(file.get());
  bool ok = true;
  for (const NpyArray &array : arrays)
    ok = ok && writer.add(array, deflate);
  ok = ok && writer.finish() && fflush(file.get()) == 0;
  return ok ? "" : openError(temporary);
}
} // namespace

std::string sparse_opt::readNpz(const std::string &path,
                                std::vector<NpyArray> &arrays) {
  File file(fopen(path.c_str(), "rb"));
  if (!file)
    return openError(path);
  struct stat status;
  if (fstat(fileno(file.get()), &status) != 0)
    return openError(path);
  if (!S_ISREG(status.st_mode))
    return path + ": not a file";
  off_t size = status.st_size;
  char magic[6] = {};
  size_t got = fread(magic, 1, sizeof magic, file.get());
  if (got == sizeof magic && memcmp(magic, "\x93NUMPY", 6) == 0) {
    Bytes bytes(size);
    rewind(file.get());
    if (fread(bytes.data(), 1, bytes.size(), file.get()) != bytes.size())
      return openError(path);
    arrays.emplace_back();
    return parseNpy(path, bytes.data(), bytes.size(), arrays.back());
  }
  Reader reader(path, file.get(), size);
  std::vector<Entry> entries;
  std::string error = reader.readDirectory(entries);
  for (const Entry &entry : entries) {
    Bytes bytes;
    NpyArray array;
    if (error.empty())
      error = reader.readEntry(entry, bytes);
    if (error.empty())
      error = parseNpy(path + ": '" + entry.name + "'", bytes.data(),
                       bytes.size(), array);
    if (!error.empty())
      break;
    array.name = stripNpy(entry.name);
    arrays.push_back(std::move(array));
  }
  return error;
}

std::string sparse_opt::writeNpz(const std::string &path,
                                 const std::vector<NpyArray> &arrays,
                                 bool deflate) {
  for (const NpyArray &array : arrays)
    if (elementSize(array.elementType) == 0)
      return path + ": '" + array.name + "' of " +
             elementName(array.elementType) + " has no NumPy form";
  std::string temporary = path + ".tmp" + std::to_string(getpid());
  std::string error = writeAll(temporary, arrays, deflate);
  if (error.empty() && rename(temporary.c_str(), path.c_str()) != 0)
    error = openError(path);
  if (!error.empty())
    unlink(temporary.c_str());
  return error;
}
