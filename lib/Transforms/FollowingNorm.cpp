// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Nodes behind a block that compute rows from rows are gathered into a list of
// steps, in the order of the IR; the norm is the first result with a reduction
// in it that something else reads.
#include "FollowingNorm.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/IR/TypeUtilities.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include "sparse-opt/Transforms/ExposeFfn.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace sparse_opt;
using numerics::Matrix;
using numerics::MatrixRef;
using onnx::NodeOp;

namespace {
enum class RowOp {
  Add,
  Sub,
  Mul,
  Div,
  Pow,
  Sqrt,
  Reciprocal,
  Pass,
  Mean,
  Sum,
  LayerNorm,
  RmsNorm
};

/// One node: matrices of the program by number.
struct Step {
  RowOp op;
  float epsilon;
  SmallVector<int> operands; ///< -1: left out
};

/// Values of as many rows as the sum has, or one row of constants; as many
/// columns, or one.
struct Program {
  std::vector<Matrix> constants; ///< empty for what steps compute
  std::vector<std::pair<Step, int>> steps;
  int result = 0;
};
} // namespace

//===----------------------------------------------------------------------===//
// Running
//===----------------------------------------------------------------------===//

template <typename F>
static Matrix combine(const Matrix &a, const Matrix &b, F f) {
  Matrix out(std::max(a.rows(), b.rows()), std::max(a.cols(), b.cols()));
  for (long row = 0; row < out.rows(); ++row)
    for (long i = 0; i < out.cols(); ++i)
      out(row, i) = f(a(a.rows() == 1 ? 0 : row, a.cols() == 1 ? 0 : i),
                      b(b.rows() == 1 ? 0 : row, b.cols() == 1 ? 0 : i));
  return out;
}

static Matrix normalize(const Step &step, const Matrix &x) {
  Matrix centred = x;
  if (step.op == RowOp::LayerNorm)
    centred.colwise() -= x.rowwise().mean().eval();
  Eigen::VectorXf scale =
      (centred.array().square().rowwise().mean() + step.epsilon)
          .rsqrt()
          .matrix();
  return scale.asDiagonal() * centred;
}

static Matrix run(const Step &step, ArrayRef<Matrix> values) {
  auto in = [&](unsigned i) -> const Matrix & {
    return values[step.operands[i]];
  };
  switch (step.op) {
  case RowOp::Add:
    return combine(in(0), in(1), std::plus<float>());
  case RowOp::Sub:
    return combine(in(0), in(1), std::minus<float>());
  case RowOp::Mul:
    return combine(in(0), in(1), std::multiplies<float>());
  case RowOp::Div:
    return combine(in(0), in(1), std::divides<float>());
  case RowOp::Pow:
    return combine(in(0), in(1), [](float a, float b) {
      return b == 2 ? a * a : std::pow(a, b);
    });
  case RowOp::Sqrt:
    return in(0).cwiseSqrt();
  case RowOp::Reciprocal:
    return in(0).cwiseInverse();
  case RowOp::Pass:
    return in(0);
  case RowOp::Mean:
    return in(0).rowwise().mean();
  case RowOp::Sum:
    return in(0).rowwise().sum();
  case RowOp::LayerNorm:
  case RowOp::RmsNorm: {
    Matrix y = normalize(step, in(0));
    if (step.operands.size() > 1 && step.operands[1] >= 0)
      y = combine(y, in(1), std::multiplies<float>());
    if (step.operands.size() > 2 && step.operands[2] >= 0)
      y = combine(y, in(2), std::plus<float>());
    return y;
  }
  }
  llvm_unreachable("every step is known");
}

static Matrix run(const Program &program, const MatrixRef &x) {
  std::vector<Matrix> values = program.constants;
  values[0] = x;
  for (const auto &[step, to] : program.steps)
    values[to] = run(step, values);
  return std::move(values[program.result]);
}

//===----------------------------------------------------------------------===//
// Finding
//===----------------------------------------------------------------------===//

namespace {
class Finder {
public:
  explicit Finder(int64_t width) : width(width) {
    program.constants.emplace_back(); // the sum
  }

  void setSum(Value sum) { numbers[sum] = 0; }

  /// The norm that adds the residual itself.
  bool takeSkipNorm(NodeOp node) {
    bool isRms = node.getOpType() == "SkipSimplifiedLayerNormalization";
    int sum = 0;
    if (Value bias = node.operandOrNull(isRms ? 3 : 4)) {
      std::optional<int> number = constant(bias);
      if (!number)
        return false;
      sum = addStep({RowOp::Add, 0, {0, *number}});
    }
    Step step{isRms ? RowOp::RmsNorm : RowOp::LayerNorm,
              node.floatAttr("epsilon", 1e-12f),
              {sum}};
    for (unsigned i = 2; i < (isRms ? 3 : 4); ++i)
      if (!addOperand(step, node.operandOrNull(i)))
        return false;
    int number = addStep(std::move(step));
    numbers[node.getResult(0)] = number;
    wide[number] = reduced[number] = true;
    return true;
  }

  /// Adds the node when it computes rows from rows that are known.
  void take(NodeOp node) {
    std::optional<RowOp> op = opOf(node);
    bool isReduction = op == RowOp::Mean || op == RowOp::Sum;
    bool isNorm = op == RowOp::LayerNorm || op == RowOp::RmsNorm;
    if (!op || node.getNumOperands() == 0)
      return;
    if (isReduction ? !isOfRows(node) : isNorm && !normsRows(node))
      return;
    Step step{*op, isNorm ? node.floatAttr("epsilon", 1e-5f) : 0, {}};
    bool isKnown = false, isWide = false, isReduced = isReduction || isNorm;
    unsigned operands =
        isReduction || *op == RowOp::Pass ? 1 : node.getNumOperands();
    for (unsigned i = 0; i < operands; ++i) {
      Value operand = node.operandOrNull(i);
      auto known = operand ? numbers.find(operand) : numbers.end();
      if (known == numbers.end()) {
        if (!addOperand(step, operand))
          return;
        continue;
      }
      isKnown = true;
      isWide |= wide.lookup(known->second) || known->second == 0;
      isReduced |= reduced.lookup(known->second);
      step.operands.push_back(known->second);
    }
    if (!isKnown || (isNorm && step.operands[0] < 0))
      return;
    for (int operand : step.operands)
      isWide |= operand >= 0 && program.constants[operand].cols() > 1;
    int number = addStep(std::move(step));
    numbers[node.getResult(0)] = number;
    wide[number] = isWide && !isReduction;
    reduced[number] = isReduced;
  }

  /// The first norm that others read, of the values in order.
  bool finish(Block &block, FollowingNorm &found) {
    for (Operation &op : block) {
      auto node = dyn_cast<NodeOp>(op);
      auto known = node && node.getNumResults()
                       ? numbers.find(node.getResult(0))
                       : numbers.end();
      if (known == numbers.end() || !wide.lookup(known->second) ||
          !reduced.lookup(known->second))
        continue;
      if (llvm::all_of(known->first.getUsers(), [&](Operation *user) {
            auto other = dyn_cast<NodeOp>(user);
            return other && numbers.contains(other.getResult(0));
          }))
        continue;
      program.result = known->second;
      llvm::erase_if(program.steps, [&](const auto &step) {
        return step.second > program.result;
      });
      found.name = node.nodeName().empty() ? "a " + node.getOpType().str()
                                           : node.nodeName().str();
      found.apply = [program = std::move(program)](const MatrixRef &x) {
        return run(program, x);
      };
      return true;
    }
    return false;
  }

private:
  static std::optional<RowOp> opOf(NodeOp node) {
    static const llvm::StringMap<RowOp> ops = {
        {"Add", RowOp::Add},
        {"Sub", RowOp::Sub},
        {"Mul", RowOp::Mul},
        {"Div", RowOp::Div},
        {"Pow", RowOp::Pow},
        {"Sqrt", RowOp::Sqrt},
        {"Reciprocal", RowOp::Reciprocal},
        {"Cast", RowOp::Pass},
        {"Identity", RowOp::Pass},
        {"ReduceMean", RowOp::Mean},
        {"ReduceSum", RowOp::Sum},
        {"LayerNormalization", RowOp::LayerNorm},
        {"RMSNormalization", RowOp::RmsNorm},
        {"SimplifiedLayerNormalization", RowOp::RmsNorm}};
    StringRef domain = node.getDomain().value_or("");
    auto known = ops.find(node.getOpType());
    bool isFloat = node.getNumResults() &&
                   isa<FloatType>(getElementTypeOrSelf(node.getResult(0)));
    if (known == ops.end() || !isFloat)
      return std::nullopt;
    if (domain.empty() ||
        (domain == "com.microsoft" && known->second == RowOp::RmsNorm))
      return known->second;
    return std::nullopt;
  }

  /// A reduction of the last dimension alone, which stays as 1.
  static bool isOfRows(NodeOp node) {
    auto type = dyn_cast<RankedTensorType>(node.getOperand(0).getType());
    SmallVector<int64_t> axes;
    if (auto attr = node.intsAttr("axes"))
      axes.assign(attr->begin(), attr->end());
    else if (Value operand = node.operandOrNull(1))
      if (auto data = getConstantData(operand))
        for (int64_t i = 0; i < data->size(); ++i)
          axes.push_back(data->getInteger(i));
    return type && axes.size() == 1 && node.intAttr("keepdims", 1) &&
           (axes[0] == -1 || axes[0] == type.getRank() - 1);
  }

  static bool normsRows(NodeOp node) {
    auto type = dyn_cast<RankedTensorType>(node.getOperand(0).getType());
    int64_t axis = node.intAttr("axis", -1);
    return type && (axis == -1 || axis == type.getRank() - 1);
  }

  /// A constant that all rows share; or nothing, where that is left out.
  bool addOperand(Step &step, Value operand) {
    if (!operand) {
      step.operands.push_back(-1);
      return true;
    }
    std::optional<int> number = constant(operand);
    if (number)
      step.operands.push_back(*number);
    return number.has_value();
  }

  std::optional<int> constant(Value value) {
    std::optional<ConstantData> data = getConstantData(value);
    if (!data || (data->size() != 1 && data->size() != width) ||
        (data->size() == width && data->type.getShape().back() != width))
      return std::nullopt;
    Matrix row(1, data->size());
    for (int64_t i = 0; i < data->size(); ++i)
      row(0, i) = static_cast<float>(data->getDouble(data->splat ? 0 : i));
    program.constants.push_back(std::move(row));
    return int(program.constants.size()) - 1;
  }

  int addStep(Step step) {
    program.constants.emplace_back();
    int number = int(program.constants.size()) - 1;
    program.steps.push_back({std::move(step), number});
    return number;
  }

  int64_t width;
  Program program;
  llvm::DenseMap<Value, int> numbers;
  llvm::DenseMap<int, bool> wide, reduced; // of what steps compute
};
} // namespace

FollowingNorm sparse_opt::findFollowingNorm(ffn::BlockOp block) {
  FollowingNorm found;
  ResidualStream stream = followResidual(block.getY());
  auto type = cast<RankedTensorType>(block.getType());
  if (!stream.isUniform) {
    found.whyNot = "what is added to it has another type";
    return found;
  }
  Finder finder(type.getShape().back());
  Operation *first = stream.sum.getDefiningOp();
  if (stream.skip) {
    auto skip = cast<NodeOp>(stream.skip);
    if (!finder.takeSkipNorm(skip)) {
      found.whyNot = "the norm that adds it has weights that aren't constants";
      return found;
    }
    first = skip;
  } else {
    finder.setSum(stream.sum);
  }
  for (Operation &op : llvm::make_range(std::next(first->getIterator()),
                                        first->getBlock()->end()))
    if (auto node = dyn_cast<NodeOp>(op))
      finder.take(node);
  if (!finder.finish(*first->getBlock(), found))
    found.whyNot = "no norm with constant weights reads the sum";
  return found;
}
