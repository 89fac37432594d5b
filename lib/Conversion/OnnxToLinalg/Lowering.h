// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a lowering of one ONNX operator is written with: operands and results
// as tensors with known sizes, and the few shapes of structured code that all
// operators come down to (map, reduce, generic, generate, reshape, slice).
// Lowerings live in tables, one file an operator family; OnnxToLinalg.cpp
// walks the function and looks them up.
#ifndef SPARSE_OPT_LIB_CONVERSION_ONNXTOLINALG_LOWERING_H
#define SPARSE_OPT_LIB_CONVERSION_ONNXTOLINALG_LOWERING_H
#include "Scalars.h"
#include "SizeTable.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace sparse_opt::lowering {

/// A lowered value. `value` is a ranked tensor whose static sizes are those
/// of `shape`; `elementType` is ONNX's, so ui8 keeps its sign.
struct Tensor {
  mlir::Value value;
  Sizes shape;
  mlir::Type elementType;
  int64_t rank() const { return shape.size(); }
};

/// How an operand of a `generic` is read: results of `map` index `tensor`.
struct Operand {
  Tensor tensor;
  mlir::AffineMap map;
};

using ScalarBody =
    llvm::function_ref<mlir::Value(Scalars &s, mlir::ValueRange arguments)>;
using IntList = llvm::SmallVector<int64_t, 6>;

class Lowering {
public:
  Lowering(mlir::func::FuncOp function, const SymbolicShapes &shapes);

  /// Starts a node: code goes before it and carries its location.
  void begin(mlir::Operation *op);
  mlir::LogicalResult fail(const llvm::Twine &message);

  // Operands and results -----------------------------------------------------
  /// The lowered form of an ONNX value; constants and onnx.dims on demand.
  Tensor lookup(mlir::Value value);
  Tensor in(unsigned i) { return lookup(op->getOperand(i)); }
  bool has(unsigned i);    // operand i was given
  bool wanted(unsigned i); // result i has a use
  void set(mlir::Value original, Tensor tensor);
  void out(unsigned i, Tensor tensor) { set(op->getResult(i), tensor); }
  /// ONNX's element type of result i.
  mlir::Type type(unsigned i = 0);
  /// Elements of operand i, an integer tensor of rank 0 or 1, as sizes.
  std::optional<Sizes> contents(unsigned i);
  /// The same when all are constants.
  std::optional<IntList> constants(unsigned i);
  /// The value of every element of `x`, when that is one constant.
  std::optional<mlir::Attribute> splat(const Tensor &x);
  /// The one element of a constant operand, if it is one.
  std::optional<double> constantScalar(unsigned i);
  /// A diagnostic when operand i was given and isn't of `rank`.
  mlir::LogicalResult needRank(unsigned i, int64_t rank);
  /// `axis` made non-negative; a diagnostic when it is out of range.
  mlir::FailureOr<int64_t> axis(int64_t axis, int64_t rank);

  // Sizes --------------------------------------------------------------------
  SizeTable sizes;
  Size size(int64_t value) { return sizes.get(value); }
  mlir::Value index(Size size); // as an index value
  Size add(Size x, Size y);
  Size sub(Size x, Size y);
  Size mul(Size x, Size y);
  Size min(Size x, Size y);
  Size max(Size x, Size y);
  Size floorDiv(Size x, int64_t y);
  Size ceilDiv(Size x, int64_t y);
  Size product(llvm::ArrayRef<Size> all);
  bool atLeast(Size x, Size y); // x >= y is certain
  /// Both sizes, which the node needs equal: a check at run time unless known.
  Size common(Size x, Size y, const llvm::Twine &what);
  /// The shape that all broadcast to.
  Sizes broadcast(llvm::ArrayRef<Sizes> shapes);

  // Tensors ------------------------------------------------------------------
  mlir::RankedTensorType tensorType(llvm::ArrayRef<Size> shape,
                                    mlir::Type elementType);
  mlir::Value empty(llvm::ArrayRef<Size> shape, mlir::Type elementType);
  mlir::Value scalarConstant(mlir::Type type, double value);
  Tensor fill(llvm::ArrayRef<Size> shape, mlir::Type elementType,
              mlir::Value scalar);
  Tensor zeros(llvm::ArrayRef<Size> shape, mlir::Type elementType);

  // Code ---------------------------------------------------------------------
  /// One linalg.generic over `loops`; `out` maps loops to the result, loops it
  /// lacks are reductions from `init` (the accumulator is the last argument).
  /// 16-bit floats are computed in f32.
  Tensor generic(llvm::ArrayRef<Size> loops, llvm::ArrayRef<Operand> ins,
                 mlir::AffineMap out, mlir::Type elementType, mlir::Value init,
                 ScalarBody body);
  /// Element-wise with broadcasting; constants of one value are captured.
  Tensor map(llvm::ArrayRef<Tensor> ins, mlir::Type elementType,
             ScalarBody body);
  Tensor map(llvm::ArrayRef<Tensor> ins, mlir::Type elementType,
             llvm::ArrayRef<Size> shape, ScalarBody body);
  /// Each element from its indices.
  Tensor generate(llvm::ArrayRef<Size> shape, mlir::Type elementType,
                  ScalarBody body);
  /// Reduces `axes` of ins[0] (the others broadcast to it); they vanish.
  Tensor reduce(llvm::ArrayRef<Tensor> ins, llvm::ArrayRef<int64_t> axes,
                mlir::Type elementType, mlir::Value init, ScalarBody body);
  Tensor cast(Tensor x, mlir::Type elementType);
  Tensor reshape(Tensor x, llvm::ArrayRef<Size> shape);
  Tensor keepDims(Tensor x, llvm::ArrayRef<int64_t> axes); // insert ones
  Tensor dropDims(Tensor x, llvm::ArrayRef<int64_t> axes); // remove ones
  Tensor transpose(Tensor x, llvm::ArrayRef<int64_t> permutation);
  Tensor slice(Tensor x, llvm::ArrayRef<Size> offsets,
               llvm::ArrayRef<Size> shape, llvm::ArrayRef<int64_t> strides);
  Tensor slice(Tensor x, int64_t axis, Size offset, Size size);
  Tensor concat(llvm::ArrayRef<Tensor> parts, int64_t axis,
                mlir::Type elementType);
  /// tensor.extract inside a body, 16-bit floats as f32.
  mlir::Value extract(Scalars &s, Tensor x, mlir::ValueRange indices);
  mlir::Value loopIndex(Scalars &s, int64_t loop);

  /// Loops in order; map that reads an operand of `shape` broadcast to `loops`
  /// (a size of 1 against a larger one is the constant 0).
  mlir::AffineMap broadcastMap(llvm::ArrayRef<Size> shape,
                               llvm::ArrayRef<Size> loops);
  mlir::AffineMap dims(int64_t numLoops, llvm::ArrayRef<int64_t> loops);

  mlir::OpBuilder b;
  mlir::Location loc;
  mlir::Operation *op = nullptr;

private:
  Tensor argumentTensor(mlir::BlockArgument argument);
  Tensor materialize(mlir::Value value);
  Tensor materializeDims(onnx::DimsOp dims);
  bool readsInPlace(llvm::ArrayRef<Size> shape, llvm::ArrayRef<Size> loops);
  mlir::Value readClamped(Scalars &s, Tensor x, int64_t loops);

  llvm::DenseMap<mlir::Value, Tensor> tensors;
  llvm::DenseMap<mlir::Value, Tensor> reshapes; // result -> first source
  llvm::DenseMap<mlir::Value, mlir::Value> transposedConstants;
};

//===----------------------------------------------------------------------===//
// Tables
//===----------------------------------------------------------------------===//

using LowerFn = mlir::LogicalResult (*)(onnx::NodeOp node, Lowering &l);

/// The lowering of `domain`.`name` for since-versions in [since, until].
struct Entry {
  llvm::StringLiteral domain, name;
  int64_t since, until;
  LowerFn lower;
};
constexpr int64_t latest = INT64_MAX;
constexpr llvm::StringLiteral onnxDomain = "", microsoft = "com.microsoft";

llvm::ArrayRef<Entry> activationLowerings();
llvm::ArrayRef<Entry> attentionLowerings();
llvm::ArrayRef<Entry> contractionLowerings();
llvm::ArrayRef<Entry> einsumLowerings();
llvm::ArrayRef<Entry> elementwiseLowerings();
llvm::ArrayRef<Entry> indexingLowerings();
llvm::ArrayRef<Entry> integerProductLowerings();
llvm::ArrayRef<Entry> microsoftLowerings();
llvm::ArrayRef<Entry> movementLowerings();
llvm::ArrayRef<Entry> normLowerings();
llvm::ArrayRef<Entry> quantizationLowerings();
llvm::ArrayRef<Entry> reductionLowerings();
llvm::ArrayRef<Entry> scatterLowerings();
llvm::ArrayRef<Entry> sliceLowerings();
llvm::ArrayRef<Entry> windowLowerings();

/// What families share.
Tensor contract(Lowering &l, Tensor x, Tensor y);
/// round(x / scale) + zero point, saturated; a zero point may be absent.
mlir::Value quantize(Scalars &s, mlir::Value x, mlir::Value scale,
                     mlir::Value zero, mlir::Type type);
/// Rows of a table, checked and clamped: y[i, j] = table[indices[i], j].
Tensor gatherRows(Lowering &l, Tensor table, unsigned operand, Tensor indices);
/// LayerNormalization over the last dimension.
Tensor layerNorm(Lowering &l, Tensor x, Tensor gamma, Tensor beta,
                 float epsilon);
/// An index as it is used: negative from the end, inside [0, bound).
mlir::Value usableIndex(Scalars &s, mlir::Value raw, Size bound);
/// Checks `indices`, from `operand`, against [-bound, bound).
void checkIndices(Lowering &l, unsigned operand, Tensor indices, Size bound);
void checkColumns(Lowering &l, unsigned operand, Tensor indices,
                  llvm::ArrayRef<Size> sizes);
Tensor addBias(Lowering &l, Tensor x, Tensor bias);
/// Ops of the ffn dialect, and sums of what they make.
void lowerFfn(mlir::Operation *op, Lowering &l);
} // namespace sparse_opt::lowering
#endif
