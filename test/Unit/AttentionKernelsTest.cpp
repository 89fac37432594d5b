// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Generated attentions against a scalar reference in double precision, for
// every target that this machine runs.
#include "KernelsFixture.h"
#include <cmath>

using namespace sparse_opt;

namespace {

/// One case of attention: operands in `layout`, and the reference on them.
struct Attention {
  enum Operand { Q, K, V, Out };
  int64_t b, h, m, n, d, e;
  Layout layout;
  bool isBf16;
  int64_t group;
  std::vector<float> q, k, v, mask;

  Attention(int64_t b, int64_t h, int64_t m, int64_t n, int64_t d, int64_t e,
            Layout layout, bool isBf16 = false, int64_t group = 1)
      : b(b), h(h), m(m), n(n), d(d), e(e), layout(layout), isBf16(isBf16),
        group(group), q(values(Q)), k(values(K)), v(values(V)), mask(b * n) {
    for (int64_t i = 0; i < b * n; ++i)
      mask[i] = i % 3 == 1 ? -10000.0f : 0.0f;
  }

  int64_t rows(Operand x) const { return x == Q || x == Out ? m : n; }
  int64_t columns(Operand x) const { return x == Q || x == K ? d : e; }
  int64_t heads(Operand x) const { return x == K || x == V ? h / group : h; }
  /// Rows that there is memory for.
  int64_t capacity(Operand x) const {
    return rows(x) + (layout == Layout::Cached && x != Out ? 5 : 0);
  }

  /// Not numbers where no row is.
  std::vector<float> values(Operand x) const {
    std::vector<float> all(b * heads(x) * capacity(x) * columns(x), NAN);
    std::vector<float> some = random(b * heads(x) * rows(x) * columns(x));
    if (isBf16)
      some = fromBf16(toBf16(some));
    size_t next = 0;
    for (int64_t ib = 0; ib < b; ++ib)
      for (int64_t ih = 0; ih < heads(x); ++ih)
        for (int64_t i = 0; i < rows(x); ++i)
          for (int64_t j = 0; j < columns(x); ++j)
            all[at(x, ib, ih, i, j)] = some[next++];
    return all;
  }

  /// Offset of [i, j] of the operand's head (ib, ih).
  int64_t at(Operand x, int64_t ib, int64_t ih, int64_t i, int64_t j) const {
    int64_t h = heads(x), rows = this->rows(x), columns = this->columns(x);
    switch (layout) {
    case Layout::Cached:
      if (x != Out)
        return ((ib * h + ih) * capacity(x) + i) * columns + j;
      [[fallthrough]];
    case Layout::Interleaved:
      return ((ib * rows + i) * h + ih) * columns + j;
    case Layout::Odd:
      return x == Out ? ((ib * columns + j) * h + ih) * rows + i
                      : ((i * columns + j) * h + ih) * b + ib;
    case Layout::Split:
      return x == K ? ((ib * h + ih) * columns + j) * rows + i
                    : ((ib * h + ih) * rows + i) * columns + j;
    }
    return 0;
  }

  std::vector<double> reference(int64_t ib, int64_t ih, int64_t im) const {
    std::vector<double> s(n), result(e);
    double highest = -INFINITY, sum = 0;
    for (int64_t in = 0; in < n; ++in) {
      for (int64_t id = 0; id < d; ++id)
        s[in] +=
            double(q[at(Q, ib, ih, im, id)]) * k[at(K, ib, ih / group, in, id)];
      s[in] = s[in] * 0.125 + mask[ib * n + in];
      highest = std::max(highest, s[in]);
    }
    for (double &x : s)
      sum += x = std::exp(x - highest);
    for (int64_t in = 0; in < n; ++in)
      for (int64_t ie = 0; ie < e; ++ie)
        result[ie] += std::isnan(sum)
                          ? 0.0
                          : s[in] / sum * v[at(V, ib, ih / group, in, ie)];
    return result;
  }

  std::vector<float> run(KernelJit &jit) const {
    std::vector<float> out(b * h * m * e + 64, 1234.0f);
    if (!isBf16) {
      run(jit, q.data(), k.data(), v.data(), out.data());
      return out;
    }
    std::vector<uint16_t> narrow = toBf16(out);
    run(jit, toBf16(q).data(), toBf16(k).data(), toBf16(v).data(),
        narrow.data());
    return fromBf16(narrow);
  }

  template <typename T>
  void run(KernelJit &jit, const T *q, const T *k, const T *v, T *out) const {
    jit.call("f", view(Q, q), view(K, k), view(V, v),
             memRef(mask.data(), b, 1, 1, n), view(Out, out));
  }

  template <typename T> MemRef<4> view(Operand x, const T *data) const {
    int64_t h = heads(x), rows = this->rows(x), columns = this->columns(x);
    switch (layout) {
    case Layout::Cached:
      if (x != Out) {
        MemRef<4> all = memRef(data, b, h, capacity(x), columns);
        all.sizes[2] = rows;
        return all;
      }
      [[fallthrough]];
    case Layout::Interleaved:
      return memRef(data, b, rows, h, columns);
    case Layout::Odd:
      return x == Out ? memRef(data, b, columns, h, rows)
                      : memRef(data, rows, columns, h, b);
    case Layout::Split:
      return x == K ? memRef(data, b, h, columns, rows)
                    : memRef(data, b, h, rows, columns);
    }
    return {};
  }

  void check(KernelJit &jit) const {
    std::vector<float> out = run(jit);
    for (int64_t ib = 0; ib < b; ++ib)
      for (int64_t ih = 0; ih < h; ++ih)
        for (int64_t im = 0; im < m; ++im) {
          std::vector<double> expected = reference(ib, ih, im);
          for (int64_t ie = 0; ie < e; ++ie)
            ASSERT_NEAR(out[at(Out, ib, ih, im, ie)], expected[ie],
                        isBf16 ? 8e-3 : 5e-6)
                << "b " << ib << " h " << ih << " m " << im << " of " << m
                << " e " << ie << ", n " << n << ", layout " << int(layout);
        }
    for (int64_t i = b * h * m * e, last = i + 64; i < last; ++i)
      ASSERT_EQ(out[i], isBf16 ? 1232.0f : 1234.0f)
          << "written behind the output";
  }
};

using AttentionKernels = KernelTest;

TEST_P(AttentionKernels, AttentionOfEveryLength) {
  KernelJit jit(attentionText(3, 32, 32, Layout::Interleaved), *target);
  for (int64_t s = 0; s <= 40; ++s)
    Attention(2, 3, s, s, 32, 32, Layout::Interleaved).check(jit);
  for (int64_t s : {127, 128, 129, 200})
    Attention(1, 3, s, s, 32, 32, Layout::Interleaved).check(jit);
  for (auto [m, n] : {std::pair(1, 50), std::pair(50, 1), std::pair(0, 5)})
    Attention(1, 3, m, n, 32, 32, Layout::Interleaved).check(jit);
}

TEST_P(AttentionKernels, AttentionInEveryLayout) {
  for (Layout layout : {Layout::Interleaved, Layout::Split, Layout::Odd})
    for (auto [d, e] :
         {std::pair(32, 32), std::pair(5, 20), std::pair(17, 48)}) {
      KernelJit jit(attentionText(2, d, e, layout), *target);
      for (int64_t s : {1, 15, 33})
        Attention(2, 2, s, s + 2, d, e, layout).check(jit);
    }
}

TEST_P(AttentionKernels, Bf16AttentionOfEveryLength) {
  KernelJit jit(attentionText(3, 32, 32, Layout::Interleaved, true), *target);
  for (int64_t s = 0; s <= 40; ++s)
    Attention(2, 3, s, s, 32, 32, Layout::Interleaved, true).check(jit);
  for (int64_t s : {127, 128, 129, 200})
    Attention(1, 3, s, s, 32, 32, Layout::Interleaved, true).check(jit);
  for (auto [m, n] : {std::pair(1, 50), std::pair(50, 1), std::pair(0, 5)})
    Attention(1, 3, m, n, 32, 32, Layout::Interleaved, true).check(jit);
}

TEST_P(AttentionKernels, Bf16AttentionInEveryLayout) {
  for (Layout layout : {Layout::Interleaved, Layout::Split, Layout::Odd})
    for (auto [d, e] :
         {std::pair(32, 32), std::pair(5, 20), std::pair(17, 48)}) {
      KernelJit jit(attentionText(2, d, e, layout, true), *target);
      for (int64_t s : {1, 15, 33})
        Attention(2, 2, s, s + 2, d, e, layout, true).check(jit);
    }
}

/// Heads that share keys and values, in views of memory for more rows.
TEST_P(AttentionKernels, AttentionOnCaches) {
  for (bool isBf16 : {false, true})
    for (auto [d, e] : {std::pair(32, 32), std::pair(17, 48)}) {
      KernelJit jit(attentionText(6, d, e, Layout::Cached, isBf16, 3), *target);
      for (auto [m, n] : {std::pair(1, 1), std::pair(1, 130), std::pair(3, 40),
                          std::pair(40, 40), std::pair(16, 150)})
        Attention(2, 6, m, n, d, e, Layout::Cached, isBf16, 3).check(jit);
    }
}

/// More columns than a block has, in several ranges for few rows; the first of
/// them masked, so that a row's maximum comes late.
TEST_P(AttentionKernels, AttentionInBlocks) {
  for (bool isBf16 : {false, true}) {
    KernelJit jit(attentionText(2, 32, 32, Layout::Cached, isBf16, 2), *target);
    for (auto [m, n] : {std::pair(1, 600), std::pair(5, 1500),
                        std::pair(19, 1500), std::pair(130, 700)}) {
      Attention attention(1, 2, m, n, 32, 32, Layout::Cached, isBf16, 2);
      std::fill(attention.mask.begin(), attention.mask.begin() + n / 2,
                -INFINITY);
      for (float &x : attention.mask)
        x += x == -10000.0f ? 10000.0f : 0.0f;
      attention.check(jit);
    }
  }
}

/// One head of k and v for all, more of them than rows share a load.
TEST_P(AttentionKernels, AttentionOfOneSharedHead) {
  KernelJit jit(attentionText(11, 64, 40, Layout::Cached, false, 11), *target);
  for (auto [m, n] : {std::pair(1, 300), std::pair(2, 33)})
    Attention(2, 11, m, n, 64, 40, Layout::Cached, false, 11).check(jit);
}

/// A row without a single unmasked column is NaN / NaN; the probability region
/// makes it zero.
TEST_P(AttentionKernels, AttentionToNothing) {
  KernelJit jit(attentionText(2, 8, 16, Layout::Split), *target);
  Attention attention(2, 2, 3, 20, 8, 16, Layout::Split);
  std::fill(attention.mask.begin(), attention.mask.begin() + 20, -INFINITY);
  attention.check(jit);
}

/// Exporters mask by the lowest float: a row of nothing else is a mean.
TEST_P(AttentionKernels, AttentionMaskedByTheLowestFloat) {
  KernelJit jit(attentionText(2, 8, 16, Layout::Split), *target);
  for (int64_t m : {3, 20}) {
    Attention attention(2, 2, m, 20, 8, 16, Layout::Split);
    std::fill(attention.q.begin(), attention.q.end(), 0.0f);
    std::fill(attention.mask.begin(), attention.mask.begin() + 20,
              std::numeric_limits<float>::lowest());
    attention.check(jit);
  }
}

TEST_P(AttentionKernels, BatchDoesNotChangeAResult) {
  KernelJit jit(attentionText(2, 32, 32, Layout::Split), *target);
  Attention pair(2, 2, 37, 37, 32, 32, Layout::Split), first = pair;
  first.b = 1;
  std::vector<float> together = pair.run(jit), alone = first.run(jit);
  for (int64_t i = 0; i < 2 * 37 * 32; ++i)
    ASSERT_EQ(together[i], alone[i]);
}

INSTANTIATE_TEST_SUITE_P(Targets, AttentionKernels, allTargets(), targetOf);

} // namespace
