"""Tests and what they are given.

A test is a function marked @case that takes a Context. It fails by raising, most often through `equal` or
`check`. It may use nothing of other tests: its topics have names that nobody else has.
"""

import os
import subprocess
import uuid

from harness.raw import offered_apis

CASES = []


class Skip(Exception):
    pass


class Case:
    def __init__(self, function, timeout_s, needs, once, long):
        self.function = function
        self.timeout_s = timeout_s
        self.needs = frozenset(needs)
        self.once, self.long = once, long
        self.area = function.__module__.removeprefix("test_")
        self.name = f"{self.area}.{function.__name__}"


def case(timeout_s=30, needs=(), once=False, long=False):
    """needs: "files" (the server's data directory is readable), "control" (servers of its own can be
    started and killed), "jvm" (Kafka's Java tools), or a program that harness/apps.py knows.
    once: with the first backend only. long: only when long tests are asked for."""
    def add(function):
        CASES.append(Case(function, timeout_s, needs, once, long))
        return function
    return add


def shorten(value, chars_max=600):
    text = repr(value)
    return text if len(text) <= chars_max else f"{text[:chars_max]}... ({len(text)} characters)"


def equal(actual, expected, what="value"):
    if actual == expected:
        return
    detail = ""
    if isinstance(actual, (list, tuple)) and isinstance(expected, (list, tuple)):
        at = next((i for i, (a, e) in enumerate(zip(actual, expected)) if a != e), min(len(actual), len(expected)))
        detail = (f"\n  lengths {len(actual)} and {len(expected)}, first difference at {at}:"
                  f" {shorten(actual[at:at + 1])} is not {shorten(expected[at:at + 1])}")
    raise AssertionError(f"{what}: {shorten(actual)} is not {shorten(expected)}{detail}")


def check(condition, message):
    if not condition:
        raise AssertionError(message)


class Context:
    def __init__(self, target, work_dir, make_target, jvm, options):
        self.target = target
        self.work_dir = work_dir
        self.jvm = jvm
        self.options = options
        self.unique = uuid.uuid4().hex[:10]
        self.topic = f"t-{self.unique}"
        self._make_target = make_target
        self._private_targets = []

    @property
    def bootstrap(self):
        return self.target.bootstrap

    def path(self, name):
        return os.path.join(self.work_dir, name)

    def skip(self, reason):
        raise Skip(reason)

    def need_api(self, key, name):
        """Skips unless the server offers the API. Kafka must offer everything."""
        if self.target.kind != "kafka" and key not in offered_apis(self.target):
            self.skip(f"{name} is not offered")

    def private_target(self, overrides=(), name="private"):
        """A server of this test's own, not yet started; it is killed at the latest when the test ends."""
        target = self._make_target(os.path.join(self.work_dir, name), overrides)
        self._private_targets.append(target)
        return target

    def close(self):
        for target in self._private_targets:
            if target.alive():
                target.kill()

    def run(self, command, stdin=None, timeout_s=40, check_exit=True):
        """Runs a command; stdin and the returned output are bytes. Returns (stdout, stderr, exit code)."""
        done = subprocess.run(command, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout_s)
        if check_exit and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n"
                                 f"{done.stderr.decode(errors='replace')[-3000:]}")
        return done.stdout, done.stderr, done.returncode
