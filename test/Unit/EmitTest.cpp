// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Artefacts are whole, self-contained, equal from run to run, and leave
// nothing behind when making them fails.
#include "EmitFixture.h"
#include "sparse-opt/Runtime/Runtime.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"
#include <dlfcn.h>

using namespace llvm;
using namespace sparse_opt;

namespace {

class EmitTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(sys::fs::createUniqueDirectory("emit-test", folder));
  }
  void TearDown() override { sys::fs::remove_directories(folder); }

  EmitOptions options(OutputKind kind, StringRef name) {
    EmitOptions options;
    options.kind = kind;
    options.path = (folder + "/" + name).str();
    return options;
  }

  std::string read(StringRef name) {
    auto buffer = MemoryBuffer::getFile(folder + "/" + name);
    return buffer ? (*buffer)->getBuffer().str() : "missing";
  }

  /// Names in the folder, sorted.
  std::vector<std::string> files() {
    std::vector<std::string> names;
    std::error_code code;
    for (sys::fs::directory_iterator it(folder, code), end; it != end && !code;
         it.increment(code))
      names.push_back(sys::path::filename(it->path()).str());
    llvm::sort(names);
    return names;
  }

  SmallString<128> folder;
};

std::string message(Error error) { return toString(std::move(error)); }

TEST_F(EmitTest, SharedLibraryRuns) {
  EmitOptions so = options(OutputKind::SharedLibrary, "model.so");
  ASSERT_EQ(message(fixture::emit(1.0f, so)), "");
  EXPECT_EQ(files(), std::vector<std::string>{"model.so"});
  void *library = dlopen(so.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  auto entry =
      reinterpret_cast<sparse_opt_entry>(dlsym(library, "sparse_opt_model_v1"));
  ASSERT_NE(entry, nullptr);
  const sparse_opt_api *api = entry();
  ASSERT_NE(api, nullptr);
  EXPECT_EQ(api->size, sizeof(sparse_opt_api));
  sparse_opt_instance *instance = nullptr;
  ASSERT_EQ(api->instance_create(api->model, nullptr, &instance), 0)
      << api->last_error();
  float x[8] = {0, 0, 0, 0, 10, 10, 10, 10}, y[8];
  int64_t dims[] = {2, 4};
  sparse_opt_tensor in = {"x", 1, 2, dims, x, sizeof(x)};
  sparse_opt_tensor out = {"y", 1, 0, nullptr, y, sizeof(y)};
  ASSERT_EQ(api->run(instance, &in, 1, &out, 1), 0) << api->last_error();
  EXPECT_EQ(y[0], 1.0f);
  EXPECT_EQ(y[3], 4.0f);
  EXPECT_EQ(y[6], 13.0f);
  api->instance_destroy(instance);
  dlclose(library);
}

TEST_F(EmitTest, SharedLibraryShowsTheEntryOnly) {
  EmitOptions so = options(OutputKind::SharedLibrary, "model.so");
  so.entry = "my_model";
  ASSERT_EQ(message(fixture::emit(1.0f, so)), "");
  auto file = cantFail(object::ObjectFile::createObjectFile(so.path));
  auto &elf = cast<object::ELF64LEObjectFile>(*file.getBinary());
  std::vector<std::string> defined;
  for (const object::ELFSymbolRef &symbol : elf.getDynamicSymbolIterators())
    if (!(cantFail(symbol.getFlags()) & object::SymbolRef::SF_Undefined))
      defined.push_back(cantFail(symbol.getName()).str());
  EXPECT_EQ(defined, std::vector<std::string>{"my_model"});
  auto &inner = elf.getELFFile();
  StringRef strings = cantFail(inner.getStringTableForSymtab(
      *find_if(cantFail(inner.sections()),
               [](auto &s) { return s.sh_type == ELF::SHT_DYNSYM; })));
  for (auto &entry : cantFail(inner.dynamicEntries()))
    if (entry.getTag() == ELF::DT_NEEDED) {
      StringRef name = strings.substr(entry.getVal()).split('\0').first;
      EXPECT_TRUE(name == "libc.so.6" || name == "libm.so.6") << name.str();
    }
}

TEST_F(EmitTest, SameInputSameBytes) {
  for (auto [kind, name] : {std::pair(OutputKind::SharedLibrary, "so"),
                            std::pair(OutputKind::StaticLibrary, "a"),
                            std::pair(OutputKind::Object, "o")}) {
    ASSERT_EQ(message(fixture::emit(1.0f, options(kind, "one"))), "");
    EmitOptions again = options(kind, "two");
    again.jobs = 2;
    ASSERT_EQ(message(fixture::emit(1.0f, again)), "");
    EXPECT_TRUE(read("one") == read("two")) << name;
    ASSERT_EQ(message(fixture::emit(2.0f, again)), "");
    EXPECT_FALSE(read("one") == read("two")) << name;
  }
}

TEST_F(EmitTest, FailureLeavesNothing) {
  EmitOptions so = options(OutputKind::SharedLibrary, "model.so");
  so.entry = "2nd-model";
  EXPECT_EQ(message(fixture::emit(1.0f, so)),
            "--entry=2nd-model is not a C identifier");
  LLVMContext context;
  std::vector<VariantCode> variants;
  variants.push_back(fixture::variant(context, "x86-64", 0));
  variants[0].runSymbol = "go";
  EXPECT_EQ(message(emitModel(fixture::description(), std::move(variants), {},
                              0, options(OutputKind::SharedLibrary, "a.so"))),
            "the code for a target lacks its function 'go'");
  std::vector<VariantCode> undefined;
  undefined.push_back(fixture::variant(
      context, "x86-64", 0,
      "declare void @nowhere()\n"
      "define void @plan() { ret void }\n"
      "define void @run() { call void @nowhere() ret void }\n"));
  std::string text =
      message(emitModel(fixture::description(), std::move(undefined), {}, 0,
                        options(OutputKind::SharedLibrary, "b.so")));
  EXPECT_NE(text.find("nowhere"), std::string::npos) << text;
  EXPECT_EQ(files(), std::vector<std::string>());
  EmitOptions absent = options(OutputKind::SharedLibrary, "no/such/model.so");
  EXPECT_NE(message(fixture::emit(1.0f, absent)).find("No such file"),
            std::string::npos);
}

TEST_F(EmitTest, WeightsMayHaveGapsButNotOverlap) {
  std::string path = (folder + "/w.o").str();
  const char bytes[] = "abcd";
  WeightSegment gap[] = {{2, {bytes, 2}}, {6, {bytes + 2, 2}}};
  ASSERT_EQ(message(writeWeightsObject(path, "w", gap, 10)), "");
  auto file = cantFail(object::ObjectFile::createObjectFile(path));
  for (const object::SectionRef &section : file.getBinary()->sections())
    if (cantFail(section.getName()) == ".lrodata") {
      EXPECT_EQ(cantFail(section.getContents()),
                StringRef("\0\0ab\0\0cd\0\0", 10));
      EXPECT_EQ(section.getAlignment().value(), 4096u);
    }
  WeightSegment overlap[] = {{0, {bytes, 4}}, {2, {bytes, 2}}};
  EXPECT_EQ(message(writeWeightsObject(path, "w", overlap, 10)),
            "weights overlap or exceed their 10 bytes");
  WeightSegment beyond[] = {{8, {bytes, 4}}};
  EXPECT_EQ(message(writeWeightsObject(path, "w", beyond, 10)),
            "weights overlap or exceed their 10 bytes");
}

TEST_F(EmitTest, ManifestNamesVersions) {
  Expected<json::Value> value = json::parse(fixture::description().manifest);
  ASSERT_TRUE(static_cast<bool>(value));
  const json::Object *object = value->getAsObject();
  EXPECT_EQ(object->getString("sparse_opt"), StringRef(sparseOptVersion()));
  EXPECT_EQ(object->getInteger("abi"), SPARSE_OPT_API_VERSION);
  EXPECT_EQ(object->getString("model_hash"), StringRef("0123"));
  EXPECT_EQ(object->getArray("targets")->size(), 2u);
}

} // namespace
