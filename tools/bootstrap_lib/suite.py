# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs every test through CTest and adds up what the runners counted.

A CTest test is a whole suite here (lit, a GoogleTest program, a Python file).
Its counts are read from its own closing lines; a suite that has none is one
test. A suite that fails without naming a failed case counts as one failure.
"""
import re
import xml.etree.ElementTree

from .steps import Failed

# Ends of GoogleTest, lit and unittest; each sums over all that was printed.
PASSED = [r"^\[  PASSED  \] (\d+) tests?\.", r"^ +Passed *: (\d+) ",
          r"^ +Expectedly Failed *: (\d+) "]
FAILED = [r"^\[  FAILED  \] (\d+) tests?, listed",
          r"^ +(?:Failed|Unresolved|Timed Out|Unexpectedly Passed) *: (\d+) ",
          r"^FAILED \(.*?failures=(\d+)", r"^FAILED \(.*?errors=(\d+)"]
SKIPPED = [r"^\[  SKIPPED \] (\d+) tests?, listed",
           r"^ +(?:Skipped|Unsupported) *: (\d+) ",
           r"^(?:OK|FAILED) \(.*?skipped=(\d+)"]


def _total(patterns, text):
    return sum(int(count) for pattern in patterns
               for count in re.findall(pattern, text, re.M))


def count(text, status):
    """(passed, failed, skipped) of one suite; status: run, fail or notrun."""
    passed, failed = _total(PASSED, text), _total(FAILED, text)
    skipped = _total(SKIPPED, text)
    python = sum(map(int, re.findall(r"^Ran (\d+) tests? in", text, re.M)))
    if python:
        passed += python - _total(FAILED[2:], text) - _total(SKIPPED[2:], text)
    if status != "run":
        failed = max(failed, 1)
    elif passed + failed + skipped == 0:
        passed = 1
    return passed, failed, skipped


def read_report(path):
    """name -> ((passed, failed, skipped), output) of a CTest JUnit file."""
    suites = {}
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        text = case.findtext("system-out") or ""
        suites[case.get("name")] = (count(text, case.get("status")), text)
    return suites


def run(steps, cache, build):
    """Runs CTest in `build`; returns (passed, failed, skipped)."""
    report = build / "ctest.xml"
    report.unlink(missing_ok=True)
    unlimited = str(1 << 24)

    def show(line):
        shown = re.match(r" *\d+/\d+ Test +#\d+: (\S+) \.+ *(.*)", line)
        if shown and not steps.terminal:
            print(f"    {shown[1]:<40} {shown[2]}", flush=True)

    try:
        steps.run(f"Tests of {build.name}", [
            cache / "venv" / "bin" / "ctest", "--test-dir", build,
            "--output-junit", report, "--test-output-size-passed", unlimited,
            "--test-output-size-failed", unlimited, "--no-tests=error"],
            f"ctest-{build.name}", env={"SPARSE_OPT_CACHE": str(cache)},
            on_line=show)
    except Failed:
        if not report.is_file():
            raise
    total = [0, 0, 0]
    for name, (counts, text) in sorted(read_report(report).items()):
        total = [sum(pair) for pair in zip(total, counts)]
        if counts[1]:
            print(f"\n{name}: {counts[1]} failed; the end of its output:")
            print("\n".join("  | " + line for line in text.splitlines()[-60:]))
    return total
