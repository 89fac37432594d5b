# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Caches in the instance (--kv-cache=in-place) against caches of the caller.

A decoder of two layers with grouped heads and left padding, one of its caches
stored transposed, and an encoder's cache that only passes through. Both ways
must give the same bits at every step, in every type, on every instruction set
that this machine has, with any number of threads.
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

WORDS, WIDTH, HEADS, GROUPS, DEPTH = 50, 24, 4, 2, 8
RANDOM = numpy.random.default_rng(3)


class Graph:
    def __init__(self):
        self.nodes, self.weights = [], []

    def add(self, operator, *operands, **attributes):
        name = attributes.pop("name", f"v{len(self.nodes)}")
        self.nodes.append(helper.make_node(operator, [self.named(o) for o in operands], [name],
                                           name=f"/{operator}_{name}", **attributes))
        return name

    def named(self, operand):
        if isinstance(operand, str):
            return operand
        array = numpy.asarray(operand)
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, *shape):
        return (RANDOM.standard_normal(shape) * 0.3).astype(numpy.float32)

    def heads(self, x, count):
        rows = self.add("MatMul", x, self.weight(WIDTH, count * DEPTH))
        split = self.add("Reshape", rows, numpy.array([0, 0, count, DEPTH]))
        return self.add("Transpose", split, perm=[0, 2, 1, 3])

    def repeat(self, x, dims):
        """Each group's keys or values for its heads: [b, g, ...] -> [b, h, ...]."""
        wide = self.add("Unsqueeze", x, numpy.array([2]))
        shape = numpy.ones(5, numpy.int64)
        shape[2] = HEADS // GROUPS
        wide = self.add("Expand", wide, shape)
        return self.add("Reshape", wide, numpy.array(dims))

    def layer(self, i, x, mask):
        q = self.heads(x, HEADS)
        k, v = self.heads(x, GROUPS), self.heads(x, GROUPS)
        if i == 0:
            k = self.add("Transpose", k, perm=[0, 1, 3, 2])
        k = self.add("Concat", f"past.{i}.key", k, axis=-1 if i == 0 else 2,
                     name=f"present.{i}.key")
        v = self.add("Concat", f"past.{i}.value", v, axis=2, name=f"present.{i}.value")
        if i == 0:
            keys = self.repeat(k, [0, HEADS, DEPTH, -1])
        else:
            keys = self.add("Transpose", self.repeat(k, [0, HEADS, -1, DEPTH]), perm=[0, 1, 3, 2])
        scores = self.add("Add", self.add("MatMul", q, keys), mask)
        values = self.repeat(v, [0, HEADS, -1, DEPTH])
        y = self.add("MatMul", self.add("Softmax", scores, axis=-1), values)
        y = self.add("Reshape", self.add("Transpose", y, perm=[0, 2, 1, 3]),
                     numpy.array([0, 0, HEADS * DEPTH]))
        return self.add("Add", x, self.add("MatMul", y, self.weight(HEADS * DEPTH, WIDTH)))

    def mask(self):
        """0 where a row may look: not padded, and not in its future."""
        length = self.add("Gather", self.add("Shape", "past.0.value"), numpy.array(2))
        rows = self.add("Gather", self.add("Shape", "ids"), numpy.array(1))
        total = self.add("Add", length, rows)
        columns = self.add("Range", numpy.array(0), total, numpy.array(1))
        row = self.add("Unsqueeze", self.add("Range", length, total, numpy.array(1)),
                       numpy.array([1]))
        seen = self.add("LessOrEqual", columns, row)
        given = self.add("Unsqueeze", self.add("Cast", "mask", to=onnx.TensorProto.BOOL),
                         numpy.array([1, 2]))
        return self.add("Where", self.add("And", given, seen), numpy.float32(0),
                        numpy.float32(-1e9))

    def model(self):
        def value(name, dims, kind=onnx.TensorProto.FLOAT):
            return helper.make_tensor_value_info(name, kind, dims)
        x = self.add("Gather", self.weight(WORDS, WIDTH), "ids")
        mask = self.mask()
        for i in range(2):
            x = self.layer(i, x, mask)
        crossed = self.add("ReduceMean", "encoded", numpy.array([1]))
        self.add("MatMul", self.add("Add", x, crossed), self.weight(WIDTH, WORDS), name="logits")
        self.add("Identity", "encoded", name="encoded.out")
        caches = []
        for kind, length in (("past", "past"), ("present", "all")):
            caches.append([
                value(f"{kind}.0.key", ["batch", GROUPS, DEPTH, length]),
                value(f"{kind}.0.value", ["batch", GROUPS, length, DEPTH]),
                value(f"{kind}.1.key", ["batch", GROUPS, length, DEPTH]),
                value(f"{kind}.1.value", ["batch", GROUPS, length, DEPTH])])
        encoded = ["batch", "encoder", WIDTH]
        graph = helper.make_graph(
            self.nodes, "decoder",
            [value("ids", ["batch", "new"], onnx.TensorProto.INT64),
             value("mask", ["batch", "past + new"], onnx.TensorProto.INT64),
             value("encoded", encoded)] + caches[0],
            [value("logits", ["batch", "new", WORDS])] + caches[1] +
            [value("encoded.out", encoded)],
            self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def compile_model(model, out, *flags):
    return subprocess.run([os.environ.get("SPARSE_OPT", "sparse-opt"), "compile", model, "-o", out,
                           *flags], capture_output=True, text=True)


CACHES = [f"past.{i}.{part}" for i in range(2) for part in ("key", "value")]


class Caller:
    """The model whose caches the caller passes, with the same methods."""

    def __init__(self, model):
        self.model = model
        self.truncate(0)

    def truncate(self, length):
        if length == 0:
            self.caches = None
            return
        for name, axis in zip(CACHES, (3, 2, 2, 2)):
            self.caches[name] = numpy.take(self.caches[name], range(length), axis)

    def run(self, feeds):
        batch = feeds["ids"].shape[0]
        if self.caches is None:
            empty = numpy.zeros((batch, GROUPS, 0, DEPTH), numpy.float32)
            self.caches = {name: empty for name in CACHES}
            self.caches["past.0.key"] = empty.reshape(batch, GROUPS, DEPTH, 0)
        results = self.model.run(["logits"] + [name.replace("past", "present") for name in CACHES],
                                 {**feeds, **self.caches})
        self.caches = dict(zip(CACHES, results[1:]))
        return results[0]

    def select(self, rows):
        self.caches = {name: value[rows] for name, value in self.caches.items()}

    def fork(self):
        other = Caller(self.model)
        other.caches = dict(self.caches)
        return other


class Caches(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        root = pathlib.Path(cls.folder.name)
        cls.path = root / "decoder.onnx"
        onnx.save(Graph().model(), str(cls.path))
        cls.files = {}
        for dtype in ("f32", "bf16"):
            for keeper in ("caller", "in-place"):
                out = root / f"{keeper}.{dtype}.so"
                done = compile_model(cls.path, out, f"--dtype={dtype}", f"--kv-cache={keeper}")
                if done.returncode:
                    raise AssertionError(done.stderr)
                cls.files[keeper, dtype] = str(out)

    def feeds(self, batch, new, length, padding=0):
        random = numpy.random.default_rng(length * 100 + new)
        mask = numpy.ones((batch, length + new), numpy.int64)
        mask[0, :padding] = 0
        return {"ids": random.integers(0, WORDS, (batch, new)), "mask": mask,
                "encoded": random.standard_normal((batch, 3, WIDTH)).astype(numpy.float32)}

    def step(self, model, caller, batch, new, padding=0):
        feeds = self.feeds(batch, new, model.length, padding)
        (got,) = model.run(["logits"], feeds)
        want = caller.run(feeds)
        self.assertEqual(got.tobytes(), want.tobytes(),
                         f"{new} rows behind {model.length - new}")
        self.assertEqual(model.length, feeds["mask"].shape[1])

    def compare(self, dtype, threads, isa=""):
        os.environ["SPARSE_OPT_ISA"] = isa
        try:
            model = sparse_opt.load(self.files["in-place", dtype], threads=threads)
            caller = Caller(sparse_opt.load(self.files["caller", dtype], threads=threads))
        finally:
            del os.environ["SPARSE_OPT_ISA"]
        for batch, padding in ((1, 0), (3, 2)):
            model.reset()
            caller.truncate(0)
            for new in (5, 1, 1, 90, 1):  # 90: more than there was room for
                self.step(model, caller, batch, new, padding)
            model.truncate(7)
            caller.truncate(7)
            self.step(model, caller, batch, 1, padding)
            forks = model.fork(), caller.fork()
            self.step(model, caller, batch, 2, padding)
            self.step(*forks, batch, 3, padding)
            self.step(model, caller, batch, 1, padding)
        rows = [2, 0, 0, 1]
        model.select(rows)
        caller.select(rows)
        self.step(model, caller, 4, 1)

    def test_same_bits(self):
        missing = set()
        for dtype in ("f32", "bf16"):
            targets = sparse_opt.load(self.files["in-place", dtype]).manifest["targets"]
            for isa in targets:
                with self.subTest(dtype=dtype, isa=isa):
                    try:
                        self.compare(dtype, 2, isa)
                    except sparse_opt.SparseOptError as error:
                        missing.add(f"{isa}: {error}")
        for text in sorted(missing):
            print("skipped", text)

    def test_threads(self):
        for threads in (1, 3, 4):
            with self.subTest(threads=threads):
                self.compare("f32", threads)

    def test_interface(self):
        model = sparse_opt.load(self.files["in-place", "f32"])
        self.assertEqual([each.name for each in model.get_inputs()], ["ids", "mask", "encoded"])
        self.assertEqual([each.name for each in model.get_outputs()], ["logits", "encoded.out"])
        self.assertEqual([each.name for each in model.get_states()], CACHES)
        self.assertEqual(model.get_states()[0].shape, ["batch", GROUPS, DEPTH, "past"])
        self.assertEqual(model.manifest["flags"], ["--kv-cache=in-place"])
        self.assertEqual(model.manifest["states"]["after"], "new+past")
        self.assertEqual(sparse_opt.load(self.files["caller", "f32"]).get_states(), [])

    def test_mistakes(self):
        model = sparse_opt.load(self.files["in-place", "f32"], capacity=8)
        self.assertEqual(model.length, 0)
        model.run(None, self.feeds(2, 6, 0))
        self.assertEqual((model.length, model.capacity), (6, 8))
        feeds = self.feeds(2, 3, 6)
        with self.assertRaisesRegex(ValueError, "caches hold 6 rows of at most 8, and these inputs"
                                                " append 3"):
            model.run(None, feeds)
        feeds = self.feeds(2, 1, 4)
        with self.assertRaisesRegex(ValueError, r"past.*new.* must be equal to .*\(5 against 7\)"):
            model.run(None, feeds)
        with self.assertRaisesRegex(ValueError, '"batch" is 1 in input "ids" .*, but 2 in the '
                                                'caches that the instance keeps'):
            model.run(None, self.feeds(1, 1, 6))
        feeds = self.feeds(2, 1, 6)
        feeds["ids"][0, 0] = WORDS
        with self.assertRaisesRegex(ValueError, "'ids': index 50 is outside"):
            model.run(None, feeds)
        with self.assertRaisesRegex(ValueError, "hold 6 rows, so they can't be cut to 7"):
            model.truncate(7)
        with self.assertRaisesRegex(ValueError, 'no input "past.0.key"'):
            model.run(None, {**feeds, "past.0.key": numpy.zeros((2, 2, 8, 0), numpy.float32)})
        self.assertEqual(model.length, 6)
        caller = Caller(sparse_opt.load(self.files["caller", "f32"]))
        caller.run(self.feeds(2, 6, 0))
        self.step(model, caller, 2, 1)  # as if nothing had happened
        with self.assertRaisesRegex(ValueError, "the model keeps no caches"):
            caller.model.truncate(0)
        with self.assertRaisesRegex(ValueError, "keeps no caches that a capacity of 9 could be for"):
            sparse_opt.load(self.files["caller", "f32"], capacity=9)

    def test_commands(self):
        """run, bench and verify of a model that goes on from the run before."""
        def run(*arguments):
            done = subprocess.run([os.environ.get("SPARSE_OPT", "sparse-opt"), *arguments],
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout
        file = self.files["in-place", "f32"]
        root = self.path.parent
        steps, caller = [], Caller(sparse_opt.load(self.files["caller", "f32"]))
        for i, (new, length) in enumerate(((4, 0), (1, 4))):
            feeds = self.feeds(2, new, length)
            steps.append(f"--inputs={root}/{i}.npz")
            numpy.savez(root / f"{i}.npz", **feeds)
            want = caller.run(feeds)
        run("run", file, *steps, "-o", root / "out.npz")
        self.assertEqual(numpy.load(root / "out.npz")["logits"].tobytes(), want.tobytes())
        table = run("bench", file, f"--against={self.files['caller', 'f32']}", "--shape=2x1",
                    "--past=70", "--runs=5")
        self.assertRegex(table, r"2x1x71x1x70 .* 0\.0e\+00 +1\.000000")
        self.assertRegex(run("bench", file, "--past=3", "--roofline", "--runs=1"), "attention 4x8")
        table = run("verify", file, f"--reference={self.path}", "--python=/nowhere/python")
        self.assertRegex(table, "loops +logits behind 8 .* ok")
        self.assertRegex(run("inspect", file), r"caches in the instance\n  past.0.key +float32 +"
                                               r"\[batch, 2, 8, past\]")

    def test_a_step_copies_no_cache(self):
        """Layer 0 has its keys transposed, which attention reads as they are."""
        for dtype in ("f32", "bf16"):
            model = sparse_opt.load(self.files["in-place", dtype])
            for group in model.manifest["kernels"]:
                copies = [kernel["name"] for kernel in group["launches"]
                          if kernel.get("kind") == "copy of a cache"]
                self.assertEqual(copies, [], dtype)

    def test_nothing_to_keep(self):
        plain = self.path.with_name("plain.onnx")
        graph = helper.make_graph(
            [helper.make_node("Neg", ["x"], ["y"])], "plain",
            [helper.make_tensor_value_info("x", 1, ["n"])],
            [helper.make_tensor_value_info("y", 1, ["n"])])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)],
                                    ir_version=10), str(plain))
        done = compile_model(plain, plain.with_suffix(".so"), "--kv-cache=in-place")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "--kv-cache=in-place: no input is a cache")
        self.assertEqual(done.stderr.count("\n"), 1)
        done = compile_model(plain, plain.with_suffix(".so"), "--kv-cache=here")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "--kv-cache=here is unknown; there are caller and in-place")


if __name__ == "__main__":
    unittest.main()
