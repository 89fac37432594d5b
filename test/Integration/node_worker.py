# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles and runs ONNX backend cases, one path a line on standard input.

Answers each with one line of JSON: {"case", "outcome", "detail"} where the
outcome is passed, refused (the compiler said that it can't) or failed. A
process of its own, so that compiled code that crashes ends only one case.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnx.numpy_helper

import sparse_opt

# As ONNX's own backend tests compare; 16-bit floats by their resolution.
TOLERANCE = {"float16": (2e-3, 1e-3), "bfloat16": (2e-2, 1e-2)}


def read(path):
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return onnx.numpy_helper.to_array(tensor)


def numbered(folder, kind):
    """input_0.pb, input_1.pb, ... of a data set."""
    count = len(list(folder.glob(f"{kind}_*.pb")))
    return [read(folder / f"{kind}_{i}.pb") for i in range(count)]


def difference(got, want):
    """What is wrong with an output, or None."""
    if got.shape != want.shape:
        return f"shape {got.shape}, not {want.shape}"
    if got.dtype != want.dtype:
        return f"type {got.dtype}, not {want.dtype}"
    if want.dtype.kind not in "fV" and want.dtype.name not in TOLERANCE:
        wrong = int((got != want).sum())
        return f"{wrong} of {want.size} elements differ" if wrong else None
    relative, absolute = TOLERANCE.get(want.dtype.name, (1e-3, 1e-6))
    got, want = got.astype(numpy.float64), want.astype(numpy.float64)
    close = numpy.isclose(got, want, rtol=relative, atol=absolute,
                          equal_nan=True)
    if close.all():
        return None
    where = tuple(int(i) for i in numpy.argwhere(~close)[0])
    return (f"{(~close).sum()} of {want.size} elements differ, first at "
            f"{where}: {got[where]}, not {want[where]}")


def compile_model(model, out):
    return subprocess.run(
        [os.environ.get("SPARSE_OPT", "sparse-opt"), "compile", model, "-o",
         out, "--march=native", "-j", "1"], capture_output=True, text=True)


def bake(case, out):
    """Writes the case's model with its inputs of sizes and axes as constants.

    Cases pass shapes, axes and the like as inputs; exporters write constants.
    """
    model = onnx.load(case / "model.onnx")
    if any(not given.type.HasField("tensor_type")
           for given in model.graph.input):
        return False
    values = numbered(case / "test_data_set_0", "input")
    kept = []
    for i, (given, value) in enumerate(zip(model.graph.input, values)):
        small = value.dtype.kind == "i" and value.ndim <= 1 or value.size == 1
        if i > 0 and small:
            model.graph.initializer.append(
                onnx.numpy_helper.from_array(value, given.name))
        else:
            kept.append(given)
    if len(kept) == len(model.graph.input):
        return False
    del model.graph.input[:]
    model.graph.input.extend(kept)
    onnx.save(model, out)
    return True


def run(case, folder):
    """(outcome, detail) of one case."""
    # A library that was loaded once stays: each case has its own path.
    compiled = pathlib.Path(folder) / f"{case.name}.so"
    names = [each.name for each in onnx.load(case / "model.onnx").graph.input]
    done = compile_model(case / "model.onnx", compiled)
    if done.returncode == 1 and "no lowering" in done.stderr:
        baked = pathlib.Path(folder) / f"{case.name}.onnx"
        if bake(case, baked):
            done = compile_model(baked, compiled)
    if done.returncode == 1:
        return "refused", done.stderr.strip()
    if done.returncode:
        return "failed", f"status {done.returncode}: {done.stderr.strip()}"
    model = sparse_opt.load(str(compiled), threads=1)
    taken = {each.name for each in model.get_inputs()}
    for data in sorted(case.glob("test_data_set_*")):
        inputs = zip(names, numbered(data, "input"))
        outputs = model.run(None, {name: value for name, value in inputs
                                   if name in taken})
        for i, want in enumerate(numbered(data, "output")):
            wrong = difference(numpy.asarray(outputs[i]), numpy.asarray(want))
            if wrong:
                return "failed", f"output {i}: {wrong}"
    return "passed", ""


def main():
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            case = pathlib.Path(line.strip())
            try:
                outcome, detail = run(case, folder)
            except Exception as error:  # told to the test, not hidden
                outcome, detail = "failed", f"{type(error).__name__}: {error}"
            print(json.dumps({"case": case.name, "outcome": outcome,
                              "detail": detail}), flush=True)


if __name__ == "__main__":
    main()
