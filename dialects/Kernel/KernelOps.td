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
    DestinationStyleOpInterface,
    SingleBlock]> {
  let summary = "dense product with a packed constant weight and an epilogue";
  let description = [{
    `out[r, n] = epilogue(sum_k x[r, k] * w[n / P, k, n mod P], extras...)`
    `x` is `R x K` (rows dynamic, K static), `weight` is packed
    `ceil(N / P) x K x P` in panels of P = 16 outputs (bf16 will pair along K:
    `ceil(N / P) x K/2 x P x 2`); columns past N hold zeros. Each extra is
    `R x N`, `N`, or a scalar; the region gets the f32 accumulator and one
    scalar per extra and yields the output's scalar; it holds only
    element-wise `arith` and `math` ops.

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
                       Variadic<AnyType>:$extras, AnyShaped:$out);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    $x `,` $weight (`epilogue` `(` $extras^ `:` type($extras) `)`)?
    `outs` `(` $out `:` type($out) `)` $epilogue attr-dict
    `:` type($x) `,` type($weight) (`->` type($result)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutMutable(); }
  }];
  let hasVerifier = 1;
}

def AttentionOp : KernelOp<"attention", [
    DestinationStyleOpInterface]> {
  let summary = "softmax(score(q k^T)) v with the scores kept in cache";
  let description = [{
    Over loops (b, h, m, n, d, e): `s = score(sum_d q*k, extras...)`,
    `p = probability(softmax_n(s))`, `out = sum_n p*v`. `indexing_maps` give,
    in order q, k, v, extras..., out, each operand's map from the six loops,
    so that transposed layouts are read in place. Loops b and h may be absent
    from every map (size 1). Both regions are element-wise scalar code;
    `probability` gets only p. Their arguments: score(s, one per extra).
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
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutMutable(); }
  }];
  let hasVerifier = 1;
}

def LaunchOp : KernelOp<"launch", [
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "run an outlined body over [0, count) on the runtime's threads";
  let description = [{
    Calls `body(begin, end, thread, captures...)` for a static partition of
    `[0, count)` into at most as many contiguous ranges as threads; a range
    holds at least `grain` iterations (below that the caller's thread runs
    everything). Returns when all are done. After this op nothing refers to
    threads; results must not depend on the partition.
  }];
  let arguments = (ins FlatSymbolRefAttr:$body, Index:$count, Index:$grain,
                       Variadic<AnyType>:$captures);
  let assemblyFormat = [{
    $body `range` `(` $count `,` $grain `)` (`captures` `(` $captures^ `:` type($captures) `)`)? attr-dict
  }];
}

def CheckIndexOp : KernelOp<"check_index"> {
  let summary = "every element of an index tensor lies in [-bound, bound)";
  let description = [{
    Records the first violation in the call's error slot and lets the run go
    on (readers clamp); the runtime then answers with `message`, which names
    the ONNX node and, where known, the model's input.
  }];
  let arguments = (ins AnyShaped:$indices, Index:$bound, StrAttr:$message);
  let assemblyFormat = "$indices `below` $bound $message attr-dict `:` type($indices)";
}
#endif
