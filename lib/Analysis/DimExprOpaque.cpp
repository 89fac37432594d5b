// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Functions of sizes that leave the polynomials (divisions with a remainder,
// minimum, maximum), and the bounds that simplify them away where all sizes
// agree on the answer.
#include "sparse-opt/Analysis/DimExpr.h"
#include "llvm/ADT/STLExtras.h"

using namespace sparse_opt;

static std::optional<int64_t> noSymbol(llvm::StringRef) { return std::nullopt; }

//===----------------------------------------------------------------------===//
// Bounds
//===----------------------------------------------------------------------===//

static bool isNonNegative(const DimAtom &atom) {
  auto atLeastZero = [&](unsigned i) {
    return atom.operands[i].provablyAtLeast(0);
  };
  switch (atom.kind) {
  case DimAtom::Symbol:
    return true;
  case DimAtom::Max:
    return atLeastZero(0) || atLeastZero(1);
  case DimAtom::Mod:
    return atLeastZero(1);
  default:
    return atLeastZero(0) && atLeastZero(1);
  }
}

static bool areNonNegative(llvm::ArrayRef<DimAtomRef> factors) {
  return llvm::all_of(factors, [](auto &atom) { return isNonNegative(*atom); });
}

bool DimExpr::provablyAtLeast(int64_t bound) const {
  return provablyAtLeast(bound, /*depth=*/3);
}

bool DimExpr::provablyAtLeast(int64_t bound, unsigned depth) const {
  int64_t fixed = 0;
  bool rest = true;
  for (const DimTerm &term : terms) {
    if (term.factors.empty())
      fixed = term.coefficient;
    else
      rest &= term.coefficient > 0 && areNonNegative(term.factors);
  }
  if (rest && fixed >= bound)
    return true;
  if (!depth || terms.size() > 8)
    return false;
  // min(a, b) <= a and max(a, b) >= a: a smaller expression that is still at
  // least `bound` proves it. So does c * floordiv(a, c) <= a.
  for (const DimTerm &term : terms)
    for (size_t i = 0; i < term.factors.size(); ++i) {
      const DimAtom &atom = *term.factors[i];
      bool negative = term.coefficient < 0;
      DimTerm others{term.coefficient, term.factors};
      others.factors.erase(others.factors.begin() + i);
      if (!areNonNegative(others.factors))
        continue;
      DimExpr without = *this - fromTerms({term});
      auto proves = [&](const DimExpr &operand, const DimTerm &scale) {
        return (without + fromTerms({scale}) * operand)
            .provablyAtLeast(bound, depth - 1);
      };
      if (atom.kind == DimAtom::Min || atom.kind == DimAtom::Max) {
        // Otherwise it is one of the two: both have to prove it.
        bool either = (atom.kind == DimAtom::Min) == negative;
        bool first = proves(atom.operands[0], others);
        if (first != either ? proves(atom.operands[1], others) : first)
          return true;
      } else if (atom.kind == DimAtom::FloorDiv && negative &&
                 atom.operands[0].provablyAtLeast(0)) {
        std::optional<int64_t> by = atom.operands[1].constant();
        if (!by || *by < 1)
          continue;
        if (others.coefficient % *by == 0)
          others.coefficient /= *by;
        if (proves(atom.operands[0], others))
          return true;
      }
    }
  return false;
}

bool DimExpr::provablyDiffers(const DimExpr &other) const {
  DimExpr difference = *this - other;
  return difference.provablyAtLeast(1) || (-difference).provablyAtLeast(1);
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

static llvm::StringRef functionName(DimAtom::Kind kind) {
  switch (kind) {
  case DimAtom::Symbol:
    break;
  case DimAtom::FloorDiv:
    return "floordiv";
  case DimAtom::CeilDiv:
    return "ceildiv";
  case DimAtom::TruncDiv:
    return "truncdiv";
  case DimAtom::Mod:
    return "mod";
  case DimAtom::Min:
    return "min";
  case DimAtom::Max:
    return "max";
  }
  return "";
}

DimExpr DimExpr::opaque(DimAtom::Kind kind, const DimExpr &a,
                        const DimExpr &b) {
  std::vector<DimExpr> operands{a, b};
  if ((kind == DimAtom::Min || kind == DimAtom::Max) && b.str() < a.str())
    std::swap(operands[0], operands[1]);
  std::string text = functionName(kind).str() + "(" + operands[0].str() + "," +
                     operands[1].str() + ")";
  return fromTerms({{1,
                     {std::make_shared<DimAtom>(DimAtom{
                         kind, std::move(text), std::move(operands)})}}});
}

/// The opaque function, or its value when both operands are constant.
DimExpr DimExpr::foldOr(DimAtom::Kind kind, const DimExpr &a,
                        const DimExpr &b) {
  DimExpr result = opaque(kind, a, b);
  if (std::optional<int64_t> value = result.evaluate(noSymbol))
    return DimExpr(*value);
  return result;
}

DimExpr DimExpr::make(DimAtom::Kind kind, const DimExpr &a, const DimExpr &b) {
  std::optional<DimExpr> result;
  switch (kind) {
  case DimAtom::Symbol:
    break;
  case DimAtom::FloorDiv:
    result = floorDiv(a, b);
    break;
  case DimAtom::CeilDiv:
    result = ceilDiv(a, b);
    break;
  case DimAtom::TruncDiv:
    result = truncDiv(a, b);
    break;
  case DimAtom::Mod:
    result = mod(a, b);
    break;
  case DimAtom::Min:
    return min(a, b);
  case DimAtom::Max:
    return max(a, b);
  }
  // Division by zero stays, so that evaluating it says so.
  return result ? *result : opaque(kind, a, b);
}

void DimExpr::splitMultiples(int64_t by, DimExpr &quotient,
                             DimExpr &rest) const {
  for (DimTerm term : terms) {
    int64_t low = term.coefficient % by;
    if (low && !term.factors.empty()) {
      rest = rest + fromTerms({term});
      continue;
    }
    // 7 = 4*1 + 3: what is left of a constant is smaller than the divisor.
    low = (low + by) % by;
    rest = rest + DimExpr(low);
    term.coefficient = (term.coefficient - low) / by;
    quotient = quotient + fromTerms({term});
  }
}

std::optional<DimExpr> DimExpr::floorDiv(const DimExpr &a, const DimExpr &b) {
  if (b.isConstant(0))
    return std::nullopt;
  if (std::optional<DimExpr> exact = a.exactDiv(b))
    return exact;
  std::optional<int64_t> by = b.constant();
  if (!by || *by < 1)
    return foldOr(DimAtom::FloorDiv, a, b);
  DimExpr quotient, rest;
  a.splitMultiples(*by, quotient, rest);
  if (rest.provablyAtLeast(0) && (b - rest).provablyAtLeast(1))
    return quotient;
  return quotient + opaque(DimAtom::FloorDiv, rest, b);
}

std::optional<DimExpr> DimExpr::ceilDiv(const DimExpr &a, const DimExpr &b) {
  if (b.isConstant(0))
    return std::nullopt;
  if (std::optional<DimExpr> exact = a.exactDiv(b))
    return exact;
  // ceil(a / b) = floor((a + b - 1) / b) for b > 0.
  if (std::optional<int64_t> by = b.constant(); by && *by > 0)
    return floorDiv(a + DimExpr(*by - 1), b);
  return foldOr(DimAtom::CeilDiv, a, b);
}

std::optional<DimExpr> DimExpr::truncDiv(const DimExpr &a, const DimExpr &b) {
  if (b.isConstant(0))
    return std::nullopt;
  if (a.provablyAtLeast(0) && b.provablyAtLeast(0))
    return floorDiv(a, b);
  if (std::optional<DimExpr> exact = a.exactDiv(b))
    return exact;
  return foldOr(DimAtom::TruncDiv, a, b);
}

std::optional<DimExpr> DimExpr::mod(const DimExpr &a, const DimExpr &b) {
  if (b.isConstant(0))
    return std::nullopt;
  if (a.exactDiv(b))
    return DimExpr(0);
  std::optional<int64_t> by = b.constant();
  if (by && *by > 0) {
    DimExpr quotient, rest;
    a.splitMultiples(*by, quotient, rest);
    if (rest.provablyAtLeast(0) && (b - rest).provablyAtLeast(1))
      return rest;
    return opaque(DimAtom::Mod, rest, b);
  }
  return foldOr(DimAtom::Mod, a, b);
}

DimExpr DimExpr::min(const DimExpr &a, const DimExpr &b) {
  if ((b - a).provablyAtLeast(0))
    return a;
  if ((a - b).provablyAtLeast(0))
    return b;
  return opaque(DimAtom::Min, a, b);
}

DimExpr DimExpr::max(const DimExpr &a, const DimExpr &b) {
  if ((b - a).provablyAtLeast(0))
    return b;
  if ((a - b).provablyAtLeast(0))
    return a;
  return opaque(DimAtom::Max, a, b);
}
