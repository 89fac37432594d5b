# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""tools/bootstrap's own parts: what it counts, caches, refuses and removes."""
import contextlib
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from bootstrap_lib import cache, debian, fetch, steps, suite  # noqa: E402


class Counting(unittest.TestCase):
    def test_googletest(self):
        text = ("[==========] 5 tests from 2 test suites ran. (1 ms total)\n"
                "[  PASSED  ] 3 tests.\n[  SKIPPED ] 1 test, listed below:\n"
                "[  FAILED  ] 1 test, listed below:\n[  FAILED  ] A.B\n")
        self.assertEqual(suite.count(text, "fail"), (3, 1, 1))

    def test_lit(self):
        text = ("Testing Time: 0.2s\n\nTotal Discovered Tests: 9\n"
                "  Unsupported        : 1 (11.11%)\n  Passed             : 6 (66.67%)\n"
                "  Expectedly Failed  : 1 (11.11%)\n  Failed             : 1 (11.11%)\n")
        self.assertEqual(suite.count(text, "fail"), (7, 1, 1))

    def test_unittest(self):
        text = "Ran 9 tests in 1.2s\n\nFAILED (failures=1, errors=2, skipped=3)\n"
        self.assertEqual(suite.count(text, "fail"), (3, 3, 3))
        self.assertEqual(suite.count("Ran 4 tests in 0.1s\n\nOK (skipped=1)\n", "run"),
                         (3, 0, 1))

    def test_programs_without_counts_are_one_test(self):
        self.assertEqual(suite.count("", "run"), (1, 0, 0))
        self.assertEqual(suite.count("no such file", "fail"), (0, 1, 0))

    def test_crash_after_passes_is_a_failure(self):
        self.assertEqual(suite.count("[  PASSED  ] 3 tests.\n", "fail"), (3, 1, 0))


class Caching(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache = pathlib.Path(folder.name) / "cache"
        self.cache.mkdir()
        self.steps = steps.Steps(self.cache / "logs")

    def test_half_made_folder_is_not_complete(self):
        made = self.cache / "onnx-1"
        made.mkdir()
        self.assertFalse(cache.is_stamped(made, cache.key_of("flags")))
        cache.stamp(made, cache.key_of("flags"))
        self.assertTrue(cache.is_stamped(made, cache.key_of("flags")))
        self.assertFalse(cache.is_stamped(made, cache.key_of("other flags")))

    def test_clean_leaves_what_is_not_its_own(self):
        (self.cache / "venv" / "bin").mkdir(parents=True)
        (self.cache / "mine").touch()
        with contextlib.redirect_stdout(io.StringIO()):
            cache.clean(self.cache)
        self.assertEqual([path.name for path in self.cache.iterdir()], ["mine"])

    def test_clean_removes_the_folder_when_all_is_its_own(self):
        (self.cache / "models").mkdir()
        with contextlib.redirect_stdout(io.StringIO()):
            cache.clean(self.cache)
        self.assertFalse(self.cache.exists())

    def test_offline_names_each_missing_wheel(self):
        with self.assertRaisesRegex(steps.Trouble, r"--offline.*numpy==.*onnxruntime=="):
            fetch.environment(self.steps, self.cache, offline=True)

    def test_offline_names_the_missing_archive(self):
        with self.assertRaisesRegex(steps.Trouble, r"--offline.*a-1\.whl \(a==1\)"):
            fetch.archive(self.steps, self.cache, True, "a==1", "a-1.whl", "00")

    def test_damaged_archive_is_not_used(self):
        (self.cache / "downloads").mkdir()
        (self.cache / "downloads" / "a-1.whl").write_text("not it")
        with self.assertRaisesRegex(steps.Trouble, "--offline"):
            fetch.archive(self.steps, self.cache, True, "a==1", "a-1.whl", "00")

    def test_failed_step_shows_the_end_of_its_log(self):
        lines = "import sys; [print(i) for i in range(50)]; sys.exit(3)"
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            with self.assertRaises(steps.Failed) as caught:
                self.steps.run("Step", [sys.executable, "-c", lines], "step")
        self.assertIn("failed", shown.getvalue())
        self.assertIn("exit status 3", str(caught.exception))
        self.assertEqual(caught.exception.tail.split(),
                         [str(number) for number in range(20, 50)])
        self.assertIn("\n0\n", (self.cache / "logs" / "step.log").read_text())


class Packages(unittest.TestCase):
    def setUp(self):
        debian.PACKAGES.append("no-such-package")
        self.addCleanup(debian.PACKAGES.remove, "no-such-package")

    def test_without_root_one_message_says_what_to_install(self):
        root = os.geteuid
        os.geteuid = lambda: 1000
        self.addCleanup(setattr, os, "geteuid", root)
        with self.assertRaisesRegex(steps.Trouble, "apt-get install .*no-such-package"):
            debian.install(None, None, offline=False)

    def test_offline_names_missing_packages(self):
        root = os.geteuid
        os.geteuid = lambda: 0
        self.addCleanup(setattr, os, "geteuid", root)
        with self.assertRaisesRegex(steps.Trouble, "--offline.*no-such-package"):
            debian.install(None, None, offline=True)


class Command(unittest.TestCase):
    def run_it(self, *arguments):
        return subprocess.run([sys.executable, ROOT / "tools" / "bootstrap",
                               *arguments], capture_output=True, text=True)

    def test_help_fits_a_screen(self):
        done = self.run_it("help")
        self.assertEqual(done.returncode, 0)
        self.assertLessEqual(len(done.stdout.splitlines()), 24)

    def test_wrong_words_are_refused(self):
        for words in (["tset"], [], ["build", "--jobs=0"]):
            done = self.run_it(*words)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("error:", done.stderr)


if __name__ == "__main__":
    unittest.main()
