// RUN: sparse-opt %s --ffn-expose=values=x,z --verify-diagnostics

// expected-error @below {{ffn-expose: 'z' is no value of a block; there are x, gate, up, act, residual and y}}
module {
}
