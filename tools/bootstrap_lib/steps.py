# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs the steps of a set-up: one line each with its time, full logs in files.

A step that fails shows the end of its log and where the rest is. Nothing here
knows what is being set up.
"""
import collections
import os
import re
import subprocess
import sys
import time


class Trouble(Exception):
    """One sentence for the user; tools/bootstrap prints it and exits 1."""


class Failed(Trouble):
    """A command that did not succeed; `tail` is the end of its output."""

    def __init__(self, message, tail):
        super().__init__(message)
        self.tail = tail


class Steps:
    TAIL = 30
    WIDTH = 58

    def __init__(self, log_dir):
        self.log_dir = log_dir
        self.terminal = sys.stdout.isatty()

    def run(self, title, command, name, cwd=None, env=None, on_line=None):
        """Runs `command`; its output goes to NAME.log. Raises Failed."""
        self.log_dir.mkdir(parents=True, exist_ok=True)
        log_path = self.log_dir / f"{name}.log"
        start = time.monotonic()
        tail = collections.deque(maxlen=self.TAIL)
        self._begin(title)
        with open(log_path, "w", buffering=1) as log:
            log.write("$ %s\n" % " ".join(map(str, command)))

            def each_line(line):
                log.write(line)
                tail.append(line)
                self._progress(title, start, line)
                if on_line:
                    on_line(line)

            try:
                status = self._pump(command, cwd, env, each_line)
            except OSError as error:
                self._end(title, start, "failed")
                raise Trouble(f"can't run {command[0]}: {error.strerror}")
        if status == 0:
            self._end(title, start, "")
            return log_path
        self._end(title, start, "failed")
        raise Failed(f"{title}: exit status {status}; the whole log is {log_path}",
                     "".join(tail))

    @staticmethod
    def _pump(command, cwd, env, each_line):
        """Runs the command to its end, which is near when we are stopped."""
        with subprocess.Popen(
                [str(word) for word in command], cwd=cwd,
                env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                errors="replace") as process:
            try:
                for line in process.stdout:
                    each_line(line)
            except BaseException:
                process.terminate()
                raise
        return process.returncode

    def _begin(self, title):
        if self.terminal:
            print(f"  {title} ...", end="", flush=True)

    def _progress(self, title, start, line):
        """On a terminal: Ninja's [n/m] and the seconds, in place."""
        if not self.terminal:
            return
        count = re.match(r"\[(\d+/\d+)\]", line)
        note = f" [{count[1]}]" if count else ""
        seconds = time.monotonic() - start
        print(f"\r\033[K  {title} ...{note} {seconds:.0f} s", end="", flush=True)

    def _end(self, title, start, outcome):
        seconds = time.monotonic() - start
        clear = "\r\033[K" if self.terminal else ""
        line = f"{clear}  {title:<{self.WIDTH}} {seconds:7.1f} s  {outcome}"
        print(line.rstrip(), flush=True)
