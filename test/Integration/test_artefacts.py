# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The four kinds of artefact, used from outside: from C through the header,
several in one program, as a program, and what they show and need."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = HERE.parents[1] / "include"
FIXTURE = pathlib.Path(os.environ["SPARSE_OPT_BUILD"]) / "bin" / "emit-fixture"
SOURCE = """<ir_version: 8, opset_import: ["" : 17]>
add_weights (float[n, 4] x) => (float[n, 4] y) <float[4] w = {%s}> {
  y = Add(x, w)
}
"""
EXPECTED = "1 2 3 4 11 22 33 44 of shape 2 x 4\n"


class ArtefactTest(unittest.TestCase):
    """Artefacts of a model whose LLVM IR was written by hand."""

    targets = "x86-64-v3, x86-64"

    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)

    def emit(self, kind, name, entry="sparse_opt_model_v1", weight=1):
        path = self.folder / name
        subprocess.run([FIXTURE, kind, path, entry, str(weight)], check=True)
        return path

    def build(self, *arguments, compiler="cc"):
        program = self.folder / "program"
        subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", "-I", INCLUDE, "-o", program,
                        *arguments], check=True)
        return program

    def run_program(self, program, *arguments, **environment):
        return subprocess.run([program, *arguments], capture_output=True, text=True,
                              timeout=60, env={**os.environ, **environment})

    def test_c_program_with_each_linkable_kind(self):
        for kind, name in ("so", "model.so"), ("lib", "model.a"), ("obj", "model.o"):
            with self.subTest(kind):
                model = self.emit(kind, name)
                program = self.build("-std=c99", "-pedantic", HERE / "use_model.c", model)
                done = self.run_program(program)
                self.assertEqual((done.returncode, done.stdout), (0, EXPECTED), done.stderr)

    def test_example_program_fits_thirty_lines(self):
        text = (HERE / "use_model.c").read_text()
        self.assertLessEqual(text.count("\n"), 30)

    def test_header_is_cxx_too(self):
        model = self.emit("lib", "model.a")
        program = self.build("-x", "c++", "-std=c++11", HERE / "use_model.c", "-x", "none",
                             model, compiler="c++")
        self.assertEqual(self.run_program(program).stdout, EXPECTED)

    def test_every_variant_gives_the_same(self):
        program = self.build(HERE / "use_model.c", self.emit("so", "model.so"))
        for isa in self.targets.split(", "):
            done = self.run_program(program, SPARSE_OPT_ISA=isa)
            if "this CPU does not have" not in done.stderr:
                self.assertEqual(done.stdout, EXPECTED, done.stderr)

    def test_unknown_instruction_set_is_an_error(self):
        program = self.build(HERE / "use_model.c", self.emit("so", "model.so"))
        done = self.run_program(program, SPARSE_OPT_ISA="vax")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, 'error: SPARSE_OPT_ISA is "vax", but the model was '
                         f"compiled for {self.targets}\n")

    def test_two_models_in_one_program(self):
        first = self.emit("lib", "first.a", "first_model", 5)
        second = self.emit("lib", "second.a", "second_model", 7)
        program = self.build(HERE / "two_models.c", first, second)
        done = self.run_program(program)
        self.assertEqual((done.returncode, done.stdout), (0, "5 8\n7 10\n"), done.stderr)

    def test_shared_library_shows_and_needs_little(self):
        model = self.emit("so", "model.so")
        symbols = subprocess.run(["nm", "-D", "--defined-only", model], check=True,
                                 capture_output=True, text=True).stdout
        self.assertEqual([line.split()[-1] for line in symbols.splitlines()],
                         ["sparse_opt_model_v1"])
        dynamic = subprocess.run(["readelf", "-dW", model], check=True,
                                 capture_output=True, text=True).stdout
        needed = re.findall(r"NEEDED.*\[(.*)\]", dynamic)
        self.assertLessEqual(set(needed), {"libc.so.6", "libm.so.6"})

    def test_static_library_shows_its_entry_only(self):
        model = self.emit("lib", "model.a", "my_model")
        symbols = subprocess.run(["nm", "-g", "--defined-only", model], check=True,
                                 capture_output=True, text=True).stdout
        names = [line.split()[-1] for line in symbols.splitlines() if " " in line]
        # Weights are a member of their own, under a name of the entry's.
        self.assertEqual(names[0], "my_model")
        self.assertLessEqual(set(names[1:]), {"so_weights.my_model"})

    def test_no_artefact_names_this_machine(self):
        for kind in "so", "lib", "obj":
            content = self.emit(kind, "model").read_bytes()
            self.assertNotIn(str(self.folder).encode(), content)
            self.assertNotIn(str(HERE.parents[1]).encode(), content)

    def test_program_reads_and_writes_npz(self):
        for entry in "sparse_opt_model_v1", "another_name":
            program = self.emit("exe", "program", entry)
            given, result = self.folder / "in.npz", self.folder / "out.npz"
            np.savez_compressed(given, x=np.ones((3, 4), np.float32))
            done = self.run_program(program, f"--inputs={given}", "-o", result, "--threads=2")
            self.assertEqual(done.returncode, 0, done.stderr)
            with np.load(result) as arrays:
                self.assertEqual(arrays.files, ["y"])
                np.testing.assert_array_equal(arrays["y"], [[2, 3, 4, 5]] * 3)
            self.assertIn('"model_hash"', self.run_program(program, "--manifest").stdout)

    def test_program_refuses_mistakes(self):
        program = self.emit("exe", "program")
        given, result = self.folder / "in.npz", self.folder / "out.npz"
        np.savez(given, z=np.ones((3, 4), np.float32))
        for arguments, sentence in (
            ((), "give --inputs=in.npz and -o out.npz, see --help"),
            (("--threads=0",), "--threads=0 is not between 1 and 1024"),
            (("--fast",), "unknown argument '--fast', see --help"),
            ((f"--inputs={given}", "-o", result),
             'the model has no input "z"; its inputs are "x"'),
        ):
            done = self.run_program(program, *arguments)
            self.assertEqual((done.returncode, done.stderr), (1, f"error: {sentence}\n"))
        self.assertFalse(result.exists())


class CompiledTest(ArtefactTest):
    """The same of what `sparse-opt compile` makes from ONNX."""

    targets = "x86-64-v4, x86-64-v3"

    def emit(self, kind, name, entry="sparse_opt_model_v1", weight=1):
        path, source = self.folder / name, self.folder / "model.onnxtxt"
        weights = ", ".join(str(weight + i) for i in range(4))
        source.write_text(SOURCE % weights)
        subprocess.run([os.environ["SPARSE_OPT"], "compile", source, "-o", path,
                        f"--emit={kind}", f"--entry={entry}"], check=True)
        return path

    def test_nothing_runs_over_sizes_that_do_not_fit(self):
        """Loops over c's rows would read y far behind its end."""
        source, program = self.folder / "model.onnxtxt", self.folder / "program"
        source.write_text("""<ir_version: 8, opset_import: ["" : 17]>
            rows (float[n, 8] x, float[m, 8] y, float[q, 8] w) => (float[p, 8] z) {
              c = Concat<axis=0>(x, w)
              z = Add(c, y)
            }""")
        subprocess.run([os.environ["SPARSE_OPT"], "compile", source, "-o", program,
                        "--emit=exe"], check=True)
        given, result = self.folder / "in.npz", self.folder / "out.npz"
        np.savez(given, **{name: np.ones((rows, 8), np.float32)
                           for name, rows in (("x", 2000000), ("y", 4), ("w", 2))})
        done = self.run_program(program, f"--inputs={given}", "-o", result)
        self.assertEqual((done.returncode, done.stderr),
                         (1, "error: node 'Add(z)' (Add): m must be equal to n+q "
                             "(4 against 2000002)\n"))
        self.assertFalse(result.exists())


if __name__ == "__main__":
    unittest.main()
