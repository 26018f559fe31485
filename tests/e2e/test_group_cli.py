"""`odradek group` and `odradek consume --group`, beside clients of others and against Kafka's own tool."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import threading
import time
from types import SimpleNamespace

from confluent_kafka import Consumer, TopicPartition

from harness.case import case, check, equal
from harness.clients import create_topic, produce_all, producer
from harness.jvm import java_command
from harness.raw import CONSUMER_GROUP_DESCRIBE, DELETE_GROUPS, JOIN_GROUP, OFFSET_COMMIT, OFFSET_DELETE
from harness.target import ROOT

OK, FAILURE, USAGE, NOT_FOUND, REFUSED, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
BASE_MS = 1_700_000_000_000
EMPTY_PORT = "127.0.0.1:1"
CONSUMER_TOOL = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


def odradek(t, *args, expect=OK, brokers=None):
    """Runs the program; returns its output as text, and what it said on stderr."""
    out, err, code = t.run([t.options.binary, *args, "--brokers", brokers or t.bootstrap], check_exit=False)
    check(code == expect, f"odradek {' '.join(args)}: exit {code}, not {expect}\n{out.decode()}\n{err.decode()}")
    return out.decode(), err.decode()


def as_json(t, *args, expect=OK):
    return [json.loads(line) for line in odradek(t, *args, "--json", expect=expect)[0].splitlines()]


def describe(t, group):
    return as_json(t, "group", "describe", group)[0]


def positions(t, group):
    """{(topic, partition): (current, end, lag)}"""
    return {(p["topic"], p["partition"]): (p["current_offset"], p["end_offset"], p["lag"])
            for p in describe(t, group)["partitions"]}


def filled_topic(t, partitions=2, records=20, topic=None):
    """records in each partition, one in ten milliseconds, each its own batch; old ones, which must not expire."""
    topic = create_topic(t.bootstrap, topic or t.topic, partitions, {"retention.ms": "-1"})
    for partition in range(partitions):
        produce_all(producer(t.bootstrap, batch_num_messages=1, linger_ms=0, enable_idempotence=True), topic,
                    [{"value": b"%d-%d" % (partition, i), "partition": partition, "timestamp": BASE_MS + 10 * i}
                     for i in range(records)])
    return topic


def commit(t, group, topic, offsets):
    """Stores offsets by partition, as a consumer without membership does."""
    client = Consumer({"bootstrap.servers": t.bootstrap, "group.id": group})
    client.commit(offsets=[TopicPartition(topic, p, o) for p, o in offsets.items()], asynchronous=False)
    client.close()


def need_groups(t):
    t.need_api(JOIN_GROUP, "JoinGroup")
    t.need_api(OFFSET_COMMIT, "OffsetCommit")


class Member(threading.Thread):
    """A subscribed consumer that notes what happens to it: ("assign", partitions), ("record", partition, offset)."""

    def __init__(self, t, topic, group, **settings):
        super().__init__(daemon=True)
        config = {"bootstrap.servers": t.bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                  "session.timeout.ms": 6000, "heartbeat.interval.ms": 300, "auto.commit.interval.ms": 300,
                  "fetch.wait.max.ms": 50}
        config.update({key.replace("_", "."): value for key, value in settings.items()})
        self.topic = topic
        self.client = Consumer(config)
        self.events = []
        self.ending = threading.Event()
        self.start()

    def run(self):
        self.client.subscribe([self.topic],
                              on_assign=lambda _, p: self.events.append(("assign", sorted(x.partition for x in p))),
                              on_revoke=lambda _, p: self.events.append(("revoke", len(p))),
                              on_lost=lambda _, p: self.events.append(("lost", len(p))))
        while not self.ending.is_set():
            message = self.client.poll(0.05)
            if message is not None and message.error() is None:
                self.events.append(("record", message.partition(), message.offset()))
        self.client.close()

    def end(self):
        self.ending.set()
        self.join(20)

    def records(self, since=0):
        return [event[1:] for event in self.events[since:] if event[0] == "record"]


def until(what, condition, timeout_s=20):
    """A group that is not there yet, for example, is no failure before the time is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        why = ""
        try:
            if condition():
                return
        except AssertionError as error:
            why = f"\n{error}"
        check(time.monotonic() < deadline, f"{what}: not within {timeout_s} s{why}")
        time.sleep(0.02)


def all_read(members, partitions, records, since=None):
    """Whether the members together have read up to the end everywhere."""
    since = since or [0] * len(members)
    got = set()
    for member, start in zip(members, since):
        got.update(member.records(start))
    return all((p, records - 1) in got for p in range(partitions))


# -- list, describe ---------------------------------------------------------------------------------------------------


@case()
def group_without_members_is_listed_and_described(t):
    need_groups(t)
    topic = filled_topic(t)
    commit(t, t.unique, topic, {0: 5, 1: 20})
    rows = {row["group"]: row for row in as_json(t, "group", "list")}
    equal({key: rows[t.unique][key] for key in ("type", "state", "members")},
          {"type": "classic", "state": "Empty", "members": 0}, "listed")
    equal(positions(t, t.unique), {(topic, 0): (5, 20, 15), (topic, 1): (20, 20, 0)}, "described")
    equal(describe(t, t.unique)["lag"], 15, "total lag")
    lines = odradek(t, "group", "describe", t.unique)[0].splitlines()
    equal(lines[0].split(), ["GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID",
                             "HOST", "CLIENT-ID"], "titles")
    equal(lines[1].split(), [t.unique, topic, "0", "5", "20", "15", "-", "-", "-"], "first row")
    equal(lines[-1], f"{t.unique}: Empty, 0 members, 2 partitions, lag 15", "summary")


@case()
def group_list_is_filtered(t):
    need_groups(t)
    topic = filled_topic(t, 1)
    commit(t, t.unique, topic, {0: 1})

    def listed(*args):
        return t.unique in [row["group"] for row in as_json(t, "group", "list", *args)]

    equal([listed("--state", "empty"), listed("--state", "Stable"), listed("--state", "stable,EMPTY")],
          [True, False, True], "by state")
    equal([listed("--type", "classic"), listed("--type", "consumer")], [True, False], "by type")
    odradek(t, "group", "list", "--state", "wrong", expect=USAGE)
    odradek(t, "group", "list", "--type", "wrong", expect=USAGE)


@case()
def unknown_groups_are_said_to_be_unknown(t):
    need_groups(t)
    topic = filled_topic(t, 1)
    commit(t, t.unique, topic, {0: 1})
    out, err = odradek(t, "group", "describe", "nobody-" + t.unique, t.unique, expect=NOT_FOUND)
    check(f"group nobody-{t.unique}: there is no such group" in err, err)
    check(f"{t.unique}: Empty" in out, "the group that is there was not shown")
    answers = as_json(t, "group", "describe", "nobody-" + t.unique, expect=NOT_FOUND)
    equal(answers, [{"group": "nobody-" + t.unique, "error": "GROUP_ID_NOT_FOUND", "type": None}], "as JSON")


@case(timeout_s=60)
def group_with_members_is_described(t):
    need_groups(t)
    topic = filled_topic(t, 3)
    members = [Member(t, topic, t.unique, client_id="one"), Member(t, topic, t.unique, client_id="two")]
    until("everything is committed", lambda: [p[2] for p in positions(t, t.unique).values()] == [0, 0, 0])
    until("both have partitions",
          lambda: len({p["member"] for p in describe(t, t.unique)["partitions"]}) == 2)
    got = describe(t, t.unique)
    equal((got["state"], got["protocol_type"], got["assignor"], len(got["members"])),
          ("Stable", "consumer", "range", 2), "group")
    equal(sorted((m["client"], len(m["assignment"])) for m in got["members"])[0][0], "one", "client id")
    equal(sorted(a["partition"] for m in got["members"] for a in m["assignment"]), [0, 1, 2], "assigned")
    equal({p["client"] for p in got["partitions"]}, {"one", "two"}, "clients of partitions")
    lines = odradek(t, "group", "describe", t.unique, "--members")[0].splitlines()
    check(re.search(rf"^{t.unique} +one-\S+ +- +/\S+ +one +[12] +- +{topic}:[\d,]+ +-$", "\n".join(lines), re.M),
          "\n".join(lines))
    equal({row["group"]: row["members"] for row in as_json(t, "group", "list")}[t.unique], 2, "members in the list")
    for member in members:
        member.end()


@case(timeout_s=90, needs=["jvm"])
def describe_says_what_kafkas_tool_says(t):
    need_groups(t)
    topic = filled_topic(t, 4)
    other = filled_topic(t, 1, 7, t.topic + "-other")
    commit(t, t.unique, other, {0: 3})
    commit(t, t.unique, topic, {0: 7, 2: 20})
    member = Member(t, topic, t.unique, enable_auto_commit=False, client_id="reader")
    until("the member has partitions", lambda: any(e[0] == "assign" for e in member.events))

    def table(text):
        lines = [line.split() for line in text.splitlines() if line.startswith(t.unique + " ")]
        return sorted(line[:9] for line in lines)

    theirs = t.jvm.call(CONSUMER_TOOL, "--bootstrap-server", t.bootstrap, "--describe", "--group", t.unique)
    equal(theirs.exit, 0, str(theirs))
    ours = odradek(t, "group", "describe", t.unique)[0]
    equal(len(table(ours)), 5, "rows")
    equal(table(ours), table(theirs.out), "rows")
    member.end()


@case(timeout_s=60)
def many_partitions_are_described_at_once(t):
    need_groups(t)
    topics = [create_topic(t.bootstrap, f"{t.topic}-{i}", 100) for i in range(10)]
    client = Consumer({"bootstrap.servers": t.bootstrap, "group.id": t.unique})
    client.commit(offsets=[TopicPartition(topic, p, 0) for topic in topics for p in range(100)], asynchronous=False)
    client.close()
    until("all leaders are there", lambda: describe(t, t.unique)["lag_unknown_partitions"] == 0)
    begin = time.monotonic()
    got = describe(t, t.unique)
    seconds = time.monotonic() - begin
    equal((len(got["partitions"]), got["lag"]), (1000, 0), "partitions, lag")
    check(seconds < 2 * t.options.timeout_factor, f"took {seconds:.2f} s")


# -- reset ------------------------------------------------------------------------------------------------------------


def plan(t, group, *args, expect=OK):
    """{(topic, partition): new offset}; nothing is changed."""
    return {(row["topic"], row["partition"]): row["new_offset"]
            for row in as_json(t, "group", "reset", group, *args, expect=expect)}


def kafkas_plan(t, group, *args):
    done = t.jvm.call(CONSUMER_TOOL, "--bootstrap-server", t.bootstrap, "--reset-offsets", "--group", group,
                      "--dry-run", "--export", *args)
    equal(done.exit, 0, str(done))
    rows = [line.split(",") for line in done.out.splitlines() if line.count(",") == 2]
    return {(topic.strip('"'), int(partition)): int(offset) for topic, partition, offset in rows}


@case(timeout_s=120, needs=["jvm"])
def every_scenario_plans_what_kafkas_tool_plans(t):
    need_groups(t)
    topic = filled_topic(t, 3)
    commit(t, t.unique, topic, {0: 5, 1: 0, 2: 20})
    csv = t.path("plan.csv")
    with open(csv, "w") as file:
        file.write(f"{topic},0,3\n{topic},1,100\n")
    scenarios = [
        ["--all-topics", "--to-earliest"], ["--all-topics", "--to-latest"], ["--all-topics", "--to-current"],
        ["--all-topics", "--to-offset", "7"], ["--all-topics", "--to-offset", "70"],
        ["--all-topics", "--shift-by", "3"], ["--all-topics", "--shift-by", "-3"],
        ["--topic", topic + ":0,2", "--to-offset", "1"], ["--topic", topic, "--to-earliest"],
        ["--all-topics", "--to-datetime", "2023-11-14T22:13:20.050"],  # BASE_MS + 50: the record at offset 5
        ["--all-topics", "--to-datetime", "2023-11-14T23:13:20.051+01:00"],
        ["--all-topics", "--to-datetime", "2030-01-01T00:00:00.000Z"],
        ["--all-topics", "--by-duration", "P9000D"], ["--all-topics", "--by-duration", "PT1S"],
        ["--from-file", csv],
    ]
    for scenario in scenarios:
        equal(plan(t, t.unique, *scenario), kafkas_plan(t, t.unique, *scenario), " ".join(scenario))
    equal(plan(t, t.unique, *scenarios[9]), {(topic, p): 5 for p in range(3)}, "at a time")
    equal(positions(t, t.unique)[(topic, 0)][0], 5, "a plan changed something")


@case()
def reset_of_a_group_without_members(t):
    need_groups(t)
    topic = filled_topic(t)
    commit(t, t.unique, topic, {0: 5, 1: 20})
    out, err = odradek(t, "group", "reset", t.unique, "--all-topics", "--shift-by", "-10", "--execute")
    equal([line.split()[:6] for line in out.splitlines()[1:]],
          [[t.unique, topic, "0", "5", "0", "-5"], [t.unique, topic, "1", "20", "10", "-10"]], "plan")
    check("moved up to the log's start" in out and "2 offsets stored and read back" in err, out + err)
    equal(positions(t, t.unique), {(topic, 0): (0, 20, 20), (topic, 1): (10, 20, 10)}, "afterwards")
    new = t.unique + "-new"
    rows = as_json(t, "group", "reset", new, "--topic", topic + ":1", "--to-latest", "--execute")
    equal([(r["current_offset"], r["new_offset"], r["executed"]) for r in rows], [(None, 20, True)], "a new group")
    equal(positions(t, new), {(topic, 1): (20, 20, 0)}, "the new group afterwards")


@case()
def exported_plan_is_a_way_back(t):
    need_groups(t)
    topic = filled_topic(t)
    commit(t, t.unique, topic, {0: 5, 1: 17})
    before = odradek(t, "group", "reset", t.unique, "--all-topics", "--to-current", "--export")[0]
    equal(before, f"{topic},0,5\n{topic},1,17\n", "CSV")
    with open(t.path("before.csv"), "w") as file:
        file.write(before)
    odradek(t, "group", "reset", t.unique, "--all-topics", "--to-latest", "--execute")
    odradek(t, "group", "reset", t.unique, "--from-file", t.path("before.csv"), "--execute")
    equal({key[1]: value[0] for key, value in positions(t, t.unique).items()}, {0: 5, 1: 17}, "back")


@case()
def what_cannot_be_reset_is_refused(t):
    need_groups(t)
    topic = filled_topic(t, 1)
    commit(t, t.unique, topic, {0: 5})
    for args, code in [
            (["--all-topics"], USAGE), (["--to-earliest"], USAGE),
            (["--all-topics", "--to-earliest", "--to-latest"], USAGE),
            (["--all-topics", "--topic", topic, "--to-latest"], USAGE),
            (["--topic", topic + ":x", "--to-latest"], USAGE),
            (["--topic", topic + ":", "--to-latest"], USAGE), (["--all-topics", "--to-datetime", "yesterday"], USAGE),
            (["--all-topics", "--by-duration", "PT"], USAGE), (["--all-topics", "--to-latest", "--live"], USAGE),
            (["--topic", topic + ":7", "--to-latest"], NOT_FOUND),
            (["--topic", "no-" + topic, "--to-latest"], NOT_FOUND),
            (["--from-file", t.path("nothing.csv")], NOT_FOUND)]:
        odradek(t, "group", "reset", t.unique, *args, expect=code)
    odradek(t, "group", "reset", "no-" + t.unique, "--all-topics", "--to-latest", expect=NOT_FOUND)
    odradek(t, "group", "reset", "no-" + t.unique, "--topic", topic, "--shift-by", "1", expect=FAILURE)
    equal(positions(t, t.unique), {(topic, 0): (5, 20, 15)}, "afterwards")


@case(timeout_s=90)
def reset_of_a_live_group_takes_its_members_along(t):
    need_groups(t)
    topic = filled_topic(t, 4)
    members = [Member(t, topic, t.unique), Member(t, topic, t.unique)]
    until("both have read everything", lambda: all_read(members, 4, 20))
    until("everything is committed", lambda: [p[2] for p in positions(t, t.unique).values()] == [0] * 4)
    until("both have partitions", lambda: len({p["member"] for p in describe(t, t.unique)["partitions"]}) == 2)
    _, err = odradek(t, "group", "reset", t.unique, "--topic", topic, "--to-offset", "7", "--execute", expect=REFUSED)
    check("2 members" in err and "--live" in err, err)
    equal({value[0] for value in positions(t, t.unique).values()}, {20}, "after the refusal")
    since = [len(member.events) for member in members]
    _, err = odradek(t, "group", "reset", t.unique, "--topic", topic, "--to-offset", "7", "--execute", "--live")
    check("4 offsets stored and read back; 2 members removed" in err, err)
    until("both have read from the new offsets", lambda: all_read(members, 4, 20, since))
    for member, start in zip(members, since):
        until("both have got partitions again", lambda: any(e[0] == "assign" for e in member.events[start:]))
        check(member.events[start][0] in ("lost", "revoke"), f"first event {member.events[start]}")
    # Right behind the new assignment each partition begins at the new offset, and nothing in front of it comes.
    for partition in range(4):
        offsets = sorted({o for m, s in zip(members, since) for p, o in m.records(s) if p == partition})
        equal(offsets, list(range(7, 20)), f"partition {partition} after the reset")
    until("the group is stable again", lambda: describe(t, t.unique)["state"] == "Stable")
    equal(len(describe(t, t.unique)["members"]), 2, "members afterwards")
    for member in members:
        member.end()


@case(timeout_s=90)
def reset_of_a_live_group_with_static_members(t):
    need_groups(t)
    topic = filled_topic(t, 2)
    members = [Member(t, topic, t.unique, group_instance_id=f"{t.unique}-{i}") for i in range(2)]
    until("both have read everything", lambda: all_read(members, 2, 20))
    until("both have partitions", lambda: len({p["member"] for p in describe(t, t.unique)["partitions"]}) == 2)
    since = [len(member.events) for member in members]
    odradek(t, "group", "reset", t.unique, "--topic", topic, "--to-earliest", "--execute", "--live")
    until("both have read from the start", lambda: all_read(members, 2, 20, since))
    for partition in range(2):
        offsets = sorted({o for m, s in zip(members, since) for p, o in m.records(s) if p == partition})
        equal(offsets, list(range(20)), f"partition {partition} after the reset")
    equal(sorted(m["instance"] for m in describe(t, t.unique)["members"]), [f"{t.unique}-{i}" for i in range(2)],
          "instances")
    for member in members:
        member.end()


class Interloper(threading.Thread):
    """Stands between odradek and the broker, and holds the first `holds` OffsetCommits back until the group has a
    member again: as if one had been quicker."""

    def __init__(self, t, group, holds):
        super().__init__(daemon=True)
        self.t, self.group, self.holds, self.held = t, group, holds, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.start()

    @property
    def address(self):
        return "127.0.0.1:%d" % self.listener.getsockname()[1]

    def run(self):
        near, _ = self.listener.accept()
        host, port = self.t.bootstrap.rsplit(":", 1)
        far = socket.create_connection((host, int(port)))
        threading.Thread(target=self.copy_back, args=(far, near), daemon=True).start()
        stream = near.makefile("rb")
        while True:
            size = stream.read(4)
            if not size:
                far.close()
                return
            frame = stream.read(int.from_bytes(size, "big"))
            if int.from_bytes(frame[:2], "big") == OFFSET_COMMIT and self.held < self.holds:
                self.held += 1
                until("a member is back", lambda: describe(self.t, self.group)["members"])
            far.sendall(size + frame)

    @staticmethod
    def copy_back(far, near):
        while True:
            data = far.recv(65536)
            if not data:
                return
            near.sendall(data)


def reset_live_args(group, topic, offset):
    return ["group", "reset", group, "--topic", topic, "--to-offset", str(offset), "--execute", "--live"]


@case(timeout_s=60)
def member_that_gets_in_between_is_removed_again(t):
    need_groups(t)
    topic = filled_topic(t, 1)
    member = Member(t, topic, t.unique, enable_auto_commit=False)
    until("everything is read", lambda: all_read([member], 1, 20))
    between = Interloper(t, t.unique, 1)
    odradek(t, *reset_live_args(t.unique, topic, 7), brokers=between.address)
    equal(between.held, 1, "commits held back")
    equal(positions(t, t.unique)[(topic, 0)][0], 7, "afterwards")
    member.end()


@case(timeout_s=60, needs=["control"])
def members_that_keep_getting_in_between_win(t):
    need_groups(t)
    server = t.private_target(["group.initial.rebalance.delay.ms=0"])
    server.start()
    own = SimpleNamespace(bootstrap=server.bootstrap, options=t.options, run=t.run, topic=t.topic, unique=t.unique)
    topic = filled_topic(own, 1)
    member = Member(own, topic, t.unique, enable_auto_commit=False)
    until("everything is read", lambda: all_read([member], 1, 20))
    between = Interloper(own, t.unique, 100)
    _, err = odradek(own, *reset_live_args(t.unique, topic, 9), expect=REFUSED, brokers=between.address)
    check("members kept joining in between" in err and t.unique in err, err)
    equal(between.held, 5, "commits held back")
    equal(positions(own, t.unique)[(topic, 0)][0], None, "afterwards")
    member.end()


class JavaConsumer:
    """Kafka's console consumer as a member of the newer protocol; its lines as they come."""

    def __init__(self, t, topic, group, *properties):
        command = java_command("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", t.bootstrap,
                               "--topic", topic, "--group", group, "--command-property", "group.protocol=consumer",
                               "--command-property", "auto.commit.interval.ms=300", "--from-beginning",
                               *[word for p in properties for word in ("--command-property", p)])
        self.errors = open(t.path("consumer.err"), "w+")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True)
        self.lines = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self.errors.close()


def reset_848(t, instance, *properties):
    need_groups(t)
    t.need_api(CONSUMER_GROUP_DESCRIBE, "ConsumerGroupDescribe")
    topic = filled_topic(t, 2)
    member = JavaConsumer(t, topic, t.unique, *properties)
    try:
        until("everything is read", lambda: equal(len(member.lines), 40, "lines") or True, 60)
        until("everything is committed",
              lambda: equal([p[2] for p in positions(t, t.unique).values()], [0, 0], "lag") or True)
        got = describe(t, t.unique)
        equal((got["type"], got["state"], got["assignor"], len(got["members"])),
              ("consumer", "Stable", "uniform", 1), "group")
        check(got["epoch"] > 0 and got["assignment_epoch"] == got["epoch"], f"epochs {got}")
        equal(got["members"][0]["instance"], instance, "instance")
        equal((got["members"][0]["epoch"], len(got["members"][0]["assignment"]),
               len(got["members"][0]["target_assignment"])), (got["epoch"], 2, 2), "member")
        odradek(t, "group", "reset", t.unique, "--topic", topic, "--to-offset", "15", "--execute", expect=REFUSED)
        odradek(t, "group", "reset", t.unique, "--topic", topic, "--to-offset", "15", "--execute", "--live")
        until("the records behind the new offsets come again",
              lambda: equal(len(member.lines), 50, "lines") or True, 60)
        equal(sorted(member.lines[40:]), sorted(f"{p}-{i}" for p in range(2) for i in range(15, 20)), "read again")
        until("the member is back", lambda: describe(t, t.unique)["state"] == "Stable", 30)
    finally:
        member.end()


@case(timeout_s=120, needs=["jvm"])
def reset_of_a_live_group_of_the_newer_protocol_848(t):
    reset_848(t, None)


@case(timeout_s=120, needs=["jvm"])
def reset_of_a_live_group_with_a_static_member_848(t):
    reset_848(t, t.unique + "-i", f"group.instance.id={t.unique}-i")


# -- delete -----------------------------------------------------------------------------------------------------------


@case(timeout_s=60)
def groups_with_members_are_not_deleted(t):
    need_groups(t)
    t.need_api(DELETE_GROUPS, "DeleteGroups")
    topic = filled_topic(t, 1)
    member = Member(t, topic, t.unique)
    until("everything is read", lambda: all_read([member], 1, 20))
    _, err = odradek(t, "group", "delete", t.unique, expect=REFUSED)
    check(f"group {t.unique} has members" in err, err)
    member.end()
    odradek(t, "group", "delete", t.unique)
    check(t.unique not in [row["group"] for row in as_json(t, "group", "list")], "the group is still listed")
    equal(as_json(t, "group", "delete", t.unique, expect=NOT_FOUND),
          [{"group": t.unique, "error": "GROUP_ID_NOT_FOUND"}], "a second time")


@case()
def offsets_of_partitions_are_deleted(t):
    need_groups(t)
    t.need_api(OFFSET_DELETE, "OffsetDelete")
    topic = filled_topic(t, 3)
    other = filled_topic(t, 1, 7, t.topic + "-other")
    commit(t, t.unique, topic, {0: 1, 1: 2, 2: 3})
    commit(t, t.unique, other, {0: 3})
    rows = as_json(t, "group", "delete-offsets", t.unique, "--topic", topic + ":0,2")
    equal([(r["topic"], r["partition"], r["offset"], r["error"]) for r in rows],
          [(topic, 0, 1, None), (topic, 2, 3, None)], "forgotten")
    equal(sorted(positions(t, t.unique)), [(topic, 1), (other, 0)], "left")
    odradek(t, "group", "delete-offsets", t.unique, "--topic", topic + ":0", expect=NOT_FOUND)
    odradek(t, "group", "delete-offsets", t.unique, "--topic", other)
    equal(sorted(positions(t, t.unique)), [(topic, 1)], "left at last")
    odradek(t, "group", "delete-offsets", t.unique, expect=USAGE)


# -- watch ------------------------------------------------------------------------------------------------------------


def read_until(fd, wanted, timeout_s=15):
    text = b""
    deadline = time.monotonic() + timeout_s
    while wanted not in text:
        check(time.monotonic() < deadline, f"{wanted} did not come: {text[-500:]}")
        if select.select([fd], [], [], 0.1)[0]:
            text += os.read(fd, 65536)
    return text


@case()
def watch_redraws_on_a_terminal(t):
    need_groups(t)
    topic = filled_topic(t, 1)
    commit(t, t.unique, topic, {0: 5})
    master, slave = pty.openpty()
    process = subprocess.Popen([t.options.binary, "group", "describe", t.unique, "--watch=200ms", "-b", t.bootstrap],
                               stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)
    os.close(slave)
    first = read_until(master, b"lag 15")
    check(first.startswith(b"\x1b[2J\x1b[H"), f"first frame {first[:40]}")
    commit(t, t.unique, topic, {0: 20})
    second = read_until(master, b"lag 0")
    check(b"\x1b[2J" not in second and b"\x1b[H" in second and b"\x1b[K" in second, f"second frame {second[:200]}")
    process.send_signal(signal.SIGINT)
    equal(process.wait(10), INTERRUPTED, "exit code")
    os.close(master)


@case()
def watch_in_a_pipe_is_lines(t):
    need_groups(t)
    topic = filled_topic(t, 1)
    commit(t, t.unique, topic, {0: 5})
    process = subprocess.Popen([t.options.binary, "group", "describe", t.unique, "--watch=100ms", "--json", "-b",
                                t.bootstrap], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    lines = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGTERM)
    equal(process.wait(10), INTERRUPTED, "exit code")
    equal([json.loads(line)["lag"] for line in lines], [15, 15, 15], "lag")


# -- consume --group --------------------------------------------------------------------------------------------------


@case(timeout_s=60)
def consume_with_a_group_goes_on_where_it_was(t):
    need_groups(t)
    topic = filled_topic(t, 2)
    args = ["consume", topic, "--group", t.unique, "--exit"]
    first = as_json(t, *args, "--num", "13")
    equal(len(first), 13, "records of the first run")
    second = as_json(t, *args)
    equal(sorted((r["partition"], r["offset"]) for r in first + second),
          [(p, i) for p in range(2) for i in range(20)], "records of both runs, each once")
    equal(as_json(t, *args), [], "records of a third run")
    equal({value[2] for value in positions(t, t.unique).values()}, {0}, "lag")
    odradek(t, "consume", topic, "--group", t.unique, "--offset", "5", expect=USAGE)
    odradek(t, "consume", topic, "--group", t.unique, "--partition", "0", expect=USAGE)
    odradek(t, "consume", "no-" + topic, "--group", t.unique, "--exit", expect=NOT_FOUND)


@case(timeout_s=90)
def consume_with_a_group_shares_with_other_members(t):
    need_groups(t)
    topic = filled_topic(t, 4)
    member = Member(t, topic, t.unique)
    until("the member has read everything", lambda: all_read([member], 4, 20))
    process = subprocess.Popen([t.options.binary, "consume", topic, "-g", t.unique, "-f", "%p %o\\n", "-b",
                                t.bootstrap], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    until("both have partitions", lambda: len({p["member"] for p in describe(t, t.unique)["partitions"]}) == 2, 40)
    mine = [p["partition"] for p in describe(t, t.unique)["partitions"] if p["client"] == "odradek"]
    equal(len(mine), 2, "partitions of our member")
    produce_all(producer(t.bootstrap), topic, [{"value": b"new", "partition": p} for p in range(4)])
    lines = sorted(process.stdout.readline().decode().split() for _ in mine)
    equal(lines, sorted([str(p), "20"] for p in mine), "records of our member")
    process.send_signal(signal.SIGINT)
    equal(process.wait(20), INTERRUPTED, "exit code")
    until("the other has all partitions", lambda: len({p["member"] for p in describe(t, t.unique)["partitions"]}) == 1)
    member.end()
    equal({value[2] for value in positions(t, t.unique).values()}, {0}, "lag")


@case(timeout_s=90, needs=["control"])
def consume_with_a_group_outlives_a_restart(t):
    need_groups(t)
    server = t.private_target()
    server.start()
    own = SimpleNamespace(bootstrap=server.bootstrap, options=t.options, run=t.run, topic=t.topic, unique=t.unique)
    topic = filled_topic(own, 1)
    with open(t.path("consume.err"), "w+b") as err:
        process = subprocess.Popen([t.options.binary, "consume", topic, "-g", t.unique, "-b", own.bootstrap],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err)
        before = [process.stdout.readline() for _ in range(20)]
        until("everything is committed", lambda: positions(own, t.unique) == {(topic, 0): (20, 20, 0)})
        server.kill()
        until("it says so", lambda: b"no broker answers" in open(err.name, "rb").read(), 40)
        server.start()
        produce_all(producer(own.bootstrap), topic, [{"value": b"after"}])
        equal(before + [process.stdout.readline()], [b"0-%d\n" % i for i in range(20)] + [b"after\n"], "records")
        process.send_signal(signal.SIGINT)
        equal(process.wait(20), INTERRUPTED, "exit code")
    until("the last one is committed too", lambda: positions(own, t.unique) == {(topic, 0): (21, 21, 0)})


# -- the documentation ------------------------------------------------------------------------------------------------


def documented(verb):
    """The fields that docs/CLI.md names for a verb, or for a part of the row above it."""
    with open(os.path.join(ROOT, "docs", "CLI.md")) as page:
        rows = [line for line in page if line.startswith(f"| {verb} |")]
    equal(len(rows), 1, f"rows of docs/CLI.md about {verb}")
    return set(re.findall(r"`(\w+)`", rows[0].split("|")[3]))


@case(timeout_s=60)
def fields_of_json_are_the_documented_ones(t):
    need_groups(t)
    topic = filled_topic(t, 1)
    commit(t, t.unique, topic, {0: 5})
    member = Member(t, topic, t.unique + "-live")
    until("everything is read", lambda: all_read([member], 1, 20))
    got = describe(t, t.unique + "-live")
    equal(set(got), documented("`group describe`"), "group describe")
    equal(set(got["partitions"][0]), documented("... `partitions`"), "partitions of group describe")
    equal(set(got["members"][0]), documented("... `members`") - {"target_assignment", "assignment_bytes"},
          "members of group describe")
    for verb, args in [("`group list`", []), ("`group reset`", [t.unique, "--all-topics", "--to-current"]),
                       ("`group delete-offsets`", [t.unique, "--topic", topic]), ("`topic list`", []),
                       ("`topic describe`", [topic])]:
        equal(set(as_json(t, *verb.strip("`").split(), *args)[0]), documented(verb), verb)
    equal(set(as_json(t, "consume", topic, "-e")[0]), documented("`consume`") - {"key_base64", "value_base64"},
          "consume")
    produced, _, _ = t.run([t.options.binary, "produce", topic, "--json", "-b", t.bootstrap], stdin=b"new\n")
    equal(set(json.loads(produced)), documented("`produce`"), "produce")
    equal(set(as_json(t, "health")[0]), documented("`health`"), "health")
    equal(set(json.loads(t.run([t.options.binary, "version", "--json"])[0])), documented("`version`"), "version")
    made = as_json(t, "topic", "create", topic + "-made")[0]
    equal(set(made), documented("`topic create`"), "topic create")
    equal(set(as_json(t, "topic", "delete", topic + "-made")[0]), documented("`topic delete`"), "topic delete")
    commit(t, t.unique, topic, {0: 5})
    equal(set(as_json(t, "group", "delete", t.unique)[0]), documented("`group delete`"), "group delete")
    member.end()


# -- everywhere -------------------------------------------------------------------------------------------------------


@case()
def nobody_there_is_told_by_every_verb(t):
    for args in [["group", "list"], ["group", "describe", "g"], ["group", "delete", "g"],
                 ["group", "reset", "g", "--all-topics", "--to-latest"],
                 ["group", "delete-offsets", "g", "--topic", "t"], ["consume", "t", "--group", "g"]]:
        out, err = odradek(t, *args, expect=UNREACHABLE, brokers=EMPTY_PORT)
        equal(out, "", f"stdout of {args}")
        check(f"cannot reach {EMPTY_PORT}" in err, err)


@case()
def help_is_there_for_every_verb(t):
    for args in [["list"], ["describe"], ["reset"], ["delete"], ["delete-offsets"]]:
        out, err, code = t.run([t.options.binary, "group", *args, "--help"], check_exit=False)
        equal((code, err), (OK, b""), f"help of {args}")
        check(b"usage: odradek group " + args[0].encode() in out and b"example" in out, out.decode())
    out, err, code = t.run([t.options.binary, "group", "describe", "--nope"], check_exit=False)
    equal((code, out), (USAGE, b""), "a wrong option")
    check(b"--nope" in err and b"--help" in err, err.decode())
