#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Makes a runnable model of a graph in text and weights from elsewhere.

usage: write_weights.py GRAPH SOURCE OUT.onnx

SOURCE is a .safetensors or .gguf file, or `random`: the same made-up weights
for a name on every machine. The graph's initialisers are external data. Each
is named after a tensor of SOURCE, `.T` behind it where the exporter stored the
transpose (and `model.` before it if its owner was called so). The data file is
written beside OUT.onnx under the name that the graph gives it.

A line `%for L = 1 to 29` of a graph repeats what follows, up to `%end`, with
{L} and {L-1} replaced; offsets and lengths may be missing.
"""
import json
import pathlib
import re
import sys
import zlib

import numpy
import onnx

import gguf_file


def safetensors(path):
    """name -> array, mapped: eight bytes of length, JSON, then the data."""
    size = int.from_bytes(path.open("rb").read(8), "little")
    with path.open("rb") as file:
        header = json.loads(file.read(8 + size)[8:])
    data = numpy.memmap(path, mode="r", offset=8 + size)
    header.pop("__metadata__", None)
    for name, entry in header.items():
        if entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            yield name, data[begin:end].view(numpy.float32).reshape(entry["shape"])


def random(name, shape):
    """Wide enough that tokens differ, narrow enough that nothing saturates."""
    made = numpy.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) == 1:
        return .1 * made + ("norm" in name or ".ln_" in name) * name.endswith("weight")
    return made * (.4 if "emb" in name or "wte" in name or "shared" in name else .15)


def opened(source):
    """Function from name and shape to the array."""
    if source.name == "random":
        return random
    if source.suffix == ".gguf":
        made = gguf_file.llama_weights(gguf_file.File(source))
        return lambda name, shape: made[name]()
    weights = dict(safetensors(source))
    return lambda name, shape: weights[name.removeprefix("model.")]


def content(initialiser, weights):
    name, shape = initialiser.name, list(initialiser.dims)
    transposed = name.endswith(".T")
    array = weights(name.removesuffix(".T"), shape[::-1] if transposed else shape)
    array = array.T if transposed else array
    if list(array.shape) != shape:
        sys.exit(f"{name}: {array.shape} isn't {shape}")
    return numpy.ascontiguousarray(array, numpy.float32).tobytes()


def expanded(text):
    def repeat(match):
        return "".join(
            match[4].replace("{%s}" % match[1], str(i))
                    .replace("{%s-1}" % match[1], str(i - 1))
            for i in range(int(match[2]), int(match[3]) + 1))
    return re.sub(r"^%for (\w+) = (\d+) to (\d+)\n(.*?)^%end\n", repeat, text,
                  flags=re.M | re.S)


def main(graph, source, out):
    model = onnx.parser.parse_model(expanded(graph.read_text()))
    weights = opened(source)
    files, ends = {}, {}
    for initialiser in model.graph.initializer:
        where = {entry.key: entry.value for entry in initialiser.external_data}
        if not where:
            continue
        raw = content(initialiser, weights)
        if len(raw) != int(where.get("length", len(raw))):
            sys.exit(f"{initialiser.name}: {len(raw)} bytes, not {where['length']}")
        name = where["location"]
        if name not in files:
            files[name] = open(out.parent / name, "wb")
        at = int(where.get("offset", ends.get(name, 0)))
        ends[name] = at + len(raw)
        for key, value in ("offset", at), ("length", len(raw)):
            if key not in where:
                initialiser.external_data.add(key=key, value=str(value))
        files[name].seek(at)
        files[name].write(raw)
    for file in files.values():
        file.close()
    out.write_bytes(model.SerializeToString())


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
