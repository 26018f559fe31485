"""Consumer groups with Kafka's own tools: both group protocols, the group tool, what the tools read of our offsets."""

import json
import os
import re
import signal
import subprocess
import threading
import time

from harness import segment
from harness.case import case, check, equal
from harness.clients import committed_of, create_topic, member, produce_all, producer
from harness.jvm import JAVA_DIR, full_name, java_command
from test_java import tool
from test_segments import QUIET_S

GROUPS = "consumer.group.ConsumerGroupCommand"
CONSOLE = "consumer.ConsoleConsumer"
PROTOCOLS = ["classic", "consumer"]
ENDED = 128 + signal.SIGTERM  # a Java machine that has left its groups and closed


def numbers_of(t, topic, first, last, partitions=1, bootstrap=None):
    produce_all(producer(bootstrap or t.bootstrap), topic,
                [{"value": b"%d" % i, "partition": i % partitions} for i in range(first, last)])


def by_protocol(timeout_s=90, needs=("jvm",)):
    """One case for each group protocol."""
    def add(function):
        for protocol in PROTOCOLS:
            def run(t, protocol=protocol):
                function(t, protocol)
            run.__name__ = f"{function.__name__}_{protocol}"
            run.__module__ = function.__module__
            case(timeout_s=timeout_s, needs=needs)(run)
        return function
    return add


def rows(out):
    """The table that the group tool prints, as dicts. Blanks in a column's value are none of ours."""
    lines = [line for line in out.splitlines() if line.strip()]
    head = next(i for i, line in enumerate(lines) if line.startswith(("GROUP", "TOPIC")))
    names = lines[head].split()
    return [dict(zip(names, line.split())) for line in lines[head + 1:]]


class Background:
    """A Java tool in a machine of its own, as long as the test needs it; every line of its output is kept."""

    def __init__(self, main, *args):
        command = java_command(main if main.endswith(".java") else full_name(main), *[str(arg) for arg in args])
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.PIPE)
        self.lines, self.errors = [], []
        for stream, lines in [(self.process.stdout, self.lines), (self.process.stderr, self.errors)]:
            threading.Thread(target=self.read, args=(stream, lines), daemon=True).start()

    @staticmethod
    def read(stream, lines):
        for line in stream:
            lines.append(line.rstrip("\n"))

    def events(self, name):
        return [event for event in map(json.loads, list(self.lines)) if event["name"] == name]

    def owned(self):
        """Partitions of a verifiable consumer, by its own account."""
        parts = set()
        for event in map(json.loads, list(self.lines)):
            if event["name"] == "partitions_assigned":
                parts |= {part["partition"] for part in event["partitions"]}
            elif event["name"] in ("partitions_revoked", "partitions_lost"):
                parts -= {part["partition"] for part in event["partitions"]}
        return sorted(parts)

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(30)


def wait_for(what, condition, timeout_s=40):
    deadline = time.monotonic() + timeout_s
    while not condition():
        check(time.monotonic() < deadline, f"after {timeout_s} s: {what()}")
        time.sleep(0.05)


# -- consumers --------------------------------------------------------------------------------------------------------


@by_protocol()
def console_consumer_goes_on(t, protocol):
    create_topic(t.bootstrap, t.topic, 3)

    def read(count):
        done = tool(t, CONSOLE, "--topic", t.topic, "--group", t.unique, "--from-beginning", "--max-messages", count,
                    "--timeout-ms", 20000, "--command-property", f"group.protocol={protocol}")
        return sorted(int(line) for line in done.out.split())

    numbers_of(t, t.topic, 0, 300, 3)
    equal(read(300), list(range(300)), "first run")
    numbers_of(t, t.topic, 300, 400, 3)
    equal(read(100), list(range(300, 400)), "second run")


def verifiable(t, protocol, **settings):
    properties = t.path(f"consumer-{time.monotonic_ns()}.properties")
    with open(properties, "w") as file:
        file.write("".join(f"{key.replace('_', '.')}={value}\n" for key, value in settings.items()))
    return Background("VerifiableConsumer", "--bootstrap-server", t.bootstrap, "--topic", t.topic, "--group-id", t.unique,
                      "--group-protocol", protocol, "--reset-policy", "earliest", "--command-config", properties)


@by_protocol(timeout_s=120)
def members_share_and_take_over(t, protocol):
    create_topic(t.bootstrap, t.topic, 4)
    numbers_of(t, t.topic, 0, 200, 4)
    members = [verifiable(t, protocol) for _ in range(2)]
    try:
        wait_for(lambda: [m.owned() for m in members] + [m.errors[-3:] for m in members],
                 lambda: [len(m.owned()) for m in members] == [2, 2])
        equal(sorted(members[0].owned() + members[1].owned()), [0, 1, 2, 3], "partitions")
        consumed = lambda: sum(event["count"] for m in members for event in m.events("records_consumed"))
        wait_for(lambda: consumed(), lambda: consumed() >= 200)
        equal(members[0].end(), ENDED, "exit code of the one that leaves")
        wait_for(lambda: members[1].owned(), lambda: members[1].owned() == [0, 1, 2, 3])
        before = consumed()
        numbers_of(t, t.topic, 200, 240, 4)
        wait_for(lambda: consumed() - before, lambda: consumed() - before >= 40)
        equal(members[1].end(), ENDED, "exit code of the last one")
    finally:
        for one in members:
            one.end(signal.SIGKILL)
    reader = member(t.bootstrap, t.unique)
    equal(committed_of(reader, t.topic, range(4)), [60] * 4, "committed")
    reader.close()


@case(timeout_s=150, needs=["jvm"])
def group_changes_its_protocol_under_its_members(t):
    create_topic(t.bootstrap, t.topic, 4)
    numbers_of(t, t.topic, 0, 200, 4)
    # Cooperative: the one that stays shall keep what it keeps.
    settings = {"partition_assignment_strategy": "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"}
    old, new = verifiable(t, "classic", **settings), None
    members = [old]
    consumed = lambda: sum(event["count"] for m in members for event in m.events("records_consumed"))
    try:
        wait_for(lambda: (old.owned(), old.errors[-3:]), lambda: old.owned() == [0, 1, 2, 3] and consumed() >= 200)
        new = verifiable(t, "consumer")
        members.append(new)
        wait_for(lambda: [(m.owned(), m.errors[-3:]) for m in members],
                 lambda: [len(m.owned()) for m in members] == [2, 2])
        equal(sorted(old.owned() + new.owned()), [0, 1, 2, 3], "partitions")
        check(t.unique in tool(t, GROUPS, "--list", "--type", "consumer").out.split(), "it is no consumer group")
        before = consumed()
        numbers_of(t, t.topic, 200, 240, 4)
        wait_for(lambda: consumed() - before, lambda: consumed() - before >= 40)
        equal(new.end(), ENDED, "exit code of the consumer")
        wait_for(lambda: (old.owned(), old.lines[-5:]), lambda: old.owned() == [0, 1, 2, 3])
        check(t.unique in tool(t, GROUPS, "--list", "--type", "classic").out.split(), "it is no classic group")
        before = consumed()
        numbers_of(t, t.topic, 240, 280, 4)
        wait_for(lambda: consumed() - before, lambda: consumed() - before >= 40)
        equal(old.end(), ENDED, "exit code of the classic member")
    finally:
        for one in members:
            one.end(signal.SIGKILL)
    reader = member(t.bootstrap, t.unique)
    equal(committed_of(reader, t.topic, range(4)), [70] * 4, "committed")
    reader.close()


@case(timeout_s=90, needs=["jvm"])
def the_server_matches_patterns(t):
    names = [f"{t.topic}.{i}" for i in range(2)]
    program = os.path.join(JAVA_DIR, "PatternReader.java")
    create_topic(t.bootstrap, names[0], 1)
    create_topic(t.bootstrap, f"{t.topic}-other", 1)
    numbers_of(t, names[0], 0, 10)
    numbers_of(t, f"{t.topic}-other", 100, 110)
    reader = Background(program, t.bootstrap, t.unique, f"{re.escape(t.topic)}\\.\\d")
    wrong = Background(program, t.bootstrap, t.unique + "-wrong", "(?=look)ahead")
    try:
        wait_for(lambda: (reader.lines, reader.errors[:6]), lambda: len(reader.lines) == 10)
        create_topic(t.bootstrap, names[1], 1)
        numbers_of(t, names[1], 10, 20)
        wait_for(lambda: (reader.lines, reader.errors[-3:]), lambda: len(reader.lines) == 20)
        wait_for(lambda: (wrong.lines, wrong.errors[-3:]), lambda: wrong.lines == ["invalid"])
    finally:
        reader.end()
        wrong.end(signal.SIGKILL)
    equal(sorted(int(line) for line in reader.lines), list(range(20)), "read")


# -- the group tool ---------------------------------------------------------------------------------------------------


def describe(t, *more, expect=0):
    return tool(t, GROUPS, "--describe", "--group", t.unique, *more, expect=expect)


@by_protocol(timeout_s=120)
def group_tool_shows_a_live_group(t, protocol):
    create_topic(t.bootstrap, t.topic, 2)
    numbers_of(t, t.topic, 0, 20, 2)
    one = verifiable(t, protocol, client_id="java-one")
    try:
        wait_for(lambda: (one.owned(), one.errors[-3:]), lambda: one.owned() == [0, 1])
        wait_for(lambda: one.lines[-3:], lambda: sum(e["count"] for e in one.events("records_consumed")) == 20)
        wait_for(lambda: describe(t).out, lambda: [row["CURRENT-OFFSET"] for row in rows(describe(t).out)] == ["10", "10"])
        numbers_of(t, t.topic, 20, 22, 2)
        for row in rows(describe(t).out):
            equal((row["GROUP"], row["TOPIC"], row["HOST"], row["CLIENT-ID"]),
                  (t.unique, t.topic, "/127.0.0.1", "java-one"), "row")
            check(row["LOG-END-OFFSET"] == "11", str(row))
        (state,) = rows(describe(t, "--state", "--verbose").out)
        equal((state["GROUP"], state["STATE"], state["#MEMBERS"]), (t.unique, "Stable", "1"), "state")
        listed = tool(t, GROUPS, "--list", "--state").out
        check(re.search(rf"^{t.unique} +Stable *$", listed, re.M), listed)
        listed = tool(t, GROUPS, "--list", "--type", protocol).out
        check(t.unique in listed.split(), listed)
        other = {"classic": "consumer", "consumer": "classic"}[protocol]
        listed = tool(t, GROUPS, "--list", "--type", other).out
        check(t.unique not in listed.split(), listed)
        (row,) = rows(describe(t, "--members").out)
        equal((row["CLIENT-ID"], row["#PARTITIONS"]), ("java-one", "2"), "member")
        refused = tool(t, GROUPS, "--delete", "--group", t.unique, expect=None)
        check("NonEmptyGroup" in refused.out + refused.err or "not empty" in refused.out + refused.err, str(refused))
        refused = tool(t, GROUPS, "--reset-offsets", "--group", t.unique, "--all-topics", "--to-earliest", "--execute",
                       expect=None)
        check("inactive" in refused.out + refused.err, str(refused))
        refused = tool(t, GROUPS, "--delete-offsets", "--group", t.unique, "--topic", t.topic, expect=None)
        check("subscribed" in refused.out + refused.err or "GROUP_SUBSCRIBED" in refused.out + refused.err, str(refused))
        equal(one.end(), ENDED, "exit code")
    finally:
        one.end(signal.SIGKILL)
    (state,) = rows(describe(t, "--state").out)
    equal((state["STATE"], state["#MEMBERS"]), ("Empty", "0"), "state of the empty group")


@case(timeout_s=90, needs=["jvm"])
def group_tool_moves_offsets(t):
    create_topic(t.bootstrap, t.topic, 2)
    numbers_of(t, t.topic, 0, 100, 2)
    reader = member(t.bootstrap, t.unique)

    def reset(*how):
        done = tool(t, GROUPS, "--reset-offsets", "--group", t.unique, "--topic", t.topic, *how)
        return {int(row["PARTITION"]): int(row["NEW-OFFSET"]) for row in rows(done.out)}

    def committed():
        return committed_of(reader, t.topic, range(2))

    equal(reset("--to-latest", "--dry-run"), {0: 50, 1: 50}, "dry run")
    check(all(offset < 0 for offset in committed()), "a dry run has committed")
    equal(reset("--to-latest", "--execute"), {0: 50, 1: 50}, "to the end")
    equal(committed(), [50, 50], "committed")
    equal(reset("--shift-by", -20, "--execute"), {0: 30, 1: 30}, "back")
    equal(reset("--to-offset", 7, "--execute"), {0: 7, 1: 7}, "to an offset")
    equal(committed(), [7, 7], "committed")
    done = tool(t, GROUPS, "--delete-offsets", "--group", t.unique, "--topic", f"{t.topic}:1")
    check(re.search(rf"{t.topic} +1 +Successful", done.out), str(done))
    check(committed()[0] == 7 and committed()[1] < 0, f"committed {committed()}")
    exported = tool(t, GROUPS, "--reset-offsets", "--group", t.unique, "--topic", t.topic, "--to-current", "--export",
                    "--dry-run").out
    check(f"{t.topic},0,7" in exported.replace('"', ""), exported)
    done = tool(t, GROUPS, "--delete", "--group", t.unique)
    check("successful" in done.out, str(done))
    gone = describe(t, expect=None)
    check("GroupIdNotFoundException" in gone.out + gone.err, str(gone))
    check(t.unique not in tool(t, GROUPS, "--list").out.split(), "the deleted group is listed")
    check(all(offset < 0 for offset in committed()), f"committed {committed()}")
    reader.close()


# -- what tools read of our offsets -----------------------------------------------------------------------------------


def documents(text):
    """What the formatter prints, one behind the other without a break."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text.rstrip()):
        document, end = decoder.raw_decode(text[at:])
        yield document
        at += end
        at += len(text[at:]) - len(text[at:].lstrip())


@case(timeout_s=60, needs=["jvm"])
def formatter_reads_the_offsets_topic(t):
    create_topic(t.bootstrap, t.topic)
    numbers_of(t, t.topic, 0, 10)
    writer = member(t.bootstrap, t.unique)
    from confluent_kafka import TopicPartition
    writer.commit(offsets=[TopicPartition(t.topic, 0, 4)], asynchronous=False)
    done = tool(t, CONSOLE, "--topic", "__consumer_offsets", "--from-beginning", "--timeout-ms", 5000, "--formatter",
                "org.apache.kafka.tools.consumer.OffsetsMessageFormatter", expect=None)
    found = [r for r in documents(done.out) if r["key"]["data"]["group"] == t.unique]
    equal([(r["key"]["type"], r["key"]["data"], r["value"]["version"], r["value"]["data"]["offset"]) for r in found],
          [(1, {"group": t.unique, "topic": t.topic, "partition": 0}, 4 if t.target.kind == "kafka" else 3, 4)], "records")
    writer.close()


@case(timeout_s=90, needs=["jvm", "files", "control"])
def dump_log_decodes_offsets(t):
    target = t.private_target(["offsets.topic.num.partitions=1", "group.initial.rebalance.delay.ms=0"])
    target.start()
    create_topic(target.bootstrap, t.topic, 2)
    numbers_of(t, t.topic, 0, 20, 2, target.bootstrap)
    consumer = member(target.bootstrap, t.unique, t.topic)
    seen, deadline = 0, time.monotonic() + 20
    while seen < 20:
        check(time.monotonic() < deadline, f"{seen} records")
        message = consumer.poll(0.1)
        seen += message is not None and message.error() is None
    consumer.commit(asynchronous=False)
    consumer.close()
    time.sleep(QUIET_S)
    equal(target.stop(), 0, "exit code")
    files = segment.paths(target.data_dir, "__consumer_offsets", 0)
    done = t.jvm.call("DumpLogSegments", "--offsets-decoder", "--deep-iteration", "--files", ",".join(files))
    equal(done.exit, 0, "exit code of the tool")
    check("isvalid: false" not in done.out and "Found invalid" not in done.out + done.err, str(done)[-2000:])
    payloads = [json.loads(found) for found in re.findall(r" payload: (\{.*\})$", done.out, re.M)]
    keys = [json.loads(found) for found in re.findall(r" key: (\{.*?\}\}) payload:", done.out)]
    commits = {key["data"]["partition"]: value["data"]["offset"] for key, value in zip(keys, payloads)
               if key["type"] == "1"}
    equal(commits, {0: 10, 1: 10}, f"commits in {done.out[-1500:]}")
    groups = [value["data"] for key, value in zip(keys, payloads) if key["type"] == "2"]
    check(any(group["protocolType"] == "consumer" and len(group["members"]) == 1 for group in groups),
          f"group records {groups}")
