// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/rows.py %t/rows.npz 40 1
// RUN: sparse-opt calibrate %S/Inputs/gated.onnxtxt --inputs=%t/rows.npz --row-mask=none -o %t/p.profile
// RUN: sparse-opt compile %S/Inputs/gated.onnxtxt --emit=ffn -o %t/m.mlir
// RUN: not sparse-opt %t/m.mlir --ffn-threshold="profile=%t/p.profile rule=best cett=0.1" 2>&1 | FileCheck %s --check-prefix=RULE
// RUN: not sparse-opt %t/m.mlir --ffn-threshold="profile=%t/p.profile centre=mid cett=0.1" 2>&1 | FileCheck %s --check-prefix=CENTRE
// RUN: not sparse-opt %t/m.mlir --ffn-threshold="profile=%t/p.profile" 2>&1 | FileCheck %s --check-prefix=TARGET
// RUN: not sparse-opt %t/m.mlir --ffn-threshold="profile=%t/p.profile cett=0.1 target-density=0.5" 2>&1 | FileCheck %s --check-prefix=TARGET
// RUN: not sparse-opt %t/m.mlir --ffn-threshold="profile=%t/p.profile target-density=1.5" 2>&1 | FileCheck %s --check-prefix=DENSITY
// RUN: not sparse-opt %t/m.mlir --ffn-threshold="profile=%t/p.profile cett=nan" 2>&1 | FileCheck %s --check-prefix=CETT
// RUN: not sparse-opt %t/m.mlir --ffn-threshold="target-density=0.5" 2>&1 | FileCheck %s --check-prefix=PROFILE
// RUN: not sparse-opt %t/m.mlir --ffn-threshold="profile=%t/p.profile target-density=0.5 layers=attention" 2>&1 | FileCheck %s --check-prefix=LAYERS
// RUN: not sparse-opt %t/m.mlir --ffn-threshold="profile=%t/p.profile target-density=0.5 rule=scap" 2>&1 | FileCheck %s --check-prefix=GATED
// RUN: not sparse-opt %t/m.mlir --ffn-threshold="profile=%t/p.profile cett=0.1 folded-type=int4" 2>&1 | FileCheck %s --check-prefix=FOLDED
// RUN: not sparse-opt %t/m.mlir --ffn-threshold="profile=%t/p.profile cett=0.1 rule=teal centre=mean" 2>&1 | FileCheck %s --check-prefix=UNCENTRED
// RUN: not sparse-opt %t/m.mlir --ffn-threshold="profile=%t/p.profile target-density=0.5 rule=teal allocation=greedy" 2>&1 | FileCheck %s --check-prefix=ALLOCATED
// ALLOCATED: error: ffn-threshold: allocation=greedy divides neurons; rule=teal skips columns of x too{{$}}
// UNCENTRED: error: ffn-threshold: rule=teal has no centre=mean: skipped inputs count 0{{$}}
// FOLDED: error: ffn-threshold: folded-type=int4 is unknown; there are int8 and weights{{$}}
// RULE: error: ffn-threshold: rule=best is unknown; there are cats, chess, expected-cett, cett, product, scap, teal{{$}}
// CENTRE: error: ffn-threshold: centre=mid is unknown; there are none, median, mode, mean{{$}}
// TARGET: error: ffn-threshold: give either target-density= or cett={{$}}
// DENSITY: error: ffn-threshold: target-density=1.5 is no number above 0 and at most 1{{$}}
// CETT: error: ffn-threshold: cett=nan is no number above 0 and below 1{{$}}
// PROFILE: error: ffn-threshold: needs profile=FILE, made by 'sparse-opt calibrate'{{$}}
// LAYERS: error: ffn-threshold: layers=attention matches none of 1 FFN blocks; the first is '/mlp/down'{{$}}
// GATED: error: {{.*}}ffn-threshold: block '/mlp/down' is gated; rule=scap is for plain blocks{{$}}

// Profiles that don't fit: another model's, and one that knows the block by
// other sizes.
// RUN: %python %S/../tools/Inputs/calibration-data.py %t/plain.npz 60 7 1
// RUN: sparse-opt calibrate %S/../tools/model.onnxtxt --inputs=%t/plain.npz -o %t/plain.profile
// RUN: sparse-opt compile %S/../tools/model.onnxtxt --emit=ffn -o %t/plain.mlir
// RUN: not sparse-opt %t/m.mlir --ffn-threshold="profile=%t/plain.profile cett=0.1" 2>&1 | FileCheck %s --check-prefix=OTHER
// RUN: sed s./mlp/down./renamed. %t/m.mlir > %t/renamed.mlir
// RUN: not sparse-opt %t/renamed.mlir --ffn-threshold="profile=%t/p.profile cett=0.1" 2>&1 | FileCheck %s --check-prefix=RENAMED
// RUN: not sparse-opt %t/plain.mlir --ffn-threshold="profile=%t/plain.profile cett=0.1 rule=chess" 2>&1 | FileCheck %s --check-prefix=PLAIN
// OTHER: error: ffn-threshold: profile={{.*}}plain.profile: is a profile of another model: its weights have the hash {{[0-9a-f]+}}, those of this one have {{[0-9a-f]+$}}
// RENAMED: error: {{.*}}ffn-threshold: block '/renamed' isn't in {{.*}}p.profile as the model has it; calibrate again with this version{{$}}
// PLAIN: error: {{.*}}ffn-threshold: block '/down/MatMul' is plain; rule=chess is for gated blocks{{$}}

// Targets that can't be met; a block whose up projection has an activation.
// RUN: not sparse-opt %t/plain.mlir --ffn-threshold="profile=%t/plain.profile cett=1e-9" 2>&1 | FileCheck %s --check-prefix=TIGHT
// RUN: %python -c "import numpy as n; n.savez('%t/ties.npz', ids=n.zeros((9, 3), 'i8'), mask=n.arange(27, dtype='f4').reshape(9, 3))"
// RUN: sparse-opt calibrate %S/../tools/model.onnxtxt --inputs=%t/ties.npz --row-mask=none -o %t/ties.profile
// RUN: not sparse-opt %t/plain.mlir --ffn-threshold="profile=%t/ties.profile target-density=0.1" 2>&1 | FileCheck %s --check-prefix=TIES
// RUN: not sparse-opt %t/plain.mlir --ffn-threshold="profile=%t/plain.profile cett=1e-9 rule=teal" 2>&1 | FileCheck %s --check-prefix=TIGHT-INPUTS
// RUN: not sparse-opt %t/plain.mlir --ffn-threshold="profile=%t/ties.profile target-density=0.2 rule=teal" 2>&1 | FileCheck %s --check-prefix=TIES-INPUTS
// TIGHT-INPUTS: error: {{.*}}ffn-threshold: block '/down/MatMul': cett=1e-9 can't be met by skipping any weights: the best found is {{.*}}, at a density of 0.996{{$}}
// TIES-INPUTS: error: {{.*}}ffn-threshold: block '/down/MatMul': target-density=0.2 can't be met, for values tie: the best found is 0.062{{$}}
// RUN: sed "s/ up(/ up : <relu>(/" %t/m.mlir > %t/drelu.mlir
// RUN: not sparse-opt %t/drelu.mlir --ffn-threshold="profile=%t/p.profile cett=0.1 rule=cats centre=mean" 2>&1 | FileCheck %s --check-prefix=DRELU
// RUN: sed "s/1.000000e-01, 2.000000e-01, 3.000000e-01, 4.000000e-01, 5.000000e-01/3.0e+38, 3.0e+38, 3.0e+38, 3.0e+38, 3.0e+38/" %t/m.mlir > %t/inf.mlir
// RUN: not sparse-opt %t/inf.mlir --ffn-threshold="profile=%t/p.profile cett=0.1" 2>&1 | FileCheck %s --check-prefix=INF
// TIGHT: error: {{.*}}ffn-threshold: block '/down/MatMul': cett=1e-9 can't be met by skipping any neurons: the best found is {{.*}}, for one in a thousand{{$}}
// TIES: error: {{.*}}ffn-threshold: block '/down/MatMul': target-density=0.1 can't be met, for scores tie: the best found is 0.000{{$}}
// DRELU: error: {{.*}}ffn-threshold: block '/mlp/down' has an activation behind its up projection, so only centre=none can be folded{{$}}
// RUN: not sparse-opt %t/inf.mlir --ffn-threshold="profile=%t/p.profile cett=0.1 rule=teal" 2>&1 | FileCheck %s --check-prefix=INF
// INF: error: {{.*}}ffn-threshold: block '/mlp/down': gives NaN or infinity on the profile's rows{{$}}
