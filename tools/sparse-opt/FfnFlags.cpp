// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FfnFlags.h"
#include "ModelFile.h"

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

/// More rows than that compute all neurons.
static constexpr int64_t mostRows = 16;

FfnFlags::FfnFlags(cl::SubCommand &command)
    : ffn("ffn", cl::sub(command), cl::value_desc("SHAPE"),
          cl::desc("instead of a model: a block, gated,4096,11008,bf16")),
      density("density", cl::sub(command), cl::value_desc("LIST"),
              cl::init("0.1,0.15,0.5,1"),
              cl::desc("of --ffn: shares of the neurons (0.1,0.15,0.5,1)")),
      selection("selection", cl::sub(command), cl::value_desc("LIST"),
                cl::init("given,gate-first"),
                cl::desc("of --ffn: given, or gate-first (both)")),
      rows("rows", cl::sub(command), cl::value_desc("N"), cl::init(1),
           cl::desc("of --ffn: rows of the input (1)")) {}

static Expected<std::vector<double>> parseDensities(StringRef list) {
  std::vector<double> densities;
  SmallVector<StringRef> texts;
  list.split(texts, ',');
  for (StringRef text : texts) {
    double density;
    if (text.getAsDouble(density))
      return makeError("--density=" + list + ": '" + text + "' is no number");
    if (!(density > 0 && density <= 1))
      return makeError("--density=" + list + ": " + text +
                       " is not above 0 and at most 1");
    densities.push_back(density);
  }
  return densities;
}

static Expected<std::vector<FfnForm>> parseForms(StringRef list) {
  std::vector<FfnForm> forms;
  SmallVector<StringRef> texts;
  list.split(texts, ',');
  for (StringRef text : texts) {
    FfnForm form =
        text == nameOf(FfnForm::Given) ? FfnForm::Given : FfnForm::GateFirst;
    if (text != nameOf(form))
      return makeError("--selection=" + list + ": '" + text +
                       "' is unknown; there are given and gate-first");
    forms.push_back(form);
  }
  return forms;
}

Expected<FfnBenchOptions> FfnFlags::parse() const {
  if (!given()) {
    for (const cl::Option *option :
         {static_cast<const cl::Option *>(&density),
          static_cast<const cl::Option *>(&selection),
          static_cast<const cl::Option *>(&rows)})
      if (option->getNumOccurrences())
        return makeError("--" + option->ArgStr + " needs --ffn");
    return FfnBenchOptions();
  }
  FfnBenchOptions options;
  Expected<FfnShape> shape = FfnShape::parse(ffn);
  if (!shape)
    return makeError("--ffn=" + ffn + ": " + toString(shape.takeError()));
  options.shape = std::move(*shape);
  auto densities = parseDensities(density);
  if (!densities)
    return densities.takeError();
  options.densities = std::move(*densities);
  auto forms = parseForms(selection);
  if (!forms)
    return forms.takeError();
  options.forms = std::move(*forms);
  options.rows = rows;
  if (rows < 1 || rows > mostRows)
    return makeError("--rows=" + Twine(rows) + " is not between 1 and " +
                     Twine(mostRows) + ": more rows compute all neurons");
  return options;
}

Error FfnFlags::checkOthers(const cl::opt<std::string> &model,
                            ArrayRef<const cl::Option *> others) const {
  if (model.getNumOccurrences())
    return makeError("--ffn makes its own model; " + model +
                     " is one too many");
  for (const cl::Option *option : others)
    if (option->getNumOccurrences())
      return makeError("--" + option->ArgStr +
                       " is for a model, not for --ffn");
  return Error::success();
}
