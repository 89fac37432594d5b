// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_DIALECTS_KERNEL_KERNELOPS_TD
#define SPARSE_OPT_DIALECTS_KERNEL_KERNELOPS_TD
include "dialects/Kernel/KernelDialect.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class KernelOp<string mnemonic, list<Trait> traits = []> :
    Op<KernelDialect, mnemonic, traits>;

def YieldOp : KernelOp<"yield", [Pure, ReturnLike, Terminator]> {
  let summary = "ends an epilogue region";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

def ProductOp : KernelOp<"product", [
    DestinationStyleOpInterface, SingleBlock,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "dense product with a packed constant weight and an epilogue";
  let description = [{
    `out[r, n] = epilogue(sum_k x[r, k] * w[n / P, k, n mod P], extras...)`
    The weight is packed in panels of P = 16 outputs, of i8 P = 64; of bf16
    `w[n / P, k / 2, n mod P, k mod 2]`, in pairs along K. Columns past N and a
    k past an odd K hold zeros. Integers count as they are; scales are the epilogue's. Sums are
    f32. The region gets the f32 accumulator and one scalar per extra and
    yields the output's scalar. Values of the surrounding function are visible
    in it.

    For many rows there is one copy of a weight with ops on selected neurons: it
    may be neuron-major as theirs are, a row for each output (`w[n, k]`) or,
    `by_input`, for each k (`w[k, n]`).

    (C1) `x` is `R x K`, `weight` is `ceil(N / P) x K x P`, of bf16
    `ceil(N / P) x ceil(K / 2) x P x 2`, or `N x K'`, or, `by_input`, `K x N'`,
    K' and N' being padded to 64 bytes; `out` is `R x N`; all but R is static.
    (C2) `x` holds f32 or bf16, `weight` f32, bf16 or i8.
    (C3) each extra is `R x N`, `N`, of rank 0, or a scalar.
    (C4) the region's arguments are f32 and the extras' element types; it
    yields one value of `out`'s element type.
    (C5) the region holds only element-wise `arith` and `math` ops.
    (C6) all shaped operands are tensors and there is a result, or all are
    memrefs and there is none.

    ```mlir
    %y = kernel.product %x, %w epilogue(%b : tensor<32xf32>)
        outs(%init : tensor<?x32xf32>) {
      ^bb0(%acc: f32, %bias: f32):
        %s = arith.addf %acc, %bias : f32
        kernel.yield %s : f32
    } : tensor<?x8xf32>, tensor<2x8x16xf32> -> tensor<?x32xf32>
    ```
  }];
  let arguments = (ins AnyShaped:$x, AnyShaped:$weight,
                       Variadic<AnyType>:$extras, AnyShaped:$out,
                       UnitAttr:$by_input);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    $x `,` $weight (`by_input` $by_input^)?
    (`epilogue` `(` $extras^ `:` type($extras) `)`)?
    `outs` `(` $out `:` type($out) `)` $epilogue attr-dict
    `:` type($x) `,` type($weight) (`->` type($result)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutMutable(); }
    /// The weight has a row for each output or, `by_input`, for each k.
    bool isNeuronMajor();
  }];
  let hasVerifier = 1;
}

def AttentionOp : KernelOp<"attention", [
    DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "softmax(score(q k^T)) v with the scores kept in cache";
  let description = [{
    Over loops (b, h, m, n, d, e): `s = score(sum_d q*k, extras...)`,
    `p = probability(softmax_n(s))`, `out = sum_n p*v`. `indexing_maps` give,
    in order q, k, v, extras..., out, each operand's map from the six loops,
    so that transposed layouts are read in place. Both regions are
    element-wise scalar code; their arguments are score(s, one per extra) and
    probability(p).

    (C1) one map for each shaped operand, from six loops to its rank.
    (C2) each result of a map is a loop, at most once in a map, or the
    constant 0; for k and v also `h floordiv g`, g > 1: g heads share one.
    (C3) q is over (b, h, m, d) and has m and d, k over (b, h, n, d) with n
    and d, v over (b, h, n, e) with n and e, extras over (b, h, m, n), out
    over (b, h, m, e) with m and e and every loop of b, h that q, k, v or an
    extra has.
    (C4) sizes of equal loops agree, h / g's times g being h's; d and e are
    static.
    (C5) q, k and v hold f32, or all bf16; out holds f32 or bf16.
    (C6) the regions' arguments are f32 and, for score, the extras' element
    types; score yields one f32, probability what v holds.
    (C7) score holds only element-wise `arith` and `math` ops; probability
    yields its argument, or zero where that is no number, rounded to what v
    holds. So it may be applied to sums over n instead.
    (C8) all operands are tensors and there is a result, or all are memrefs
    and there is none.

    ```mlir
    #q = affine_map<(b, h, m, n, d, e) -> (b, m, h, d)>
    #k = affine_map<(b, h, m, n, d, e) -> (b, n, h, d)>
    #v = affine_map<(b, h, m, n, d, e) -> (b, n, h, e)>
    #mask = affine_map<(b, h, m, n, d, e) -> (b, 0, 0, n)>
    #out = affine_map<(b, h, m, n, d, e) -> (b, m, h, e)>
    %y = kernel.attention %q, %k, %v extras(%mask : tensor<?x1x1x?xf32>)
        outs(%init : tensor<?x?x12x32xf32>) maps [#q, #k, #v, #mask, #out]
        score {
      ^bb0(%s: f32, %a: f32):
        %t = arith.addf %s, %a : f32
        kernel.yield %t : f32
    } probability {
      ^bb0(%p: f32):
        kernel.yield %p : f32
    } : tensor<?x?x12x32xf32>, tensor<?x?x12x32xf32>, tensor<?x?x12x32xf32>
        -> tensor<?x?x12x32xf32>
    ```
  }];
  let arguments = (ins AnyShaped:$q, AnyShaped:$k, AnyShaped:$v,
                       Variadic<AnyShaped>:$extras, AnyShaped:$out,
                       AffineMapArrayAttr:$indexing_maps);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let regions = (region SizedRegion<1>:$score, SizedRegion<1>:$probability);
  let assemblyFormat = [{
    $q `,` $k `,` $v (`extras` `(` $extras^ `:` type($extras) `)`)?
    `outs` `(` $out `:` type($out) `)` `maps` $indexing_maps
    `score` $score `probability` $probability attr-dict
    `:` type($q) `,` type($k) `,` type($v) (`->` type($result)^)?
  }];
  let extraClassDeclaration = [{
    /// The loops, by their position in the maps.
    enum Loop : unsigned { B, H, M, N, D, E, NumLoops };
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutMutable(); }
    /// The map of a shaped operand.
    ::mlir::AffineMap getMap(::mlir::OpOperand &operand) {
      return getMaps()[operand.getOperandNumber()];
    }
    /// All maps: q, k, v, extras..., out.
    ::llvm::SmallVector<::mlir::AffineMap> getMaps() {
      return ::llvm::to_vector(
          getIndexingMaps().getAsValueRange<::mlir::AffineMapAttr>());
    }
    /// The loop of a map's result, h for `h floordiv g`; none for a constant.
    static ::std::optional<unsigned> loopOf(::mlir::AffineExpr result);
    /// True for a region as (C7) has probability's.
    static bool isProbability(::mlir::Region &region);
    /// True when such a region zeroes what is no number.
    static bool zeroesNan(::mlir::Region &probability);
    /// g of `h floordiv g`, else 1.
    static int64_t groupOf(::mlir::AffineExpr result);
  }];
  let hasVerifier = 1;
}

def LaunchOp : KernelOp<"launch", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "run an outlined body over [0, count) on the runtime's threads";
  let description = [{
    Calls `body(begin, end, thread, captures...)` for ranges that partition
    `[0, count)`; a range holds at least `grain` iterations (below that the
    caller's thread runs everything). One thread may run several. Returns when
    all are done. After this op nothing refers to threads; results must not
    depend on the partition. Profiles know launches by number: their order in
    @main.
  }];
  let arguments = (ins FlatSymbolRefAttr:$body, Index:$count, Index:$grain,
                       Variadic<AnyType>:$captures);
  let assemblyFormat = [{
    $body `range` `(` $count `,` $grain `)` (`captures` `(` $captures^ `:` type($captures) `)`)? attr-dict
  }];
}

def ThreadOp : KernelOp<"thread", [MemoryEffects<[MemRead]>]> {
  let summary = "index of the thread that runs this iteration";
  let description = [{
    Only inside `scf.parallel`, to find the thread's scratch memory; outlining
    replaces it. It reads memory so that nothing moves it out of the loop.
  }];
  let results = (outs Index:$index);
  let assemblyFormat = "attr-dict";
}

def KnobOp : KernelOp<"knob", [Pure]> {
  let summary = "a number that callers can set between runs";
  let description = [{
    The value that the instance has for the knob of this name: `value` until the
    caller sets another. Constant during a run.
  }];
  let arguments = (ins StrAttr:$knob_name, F32Attr:$value);
  let results = (outs F32:$result);
  let assemblyFormat = "$knob_name `=` $value attr-dict";
}

def NoteRowsOp : KernelOp<"note_rows", [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "counts rows of a compressed block, for telemetry";
  let description = [{
    Adds to the counters that the instance has for the block of this name, or
    for the columns of its input (`<block>.inputs`, whose "neurons" they are):
    `rows`, and for each `selected` groups of neurons that were selected, of
    `groups`. Without `selected` the rows were computed whole; `guarded`, they
    were so although some neurons weren't selected. `band` is the least and the
    largest density that calibration makes expect.
  }];
  let arguments = (ins StrAttr:$block_name, Index:$rows,
                       Optional<Index>:$selected, I64Attr:$groups,
                       UnitAttr:$guarded,
                       OptionalAttr<DenseF64ArrayAttr>:$band);
  let assemblyFormat = [{
    $block_name $rows (`selected` $selected^)? `of` $groups
    (`guarded` $guarded^)? (`band` $band^)? attr-dict
  }];
}

def CheckIndexOp : KernelOp<"check_index", [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "every element of an index tensor lies in [-bound, bound)";
  let description = [{
    Records the first violation in the call's error slot and lets the run go
    on (readers clamp); the runtime then answers with `message`, which names
    the ONNX node and, where known, the model's input.
  }];
  let arguments = (ins AnyShaped:$indices, Index:$bound, StrAttr:$message);
  let assemblyFormat = "$indices `below` $bound $message attr-dict `:` type($indices)";
}

def CheckSizesOp : KernelOp<"check_sizes", [
    MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "two sizes of this run fit each other";
  let description = [{
    Where `holds` is false, records `lhs` and `rhs` as `kernel.check_index`
    records an index: the runtime answers "message (lhs against rhs)". Where
    sizes follow from the inputs', nothing of the model runs then.
  }];
  let arguments = (ins I1:$holds, Index:$lhs, Index:$rhs, StrAttr:$message);
  let assemblyFormat = "$lhs `,` $rhs `when` $holds $message attr-dict";
}

include "dialects/Kernel/SelectedOps.td"
#endif
