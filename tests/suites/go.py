"""Suites of Go modules: built from the module cache by the module's name, one process for each test function."""

import os
import re

from suite import FAILED, LEFT_OUT, PASSED, Outcome, Suite, fetch, leaves, tail

STATES = {"PASS": PASSED, "FAIL": FAILED, "SKIP": LEFT_OUT}


class GoSuite(Suite):
    module = pinned = package = None
    needs_broker = None     # a test whose text matches uses a broker; the others are not run
    env = {}
    first = None            # a test that is run before each, for what it leaves behind in the process

    def prepare(self):
        if not os.path.exists(os.path.join(self.work, "go.mod")):
            fetch(["go", "mod", "init", "suites"], cwd=self.work)
        fetch(["go", "get", "-t", f"{self.module}@{self.pinned}"], cwd=self.work)
        if not os.path.exists(self.binary()):
            fetch(["go", "get", "-t", self.package], cwd=self.work)
            fetch(["go", "test", "-c", "-o", self.binary(), self.package], cwd=self.work)

    def binary(self):
        return os.path.join(self.work, f"{self.pinned}.test")

    def folder(self):
        return fetch(["go", "list", "-f", "{{.Dir}}", self.package], cwd=self.work).strip()

    def version(self):
        return self.pinned.removeprefix("v")

    def units(self):
        folder, found = self.folder(), []
        for name in sorted(os.listdir(folder)):
            if not name.endswith("_test.go"):
                continue
            with open(os.path.join(folder, name)) as file:
                for function, body in re.findall(r"^func (Test\w+)\(\w+ \*testing\.T\) \{\n(.*?)^\}", file.read(),
                                                 re.S | re.M):
                    if re.search(self.needs_broker, body) and function not in self.left_out:
                        found.append(function)
        return found

    def command(self, unit, target, folder):
        # Subtests that are left out, by what -test.skip takes: patterns for each level.
        skip = "|".join(f"^{test.replace('/', '$/^')}$" for test in self.left_out if test.startswith(unit + "/"))
        argv = [self.binary(), "-test.v", "-test.run", f"^({unit}|{self.first})$" if self.first else f"^{unit}$",
                "-test.timeout", f"{self.unit_timeout_s}s"]
        return argv + (["-test.skip", skip] if skip else []), {**self.env, **self.address(target)}, self.folder_once()

    def folder_once(self):
        self.found_folder = getattr(self, "found_folder", None) or self.folder()
        return self.found_folder

    def address(self, target):
        """How the tests are told where the broker is."""
        return {}

    def outcomes(self, unit, code, folder, log):
        with open(log, errors="replace") as file:
            text = file.read()
        results = {name: (word, float(seconds)) for word, name, seconds in
                   re.findall(r"^ *--- (PASS|FAIL|SKIP): (\S+) \(([\d.]+)s\)", text, re.M)
                   if name == unit or name.startswith(unit + "/")}
        if unit not in results:
            return []
        ends = leaves(list(results))
        if results[unit][0] == "FAIL" and all(results[one][0] != "FAIL" for one in ends):
            ends = [unit]
        return [self.outcome(one, *results[one], text, log) for one in ends]

    def outcome(self, test, word, seconds, text, log):
        if word == "SKIP":
            said = re.search(rf"^ *--- SKIP: {re.escape(test)} .*\n((?: +\S+\.go:\d+: .*\n)*)", text, re.M)
            before = re.findall(r"\S+_test\.go:\d+: (.*)", said.group(1) if said and said.group(1) else text)
            return Outcome(test, LEFT_OUT, seconds, "skips itself: " + (before[-1] if before else "says not why"))
        return Outcome(test, STATES[word], seconds, tail(log) if word == "FAIL" else "")
