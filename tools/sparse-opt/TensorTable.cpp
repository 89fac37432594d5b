// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "TensorTable.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace sparse_opt;

/// Fewer of a kind are listed one by one.
constexpr size_t leastOfAKind = 4;

static std::string shapeText(const json::Value &dims) {
  std::string text;
  for (const json::Value &dim : *dims.getAsArray())
    text += (text.empty() ? "" : ", ") +
            (dim.getAsString() ? dim.getAsString()->str()
                               : std::to_string(*dim.getAsInteger()));
  return "[" + text + "]";
}

namespace {
/// A name around its first number.
struct NumberedName {
  explicit NumberedName(StringRef name)
      : before(name.take_until(isDigit)),
        number(name.drop_front(before.size()).take_while(isDigit)),
        after(name.drop_front(before.size() + number.size())) {}

  StringRef before, number, after;
};

/// Tensors that differ in the number in their names alone.
struct Kind {
  std::string type, shape;
  std::vector<StringRef> names;

  bool isOneLine() const {
    unsigned first;
    if (names.size() < leastOfAKind ||
        NumberedName(names[0]).number.getAsInteger(10, first))
      return false;
    // A gap, or another order, is worth seeing.
    for (auto [i, name] : enumerate(names))
      if (NumberedName(name).number != std::to_string(first + i))
        return false;
    return true;
  }
  std::string name() const {
    NumberedName first(names.front()), last(names.back());
    return (first.before + "{" + first.number + ".." + last.number + "}" +
            first.after)
        .str();
  }
};
} // namespace

static void printRow(raw_ostream &os, StringRef name, const Kind &kind) {
  os << formatv("  {0,-32} {1,-8} {2}\n", name, kind.type, kind.shape);
}

void sparse_opt::tool::printTensors(raw_ostream &os, StringRef title,
                                    const json::Array &tensors) {
  std::vector<Kind> kinds;
  StringMap<size_t> known;
  for (const json::Value &value : tensors) {
    const json::Object &tensor = *value.getAsObject();
    StringRef name = *tensor.getString("name"),
              type = *tensor.getString("type");
    std::string shape = shapeText(*tensor.get("dims"));
    NumberedName parts(name);
    std::string key = parts.number.empty()
                          ? name.str()
                          : (parts.before + "\n" + parts.after).str();
    size_t at =
        known.try_emplace(key + "\n" + type.str() + "\n" + shape, kinds.size())
            .first->second;
    if (at == kinds.size())
      kinds.push_back({type.str(), shape, {}});
    kinds[at].names.push_back(name);
  }
  os << title << '\n';
  for (const Kind &kind : kinds)
    if (kind.isOneLine())
      printRow(os, kind.name(), kind);
    else
      for (StringRef name : kind.names)
        printRow(os, name, kind);
}
