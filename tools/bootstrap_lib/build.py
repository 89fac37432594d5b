# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Builds ONNX's C++ library once into the cache, and the project."""
import os
import pathlib
import shutil
import subprocess
import tarfile

from . import cache as caches
from . import fetch
from .steps import Trouble

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LLVM = "/usr/lib/llvm-22"
COMPILERS = ["-DCMAKE_C_COMPILER=clang-22", "-DCMAKE_CXX_COMPILER=clang++-22"]

ONNX = "1.23.2"
ONNX_SHA256 = "008cb0467b2bbee41448acc7da8b6f4e704624cb0d327a2d5adafc7ce19bc5b8"
ONNX_FLAGS = ["-G", "Ninja", *COMPILERS, "-DCMAKE_BUILD_TYPE=Release",
              "-DCMAKE_POSITION_INDEPENDENT_CODE=ON",
              "-DONNX_USE_PROTOBUF_SHARED_LIBS=ON", "-DONNX_ML=ON",
              "-DONNX_GEN_PB_TYPE_STUBS=OFF"]


def default_jobs():
    """All cores, as far as memory goes: MLIR's headers cost 2 GB a compiler."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(os.sched_getaffinity(0)), memory // (2 << 30)))


def onnx_library(steps, cache, offline, jobs):
    """ONNX's C++ library, installed in the cache."""
    protobuf = subprocess.run(["protoc", "--version"], capture_output=True,
                              text=True).stdout.strip()
    key = caches.key_of(ONNX, ONNX_SHA256, *ONNX_FLAGS, protobuf)
    installed = cache / f"onnx-{ONNX}"
    if caches.is_stamped(installed, key):
        return installed
    source = fetch.archive(steps, cache, offline, f"onnx=={ONNX}",
                           f"onnx-{ONNX}.tar.gz", ONNX_SHA256)
    work = cache / "tmp" / "onnx"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    with tarfile.open(source) as files:
        files.extractall(work)
    cmake = cache / "venv" / "bin" / "cmake"
    steps.run("ONNX: configure", [
        cmake, "-S", work / f"onnx-{ONNX}", "-B", work / "build", *ONNX_FLAGS,
        f"-DCMAKE_INSTALL_PREFIX={work / 'install'}",
        f"-DPython3_EXECUTABLE={cache / 'venv' / 'bin' / 'python'}"],
        "onnx-configure")
    steps.run("ONNX: build (minutes, once)",
              ["ninja", "-C", work / "build", f"-j{jobs}", "install"], "onnx-build")
    shutil.rmtree(installed, ignore_errors=True)
    (work / "install").rename(installed)
    caches.stamp(installed, key)
    shutil.rmtree(work)
    return installed


def configure(steps, cache, onnx, build, extra=()):
    """Runs CMake when there is no build yet or its arguments changed."""
    venv = cache / "venv"
    arguments = ["-G", "Ninja", *COMPILERS, "-DCMAKE_BUILD_TYPE=Release",
                 "-DLLVM_USE_LINKER=lld", f"-DMLIR_DIR={LLVM}/lib/cmake/mlir",
                 f"-DLLVM_DIR={LLVM}/lib/cmake/llvm",
                 f"-DCMAKE_PREFIX_PATH={onnx}", f"-DLIT={venv / 'bin' / 'lit'}",
                 f"-DPython3_EXECUTABLE={venv / 'bin' / 'python'}"]
    if shutil.which("ccache"):
        arguments += [f"-DCMAKE_{language}_COMPILER_LAUNCHER=ccache"
                      for language in ("C", "CXX")]
    arguments += extra
    key = caches.key_of(*arguments)
    if caches.is_stamped(build, key) and (build / "build.ninja").is_file():
        return
    steps.run(f"Configure {build.name}",
              [venv / "bin" / "cmake", "-S", ROOT, "-B", build, *arguments],
              f"configure-{build.name}")
    caches.stamp(build, key)


def compile_all(steps, cache, build, jobs, targets=()):
    """Objects are shared between checkouts: paths are relative to the root."""
    environment = {"CCACHE_DIR": str(cache / "ccache"),
                   "CCACHE_BASEDIR": str(ROOT), "CCACHE_NOHASHDIR": "1",
                   "CCACHE_MAXSIZE": "3G"}
    steps.run(f"Build {build.name}",
              ["ninja", "-C", build, f"-j{jobs}", *targets],
              f"build-{build.name}", env=environment)


def check_disk(cache, gigabytes=4):
    free = shutil.disk_usage(cache).free
    if free < gigabytes << 30:
        raise Trouble(f"{cache} has {free >> 20} MB free; this needs "
                      f"{gigabytes} GB (SPARSE_OPT_CACHE names another folder)")
