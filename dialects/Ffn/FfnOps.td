// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_DIALECTS_FFN_FFNOPS_TD
#define SPARSE_OPT_DIALECTS_FFN_FFNOPS_TD
include "dialects/Ffn/FfnDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def ActivationKind : I32EnumAttr<"Activation", "elementwise activation", [
    I32EnumAttrCase<"Identity", 0, "identity">,
    I32EnumAttrCase<"Relu", 1, "relu">,
    I32EnumAttrCase<"Relu2", 2, "relu2">,
    I32EnumAttrCase<"Silu", 3, "silu">,
    I32EnumAttrCase<"Gelu", 4, "gelu">,
    I32EnumAttrCase<"GeluTanh", 5, "gelu_tanh">,
    I32EnumAttrCase<"QuickGelu", 6, "quick_gelu">]> {
  let cppNamespace = "::sparse_opt::ffn";
  let genSpecializedAttr = 0;
}
def ActivationAttr : EnumAttr<FfnDialect, ActivationKind, "activation"> {
  let assemblyFormat = "`<` $value `>`";
}

class FfnOp<string mnemonic, list<Trait> traits = []> :
    Op<FfnDialect, mnemonic, traits>;

def BlockOp : FfnOp<"block", [Pure, AttrSizedOperandSegments]> {
  let summary = "a dense feed-forward block, plain or gated";
  let description = [{
    Plain: `y = act(x up + up_bias) down + down_bias`.
    Gated (`gate` present):
    `y = (act(x gate + gate_bias) * act_up(x up + up_bias)) down + down_bias`
    where `act_up` is `relu` for dReLU and `identity` otherwise. `cutoff` makes
    `act` of `relu` FATReLU: what is not above it is 0.

    (C1) `up` and `gate` are `d x h` and `down` is `h x d_out`.
    (C2) the last dimension of `x` is `d`, that of `y` is `d_out`, and the
    leading dimensions of `x` and `y` agree.
    (C3) `up_bias` and `gate_bias` are of size `h`, `down_bias` of `d_out`.
    (C4) `gate_bias` and `up_activation` need `gate`.
    (C5) one element type throughout.
    (C6) `cutoff` needs the activation `relu` and is not negative.

    ```mlir
    %y = ffn.block <gelu> %x up(%w1, %b1) down(%w2, %b2)
        : (tensor<?x8xf32>, tensor<8x32xf32>, tensor<32xf32>,
           tensor<32x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins ActivationAttr:$activation,
      RankedTensorOf<[AnyFloat]>:$x,
      Optional<RankedTensorOf<[AnyFloat]>>:$gate,
      Optional<RankedTensorOf<[AnyFloat]>>:$gate_bias,
      RankedTensorOf<[AnyFloat]>:$up,
      Optional<RankedTensorOf<[AnyFloat]>>:$up_bias,
      RankedTensorOf<[AnyFloat]>:$down,
      Optional<RankedTensorOf<[AnyFloat]>>:$down_bias,
      OptionalAttr<ActivationAttr>:$up_activation,
      OptionalAttr<StrAttr>:$block_name, OptionalAttr<F32Attr>:$cutoff);
  let results = (outs RankedTensorOf<[AnyFloat]>:$y);
  let assemblyFormat = [{
    $activation $x (`gate` `(` $gate^ (`,` $gate_bias^)? `)`)?
    `up` (`:` $up_activation^)? `(` $up (`,` $up_bias^)? `)`
    `down` `(` $down (`,` $down_bias^)? `)` attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Compressed blocks: scores, a selection, and what selected neurons add
//===----------------------------------------------------------------------===//

def Ffn_SelectionType : TypeDef<FfnDialect, "Selection"> {
  let mnemonic = "selection";
  let summary = "for each row, which of a block's neurons are computed";
  let description = [{
    `!ffn.selection<1536, group = 16, tile = 4>`: of 1536 neurons, in groups of
    16 that are selected together; 4 rows share one list of groups, in which
    each row has a mask. Group and tile are 1 where not given. Columns of a
    block's input are selected as neurons are (`ffn.keep`).
  }];
  let parameters = (ins "int64_t":$neurons,
      DefaultValuedParameter<"int64_t", "1">:$group,
      DefaultValuedParameter<"int64_t", "1">:$tile);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def ScoreKind : I32EnumAttr<"Score", "how scores are computed", [
    I32EnumAttrCase<"Exact", 0, "exact">]> {
  let cppNamespace = "::sparse_opt::ffn";
  let genSpecializedAttr = 0;
}
def ScoreAttr : EnumAttr<FfnDialect, ScoreKind, "score">;

def RuleKind : I32EnumAttr<"Rule", "which neurons a selection holds", [
    I32EnumAttrCase<"All", 0, "all">,
    I32EnumAttrCase<"NonZero", 1, "nonzero">,
    I32EnumAttrCase<"Magnitude", 2, "magnitude">,
    I32EnumAttrCase<"Given", 3, "given">]> {
  let cppNamespace = "::sparse_opt::ffn";
  let genSpecializedAttr = 0;
}
def RuleAttr : EnumAttr<FfnDialect, RuleKind, "rule">;

def KnobOp : FfnOp<"knob", [Pure]> {
  let summary = "a number that can be set while the model is loaded";
  let description = [{
    Its value is `value` until the caller sets the knob of this name.

    (C1) the name is not empty.

    ```mlir
    %t = ffn.knob "layer.0.threshold" = 1.3e-2 : f32
    ```
  }];
  let arguments = (ins StrAttr:$knob_name, F32Attr:$value);
  let results = (outs F32:$result);
  let assemblyFormat = "$knob_name `=` $value attr-dict";
  let hasVerifier = 1;
}

def ScoreOp : FfnOp<"score", [Pure]> {
  let summary = "what each neuron of a block scores";
  let description = [{
    `exact`: `act(x weight + bias)`, which `ffn.correct` may be told as known.

    (C1) `weight` is `d x h`, `bias` of size `h`, `x` ends in `d`, the result
    in `h`; the leading dimensions of `x` and the result agree.
    (C2) one element type throughout.
    (C3) `cutoff` as (C6) of `ffn.block`.

    ```mlir
    %g = ffn.score exact <silu> %x(%gate) : (tensor<?x8xf32>, tensor<8x32xf32>) -> tensor<?x32xf32>
    ```
  }];
  let arguments = (ins ScoreAttr:$kind, ActivationAttr:$activation,
      RankedTensorOf<[AnyFloat]>:$x, RankedTensorOf<[AnyFloat]>:$weight,
      Optional<RankedTensorOf<[AnyFloat]>>:$bias,
      OptionalAttr<F32Attr>:$cutoff);
  let results = (outs RankedTensorOf<[AnyFloat]>:$result);
  let assemblyFormat = [{
    `` $kind $activation $x `(` $weight (`,` $bias^)? `)` attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def SelectOp : FfnOp<"select", [Pure, AttrSizedOperandSegments]> {
  let summary = "the neurons that a rule keeps, row by row";
  let description = [{
    `all`: every neuron. `nonzero`: those with `score * times != 0`.
    `magnitude`: those with `abs((score - minus) * times) * weight > above`,
    strictly, so that 0 keeps what `nonzero` keeps; a NaN is kept. Operands
    that are not given count as 1, `minus` as 0. `given`: where `score`, an i1
    tensor, is true. A group is kept when one of its neurons is.

    (C1) `all` has no operand, every other rule has `score`, which is i1 for
    `given` and of floats else; `magnitude` has `above`, and it alone has
    `minus`, `weight` or `above`.
    (C2) `score` and `times` have one type and end in the selection's neurons;
    `minus` and `weight` have that size.

    ```mlir
    %s = ffn.select magnitude(%g) minus(%c) weight(%norm) above(%t)
        : (tensor<?x32xf32>, tensor<32xf32>, tensor<32xf32>, f32) -> !ffn.selection<32>
    ```
  }];
  let arguments = (ins RuleAttr:$rule,
      Optional<RankedTensorOf<[AnyFloat, I1]>>:$score,
      Optional<RankedTensorOf<[AnyFloat]>>:$times,
      Optional<RankedTensorOf<[AnyFloat]>>:$minus,
      Optional<RankedTensorOf<[AnyFloat]>>:$weight,
      Optional<F32>:$above);
  let results = (outs Ffn_SelectionType:$selection);
  let assemblyFormat = [{
    `` $rule (`(` $score^ (`,` $times^)? `)`)? (`minus` `(` $minus^ `)`)?
    (`weight` `(` $weight^ `)`)? (`above` `(` $above^ `)`)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def KeepOp : FfnOp<"keep", [Pure, AllTypesMatch<["x", "y"]>]> {
  let summary = "x where a selection holds its columns, 0 elsewhere";
  let description = [{
    A selection over the contraction dimension: products of the result need
    only the selected rows of a `d x h` weight.

    Where a run selects more than the share `all_above` of the columns, these
    products are dense: the guard for what is too dense for kernels that skip,
    as `ffn.correct` has one. It changes no value. `density_band` is the least
    and the largest density that calibration makes expect, for telemetry.

    (C1) `x` ends in the selection's neurons.

    ```mlir
    %s = ffn.select magnitude(%x) above(%t) : (tensor<?x8xf32>, f32) -> !ffn.selection<8>
    %k = ffn.keep %x, %s : tensor<?x8xf32>, !ffn.selection<8>
    ```
  }];
  let arguments = (ins RankedTensorOf<[AnyFloat]>:$x,
      Ffn_SelectionType:$selection, Optional<F32>:$all_above,
      OptionalAttr<DenseF64ArrayAttr>:$density_band);
  let results = (outs RankedTensorOf<[AnyFloat]>:$y);
  let assemblyFormat = [{
    $x `,` $selection (`all_above` `(` $all_above^ `)`)? attr-dict
    `:` type($x) `,` qualified(type($selection))
  }];
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
}

def DensityOp : FfnOp<"density", [Pure]> {
  let summary = "the share of neurons that a selection holds";
  let description = [{
    Of all rows together, from 0 to 1; a group counts whole when it is kept.
  }];
  let arguments = (ins Ffn_SelectionType:$selection);
  let results = (outs F32:$result);
  let assemblyFormat = "$selection attr-dict `:` type($selection)";
}

def LinearOp : FfnOp<"linear", [Pure]> {
  let summary = "x folded + offset: what a block is without corrections";
  let description = [{
    Without `folded` every row is `offset`. `stored` is the type that compiled
    models hold `folded` in, whatever their other weights are (i8: rounded to
    nearest, one scale a column); absent, that of weights.

    (C1) `x` ends in `d`, `folded` is `d x d_out`, `offset` of size `d_out`,
    which the result ends in; the leading dimensions of `x` and the result
    agree.
    (C2) one element type throughout.
    (C3) `stored` needs `folded`, and is i8.
  }];
  let arguments = (ins RankedTensorOf<[AnyFloat]>:$x,
      Optional<RankedTensorOf<[AnyFloat]>>:$folded,
      RankedTensorOf<[AnyFloat]>:$offset,
      OptionalAttr<TypeAttr>:$stored);
  let results = (outs RankedTensorOf<[AnyFloat]>:$y);
  let assemblyFormat = [{
    $x (`folded` `(` $folded^ (`as` $stored^)? `)`)? `offset` `(` $offset `)`
    attr-dict `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}

def CorrectOp : FfnOp<"correct", [Pure, AttrSizedOperandSegments]> {
  let summary = "what the selected neurons add to the surrogate";
  let description = [{
    Plain: `y = sum over i in S of (act(x up_i + up_bias_i) - minus_i) down_i`.
    Gated: `y = sum over i in S of (act(x gate_i + gate_bias_i) - minus_i) *
    act_up(x up_i + up_bias_i) down_i`. With `S` everything and no `minus` it
    is `ffn.block` without a bias behind it. `known_gate` holds act(x gate +
    gate_bias), of a plain block act(x up + up_bias), and `known_up` act_up(x
    up + up_bias): what a score computed and need not be computed again.

    Where more than the share `all_above` of the neurons is selected, `S` is
    everything: the guard for what is too dense for kernels that skip. Runs of
    many rows, which skip nothing, ignore it. `density_band` is the least and
    the largest density that calibration makes expect, for telemetry.

    (C1) to (C6) of `ffn.block`.
    (C7) the selection's neurons are `h`; `minus` is of size `h`.
    (C8) `known_gate` and `known_up` have the leading dimensions of `x` and
    end in `h`; `known_up` needs `gate`.

    ```mlir
    %y = ffn.correct <silu> %x, %s known(%g) gate(%wg) up(%wu) down(%wd) minus(%c)
        : (tensor<?x8xf32>, !ffn.selection<32>, tensor<?x32xf32>, tensor<8x32xf32>,
           tensor<8x32xf32>, tensor<32x8xf32>, tensor<32xf32>) -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins ActivationAttr:$activation,
      RankedTensorOf<[AnyFloat]>:$x, Ffn_SelectionType:$selection,
      Optional<RankedTensorOf<[AnyFloat]>>:$known_gate,
      Optional<RankedTensorOf<[AnyFloat]>>:$known_up,
      Optional<RankedTensorOf<[AnyFloat]>>:$gate,
      Optional<RankedTensorOf<[AnyFloat]>>:$gate_bias,
      RankedTensorOf<[AnyFloat]>:$up,
      Optional<RankedTensorOf<[AnyFloat]>>:$up_bias,
      RankedTensorOf<[AnyFloat]>:$down,
      Optional<RankedTensorOf<[AnyFloat]>>:$minus, Optional<F32>:$all_above,
      OptionalAttr<ActivationAttr>:$up_activation,
      OptionalAttr<StrAttr>:$block_name,
      OptionalAttr<DenseF64ArrayAttr>:$density_band,
      OptionalAttr<F32Attr>:$cutoff);
  let results = (outs RankedTensorOf<[AnyFloat]>:$y);
  let assemblyFormat = [{
    $activation $x `,` $selection
    (`known` `(` $known_gate^ (`,` $known_up^)? `)`)?
    (`gate` `(` $gate^ (`,` $gate_bias^)? `)`)?
    `up` (`:` $up_activation^)? `(` $up (`,` $up_bias^)? `)`
    `down` `(` $down `)` (`minus` `(` $minus^ `)`)?
    (`all_above` `(` $all_above^ `)`)? attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
  let hasCanonicalizer = 1;
}
#endif
