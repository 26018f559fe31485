#!/usr/bin/python3
"""Runs test suites of other projects against build/tools/odradek.

    tests/suites/run.py [SUITE]...                 all suites, or those named; each against a server of its own
    tests/suites/run.py librdkafka --only 0081     some units of one
    tests/suites/run.py --target kafka kafka_go    the same against Apache Kafka
    tests/suites/run.py --write                    and write tests/suites/results; docs/COMPATIBILITY.md shows them

One line per test, what a failed one printed below it, then a summary. What is fetched and built is kept in
build-suites. Exit code 0: everything passed.
"""

import argparse
import concurrent.futures
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from suite import FAILED, LEFT_OUT, PASSED, ROOT, Outcome, SuiteError, e2e, tail  # noqa: E402

e2e()
from harness.target import External, Kafka, Odradek  # noqa: E402  (found through the line above)
from aiokafka import Aiokafka  # noqa: E402
from confluent_go import ConfluentGo  # noqa: E402
from confluent_python import ConfluentPython, ConfluentPythonConsumer  # noqa: E402
from franz_go import FranzGo  # noqa: E402
from kafka_go import KafkaGo  # noqa: E402
from kafka_python import KafkaPython  # noqa: E402
from kafkajs import Kafkajs  # noqa: E402
from librdkafka import Librdkafka  # noqa: E402
from librdkafka_new import LibrdkafkaNew, LibrdkafkaNewConsumer  # noqa: E402
from platformatic import Platformatic  # noqa: E402

SUITES = [Librdkafka, LibrdkafkaNew, LibrdkafkaNewConsumer, ConfluentGo, ConfluentPython, ConfluentPythonConsumer,
          FranzGo, KafkaGo, KafkaPython, Kafkajs, Platformatic, Aiokafka]
RESULTS = os.path.join(HERE, "results")


class Tally:
    """Collects outcomes and prints one line for each."""

    def __init__(self, suite):
        self.suite, self.outcomes, self.lock = suite, [], threading.Lock()

    def add(self, one):
        with self.lock:
            self.outcomes.append(one)
            print(f"{one.status:<4} {self.suite.name} {one.test} {one.seconds:.1f}s", flush=True)
            print("".join(f"     | {line}\n" for line in one.detail.rstrip().splitlines()[-40:]), end="", flush=True)

    def of(self, status):
        return sorted((one for one in self.outcomes if one.status == status), key=lambda one: one.test)


def make_target(suite, settings, options, folder):
    overrides = [*settings, *options.override]
    host, port = (suite.listen or "127.0.0.1:0").rsplit(":", 1)
    if options.broker:
        return External(options.broker)
    if options.target == "kafka":
        return Kafka(folder, overrides, int(port))
    target = Odradek(options.binary, folder, "auto", overrides, int(port))
    target.host = host
    return target


def run_unit(suite, unit, target, work_dir):
    """Runs one unit to its end or its time limit and returns its Outcomes."""
    folder = os.path.join(work_dir, unit.replace("/", "_"))
    os.makedirs(folder, exist_ok=True)
    log = os.path.join(folder, "output")
    argv, env, cwd = suite.command(unit, target, folder)
    begin = time.monotonic()
    with open(log, "wb") as out:
        process = subprocess.Popen(argv, cwd=cwd, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = process.wait(suite.unit_timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = None
    seconds = time.monotonic() - begin
    how = f"still running after {seconds:.0f} s" if code is None else f"no result, exit code {code}"
    return suite.outcomes(unit, code, folder, log) or [Outcome(unit, FAILED, seconds, f"{tail(log)}\n{how}")]


def run_round(suite, units, workers, target, tally, work_dir):
    """Runs units against one server. A server that dies is a failure of its own, and is started again."""
    target.start()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        waiting = {pool.submit(run_unit, suite, unit, target, work_dir): unit for unit in units}
        for done in concurrent.futures.as_completed(waiting):
            for one in done.result():
                tally.add(one)
            if not target.alive():
                tally.add(Outcome(f"server survives {waiting[done]}", FAILED, 0, target.err_tail()))
                target.start()
    code = target.stop()
    if code != 0:
        tally.add(Outcome("server stops cleanly", FAILED, 0, f"exit code {code}\n{target.err_tail()}"))


def run_suite(suite, options, work_dir):
    """Prepares the suite, runs all of it, and returns the Tally."""
    tally = Tally(suite)
    suite.prepare()
    for test, reason in suite.left_out.items():
        tally.add(Outcome(test, LEFT_OUT, 0, reason))
    rounds = {}
    for unit in suite.units():
        if not options.only or any(word in unit for word in options.only):
            workers = 1 if suite.alone(unit) else options.workers or suite.workers
            rounds.setdefault((suite.settings(unit), workers), []).append(unit)
    for serial, ((settings, workers), units) in enumerate(rounds.items()):
        target = make_target(suite, settings, options, os.path.join(work_dir, f"server-{serial}"))
        run_round(suite, units, workers, target, tally, work_dir)
    return tally


def write_results(suite, tally):
    """One file for each suite; tests/e2e/compat.py reads it."""
    def items(status):
        return [{"test": one.test, "reason": one.detail.strip().splitlines()[-1] if one.detail.strip() else "no reason"}
                for one in tally.of(status)]
    checkout_word = f" --checkout {suite.checkout_name}=PATH" if suite.checkout_name else ""
    result = {"suite": suite.title, "version": suite.version(),
              "command": f"tests/suites/run.py {suite.name}{checkout_word}",
              "date": datetime.date.today().isoformat(), "passed": len(tally.of(PASSED)),
              "failed": len(tally.of(FAILED)), "failures": items(FAILED), "left_out": items(LEFT_OUT)}
    os.makedirs(RESULTS, exist_ok=True)
    with open(os.path.join(RESULTS, suite.name + ".json"), "w") as file:
        json.dump(result, file, indent=2)
        file.write("\n")


def checkout(word):
    name, _, path = word.partition("=")
    if not os.path.isdir(path) or name not in {suite.checkout_name for suite in SUITES}:
        raise argparse.ArgumentTypeError(f"{word!r} is not the name of a checkout, '=' and a folder")
    return name, os.path.abspath(path)


def parse_options(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", nargs="*", choices=[[], *(suite.name for suite in SUITES)], help="default: all")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="units with one of these in their name")
    parser.add_argument("--write", action="store_true", help="write the results file of each suite")
    parser.add_argument("--target", choices=["odradek", "kafka"], default="odradek")
    parser.add_argument("--broker", metavar="HOST:PORT", help="a server that runs already")
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "tools", "odradek"))
    parser.add_argument("--override", action="append", default=[], metavar="KEY=VALUE", help="of the server")
    parser.add_argument("--workers", type=int, help="units at a time")
    parser.add_argument("--keep", metavar="DIR", help="keep logs and the server's files there")
    parser.add_argument("--checkout", action="append", default=[], type=checkout, metavar="NAME=PATH",
                        help="sources of a suite that is in no package, say kafkajs=/src/kafkajs; built there")
    parser.add_argument("--kafka-version", help="librdkafka: what it is told the broker is")
    parser.add_argument("--protocol", choices=["classic", "consumer"], default="classic",
                        help="confluent_go: protocol of its groups")
    return parser.parse_args(argv)


def main(argv):
    options = parse_options(argv)
    passed = failed = left_out = 0
    for kind in SUITES:
        if options.suite and kind.name not in options.suite:
            continue
        suite = kind(options)
        if suite.checkout_name and not suite.checkout():
            print(f"skip {suite.name}: no --checkout {suite.checkout_name}=PATH", flush=True)
            continue
        if options.keep:
            work_dir = os.path.join(options.keep, suite.name)
            shutil.rmtree(work_dir, ignore_errors=True)     # topics of an earlier run would be in the way
        else:
            work_dir = tempfile.mkdtemp(prefix="odradek-suites-")
        try:
            tally = run_suite(suite, options, work_dir)
        except SuiteError as error:
            print(f"FAIL {suite.name} cannot be run\n{error}", flush=True)
            failed += 1
            continue
        if options.write:
            write_results(suite, tally)
        passed, failed = passed + len(tally.of(PASSED)), failed + len(tally.of(FAILED))
        left_out += len(tally.of(LEFT_OUT))
        if options.keep or tally.of(FAILED):
            print(f"kept: {work_dir}")
        else:
            shutil.rmtree(work_dir, ignore_errors=True)
    print(f"{passed} passed, {failed} failed" + (f", {left_out} skipped" if left_out else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
