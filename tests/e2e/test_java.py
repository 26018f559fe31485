"""Kafka's own command line tools, unchanged, from the released jars."""

import json
import re
import time

from harness import segment
from harness.case import case, check, equal
from harness.clients import KEPT_FOR_EVER, admin, create_topic, produce_all, producer, read_all, watermarks
from harness.jvm import call_alone
from harness.raw import CREATE_PARTITIONS, INCREMENTAL_ALTER_CONFIGS
from test_segments import QUIET_S

PAYLOAD = re.compile(r"\| offset: (\d+) .*?(?: key: (?P<key>.*?))? payload: (?P<payload>.*)$")
jvm_case = case(timeout_s=60, needs=["jvm"])


def tool(t, name, *args, stdin="", expect=0, bootstrap=None):
    result = t.jvm.call(name, "--bootstrap-server", bootstrap or t.bootstrap, *args, stdin=stdin)
    check(expect is None or result.exit == expect, f"{name} {args}: {result}")
    return result


@jvm_case
def topics_create_list_describe_delete(t):
    made = tool(t, "TopicCommand", "--create", "--topic", t.topic, "--partitions", 3, "--replication-factor", 1,
                "--config", "retention.ms=4444")
    check(f"Created topic {t.topic}." in made.out, str(made))
    again = tool(t, "TopicCommand", "--create", "--topic", t.topic, expect=1)
    check("already exists" in again.out + again.err, str(again))
    tool(t, "TopicCommand", "--create", "--if-not-exists", "--topic", t.topic)
    check(t.topic in tool(t, "TopicCommand", "--list").out.split(), "created topic is not listed")
    lines = tool(t, "TopicCommand", "--describe", "--topic", t.topic).out.splitlines()
    first = dict(part.split(": ", 1) for part in lines[0].strip().split("\t") if ": " in part)
    equal((first["Topic"], first["PartitionCount"].strip(), first["ReplicationFactor"].strip()), (t.topic, "3", "1"),
          "first line of --describe")
    check("retention.ms=4444" in first["Configs"], lines[0])
    check(re.fullmatch(r"[\w-]{22}", first["TopicId"]), f"topic id {first['TopicId']}")
    partitions = [dict(part.split(": ", 1) for part in line.strip().split("\t") if ": " in part) for line in lines[1:]]
    equal([p["Partition"] for p in partitions], ["0", "1", "2"], "partitions")
    for partition in partitions:
        equal((partition["Replicas"], partition["Isr"]), (partition["Leader"], partition["Leader"]), "replicas, ISR")
    tool(t, "TopicCommand", "--delete", "--topic", t.topic)
    deadline = time.monotonic() + 10
    while t.topic in tool(t, "TopicCommand", "--list").out.split():
        check(time.monotonic() < deadline, "deleted topic is still listed after 10 s")


@jvm_case
def topics_alter(t):
    t.need_api(CREATE_PARTITIONS, "CreatePartitions")
    create_topic(t.bootstrap, t.topic, 3)
    tool(t, "TopicCommand", "--alter", "--topic", t.topic, "--partitions", 5)
    check("PartitionCount: 5" in tool(t, "TopicCommand", "--describe", "--topic", t.topic).out, "not 5 partitions")


@jvm_case
def console_producer_to_console_consumer(t):
    create_topic(t.bootstrap, t.topic, 2)
    lines = [f"key{i % 4}:value number {i}" for i in range(300)]
    tool(t, "ConsoleProducer", "--topic", t.topic, "--reader-property", "parse.key=true", "--reader-property",
         "key.separator=:", stdin="".join(line + "\n" for line in lines))
    got = []
    for partition in range(2):
        _, count = watermarks(t.bootstrap, t.topic, partition)
        if not count:
            continue
        done = tool(t, "consumer.ConsoleConsumer", "--topic", t.topic, "--partition", partition, "--offset",
                    "earliest", "--max-messages", count, "--timeout-ms", 15000, "--formatter-property",
                    "print.key=true", "--formatter-property", "key.separator=:", "--formatter-property",
                    "print.offset=true", "--formatter-property", "print.partition=true")
        check(f"Processed a total of {count} messages" in done.err, str(done))
        rows = [line.split(":") for line in done.out.splitlines()]
        equal([row[:4] for row in rows], [["Partition", str(partition), "Offset", str(i)] for i in range(count)],
              "partitions and offsets")
        got += [":".join(row[4:]) for row in rows]
    equal(sorted(got), sorted(lines), "records")
    for key in ["key0", "key1", "key2", "key3"]:
        equal([line for line in got if line.startswith(key)], [line for line in lines if line.startswith(key)],
              f"order of {key}")


def console_codec_case(codec):
    def keeps_records(t):
        create_topic(t.bootstrap, t.topic)
        lines = [f"{codec} {i} " + "words " * 30 for i in range(500)]
        tool(t, "ConsoleProducer", "--topic", t.topic, "--compression-codec", codec,
             stdin="".join(line + "\n" for line in lines))
        equal([m.value().decode() for m in read_all(t.bootstrap, t.topic)], lines, "records, as librdkafka reads them")
        done = tool(t, "consumer.ConsoleConsumer", "--topic", t.topic, "--partition", 0, "--offset", 100,
                    "--max-messages", 400, "--timeout-ms", 15000)
        equal(done.out.splitlines(), lines[100:], "records, as Java reads them")
    keeps_records.__name__ = f"console_tools_{codec}"
    return jvm_case(keeps_records)


for one_codec in ["gzip", "snappy", "lz4", "zstd"]:
    console_codec_case(one_codec)


@jvm_case
def get_offsets(t):
    create_topic(t.bootstrap, t.topic, 2, config=KEPT_FOR_EVER)
    base = 1_700_000_000_000
    client = producer(t.bootstrap)
    for partition, count in [(0, 40), (1, 7)]:
        produce_all(client, t.topic, [{"value": b"x", "partition": partition, "timestamp": base + i}
                                      for i in range(count)])

    def offsets(time_spec):
        done = tool(t, "GetOffsetShell", "--topic", t.topic, "--time", time_spec)
        return [line.rsplit(":", 2) for line in done.out.split()]

    equal(offsets(-1), [[t.topic, "0", "40"], [t.topic, "1", "7"]], "latest")
    equal(offsets(-2), [[t.topic, "0", "0"], [t.topic, "1", "0"]], "earliest")
    equal(offsets(-3), [[t.topic, "0", "39"], [t.topic, "1", "6"]], "of the largest timestamp")
    equal(offsets(base + 5), [[t.topic, "0", "5"], [t.topic, "1", "5"]], "at a time")


@jvm_case
def verifiable_producer(t):
    create_topic(t.bootstrap, t.topic)
    done = call_alone("VerifiableProducer", "--bootstrap-server", t.bootstrap, "--topic", t.topic,
                      "--max-messages", 500, "--acks", -1)
    events = [json.loads(line) for line in done.out.splitlines()]
    acked = [e for e in events if e["name"] == "producer_send_success"]
    equal([(e["offset"], e["value"]) for e in acked], [(i, str(i)) for i in range(500)], "acknowledged")
    (summary,) = [e for e in events if e["name"] == "tool_data"]
    equal((summary["sent"], summary["acked"]), (500, 500), "summary")
    equal([m.value() for m in read_all(t.bootstrap, t.topic)], [b"%d" % i for i in range(500)], "records")


@jvm_case
def producer_perf_test(t):
    create_topic(t.bootstrap, t.topic, 3)
    done = t.jvm.call("ProducerPerformance", "--topic", t.topic, "--num-records", 20000, "--record-size", 200,
                      "--throughput", -1, "--producer-props", f"bootstrap.servers={t.bootstrap}", "acks=all",
                      "compression.type=lz4")
    equal(done.exit, 0, f"exit of {done}")
    check(re.search(r"^20000 records sent, .* records/sec .* 99\.9th\.$", done.out, re.M), str(done))
    equal(sum(watermarks(t.bootstrap, t.topic, p)[1] for p in range(3)), 20000, "records in the log")


@jvm_case
def configs_describe(t):
    create_topic(t.bootstrap, t.topic, config={"retention.ms": "5555"})
    out = tool(t, "kafka.admin.ConfigCommand", "--entity-type", "topics", "--entity-name", t.topic, "--describe").out
    check(f"Dynamic configs for topic {t.topic} are:" in out, out)
    equal(re.findall(r"^  (\S+=\S+) sensitive", out, re.M), ["retention.ms=5555"], "configs")


@jvm_case
def configs_alter(t):
    t.need_api(INCREMENTAL_ALTER_CONFIGS, "IncrementalAlterConfigs")
    create_topic(t.bootstrap, t.topic)
    entity = ["--entity-type", "topics", "--entity-name", t.topic]
    tool(t, "kafka.admin.ConfigCommand", *entity, "--alter", "--add-config", "retention.ms=5555,max.message.bytes=9999")
    out = tool(t, "kafka.admin.ConfigCommand", *entity, "--describe").out
    check(f"Dynamic configs for topic {t.topic} are:" in out, out)
    equal(sorted(re.findall(r"^  (\S+=\S+) sensitive", out, re.M)), ["max.message.bytes=9999", "retention.ms=5555"],
          "configs")
    tool(t, "kafka.admin.ConfigCommand", *entity, "--alter", "--delete-config", "retention.ms")
    out = tool(t, "kafka.admin.ConfigCommand", *entity, "--describe").out
    equal(re.findall(r"^  (\S+=\S+) sensitive", out, re.M), ["max.message.bytes=9999"], "configs after delete")


@jvm_case
def broker_api_versions(t):
    out = tool(t, "BrokerApiVersionsCommand").out
    check(t.bootstrap in out.splitlines()[0], out)
    for api in ["Produce(0): 0 to", "Fetch(1):", "ListOffsets(2):", "Metadata(3):", "ApiVersions(18): 0 to",
                "CreateTopics(19):", "InitProducerId(22):"]:
        check(api in out, f"{api} is missing:\n{out}")


@jvm_case
def cluster_id(t):
    out = t.jvm.call("ClusterTool", "cluster-id", "--bootstrap-server", t.bootstrap).out
    equal(out.strip(), f"Cluster ID: {admin(t.bootstrap).list_topics(timeout=10).cluster_id}", "output")


def dump_log(t, data_dir, topic, partition=0):
    """Returns (offset, payload) of every record the tool prints, and the result."""
    files = segment.paths(data_dir, topic, partition)
    result = t.jvm.call("DumpLogSegments", "--deep-iteration", "--print-data-log", "--files", ",".join(files))
    records = []
    for line in result.out.splitlines():
        match = PAYLOAD.search(line)
        if match:
            records.append((int(match.group(1)), match.group("payload")))
    return records, result


def expect_dump(t, data_dir, topic, values):
    records, result = dump_log(t, data_dir, topic)
    equal(records, list(enumerate(values)), "records in the dump")
    equal(result.exit, 0, "exit code")
    check("isvalid: false" not in result.out and "Found invalid" not in result.out + result.err, str(result)[-2000:])


@case(timeout_s=60, needs=["jvm", "files"])
def dump_log_of_a_running_server(t):
    create_topic(t.bootstrap, t.topic)
    values = [f"record {i} " * (i % 20 + 1) for i in range(300)]
    for codec in segment.CODECS:
        produce_all(producer(t.bootstrap, compression_type=codec), t.topic, [{"value": v} for v in values])
    time.sleep(QUIET_S)
    expect_dump(t, t.target.data_dir, t.topic, values * len(segment.CODECS))


@case(timeout_s=90, needs=["jvm", "files", "control"])
def dump_log_after_kill(t):
    target = t.private_target()
    target.start()
    create_topic(target.bootstrap, t.topic)
    values = [f"before {i} " * (i % 20 + 1) for i in range(300)]
    produce_all(producer(target.bootstrap, acks="all"), t.topic, [{"value": v} for v in values])
    time.sleep(QUIET_S)
    target.kill()
    expect_dump(t, target.data_dir, t.topic, values)

    target.start()
    more = [f"after {i} " * (i % 20 + 1) for i in range(300)]
    produce_all(producer(target.bootstrap, acks="all"), t.topic, [{"value": v} for v in more])
    target.kill()
    # Just acknowledged, not quiet yet: the file may hold less, but nothing else.
    records, result = dump_log(t, target.data_dir, t.topic)
    equal(records, list(enumerate(values + more))[:len(records)], "records in the dump")
    check(len(records) >= len(values), f"only {len(records)} records are left: {result}")

    target.start()
    equal([m.value().decode() for m in read_all(target.bootstrap, t.topic)], values + more, "records")
    time.sleep(QUIET_S)
    expect_dump(t, target.data_dir, t.topic, values + more)
    equal(target.stop(), 0, "exit code")
    expect_dump(t, target.data_dir, t.topic, values + more)
