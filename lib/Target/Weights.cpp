// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The weights as an ELF relocatable, written directly so that they stream from
// where they are to the file: no IR constant, no copy, no 2 GiB limit. The
// section has the large-model flag, which makes linkers place it away from
// code, whose relative addresses reach 2 GiB only. Or as a file of their own,
// which the runtime maps (WeightsFile.h).
#include "Internal.h"
#include "sparse-opt/Runtime/WeightsFile.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace sparse_opt {
namespace {

/// Sections in the order of the file.
enum Section : uint16_t {
  Null,
  Weights,
  NoExecStack,
  Symbols,
  Strings,
  SectionNames,
  NumSections
};

constexpr uint64_t sectionAlignment = 4096;
constexpr auto sectionNames = StringLiteral::withInnerNUL(
    "\0.lrodata\0.note.GNU-stack\0.symtab\0.strtab\0.shstrtab\0");

uint32_t nameOffset(StringRef name) {
  return static_cast<uint32_t>(sectionNames.find(name));
}

template <typename T> void put(raw_ostream &os, const T &value) {
  os.write(reinterpret_cast<const char *>(&value), sizeof(T));
}

void pad(raw_ostream &os, uint64_t alignment) {
  os.write_zeros(alignTo(os.tell(), alignment) - os.tell());
}

ELF::Elf64_Ehdr fileHeader(uint64_t sectionTable) {
  ELF::Elf64_Ehdr header = {};
  memcpy(header.e_ident, ELF::ElfMagic, strlen(ELF::ElfMagic));
  header.e_ident[ELF::EI_CLASS] = ELF::ELFCLASS64;
  header.e_ident[ELF::EI_DATA] = ELF::ELFDATA2LSB;
  header.e_ident[ELF::EI_VERSION] = ELF::EV_CURRENT;
  header.e_type = ELF::ET_REL;
  header.e_machine = ELF::EM_X86_64;
  header.e_version = ELF::EV_CURRENT;
  header.e_shoff = sectionTable;
  header.e_ehsize = sizeof(ELF::Elf64_Ehdr);
  header.e_shentsize = sizeof(ELF::Elf64_Shdr);
  header.e_shnum = NumSections;
  header.e_shstrndx = SectionNames;
  return header;
}

ELF::Elf64_Shdr section(StringRef name, uint32_t type, uint64_t flags,
                        uint64_t offset, uint64_t size, uint64_t alignment) {
  ELF::Elf64_Shdr header = {};
  header.sh_name = nameOffset(name);
  header.sh_type = type;
  header.sh_flags = flags;
  header.sh_offset = offset;
  header.sh_size = size;
  header.sh_addralign = alignment;
  return header;
}

ELF::Elf64_Sym weightsSymbol(uint64_t size) {
  ELF::Elf64_Sym symbol = {};
  symbol.st_name = 1;
  symbol.setBindingAndType(ELF::STB_GLOBAL, ELF::STT_OBJECT);
  symbol.st_other = ELF::STV_HIDDEN;
  symbol.st_shndx = Weights;
  symbol.st_size = size;
  return symbol;
}

Error writeSegments(raw_ostream &os, ArrayRef<WeightSegment> segments,
                    uint64_t size) {
  uint64_t end = 0;
  for (const WeightSegment &segment : segments) {
    if (segment.offset < end || segment.offset > size ||
        segment.data.size() > size - segment.offset)
      return makeError("weights overlap or exceed their %llu bytes",
                       static_cast<unsigned long long>(size));
    os.write_zeros(segment.offset - end);
    os.write(segment.data.data(), segment.data.size());
    end = segment.offset + segment.data.size();
  }
  for (; end < size; end += std::min<uint64_t>(size - end, UINT32_MAX))
    os.write_zeros(std::min<uint64_t>(size - end, UINT32_MAX));
  return Error::success();
}

/// Everything behind the section's bytes: symbols, names, section headers.
void writeTables(raw_ostream &os, StringRef symbol, uint64_t size) {
  ELF::Elf64_Shdr headers[NumSections] = {};
  headers[Weights] = section(".lrodata", ELF::SHT_PROGBITS,
                             ELF::SHF_ALLOC | ELF::SHF_X86_64_LARGE,
                             sectionAlignment, size, sectionAlignment);
  headers[NoExecStack] =
      section(".note.GNU-stack", ELF::SHT_PROGBITS, 0, os.tell(), 0, 1);
  pad(os, 8);
  headers[Symbols] = section(".symtab", ELF::SHT_SYMTAB, 0, os.tell(),
                             2 * sizeof(ELF::Elf64_Sym), 8);
  headers[Symbols].sh_link = Strings;
  headers[Symbols].sh_info = 1; // the first global symbol
  headers[Symbols].sh_entsize = sizeof(ELF::Elf64_Sym);
  put(os, ELF::Elf64_Sym{});
  put(os, weightsSymbol(size));
  headers[Strings] =
      section(".strtab", ELF::SHT_STRTAB, 0, os.tell(), symbol.size() + 2, 1);
  os << '\0' << symbol << '\0';
  headers[SectionNames] = section(".shstrtab", ELF::SHT_STRTAB, 0, os.tell(),
                                  sectionNames.size(), 1);
  os << sectionNames;
  pad(os, 8);
  uint64_t table = os.tell();
  for (const ELF::Elf64_Shdr &header : headers)
    put(os, header);
  static_cast<raw_fd_ostream &>(os).seek(0);
  put(os, fileHeader(table));
}

/// The hash of what is written to it.
class HashStream : public raw_ostream {
public:
  HashStream() : raw_ostream(/*unbuffered=*/false) { SetBufferSize(1 << 16); }
  ~HashStream() override { flush(); }
  uint64_t end() {
    flush();
    if (rest.size())
      so_hash_add(&hash, rest.data(), rest.size());
    rest.clear();
    return so_hash_end(&hash);
  }

private:
  void write_impl(const char *data, size_t size) override {
    written += size;
    // What is left of a line waits for the rest of it.
    size_t missing = rest.empty() ? 0 : std::min(size, 64 - rest.size());
    rest.append(data, data + missing);
    if (rest.size() == 64) {
      so_hash_add(&hash, rest.data(), 64);
      rest.clear();
    }
    size_t whole = (size - missing) / 64 * 64;
    so_hash_add(&hash, data + missing, whole);
    rest.append(data + missing + whole, data + size);
  }
  uint64_t current_pos() const override { return written; }

  so_hash hash = {};
  SmallVector<char, 64> rest;
  uint64_t written = 0;
};

} // namespace

Expected<uint64_t> writeWeightsFile(StringRef path,
                                    ArrayRef<WeightSegment> segments,
                                    uint64_t size) {
  HashStream hash;
  if (Error error = writeSegments(hash, segments, size))
    return std::move(error);
  so_weights_header header = {};
  memcpy(header.magic, SO_WEIGHTS_MAGIC, sizeof(header.magic));
  header.size = size;
  header.hash = hash.end();
  header.check = so_weights_check(&header);
  if (Error error = writeFile(path, [&](raw_fd_ostream &os) {
        put(os, header);
        pad(os, SO_WEIGHTS_OFFSET);
        return writeSegments(os, segments, size);
      }))
    return std::move(error);
  return header.hash;
}

Error writeWeightsObject(StringRef path, StringRef symbol,
                         ArrayRef<WeightSegment> segments, uint64_t size) {
  return writeFile(path, [&](raw_fd_ostream &os) {
    os.write_zeros(sectionAlignment); // the header comes last
    Error error = writeSegments(os, segments, size);
    if (!error)
      writeTables(os, symbol, size);
    return error;
  });
}

} // namespace sparse_opt
