#!/usr/bin/python3
"""Makes docs/COMPATIBILITY.md from what test runs left behind; nothing in the page is written by hand.

    tests/e2e/run.py && tests/e2e/compat.py take      takes the results of a whole run, then makes the page
    tests/e2e/compat.py                               makes the page from the results that are committed
    tests/e2e/compat.py check                         exit code 1: the page does not say what the results say
    tests/e2e/compat.py self-test                     shows that `check` and the reader of results can fail

Results are committed beside their programs: those of run.py in tests/e2e/results.json, those of other people's test
suites in tests/suites/results/*.json, one file each:

    {"suite": "librdkafka tests", "version": "2.0.2", "command": "...", "date": "2026-01-31", "passed": 75, "failed": 1,
     "failures": [{"test": "0099", "reason": "..."}], "left_out": [{"test": "0098", "reason": "needs two brokers"}]}

"failures" may be missing where "failed" is 0.
"""

import json
import os
import re
import shutil
import sys
import tempfile

from harness.versions import client_key

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TAKEN_FROM = os.path.join(ROOT, "build-test", "e2e.json")
RUN_RESULTS = os.path.join(HERE, "results.json")
SUITE_RESULTS = os.path.join(ROOT, "tests", "suites", "results")
PAGE = os.path.join(ROOT, "docs", "COMPATIBILITY.md")

# What a test is about: by its file, else by the first of these that fits its claim.
APPLICATIONS = "whole applications"
FEATURE_OF_AREA = {"segments": "segment files", "server": "kills and restarts", "apps": APPLICATIONS, "connect": APPLICATIONS,
                   "consoles": APPLICATIONS}
NEWER_GROUPS, GROUPS = "groups, newer protocol", "groups"
FEATURES = [
    ("compression", r"_(gzip|snappy|lz4|zstd)\b"),
    ("idempotence", r"idempotent|producers"),
    (NEWER_GROUPS, r"848|consumer_protocol|newer_protocol"),
    (GROUPS, r"group|rebalanc|commit|static_member|subscri"),
    ("kills and restarts", r"kill|survives|remembers|restart"),
    ("segment files", r"dump_log"),
    ("rules, quotas, users, transactions", r"acls|access_rules|quotas|users|delegation|transactions|has_not"),
    ("cluster", r"quorum|features|cluster|election|reassign|api_versions|every_api|the_broker|log_dirs"),
    ("settings", r"config|settings|loggers"),
    ("topics", r"topic|partitions$|metadata|administers|deletes_records"),
    ("offsets and times", r"offset|seek|begin_and_end|watermark|time"),
    (APPLICATIONS, r"every_page"),
    ("produce and fetch", r""),
]


class ResultsError(Exception):
    pass


# -- reading ----------------------------------------------------------------------------------------------------------


def load(path):
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        raise ResultsError(f"{path}: {error}") from None


def suite_check(path, suite):
    """Every fact must be there, of the right kind, and nothing else."""
    kinds = {"suite": str, "version": str, "command": str, "date": str, "passed": int, "failed": int,
             "failures": list, "left_out": list}
    suite.setdefault("failures", [])
    if {key: type(value) for key, value in suite.items()} != kinds:
        raise ResultsError(f"{path}: must have {', '.join(sorted(kinds))} and nothing else")
    for one in suite["failures"] + suite["left_out"]:
        if set(one) != {"test", "reason"} or not one["reason"].strip():
            raise ResultsError(f"{path}: a failure or something left out has a test and a reason, not {one}")
    if len(suite["failures"]) != suite["failed"] or not re.fullmatch(r"\d{4}-\d\d-\d\d", suite["date"]):
        raise ResultsError(f"{path}: failed is not the number of failures, or the date is none")
    return suite


def suites_load(folder):
    names = sorted(name for name in os.listdir(folder) if name.endswith(".json")) if os.path.isdir(folder) else []
    return [suite_check(name, load(os.path.join(folder, name))) for name in names]


# -- the page ---------------------------------------------------------------------------------------------------------


def feature_of(name):
    area, claim = name.split(".", 1)
    found = next(feature for feature, pattern in FEATURES if re.search(pattern, claim))
    if "group" in area:     # its tests that run once with each protocol end with its name
        return NEWER_GROUPS if found == NEWER_GROUPS or claim.endswith("_consumer") else GROUPS
    return FEATURE_OF_AREA.get(area, found)


def client_of(run, name):
    key = client_key(name)
    return run["clients"].get(key, key)


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def cell(outcomes):
    """outcomes: of one feature and client, a dict of backend -> outcome each. A test counts as passed when it passed
    everywhere."""
    if not outcomes:
        return ""
    passed = sum(set(one.values()) == {"ok"} for one in outcomes)
    return str(passed) if passed == len(outcomes) else f"{passed} of {len(outcomes)}"


def matrix(run):
    cells = {}
    for name, outcome in run["results"].items():
        cells.setdefault((feature_of(name), client_of(run, name)), []).append(outcome)
    clients = sorted({client for _, client in cells}, key=str.lower)
    features = [feature for feature, _ in FEATURES if any(f == feature for f, _ in cells)]
    rows = [[feature, *(cell(cells.get((feature, client))) for client in clients)] for feature in features]
    return table(["", *clients], rows)


def not_passed(run):
    lines = []
    for name, outcome in sorted(run["results"].items()):
        by_word = {}
        for backend, word in sorted(outcome.items()):
            by_word.setdefault(word, []).append(backend)
        for word, backends in sorted(by_word.items()):
            if word != "ok":
                said = "failed" if word == "FAIL" else word.replace("skip: ", "left out: ", 1)
                lines.append(f"- `{name}` ({', '.join(backends)}): {said}\n")
    return "".join(lines) or "- nothing\n"


def what_was_done(run):
    done = {}
    for name in run["results"]:
        done.setdefault(client_of(run, name), []).append(name.split(".", 1)[1].replace("_", " "))
    return "".join(f"- **{client}**: {'; '.join(sorted(done[client]))}\n" for client in sorted(done, key=str.lower))


def suites_part(suites):
    if not suites:
        return "None has been run yet.\n"
    text = table(["suite", "version", "passed", "failed", "left out", "date", "command"],
                 [[s["suite"], s["version"], s["passed"], s["failed"], len(s["left_out"]), s["date"],
                   f"`{s['command']}`"] for s in suites])
    for suite in suites:
        for title, items in (("Failed", suite["failures"]), ("Left out", suite["left_out"])):
            reasons = {}
            for item in items:
                reasons.setdefault(item["reason"], []).append(item["test"])
            if reasons:
                text += f"\n{title} of {suite['suite']}:\n"
            text += "".join(f"- {reason}: {', '.join(sorted(tests))}\n" for reason, tests in sorted(reasons.items()))
    return text


def page_text(run, suites):
    backends = sorted({backend for outcome in run["results"].values() for backend in outcome})
    return f"""# Compatibility
Which programs of others were run against which version of this one, and what came of it. `tests/e2e/compat.py` makes
this page from the committed results of test runs; nothing in it is written by hand.

## Clients
`{run['command']}` on {run['date']}, {run['server']}, backends {' and '.join(backends)}: tests that passed, by what they
are about. Where not all passed, the number of all follows.

{matrix(run)}
Not passed:

{not_passed(run)}
What the tests do, by their names:

{what_was_done(run)}
## Test suites of other projects
Unchanged, against this server (`tests/suites`). What is left out needs something that one node is not, or that does not
exist here yet; each has its reason.

{suites_part(suites)}"""


# -- commands ---------------------------------------------------------------------------------------------------------


def page_now():
    return page_text(load(RUN_RESULTS), suites_load(SUITE_RESULTS))


def make():
    text = page_now()
    with open(PAGE, "w") as file:
        file.write(text)
    return 0


def take():
    load(TAKEN_FROM)
    shutil.copyfile(TAKEN_FROM, RUN_RESULTS)
    return make()


def check():
    with open(PAGE) as file:
        same = file.read() == page_now()
    print("1 passed, 0 failed" if same else "docs/COMPATIBILITY.md is not what the results say: run tests/e2e/compat.py\n"
                                             "0 passed, 1 failed")
    return 0 if same else 1


def self_test():
    run = {"command": "c", "date": "2026-01-31", "server": "s", "clients": {"kcat": "kcat 1"},
           "results": {"kcat.keeps_gzip": {"uring": "ok", "epoll": "ok"}, "kcat.seeks": {"uring": "ok", "epoll": "FAIL"},
                       "mixed.group": {"uring": "skip: no\n"}}}
    good = {"suite": "s", "version": "1", "command": "c", "date": "2026-01-31", "passed": 1, "failed": 1,
            "failures": [{"test": "a", "reason": "r"}], "left_out": [{"test": "b", "reason": "q"}]}
    text = page_text(run, [suite_check("f", dict(good))])
    failures = [want for want in ("| compression | 1 |", "| offsets and times | 0 of 1 |", "`kcat.seeks` (epoll): failed",
                                  "`mixed.group` (uring): left out: no", "- r: a", "- q: b") if want not in text]
    changed = {**run, "results": {**run["results"], "kcat.seeks": {"uring": "ok", "epoll": "ok"}}}
    if page_text(changed, []) == page_text(run, []):
        failures.append("another result makes the same page")
    for wrong in ({"failed": 2}, {"left_out": [{"test": "b", "reason": ""}]}, {"more": 1}, {"date": "soon"},
                  {"passed": "1"}):
        try:
            suite_check("f", {**good, **wrong})
            failures.append(f"{wrong} is taken")
        except ResultsError:
            pass
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "a.json"), "w") as file:
            file.write("{")
        try:
            suites_load(folder)
            failures.append("a broken file is taken")
        except ResultsError:
            pass
    print("".join(f"compat.py: {failure}\n" for failure in failures), end="")
    print(f"{0 if failures else 1} passed, {len(failures)} failed")
    return 1 if failures else 0


def main(argv):
    commands = {(): make, ("take",): take, ("check",): check, ("self-test",): self_test}
    if tuple(argv) not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return commands[tuple(argv)]()
    except ResultsError as error:
        print(f"compat.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
