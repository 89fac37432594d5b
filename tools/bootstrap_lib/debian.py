# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Debian's packages: what is missing is installed, or named in one message."""
import os
import shutil
import subprocess

from .steps import Trouble

PACKAGES = """
libmlir-22-dev mlir-22-tools llvm-22-dev llvm-22-tools clang-22 lld-22
libclang-rt-22-dev clang-format-22 libeigen3-dev libprotobuf-dev
protobuf-compiler libgtest-dev libgmock-dev libbenchmark-dev zlib1g-dev
libzip-dev ninja-build ccache gcc g++ libonnx-testdata
""".split()


def missing():
    wanted = list(PACKAGES)
    try:
        import ensurepip  # noqa: F401  (Debian splits it off)
    except ImportError:
        wanted.append("python3-venv")
    if not shutil.which("dpkg-query"):
        return wanted
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\n", *wanted],
        capture_output=True, text=True).stdout
    there = {line.split()[0] for line in shown.splitlines()
             if line.endswith(" installed")}
    return [name for name in wanted if name not in there]


def install(steps, cache, offline):
    names = missing()
    if not names:
        return
    if not shutil.which("apt-get"):
        raise Trouble("this needs the software that Debian 12 packages as "
                      f"{' '.join(names)}; there is no apt-get here, so install "
                      "it and follow README's build by hand")
    if os.geteuid() != 0:
        raise Trouble("as root, first:\n  apt-get update && apt-get install "
                      f"--no-install-recommends {' '.join(names)}")
    if offline:
        raise Trouble(f"--offline, and these packages are missing: {' '.join(names)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    steps.run("Package lists", ["apt-get", "update"], "apt-update", env=quiet)
    steps.run(f"Debian packages ({len(names)})",
              ["apt-get", "install", "-y", "--no-install-recommends", *names],
              "apt-install", env=quiet)
    with open(cache / "installed-packages", "a") as record:
        record.write("\n".join(names) + "\n")
