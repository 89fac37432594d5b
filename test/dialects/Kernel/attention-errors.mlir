// RUN: sparse-opt %s --split-input-file --verify-diagnostics

#q = affine_map<(b, h, m, n, d, e) -> (b, m, d)>
#k = affine_map<(b, h, m, n, d, e) -> (b, n, d)>
#v = affine_map<(b, h, m, n, d, e) -> (b, n)>
#o = affine_map<(b, h, m, n, d, e) -> (b, m, e)>
func.func @attention_c1(%q: tensor<?x?x8xf32>, %k: tensor<?x?x8xf32>, %v: tensor<?x?x8xf32>, %init: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  // expected-error @below {{map of v must go from six loops to rank 3}}
  %y = kernel.attention %q, %k, %v outs(%init : tensor<?x?x8xf32>) maps [#q, #k, #v, #o] score {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  } probability {
  ^bb0(%p: f32):
    kernel.yield %p : f32
  } : tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32> -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

#q = affine_map<(b, h, m, n, d, e) -> (b, m + n, d)>
#k = affine_map<(b, h, m, n, d, e) -> (b, n, d)>
#v = affine_map<(b, h, m, n, d, e) -> (b, n, e)>
#o = affine_map<(b, h, m, n, d, e) -> (b, m, e)>
func.func @attention_c2(%q: tensor<?x?x8xf32>, %k: tensor<?x?x8xf32>, %v: tensor<?x?x8xf32>, %init: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  // expected-error @below {{map of q has a result that is neither a loop nor 0}}
  %y = kernel.attention %q, %k, %v outs(%init : tensor<?x?x8xf32>) maps [#q, #k, #v, #o] score {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  } probability {
  ^bb0(%p: f32):
    kernel.yield %p : f32
  } : tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32> -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

#q = affine_map<(b, h, m, n, d, e) -> (b, m, d)>
#k = affine_map<(b, h, m, n, d, e) -> (b, n, e)>
#v = affine_map<(b, h, m, n, d, e) -> (b, n, e)>
#o = affine_map<(b, h, m, n, d, e) -> (b, m, e)>
func.func @attention_c3(%q: tensor<?x?x8xf32>, %k: tensor<?x?x8xf32>, %v: tensor<?x?x8xf32>, %init: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  // expected-error @below {{map of k is not over the loops of it}}
  %y = kernel.attention %q, %k, %v outs(%init : tensor<?x?x8xf32>) maps [#q, #k, #v, #o] score {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  } probability {
  ^bb0(%p: f32):
    kernel.yield %p : f32
  } : tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32> -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

#q = affine_map<(b, h, m, n, d, e) -> (b, m, d)>
#k = affine_map<(b, h, m, n, d, e) -> (b, n, d)>
#v = affine_map<(b, h, m, n, d, e) -> (b, n, e)>
#o = affine_map<(b, h, m, n, d, e) -> (b, m, e)>
func.func @attention_c4(%q: tensor<?x?x8xf32>, %k: tensor<?x?x4xf32>, %v: tensor<?x?x8xf32>, %init: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  // expected-error @below {{loop 4 is of size 8 and 4}}
  %y = kernel.attention %q, %k, %v outs(%init : tensor<?x?x8xf32>) maps [#q, #k, #v, #o] score {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  } probability {
  ^bb0(%p: f32):
    kernel.yield %p : f32
  } : tensor<?x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x8xf32> -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

#q = affine_map<(b, h, m, n, d, e) -> (b, m, d)>
#k = affine_map<(b, h, m, n, d, e) -> (b, n, d)>
#v = affine_map<(b, h, m, n, d, e) -> (b, n, e)>
#o = affine_map<(b, h, m, n, d, e) -> (b, m, e)>
func.func @attention_c6(%q: tensor<?x?x8xf32>, %k: tensor<?x?x8xf32>, %v: tensor<?x?x8xf32>, %init: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  // expected-error @below {{probability takes ('f32', 'f32'), expected ('f32')}}
  %y = kernel.attention %q, %k, %v outs(%init : tensor<?x?x8xf32>) maps [#q, #k, #v, #o] score {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  } probability {
  ^bb0(%p: f32, %extra: f32):
    kernel.yield %p : f32
  } : tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32> -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

#q = affine_map<(b, h, m, n, d, e) -> (h floordiv 2, m, d)>
#k = affine_map<(b, h, m, n, d, e) -> (h floordiv 2, n, d)>
#v = affine_map<(b, h, m, n, d, e) -> (h floordiv 2, n, e)>
#o = affine_map<(b, h, m, n, d, e) -> (h, m, e)>
func.func @attention_c2_shared_queries(%q: tensor<?x?x8xf32>, %k: tensor<?x?x8xf32>, %v: tensor<?x?x8xf32>, %init: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  // expected-error @below {{map of q has a result that is neither a loop nor 0}}
  %y = kernel.attention %q, %k, %v outs(%init : tensor<?x?x8xf32>) maps [#q, #k, #v, #o] score {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  } probability {
  ^bb0(%p: f32):
    kernel.yield %p : f32
  } : tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32> -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

#q = affine_map<(b, h, m, n, d, e) -> (h, m, d)>
#k = affine_map<(b, h, m, n, d, e) -> (h floordiv 3, n, d)>
#v = affine_map<(b, h, m, n, d, e) -> (h floordiv 3, n, e)>
#o = affine_map<(b, h, m, n, d, e) -> (h, m, e)>
func.func @attention_c4_shared_heads(%q: tensor<8x?x8xf32>, %k: tensor<3x?x8xf32>, %v: tensor<3x?x8xf32>, %init: tensor<8x?x8xf32>) -> tensor<8x?x8xf32> {
  // expected-error @below {{loop 1 is of size 8 and 9}}
  %y = kernel.attention %q, %k, %v outs(%init : tensor<8x?x8xf32>) maps [#q, #k, #v, #o] score {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  } probability {
  ^bb0(%p: f32):
    kernel.yield %p : f32
  } : tensor<8x?x8xf32>, tensor<3x?x8xf32>, tensor<3x?x8xf32> -> tensor<8x?x8xf32>
  return %y : tensor<8x?x8xf32>
}

// -----

#q = affine_map<(b, h, m, n, d, e) -> (b, m, d)>
#k = affine_map<(b, h, m, n, d, e) -> (b, n, d)>
#v = affine_map<(b, h, m, n, d, e) -> (b, n, e)>
#o = affine_map<(b, h, m, n, d, e) -> (b, m, e)>
func.func @attention_c7(%q: tensor<?x?x8xf32>, %k: tensor<?x?x8xf32>, %v: tensor<?x?x8xf32>, %init: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  // expected-error @below {{probability must yield its argument, or zero for a NaN}}
  %y = kernel.attention %q, %k, %v outs(%init : tensor<?x?x8xf32>) maps [#q, #k, #v, #o] score {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  } probability {
  ^bb0(%p: f32):
    %twice = arith.addf %p, %p : f32
    kernel.yield %twice : f32
  } : tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32> -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}
