// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// .npz files: what is written reads back, what NumPy may write is understood,
// and no sequence of bytes does worse than an error.
#include "sparse-opt/Support/Npz.h"
#include "gtest/gtest.h"
#include <cstdio>
#include <cstring>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

using namespace sparse_opt;

namespace {
NpyArray array(std::string name, int32_t type, std::vector<int64_t> shape) {
  NpyArray result{std::move(name), type, std::move(shape), {}};
  int64_t bytes = elementSize(type);
  for (int64_t dim : result.shape)
    bytes *= dim;
  for (int64_t i = 0; i < bytes; ++i)
    result.data.push_back(uint8_t(i * 7 + type));
  return result;
}

std::string slurp(const std::string &path) {
  FILE *file = fopen(path.c_str(), "rb");
  std::string text;
  for (int c; file && (c = fgetc(file)) != EOF;)
    text += char(c);
  if (file)
    fclose(file);
  return text;
}

void spill(const std::string &path, const std::string &text) {
  FILE *file = fopen(path.c_str(), "wb");
  fwrite(text.data(), 1, text.size(), file);
  fclose(file);
}

class NpzTest : public testing::Test {
protected:
  void SetUp() override {
    char name[] = "/tmp/npz-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder = name;
    path = folder + "/a.npz";
  }
  void TearDown() override {
    unlink(path.c_str());
    rmdir(folder.c_str());
  }
  std::string folder, path;
};

std::string npy(const std::string &dict, const std::string &data) {
  std::string text("\x93NUMPY\x01\x00", 8);
  text += char(dict.size());
  text += '\0';
  return text + dict + data;
}

std::string parse(const std::string &text, NpyArray &result) {
  return parseNpy("x", reinterpret_cast<const uint8_t *>(text.data()),
                  text.size(), result);
}
} // namespace

TEST_F(NpzTest, everyTypeComesBackStoredAndDeflated) {
  std::vector<NpyArray> arrays;
  for (int32_t type : {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16})
    arrays.push_back(array("t" + std::to_string(type), type, {3, 1, 5}));
  arrays.push_back(array("scalar", 7, {}));
  arrays.push_back(array("empty", 1, {0, 4}));
  arrays.push_back(array("onnx::Shape/1", 1, {70000}));
  for (bool deflate : {false, true}) {
    ASSERT_EQ(writeNpz(path, arrays, deflate), "");
    std::vector<NpyArray> read;
    ASSERT_EQ(readNpz(path, read), "");
    ASSERT_EQ(read.size(), arrays.size());
    for (size_t i = 0; i < read.size(); ++i) {
      EXPECT_EQ(read[i].name, arrays[i].name);
      EXPECT_EQ(read[i].elementType, arrays[i].elementType);
      EXPECT_EQ(read[i].shape, arrays[i].shape);
      EXPECT_EQ(read[i].data, arrays[i].data);
    }
  }
}

TEST_F(NpzTest, sameArraysGiveSameBytesAndNoTemporaryStays) {
  ASSERT_EQ(writeNpz(path, {array("a", 1, {4})}), "");
  std::string first = slurp(path);
  ASSERT_EQ(writeNpz(path, {array("a", 1, {4})}), "");
  EXPECT_EQ(slurp(path), first);
  unlink(path.c_str());
  EXPECT_EQ(rmdir(folder.c_str()), 0) << "a file was left behind";
  EXPECT_EQ(writeNpz(path, {}), path + ".tmp" + std::to_string(getpid()) +
                                    ": No such file or directory");
}

TEST_F(NpzTest, typesWithoutNumpyFormAreRefused) {
  NpyArray text{"s", 8, {}, {}};
  EXPECT_EQ(writeNpz(path, {text}), path + ": 's' of type 8 has no NumPy form");
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST(NpyTest, fortranOrderAndOtherByteOrderAreTurned) {
  NpyArray result;
  std::string data("\0\1\0\4\0\2\0\5\0\3\0\6", 12);
  ASSERT_EQ(parse(npy("{'shape': (2, 3), 'fortran_order': True, "
                      "'descr': '>i2'}",
                      data),
                  result),
            "");
  int16_t values[6];
  ASSERT_EQ(result.data.size(), sizeof values);
  memcpy(values, result.data.data(), sizeof values);
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(values[i], i + 1);
}

TEST(NpyTest, errorsAreOneSentence) {
  NpyArray result;
  EXPECT_EQ(parse("hello, world", result), "x: not a .npy array");
  EXPECT_EQ(parse(npy("{'shape': (2,), 'fortran_order': False, "
                      "'descr': '<f4'}",
                      "1234"),
                  result),
            "x: the array's shape needs 8 bytes, the file has 4");
  EXPECT_EQ(parse(npy("{'shape': (2,), 'fortran_order': False, "
                      "'descr': '|O'}",
                      ""),
                  result),
            "x: element type '|O' is not supported");
  EXPECT_EQ(parse(npy("{'shape': (9999999999, 9999999999), "
                      "'fortran_order': False, 'descr': '<f4'}",
                      ""),
                  result),
            "x: the array's shape is too large");
  EXPECT_EQ(parse(npy("{'shape': (2,), 'descr': [('a', '<f4')]}", ""), result),
            "x: the array's header is malformed");
}

TEST_F(NpzTest, missingFileFolderAndForeignFile) {
  std::vector<NpyArray> read;
  EXPECT_EQ(readNpz(path, read), path + ": No such file or directory");
  EXPECT_EQ(readNpz(folder, read), folder + ": not a file");
  spill(path, "PK is not enough");
  EXPECT_EQ(readNpz(path, read), path + ": not a .npz archive, or cut off");
  EXPECT_TRUE(read.empty());
}

TEST_F(NpzTest, everyTruncationIsAnError) {
  ASSERT_EQ(writeNpz(path, {array("a", 1, {40}), array("b", 7, {3})}, true),
            "");
  std::string whole = slurp(path);
  for (size_t length = 0; length < whole.size(); ++length) {
    spill(path, whole.substr(0, length));
    std::vector<NpyArray> read;
    EXPECT_NE(readNpz(path, read), "") << length;
  }
}

TEST_F(NpzTest, mutationsNeverCrash) {
  ASSERT_EQ(writeNpz(path, {array("a", 1, {40}), array("b", 7, {3})}, true),
            "");
  std::string whole = slurp(path);
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    std::string changed = whole;
    for (int n = 0; n < 3; ++n)
      changed[random() % changed.size()] = char(random());
    spill(path, changed);
    std::vector<NpyArray> read;
    std::string error = readNpz(path, read);
    EXPECT_EQ(error.find('\n'), std::string::npos);
  }
}
