// RUN: sparse-opt %s -verify-diagnostics --convert-linalg-to-vector=target=sparc

// expected-error @+1 {{unknown target 'sparc', expected one of x86-64-v3, x86-64-v4}}
module {
}
