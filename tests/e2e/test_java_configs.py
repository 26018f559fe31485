"""Kafka's own tools that change and measure: settings of topics, brokers and groups, partitions, records, log dirs."""

import json
import os
import re
import time

from harness.case import case, check, equal
from harness.clients import create_topic, produce_all, producer
from harness.target import ROOT
from test_java import jvm_case, tool

CONFIGS = "kafka.admin.ConfigCommand"
ENTRY = re.compile(r"^  (\S+)=(.*) sensitive=(\S+) synonyms=\{(.*)\}$", re.M)


def node_of(t, topic, bootstrap=None):
    out = tool(t, "TopicCommand", "--describe", "--topic", topic, bootstrap=bootstrap).out
    return re.search(r"Leader: (\d+)", out).group(1)


def settings(t, *entity, bootstrap=None):
    """What --describe shows: key -> (value, synonyms)."""
    out = tool(t, CONFIGS, *entity, "--describe", bootstrap=bootstrap).out
    return {key: (value, synonyms) for key, value, _, synonyms in ENTRY.findall(out)}


def change(t, entity, *how, expect=0):
    return tool(t, CONFIGS, *entity, "--alter", *how, expect=expect)


@jvm_case
def topic_settings(t):
    create_topic(t.bootstrap, t.topic)
    topic = ["--entity-type", "topics", "--entity-name", t.topic]
    done = change(t, topic, "--add-config", "retention.ms=5555,cleanup.policy=[compact,delete]")
    check(f"Completed updating config for topic {t.topic}." in done.out, str(done))
    got = settings(t, *topic)
    equal({key: value for key, (value, _) in got.items()},
          {"retention.ms": "5555", "cleanup.policy": "compact,delete"}, "settings")
    check(got["retention.ms"][1].startswith("DYNAMIC_TOPIC_CONFIG:retention.ms=5555"), got["retention.ms"][1])
    everything = tool(t, CONFIGS, *topic, "--describe", "--all").out
    check("segment.bytes=1073741824" in everything and "retention.ms=5555" in everything, everything)
    for wrong in ("retention.ms=soon", "min.compaction.lag.ms=5,max.compaction.lag.ms=4"):
        refused = change(t, topic, "--add-config", wrong, expect=1)
        check("InvalidConfigurationException" in refused.out + refused.err, str(refused))
    unknown = change(t, topic, "--add-config", "no.such.key=1", expect=1)
    check("Unknown topic config name: no.such.key" in unknown.out + unknown.err, str(unknown))
    change(t, topic, "--delete-config", "retention.ms,cleanup.policy")
    equal(settings(t, *topic), {}, "settings after delete")


FACT = re.compile(r'^X\((\w+), "([^"]+)", \w+, (NULL|"(?:[^"\\\\]|\\\\.)*"), (\w+)\)$', re.M)
FACTS = os.path.join(ROOT, "tests", "unit", "broker", "kafka_configs.def")
TOLD = ("controller.listener.names", "group.coordinator.rebalance.protocols", "log.dir", "node.id", "process.roles")


@jvm_case
def defaults_of_the_broker(t):
    """The table of facts that unit tests use is what Apache Kafka says, and what we say."""
    create_topic(t.bootstrap, t.topic)
    with open(FACTS) as file:
        facts = [(key, default) for kind, key, default, _ in FACT.findall(file.read()) if kind == "BROKER"]
    check(len(facts) > 300, f"{len(facts)} facts")
    shown = settings_shown(tool(t, CONFIGS, "--entity-type", "brokers", "--entity-name", node_of(t, t.topic),
                                "--describe", "--all").out)
    for key, default in facts:
        check(key in shown, f"{key} is not shown")
        found = re.search(r"(?:^|, )DEFAULT_CONFIG:" + re.escape(key) + "=(.*)$", shown[key])
        if key not in TOLD and default != "NULL":
            equal(found and found.group(1), default[1:-1], key)


def settings_shown(out):
    return {key: synonyms for key, _, _, synonyms in ENTRY.findall(out)}


@jvm_case
def settings_of_a_missing_topic(t):
    missing = ["--entity-type", "topics", "--entity-name", t.topic]
    refused = change(t, missing, "--add-config", "retention.ms=1", expect=1)
    check("does not exist" in refused.out + refused.err, str(refused))


@case(timeout_s=90, needs=["jvm", "control"])
def broker_settings_flow_to_topics_and_stay(t):
    target = t.private_target()
    target.start()
    at = {"bootstrap": target.bootstrap}
    create_topic(target.bootstrap, t.topic)
    node = node_of(t, t.topic, **at)
    everybody = ["--entity-type", "brokers", "--entity-default"]
    this_one = ["--entity-type", "brokers", "--entity-name", node]
    topic = ["--entity-type", "topics", "--entity-name", t.topic]

    def alter(*arguments, expect=0):
        return tool(t, CONFIGS, *arguments, expect=expect, **at)

    def retention():
        out = tool(t, CONFIGS, *topic, "--describe", "--all", **at).out
        return re.search(r"^  retention\.ms=(\d+) ", out, re.M).group(1)

    def expect_retention(expected, when):
        """Kafka answers a change before it is in force."""
        deadline = time.monotonic() + 5
        while retention() != expected and time.monotonic() < deadline:
            time.sleep(0.05)
        equal(retention(), expected, f"retention {when}")

    before = retention()
    alter(*everybody, "--alter", "--add-config", "log.retention.ms=70000")
    expect_retention("70000", "with the default for all brokers")
    alter(*this_one, "--alter", "--add-config", "log.retention.ms=80000,log.cleanup.policy=[compact]")
    expect_retention("80000", "with this broker's value")
    got = settings(t, *this_one, **at)
    equal(got["log.retention.ms"][0], "80000", "described")
    check(got["log.retention.ms"][1].startswith("DYNAMIC_BROKER_CONFIG:log.retention.ms=80000, "
                                               "DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=70000"), str(got))
    target.kill()
    target.start()
    expect_retention("80000", "after kill -9")
    alter(*this_one, "--alter", "--delete-config", "log.retention.ms,log.cleanup.policy")
    expect_retention("70000", "without this broker's value")
    alter(*everybody, "--alter", "--delete-config", "log.retention.ms")
    expect_retention(before, "as at the beginning")
    check("log.retention.ms" not in settings(t, *everybody, **at), "the value for all brokers is still there")
    refused = alter(*this_one, "--alter", "--add-config", "num.partitions=7", expect=1)
    check("Cannot update these configs dynamically" in refused.out + refused.err, str(refused))
    equal(target.stop(), 0, "exit code")


@jvm_case
def group_settings(t):
    group = ["--entity-type", "groups", "--entity-name", t.topic]
    change(t, group, "--add-config", "consumer.session.timeout.ms=50000,share.auto.offset.reset=earliest")
    got = settings(t, *group)
    equal((got["consumer.session.timeout.ms"][0], got["share.auto.offset.reset"][0]), ("50000", "earliest"), "set")
    check("GROUP_CONFIG:consumer.session.timeout.ms=50000" in got["consumer.session.timeout.ms"][1], str(got))
    listed = tool(t, CONFIGS, "--entity-type", "groups", "--describe").out
    check(t.topic in listed, listed)
    refused = change(t, group, "--add-config", "consumer.session.timeout.ms=1", expect=1)
    check("InvalidConfigurationException: consumer.session.timeout.ms must be" in refused.err, str(refused))
    change(t, group, "--delete-config", "consumer.session.timeout.ms,share.auto.offset.reset")
    listed = tool(t, CONFIGS, "--entity-type", "groups", "--describe").out
    check(t.topic not in listed, listed)


@jvm_case
def client_metrics_and_loggers(t):
    tool(t, "ClientMetricsCommand", "--list")
    create_topic(t.bootstrap, t.topic)
    loggers = ["--entity-type", "broker-loggers", "--entity-name", node_of(t, t.topic)]
    tool(t, CONFIGS, *loggers, "--describe")
    refused = change(t, loggers, "--add-config", "no.such.logger=DEBUG", expect=1)
    check("no.such.logger" in refused.out + refused.err, str(refused))


@jvm_case
def more_partitions(t):
    create_topic(t.bootstrap, t.topic, 3)
    for wanted, why in ((3, "Topic already has 3 partition(s)."), (2, "2 would not be an increase.")):
        refused = tool(t, "TopicCommand", "--alter", "--topic", t.topic, "--partitions", wanted, expect=1)
        check(why in refused.out + refused.err, str(refused))
    node = node_of(t, t.topic)
    tool(t, "TopicCommand", "--alter", "--topic", t.topic, "--partitions", 5, "--replica-assignment",
         ",".join([node] * 5))
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"x", "partition": 4}])
    done = tool(t, "GetOffsetShell", "--topic", t.topic, "--time", -1)
    equal(sorted(done.out.split())[-1], f"{t.topic}:4:1", "end of the newest partition")


def delete_records(t, partition, offset, expect=0):
    path = t.path("offsets.json")
    with open(path, "w") as file:
        json.dump({"version": 1, "partitions": [{"topic": t.topic, "partition": partition, "offset": offset}]}, file)
    return tool(t, "DeleteRecordsCommand", "--offset-json-file", path, expect=expect)


@jvm_case
def deletes_records(t):
    create_topic(t.bootstrap, t.topic, 2)
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"%d" % i, "partition": 1} for i in range(50)])
    done = delete_records(t, 1, 20)
    check(f"partition: {t.topic}-1" in done.out and "low_watermark: 20" in done.out, str(done))

    def starts():
        return sorted(tool(t, "GetOffsetShell", "--topic", t.topic, "--time", -2).out.split())

    equal(starts(), [f"{t.topic}:0:0", f"{t.topic}:1:20"], "starts")
    out_of_range = delete_records(t, 1, 51, expect=None)
    check("OffsetOutOfRange" in out_of_range.out + out_of_range.err, str(out_of_range))
    check("low_watermark: 50" in delete_records(t, 1, -1).out, "up to the high watermark")
    equal(starts(), [f"{t.topic}:0:0", f"{t.topic}:1:50"], "starts")
    compacted = t.topic
    change(t, ["--entity-type", "topics", "--entity-name", compacted], "--add-config", "cleanup.policy=compact")
    refused = delete_records(t, 1, -1, expect=None)
    check("PolicyViolation" in refused.out + refused.err or "policy" in refused.out, str(refused))


@jvm_case
def describes_log_dirs(t):
    create_topic(t.bootstrap, t.topic, 2)
    produce_all(producer(t.bootstrap), t.topic, [{"value": os.urandom(5000), "partition": 1}])
    out = tool(t, "LogDirsCommand", "--describe", "--topic-list", t.topic).out
    (described,) = json.loads(out[out.index("{"):])["brokers"]
    (directory,) = described["logDirs"]
    equal(directory["error"], None, "error")
    sizes = {one["partition"]: one["size"] for one in directory["partitions"]}
    equal((sorted(sizes), sizes[f"{t.topic}-0"]), ([f"{t.topic}-0", f"{t.topic}-1"], 0), "sizes")
    check(5000 < sizes[f"{t.topic}-1"] < 5200, str(sizes))


@jvm_case
def describes_producers(t):
    create_topic(t.bootstrap, t.topic)
    produce_all(producer(t.bootstrap, enable_idempotence=True), t.topic, [{"value": b"x"}] * 3)
    lines = tool(t, "TransactionsCommand", "describe-producers", "--topic", t.topic, "--partition", 0).out.splitlines()
    row = dict(zip(lines[0].split(), lines[1].split()))
    equal((row["ProducerEpoch"], row["LastSequence"], row["CurrentTransactionStartOffset"]), ("0", "2", "None"),
          "the producer")
