# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The folder outside the tree that holds all that bootstrap makes there."""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import sys

# Every name bootstrap makes in the folder; `clean` removes these, no others.
ENTRIES = ["ccache", "downloads", "logs", "models", "onnx-*", "tmp", "venv",
           "installed-packages", "lock"]


def folder():
    named = os.environ.get("SPARSE_OPT_CACHE")
    if named:
        return pathlib.Path(named).absolute()
    return pathlib.Path.home() / ".cache" / "sparse-opt"


@contextlib.contextmanager
def locked(cache):
    """Two bootstraps at once take turns instead of mixing half-made files."""
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print(f"waiting for another bootstrap in {cache}", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def key_of(*parts):
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def is_stamped(path, key):
    stamp = path / ".complete"
    return stamp.is_file() and stamp.read_text().strip() == key


def stamp(path, key):
    (path / ".complete").write_text(key + "\n")


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def clean(cache):
    if not cache.is_dir():
        print(f"nothing to remove: there is no {cache}")
        return
    packages = cache / "installed-packages"
    names = packages.read_text().split() if packages.is_file() else []
    for pattern in ENTRIES:
        for path in cache.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not any(cache.iterdir()):
        cache.rmdir()
    print(f"removed {cache}" if not cache.exists() else
          f"removed bootstrap's files from {cache}; the rest isn't its own")
    if names:
        print("Debian packages that it installed stay; to remove them too:\n"
              "  apt-get purge --autoremove " + " ".join(names))
