# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Runs a model in ONNX Runtime or OpenVINO for `sparse-opt bench` and `verify`.
# One JSON object a line in, one out; the tool's text is compiled into it. Times
# are taken around the run call alone, by this process' monotonic clock.
import importlib.util
import json
import os
import sys
import time


class OnnxRuntime:
    def __init__(self, model, threads):
        import onnxruntime

        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self.outputs = [output.name for output in self.session.get_outputs()]

    def run(self, feeds):
        return self.session.run(None, feeds)


class OpenVino:
    precision = "f32"

    def __init__(self, model, threads):
        import openvino

        self.version = openvino.__version__
        core = openvino.Core()
        config = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": self.precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        compiled = core.compile_model(model, "CPU", config)
        used = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        if used != self.precision:
            raise RuntimeError(f"computes in {used}, not {self.precision}")
        self.outputs = [output.get_any_name() for output in compiled.outputs]
        self.request = compiled.create_infer_request()

    def run(self, feeds):
        results = self.request.infer(feeds, share_inputs=True)
        return [results[i] for i in range(len(self.outputs))]


class OpenVinoBf16(OpenVino):
    precision = "bf16"


PEERS = {
    "onnxruntime": OnnxRuntime,
    "openvino": OpenVino,
    "openvino-bf16": OpenVinoBf16,
}


def load(path):
    """The class Peer of a Python file, made and used like those above."""
    spec = importlib.util.spec_from_file_location("peer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Peer


def answer(state, command):
    import numpy

    kind = command["do"]
    if kind == "open":
        make = PEERS.get(command["peer"]) or load(command["peer"])
        peer = make(command["model"], command["threads"])
        state["peer"] = peer
        return {"version": peer.version}
    if kind == "inputs":
        with numpy.load(command["file"]) as arrays:
            state["feeds"] = {name: arrays[name] for name in arrays.files}
        return {}
    peer, feeds = state["peer"], state["feeds"]
    times = []
    for _ in range(command["runs"]):
        start = time.perf_counter_ns()
        results = peer.run(feeds)
        times.append(time.perf_counter_ns() - start)
    if "file" in command:
        numpy.savez(command["file"], **dict(zip(peer.outputs, results)))
    return {"ns": times}


def main():
    # Libraries may print: the answers keep the real stdout for themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    state = {}
    for line in sys.stdin:
        try:
            reply = answer(state, json.loads(line))
        except Exception as error:  # every failure is the tool's to report
            text = " ".join(str(error).split())
            reply = {"error": f"{type(error).__name__}: {text}"[:500]}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


main()
