// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FfnMethods.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "sparse-opt/Transforms/ExposeFfn.h"
#include "llvm/Support/Regex.h"

using namespace mlir;
using namespace sparse_opt;

Location sparse_opt::flagLocation(ModuleOp module) {
  return UnknownLoc::get(module.getContext());
}

FailureOr<SmallVector<NamedBlock>>
sparse_opt::blocksOfLayers(ModuleOp module, StringRef layers, StringRef pass) {
  SmallVector<NamedBlock> chosen;
  SmallVector<ffn::BlockOp> blocks = findBlocks(module);
  llvm::Regex pattern(layers);
  if (std::string why; !layers.empty() && !pattern.isValid(why))
    return emitError(flagLocation(module))
           << pass << ": layers=" << layers
           << " is no regular expression: " << why;
  for (auto [i, op] : llvm::enumerate(blocks)) {
    std::string name = nameOfBlock(op, i);
    if (layers.empty() || pattern.match(name))
      chosen.push_back({op, name});
  }
  // Blocks that an earlier pass took aren't open any more.
  SmallVector<StringRef> taken;
  module.walk([&](ffn::CorrectOp op) {
    taken.push_back(op.getBlockName().value_or(""));
  });
  size_t count = blocks.size() + taken.size();
  bool isKnown =
      llvm::any_of(taken, [&](StringRef name) { return pattern.match(name); });
  if (count == 0)
    emitWarning(flagLocation(module))
        << pass << ": there is no FFN block to work on";
  else if (chosen.empty() && !layers.empty() && !isKnown)
    return emitError(flagLocation(module))
           << pass << ": layers=" << layers << " matches none of " << count
           << " FFN blocks; the first is '"
           << (blocks.empty() ? taken[0].str() : nameOfBlock(blocks[0], 0))
           << "'";
  return chosen;
}

//===----------------------------------------------------------------------===//
// Profiles
//===----------------------------------------------------------------------===//

FailureOr<CalibrationProfile>
sparse_opt::profileOf(ModuleOp module, StringRef path, StringRef pass) {
  auto failed = [&](llvm::Error error) {
    return emitError(flagLocation(module))
           << pass << ": profile=" << llvm::toString(std::move(error));
  };
  llvm::Expected<CalibrationProfile> profile = readProfile(path);
  if (!profile)
    return failed(profile.takeError());
  auto hash = module->getAttrOfType<StringAttr>("onnx.model_hash");
  if (llvm::Error error = checkModel(
          *profile, hash ? hash.getValue() : "unknown", path, "this one"))
    return failed(std::move(error));
  return std::move(*profile);
}

FailureOr<size_t> sparse_opt::findInProfile(NamedBlock block,
                                            const CalibrationProfile &profile,
                                            StringRef path, StringRef pass) {
  std::optional<size_t> index = profile.find(block.name);
  auto up = cast<RankedTensorType>(block.op.getUp().getType());
  auto down = cast<RankedTensorType>(block.op.getDown().getType());
  if (index) {
    const CalibratedBlock &found = profile.blocks[*index];
    if (found.d != up.getDimSize(0) || found.h != up.getDimSize(1) ||
        found.out != down.getDimSize(1) || found.gated != !!block.op.getGate())
      index = std::nullopt;
  }
  if (!index)
    return emitError(block.op.getLoc())
           << pass << ": block '" << block.name << "' isn't in " << path
           << " as the model has it; calibrate again with this version";
  size_t rows = profile.rows[*index].fit.size();
  if (rows < 2)
    return emitError(block.op.getLoc())
           << pass << ": " << path << " has " << (rows ? "one row" : "no row")
           << " of block '" << block.name << "'; calibrate with more data";
  return *index;
}

//===----------------------------------------------------------------------===//
// The compressed form
//===----------------------------------------------------------------------===//

namespace {
class Compressor {
public:
  Compressor(NamedBlock block, const CompressedForm &form)
      : name(block.name), block(block.op), form(form), builder(block.op),
        loc(block.op.getLoc()) {}

  void run() {
    bool isGated = !!block.getGate();
    keepInputs();
    Value act = isGated ? score(block.getActivation(), block.getGate(),
                                block.getGateBias(), block.getCutoffAttr())
                        : score(block.getActivation(), block.getUp(),
                                block.getUpBias(), block.getCutoffAttr());
    Value up;
    if (form.timesUp && isGated)
      up = score(block.getUpActivation().value_or(ffn::Activation::Identity),
                 block.getUp(), block.getUpBias());
    Value selection = select(act, up), crossover = knob(".crossover", 1);
    Value y = ffn::CorrectOp::create(
        builder, loc, block.getType(), block.getActivation(), x, selection, act,
        up, block.getGate(), block.getGateBias(), block.getUp(),
        block.getUpBias(), block.getDown(), form.minus, crossover,
        block.getUpActivationAttr(), builder.getStringAttr(name),
        bandAttr(form.band), block.getCutoffAttr());
    if (form.offset) {
      Value linear = ffn::LinearOp::create(
          builder, loc, block.getType(), block.getX(), form.folded, form.offset,
          form.folded && form.foldedType ? TypeAttr::get(form.foldedType)
                                         : TypeAttr());
      y = arith::AddFOp::create(builder, loc, linear, y);
    }
    block.getY().replaceAllUsesWith(y);
    block.erase();
  }

private:
  void keepInputs() {
    x = block.getX();
    if (!form.inputThreshold)
      return;
    Value selection = ffn::SelectOp::create(
        builder, loc, selectionOf(x), ffn::Rule::Magnitude, x, Value(), Value(),
        Value(), knob(".input_threshold", *form.inputThreshold));
    x = ffn::KeepOp::create(builder, loc, x, selection,
                            knob(".input_crossover", 1),
                            bandAttr(form.inputBand));
  }

  DenseF64ArrayAttr bandAttr(std::optional<std::pair<double, double>> band) {
    return band ? builder.getDenseF64ArrayAttr({band->first, band->second})
                : DenseF64ArrayAttr();
  }

  Value score(ffn::Activation activation, Value weight, Value bias,
              FloatAttr cutoff = {}) {
    auto type = cast<RankedTensorType>(x.getType());
    SmallVector<int64_t> shape(type.getShape());
    shape.back() = cast<RankedTensorType>(weight.getType()).getDimSize(1);
    return ffn::ScoreOp::create(
        builder, loc, RankedTensorType::get(shape, type.getElementType()),
        ffn::Score::Exact, activation, x, weight, bias, cutoff);
  }

  ffn::SelectionType selectionOf(Value scores) {
    return ffn::SelectionType::get(
        block.getContext(),
        cast<RankedTensorType>(scores.getType()).getShape().back(), 1, 1);
  }

  Value select(Value act, Value up) {
    ffn::SelectionType type = selectionOf(act);
    if (!form.threshold)
      return ffn::SelectOp::create(builder, loc, type, ffn::Rule::NonZero, act,
                                   up, Value(), Value(), Value());
    return ffn::SelectOp::create(builder, loc, type, ffn::Rule::Magnitude, act,
                                 up, form.minus, form.weight,
                                 knob(".threshold", *form.threshold));
  }

  Value knob(StringRef suffix, float value) {
    return ffn::KnobOp::create(builder, loc, builder.getF32Type(),
                               builder.getStringAttr(name + suffix),
                               builder.getF32FloatAttr(value));
  }

  StringRef name;
  ffn::BlockOp block;
  const CompressedForm &form;
  OpBuilder builder;
  Location loc;
  Value x; ///< what scores are of
};
} // namespace

void sparse_opt::compressBlock(NamedBlock block, const CompressedForm &form) {
  Compressor(block, form).run();
}

//===----------------------------------------------------------------------===//
// ffn.methods
//===----------------------------------------------------------------------===//

Attribute sparse_opt::number(MLIRContext *context, double value) {
  return FloatAttr::get(Float64Type::get(context), value);
}

void sparse_opt::recordMethod(ModuleOp module, StringRef block,
                              ArrayRef<NamedAttribute> entry) {
  Builder builder(module.getContext());
  SmallVector<Attribute> entries;
  if (auto earlier = module->getAttrOfType<ArrayAttr>("ffn.methods"))
    entries.assign(earlier.begin(), earlier.end());
  NamedAttrList attrs(entry);
  attrs.set("block", builder.getStringAttr(block));
  Attribute made = attrs.getDictionary(module.getContext());
  auto known = llvm::find_if(entries, [&](Attribute other) {
    return cast<DictionaryAttr>(other).getAs<StringAttr>("block").getValue() ==
           block;
  });
  if (known == entries.end())
    entries.push_back(made);
  else
    *known = made;
  module->setAttr("ffn.methods", builder.getArrayAttr(entries));
}

void sparse_opt::recordDense(ModuleOp module, StringRef block,
                             const Twine &reason) {
  Builder builder(module.getContext());
  recordMethod(module, block,
               {builder.getNamedAttr("method", builder.getStringAttr("none")),
                builder.getNamedAttr("reason", builder.getStringAttr(reason))});
}
