"""What the suites share.

A suite is a test suite that somebody else wrote for their own client, run unchanged. What it asks of a broker that
ours is not, or not yet, stands beside it with the reason (`left_out`); whatever else fails is a failure. A suite is
cut into units: processes of their own, each of which answers for one or more tests.
"""

import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WORK = os.path.join(ROOT, "build-suites")
PASSED, FAILED, LEFT_OUT = "ok", "FAIL", "skip"

# Reasons that several suites give.
NO_TRANSACTIONS = "transactions are not there yet"
NO_SHARE_GROUPS = "share groups are not there yet"
NO_SECURITY = "TLS, SASL and access rules are not there yet"
ONE_NODE = "needs several brokers"


class SuiteError(Exception):
    """The suite cannot be had or built."""


class Outcome:
    def __init__(self, test, status, seconds=0.0, detail=""):
        self.test, self.status, self.seconds, self.detail = test, status, seconds, detail


class Suite:
    """One suite. A subclass says what it is called, what it needs and how a unit is run."""

    name = title = None
    overrides = ()          # settings of the server it runs against
    listen = None           # a fixed address, where the suite knows no other
    left_out = {}           # test -> why it is not run; a test may be part of a unit
    workers = 1             # units at a time
    unit_timeout_s = 300
    checkout_name = None    # what --checkout calls its sources, where they come from no package

    def __init__(self, options):
        self.options = options
        self.work = os.path.join(WORK, self.checkout_name or self.name)
        os.makedirs(self.work, exist_ok=True)

    def checkout(self):
        """Where the caller says its sources are, or None."""
        return dict(self.options.checkout).get(self.checkout_name)

    def prepare(self):
        """Fetches and builds what is missing. Raises SuiteError."""

    def version(self):
        raise NotImplementedError

    def units(self):
        """Names of the units, in order."""
        raise NotImplementedError

    def settings(self, unit):
        """Settings of the server that the unit runs against; units of the same settings share one."""
        return self.overrides

    def alone(self, unit):
        """Whether the unit measures time, and wants no other beside it."""
        return False

    def command(self, unit, target, folder):
        """(argv, what is added to the environment, working folder) of a unit."""
        raise NotImplementedError

    def outcomes(self, unit, code, folder, log):
        """Outcomes of a unit that ended, from what it left behind. `code` is None after a time-out."""
        raise NotImplementedError


def fetch(command, cwd=None, env=None):
    """Runs a command that fetches or builds; what it printed is of interest only when it fails."""
    try:
        done = subprocess.run(command, cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    except FileNotFoundError:
        raise SuiteError(f"{command[0]} is not there") from None
    if done.returncode != 0:
        raise SuiteError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def tail(path, bytes_max=4000):
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - bytes_max))
        return re.sub(r"\x1b\[[0-9;]*m", "", file.read().decode(errors="replace"))


def leaves(tests):
    """The names that are not a parent of another one: `Test` is, where there is a `Test/case`."""
    return [test for test in tests if not any(other.startswith(test + "/") for other in tests)]


def e2e():
    """The folder of the end-to-end tests, made importable: its harness starts the servers here too."""
    folder = os.path.join(ROOT, "tests", "e2e")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return folder
