// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operators that write where a tensor says. Updates are applied in order, one
// after the other, by plain loops around tensor.insert: two may meet in one
// place, so they aren't structured ops.
#include "Lowering.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

/// What an update and the element in its place give.
static FailureOr<std::string> reductionOf(NodeOp node, Lowering &l) {
  std::string name = node.stringAttr("reduction", "none").str();
  if (!llvm::is_contained({"none", "add", "mul", "max", "min"}, name))
    return l.fail("has an unknown reduction");
  return name;
}

static Value combine(Scalars &s, StringRef reduction, Value old, Value update) {
  if (reduction == "add")
    return s.add(old, update);
  if (reduction == "mul")
    return s.mul(old, update);
  if (reduction == "max")
    return s.max(old, update);
  return reduction == "min" ? s.min(old, update) : update;
}

/// Loops over `shape`; in each, `where` says which element of `data` the
/// update at these indices falls on.
static Tensor
scatter(Lowering &l, Tensor data, Tensor updates, StringRef reduction,
        function_ref<SmallVector<Value>(Scalars &, ValueRange)> where) {
  Scalars outer(l.b, l.loc);
  SmallVector<Value> lower(updates.rank(), outer.index(0));
  SmallVector<Value> steps(updates.rank(), outer.index(1)), upper;
  for (Size size : updates.shape)
    upper.push_back(l.index(size));
  scf::LoopNest nest = scf::buildLoopNest(
      l.b, l.loc, lower, upper, steps, data.value,
      [&](OpBuilder &b, Location loc, ValueRange i,
          ValueRange state) -> scf::ValueVector {
        Scalars s(b, loc);
        SmallVector<Value> at = where(s, i);
        s.isUnsigned = data.elementType.isUnsignedInteger();
        Tensor current{state[0], data.shape, data.elementType};
        Value value = l.extract(s, updates, i);
        if (reduction != "none")
          value = combine(s, reduction, l.extract(s, current, at), value);
        Type storage = signless(data.elementType);
        if (value.getType() != storage)
          value = arith::TruncFOp::create(b, loc, storage, value);
        return {tensor::InsertOp::create(b, loc, value, state[0], at)};
      });
  return {nest.results[0], data.shape, data.elementType};
}

/// y = data; y[..., indices[i], ...] = updates[i], along one axis
static LogicalResult lowerScatterElements(NodeOp node, Lowering &l) {
  Tensor data = l.in(0), indices = l.in(1), updates = l.in(2);
  FailureOr<int64_t> axis = l.axis(node.intAttr("axis", 0), data.rank());
  FailureOr<std::string> reduction = reductionOf(node, l);
  if (failed(axis) || failed(reduction))
    return failure();
  checkIndices(l, 1, indices, data.shape[*axis]);
  updates.shape = indices.shape;
  l.out(0, scatter(l, data, updates, *reduction, [&](Scalars &s, ValueRange i) {
          SmallVector<Value> at(i);
          for (int64_t d = 0; d < data.rank(); ++d) {
            Value size =
                getValueOrCreateConstantIndexOp(s.b, s.loc, data.shape[d]);
            at[d] = d == *axis ? usableIndex(s, l.extract(s, indices, i),
                                             data.shape[d])
                               : s.clampIndex(i[d], size);
          }
          return at;
        }));
  return success();
}

/// y = data; y[indices[i, :], ...] = updates[i, ...]
static LogicalResult lowerScatterND(NodeOp node, Lowering &l) {
  Tensor data = l.in(0), indices = l.in(1), updates = l.in(2);
  FailureOr<std::string> reduction = reductionOf(node, l);
  if (failed(reduction))
    return failure();
  int64_t last = indices.rank() - 1;
  std::optional<int64_t> depth =
      last < 0 ? std::nullopt : getConstantIntValue(indices.shape.back());
  if (!depth || *depth < 1 || *depth > data.rank())
    return l.fail("needs the last size of its indices to be constant and at "
                  "most the rank of its data");
  ArrayRef<Size> all(data.shape);
  checkColumns(l, 1, indices, all.take_front(*depth));
  l.out(0, scatter(l, data, updates, *reduction, [&](Scalars &s, ValueRange i) {
          SmallVector<Value> from(i.take_front(last)), at;
          from.push_back({});
          for (int64_t d = 0; d < *depth; ++d) {
            from.back() = s.index(d);
            at.push_back(
                usableIndex(s, l.extract(s, indices, from), data.shape[d]));
          }
          llvm::append_range(at, i.drop_front(last));
          return at;
        }));
  return success();
}

ArrayRef<Entry> lowering::scatterLowerings() {
  static const Entry entries[] = {
      {onnxDomain, "ScatterElements", 11, latest, lowerScatterElements},
      {onnxDomain, "Scatter", 9, latest, lowerScatterElements},
      {onnxDomain, "ScatterND", 11, latest, lowerScatterND},
  };
  return entries;
}
