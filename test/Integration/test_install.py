# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a user installs: the tree of `cmake --install`, moved, and the wheel.

CMAKE and SPARSE_OPT_BUILD name CMake and the build folder.
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CMAKE = os.environ.get("CMAKE", "cmake")
BUILD = os.environ.get("SPARSE_OPT_BUILD", ROOT / "build")

MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
twice (float[n] x) => (float[n] y) { y = Add (x, x) }
"""
PROJECT = """
cmake_minimum_required(VERSION 3.20)
project(user C)
find_package(sparse-opt 0.1 REQUIRED)
sparse_opt_add_model(twice MODEL twice.onnxtxt ENTRY twice_model FLAGS --march=native)
add_executable(user user.c)
target_link_libraries(user PRIVATE twice)
"""
PROGRAM = """
#include "sparse-opt/Runtime/Runtime.h"
#include <stdio.h>
const sparse_opt_api *twice_model(void);
int main(void) {
  const sparse_opt_api *api = twice_model();
  sparse_opt_instance *instance;
  float x[3] = {1, 2, 4}, y[3];
  int64_t dims[1] = {3};
  sparse_opt_tensor in = {"x", SPARSE_OPT_FLOAT, 1, dims, x, sizeof x};
  sparse_opt_tensor out = {"y", 0, 0, 0, y, sizeof y};
  if (api->instance_create(api->model, 0, &instance) ||
      api->run(instance, &in, 1, &out, 1)) {
    fprintf(stderr, "%s\\n", api->last_error());
    return 1;
  }
  printf("%g %g %g\\n", y[0], y[1], y[2]);
  api->instance_destroy(instance);
  return 0;
}
"""


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True,
                          text=True, **more)
    if done.returncode:
        raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


class InstalledTree(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = pathlib.Path(cls.folder.name)
        run(CMAKE, "--install", BUILD, "--prefix", cls.path / "first")
        (cls.path / "first").rename(cls.path / "moved")
        cls.tree = cls.path / "moved"

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_holds_what_users_need(self):
        for name in ["bin/sparse-opt", "lib/libsparse_opt_runtime.a",
                     "lib/libsparse_opt_main.a", "include/sparse-opt/Runtime/Runtime.h",
                     "lib/cmake/sparse-opt/sparse-optConfig.cmake",
                     "share/doc/sparse-opt/LICENSE"]:
            self.assertTrue((self.tree / name).is_file(), name)
        self.assertIn("sparse-opt 0.1",
                      run(self.tree / "bin" / "sparse-opt", "--version"))

    def test_cmake_project_links_a_model(self):
        source = self.path / "source"
        source.mkdir()
        (source / "CMakeLists.txt").write_text(PROJECT)
        (source / "user.c").write_text(PROGRAM)
        (source / "twice.onnxtxt").write_text(MODEL)
        out = self.path / "out"
        run(CMAKE, "-G", "Ninja", "-S", source, "-B", out,
            f"-DCMAKE_PREFIX_PATH={self.tree}")
        run(CMAKE, "--build", out)
        self.assertEqual(run(out / "user"), "2 4 8\n")


class PythonPackage(unittest.TestCase):
    def test_installs_with_pip_and_runs(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index",
                "--no-build-isolation", "--target", folder / "site",
                ROOT / "python")
            (folder / "twice.onnxtxt").write_text(MODEL)
            run(pathlib.Path(BUILD) / "bin" / "sparse-opt", "compile",
                folder / "twice.onnxtxt", "--march=native", "-o",
                folder / "twice.so")
            program = ("import numpy, sparse_opt; print(sparse_opt.load('twice.so')"
                       ".run(None, {'x': numpy.float32([1, 2, 4])})[0].tolist())")
            shown = run(sys.executable, "-c", program, cwd=folder,
                        env={**os.environ, "PYTHONPATH": str(folder / "site")})
            self.assertEqual(shown, "[2.0, 4.0, 8.0]\n")


if __name__ == "__main__":
    unittest.main()
