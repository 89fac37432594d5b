// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_DIALECTS_FFN_FFNOPS_TD
#define SPARSE_OPT_DIALECTS_FFN_FFNOPS_TD
include "dialects/Ffn/FfnDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
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
    where `act_up` is `relu` for dReLU and `identity` otherwise.

    (C1) `up` and `gate` are `d x h` and `down` is `h x d_out`.
    (C2) the last dimension of `x` is `d`, that of `y` is `d_out`, and the
    leading dimensions of `x` and `y` agree.
    (C3) `up_bias` and `gate_bias` are of size `h`, `down_bias` of `d_out`.
    (C4) `gate_bias` and `up_activation` need `gate`.
    (C5) one element type throughout.

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
      OptionalAttr<StrAttr>:$block_name);
  let results = (outs RankedTensorOf<[AnyFloat]>:$y);
  let assemblyFormat = [{
    $activation $x (`gate` `(` $gate^ (`,` $gate_bias^)? `)`)?
    `up` (`:` $up_activation^)? `(` $up (`,` $up_bias^)? `)`
    `down` `(` $down (`,` $down_bias^)? `)` attr-dict
    `:` functional-type(operands, results)
  }];
  let hasVerifier = 1;
}
#endif
