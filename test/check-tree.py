#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fails where the source tree breaks its own rules, one line each.

Layers that include what they must not know, flags outside tools/, passes
without a test, sources without a licence line, versions that disagree.
"""
import pathlib
import re
import subprocess
import sys

# (what must not appear, where it is looked for, where it is allowed)
LAYERS = [
    (r'#include\s*[<"](onnx/|google/protobuf)', r".", r"^lib/Frontend/"),
    (r'#include\s*[<"](mlir|llvm)/', r"^(lib|include/sparse-opt)/(Numerics|Runtime)/", None),
    (r"\bcl::(opt|list|bits|alias)\b", r"^(lib|include|dialects)/", None),
    (r"\b(llvm::errs|std::cerr)\b", r"^(lib|include|dialects)/", None),
    (r"^\s*let constructor", r"\.td$", None),
]
SOURCE = re.compile(r"\.(cpp|cc|c|h|td|py)$|^tools/bootstrap$")


def tracked(root):
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "--cached", "--others",
         "--exclude-standard"], capture_output=True, text=True)
    if listed.returncode == 0:
        return [name for name in listed.stdout.splitlines() if (root / name).is_file()]
    return [str(path.relative_to(root)) for path in root.rglob("*")  # an archive
            if path.is_file() and not path.relative_to(root).parts[0].startswith("build")]


def layering(name, lines):
    for pattern, where, allowed in LAYERS:
        if not re.search(where, name) or (allowed and re.search(allowed, name)):
            continue
        for number, line in enumerate(lines, 1):
            if re.search(pattern, line):
                yield f"{name}:{number}: against the layering: {line.strip()}"


def licence(name, lines):
    if not any("SPDX-License-Identifier:" in line for line in lines[:4]):
        yield f"{name}:1: no SPDX line"


def pass_tests(root, name, text):
    """`ffn-fold-linear` of Transforms is tested in Transforms/fold-linear.mlir
    or Transforms/ffn-fold-linear.mlir."""
    area = pathlib.PurePath(name).parent.name
    for flag in re.findall(r':\s*Pass<\s*"([\w-]+)"', text):
        short = flag.split("-", 1)[1]
        tests = [root / "test" / area / f"{stem}.mlir" for stem in (flag, short)]
        if not any(test.is_file() for test in tests):
            yield f"{name}: pass {flag} has no test/{area}/{flag}.mlir"


def versions(root):
    """The Python package is the compiler's version."""
    ours = re.search(r"project\(sparse-opt VERSION ([\d.]+)",
                     (root / "CMakeLists.txt").read_text())[1]
    binding = "python/sparse_opt/__init__.py"
    theirs = re.search(r'^__version__ = "(.*)"', (root / binding).read_text(), re.M)[1]
    if ours != theirs:
        yield f"{binding}: version {theirs}, CMakeLists.txt has {ours}"


def main(root):
    found = list(versions(root))
    for name in tracked(root):
        if not SOURCE.search(name):
            continue
        text = (root / name).read_text(errors="replace")
        lines = text.splitlines()
        if lines:
            found += licence(name, lines)
        if not name.startswith(("test/check-", "tools/bootstrap")):
            found += layering(name, lines)
        if name.endswith("Passes.td"):
            found += pass_tests(root, name, text)
    print("\n".join(sorted(found)))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]).absolute()))
