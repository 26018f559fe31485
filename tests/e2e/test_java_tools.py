"""Kafka's own tools, their less usual uses: every way to reset a group and to name a place in a log, lists of groups of
all kinds, Kafka's check of what a client can rely on."""

import csv
import datetime
import json
import re

from confluent_kafka import TopicPartition

from harness.case import case, check, equal
from harness.clients import committed_of, create_topic, member, produce_all, producer
from harness.raw import DESCRIBE_LOG_DIRS
from test_java import jvm_case, tool
from test_java_groups import GROUPS, rows

HOUR_MS = 3_600_000


@case(timeout_s=90, needs=["jvm"], once=True)
def client_compatibility_test(t):
    """Kafka's program for new clients against old brokers, told that this one has everything."""
    told = {"offsets-for-times": True, "cluster-id": True, "create-topics": True, "describe-acls": True,
            "describe-configs": True, "idempotent-producer": True}
    done = tool(t, "ClientCompatibilityTest", "--topic", t.topic, "--num-cluster-nodes", 1,
                "--expect-record-too-large-exception", "false",
                *[part for name, value in told.items() for part in (f"--{name}-supported", str(value).lower())])
    equal(done.out.strip(), "SUCCESS.", f"what it says in {done}")


# -- places in a log --------------------------------------------------------------------------------------------------


@jvm_case
def get_offsets_by_every_name(t):
    create_topic(t.bootstrap, t.topic)
    base = 1_700_000_000_000
    produce_all(producer(t.bootstrap, linger_ms=0), t.topic,
                [{"value": b"x", "timestamp": base + at} for at in (0, 10, 50, 20)])

    def offset(place):
        done = tool(t, "GetOffsetShell", "--topic", t.topic, "--time", place)
        return [line.rsplit(":", 1)[1] for line in done.out.split()]

    for name, number, expected in [("latest", -1, ["4"]), ("earliest", -2, ["0"]), ("max-timestamp", -3, ["2"]),
                                   ("earliest-local", -4, ["0"]), ("latest-tiered", -5, []),
                                   ("earliest-pending-upload", -6, [])]:
        equal((offset(name), offset(number)), (expected, expected), name)
    equal([offset(base + at) for at in (0, 1, 11, 51)], [["0"], ["1"], ["2"], []], "by time")


@jvm_case
def get_offsets_of_chosen_partitions(t):
    names = [f"{t.topic}-a", f"{t.topic}-b"]
    for name in names:
        create_topic(t.bootstrap, name, 4)

    def found(*how):
        done = tool(t, "GetOffsetShell", *how)
        return sorted(line.removeprefix(t.topic + "-") for line in done.out.split() if line.startswith(t.topic))

    every = [f"{name}:{p}:0" for name in "ab" for p in range(4)]
    equal(found("--topic", f"{t.topic}-."), every, "a pattern")
    equal(found("--topic", names[0], "--partitions", "1,3"), ["a:1:0", "a:3:0"], "partitions")
    equal(found("--topic-partitions", f"{names[0]}:1-3,{names[1]}:-1"), ["a:1:0", "a:2:0", "b:0:0"], "ranges")
    equal(found("--topic-partitions", f"{names[0]}:3-,{names[1]}:2"), ["a:3:0", "b:2:0"], "open ranges")
    equal(found("--exclude-internal-topics"), every, "everything of the users'")
    equal(found(), every, "everything")
    missing = tool(t, "GetOffsetShell", "--topic", t.topic, expect=1)
    check("Could not match any topic-partitions" in missing.err, str(missing))


# -- groups -----------------------------------------------------------------------------------------------------------


def two_topics(t):
    """20 records in each of two partitions of each, 1 h apart, the last one now; committed 5 everywhere."""
    now_ms = int(datetime.datetime.now().timestamp() * 1000)
    names = [f"{t.topic}-a", f"{t.topic}-b"]
    for name in names:
        create_topic(t.bootstrap, name, 2)
        produce_all(producer(t.bootstrap), name, [{"value": b"x", "partition": i % 2,
                                                   "timestamp": now_ms - (19 - i // 2) * HOUR_MS} for i in range(40)])
    reader = member(t.bootstrap, t.unique)
    reader.commit(offsets=[TopicPartition(name, p, 5) for name in names for p in range(2)], asynchronous=False)
    return names, reader, now_ms


def reset(t, *how, expect=0):
    done = tool(t, GROUPS, "--reset-offsets", *how, expect=expect)
    return {(row["TOPIC"], int(row["PARTITION"])): int(row["NEW-OFFSET"]) for row in rows(done.out)
            if row["GROUP"] == t.unique}


def moment(at_ms):
    """As the tool wants it, in UTC."""
    at = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}"


@case(timeout_s=90, needs=["jvm"], once=True)
def group_tool_resets_every_way(t):
    names, reader, now_ms = two_topics(t)
    group = ["--group", t.unique]
    every = [(name, p) for name in names for p in range(2)]

    def all_at(offset):
        return {part: offset for part in every}

    def committed():
        return [committed_of(reader, name, range(2)) for name in names]

    for how, offset in [(["--to-latest"], 20), (["--to-earliest"], 0), (["--to-current"], 5), (["--shift-by", 7], 12),
                        (["--shift-by", -3], 2), (["--shift-by", -30], 0), (["--shift-by", 100], 20),
                        (["--to-offset", 9], 9), (["--to-offset", 90], 20), (["--by-duration", "PT3H30M"], 16),
                        (["--by-duration", "P30D"], 0), (["--to-datetime", moment(now_ms - 5 * HOUR_MS)], 14),
                        (["--to-datetime", moment(now_ms + HOUR_MS)], 20)]:
        equal(reset(t, *group, "--all-topics", *how, "--dry-run"), all_at(offset), f"plan of {how}")
    equal(committed(), [[5, 5], [5, 5]], "committed after plans")
    for how, offset in [(["--by-duration", "PT3H30M"], 16), (["--to-datetime", moment(now_ms - 5 * HOUR_MS)], 14),
                        (["--shift-by", -4], 10), (["--to-earliest"], 0), (["--to-latest"], 20)]:
        equal(reset(t, *group, "--all-topics", *how, "--execute"), all_at(offset), f"{how}")
        equal(committed(), [[offset] * 2] * 2, f"committed after {how}")
    one = [*group, "--topic", f"{names[0]}:1"]
    equal(reset(t, *one, "--to-offset", 3, "--execute"), {(names[0], 1): 3}, "one partition")
    equal(reset(t, "--all-groups", "--topic", f"{names[1]}:0,1", "--to-offset", 6, "--execute"),
          {(names[1], 0): 6, (names[1], 1): 6}, "partitions of all groups")
    equal(committed(), [[20, 3], [6, 6]], "committed")
    reader.close()


@case(timeout_s=60, needs=["jvm"])
def group_tool_exports_and_takes_back(t):
    names, reader, _ = two_topics(t)
    group = ["--group", t.unique]
    saved = tool(t, GROUPS, "--reset-offsets", *group, "--all-topics", "--to-current", "--export", "--dry-run").out
    plan = sorted((row[0], int(row[1]), int(row[2])) for row in csv.reader(saved.splitlines()) if row)
    equal(plan, sorted((name, p, 5) for name in names for p in range(2)), "exported")
    path = t.path("plan.csv")
    with open(path, "w") as file:
        file.write(saved)
    reset(t, *group, "--all-topics", "--to-latest", "--execute")
    equal([committed_of(reader, name, range(2)) for name in names], [[20, 20]] * 2, "committed")
    equal(reset(t, *group, "--from-file", path, "--execute"), {(name, p): 5 for name in names for p in range(2)}, "back")
    equal([committed_of(reader, name, range(2)) for name in names], [[5, 5]] * 2, "committed")
    new = f"{t.unique}-new"
    done = tool(t, GROUPS, "--reset-offsets", "--group", new, "--topic", names[0], "--to-offset", 4, "--execute")
    equal(sorted(int(row["NEW-OFFSET"]) for row in rows(done.out)), [4, 4], "a group that was not there")
    equal(sorted(int(row["LAG"]) for row in rows(tool(t, GROUPS, "--describe", "--group", new).out)), [16, 16], "its lag")
    gone = tool(t, GROUPS, "--delete", "--group", t.unique, "--group", new)
    check(f"'{new}'" in gone.out and f"'{t.unique}'" in gone.out and "was successful" in gone.out, str(gone))
    reader.close()


@jvm_case
def groups_tool_lists_every_kind(t):
    create_topic(t.bootstrap, t.topic)
    reader = member(t.bootstrap, t.unique)
    reader.commit(offsets=[TopicPartition(t.topic, 0, 0)], asynchronous=False)

    def listed(*how):
        return [line.split()[1:] for line in tool(t, "GroupsCommand", "--list", *how).out.splitlines()
                if line.startswith(t.unique)]

    simple = [["Classic"]]
    equal(listed(), simple, "all")
    equal(listed("--consumer"), simple, "consumer groups")
    equal(listed("--group-type", "classic"), simple, "classic ones")
    equal(listed("--group-type", "consumer"), [], "of the newer protocol")
    equal(listed("--protocol", "consumer"), [], "with members of the consumer protocol")
    equal((listed("--share"), listed("--streams"), listed("--group-type", "share")), ([], [], []), "other kinds")
    reader.close()


# -- the cluster ------------------------------------------------------------------------------------------------------


@jvm_case
def log_dirs_of_everything(t):
    t.need_api(DESCRIBE_LOG_DIRS, "DescribeLogDirs")
    create_topic(t.bootstrap, t.topic, 3)
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"x" * 1000, "partition": 1}])
    out = tool(t, "LogDirsCommand", "--describe").out
    (broker,) = json.loads(out.splitlines()[-1])["brokers"]
    (folder,) = broker["logDirs"]
    equal(folder["error"], None, "error")
    sizes = {one["partition"]: one["size"] for one in folder["partitions"]}
    equal([sizes[f"{t.topic}-{p}"] > 0 for p in range(3)], [False, True, False], f"sizes in {sizes}")
    only = tool(t, "LogDirsCommand", "--describe", "--broker-list", broker["broker"], "--topic-list", t.topic).out
    (same,) = json.loads(only.splitlines()[-1])["brokers"]
    equal(sorted(one["partition"] for one in same["logDirs"][0]["partitions"]),
          [f"{t.topic}-{p}" for p in range(3)], "partitions of one topic")
    missing = tool(t, "LogDirsCommand", "--describe", "--broker-list", "77", expect=1)
    check("77" in missing.out + missing.err, str(missing))


@jvm_case
def leader_election_by_file(t):
    create_topic(t.bootstrap, t.topic, 3)
    path = t.path("election.json")
    with open(path, "w") as file:
        json.dump({"partitions": [{"topic": t.topic, "partition": p} for p in (0, 2)]}, file)
    out = tool(t, "LeaderElectionCommand", "--election-type", "preferred", "--path-to-json-file", path).out
    equal(sorted(re.findall(rf"{t.topic}-\d", out)), [f"{t.topic}-0", f"{t.topic}-2"], "partitions")
    check(out.startswith("Valid replica already elected for partitions"), out)


@jvm_case
def metadata_quorum_for_people(t):
    lines = tool(t, "MetadataQuorumCommand", "describe", "--replication", "--human-readable").out.splitlines()
    equal(len(lines), 2, "lines")
    check(re.search(r"\d+ ms ago.*Leader", lines[1]), lines[1])
    refused = tool(t, "MetadataQuorumCommand", "remove-controller", "--controller-id", 77, "--controller-directory-id",
                   "AAAAAAAAAAAAAAAAAAAAAQ", expect=1)
    check("UnsupportedVersionException" in refused.err, str(refused))
