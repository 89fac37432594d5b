// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Structured ops as artefacts run them, on data that vectors hold in another
// form than memory: bools are bits in one and bytes in the other.
#include "JitModel.h"
#include "KernelsFixture.h"

using namespace sparse_opt;

namespace {

class VectorLoops : public KernelTest {
protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (!IsSkipped() && isEmulated(*target))
      GTEST_SKIP() << "whole models are not emulated";
  }

  /// What modelText's model gives on one thread.
  template <typename Out>
  static std::vector<Out> run(JitModel &model, int64_t rows, int64_t columns,
                              std::array<const void *, 3> inputs) {
    sparse_opt_pool *pool = nullptr;
    EXPECT_EQ(so_pool_create(1, &pool), SPARSE_OPT_OK);
    model.prepare(pool, {rows, columns});
    std::vector<Out> out(rows * columns + 8, Out(77));
    model.run(nullptr, inputs.data(), out.data());
    pool->destroy(pool);
    for (int64_t i = 0; i < 8; ++i)
      EXPECT_EQ(out[rows * columns + i], Out(77));
    return out;
  }
};

/// A model of inputs a (rows x columns, bools), b (columns, bools) and c
/// (rows x columns, f32); `op` writes %out, rows x columns of `type`.
std::string modelText(const char *op, const char *type) {
  std::string text = R"(
#ij = affine_map<(i, j) -> (i, j)>
#ji = affine_map<(i, j) -> (j, i)>
#j = affine_map<(i, j) -> (j)>
module attributes {kernel.symbols = ["rows", "columns"]} {
  func.func private @kernel_output_dims(
      %r: index {kernel.symbol = "rows"}, %c: index {kernel.symbol = "columns"})
      -> (index, index) {
    return %r, %c : index, index
  }
  func.func @main(
      %a: memref<?x?xi1> {kernel.input = 0, kernel.input_symbols = ["rows", "columns"]},
      %b: memref<?xi1> {kernel.input = 1, kernel.input_symbols = ["columns"]},
      %c: memref<?x?xf32> {kernel.input = 2, kernel.input_symbols = ["rows", "columns"]},
      %base: memref<?xi8> {kernel.weights_base},
      %rows: index {kernel.symbol = "rows"},
      %columns: index {kernel.symbol = "columns"},
      %out: memref<?x?xTYPE> {kernel.output = 0}) {
    %no = arith.constant -5.0 : f32
    OP
    return
  }
})";
  text.replace(text.find("TYPE"), 4, type);
  return text.replace(text.find("OP"), 2, op);
}

const char *whereOp = R"(
    linalg.generic {indexing_maps = [#ij, #j, #ij, #ij], iterator_types = ["parallel", "parallel"]}
        ins(%a, %b, %c : memref<?x?xi1>, memref<?xi1>, memref<?x?xf32>) outs(%out : memref<?x?xf32>) {
      ^bb0(%x: i1, %y: i1, %v: f32, %o: f32):
        %keep = arith.andi %x, %y : i1
        %r = arith.select %keep, %v, %no : f32
        linalg.yield %r : f32
    })";

const char *compareOp = R"(
    linalg.generic {indexing_maps = [#ij, #j, #ij, #ij], iterator_types = ["parallel", "parallel"]}
        ins(%a, %b, %c : memref<?x?xi1>, memref<?xi1>, memref<?x?xf32>) outs(%out : memref<?x?xi1>) {
      ^bb0(%x: i1, %y: i1, %v: f32, %o: i1):
        %less = arith.cmpf olt, %v, %no : f32
        %any = arith.ori %x, %y : i1
        %r = arith.xori %less, %any : i1
        linalg.yield %r : i1
    })";

/// Bools alone: as many lanes as a vector has bytes.
const char *boolsOp = R"(
    linalg.generic {indexing_maps = [#ij, #j, #ij], iterator_types = ["parallel", "parallel"]}
        ins(%a, %b : memref<?x?xi1>, memref<?xi1>) outs(%out : memref<?x?xi1>) {
      ^bb0(%x: i1, %y: i1, %o: i1):
        %r = arith.andi %x, %y : i1
        linalg.yield %r : i1
    })";

/// A load of the body, at the vector loop's own index.
const char *tableOp = R"(
    linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
        ins(%c : memref<?x?xf32>) outs(%out : memref<?x?xf32>) {
      ^bb0(%v: f32, %o: f32):
        %at = linalg.index 1 : index
        %keep = memref.load %b[%at] : memref<?xi1>
        %r = arith.select %keep, %v, %no : f32
        linalg.yield %r : f32
    })";

TEST_P(VectorLoops, BoolsAreBytesInMemory) {
  JitModel where(modelText(whereOp, "f32"), *target),
      table(modelText(tableOp, "f32"), *target),
      compare(modelText(compareOp, "i1"), *target),
      bools(modelText(boolsOp, "i1"), *target);
  for (auto [rows, columns] : {std::pair<int64_t, int64_t>(1, 1),
                               {3, 16},
                               {2, 77},
                               {5, 64},
                               {40, 131}}) {
    SCOPED_TRACE(testing::Message() << rows << " x " << columns);
    std::vector<uint8_t> a(rows * columns), b(columns);
    std::vector<float> c = random(rows * columns);
    for (size_t i = 0; i < a.size(); ++i) {
      a[i] = c[i] * 1000 > int(i % 7) * 100 - 300;
      c[i] *= 10;
    }
    for (size_t i = 0; i < b.size(); ++i)
      b[i] = i % 3 != 1;
    std::array<const void *, 3> inputs = {a.data(), b.data(), c.data()};
    auto chosen = run<float>(where, rows, columns, inputs);
    auto looked = run<float>(table, rows, columns, inputs);
    auto less = run<uint8_t>(compare, rows, columns, inputs);
    auto both = run<uint8_t>(bools, rows, columns, inputs);
    for (int64_t i = 0; i < rows * columns; ++i) {
      bool x = a[i], y = b[i % columns];
      ASSERT_EQ(chosen[i], x && y ? c[i] : -5.0f) << "at " << i;
      ASSERT_EQ(looked[i], y ? c[i] : -5.0f) << "at " << i;
      ASSERT_EQ(less[i], (c[i] < -5.0f) != (x || y)) << "at " << i;
      ASSERT_EQ(both[i], x && y) << "at " << i;
    }
  }
}

/// Along columns of what is stored by rows.
const char *transposeOp = R"(
    linalg.generic {indexing_maps = [#ji, #ij], iterator_types = ["parallel", "parallel"]}
        ins(%a : memref<?x?xi1>) outs(%out : memref<?x?xi1>) {
      ^bb0(%x: i1, %o: i1):
        linalg.yield %x : i1
    })";

TEST_P(VectorLoops, BoolsAtADistance) {
  const int64_t size = 83;
  std::vector<uint8_t> a(size * size), b(size);
  std::vector<float> c(size * size);
  for (size_t i = 0; i < a.size(); ++i)
    a[i] = i % 5 == 0 || i % 3 == 1;
  JitModel transpose(modelText(transposeOp, "i1"), *target);
  auto turned =
      run<uint8_t>(transpose, size, size, {a.data(), b.data(), c.data()});
  for (int64_t i = 0; i < size * size; ++i)
    ASSERT_EQ(turned[i], a[i % size * size + i / size]) << "at " << i;
}

INSTANTIATE_TEST_SUITE_P(Targets, VectorLoops, allTargets(), targetOf);

} // namespace
