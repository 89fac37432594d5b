// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_TRANSFORMS_PASSES_TD
#define SPARSE_OPT_TRANSFORMS_PASSES_TD
include "mlir/Pass/PassBase.td"

def OnnxFoldConstants : Pass<"onnx-fold-constants", "mlir::ModuleOp"> {
  let summary = "Evaluate nodes whose operands are all constant";
  let description = [{
    Covers what exporters leave to the runtime: weights stored as int8 (Cast
    and Mul, or DequantizeLinear with one scale or one per channel),
    transposed, joined or cut weights, scalars, tables, masks. MatMulNBits by
    packed constants becomes MatMul by floats. Equal nodes are evaluated once;
    a resource is freed with its last use; Reshape and kin share their
    operand's resource. Nodes whose result is over 64 KiB and more
    than eight times the size of their largest operand (Expand, Tile, Range,
    ConstantOfShape) stay, as do element types without a byte layout.
    Example: `test/Transforms/onnx-fold-constants.mlir`.
  }];
  let statistics = [
    Statistic<"numFolded", "folded-nodes", "Nodes evaluated">,
    Statistic<"numShared", "shared-nodes", "Nodes equal to an evaluated one">,
    Statistic<"numTooLarge", "too-large", "Nodes left because they grow">,
    Statistic<"numFreed", "freed-bytes", "Bytes of resources let go">];
  let dependentDialects = ["onnx::OnnxDialect"];
}

def OnnxFoldShapes : Pass<"onnx-fold-shapes", "mlir::func::FuncOp"> {
  let summary = "Turn shape arithmetic into polynomials of the inputs' sizes";
  let description = [{
    Propagates the symbols of `onnx.dims` through every node. Sizes that come
    out constant refine result types; integer tensors of rank 0 or 1 whose
    elements are known become `onnx.constant` or `onnx.dims`; Reshape and
    Expand name their whole result shape; nodes that copy an operand (Identity,
    Reshape, Expand, Cast, Slice, Transpose, Dropout to what is there already)
    and chains of Reshape and Transpose that are one permutation go; dead nodes
    go. A Range of dynamic length stays, as do sizes that depend on data.

    Sizes of two inputs that nodes combine element by element are taken to be
    equal: the second gets the first one's name (with a remark) and the
    runtime checks it. An equality that no name expresses is listed in the
    function's attribute `onnx.size_checks`: `[[lhs, rhs, node]]`.
    Example: `test/Transforms/onnx-fold-shapes.mlir`.
  }];
  let statistics = [
    Statistic<"numRefined", "refined-types", "Results that became static">,
    Statistic<"numFolded", "folded-contents", "Results replaced by contents">,
    Statistic<"numSimplified", "simplified-nodes", "Nodes that copied">,
    Statistic<"numRenamed", "renamed-symbols", "Sizes found equal">,
    Statistic<"numErased", "erased-nodes", "Dead nodes">];
  let dependentDialects = ["onnx::OnnxDialect"];
}

def KernelJoinStacks : Pass<"kernel-join-stacks", "mlir::ModuleOp"> {
  let summary = "Append to stacked caches as a whole";
  let description = [{
    An input whose slices along one dimension are read only to be joined with
    new rows each, and stacked again for a result (GPT-2's keys and values in
    one tensor a layer, perhaps transposed on the way), is joined with the
    stacked new rows instead; what was joined before is a slice of that. The
    input is copied once instead of twice, or kept by `--kernel-bind-states`;
    new rows are copied once more. Declines
    when one slice's new rows depend on another's joined ones (all layers of a
    model in one tensor), or when a slice has another reader.
    Example: `test/Transforms/kernel-join-stacks.mlir`.
  }];
  let statistics = [
    Statistic<"numJoined", "joined", "Stacks joined as a whole">];
  let dependentDialects = ["mlir::linalg::LinalgDialect",
                           "mlir::tensor::TensorDialect"];
}

def KernelBindStates : Pass<"kernel-bind-states", "mlir::ModuleOp"> {
  let summary = "Keep caches in buffers of the instance";
  let description = [{
    An input that is read only to be joined with new rows, along any one
    dimension, where what comes out is a result (ONNX's caches: `past` and
    `present` of a Concat), leaves the interface with its result. It becomes an
    argument with room for more rows (`kernel.state`, its number;
    `kernel.state_axis`; `kernel.state_result`, the name of the result):
    new rows are inserted behind the old ones, and what read the joined tensor
    reads a slice. @main then returns the other results, the buffers, and the
    length with the new rows (`kernel.state_length`, as a polynomial). The
    length before is an index argument; the room is a symbol of its own.

    Caches whose length is another than that of most, or that have a size no
    other input has, stay (with a remark), as do inputs of a cache's sizes that
    are used in another way: those of an encoder, and GroupQueryAttention's,
    whose sequences have a length each. An input that must be as long as the
    caches with the new rows (a mask looked up as one piece) is checked when the
    model runs and listed in `kernel.state_sizes` of @main. That there is no
    cache is an error.
    Example: `test/Transforms/kernel-bind-states.mlir`.
  }];
  let statistics = [
    Statistic<"numStates", "states", "Caches kept in the instance">,
    Statistic<"numDeclined", "declined", "Caches left in the interface">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::tensor::TensorDialect",
                           "kernel::KernelDialect"];
}

def FfnExpose : Pass<"ffn-expose", "mlir::ModuleOp"> {
  let summary = "Make what happens inside FFN blocks results of @main";
  let description = [{
    Every `ffn.block` hands out its values as f32 results named
    `<block>:<value>`: `x`; `gate` and `up`, the products before the
    activation; `act`, what goes into the down projection; `residual`, the sum
    of what is added to the block's result before anything else reads it, if
    something is; and `y`. For `gate`, `up` and `act` the block is taken apart
    into the nodes that it stands for. The model's own results go, with all
    that only they need, unless `keep-results`. A module without blocks stays.
    It loses nothing: values are those that the dense model computes.
    Example: `test/Transforms/ffn-expose.mlir`.
  }];
  let options = [
    ListOption<"values", "values", "std::string",
               "which (default: x,gate,up,act,residual)">,
    Option<"keepResults", "keep-results", "bool", "false",
           "keep the model's own results too">];
  let statistics = [
    Statistic<"numBlocks", "blocks", "Blocks looked into">,
    Statistic<"numResiduals", "residuals", "Blocks whose residual was found">,
    Statistic<"numResults", "results", "Results added">];
  let dependentDialects = ["onnx::OnnxDialect", "mlir::func::FuncDialect"];
}

def FfnSkipZeros : Pass<"ffn-skip-zeros", "mlir::ModuleOp"> {
  let summary = "Compute only neurons whose activation isn't zero";
  let description = [{
    For blocks whose activation gives exact zeros: relu, relu2, FATReLU (relu
    with a `cutoff`), and gated by them (dReLU too). The activation is computed first (`ffn.score exact`),
    and of neurons where it isn't zero the rest. It loses nothing.

        block(x) -> correct(x, select nonzero(score(x))) [+ down_bias]

    With a `profile`, blocks stay of whose activations fewer than `min-zeros`
    were zero; and smooth activations whose zeros reach that (silu underflows
    far below 0) are taken too. Without one they stay. Blocks that stay are in
    `ffn.methods` with their reason.

    The module attribute `ffn.methods`, for reports, is an array with a
    dictionary for each block: `block`, its name; `method`, the pass, or `none`
    and then `reason`; `density`, the share of neurons computed, on the rows of
    calibration that fits see (only with a profile).
    Example: `test/Transforms/ffn-skip-zeros.mlir`.
  }];
  let options = [
    Option<"layers", "layers", "std::string", "",
           "blocks whose name this regular expression is found in (all)">,
    Option<"profile", "profile", "std::string", "",
           "what `sparse-opt calibrate` wrote for this model">,
    Option<"minZeros", "min-zeros", "std::string", "\"0.1\"",
           "with a profile: least share of zeros, 0 to 1">];
  let statistics = [
    Statistic<"numCompressed", "compressed", "Blocks that skip zeros">,
    Statistic<"numDeclined", "declined", "Blocks left as they are">];
  let dependentDialects = ["ffn::FfnDialect", "mlir::arith::ArithDialect"];
}

def FfnThreshold : Pass<"ffn-threshold", "mlir::ModuleOp"> {
  let summary = "Compute only neurons that score above a threshold";
  let description = [{
    A neuron is computed where its score is greater than the block's
    threshold, else a constant `c` stands for its activation:

        y = x folded + offset + sum over kept of (act(g) - c) * u * down

    | `rule` | score | blocks |
    |---|---|---|
    | `cats` | abs(act(g) - c) | all |
    | `chess` | abs(act(g) - c) * sqrt(E[u^2]) | gated |
    | `expected-cett` | the same, times norm(down) | gated |
    | `cett` | abs((act(g) - c) * u) * norm(down) | all; u is computed whole |
    | `product` | abs((act(g) - c) * u) | all; u is computed whole |
    | `scap` | abs(act(z) - c) | plain |
    | `teal` | abs(act(g) * u), and abs(x) for columns of x | all; both are computed whole, from what is kept of x |

    (u is 1 in plain blocks, and g then their only product.) `centre` is what
    `c` is, per neuron over the calibration's rows: `none` is 0; the `median`,
    `mean` or `mode` (a value that a quarter of the rows share, else the peak
    of a kernel density estimate; what `scap` takes by default). Constants are
    folded exactly, in f64: into the bias, and of gated blocks into a `d x
    d_out` matrix, so a centred block with an activation behind `up` (dReLU)
    is an error. That matrix, which every row reads, is stored in int8 with one
    scale a column, or as `folded-type=weights` like all others.

    The threshold is the smallest that keeps `target-density` of the neurons
    or fewer, or the largest with CETT (mean over rows of norm(error) /
    norm(y)) within `cett`: on the profile's rows that fits may see, the same
    target in every block. `allocation` divides a density among blocks instead,
    whose mean over all neurons stays the target: `equal-error` gives all the
    same CETT, `greedy` makes the sum of their errors behind the norms that
    follow small (`docs/rationale/thresholds.md` has what that is worth). The
    threshold is the knob `<block>.threshold`. All this loses
    accuracy; what is lost, held-out rows say. Blocks whose weights aren't f32
    constants stay.

    `teal` has a second threshold, the knob `<block>.input_threshold`: of x
    only what is greater in magnitude is multiplied by gate and up, and what
    they give is thresholded for down. Skipped inputs count 0; there is no
    centre. `target-density` is the share of the elements of gate, up and down
    that is read, `cett` the error of both thresholds together. How much of it
    falls to x and how much to the neurons is decided block by block, in steps
    of a twentieth of its weights: the one that leaves the smaller error is
    next. Above the density `<block>.input_crossover`, a knob that `compile`
    measures, all of the masked x is multiplied by dense kernels. Telemetry
    counts columns as `<block>.inputs`.

    Neurons that calibration never saw active are named in a remark, and with
    `remove-dead` cut out of the weights.

    `ffn.methods` (see --ffn-skip-zeros) gets, beside `block`, `method` and
    `density`: `rule`, `centre`, `allocation` unless uniform, `threshold`; `rows`, those it was fitted to;
    `cett` on them; `thresholds` that keep 0.05, 0.1, ... 0.95 of the neurons
    there; `dead` and `removed`, numbers of neurons; and, where rows
    were held out, `held_out_rows`, `held_out_density`, `held_out_cett` (the
    block's error with nothing added), if a residual stream joins
    `held_out_error_with_residual`, behind the LayerNorm or RMSNorm that reads
    the sum (`norm`, its node) `held_out_error_after_norm`, or that as a unit
    attribute and the reason as `no_norm`, and `settings`: what else the knob
    could be set to, with `threshold`, `density` and `cett` on held-out rows. With
    `teal` densities are shares of the weights, and there are `input_density`,
    `neuron_density`, the same `held_out_`, `input_threshold` (in `settings`
    too), and `input_thresholds`, which go with `thresholds`.
    Example: `test/Transforms/ffn-threshold.mlir`.
  }];
  let options = [
    Option<"profile", "profile", "std::string", "",
           "what `sparse-opt calibrate` wrote for this model">,
    Option<"rule", "rule", "std::string", "\"cett\"", "see the table">,
    Option<"centre", "centre", "std::string", "",
           "none, median, mode or mean (none; mode for scap)">,
    Option<"targetDensity", "target-density", "std::string", "",
           "share of neurons (teal: of weights) to keep, above 0 and at most 1">,
    Option<"cett", "cett", "std::string", "",
           "error of a block to allow instead, above 0 and below 1">,
    Option<"allocation", "allocation", "std::string", "\"uniform\"",
           "of target-density to blocks: uniform, equal-error or greedy">,
    Option<"foldedType", "folded-type", "std::string", "\"int8\"",
           "of the matrix that constants are folded into: int8 or weights">,
    Option<"layers", "layers", "std::string", "",
           "blocks whose name this regular expression is found in (all)">,
    Option<"removeDead", "remove-dead", "bool", "false",
           "cut out neurons that were never active">];
  let statistics = [
    Statistic<"numCompressed", "compressed", "Blocks with a threshold">,
    Statistic<"numDeclined", "declined", "Blocks left as they are">,
    Statistic<"numRemoved", "removed-neurons", "Neurons cut out">];
  let dependentDialects = ["ffn::FfnDialect", "onnx::OnnxDialect",
                           "mlir::arith::ArithDialect"];
}

def KernelBindSymbols : Pass<"kernel-bind-symbols", "mlir::ModuleOp"> {
  let summary = "Make the inputs' symbolic dims arguments of @main";
  let description = [{
    Every distinct dynamic name in the `onnx.dims` of the arguments becomes an
    index argument behind them, in order of first appearance; `tensor.dim` of
    an argument becomes that argument. The module attribute `kernel.symbols`
    keeps the names. The private function `@kernel_output_dims` computes all
    dims of all results (and the length of `--kernel-bind-states`, but nothing
    of its buffers) from the symbols. It fails when a result's size depends on
    anything else.
    Example: `test/Transforms/kernel-bind-symbols.mlir`.
  }];
  let statistics = [
    Statistic<"numSymbols", "symbols", "Distinct symbolic dims">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::affine::AffineDialect",
                           "mlir::func::FuncDialect",
                           "mlir::tensor::TensorDialect"];
}

def KernelFuseElementwise : Pass<"kernel-fuse-elementwise"> {
  let summary = "Fuse chains of element-wise ops";
  let description = [{
    Named structured ops become `linalg.generic`. An element-wise producer is computed
    inside its consumer when the consumer is its only user, or when it is
    cheap and makes more than it reads (a broadcast); a reduction that reads an
    operand several times keeps it in memory.
    Example: `test/Transforms/kernel-fuse-elementwise.mlir`.
  }];
  let dependentDialects = ["mlir::affine::AffineDialect",
                           "mlir::arith::ArithDialect",
                           "mlir::linalg::LinalgDialect",
                           "mlir::math::MathDialect",
                           "mlir::tensor::TensorDialect"];
}

def KernelFuseRows : Pass<"kernel-fuse-rows"> {
  let summary = "One parallel loop over rows for each chain of row-wise ops";
  let description = [{
    Element-wise ops and reductions over inner dimensions (LayerNorm, RMSNorm,
    softmax, gathers of embeddings) that hand rows to each other become one
    `scf.forall` over their common outer dimensions. Values between them are as
    small as a row; values that others use are written as well, nothing is
    computed twice. An op stays out when it would shrink the loop (a reduction
    over an outer dimension), when something outside lies between, or when it
    is a product. Ops alone stay as they are.
    Example: `test/Transforms/kernel-fuse-rows.mlir`.
  }];
  let statistics = [
    Statistic<"numLoops", "loops", "Loops over rows made">,
    Statistic<"numFused", "fused", "Ops in them">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::linalg::LinalgDialect",
                           "mlir::scf::SCFDialect",
                           "mlir::tensor::TensorDialect"];
}

def KernelExternalizeWeights : Pass<"kernel-externalize-weights", "mlir::ModuleOp"> {
  let summary = "Move constant tensors out of the IR";
  let description = [{
    Constant tensors of at least `min-bytes` become `memref.view` of the new
    argument `%weights` (attribute `kernel.weights_base`), at offsets that are
    multiples of 64, in the order of their first use, an op's smaller ones
    first. Equal contents are stored once, whatever their type. The module
    attribute `kernel.weights` lists `{offset, resource}`;
    `kernel.weights_size` is their extent in bytes. Large splats become
    `linalg.fill`. Constants of i1 stay.
    Example: `test/Transforms/kernel-externalize-weights.mlir`.
  }];
  let options = [
    Option<"minBytes", "min-bytes", "int64_t", "256",
           "smallest constant that is moved, in bytes">];
  let statistics = [
    Statistic<"numExternalized", "externalized", "Constants moved">,
    Statistic<"weightBytes", "weight-bytes", "Bytes of all weights">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::bufferization::BufferizationDialect",
                           "mlir::linalg::LinalgDialect",
                           "mlir::memref::MemRefDialect",
                           "mlir::tensor::TensorDialect"];
}

def KernelBindBuffers : Pass<"kernel-bind-buffers", "mlir::ModuleOp"> {
  let summary = "Inputs and results of @main become buffers of the caller";
  let description = [{
    Tensor arguments become memrefs (attribute `kernel.input`) that are only
    read; each result is written to a new memref argument
    (`kernel.output`, with the result's attributes). States are updated where
    they are. One-shot bufferisation follows.
    Example: `test/Transforms/kernel-bind-buffers.mlir`.
  }];
  let dependentDialects = ["mlir::bufferization::BufferizationDialect",
                           "mlir::memref::MemRefDialect"];
}

def LinalgDecomposeAggregates : Pass<"linalg-decompose-aggregates"> {
  let summary = "Split linalg.softmax into reductions and element-wise ops";
  let description = [{
    Applies to every op with linalg's aggregate interface. Runs after
    `--kernel-form-regions`, which recognises attention by its softmax.

    Example: test/Transforms/linalg-decompose-aggregates.mlir
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [Statistic<"numDecomposed", "num-decomposed",
                              "Ops split into loop nests">];
}

def KernelFormRegions : Pass<"kernel-form-regions", "mlir::ModuleOp"> {
  let summary = "Make products and attentions one region op each";
  let description = [{
    A contraction with a constant right side and the element-wise ops after
    it, as long as all their uses end in one result, become `kernel.product`
    with the weight packed; other operands of the chain must be of the
    result's shape, of its last dimension, or single elements. A softmax
    between two contractions becomes `kernel.attention`; transpositions,
    reshapes that cancel and constant factors around it move into its maps and
    its score. Rounding may differ by the order of constant factors. A
    contraction without a constant side or with a broadcast left side, and a
    softmax that is used otherwise, stay linalg. Packed originals that nothing
    else uses are freed. A table whose rows are looked up and that a product has
    as its weight, maybe transposed (tied embeddings), is kept packed only.
    Example: `test/Transforms/kernel-form-regions.mlir`.
  }];
  let statistics = [
    Statistic<"numProducts", "products", "Products formed">,
    Statistic<"numPlainContractions", "plain-contractions",
              "Contractions left as linalg">,
    Statistic<"numAttentions", "attentions", "Attentions formed">,
    Statistic<"numPlainSoftmaxes", "plain-softmaxes",
              "Softmaxes left as linalg">,
    Statistic<"numShared", "shared-tables", "Tables that a product shares">,
    Statistic<"numFreed", "freed", "Unpacked weights whose memory was freed">];
  let dependentDialects = ["kernel::KernelDialect",
                           "mlir::arith::ArithDialect",
                           "mlir::linalg::LinalgDialect",
                           "mlir::tensor::TensorDialect"];
}

def KernelNarrowTypes : Pass<"kernel-narrow-types", "mlir::ModuleOp"> {
  let summary = "Products and attentions on bf16 operands, bf16 or int8 weights";
  let description = [{
    With `operands=bf16` the operands of `kernel.product` and
    `kernel.attention` are rounded to bf16, to nearest; sums stay f32. A value
    that such operands alone use is made in bf16: in the epilogue of the op it
    comes from, or by one rounding after it. All else, residual streams, norms
    and softmax, stays f32. So do values of selected neurons, which are rounded
    to bf16 where they are made: then they are those of the whole product.

    `weights` says what constants of products become, whatever the operands
    are: rounded to bf16, packed in pairs, or int8, symmetric and to nearest with
    one scale for each neuron (the epilogue begins with a multiplication by it).
    Products of fewer than `min-int8-elements` weights keep the operands' type
    instead of int8, as do weights that aren't finite: they stay in cache. Large
    tables that are only looked up, such as word embeddings, are narrowed alike,
    of int8 with one scale for each row (small ones, of positions or rotations,
    may need their bits), and look-ups in a product's weight read the narrow one.
    The f32 constants are freed. A product with `kernel.weight_type = i8` has
    int8 weights whatever `weights` says.
    Example: `test/Transforms/kernel-narrow-types.mlir`.
  }];
  let options = [
    Option<"operands", "operands", "std::string", "\"bf16\"",
           "f32 or bf16">,
    Option<"weights", "weights", "std::string", "\"bf16\"",
           "f32, bf16 or int8">,
    Option<"minTableBytes", "min-table-bytes", "int64_t",
           "1 << 20", "size from which tables are rounded">,
    Option<"minInt8Elements", "min-int8-elements", "int64_t",
           "1 << 14", "size from which weights become int8">];
  let statistics = [
    Statistic<"numProducts", "products", "Products on bf16">,
    Statistic<"numAttentions", "attentions", "Attentions on bf16">,
    Statistic<"numResults", "results", "Results made in bf16">,
    Statistic<"numWeights", "weights", "Weights of products narrowed">,
    Statistic<"numOtherWeights", "other-weights",
              "Weights that can't be narrowed">,
    Statistic<"numTables", "tables", "Tables narrowed">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::linalg::LinalgDialect",
                           "mlir::tensor::TensorDialect"];
}

def KernelMergeProducts : Pass<"kernel-merge-products", "mlir::ModuleOp"> {
  let summary = "Products of the same rows as one";
  let description = [{
    `kernel.product` ops of one block with the same left operand, constant
    weights and equal epilogues (query, key and value projections) become one
    over the joined panels; constant biases are joined too, and each result
    becomes a range of columns. A product stays alone when its columns don't
    fill whole panels, its epilogue reads a matrix or a bias that isn't
    constant, or its result goes where a range of columns would have to be
    copied: to a reshape of columns, a loop, or the function's caller.
    Example: `test/Transforms/kernel-merge-products.mlir`.
  }];
  let statistics = [
    Statistic<"numMerged", "merged", "Products that became part of one">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::tensor::TensorDialect"];
}

def KernelShortenActivations : Pass<"kernel-shorten-activations"> {
  let summary = "Activations no more exact than the bf16 they are rounded to";
  let description = [{
    In a `kernel.product` whose epilogue ends by rounding to bf16, GELU and its
    tanh form become polynomials of 9 terms, SiLU and QuickGELU an exponential
    and a reciprocal of few terms. Errors are below 2^-12 of the result, an
    eighth of what rounding moves it by, or 4e-5 where GELU vanishes below
    -1.5. Functions are known by their values on a grid, so every
    spelling is the same. It declines where the result stays f32, and other
    functions.
    Example: `test/Transforms/kernel-shorten-activations.mlir`.
  }];
  let statistics = [
    Statistic<"numShortened", "shortened", "Epilogues shortened">,
    Statistic<"numOthers", "others", "Epilogues with other functions">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::math::MathDialect"];
}

def KernelNarrowStates : Pass<"kernel-narrow-states", "mlir::ModuleOp"> {
  let summary = "Caches in bf16 that are rounded whenever they are read";
  let description = [{
    A state of `--kernel-bind-states` in f32 whose readers all round it to bf16
    (`--kernel-narrow-types` made them) holds bf16: its rows are rounded as they
    come in. Results stay the same bits; runs round as many rows as they
    append, and the cache takes half the memory. A state that is read otherwise
    stays.
    Example: `test/Transforms/kernel-narrow-states.mlir`.
  }];
  let statistics = [
    Statistic<"numNarrowed", "narrowed", "Caches in bf16">];
  let dependentDialects = ["mlir::arith::ArithDialect",
                           "mlir::linalg::LinalgDialect",
                           "mlir::tensor::TensorDialect"];
}

#endif
