# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exported decoders with their caches in the instance (--kv-cache=in-place):
the bits of the same model whose caches the caller passes, however an exporter
lays them out; and caches that have to stay in the interface.
"""
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy
import onnx
from onnx import helper, numpy_helper

import sparse_opt
from test_decoders import WIDTH, feeds_of, random_ids, write

try:
    import onnxruntime
except ImportError:
    onnxruntime = None


def compile_model(model, out, *flags):
    return subprocess.run([os.environ.get("SPARSE_OPT", "sparse-opt"), "compile", model, "-o", out,
                           "--march=native", *flags], capture_output=True, text=True)


def constant(graph, value):
    name = f"made.{len(graph.initializer)}"
    graph.initializer.append(numpy_helper.from_array(numpy.asarray(value, numpy.int64), name))
    return name


def swap_heads_and_rows(graph, name, given):
    """Lets `name`, a Concat of the cache `given`, join keys of [.., depth, rows]."""
    nodes, turned = [], dict(perm=[0, 1, 3, 2])
    for node in graph.node:
        if name not in node.output:
            nodes.append(node)
            continue
        nodes += [helper.make_node("Transpose", [node.input[1]], [f"{name}.new"], **turned),
                  helper.make_node("Concat", [given, f"{name}.new"], [f"{name}.T"], axis=3),
                  helper.make_node("Transpose", [f"{name}.T"], [name], **turned)]
    del graph.node[:]
    graph.node.extend(nodes)


def stacked(model, transposed):
    """The model with keys and values of a layer in one input past_N and one
    output present_N, as GPT-2's older exporters have them; `transposed`: with
    keys that are turned around to be joined."""
    graph = model.graph
    def shape(value):
        return [2] + [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
    pasts = [each for each in graph.input if "past" in each.name]
    presents = [each for each in graph.output if "present" in each.name]
    before, behind = [], []
    for layer, (past, present) in enumerate(zip(pasts[::2], presents[::2])):
        graph.input.append(helper.make_tensor_value_info(f"past_{layer}", 1, shape(past)))
        graph.output.append(helper.make_tensor_value_info(f"present_{layer}", 1, shape(present)))
        for i, (given, made) in enumerate(zip(pasts[2 * layer:], presents[2 * layer:][:2])):
            before.append(helper.make_node("Gather", [f"past_{layer}", constant(graph, i)],
                                           [given.name], axis=0))
            if transposed and i == 0:
                before.append(helper.make_node("Transpose", [given.name], [f"{given.name}.T"],
                                               perm=[0, 1, 3, 2]))
                swap_heads_and_rows(graph, made.name, f"{given.name}.T")
            behind.append(helper.make_node("Unsqueeze", [made.name, constant(graph, [0])],
                                           [f"{made.name}.one"]))
        behind.append(helper.make_node("Concat", [f"{each.name}.one" for each in
                                                  presents[2 * layer:2 * layer + 2]],
                                       [f"present_{layer}"], axis=0))
    for each in pasts:
        graph.input.remove(each)
    for each in presents:
        graph.output.remove(each)
    nodes = [*before, *graph.node, *behind]
    del graph.node[:]
    graph.node.extend(nodes)


class Caller:
    """A model whose caches are passed; rows are along the last dimension but one."""

    def __init__(self, model, batch):
        self.model = model
        shapes = {each.name: each.shape for each in model.get_inputs() if "past" in each.name}
        self.caches = {name: numpy.zeros([batch if size == "batch" else 0 if size == "past" else size
                                          for size in shape], numpy.float32)
                       for name, shape in shapes.items()}

    def run(self, feeds):
        results = dict(zip([each.name for each in self.model.get_outputs()],
                           self.model.run(None, {**feeds, **self.caches})))
        self.caches = {name: results[name.replace("past_key_values", "present")
                                     .replace("past_", "present_")] for name in self.caches}
        return results["logits"]

    def truncate(self, length):
        self.caches = {name: value[..., :length, :].copy() for name, value in self.caches.items()}


class Exported:
    """One graph; a subclass names it."""
    dtype, layout = "f32", None

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.onnx = write(cls.graph, pathlib.Path(folder.name))
        if cls.layout:
            model = onnx.load(cls.onnx)
            stacked(model, transposed=cls.layout == "transposed")
            onnx.save(model, cls.onnx)
        cls.files = {}
        for keeper in "caller", "in-place":
            cls.files[keeper] = pathlib.Path(folder.name) / f"{keeper}.so"
            done = compile_model(cls.onnx, cls.files[keeper], f"--kv-cache={keeper}",
                                 f"--dtype={cls.dtype}")
            if done.returncode or "stays an input" in done.stderr or "copies a cache" in done.stderr:
                raise AssertionError(f"{cls.graph}: {done.stderr}")

    def feeds(self, batch, new, length, padding):
        """For `new` rows behind `length`; the first sequence begins late."""
        ids, mask = random_ids(batch, new), numpy.ones((batch, length + new), numpy.int64)
        mask[0, :padding] = 0
        source = numpy.random.default_rng(batch).standard_normal((batch, 5, WIDTH))
        return feeds_of(self.model, ids, mask, {},
                        encoder_hidden_states=source.astype(numpy.float32),
                        encoder_attention_mask=numpy.ones((batch, 5), numpy.int64))

    def step(self, caller, batch, new, padding=0):
        feeds = self.feeds(batch, new, self.model.length, padding)
        (got,) = self.model.run(["logits"], feeds)
        self.assertEqual(got.tobytes(), caller.run(feeds).tobytes(),
                         f"{new} rows behind {self.model.length - new}")

    def test_same_bits(self):
        passed = sparse_opt.load(self.files["caller"], threads=2)
        self.model = sparse_opt.load(self.files["in-place"], threads=2)
        self.assertEqual(len(self.model.get_states()), 2 if self.layout else 4)
        for batch, padding in (1, 0), (3, 2):
            self.model.reset()
            caller = Caller(passed, batch)
            for new in (5, 1, 1, 70, 1):  # 70: more than there was room for
                self.step(caller, batch, new, padding)
            self.model.truncate(7)
            caller.truncate(7)
            self.step(caller, batch, 1, padding)
            self.model = self.model.fork()
            self.step(caller, batch, 2, padding)

    def test_over_capacity(self):
        self.model = sparse_opt.load(self.files["in-place"], capacity=6)
        self.model.run(["logits"], self.feeds(2, 5, 0, 0))
        with self.assertRaisesRegex(ValueError, "^the caches hold 5 rows of at most 6, and these "
                                                "inputs append 2$"):
            self.model.run(["logits"], self.feeds(2, 2, 5, 0))
        self.model.run(["logits"], self.feeds(2, 1, 5, 0))  # and it goes on


class Llama(Exported, unittest.TestCase):
    graph = "llama"


class Mistakes(unittest.TestCase):
    """One sentence each, and the instance goes on as if nothing had happened."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.path = pathlib.Path(folder.name) / "llama.so"
        done = compile_model(write("llama", cls.path.parent), cls.path, "--kv-cache=in-place",
                             "--weight-storage=file")
        if done.returncode:
            raise AssertionError(done.stderr)
        cls.weights = cls.path.with_name("llama.so.weights")

    @staticmethod
    def feeds(new, total, batch=2):
        return {"input_ids": random_ids(batch, new),
                "attention_mask": numpy.ones((batch, total), numpy.int64)}

    def test_inputs(self):
        model = sparse_opt.load(self.path, capacity=8)
        reference = sparse_opt.load(self.path)
        for each in model, reference:
            each.run(None, self.feeds(5, 5))
        wrong = self.feeds(1, 6)
        for sentence, feeds in [
                ("the caches hold 5 rows of at most 8, and these inputs append 4", self.feeds(4, 9)),
                *((r"dimension 1 of input 'attention_mask' must be the length of the caches with "
                   rf"the new rows \({total} against 6\)", self.feeds(1, total))
                  for total in (5, 7)),
                ('"batch" is 3 in input "input_ids" .*, but 2 in the caches that the instance keeps',
                 self.feeds(1, 6, batch=3)),
                (r"node '\S+' \(Gather\): index out of range in input 'input_ids': index 320 is "
                 r"outside \[-320, 320\)", {**wrong, "input_ids": wrong["input_ids"] * 0 + 320}),
                ('the model has no input "past_key_values.0.key"; .*',
                 {**wrong, "past_key_values.0.key": numpy.zeros((2, 2, 5, 16), numpy.float32)})]:
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, f"^{sentence}$"):
                model.run(None, feeds)
        self.assertEqual(model.length, 5)
        got, want = (each.run(None, wrong)[0] for each in (model, reference))
        self.assertEqual(got.tobytes(), want.tobytes())

    def test_weights(self):
        right = self.weights.read_bytes()
        self.addCleanup(self.weights.write_bytes, right)
        os.environ["SPARSE_OPT_CHECK_WEIGHTS"] = "1"
        self.addCleanup(os.environ.pop, "SPARSE_OPT_CHECK_WEIGHTS")
        altered = bytearray(right)
        altered[5000] ^= 1
        for content, sentence in [
                (bytes(altered), "the weights file .* was altered: its checksum is not the model's"),
                (right[:-1], r"the weights file .* has \d+ bytes instead of \d+"),
                (b"", ".* is no weights file, or its header is damaged"),
                (None, "the weights file .* can't be read: No such file or directory")]:
            self.weights.unlink()
            if content is not None:
                self.weights.write_bytes(content)
            with self.subTest(sentence), \
                    self.assertRaisesRegex(ValueError, f"^(.*: )?{sentence}$"):
                sparse_opt.load(self.path)


class LlamaDynamo(Exported, unittest.TestCase):
    graph = "llama-dynamo"


class Gpt2(Exported, unittest.TestCase):
    graph = "gpt2"


class Gpt2Dynamo(Exported, unittest.TestCase):
    graph = "gpt2-dynamo"


class T5(Exported, unittest.TestCase):
    graph = "t5-decoder"


class Bart(Exported, unittest.TestCase):
    graph = "bart-decoder"


class StackedGpt2(Exported, unittest.TestCase):
    """Also what ONNX Runtime computes, since nothing else here does."""
    graph, layout = "gpt2-dynamo", "stacked"

    @unittest.skipIf(onnxruntime is None, "needs onnxruntime to compare with")
    def test_reference(self):
        self.model = sparse_opt.load(self.files["in-place"])
        reference = onnxruntime.InferenceSession(self.onnx, providers=["CPUExecutionProvider"])
        caches = {f"past_{i}": numpy.zeros((2, 3, 4, 0, 16), numpy.float32) for i in range(2)}
        for new in 5, 1:
            feeds = self.feeds(3, new, self.model.length, 2)
            want, *presents = reference.run(None, {**feeds, **caches})
            caches = {f"past_{i}": each for i, each in enumerate(presents)}
            (got,) = self.model.run(["logits"], feeds)
            self.assertLess(numpy.abs(got - want).max(), 2e-5 * numpy.abs(want).max())


class TransposedGpt2(Exported, unittest.TestCase):
    graph, layout = "gpt2-dynamo", "transposed"


class StackedGpt2Bf16(Exported, unittest.TestCase):
    graph, layout, dtype = "gpt2-dynamo", "stacked", "bf16"


class T5Bf16(Exported, unittest.TestCase):
    graph, dtype = "t5-decoder", "bf16"


class CachesThatStay(unittest.TestCase):
    """Interfaces of caches that no instance can keep."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "model.onnx"

    def compiled(self, nodes, inputs, outputs, weights=(), remarks=()):
        """Of one-letter names: float tensors of [batch, 2, rows, 4]."""
        graph = helper.make_graph(nodes, "caches", inputs, outputs, list(weights))
        onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[
            helper.make_opsetid("", 19), helper.make_opsetid("com.microsoft", 1)]), self.path)
        done = compile_model(self.path, self.path.with_suffix(".so"), "--kv-cache=in-place")
        for remark in remarks:
            self.assertIn(remark, done.stderr)
        return done

    @staticmethod
    def cache(name, rows):
        return helper.make_tensor_value_info(name, 1, ["batch", 2, rows, 4])

    def test_an_encoders_keys(self):
        """They are read and handed on; only the decoder's own get rows."""
        done = self.compiled(
            [helper.make_node("Concat", ["past", "new"], ["present"], axis=2),
             helper.make_node("Transpose", ["crossed"], ["turned"], perm=[0, 1, 3, 2]),
             helper.make_node("MatMul", ["new", "turned"], ["scores"]),
             helper.make_node("Identity", ["crossed"], ["crossed.out"])],
            [self.cache("new", "n"), self.cache("past", "p"), self.cache("crossed", "source")],
            [helper.make_tensor_value_info("scores", 1, ["batch", 2, "n", "source"]),
             self.cache("present", "n + p"), self.cache("crossed.out", "source")])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("cache 'crossed' stays an input: ", done.stderr)
        model = sparse_opt.load(self.path.with_suffix(".so"))
        self.assertEqual([each.name for each in model.get_inputs()], ["new", "crossed"])
        self.assertEqual([each.name for each in model.get_states()], ["past"])
        crossed = numpy.arange(24, dtype=numpy.float32).reshape(1, 2, 3, 4)
        scores, same = model.run(None, {"new": crossed[:, :, :1], "crossed": crossed})
        numpy.testing.assert_array_equal(same, crossed)
        numpy.testing.assert_array_equal(scores, crossed[:, :, :1] @ crossed.swapaxes(2, 3))
        self.assertEqual(model.length, 1)

    def test_group_query_attention(self):
        """Each sequence has its own length, and an instance has one."""
        names = ["q", "k", "v", "past_key", "past_value", "lengths", "total"]
        nodes = [helper.make_node("Shape", ["mask"], ["sizes"]),
                 helper.make_node("Gather", ["sizes", "one"], ["rows"], axis=0),
                 helper.make_node("Cast", ["rows"], ["total"], to=onnx.TensorProto.INT32),
                 helper.make_node("GroupQueryAttention", names, ["y", "present_key", "present_value"],
                                  domain="com.microsoft", num_heads=4, kv_num_heads=2, name="gqa")]
        rows = [helper.make_tensor_value_info(name, 1, ["batch", "n", width])
                for name, width in (("q", 16), ("k", 8), ("v", 8))]
        done = self.compiled(
            nodes, [*rows, self.cache("past_key", "p"), self.cache("past_value", "p"),
                    helper.make_tensor_value_info("lengths", onnx.TensorProto.INT32, ["batch"]),
                    helper.make_tensor_value_info("mask", onnx.TensorProto.INT64, ["batch", "total"])],
            [helper.make_tensor_value_info("y", 1, ["batch", "n", 16]),
             self.cache("present_key", "total"), self.cache("present_value", "total")],
            [numpy_helper.from_array(numpy.array(1), "one")])
        self.assertEqual(done.returncode, 1)
        for name in "past_key", "past_value":
            self.assertIn(f"cache '{name}' stays an input: it is not read only to get new rows "
                          "behind those it holds", done.stderr)
        self.assertIn("--kv-cache=in-place: no input is a cache, ", done.stderr)


if __name__ == "__main__":
    unittest.main()
