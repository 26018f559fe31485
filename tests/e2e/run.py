#!/usr/bin/python3
"""Runs the end-to-end tests.

    tests/e2e/run.py [--io uring,epoll] [FILTER]...     starts build/tools/odradek, once per backend, side by side
    tests/e2e/run.py --target kafka                     the same tests against Apache Kafka
    tests/e2e/run.py --broker HOST:PORT                 against a server that runs already

FILTER is a part of a test's name, for example `kcat` or `java.console`. Each test runs in a process of its
own, with a time limit, against a server all tests of one backend share; one line per test, then a summary.
What a failed test and the server printed follows its line. Exit code 0: everything passed.

A run of everything also leaves its results in build-test/e2e.json; compat.py makes docs/COMPATIBILITY.md of them.
"""

import argparse
import datetime
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from harness import apps, case as cases, jvm
from harness.jvm import Jvm
from harness.target import External, Kafka, Odradek, ROOT, TargetError, file_tail, stable_port
from harness.versions import clients

MODULES = sorted(name[:-3] for name in os.listdir(HERE) if name.startswith("test_") and name.endswith(".py"))
PASSED, FAILED, SKIPPED = "ok", "FAIL", "skip"
EXIT_FAILED, EXIT_SKIPPED = 1, 77
RESULTS = os.path.join(ROOT, "build-test", "e2e.json")


class Runner:
    def __init__(self, options, work_dir, jvm_dir):
        self.options = options
        self.work_dir = work_dir
        self.jvm = Jvm(jvm_dir)
        self.counts = {PASSED: 0, FAILED: 0, SKIPPED: 0}
        self.results = {}
        self.serial = 0

    def make_target(self, work_dir, overrides, io="auto", port=0):
        if self.options.broker:
            return External(self.options.broker)
        if self.options.target == "kafka":
            return Kafka(work_dir, overrides, port)
        return Odradek(self.options.binary, work_dir, io, overrides, port)

    def report(self, status, label, name, seconds, detail=""):
        self.counts[status] += 1
        said = f"{status}: {' '.join(detail.split())}" if status == SKIPPED else status
        self.results.setdefault(name, {})[label] = said
        lines = "".join(f"     | {line}\n" for line in detail.rstrip().splitlines())
        # In one write: the other backend's round writes to the same place.
        os.write(1, f"{status:<4} {label:<6} {name} {seconds:.2f}s\n{lines}".encode())

    def missing(self, needs):
        if "files" in needs and self.options.broker and not self.options.data_dir:
            return "the server's files are out of reach"
        if "control" in needs and self.options.broker:
            return "the server is not ours to kill"
        if "jvm" in needs and jvm.missing():
            return jvm.missing()
        return next((reason for need in sorted(needs & apps.PACKAGES.keys()) if (reason := apps.missing(need))), None)

    def run_round(self, io, selected):
        """All of selected against one server; io is the backend."""
        label = io if self.options.target == "odradek" and not self.options.broker else self.options.target
        if self.options.broker:
            label = "extern"
        round_dir = os.path.join(self.work_dir, label)
        target = self.make_target(os.path.join(round_dir, "server"), [], io)
        try:
            target.start()
        except (TargetError, OSError) as error:
            self.report(FAILED, label, "server.starts", 0, str(error))
            return
        if self.options.broker:
            target.data_dir = self.options.data_dir
        for one in selected:
            reason = self.missing(one.needs)
            if reason:
                self.report(SKIPPED, label, one.name, 0, reason)
                continue
            self.run_case(one, target, label, round_dir, io)
            if not target.alive():
                self.report(FAILED, label, f"server.survives({one.name})", 0, target.err_tail())
                target.start()
        code = target.stop()
        status = PASSED if code == 0 else FAILED
        self.report(status, label, "server.stops_cleanly", 0,
                    "" if code == 0 else f"exit code {code}\n{target.err_tail()}")

    def run_case(self, one, target, label, round_dir, io):
        self.serial += 1
        case_dir = os.path.join(round_dir, f"{self.serial:03d}-{one.name}")
        os.makedirs(case_dir)
        out_path = os.path.join(case_dir, "output")
        begin = time.monotonic()
        pid = os.fork()
        if pid == 0:
            self.child(one, target, case_dir, out_path, io)
        timeout_s = one.timeout_s * self.options.timeout_factor
        code = wait_child(pid, begin + timeout_s)
        seconds = time.monotonic() - begin
        if code is None:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            if "jvm" in one.needs:
                self.jvm.stop()
        # Why it failed comes first: clients may have said a lot since.
        output = file_tail(out_path + ".why", 3000) + file_tail(out_path, 3000)
        if code == 0:
            self.report(PASSED, label, one.name, seconds)
            shutil.rmtree(case_dir, ignore_errors=True)
        elif code == EXIT_SKIPPED:
            self.report(SKIPPED, label, one.name, seconds, output)
        else:
            why = f"still running after {timeout_s:.0f} s\n" if code is None else ""
            if code not in (None, EXIT_FAILED):
                why = f"ended with wait status {code}\n"
            server = target.err_tail(2000) if not self.options.broker else ""
            self.report(FAILED, label, one.name, seconds,
                        why + output + (f"\nserver said last:\n{server}" if server else ""))

    def child(self, one, target, case_dir, out_path, io):
        os.setpgid(0, 0)
        out = os.open(out_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(out, 1)
        os.dup2(out, 2)

        def make_target(path, overrides):
            return self.make_target(path, overrides, io, stable_port())

        context = cases.Context(target, case_dir, make_target, self.jvm, self.options)
        code = 0
        try:
            one.function(context)
        except cases.Skip as reason:
            print(reason)
            code = EXIT_SKIPPED
        except BaseException:
            with open(out_path + ".why", "w") as why:
                traceback.print_exc(file=why)
            code = EXIT_FAILED
        finally:
            context.close()
            sys.stdout.flush()
            sys.stderr.flush()
            # Not sys.exit: what clients left running in threads must not hold up the end of the test.
            os._exit(code)


def wait_child(pid, deadline):
    """Returns the exit code, or None when the deadline came first."""
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.005)


def parse_options(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("filter", nargs="*")
    parser.add_argument("--target", choices=["odradek", "kafka"], default="odradek")
    parser.add_argument("--broker", metavar="HOST:PORT")
    parser.add_argument("--data-dir", help="data directory of the --broker server, for the tests that read its files")
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "tools", "odradek"))
    parser.add_argument("--io", default="uring,epoll", help="backends, one round each (default %(default)s)")
    parser.add_argument("--timeout-factor", type=float, default=1.0, help="for slow builds")
    parser.add_argument("--shares", type=int, default=1, metavar="N",
                        help="cut each backend's tests in N shares that run side by side, each with a server of its own")
    parser.add_argument("--rss-mb", type=int, default=200, help="the server may not have more (default %(default)s)")
    parser.add_argument("--results", metavar="FILE", help="where to leave the results (default: see above)")
    parser.add_argument("--keep", action="store_true", help="keep the work directory")
    parser.add_argument("--long", action="store_true", help="also the tests that take minutes or need more installed")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args(argv)


def results_write(path, results, options, argv):
    """What was run on what, with which outcome; nothing that differs from one run to the next on the same day."""
    version = subprocess.run([options.binary, "version"], stdout=subprocess.PIPE, text=True).stdout.strip()
    data = {"command": " ".join(["tests/e2e/run.py", *argv]), "date": datetime.date.today().isoformat(),
            "server": version, "clients": clients(results), "results": results}
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        json.dump(data, file, indent=1, sort_keys=True)
        file.write("\n")


def run_rounds(options, work_dir, backends, selected):
    """Runs a round for each share of each backend's tests, all at the same time, since tests mostly wait; returns counts
    and results."""
    rounds = []
    for io in backends:
        tests = [one for one in selected if io == backends[0] or not one.once]
        for share in range(options.shares):
            sys.stdout.flush()
            pid = os.fork()
            if pid == 0:
                round_process(options, os.path.join(work_dir, f"{io}-{share}"), io, tests[share::options.shares])
            rounds.append((pid, f"{io}-{share}"))
    counts, results = {PASSED: 0, FAILED: 0, SKIPPED: 0}, {}
    for pid, name in rounds:
        _, status = os.waitpid(pid, 0)
        if status != 0:
            print(f"FAIL {name:<6} the round itself ended with wait status {status}", flush=True)
            counts[FAILED] += 1
            continue
        with open(os.path.join(work_dir, name, "results.json")) as file:
            its_counts, its_results = json.load(file)
        for status, number in its_counts.items():
            counts[status] += number
        results_add(results, its_results)
    return counts, results


def results_add(results, more):
    """What all rounds report, the server's stop for example, has passed when it has in all of them."""
    for name, outcomes in more.items():
        known = results.setdefault(name, {})
        for label, said in outcomes.items():
            known[label] = FAILED if FAILED in (said, known.get(label)) else said


def round_process(options, work_dir, io, selected):
    """One round, with a server and a tools' machine of its own; its results go into a file, and the process ends."""
    code = 1
    try:
        random.seed()  # else every round would choose the same ports
        os.makedirs(work_dir)
        runner = Runner(options, work_dir, work_dir)
        try:
            runner.run_round(io, selected)
        finally:
            runner.jvm.stop()
        with open(os.path.join(work_dir, "results.json"), "w") as file:
            json.dump([runner.counts, runner.results], file)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main(argv, modules=MODULES):
    options = parse_options(argv)
    for module in modules:
        importlib.import_module(module)
    selected = [one for one in cases.CASES if (options.long or not one.long) and
                (not options.filter or any(f in one.name for f in options.filter))]
    if options.list:
        print("\n".join(one.name for one in selected))
        return 0
    ours = options.target == "odradek" and not options.broker
    if ours and not os.access(options.binary, os.X_OK):
        print(f"run.py: {options.binary} is missing: build it, or choose with --binary", file=sys.stderr)
        return 2
    work_dir = tempfile.mkdtemp(prefix="odradek-e2e-")
    counts, results = run_rounds(options, work_dir, options.io.split(",") if ours else ["auto"], selected)
    results_path = options.results or (RESULTS if ours and not options.filter else None)
    if results_path:
        results_write(os.path.abspath(results_path), results, options, argv)
    if options.keep or counts[FAILED]:
        print(f"kept: {work_dir}")
    else:
        shutil.rmtree(work_dir, ignore_errors=True)
    skipped = f", {counts[SKIPPED]} skipped" if counts[SKIPPED] else ""
    print(f"{counts[PASSED]} passed, {counts[FAILED]} failed{skipped}")
    return 1 if counts[FAILED] or not counts[PASSED] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
