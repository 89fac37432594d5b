// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "sparse-opt/Pipelines/Methods.h"
#include "mlir/Pass/Pass.h"
#include "sparse-opt/Transforms/Passes.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace sparse_opt;

template <typename Options, std::unique_ptr<Pass> (*make)(Options)>
static std::unique_ptr<Pass> create(StringRef profile, StringRef layers) {
  Options options;
  options.profile = profile.str();
  options.layers = layers.str();
  return make(std::move(options));
}

static constexpr Method methods[] = {
    {"ffn-skip-zeros", true, create<FfnSkipZerosOptions, createFfnSkipZeros>},
    {"ffn-threshold", false, create<FfnThresholdOptions, createFfnThreshold>},
};

static std::string methodNames() {
  return llvm::join(
      llvm::map_range(methods,
                      [](const Method &method) { return method.name; }),
      ", ");
}

//===----------------------------------------------------------------------===//
// --method=
//===----------------------------------------------------------------------===//

/// Gives the pass its options; what is wrong with them goes to `why`.
static LogicalResult initialize(Pass &pass, StringRef options,
                                std::string &why) {
  return pass.initializeOptions(options, [&](const Twine &message) {
    std::string text = message.str(); // "<Pass-Options-Parser>: no such ..."
    why = StringRef(text).substr(text.find("no such ")).trim().str();
    return failure();
  });
}

/// The name of an option that `options` has twice, or "".
static StringRef repeatedOption(StringRef options) {
  llvm::StringSet<> names;
  SmallVector<StringRef> words;
  llvm::SplitString(options, words);
  for (StringRef word : words)
    if (StringRef name = word.split('=').first; !names.insert(name).second)
      return name;
  return "";
}

/// Takes one call off `text`: a name, and options in braces.
static llvm::Expected<MethodChoice::Call> parseCall(StringRef &text) {
  auto error = [](const Twine &sentence) {
    return llvm::createStringError("--method=" + sentence);
  };
  StringRef name = text.take_until([](char c) { return c == '{' || c == ','; });
  text = text.drop_front(name.size());
  name = name.trim();
  StringRef options;
  if (text.consume_front("{")) {
    size_t depth = 1, end = 0;
    for (; end < text.size() && depth; ++end)
      depth += (text[end] == '{') - (text[end] == '}');
    if (depth)
      return error(name + ": a '{' isn't closed");
    options = text.take_front(end - 1).trim();
    text = text.drop_front(end).ltrim();
  }
  const Method *method = llvm::find_if(
      methods, [&](const Method &entry) { return entry.name == name; });
  if (method == std::end(methods))
    return error((name.empty() ? StringRef("''") : name) +
                 " is unknown; there are none, " + methodNames());
  if (!text.empty() && !text.consume_front(","))
    return error(name + ": expected ',' between methods, not '" + text + "'");
  return MethodChoice::Call{method, options.str()};
}

llvm::Expected<MethodChoice>
MethodChoice::parse(StringRef text, StringRef profile, StringRef layers) {
  MethodChoice choice{{}, profile.str(), layers.str()};
  text = text.trim();
  if (text == "none")
    text = "";
  bool isMore = !text.empty();
  while (isMore) {
    isMore = text.rtrim().ends_with(",");
    auto call = parseCall(text);
    if (!call)
      return call.takeError();
    std::string why;
    if (failed(initialize(*call->method->create(profile, layers), call->options,
                          why)))
      return llvm::createStringError("--method=" + call->method->name + ": " +
                                     (why.empty() ? "wrong options" : why));
    if (StringRef name = repeatedOption(call->options); !name.empty())
      return llvm::createStringError("--method=" + call->method->name + ": " +
                                     name + " is given twice");
    choice.calls.push_back(std::move(*call));
    isMore |= !text.empty();
  }
  if (choice.calls.empty() && !(profile.empty() && layers.empty()))
    return llvm::createStringError(
        Twine(profile.empty() ? "--layers=" : "--profile=") +
        " is for methods; give a --method= too");
  return std::move(choice);
}

std::unique_ptr<Pass> MethodChoice::createPass(const Call &call) const {
  std::unique_ptr<Pass> pass = call.method->create(profile, layers);
  std::string why;
  LogicalResult done = initialize(*pass, call.options, why);
  assert(succeeded(done) && "the options were parsed before");
  (void)done;
  return pass;
}

std::string MethodChoice::str() const {
  return llvm::join(llvm::map_range(calls,
                                    [](const Call &call) {
                                      return call.method->name.str() +
                                             (call.options.empty()
                                                  ? ""
                                                  : "{" + call.options + "}");
                                    }),
                    ",");
}

//===----------------------------------------------------------------------===//
// ffn.methods
//===----------------------------------------------------------------------===//

static llvm::json::Value toJson(Attribute attr) {
  if (isa<UnitAttr>(attr)) // known to be unknown
    return nullptr;
  if (auto text = dyn_cast<StringAttr>(attr))
    return llvm::json::fixUTF8(text.getValue());
  if (auto integer = dyn_cast<IntegerAttr>(attr))
    return integer.getInt();
  if (auto number = dyn_cast<FloatAttr>(attr))
    return number.getValueAsDouble();
  if (auto array = dyn_cast<ArrayAttr>(attr))
    return llvm::json::Array(llvm::map_range(array, toJson));
  llvm::json::Object object;
  if (auto entries = dyn_cast<DictionaryAttr>(attr))
    for (NamedAttribute entry : entries)
      object[entry.getName().getValue()] = toJson(entry.getValue());
  return object;
}

llvm::json::Array sparse_opt::describeMethods(ModuleOp module) {
  auto methods = module->getAttrOfType<ArrayAttr>("ffn.methods");
  return methods ? *toJson(methods).getAsArray() : llvm::json::Array();
}

std::string sparse_opt::methodText(const llvm::json::Object &entry) {
  std::string text = entry.getString("block").value_or("").str() + ": ";
  StringRef method = entry.getString("method").value_or("");
  if (method == "none")
    return text + "dense, for " + entry.getString("reason").value_or("").str();
  text += method;
  if (auto rule = entry.getString("rule"))
    text += (" " + *rule + ", centre " + entry.getString("centre").value_or(""))
                .str();
  if (auto density = entry.getNumber("density"))
    text += llvm::formatv("; density {0:f3}", *density).str();
  if (auto density = entry.getNumber("held_out_density"))
    text += llvm::formatv(", held out {0:f3}", *density).str();
  auto inputs = entry.getNumber("held_out_input_density");
  auto neurons = entry.getNumber("held_out_neuron_density");
  if (inputs && neurons)
    text += llvm::formatv(" of the weights (inputs {0:f3}, neurons {1:f3})",
                          *inputs, *neurons)
                .str();
  if (auto cett = entry.getNumber("held_out_cett"))
    text += llvm::formatv("; CETT held out {0:f4}", *cett).str();
  if (auto error = entry.getNumber("held_out_error_with_residual"))
    text += llvm::formatv(", {0:f4} with the residual", *error).str();
  if (auto error = entry.getNumber("held_out_error_after_norm"))
    text += llvm::formatv(", {0:f4} after the norm", *error).str();
  else if (auto reason = entry.getString("no_norm"))
    text += (", - after the norm: " + *reason).str();
  return text;
}
