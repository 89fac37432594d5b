// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Arithmetic on sizes: sums of monomials in canonical order, so that equality
// is structural. Arithmetic wraps like the int64 it stands for. Text is read
// and printed by DimExprText.cpp, functions that are no polynomials are built
// by DimExprOpaque.cpp.
#include "sparse-opt/Analysis/DimExpr.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include <algorithm>

using namespace sparse_opt;
using llvm::ArrayRef;
using llvm::StringRef;

//===----------------------------------------------------------------------===//
// Order
//===----------------------------------------------------------------------===//

static int compareAtoms(const DimAtomRef &a, const DimAtomRef &b) {
  if (a == b)
    return 0;
  if (int order = a->text.compare(b->text))
    return order;
  return static_cast<int>(a->kind) - static_cast<int>(b->kind);
}

/// Higher degree first, then by name: a monomial order (graded), as polynomial
/// division needs.
static int compareFactors(ArrayRef<DimAtomRef> a, ArrayRef<DimAtomRef> b) {
  if (a.size() != b.size())
    return a.size() > b.size() ? -1 : 1;
  for (auto [x, y] : llvm::zip(a, b))
    if (int order = compareAtoms(x, y))
      return order;
  return 0;
}

static int64_t wrapAdd(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) +
                              static_cast<uint64_t>(b));
}
static int64_t wrapMul(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) *
                              static_cast<uint64_t>(b));
}

DimExpr DimExpr::fromTerms(std::vector<DimTerm> terms) {
  for (DimTerm &term : terms)
    llvm::sort(term.factors, [](const DimAtomRef &a, const DimAtomRef &b) {
      return compareAtoms(a, b) < 0;
    });
  llvm::sort(terms, [](const DimTerm &a, const DimTerm &b) {
    return compareFactors(a.factors, b.factors) < 0;
  });
  DimExpr result;
  for (DimTerm &term : terms) {
    std::vector<DimTerm> &out = result.terms;
    if (!out.empty() && !compareFactors(out.back().factors, term.factors))
      out.back().coefficient =
          wrapAdd(out.back().coefficient, term.coefficient);
    else
      out.push_back(std::move(term));
    if (!out.back().coefficient)
      out.pop_back();
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Construction and queries
//===----------------------------------------------------------------------===//

DimExpr::DimExpr(int64_t value) {
  if (value)
    terms.push_back({value, {}});
}

DimExpr DimExpr::symbol(StringRef name) {
  DimExpr result;
  result.terms.push_back(
      {1,
       {std::make_shared<DimAtom>(DimAtom{DimAtom::Symbol, name.str(), {}})}});
  return result;
}

DimExpr DimExpr::fromInputDim(StringRef text) {
  int64_t value;
  if (!text.getAsInteger(10, value))
    return DimExpr(value);
  return symbol(text);
}

std::optional<int64_t> DimExpr::constant() const {
  if (terms.empty())
    return 0;
  if (terms.size() == 1 && terms[0].factors.empty())
    return terms[0].coefficient;
  return std::nullopt;
}

std::optional<StringRef> DimExpr::symbolName() const {
  if (terms.size() == 1 && terms[0].coefficient == 1 &&
      terms[0].factors.size() == 1 &&
      terms[0].factors[0]->kind == DimAtom::Symbol)
    return StringRef(terms[0].factors[0]->text);
  return std::nullopt;
}

bool DimExpr::operator==(const DimExpr &other) const {
  return terms.size() == other.terms.size() &&
         llvm::all_of(llvm::zip(terms, other.terms), [](auto pair) {
           auto &[a, b] = pair;
           return a.coefficient == b.coefficient &&
                  !compareFactors(a.factors, b.factors);
         });
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

DimExpr DimExpr::operator+(const DimExpr &other) const {
  std::vector<DimTerm> sum = terms;
  sum.insert(sum.end(), other.terms.begin(), other.terms.end());
  return fromTerms(std::move(sum));
}

DimExpr DimExpr::operator-(const DimExpr &other) const {
  return *this + other * DimExpr(-1);
}

DimExpr DimExpr::operator*(const DimExpr &other) const {
  std::vector<DimTerm> product;
  for (const DimTerm &a : terms)
    for (const DimTerm &b : other.terms) {
      DimTerm term = a;
      term.coefficient = wrapMul(a.coefficient, b.coefficient);
      term.factors.append(b.factors.begin(), b.factors.end());
      product.push_back(std::move(term));
    }
  return fromTerms(std::move(product));
}

void DimExpr::splitBySign(DimExpr &positive, DimExpr &negative) const {
  for (DimTerm term : terms) {
    DimExpr &side = term.coefficient < 0 ? negative : positive;
    term.coefficient =
        std::max(term.coefficient, wrapMul(-1, term.coefficient));
    side = side + fromTerms({std::move(term)});
  }
}

/// a / b as one term, when b's factors are among a's.
static std::optional<DimTerm> divideTerm(const DimTerm &a, const DimTerm &b) {
  bool overflows = a.coefficient == INT64_MIN && b.coefficient == -1;
  if (overflows || a.coefficient % b.coefficient)
    return std::nullopt;
  DimTerm quotient{a.coefficient / b.coefficient, a.factors};
  for (const DimAtomRef &factor : b.factors) {
    auto it = llvm::find_if(quotient.factors, [&](const DimAtomRef &own) {
      return !compareAtoms(own, factor);
    });
    if (it == quotient.factors.end())
      return std::nullopt;
    quotient.factors.erase(it);
  }
  return quotient;
}

std::optional<DimExpr> DimExpr::exactDiv(const DimExpr &divisor) const {
  if (divisor.terms.empty())
    return std::nullopt;
  // Long division by the leading term; without a remainder or not at all.
  DimExpr rest = *this, quotient;
  while (!rest.terms.empty()) {
    std::optional<DimTerm> step =
        divideTerm(rest.terms.front(), divisor.terms.front());
    if (!step)
      return std::nullopt;
    DimExpr part = fromTerms({*step});
    quotient = quotient + part;
    DimExpr next = rest - part * divisor;
    // The leading term always cancels, except when coefficients wrap.
    if (!next.terms.empty() && compareFactors(next.terms.front().factors,
                                              rest.terms.front().factors) <= 0)
      return std::nullopt;
    rest = std::move(next);
  }
  return quotient;
}

//===----------------------------------------------------------------------===//
// Symbols
//===----------------------------------------------------------------------===//

void DimExpr::collectSymbols(llvm::SmallVectorImpl<std::string> &names) const {
  for (const DimTerm &term : terms)
    for (const DimAtomRef &atom : term.factors) {
      for (const DimExpr &operand : atom->operands)
        operand.collectSymbols(names);
      if (atom->kind == DimAtom::Symbol &&
          !llvm::is_contained(names, atom->text))
        names.push_back(atom->text);
    }
}

DimExpr DimExpr::substitute(
    llvm::function_ref<std::optional<DimExpr>(StringRef)> lookup) const {
  DimExpr result;
  for (const DimTerm &term : terms) {
    DimExpr product(term.coefficient);
    for (const DimAtomRef &atom : term.factors) {
      DimExpr kept = fromTerms({{1, {atom}}});
      if (atom->kind == DimAtom::Symbol)
        product = product * lookup(atom->text).value_or(kept);
      else
        product =
            product * make(atom->kind, atom->operands[0].substitute(lookup),
                           atom->operands[1].substitute(lookup));
    }
    result = result + product;
  }
  return result;
}

static std::optional<int64_t> evaluateFunction(DimAtom::Kind kind, int64_t a,
                                               int64_t b) {
  switch (kind) {
  case DimAtom::Min:
    return std::min(a, b);
  case DimAtom::Max:
    return std::max(a, b);
  default:
    break;
  }
  if (b == 0 || (a == INT64_MIN && b == -1))
    return std::nullopt;
  bool inexact = a % b != 0, negative = (a < 0) != (b < 0);
  switch (kind) {
  case DimAtom::FloorDiv:
    return a / b - (inexact && negative);
  case DimAtom::CeilDiv:
    return a / b + (inexact && !negative);
  case DimAtom::TruncDiv:
    return a / b;
  default:
    return a % b + (inexact && negative ? b : 0);
  }
}

std::optional<int64_t> DimExpr::evaluate(
    llvm::function_ref<std::optional<int64_t>(StringRef)> lookup) const {
  int64_t sum = 0;
  for (const DimTerm &term : terms) {
    int64_t product = term.coefficient;
    for (const DimAtomRef &atom : term.factors) {
      std::optional<int64_t> value;
      if (atom->kind == DimAtom::Symbol) {
        value = lookup(atom->text);
      } else {
        std::optional<int64_t> a = atom->operands[0].evaluate(lookup);
        std::optional<int64_t> b = atom->operands[1].evaluate(lookup);
        if (a && b)
          value = evaluateFunction(atom->kind, *a, *b);
      }
      if (!value)
        return std::nullopt;
      product = wrapMul(product, *value);
    }
    sum = wrapAdd(sum, product);
  }
  return sum;
}
