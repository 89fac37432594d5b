// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Einsum: one linalg.generic over the letters of the equation, those of the
// result first, with the product of all operands in its body.
#include "Lowering.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

namespace {
/// Terms as lists of letters; what an ellipsis stands for got capital
/// surrogates from '\x01' on, aligned at its end.
struct Equation {
  SmallVector<std::string> operands;
  std::string result;
};
} // namespace

/// `...` of an operand with `count` dimensions for it.
static std::string ellipsis(unsigned count, unsigned most) {
  std::string letters;
  for (unsigned i = most - count; i < most; ++i)
    letters.push_back(static_cast<char>(1 + i));
  return letters;
}

/// Letters that occur once, in alphabetical order: the implicit result.
static std::string implicitResult(ArrayRef<std::string> operands,
                                  unsigned most) {
  std::string result = ellipsis(most, most);
  for (char letter = 'A'; letter <= 'z'; ++letter) {
    unsigned count = 0;
    for (const std::string &operand : operands)
      count += llvm::count(operand, letter);
    if (llvm::isAlpha(letter) && count == 1)
      result.push_back(letter);
  }
  return result;
}

/// Letters, and at most one ellipsis among them.
static bool isTerm(StringRef term) {
  auto [before, after] = term.split("...");
  return llvm::all_of(before, llvm::isAlpha) &&
         llvm::all_of(after, llvm::isAlpha);
}

static FailureOr<Equation> parse(NodeOp node, Lowering &l) {
  std::string text;
  for (char letter : node.stringAttr("equation", ""))
    if (letter != ' ')
      text.push_back(letter);
  auto [left, right] = StringRef(text).split("->");
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != node.getNumOperands())
    return l.fail("has an equation of another number of operands");
  if (!llvm::all_of(terms, isTerm) || !isTerm(right))
    return l.fail("has an equation with something else than letters");
  // How many dimensions the ellipsis of each operand stands for.
  SmallVector<unsigned> hidden;
  for (auto [i, term] : llvm::enumerate(terms)) {
    size_t letters = llvm::count_if(term, [](char c) { return c != '.'; });
    size_t rank = l.in(i).rank();
    if (letters > rank || (!term.contains("...") && letters != rank))
      return l.fail("has an equation that doesn't fit the rank of operand " +
                    Twine(i));
    hidden.push_back(rank - letters);
  }
  unsigned most = *llvm::max_element(hidden);
  Equation equation;
  auto spell = [&](StringRef term, unsigned count) {
    auto [before, after] = term.split("...");
    return (before + ellipsis(count, most) + after).str();
  };
  for (auto [term, count] : llvm::zip(terms, hidden))
    equation.operands.push_back(term.contains("...") ? spell(term, count)
                                                     : term.str());
  equation.result = !StringRef(text).contains("->")
                        ? implicitResult(equation.operands, most)
                    : right.contains("...") ? spell(right, most)
                                            : right.str();
  return equation;
}

/// Letters of the result must be those of operands, each once.
static LogicalResult checkResult(const Equation &equation, Lowering &l) {
  for (char letter : equation.result) {
    if (llvm::none_of(equation.operands, [&](const std::string &operand) {
          return operand.find(letter) != std::string::npos;
        }))
      return l.fail("has a result with a letter that no operand has");
    if (llvm::count(equation.result, letter) != 1)
      return l.fail("has a result with a letter twice");
  }
  return success();
}

/// The letters in loop order: the result's, then those that are summed over.
static std::string loopOrder(const Equation &equation) {
  std::string order = equation.result;
  for (const std::string &operand : equation.operands)
    for (char letter : operand)
      if (order.find(letter) == std::string::npos)
        order.push_back(letter);
  return order;
}

/// One size per loop: those of all operands that name it, broadcast.
static Sizes loopSizes(Lowering &l, const Equation &equation, StringRef order) {
  Sizes loops;
  for (char letter : order) {
    SmallVector<Sizes> all;
    for (auto [i, operand] : llvm::enumerate(equation.operands))
      for (auto [d, name] : llvm::enumerate(operand))
        if (name == letter)
          all.push_back({l.in(i).shape[d]});
    loops.push_back(l.broadcast(all).front());
  }
  return loops;
}

static AffineMap mapOf(Lowering &l, const Tensor &x, StringRef letters,
                       StringRef order, ArrayRef<Size> loops) {
  SmallVector<AffineExpr> results;
  for (auto [d, letter] : llvm::enumerate(letters)) {
    size_t loop = order.find(letter);
    bool repeats = isConstantIntValue(x.shape[d], 1) &&
                   !isConstantIntValue(loops[loop], 1);
    results.push_back(repeats ? l.b.getAffineConstantExpr(0)
                              : l.b.getAffineDimExpr(loop));
  }
  return AffineMap::get(order.size(), 0, results, l.b.getContext());
}

static LogicalResult lowerEinsum(NodeOp node, Lowering &l) {
  FailureOr<Equation> equation = parse(node, l);
  if (failed(equation) || failed(checkResult(*equation, l)))
    return failure();
  std::string order = loopOrder(*equation);
  Sizes loops = loopSizes(l, *equation, order);
  SmallVector<Operand> operands;
  for (auto [i, letters] : llvm::enumerate(equation->operands)) {
    Tensor x = l.in(i);
    for (auto [d, letter] : llvm::enumerate(letters))
      if (x.shape[d] != loops[order.find(letter)] &&
          !isConstantIntValue(x.shape[d], 1))
        return l.fail("with sizes that may differ has no lowering to CPU code");
    operands.push_back({x, mapOf(l, x, letters, order, loops)});
  }
  IntList kept =
      llvm::to_vector<6>(llvm::seq<int64_t>(0, equation->result.size()));
  Type type = computeType(l.type());
  Tensor result =
      l.generic(loops, operands, l.dims(loops.size(), kept), type,
                l.scalarConstant(type, 0), [](Scalars &s, ValueRange v) {
                  Value product = v.front();
                  for (Value factor : v.drop_front().drop_back())
                    product = s.mul(product, factor);
                  return s.add(v.back(), product);
                });
  l.out(0, l.cast(result, l.type()));
  return success();
}

ArrayRef<Entry> lowering::einsumLowerings() {
  static const Entry entries[] = {
      {onnxDomain, "Einsum", 12, latest, lowerEinsum},
  };
  return entries;
}
