// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FfnModel.h"
#include "Bandwidth.h"
#include "ModelFile.h"
#include "dialects/Ffn/FfnOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "sparse-opt/Pipelines/StageFile.h"
#include "sparse-opt/Support/OnnxWire.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

/// Rows of weights that selected neurons read are whole cache lines in all
/// types.
static constexpr int64_t multiple = 64;

static Error parseSize(StringRef name, StringRef text, int64_t &size) {
  constexpr int64_t most = 1 << 20;
  if (text.getAsInteger(10, size) || size <= 0 || size > most ||
      size % multiple != 0)
    return makeError(name + " is '" + text + "', not a multiple of " +
                     Twine(multiple) + " up to " + Twine(most));
  return Error::success();
}

Expected<FfnShape> FfnShape::parse(StringRef text) {
  SmallVector<StringRef> fields;
  text.split(fields, ',');
  if (fields.size() != 4)
    return makeError("is not of the form KIND,D,HIDDEN,TYPE, such as "
                     "gated,4096,11008,bf16");
  FfnShape shape;
  shape.isGated = fields[0] == "gated";
  if (!shape.isGated && fields[0] != "plain")
    return makeError("'" + fields[0] +
                     "' is no kind of block; there are plain and gated");
  if (Error error = parseSize("d", fields[1], shape.d))
    return std::move(error);
  if (Error error = parseSize("hidden", fields[2], shape.hidden))
    return std::move(error);
  shape.type = fields[3].str();
  if (fields[3] != "f32" && fields[3] != "bf16" && fields[3] != "int8")
    return makeError("'" + fields[3] +
                     "' is no type; there are f32, bf16 and int8");
  return shape;
}

std::string FfnShape::str() const {
  return (Twine(isGated ? "gated " : "plain ") + Twine(d) + " x " +
          Twine(hidden) + " " + type)
      .str();
}

int64_t FfnShape::matrixBytes() const {
  int64_t bytes =
      StringSwitch<int64_t>(type).Case("int8", 1).Case("bf16", 2).Default(4);
  return d * hidden * bytes;
}

StringRef sparse_opt::tool::nameOf(FfnForm form) {
  switch (form) {
  case FfnForm::Dense:
    return "dense";
  case FfnForm::Given:
    return "given";
  case FfnForm::GateFirst:
    return "gate-first";
  }
  llvm_unreachable("unknown form");
}

//===----------------------------------------------------------------------===//
// As ONNX
//===----------------------------------------------------------------------===//

/// Even numbers of variance 1 / rows, `count` matrices of d x hidden values.
static Error writeWeights(const std::string &path, const FfnShape &shape) {
  std::error_code code;
  raw_fd_ostream os(path, code, sys::fs::OF_None);
  if (code)
    return makeError(path + ": " + code.message());
  uint32_t state = 1;
  std::vector<float> chunk(1 << 16);
  for (int64_t matrix = 0; matrix < shape.matrices(); ++matrix) {
    bool isDown = matrix + 1 == shape.matrices();
    double bound = std::sqrt(3.0 / double(isDown ? shape.hidden : shape.d));
    for (int64_t left = shape.d * shape.hidden; left > 0;) {
      size_t size = std::min<int64_t>(left, chunk.size());
      for (float &value : MutableArrayRef(chunk).take_front(size)) {
        state = state * 1664525 + 1013904223;
        value = float(bound * (int32_t(state) * 0x1p-31));
      }
      os.write(reinterpret_cast<const char *>(chunk.data()),
               size * sizeof(float));
      left -= int64_t(size);
    }
  }
  os.close();
  if (os.has_error())
    return makeError(path + ": " + os.error().message());
  return Error::success();
}

Error sparse_opt::tool::checkRoom(const FfnShape &shape, size_t forms,
                                  const std::string &folder) {
  uint64_t written =
      uint64_t(shape.d) * shape.hidden * shape.matrices() * sizeof(float);
  uint64_t compiled = uint64_t(shape.matrixBytes()) * shape.matrices();
  uint64_t wanted = written + compiled * forms;
  auto refuse = [&](uint64_t there, StringRef where) {
    return makeError(formatv("--ffn: {0} needs {1:f1} GB for its weights in "
                             "all forms; {2} has {3:f1}",
                             shape.str(), double(wanted) * 1e-9, where,
                             double(there) * 1e-9)
                         .str());
  };
  if (auto space = sys::fs::disk_space(folder);
      space && space->available < wanted)
    return refuse(space->available, sys::path::parent_path(folder));
  if (uint64_t memory = availableMemory(); memory && memory < wanted)
    return refuse(memory, "memory");
  return Error::success();
}

Error sparse_opt::tool::writeFfnModel(const FfnShape &shape,
                                      const std::string &folder) {
  using namespace wire;
  constexpr int f32 = SPARSE_OPT_FLOAT;
  if (Error error = writeWeights(folder + "/ffn.weights", shape))
    return error;
  uint64_t size = uint64_t(shape.d) * shape.hidden * sizeof(float), at = 0;
  std::string rest;
  auto matrix = [&](const std::string &name, int64_t rows, int64_t columns) {
    rest += initializer(
        externalTensor(name, f32, {rows, columns}, "ffn.weights", at, size));
    at += size;
  };
  std::vector<std::string> nodes;
  if (shape.isGated) {
    matrix("gate", shape.d, shape.hidden);
    nodes = {node("MatMul", {"x", "gate"}, {"g"}),
             node("Sigmoid", {"g"}, {"s"}), node("Mul", {"g", "s"}, {"a"}),
             node("MatMul", {"x", "up"}, {"u"}),
             node("Mul", {"a", "u"}, {"h"})};
  } else {
    nodes = {node("MatMul", {"x", "up"}, {"u"}), node("Gelu", {"u"}, {"h"})};
  }
  matrix("up", shape.d, shape.hidden);
  matrix("down", shape.hidden, shape.d);
  nodes.push_back(node("MatMul", {"h", "down"}, {"y"}));
  rest += wire::input(value("x", f32, {-1, shape.d})) +
          wire::output(value("y", f32, {-1, shape.d}));
  std::string model = num(1, 9) + str(2, "sparse-opt") +
                      str(7, graph(nodes, rest)) + str(8, opset("", 20));
  return writeFileAtomically(folder + "/ffn.onnx", [&](raw_ostream &os) {
    os << model;
    return Error::success();
  });
}

//===----------------------------------------------------------------------===//
// Compressed
//===----------------------------------------------------------------------===//

/// block(x) -> correct(x, select given(mask)), with what a score knows.
static void selectNeurons(ffn::BlockOp block, FfnForm form) {
  mlir::OpBuilder builder(block);
  mlir::Location loc = block.getLoc();
  auto func = block->getParentOfType<mlir::func::FuncOp>();
  auto x = cast<mlir::RankedTensorType>(block.getX().getType());
  int64_t neurons =
      cast<mlir::RankedTensorType>(block.getUp().getType()).getDimSize(1);
  int64_t shape[] = {x.getDimSize(0), neurons};
  auto rows = cast<mlir::ArrayAttr>(func.getArgAttr(0, "onnx.dims"))[0];
  mlir::NamedAttribute attributes[] = {
      builder.getNamedAttr(
          "onnx.dims",
          builder.getArrayAttr(
              {rows, builder.getStringAttr(std::to_string(neurons))})),
      builder.getNamedAttr("onnx.name", builder.getStringAttr("mask"))};
  (void)func.insertArgument(
      func.getNumArguments(),
      mlir::RankedTensorType::get(shape, builder.getI1Type()),
      builder.getDictionaryAttr(attributes), loc);
  mlir::Value none, known;
  if (form == FfnForm::GateFirst) {
    auto score = ffn::ScoreOp::create(
        builder, loc, mlir::RankedTensorType::get(shape, x.getElementType()),
        ffn::Score::Exact, block.getActivation(), block.getX(),
        block.getGate() ? block.getGate() : block.getUp(), none,
        block.getCutoffAttr());
    known = score.getResult();
  }
  auto selection = ffn::SelectOp::create(
      builder, loc,
      ffn::SelectionType::get(builder.getContext(), neurons, /*group=*/1,
                              /*tile=*/1),
      ffn::Rule::Given, func.getArguments().back(), none, none, none, none);
  auto crossover = ffn::KnobOp::create(builder, loc, builder.getF32Type(),
                                       builder.getStringAttr(ffnCrossoverKnob),
                                       builder.getF32FloatAttr(1));
  auto correct = ffn::CorrectOp::create(
      builder, loc, block.getY().getType(), block.getActivation(), block.getX(),
      selection, known, none, block.getGate(), none, block.getUp(), none,
      block.getDown(), none, crossover, block.getUpActivationAttr(),
      block.getBlockNameAttr(), /*density_band=*/nullptr,
      block.getCutoffAttr());
  block.replaceAllUsesWith(correct.getResult());
  block.erase();
}

CompileStatus sparse_opt::tool::compileFfn(mlir::MLIRContext &context,
                                           const CompileOptions &options,
                                           FfnForm form) {
  if (form == FfnForm::Dense)
    return compileModel(context, options);
  mlir::OwningOpRef<mlir::ModuleOp> module =
      buildStage(context, options, "ffn");
  if (!module)
    return CompileStatus::BadInput;
  SmallVector<ffn::BlockOp> blocks;
  module->walk([&](ffn::BlockOp block) { blocks.push_back(block); });
  if (blocks.size() != 1)
    return CompileStatus::OurBug; // the block that was written isn't seen
  selectNeurons(blocks.front(), form);
  return compileModule(std::move(module), options);
}
