// RUN: sparse-opt %s --split-input-file --verify-diagnostics

func.func @select_c1(%x: tensor<?x32xf32>, %l: tensor<32xi32>, %n: tensor<i32>, %v: tensor<?x16xf32>) {
  // expected-error @below {{needs scores and values R x H of f32 with H static}}
  %r:3 = kernel.select %x outs(%l, %n, %v : tensor<32xi32>, tensor<i32>, tensor<?x16xf32>) {
  ^bb0(%s: f32):
    %keep = arith.cmpf ogt, %s, %s : f32
    kernel.yield %keep, %s : i1, f32
  } : tensor<?x32xf32> -> tensor<32xi32>, tensor<i32>, tensor<?x16xf32>
  return
}

// -----

func.func @select_c1_list(%x: tensor<?x32xf32>, %l: tensor<32xi32>, %n: tensor<1xi32>, %v: tensor<?x32xf32>) {
  // expected-error @below {{needs a list of static size and a count, of i32}}
  %r:3 = kernel.select %x outs(%l, %n, %v : tensor<32xi32>, tensor<1xi32>, tensor<?x32xf32>) {
  ^bb0(%s: f32):
    %keep = arith.cmpf ogt, %s, %s : f32
    kernel.yield %keep, %s : i1, f32
  } : tensor<?x32xf32> -> tensor<32xi32>, tensor<1xi32>, tensor<?x32xf32>
  return
}

// -----

func.func @select_c2(%x: tensor<?x32xf32>, %l: tensor<8xi32>, %n: tensor<i32>, %v: tensor<?x32xf32>) {
  // expected-error @below {{lists 8 groups of 32 neurons, expected as many, or a group for each 16}}
  %r:3 = kernel.select %x outs(%l, %n, %v : tensor<8xi32>, tensor<i32>, tensor<?x32xf32>) {
  ^bb0(%s: f32):
    %keep = arith.cmpf ogt, %s, %s : f32
    kernel.yield %keep, %s : i1, f32
  } : tensor<?x32xf32> -> tensor<8xi32>, tensor<i32>, tensor<?x32xf32>
  return
}

// -----

func.func @select_c3(%x: tensor<?x32xf32>, %l: tensor<32xi32>, %n: tensor<i32>, %v: tensor<?x32xf32>, %e: tensor<16xf32>) {
  // expected-error @below {{extra #0 is 'tensor<16xf32>', expected R x H, H or a scalar}}
  %r:3 = kernel.select %x extras(%e : tensor<16xf32>) outs(%l, %n, %v : tensor<32xi32>, tensor<i32>, tensor<?x32xf32>) {
  ^bb0(%s: f32, %extra: f32):
    %keep = arith.cmpf ogt, %s, %s : f32
    kernel.yield %keep, %s : i1, f32
  } : tensor<?x32xf32> -> tensor<32xi32>, tensor<i32>, tensor<?x32xf32>
  return
}

// -----

func.func @select_c4(%x: tensor<?x32xf32>, %l: tensor<32xi32>, %n: tensor<i32>, %v: tensor<?x32xf32>) {
  // expected-error @below {{rule must yield 'i1', 'f32'}}
  %r:3 = kernel.select %x outs(%l, %n, %v : tensor<32xi32>, tensor<i32>, tensor<?x32xf32>) {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  } : tensor<?x32xf32> -> tensor<32xi32>, tensor<i32>, tensor<?x32xf32>
  return
}

// -----

func.func @select_c5(%x: tensor<?x32xf32>, %l: tensor<32xi32>, %n: tensor<i32>, %v: tensor<?x32xf32>) {
  // expected-error @below {{rule holds 'tensor.extract', which isn't an element-wise arith or math op}}
  %r:3 = kernel.select %x outs(%l, %n, %v : tensor<32xi32>, tensor<i32>, tensor<?x32xf32>) {
  ^bb0(%s: f32):
    %i = arith.constant 0 : index
    %e0 = tensor.extract %x[%i, %i] : tensor<?x32xf32>
    %keep = arith.cmpf ogt, %s, %e0 : f32
    kernel.yield %keep, %s : i1, f32
  } : tensor<?x32xf32> -> tensor<32xi32>, tensor<i32>, tensor<?x32xf32>
  return
}

// -----

func.func @product_c1(%x: tensor<?x8xf64>, %w: tensor<32x16xf32>, %l: tensor<32xi32>, %n: tensor<i32>, %o: tensor<?x32xf32>) {
  // expected-error @below {{needs x R x K of f32 or bf16 and out R x H of f32 with K, H static}}
  %r = kernel.selected_product %x, %w of(%l, %n) outs(%o : tensor<?x32xf32>) {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  } : tensor<?x8xf64>, tensor<32x16xf32>, tensor<32xi32>, tensor<i32> -> tensor<?x32xf32>
  return
}

// -----

func.func @product_c1_weight(%x: tensor<?x8xbf16>, %w: tensor<32x16xbf16>, %l: tensor<32xi32>, %n: tensor<i32>, %o: tensor<?x32xf32>) {
  // expected-error @below {{weight is 'tensor<32x16xbf16>', expected the shape of 'tensor<32x32xbf16>'}}
  %r = kernel.selected_product %x, %w of(%l, %n) outs(%o : tensor<?x32xf32>) {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  } : tensor<?x8xbf16>, tensor<32x16xbf16>, tensor<32xi32>, tensor<i32> -> tensor<?x32xf32>
  return
}

// -----

func.func @product_c1_rows(%x: tensor<2x8xf32>, %w: tensor<32x16xf32>, %l: tensor<32xi32>, %n: tensor<i32>, %o: tensor<3x32xf32>) {
  // expected-error @below {{x and out differ in rows}}
  %r = kernel.selected_product %x, %w of(%l, %n) outs(%o : tensor<3x32xf32>) {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  } : tensor<2x8xf32>, tensor<32x16xf32>, tensor<32xi32>, tensor<i32> -> tensor<3x32xf32>
  return
}

// -----

func.func @product_c2(%x: tensor<?x8xf32>, %w: tensor<32x16xf32>, %l: tensor<3xi32>, %n: tensor<i32>, %o: tensor<?x32xf32>) {
  // expected-error @below {{lists 3 groups of 32 neurons}}
  %r = kernel.selected_product %x, %w of(%l, %n) outs(%o : tensor<?x32xf32>) {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  } : tensor<?x8xf32>, tensor<32x16xf32>, tensor<3xi32>, tensor<i32> -> tensor<?x32xf32>
  return
}

// -----

func.func @product_c3(%x: tensor<?x8xf32>, %w: tensor<32x16xf32>, %l: tensor<32xi32>, %n: tensor<i32>, %o: tensor<?x32xf32>, %e: tensor<8xf32>) {
  // expected-error @below {{extra #0 is 'tensor<8xf32>', expected R x H, H or a scalar}}
  %r = kernel.selected_product %x, %w of(%l, %n) epilogue(%e : tensor<8xf32>) outs(%o : tensor<?x32xf32>) {
  ^bb0(%a: f32, %b: f32):
    kernel.yield %a : f32
  } : tensor<?x8xf32>, tensor<32x16xf32>, tensor<32xi32>, tensor<i32> -> tensor<?x32xf32>
  return
}

// -----

func.func @product_c4(%x: tensor<?x8xf32>, %w: tensor<32x16xf32>, %l: tensor<32xi32>, %n: tensor<i32>, %o: tensor<?x32xf32>) {
  // expected-error @below {{epilogue must yield one 'f32'}}
  %r = kernel.selected_product %x, %w of(%l, %n) outs(%o : tensor<?x32xf32>) {
  ^bb0(%a: f32):
    %b = arith.truncf %a : f32 to bf16
    kernel.yield %b : bf16
  } : tensor<?x8xf32>, tensor<32x16xf32>, tensor<32xi32>, tensor<i32> -> tensor<?x32xf32>
  return
}

// -----

func.func @product_c6(%x: tensor<?x8xf32>, %w: tensor<32x16xf32>, %l: tensor<32xi32>, %n: memref<i32>, %o: tensor<?x32xf32>) {
  // expected-error @below {{is on tensors but has an operand of 'memref<i32>'}}
  %r = kernel.selected_product %x, %w of(%l, %n) outs(%o : tensor<?x32xf32>) {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  } : tensor<?x8xf32>, tensor<32x16xf32>, tensor<32xi32>, memref<i32> -> tensor<?x32xf32>
  return
}

// -----

func.func @sum_c1(%x: tensor<?x32xbf16>, %w: tensor<32x16xf32>, %l: tensor<32xi32>, %n: tensor<i32>, %o: tensor<?x8xf32>) {
  // expected-error @below {{needs values R x H of f32 and out R x N with H, N static}}
  %r = kernel.selected_sum %x, %w of(%l, %n) outs(%o : tensor<?x8xf32>) {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  } : tensor<?x32xbf16>, tensor<32x16xf32>, tensor<32xi32>, tensor<i32> -> tensor<?x8xf32>
  return
}

// -----

func.func @sum_c1_weight(%x: tensor<?x32xf32>, %w: tensor<32x64xi16>, %l: tensor<32xi32>, %n: tensor<i32>, %o: tensor<?x8xf32>) {
  // expected-error @below {{weight must hold f32, bf16 or i8}}
  %r = kernel.selected_sum %x, %w of(%l, %n) outs(%o : tensor<?x8xf32>) {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  } : tensor<?x32xf32>, tensor<32x64xi16>, tensor<32xi32>, tensor<i32> -> tensor<?x8xf32>
  return
}

// -----

func.func @sum_c2(%x: tensor<?x32xf32>, %w: tensor<32x16xf32>, %l: tensor<?xi32>, %n: tensor<i32>, %o: tensor<?x8xf32>) {
  // expected-error @below {{needs a list of static size and a count, of i32}}
  %r = kernel.selected_sum %x, %w of(%l, %n) outs(%o : tensor<?x8xf32>) {
  ^bb0(%a: f32):
    kernel.yield %a : f32
  } : tensor<?x32xf32>, tensor<32x16xf32>, tensor<?xi32>, tensor<i32> -> tensor<?x8xf32>
  return
}

// -----

func.func @sum_c3(%x: tensor<?x32xf32>, %w: tensor<32x16xf32>, %l: tensor<32xi32>, %n: tensor<i32>, %o: tensor<?x8xf32>, %e: tensor<32xf32>) {
  // expected-error @below {{extra #0 is 'tensor<32xf32>', expected R x N, N or a scalar}}
  %r = kernel.selected_sum %x, %w of(%l, %n) epilogue(%e : tensor<32xf32>) outs(%o : tensor<?x8xf32>) {
  ^bb0(%a: f32, %b: f32):
    kernel.yield %a : f32
  } : tensor<?x32xf32>, tensor<32x16xf32>, tensor<32xi32>, tensor<i32> -> tensor<?x8xf32>
  return
}

// -----

func.func @sum_c4(%x: tensor<?x32xf32>, %w: tensor<32x16xf32>, %l: tensor<32xi32>, %n: tensor<i32>, %o: tensor<?x8xf32>) {
  // expected-error @below {{epilogue takes ('f32', 'f32'), expected ('f32')}}
  %r = kernel.selected_sum %x, %w of(%l, %n) outs(%o : tensor<?x8xf32>) {
  ^bb0(%a: f32, %b: f32):
    kernel.yield %a : f32
  } : tensor<?x32xf32>, tensor<32x16xf32>, tensor<32xi32>, tensor<i32> -> tensor<?x8xf32>
  return
}
