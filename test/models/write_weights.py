#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Makes a runnable model of a graph in text and published weights.

usage: write_weights.py GRAPH.onnxtxt WEIGHTS.safetensors OUT.onnx

The graph's initialisers are external data. Each is named after a tensor of
the safetensors file, with `model.` before it, and `.T` behind it where the
exporter stored the transpose. The data file is written beside OUT.onnx under
the name that the graph gives it.
"""
import json
import pathlib
import sys

import numpy
import onnx

TYPES = {"F32": (numpy.float32, onnx.TensorProto.FLOAT)}


def safetensors(path):
    """name -> array, mapped: eight bytes of length, JSON, then the data."""
    size = int.from_bytes(path.open("rb").read(8), "little")
    with path.open("rb") as file:
        header = json.loads(file.read(8 + size)[8:])
    data = numpy.memmap(path, mode="r", offset=8 + size)
    header.pop("__metadata__", None)
    for name, entry in header.items():
        if entry["dtype"] in TYPES:
            begin, end = entry["data_offsets"]
            kind, _ = TYPES[entry["dtype"]]
            yield name, data[begin:end].view(kind).reshape(entry["shape"])


def content(initialiser, weights):
    name = initialiser.name.removeprefix("model.")
    array = weights[name.removesuffix(".T")]
    if name.endswith(".T"):
        array = array.T
    if list(array.shape) != list(initialiser.dims):
        sys.exit(f"{initialiser.name}: {array.shape} isn't {list(initialiser.dims)}")
    return numpy.ascontiguousarray(array).tobytes()


def main(graph, source, out):
    model = onnx.parser.parse_model(graph.read_text())
    weights = dict(safetensors(source))
    files = {}
    for initialiser in model.graph.initializer:
        where = {entry.key: entry.value for entry in initialiser.external_data}
        raw = content(initialiser, weights)
        if len(raw) != int(where["length"]):
            sys.exit(f"{initialiser.name}: {len(raw)} bytes, not {where['length']}")
        name = where["location"]
        if name not in files:
            files[name] = open(out.parent / name, "wb")
        file = files[name]
        file.seek(int(where["offset"]))
        file.write(raw)
    for file in files.values():
        file.close()
    out.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
