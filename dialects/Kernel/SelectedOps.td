// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Ops on selected neurons only: which they are, products with their rows of a
// weight, and sums of such rows. For few rows of x; many rows are dense.
#ifndef SPARSE_OPT_DIALECTS_KERNEL_SELECTEDOPS_TD
#define SPARSE_OPT_DIALECTS_KERNEL_SELECTEDOPS_TD
include "dialects/Kernel/KernelDialect.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class SelectedOp<string mnemonic> : Op<KernelDialect, mnemonic, [
    DestinationStyleOpInterface, SingleBlock,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let hasVerifier = 1;
}

def SelectOp : SelectedOp<"select"> {
  let summary = "list the neurons that any row keeps, and their values";
  let description = [{
    Neurons are kept in groups of P = H / G, `list`'s size being G: 1 or 16.
    `(keep, value)[r, i] = rule(scores[r, i], extras...)`. `list` starts with
    the `count` groups, in ascending order, in which any row keeps a neuron;
    `values[r, j * P + p] = keep ? value : 0` of neuron `list[j] * P + p`. What
    comes behind in `list` and `values` is undefined.

    (C1) `scores` and `values` are `R x H` of f32, `list` is `G` of i32,
    `count` of rank 0 of i32; all but R is static.
    (C2) `H` is `G` or `16 G`.
    (C3) each extra is `R x H`, `H`, of rank 0, or a scalar.
    (C4) the region's arguments are f32 and the extras' element types; it
    yields an i1 and an f32.
    (C5) the region holds only element-wise `arith` and `math` ops.
    (C6) all shaped operands are tensors and there are results, or all are
    memrefs and there are none.

    ```mlir
    %list, %count, %values = kernel.select %scores extras(%t : f32)
        outs(%l, %n, %v : tensor<32xi32>, tensor<i32>, tensor<?x32xf32>) {
      ^bb0(%s: f32, %threshold: f32):
        %keep = arith.cmpf ogt, %s, %threshold : f32
        kernel.yield %keep, %s : i1, f32
    } : tensor<?x32xf32> -> tensor<32xi32>, tensor<i32>, tensor<?x32xf32>
    ```
  }];
  let arguments = (ins AnyShaped:$scores, Variadic<AnyType>:$extras,
                       AnyShaped:$list, AnyShaped:$count, AnyShaped:$values);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region SizedRegion<1>:$rule);
  let assemblyFormat = [{
    $scores (`extras` `(` $extras^ `:` type($extras) `)`)?
    `outs` `(` $list `,` $count `,` $values `:` type($list) `,` type($count)
    `,` type($values) `)` $rule attr-dict
    `:` type($scores) (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() {
      return {getOperation(), getNumOperands() - 3, 3};
    }
  }];
}

def SelectedProductOp : SelectedOp<"selected_product"> {
  let summary = "product with the selected rows of a weight, and an epilogue";
  let description = [{
    `out[r, j] = epilogue(sum_k x[r, k] * w[n(j), k], extras...)` for `j` in
    `[0, count * P)`, where `n(j) = list[j / P] * P + j mod P` and P is H / G,
    as `kernel.select` lists them. The rest of `out` is undefined. The weight
    is neuron-major: a row for each neuron, padded to 64 bytes. Each weight is
    read once for up to 16 rows. Integers count as they are; scales are the
    epilogue's. Sums are f32.

    (C1) `x` is `R x K` of f32 or bf16, `weight` `H x K'` of f32, bf16 or i8,
    K' being K padded, `out` `R x H` of f32; all but R is static.
    (C2) `list` is `G` of i32, `count` of rank 0 of i32; `H` is `G` or `16 G`.
    (C3) each extra is `R x H`, read at `j`; `H`, read at `n(j)`; of rank 0, or
    a scalar.
    (C4) the region's arguments are f32 and the extras' element types; it
    yields an f32.
    (C5) the region holds only element-wise `arith` and `math` ops.
    (C6) all shaped operands are tensors and there is a result, or all are
    memrefs and there is none.

    ```mlir
    %m = kernel.selected_product %x, %w of(%list, %count)
        epilogue(%gate : tensor<?x32xf32>) outs(%init : tensor<?x32xf32>) {
      ^bb0(%up: f32, %g: f32):
        %p = arith.mulf %up, %g : f32
        kernel.yield %p : f32
    } : tensor<?x8xf32>, tensor<32x16xf32>, tensor<32xi32>, tensor<i32>
        -> tensor<?x32xf32>
    ```
  }];
  let arguments = (ins AnyShaped:$x, AnyShaped:$weight, AnyShaped:$list,
                       AnyShaped:$count, Variadic<AnyType>:$extras,
                       AnyShaped:$out);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    $x `,` $weight `of` `(` $list `,` $count `)`
    (`epilogue` `(` $extras^ `:` type($extras) `)`)?
    `outs` `(` $out `:` type($out) `)` $epilogue attr-dict
    `:` type($x) `,` type($weight) `,` type($list) `,` type($count)
    (`->` type($result)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutMutable(); }
  }];
}

def SelectedSumOp : SelectedOp<"selected_sum"> {
  let summary = "weighted sum of the selected rows of a weight, and an epilogue";
  let description = [{
    `out[r, n] = epilogue(sum_j values[r, j] * w[n(j), n], extras...)` over `j`
    in `[0, count * P)`, with `n(j)`, P and the weight as for
    `kernel.selected_product`. Neurons belong to parts by their number, and a
    part's sum is one chain of f32 multiply-adds from zero in the order of the
    list, so that a neuron whose value is 0 changes no bit (finite weights
    given), however many rows or threads there are. `bf16_values` promises that
    bf16 holds each value exactly.

    (C1) `values` is `R x H` of f32, `weight` `H x N'` of f32, bf16 or i8, N'
    being N padded, `out` `R x N`; all but R is static.
    (C2) `list` is `G` of i32, `count` of rank 0 of i32; `H` is `G` or `16 G`.
    (C3) each extra is `R x N`, `N`, of rank 0, or a scalar.
    (C4) the region's arguments are f32 and the extras' element types; it
    yields one value of `out`'s element type.
    (C5) the region holds only element-wise `arith` and `math` ops.
    (C6) all shaped operands are tensors and there is a result, or all are
    memrefs and there is none.

    ```mlir
    %y = kernel.selected_sum %m, %w of(%list, %count)
        epilogue(%bias : tensor<8xf32>) outs(%init : tensor<?x8xf32>) {
      ^bb0(%sum: f32, %b: f32):
        %s = arith.addf %sum, %b : f32
        kernel.yield %s : f32
    } : tensor<?x32xf32>, tensor<32x16xf32>, tensor<32xi32>, tensor<i32>
        -> tensor<?x8xf32>
    ```
  }];
  let arguments = (ins AnyShaped:$values, AnyShaped:$weight, AnyShaped:$list,
                       AnyShaped:$count, Variadic<AnyType>:$extras,
                       AnyShaped:$out,
                       UnitAttr:$bf16_values);
  let results = (outs Optional<AnyRankedTensor>:$result);
  let regions = (region SizedRegion<1>:$epilogue);
  let assemblyFormat = [{
    $values `,` $weight `of` `(` $list `,` $count `)`
    (`epilogue` `(` $extras^ `:` type($extras) `)`)?
    `outs` `(` $out `:` type($out) `)` $epilogue attr-dict
    `:` type($values) `,` type($weight) `,` type($list) `,` type($count)
    (`->` type($result)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutMutable(); }
  }];
}
#endif
