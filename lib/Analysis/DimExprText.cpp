// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Text of size expressions, as it stands in `onnx.dims`:
//
//   sum    := ["-"] product (("+" | "-") product)*
//   product := factor ("*" factor)*
//   factor := integer | name | function "(" sum "," sum ")" | "(" sum ")"
//   name   := identifier | "'" any characters, ' and \ escaped by \ "'"
#include "sparse-opt/Analysis/DimExpr.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"

using namespace sparse_opt;
using llvm::StringRef;

static bool isNameStart(char c) { return llvm::isAlpha(c) || c == '_'; }
static bool isNameChar(char c) {
  return llvm::isAlnum(c) || c == '_' || c == '.' || c == ':' || c == '/';
}

static std::string printSymbol(StringRef name) {
  if (!name.empty() && isNameStart(name[0]) && llvm::all_of(name, isNameChar))
    return name.str();
  std::string quoted = "'";
  for (char c : name) {
    if (c == '\'' || c == '\\')
      quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

std::string DimExpr::str() const {
  if (terms.empty())
    return "0";
  std::string text;
  for (const DimTerm &term : terms) {
    bool negative = term.coefficient < 0;
    if (negative || !text.empty())
      text += negative ? '-' : '+';
    uint64_t size = negative ? 0 - static_cast<uint64_t>(term.coefficient)
                             : term.coefficient;
    if (size != 1 || term.factors.empty())
      text += std::to_string(size) + (term.factors.empty() ? "" : "*");
    text += llvm::join(llvm::map_range(term.factors,
                                       [](const DimAtomRef &atom) {
                                         return atom->kind == DimAtom::Symbol
                                                    ? printSymbol(atom->text)
                                                    : atom->text;
                                       }),
                       "*");
  }
  return text;
}

namespace {
class Parser {
public:
  explicit Parser(StringRef text) : rest(text) {}

  std::optional<DimExpr> parseAll() {
    std::optional<DimExpr> result = parseSum();
    rest = rest.ltrim();
    return rest.empty() ? result : std::nullopt;
  }

private:
  bool consume(char c) {
    rest = rest.ltrim();
    return rest.consume_front(StringRef(&c, 1));
  }

  std::optional<DimExpr> parseSum() {
    // Input may be hostile: nesting is bounded.
    if (++depth > 64)
      return std::nullopt;
    DimExpr sum;
    bool negative = consume('-');
    do {
      std::optional<DimExpr> product = parseProduct();
      if (!product)
        return std::nullopt;
      sum = negative ? sum - *product : sum + *product;
    } while (consume('+') ? (negative = false, true)
                          : consume('-') && (negative = true));
    --depth;
    return sum;
  }

  std::optional<DimExpr> parseProduct() {
    DimExpr product(1);
    do {
      std::optional<DimExpr> factor = parseFactor();
      if (!factor)
        return std::nullopt;
      product = product * *factor;
    } while (consume('*'));
    return product;
  }

  std::optional<DimExpr> parseFactor() {
    if (consume('(')) {
      std::optional<DimExpr> inner = parseSum();
      return consume(')') ? inner : std::nullopt;
    }
    if (consume('\''))
      return parseQuoted();
    if (rest.empty())
      return std::nullopt;
    if (llvm::isDigit(rest[0])) {
      uint64_t value;
      if (rest.consumeInteger(10, value))
        return std::nullopt;
      return DimExpr(static_cast<int64_t>(value));
    }
    if (!isNameStart(rest[0]))
      return std::nullopt;
    StringRef name = rest.take_while(isNameChar);
    rest = rest.drop_front(name.size());
    return consume('(') ? parseCall(name) : DimExpr::symbol(name);
  }

  std::optional<DimExpr> parseQuoted() {
    std::string name;
    while (!rest.empty() && rest[0] != '\'') {
      if (rest[0] == '\\')
        rest = rest.drop_front();
      if (rest.empty())
        return std::nullopt;
      name += rest[0];
      rest = rest.drop_front();
    }
    return rest.consume_front("'") ? std::optional(DimExpr::symbol(name))
                                   : std::nullopt;
  }

  std::optional<DimExpr> parseCall(StringRef function) {
    std::optional<DimExpr> a = parseSum();
    if (!a || !consume(','))
      return std::nullopt;
    std::optional<DimExpr> b = parseSum();
    if (!b || !consume(')'))
      return std::nullopt;
    if (function == "min")
      return DimExpr::min(*a, *b);
    if (function == "max")
      return DimExpr::max(*a, *b);
    if (function == "floordiv")
      return DimExpr::floorDiv(*a, *b);
    if (function == "ceildiv")
      return DimExpr::ceilDiv(*a, *b);
    if (function == "truncdiv")
      return DimExpr::truncDiv(*a, *b);
    return function == "mod" ? DimExpr::mod(*a, *b) : std::nullopt;
  }

  StringRef rest;
  unsigned depth = 0;
};
} // namespace

std::optional<DimExpr> DimExpr::parse(StringRef text) {
  return Parser(text).parseAll();
}
