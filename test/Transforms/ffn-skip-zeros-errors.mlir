// RUN: not sparse-opt %s --ffn-skip-zeros=min-zeros=2 2>&1 | FileCheck %s --check-prefix=SHARE
// RUN: not sparse-opt %s --ffn-skip-zeros=layers=decoder 2>&1 | FileCheck %s --check-prefix=LAYERS
// RUN: not sparse-opt %s --ffn-skip-zeros=layers=+ 2>&1 | FileCheck %s --check-prefix=REGEX
// RUN: not sparse-opt %s --ffn-skip-zeros=profile=%t.none 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not sparse-opt %s --ffn-skip-zeros=profile=%s 2>&1 | FileCheck %s --check-prefix=FOREIGN
// RUN: sparse-opt %s --pass-pipeline='builtin.module(ffn-skip-zeros{layers=down},ffn-skip-zeros{layers=down})' | FileCheck %s --check-prefix=TWICE

// RUN: echo "module {}" | sparse-opt --ffn-skip-zeros 2>&1 | FileCheck %s --check-prefix=NOBLOCK

// NOBLOCK: warning: ffn-skip-zeros: there is no FFN block to work on{{$}}
// SHARE: error: ffn-skip-zeros: min-zeros=2 is no share from 0 to 1{{$}}
// LAYERS: error: ffn-skip-zeros: layers=decoder matches none of 1 FFN blocks; the first is '/down'{{$}}
// REGEX: error: ffn-skip-zeros: layers=+ is no regular expression: {{.+$}}
// NONE: error: ffn-skip-zeros: profile={{.*}}.none: No such file or directory{{$}}
// FOREIGN: error: ffn-skip-zeros: profile={{.*}}errors.mlir: not a profile made by 'sparse-opt calibrate'{{$}}

// A block that was taken is still known by its name.
// TWICE: ffn.methods = [{block = "/down", method = "ffn-skip-zeros"}]
func.func @main(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %up = onnx.constant dense<0.1> : tensor<4x8xf32>
  %down = onnx.constant dense<0.3> : tensor<8x4xf32>
  %y = ffn.block <relu> %x up(%up) down(%down) {block_name = "/down"} : (tensor<?x4xf32>, tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
