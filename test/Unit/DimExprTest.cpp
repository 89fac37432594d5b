// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Identities, bounds and text of size expressions. Every function is checked
// against its value on a grid of sizes as well.
#include "sparse-opt/Analysis/DimExpr.h"
#include "gtest/gtest.h"

using sparse_opt::DimExpr;

static DimExpr sym(const char *name) { return DimExpr::symbol(name); }
static DimExpr read(llvm::StringRef text) {
  std::optional<DimExpr> expr = DimExpr::parse(text);
  EXPECT_TRUE(expr) << text.str();
  return expr.value_or(DimExpr(-1));
}

TEST(DimExpr, PolynomialsAreCanonical) {
  DimExpr b = sym("batch"), s = sym("sequence");
  EXPECT_EQ(b * s + DimExpr(1), DimExpr(1) + s * b);
  EXPECT_EQ((b + s) * (b - s), b * b - s * s);
  EXPECT_EQ(b - b, DimExpr(0));
  EXPECT_NE(b, s);
  EXPECT_EQ((b - b + DimExpr(3)).constant(), 3);
  EXPECT_FALSE((b + DimExpr(0) * s).constant());
}

TEST(DimExpr, TextRoundTrips) {
  for (const char *text :
       {"0", "-7", "batch", "batch*sequence+1", "2*batch*batch-3*batch+4",
        "max(sequence-1,0)", "min(512,sequence)", "floordiv(batch,2)+batch",
        "-batch+512", "mod(a,b)", "'past length + 1'*4", "'it\\'s'",
        "ceildiv(a,b)", "truncdiv(a-1,b)"})
    EXPECT_EQ(read(read(text).str()), read(text)) << text;
  EXPECT_EQ(read(" ( batch + 1 ) * 2 ").str(), "2*batch+2");
  EXPECT_EQ((sym("s") * sym("b") + DimExpr(1)).str(), "b*s+1");
  EXPECT_EQ(sym("past + 1").str(), "'past + 1'");
  EXPECT_EQ(sym("min").str(), "min");
}

TEST(DimExpr, BadTextIsRefused) {
  for (const char *text :
       {"", "+", "a+", "a b", "(a", "min(a)", "min(a,b", "sqrt(a,b)", "'open",
        "2**a", "floordiv(a,0)", "99999999999999999999"})
    EXPECT_FALSE(DimExpr::parse(text)) << text;
  EXPECT_FALSE(DimExpr::parse(std::string(100000, '(')));
}

TEST(DimExpr, InputDimsAreDecimalsOrNames) {
  EXPECT_EQ(DimExpr::fromInputDim("384").constant(), 384);
  EXPECT_EQ(DimExpr::fromInputDim("a+b").symbolName(), "a+b");
}

TEST(DimExpr, ExactDivision) {
  DimExpr b = sym("b"), s = sym("s");
  EXPECT_EQ((b * s * DimExpr(384)).exactDiv(b * DimExpr(32)), s * DimExpr(12));
  EXPECT_EQ(((s + DimExpr(1)) * b).exactDiv(s + DimExpr(1)), b);
  EXPECT_EQ((DimExpr(4) * s + DimExpr(4)).exactDiv(s + DimExpr(1)), DimExpr(4));
  EXPECT_FALSE((b * s + DimExpr(1)).exactDiv(b));
  EXPECT_FALSE((b * DimExpr(3)).exactDiv(DimExpr(2)));
  EXPECT_FALSE(b.exactDiv(DimExpr(0)));
  EXPECT_FALSE(DimExpr(INT64_MIN).exactDiv(DimExpr(-1)));
}

TEST(DimExpr, DivisionPullsOutWhatDivides) {
  EXPECT_EQ(read("floordiv(4*s+7,4)").str(), "s+1");
  EXPECT_EQ(read("floordiv(6*s+t,4)").str(), "floordiv(6*s+t,4)");
  EXPECT_EQ(read("ceildiv(4*s+1,4)").str(), "s+1");
  EXPECT_EQ(read("mod(4*s+7,4)"), DimExpr(3));
  EXPECT_EQ(read("mod(b*s,s)"), DimExpr(0));
  EXPECT_EQ(read("truncdiv(0-7,2)"), DimExpr(-3));
  EXPECT_EQ(read("floordiv(0-7,2)"), DimExpr(-4));
  EXPECT_EQ(read("truncdiv(s,2)"), read("floordiv(s,2)"));
  EXPECT_NE(read("truncdiv(s-1,2)"), read("floordiv(s-1,2)"));
}

TEST(DimExpr, MinimumAndMaximumSimplify) {
  EXPECT_EQ(read("max(b,b)"), sym("b"));
  EXPECT_EQ(read("max(b,0)"), sym("b"));
  EXPECT_EQ(read("min(b,b+1)"), sym("b"));
  EXPECT_EQ(read("min(0-1,s)"), DimExpr(-1));
  EXPECT_EQ(read("min(s,t)"), read("min(t,s)"));
  EXPECT_EQ(read("max(s-min(s,512),0)"), read("s-min(s,512)"));
  EXPECT_EQ(read("s-min(max(s-1,0),s)"), read("s-max(s-1,0)"));
  EXPECT_EQ(read("min(min(s,512),512)"), read("min(s,512)"));
}

TEST(DimExpr, BoundsHoldForAllSizes) {
  EXPECT_TRUE(read("s-min(s,512)").provablyAtLeast(0));
  EXPECT_TRUE(read("max(s,3)").provablyAtLeast(3));
  EXPECT_TRUE(read("s-2*floordiv(s,2)").provablyAtLeast(0));
  EXPECT_FALSE(read("s-1").provablyAtLeast(0));
  EXPECT_FALSE(read("min(s,512)").provablyAtLeast(1));
  EXPECT_TRUE(sym("s").provablyDiffers(DimExpr(-1)));
  EXPECT_TRUE(sym("s").provablyDiffers(sym("s") + DimExpr(1)));
  EXPECT_FALSE(sym("s").provablyDiffers(DimExpr(1)));
}

TEST(DimExpr, SimplificationKeepsValues) {
  for (const char *text :
       {"floordiv(4*a+7*b-9,4)", "ceildiv(3*a-b,2)", "mod(5*a-7,3)",
        "max(a-min(3,b),0)", "min(a-b,b-a)", "truncdiv(a-4,3)",
        "(a+b)*(a-b)+mod(a,b+1)", "floordiv(a,b+1)*max(a,b)"}) {
    DimExpr expr = read(text);
    for (int64_t a = 0; a < 9; ++a)
      for (int64_t b = 0; b < 9; ++b) {
        auto value = [&](llvm::StringRef name) {
          return std::optional<int64_t>(name == "a" ? a : b);
        };
        auto inserted = [&](llvm::StringRef name) {
          return std::optional<DimExpr>(DimExpr(*value(name)));
        };
        std::optional<int64_t> late = expr.evaluate(value);
        ASSERT_TRUE(late);
        EXPECT_EQ(expr.substitute(inserted), DimExpr(*late)) << text;
        if (expr.provablyAtLeast(0))
          EXPECT_GE(*late, 0) << text;
      }
  }
}

TEST(DimExpr, SubstitutionKeepsOtherSymbols) {
  DimExpr result =
      read("mask*4+max(mask-1,b)")
          .substitute([](llvm::StringRef name) -> std::optional<DimExpr> {
            if (name == "mask")
              return sym("s");
            return std::nullopt;
          });
  EXPECT_EQ(result, read("s*4+max(s-1,b)"));
  llvm::SmallVector<std::string> names;
  result.collectSymbols(names);
  EXPECT_EQ(names.size(), 2u);
}
