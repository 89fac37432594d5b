// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Collects the report on feed-forward blocks from a module. How it is printed
// belongs to the tool.
#include "sparse-opt/Analysis/FfnReport.h"
#include "MultiplyAdds.h"
#include "sparse-opt/Analysis/FfnMatch.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace sparse_opt;

static int64_t elementsOf(Value value) {
  return value ? cast<ShapedType>(value.getType()).getNumElements() : 0;
}

static FfnBlockReport describe(ffn::BlockOp block) {
  FfnBlockReport report;
  report.name = block.getBlockName().value_or("").str();
  report.gated = !!block.getGate();
  report.activation = block.getCutoff()
                          ? "fatrelu"
                          : stringifyActivation(block.getActivation()).str();
  if (std::optional<ffn::Activation> up = block.getUpActivation())
    report.activation += "*" + stringifyActivation(*up).str();
  auto up = cast<RankedTensorType>(block.getUp().getType());
  report.d = up.getDimSize(0);
  report.h = up.getDimSize(1);
  report.out = cast<RankedTensorType>(block.getDown().getType()).getDimSize(1);
  report.upBias = !!block.getUpBias();
  report.gateBias = !!block.getGateBias();
  report.downBias = !!block.getDownBias();
  report.multiplyAddsPerRow = elementsOf(block.getUp()) +
                              elementsOf(block.getGate()) +
                              elementsOf(block.getDown());
  report.parameters =
      report.multiplyAddsPerRow + elementsOf(block.getUpBias()) +
      elementsOf(block.getGateBias()) + elementsOf(block.getDownBias());
  return report;
}

/// A size for every symbol of the inputs.
static std::vector<std::pair<std::string, int64_t>>
chooseSizes(func::FuncOp function, const SymbolicShapes &shapes,
            const llvm::StringMap<int64_t> &given) {
  std::vector<std::pair<std::string, int64_t>> sizes;
  llvm::StringSet<> seen;
  for (BlockArgument argument : function.getArguments()) {
    std::optional<ArrayRef<Dim>> shape = shapes.getShape(argument);
    if (!shape)
      continue;
    for (auto [i, dim] : llvm::enumerate(*shape)) {
      SmallVector<std::string> names;
      if (dim)
        dim->collectSymbols(names);
      for (const std::string &name : names) {
        if (!seen.insert(name).second)
          continue;
        auto it = given.find(name);
        sizes.emplace_back(name, it != given.end() ? it->second
                                 : i == 0          ? 1
                                                   : 128);
      }
    }
  }
  return sizes;
}

namespace {
class Reporter {
public:
  Reporter(FfnReport &report, func::FuncOp function,
           const llvm::StringMap<int64_t> &given)
      : report(report), shapes(function) {
    for (auto &[name, size] : chooseSizes(function, shapes, given)) {
      if (sizes.try_emplace(name, size).second)
        report.sizes.emplace_back(name, size);
    }
  }

  void visit(Operation *op) {
    if (auto constant = dyn_cast<onnx::ConstantOp>(op))
      report.parameters += elementsOf(constant.getResult());
    Dim count = countMultiplyAdds(op, shapes);
    int64_t work = evaluate(count);
    report.multiplyAdds += work;
    if (count)
      report.multiplyAddsOfSizes = report.multiplyAddsOfSizes + *count;
    if (auto block = dyn_cast<ffn::BlockOp>(op)) {
      report.blocks.push_back(describe(block));
      report.blocks.back().share = static_cast<double>(work);
    } else if (auto node = dyn_cast<onnx::NodeOp>(op)) {
      if (std::optional<FfnMiss> miss = matchFfn(node, shapes).miss) {
        StringRef name = node.nodeName();
        report.misses.push_back(
            {name.empty() ? "a " + node.getOpType().str() : name.str(),
             miss->reason});
      }
    }
  }

private:
  int64_t evaluate(const Dim &count) {
    if (!count)
      return 0;
    std::optional<int64_t> value =
        count->evaluate([&](StringRef name) -> std::optional<int64_t> {
          auto it = sizes.find(name);
          return it == sizes.end() ? std::nullopt : std::optional(it->second);
        });
    return value.value_or(0);
  }

  FfnReport &report;
  SymbolicShapes shapes;
  llvm::StringMap<int64_t> sizes;
};
} // namespace

FfnReport sparse_opt::makeFfnReport(ModuleOp module,
                                    const llvm::StringMap<int64_t> &sizes) {
  FfnReport report;
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isExternal())
      continue;
    Reporter reporter(report, function, sizes);
    function.walk<WalkOrder::PreOrder>(
        [&](Operation *op) { reporter.visit(op); });
  }
  for (FfnBlockReport &block : report.blocks)
    block.share = report.multiplyAdds ? block.share / report.multiplyAdds : 0;
  return report;
}
