# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ONNX's operator cases through compiled code.

The cases of Debian's libonnx-testdata, and those that the `onnx` package makes
for operators newer than that.

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
import tempfile
import unittest
import warnings

import onnx
import onnx.backend.test.case.node
import onnx.numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
LIST = HERE / "node_cases.txt"
DATA = pathlib.Path(os.environ.get("SPARSE_OPT_NODE_CASES") or
                    "/usr/share/libonnx-testdata/data/node")


# Data that isn't of the shape its model declares, or bfloat16 as its bits.
BAD_DATA = {"test_cast_BFLOAT16_to_FLOAT",
            "test_cast_FLOAT_to_BFLOAT16",
            "test_castlike_BFLOAT16_to_FLOAT",
            "test_castlike_BFLOAT16_to_FLOAT_expanded",
            "test_castlike_FLOAT_to_BFLOAT16",
            "test_castlike_FLOAT_to_BFLOAT16_expanded"}


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


def debian_cases():
    return sorted(path.parent for path in DATA.glob("*/model.onnx")
                  if path.parent.name not in BAD_DATA)


def newer_cases():
    """name -> case, of operators and types that DATA doesn't have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = onnx.backend.test.case.node.collect_testcases(None)
    known = {path.name for path in DATA.glob("*")}
    return {case.name: case for case in made
            if case.name not in known and "_expanded" not in case.name and
            not case.name.startswith("test_image_decoder")}


def write_case(case, folder):
    """As the cases of DATA are stored; False for one that isn't tensors."""
    inputs, outputs = case.data_sets[0]
    arrays = list(inputs) + list(outputs)
    if not all(hasattr(array, "dtype") for array in arrays):
        return False
    data = folder / case.name / "test_data_set_0"
    data.mkdir(parents=True)
    onnx.save(case.model, data.parent / "model.onnx")
    for kind, list_ in (("input", inputs), ("output", outputs)):
        for i, array in enumerate(list_):
            tensor = onnx.numpy_helper.from_array(array)
            (data / f"{kind}_{i}.pb").write_bytes(tensor.SerializeToString())
    return True


NEWER = newer_cases()


def run_everything():
    with tempfile.TemporaryDirectory() as folder:
        written = []
        for name, case in NEWER.items():
            try:
                if write_case(case, pathlib.Path(folder)):
                    written.append(pathlib.Path(folder) / name)
            except (TypeError, ValueError, NotImplementedError):
                continue  # a type that the package itself can't store
        results = run_all(debian_cases() + written)
    for name in NEWER:
        results.setdefault(name, {"outcome": "refused",
                                  "detail": "not of tensors"})
    return results


def all_names():
    return [case.name for case in debian_cases()] + list(NEWER)


def listed():
    return {line for line in LIST.read_text().splitlines()
            if line and not line.startswith("#")}


class NodeCases(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.results = run_everything()
        refused = collections.Counter(
            reason(each["detail"]) for each in cls.results.values()
            if each["outcome"] == "refused")
        print("\nnot supported:", ", ".join(
            f"{name} {count}" for name, count in sorted(refused.items())))

    def check(self, name, expected):
        result = self.results[name]
        if result["outcome"] == "refused" and not expected:
            self.assertNotIn("bug of sparse-opt", result["detail"])
            self.assertNotIn("linking failed", result["detail"])
            self.skipTest(reason(result["detail"]))
        self.assertEqual(result["outcome"], "passed", result["detail"])
        self.assertTrue(expected, "passes and isn't in node_cases.txt")

    def test_list_is_of_cases(self):
        self.assertEqual(listed() - set(all_names()), set())


def add_case(name, expected):
    setattr(NodeCases, name, lambda self: self.check(name, expected))


for _name in all_names():
    add_case(_name, _name in listed())
if not debian_cases():
    NodeCases = unittest.skip(f"no cases in {DATA}")(NodeCases)


def update():
    results = run_everything()
    passed = sorted(name for name, each in results.items()
                    if each["outcome"] == "passed")
    LIST.write_text("# Cases that compile and pass; see "
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
