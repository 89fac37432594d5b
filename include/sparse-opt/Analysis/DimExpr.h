// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Integer polynomials in the named dimensions of a model ("batch*sequence+1"),
// the sizes that a graph with dynamic inputs computes with. Symbols stand for
// sizes and are never negative. What is no polynomial (a floor division that
// leaves a remainder, a minimum) is kept as an opaque factor, so that equal
// computations still compare equal. Knows nothing of MLIR.
#ifndef SPARSE_OPT_ANALYSIS_DIMEXPR_H
#define SPARSE_OPT_ANALYSIS_DIMEXPR_H
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sparse_opt {
class DimExpr;

/// A symbol, or a function of expressions that is no polynomial. `truncdiv`
/// rounds towards zero, `mod` has the sign of the divisor.
struct DimAtom {
  enum Kind { Symbol, FloorDiv, CeilDiv, TruncDiv, Mod, Min, Max };
  Kind kind;
  std::string text; // a symbol's name; else the printed form
  std::vector<DimExpr> operands;
};
using DimAtomRef = std::shared_ptr<const DimAtom>;

/// `coefficient` times the product of `factors` (sorted, repeated for powers).
struct DimTerm {
  int64_t coefficient;
  llvm::SmallVector<DimAtomRef, 2> factors;
};

class DimExpr {
public:
  DimExpr(int64_t value = 0);
  static DimExpr symbol(llvm::StringRef name);
  /// Reads what `str` prints; nothing when `text` isn't of that form. A name
  /// that isn't an identifier stands in single quotes.
  static std::optional<DimExpr> parse(llvm::StringRef text);
  /// One entry of an argument's `onnx.dims`: a decimal or a symbol's name,
  /// whatever characters the name has.
  static DimExpr fromInputDim(llvm::StringRef text);

  /// "batch*sequence+1", "max(sequence-1,0)": terms by degree, then name.
  std::string str() const;
  std::optional<int64_t> constant() const;
  bool isConstant(int64_t value) const { return constant() == value; }
  /// The name when the expression is one symbol.
  std::optional<llvm::StringRef> symbolName() const;
  llvm::ArrayRef<DimTerm> getTerms() const { return terms; }

  DimExpr operator+(const DimExpr &other) const;
  DimExpr operator-(const DimExpr &other) const;
  DimExpr operator*(const DimExpr &other) const;
  DimExpr operator-() const { return DimExpr(0) - *this; }
  bool operator==(const DimExpr &other) const;
  bool operator!=(const DimExpr &other) const { return !(*this == other); }

  /// The quotient when `divisor` divides every value of this expression: a
  /// constant, a monomial, or an equal or proportional polynomial.
  std::optional<DimExpr> exactDiv(const DimExpr &divisor) const;
  /// Nothing only for a constant divisor of zero.
  static std::optional<DimExpr> floorDiv(const DimExpr &a, const DimExpr &b);
  static std::optional<DimExpr> ceilDiv(const DimExpr &a, const DimExpr &b);
  static std::optional<DimExpr> truncDiv(const DimExpr &a, const DimExpr &b);
  static std::optional<DimExpr> mod(const DimExpr &a, const DimExpr &b);
  static DimExpr min(const DimExpr &a, const DimExpr &b);
  static DimExpr max(const DimExpr &a, const DimExpr &b);

  /// True when the value is at least `bound` for all symbols >= 0; false when
  /// that can't be shown.
  bool provablyAtLeast(int64_t bound) const;
  /// True when the two differ for all symbols >= 0.
  bool provablyDiffers(const DimExpr &other) const;

  /// *this = positive - negative, no term of either being negative.
  void splitBySign(DimExpr &positive, DimExpr &negative) const;

  /// Names of the symbols in it, without repetition, in order of appearance.
  void collectSymbols(llvm::SmallVectorImpl<std::string> &names) const;
  /// Replaces symbols; `lookup` answers nothing for those to be kept.
  DimExpr substitute(
      llvm::function_ref<std::optional<DimExpr>(llvm::StringRef)> lookup) const;
  /// The value for given sizes; nothing when `lookup` lacks a symbol or the
  /// expression divides by zero.
  std::optional<int64_t> evaluate(
      llvm::function_ref<std::optional<int64_t>(llvm::StringRef)> lookup) const;

private:
  static DimExpr fromTerms(std::vector<DimTerm> terms);
  static DimExpr opaque(DimAtom::Kind kind, const DimExpr &a, const DimExpr &b);
  static DimExpr make(DimAtom::Kind kind, const DimExpr &a, const DimExpr &b);
  static DimExpr foldOr(DimAtom::Kind kind, const DimExpr &a, const DimExpr &b);
  /// *this = by * quotient + rest, with all that `by` divides in `quotient`.
  void splitMultiples(int64_t by, DimExpr &quotient, DimExpr &rest) const;
  bool provablyAtLeast(int64_t bound, unsigned depth) const;

  std::vector<DimTerm> terms; // canonical: sorted, no zero coefficient
};
} // namespace sparse_opt
#endif
