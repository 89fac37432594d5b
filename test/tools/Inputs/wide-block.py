# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""wide-block.py model.onnxtxt rows.npz: a gated block wide enough for kernels
that skip, and rows for it."""
import sys

import numpy

random = numpy.random.default_rng(1)
d, h = 64, 256


def matrix(name, rows, columns):
    values = random.normal(size=rows * columns) / numpy.sqrt(rows)
    return f"float[{rows}, {columns}] {name} = {{{', '.join(f'{v:.4f}' for v in values)}}}"


with open(sys.argv[1], "w") as file:
    file.write(f"""<
  ir_version: 9,
  opset_import: ["" : 20]
>
main (float[rows, {d}] x) => (float[rows, {d}] y)
<
  {matrix("gate", d, h)},
  {matrix("up", d, h)},
  {matrix("down", h, d)}
>
{{
  g = MatMul (x, gate)
  s = Sigmoid (g)
  a = Mul (g, s)
  u = MatMul (x, up)
  m = Mul (a, u)
  ["/mlp/down"] y = MatMul (m, down)
}}
""")
numpy.savez(sys.argv[2], x=random.normal(size=(400, d)).astype(numpy.float32))
