// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_DIALECTS_ONNX_ONNXOPS_TD
#define SPARSE_OPT_DIALECTS_ONNX_ONNXOPS_TD
include "dialects/Onnx/OnnxDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Onnx_StringType : TypeDef<OnnxDialect, "String"> {
  let mnemonic = "string";
  let summary = "element type of ONNX string tensors";
}
def Onnx_OpaqueType : TypeDef<OnnxDialect, "Opaque"> {
  let mnemonic = "opaque";
  let summary = "an ONNX type no lowering knows: sequence, map, optional, sparse";
  let parameters = (ins StringRefParameter<"ONNX's own spelling">:$spelling);
  let assemblyFormat = "`<` $spelling `>`";
}

class OnnxOp<string mnemonic, list<Trait> traits = []> :
    Op<OnnxDialect, mnemonic, traits>;

def NodeOp : OnnxOp<"node"> {
  let summary = "any ONNX operator";
  let description = [{
    `op_type`, `domain` (absent for ai.onnx) and `version` (the since-version
    of the operator's schema) name the operator; `attrs` are the node's
    attributes with ONNX's names: ints are `i64`, floats `f32`, strings
    strings, lists arrays (`array<i64: ...>`, `array<f32: ...>`), tensors
    elements attributes, types types. A sparse tensor is a dictionary of
    `dims`, `indices` and `values`. Graph attributes are the op's regions, named
    in order by `graphs`; each ends in `onnx.yield`. An operand left out is
    `onnx.none`, a result left out has type `none`. The location is `NameLoc`
    of the node's name.
    (C1) as many names in `graphs` as regions.

    ```mlir
    %y = onnx.node "Softmax" version 13 (%x) {axis = -1 : i64}
        : (tensor<?x8xf32>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins StrAttr:$op_type, OptionalAttr<StrAttr>:$domain,
                       I64Attr:$version, Variadic<AnyType>:$operands,
                       DefaultValuedAttr<DictionaryAttr, "{}">:$attrs,
                       OptionalAttr<StrArrayAttr>:$graphs);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region VariadicRegion<AnyRegion>:$bodies);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// True for (domain, name); ai.onnx is the empty domain.
    bool is(::llvm::StringRef name, ::llvm::StringRef inDomain = "") {
      return getOpType() == name && getDomain().value_or("") == inDomain;
    }
    /// The attribute `name`, or null.
    ::mlir::Attribute attr(::llvm::StringRef name) {
      return getAttrs().get(name);
    }
    /// Integer, float, string, list attributes with their schema's default.
    int64_t intAttr(::llvm::StringRef name, int64_t byDefault);
    float floatAttr(::llvm::StringRef name, float byDefault);
    ::llvm::StringRef stringAttr(::llvm::StringRef name,
                                 ::llvm::StringRef byDefault);
    ::std::optional<::llvm::ArrayRef<int64_t>> intsAttr(::llvm::StringRef name);
    /// Operand i, or null when it is past the end or `onnx.none`.
    ::mlir::Value operandOrNull(unsigned i);
    /// The ONNX node's name as written in diagnostics ("" when unnamed).
    ::llvm::StringRef nodeName();
  }];
}

def ConstantOp : OnnxOp<"constant",
    [ConstantLike, Pure, AllTypesMatch<["value", "result"]>]> {
  let summary = "an initialiser, Constant node or folded value";
  let description = [{
    ```mlir
    %w = onnx.constant dense_resource<w> : tensor<384x1536xf32>
    ```
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
}

def YieldOp : OnnxOp<"yield", [Pure, ReturnLike, Terminator]> {
  let summary = "the outputs of a graph attribute";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

def NoneOp : OnnxOp<"none", [Pure]> {
  let summary = "an optional operand that was left out";
  let results = (outs NoneType:$result);
  let assemblyFormat = "attr-dict";
}

def DimsOp : OnnxOp<"dims", [Pure]> {
  let summary = "an integer tensor computed from the inputs' symbolic dims";
  let description = [{
    What is left of Shape/Gather/Concat/Reshape chains after
    `--onnx-fold-shapes`: a tensor of rank 0 or 1 whose elements are
    polynomials in the symbols of `onnx.dims` on the function's arguments.
    (C1) as many expressions as the result has elements.

    ```mlir
    %s = onnx.dims ["batch", "sequence", "12", "32"] : tensor<4xi64>
    ```
  }];
  let arguments = (ins StrArrayAttr:$exprs);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$exprs attr-dict `:` type($result)";
  let hasVerifier = 1;
}
#endif
