# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The binding on a hand-written model: conventions, conversions, mistakes."""

import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

import numpy as np

import sparse_opt

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SPARSE_OPT_BUILD", ROOT / "build"))


def setUpModule():
    global folder, path
    folder = tempfile.TemporaryDirectory()
    path = os.path.join(folder.name, "tiny.so")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-fvisibility=hidden", "-o", path, "-I", ROOT / "include",
         pathlib.Path(__file__).with_name("tiny_model.c"),
         BUILD / "lib" / "libsparse_opt_runtime.a"],
        check=True)


def tearDownModule():
    folder.cleanup()


def feeds(n=2, m=1):
    return {
        "x": np.arange(3 * n, dtype=np.float32).reshape(n, 3),
        "ids": np.arange(n),
        "mask": np.ones(n, np.bool_),
        "half": np.full(m, 1.5, np.float16),
    }


class ModelTest(unittest.TestCase):
    def setUp(self):
        self.model = sparse_opt.load(path, threads=2)

    def refused(self, given, sentence, names=None):
        with self.assertRaises(ValueError) as caught:
            self.model.run(names, given)
        self.assertEqual(str(caught.exception), sentence)

    def test_arguments_look_like_onnx_runtimes(self):
        args = self.model.get_inputs() + self.model.get_outputs()
        self.assertEqual(
            [(arg.name, arg.type, arg.shape) for arg in args],
            [("x", "tensor(float)", ["n", 3]), ("ids", "tensor(int64)", ["n"]),
             ("mask", "tensor(bool)", ["n"]), ("half", "tensor(float16)", ["m"]),
             ("doubled", "tensor(float)", ["n", 3]), ("picked", "tensor(int64)", ["n"]),
             ("copied", "tensor(float16)", ["m"]), ("total", "tensor(float)", [])])

    def test_none_means_all_outputs_in_order(self):
        doubled, picked, copied, total = self.model.run(None, feeds(5, 3))
        np.testing.assert_array_equal(doubled, 2 * feeds(5)["x"])
        np.testing.assert_array_equal(picked, np.arange(5))
        np.testing.assert_array_equal(copied, np.full(3, 1.5, np.float16))
        self.assertEqual(copied.dtype, np.float16)
        self.assertEqual(total.shape, ())
        self.assertEqual(total, 105)

    def test_outputs_come_in_the_order_asked_for(self):
        total, doubled = self.model.run(["total", "doubled"], feeds())
        self.assertEqual((total.shape, doubled.shape), ((), (2, 3)))
        self.assertEqual(self.model.run([], feeds()), [])

    def test_arrays_need_not_be_contiguous(self):
        given = feeds(4)
        want = self.model.run(None, given)
        given["x"] = np.asfortranarray(given["x"])
        given["ids"] = np.repeat(given["ids"], 2)[::2]
        given["mask"] = given["mask"][::-1]
        given["half"] = given["half"].astype(">f2")
        for one, other in zip(self.model.run(None, given), want):
            np.testing.assert_array_equal(one, other)
        given["x"] = np.broadcast_to(np.float32(1), (4, 3))
        self.assertEqual(self.model.run(["total"], given)[0], 12)

    def test_unaligned_data_is_copied(self):
        raw = np.zeros(4 * 6 + 1, np.uint8)
        given = feeds(2)
        view = raw[1:].view(np.float32).reshape(2, 3)
        view[:] = given["x"]
        given["x"] = view
        self.assertEqual(self.model.run(["total"], given)[0], 15)

    def test_zero_rows(self):
        doubled, picked, _, total = self.model.run(None, feeds(0))
        self.assertEqual((doubled.shape, picked.shape, total), ((0, 3), (0,), 0))

    def test_results_outlive_the_model_and_the_next_run(self):
        first, = self.model.run(["doubled"], feeds())
        self.model.run(["doubled"], {**feeds(), "x": np.full((2, 3), 9, np.float32)})
        del self.model
        np.testing.assert_array_equal(first, 2 * feeds()["x"])

    def test_wrong_names(self):
        self.refused({**feeds(), "y": np.zeros(1)},
                     'the model has no input "y"; its inputs are "x", "ids", "mask", "half"')
        missing = feeds()
        del missing["ids"]
        self.refused(missing, 'input "ids" is missing')
        self.refused(feeds(), 'the model has no output "z"; its outputs are "doubled", '
                     '"picked", "copied", "total"', ["z"])

    def test_wrong_types(self):
        self.refused({**feeds(), "ids": np.zeros(2, np.int32)},
                     'input "ids" must be int64, not int32')
        self.refused({**feeds(), "x": np.zeros((2, 3))},
                     'input "x" must be float32, not float64')
        self.refused({**feeds(), "x": np.array(["a"])},
                     'input "x" is an array of <U1, which no model takes')

    def test_wrong_shapes(self):
        self.refused({**feeds(), "x": np.zeros(3, np.float32)},
                     'input "x" must have 2 dimensions [n, 3], not 1')
        self.refused({**feeds(), "x": np.zeros((2, 4), np.float32)},
                     'dimension 1 of input "x" must be 3, not 4')
        self.refused({**feeds(), "ids": np.zeros(3, np.int64)},
                     '"n" is 2 in input "x" (dimension 0), but 3 in input "ids" (dimension 0)')

    def test_index_out_of_range(self):
        self.refused({**feeds(), "ids": np.array([1, 100])},
                     'node "/Gather", input "ids": index 100 is outside [-100, 100)')

    def test_bad_files(self):
        with self.assertRaises(FileNotFoundError):
            sparse_opt.load(path + ".absent")
        with self.assertRaisesRegex(sparse_opt.SparseOptError, "cannot load"):
            sparse_opt.load(__file__)
        with self.assertRaisesRegex(sparse_opt.SparseOptError, "cannot load"):
            sparse_opt.load(folder.name)
        with open(path, "rb") as whole, open(path + ".cut", "wb") as cut:
            data = whole.read()
            cut.write(data[:len(data) // 2])
        with self.assertRaisesRegex(sparse_opt.SparseOptError, "cannot load .*cut: .*truncated"):
            sparse_opt.load(path + ".cut")
        with self.assertRaisesRegex(sparse_opt.SparseOptError, "lacks other_entry"):
            sparse_opt.load(path, entry="other_entry")

    def test_options(self):
        self.assertEqual(self.model.threads, 2)
        self.assertEqual(self.model.target, "baseline")
        self.assertEqual(self.model.manifest, {"sparse_opt": "test"})
        self.assertEqual(self.model.telemetry(), [])
        for bad in (0, -1, 2000):
            with self.assertRaisesRegex(ValueError, "between 1 and 1024"):
                sparse_opt.load(path, threads=bad)
        with self.assertRaisesRegex(ValueError, 'no knob "threshold"'):
            sparse_opt.load(path, knobs={"threshold": 0.5})
        with self.assertRaisesRegex(ValueError, 'no knob "threshold"'):
            self.model.set_knob("threshold", 0.5)

    def test_unsupported_instruction_set_is_an_error(self):
        code = f"import sparse_opt; sparse_opt.load({path!r})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                              env={**os.environ, "SPARSE_OPT_ISA": "future"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("this CPU does not have future", done.stderr)

    def test_threads_share_a_model(self):
        wrong = []

        def use(value):
            given = {**feeds(8), "x": np.full((8, 3), value, np.float32)}
            for _ in range(100):
                if self.model.run(["total"], given)[0] != 24 * value:
                    wrong.append(value)

        threads = [threading.Thread(target=use, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_exit_with_live_threads_and_unload(self):
        code = (f"import sparse_opt, numpy as np, _ctypes\n"
                f"m = sparse_opt.load({path!r}, threads=4)\n"
                f"f = dict(x=np.zeros((9, 3), 'f4'), ids=np.arange(9),"
                f" mask=np.ones(9, bool), half=np.zeros(1, 'f2'))\n"
                f"m.run(None, f)\n"
                f"_ctypes.dlclose(m._library._handle)\n"
                f"import os; print('unloaded', flush=True); os._exit(0)\n")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                              timeout=60)
        self.assertEqual((done.returncode, done.stdout), (0, "unloaded\n"), done.stderr)
        code = code.split("_ctypes.dlclose")[0]
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
