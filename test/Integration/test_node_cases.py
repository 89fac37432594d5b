# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ONNX's operator cases (Debian's libonnx-testdata) through compiled code.

Cases listed in node_cases.txt must compile and give ONNX's answers. All
others must be refused with a sentence, and one that passes must be listed:
`python test_node_cases.py --update` writes the list anew.
"""
import collections
import concurrent.futures
import json
import os
import pathlib
import queue
import re
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
LIST = HERE / "node_cases.txt"
DATA = pathlib.Path(os.environ.get("SPARSE_OPT_NODE_CASES") or
                    "/usr/share/libonnx-testdata/data/node")


# Data that isn't of the shape its model declares, or bits of a type that
# NumPy lacks.
BAD_DATA = {"test_cast_BFLOAT16_to_FLOAT",
            "test_castlike_BFLOAT16_to_FLOAT",
            "test_castlike_BFLOAT16_to_FLOAT_expanded"}


def start():
    return subprocess.Popen([sys.executable, "-B", HERE / "node_worker.py"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True)


def work(waiting, results):
    """Feeds cases to one worker; a worker that dies fails its case."""
    worker = start()
    while True:
        try:
            case = waiting.get_nowait()
        except queue.Empty:
            break
        try:
            worker.stdin.write(f"{case}\n")
            worker.stdin.flush()
            answer = worker.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if answer:
            results[case.name] = json.loads(answer)
            continue
        status = worker.wait()
        results[case.name] = {"outcome": "failed",
                              "detail": f"running it ended with {status}"}
        worker = start()
    worker.stdin.close()
    worker.wait()
    worker.stdout.close()


def run_all(cases):
    """name -> {"outcome", "detail"} of every case."""
    waiting, results = queue.Queue(), {}
    for case in cases:
        waiting.put(case)
    count = os.cpu_count() or 1
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(work, waiting, results) for _ in range(count)]:
            done.result()
    return results


def reason(detail):
    """The operator or other cause that a refusal names."""
    operator = re.search(r"'(\S+)' \(opset", detail)
    return operator.group(1) if operator else "other"


def all_cases():
    return sorted(path.parent for path in DATA.glob("*/model.onnx")
                  if path.parent.name not in BAD_DATA)


def listed():
    return {line for line in LIST.read_text().splitlines()
            if line and not line.startswith("#")}


class NodeCases(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.results = run_all(all_cases())
        refused = collections.Counter(
            reason(each["detail"]) for each in cls.results.values()
            if each["outcome"] == "refused")
        print("\nnot supported:", ", ".join(
            f"{name} {count}" for name, count in sorted(refused.items())))

    def check(self, name, expected):
        result = self.results[name]
        if result["outcome"] == "refused" and not expected:
            self.assertNotIn("bug of sparse-opt", result["detail"])
            self.skipTest(reason(result["detail"]))
        self.assertEqual(result["outcome"], "passed", result["detail"])
        self.assertTrue(expected, "passes and isn't in node_cases.txt")

    def test_list_is_of_cases(self):
        self.assertEqual(listed() - {case.name for case in all_cases()}, set())


def add_case(name, expected):
    setattr(NodeCases, name, lambda self: self.check(name, expected))


for _case in all_cases():
    add_case(_case.name, _case.name in listed())
if not all_cases():
    NodeCases = unittest.skip(f"no cases in {DATA}")(NodeCases)


def update():
    results = run_all(all_cases())
    passed = sorted(name for name, each in results.items()
                    if each["outcome"] == "passed")
    LIST.write_text("# Cases of libonnx-testdata that compile and pass; see "
                    "test_node_cases.py.\n" + "\n".join(passed) + "\n")
    for name, each in sorted(results.items()):
        if each["outcome"] == "failed":
            print(f"{name}: {each['detail'][:400]}")
    causes = collections.Counter(reason(each["detail"])
                                 for each in results.values()
                                 if each["outcome"] == "refused")
    print(f"{len(passed)} passed,", sum(causes.values()), "refused:", causes)


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        update()
    else:
        unittest.main()
