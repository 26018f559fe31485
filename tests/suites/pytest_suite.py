"""Suites that pytest runs: from a checkout, in an environment of their own, one process for each file of tests."""

import glob
import os
import sys
import xml.etree.ElementTree as xml

from suite import FAILED, LEFT_OUT, PASSED, Outcome, Suite, fetch

TEXT_MAX = 4000             # of what a failed test says; some say megabytes


class PytestSuite(Suite):
    packages = ()           # beside pytest, what the tests need
    tests = None            # their folder in the checkout
    pattern = "test_*.py"
    options_more = ()       # of pytest

    def prepare(self):
        if not os.path.exists(self.python()):
            fetch([sys.executable, "-m", "venv", os.path.join(self.work, "venv")])
        fetch([self.python(), "-m", "pip", "install", "-q", *self.packages])

    def python(self):
        return os.path.join(self.work, "venv", "bin", "python")

    def units(self):
        """Names of files. The name of a test is FILE/TEST; of one in a class, FILE/CLASS::TEST."""
        found = [os.path.basename(path).removesuffix(".py")
                 for path in sorted(glob.glob(os.path.join(self.checkout(), self.tests, self.pattern)))]
        return [unit for unit in found if unit not in self.left_out]

    def environment(self, target):
        """How the tests are told where the broker is."""
        raise NotImplementedError

    def command(self, unit, target, folder):
        file = os.path.join(self.tests, unit + ".py")
        left_out = [f"--deselect={file}::{test.partition('/')[2]}" for test in self.left_out
                    if test.startswith(unit + "/")]
        return [self.python(), "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={os.path.join(folder, 'xml')}",
                *self.options_more, *left_out, file], self.environment(target), self.checkout()

    def outcomes(self, unit, code, folder, log):
        report = os.path.join(folder, "xml")
        if code is None or not os.path.exists(report):
            return []
        cases = list(xml.parse(report).iter("testcase"))
        # Exit code 5: nothing left to run. 0 and 1 are said by the report; anything else went wrong beside the tests.
        if code not in (0, 1) or not cases:
            return []
        return [outcome(unit, case) for case in cases]


def outcome(unit, case):
    """The report's classname is FOLDERS.FILE or FOLDERS.FILE.CLASS."""
    inside = case.get("classname").rpartition(unit)[2].strip(".").replace(".", "::")
    test, seconds = f"{unit}/{inside + '::' if inside else ''}{case.get('name')}", float(case.get("time"))
    skipped = case.find("skipped")
    if skipped is not None:
        return Outcome(test, LEFT_OUT, seconds, "skips itself: " + skipped.get("message"))
    wrong = [one for kind in ("failure", "error") for one in case.findall(kind)]
    said = "\n".join(f"{one.get('message')}\n{(one.text or '')[-TEXT_MAX:]}" for one in wrong)
    return Outcome(test, FAILED if wrong else PASSED, seconds, said)
