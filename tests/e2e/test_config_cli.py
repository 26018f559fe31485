"""`odradek config` and `odradek topic alter`, beside librdkafka, which sees what they did."""

import json
import re
import socket
import struct

from harness.case import case, check, equal
from harness.clients import create_topic, wait_for_topic
from harness.raw import CREATE_PARTITIONS, INCREMENTAL_ALTER_CONFIGS
from test_group_cli import EMPTY_PORT, FAILURE, NOT_FOUND, UNREACHABLE, USAGE, as_json, odradek


def values(t, *target):
    """{key: (value, source)}; the items of a list come sorted."""
    rows = as_json(t, "config", "describe", *target)
    equal(len({row["key"] for row in rows}), len(rows), "rows, each key once")
    return {row["key"]: (",".join(sorted((row["value"] or "").split(","))), row["source"]) for row in rows}


@case()
def topic_alter(t):
    t.need_api(CREATE_PARTITIONS, "CreatePartitions")
    create_topic(t.bootstrap, t.topic, 2, config={"flush.ms": "5"})
    _, said = odradek(t, "topic", "alter", t.topic, "--partitions", "4", "--set", "retention.ms=70000", "--delete",
                      "flush.ms")
    equal(said, f"altered topic {t.topic}\n", "stderr")
    wait_for_topic(t.bootstrap, t.topic, 4)
    equal(values(t, "topic", t.topic), {"retention.ms": ("70000", "topic")}, "settings")
    _, said = odradek(t, "topic", "alter", t.topic, "--partitions", "3", expect=FAILURE)
    equal(said.count("3 would not be an increase"), 1, said)
    odradek(t, "topic", "alter", t.topic, "--partitions", "9", "--dry-run")
    _, said = odradek(t, "topic", "alter", t.topic, "--partitions", "9", "--set", "retention.ms=x", expect=FAILURE)
    check("retention.ms" in said, said)
    equal(len(json.loads(odradek(t, "topic", "describe", t.topic, "--json")[0])["partitions"]), 4, "partitions")
    both = as_json(t, "topic", "alter", t.topic, t.topic + "-missing", "--set", "retention.ms=1", expect=NOT_FOUND)
    equal([(row["topic"], row["error"]) for row in both],
          [(t.topic, None), (t.topic + "-missing", "UNKNOWN_TOPIC_OR_PARTITION")], "outcomes")


@case()
def config_of_topics(t):
    t.need_api(INCREMENTAL_ALTER_CONFIGS, "IncrementalAlterConfigs")
    create_topic(t.bootstrap, t.topic)
    equal(values(t, "topic", t.topic), {}, "settings of a new topic")
    odradek(t, "config", "alter", "topic", t.topic, "--append", "cleanup.policy=compact", "--set", "flush.ms=9")
    equal(values(t, "topic", t.topic),
          {"cleanup.policy": ("compact,delete", "topic"), "flush.ms": ("9", "topic")}, "settings")
    odradek(t, "config", "alter", "topic", t.topic, "--subtract", "cleanup.policy=delete", "--delete", "flush.ms")
    equal(values(t, "topic", t.topic), {"cleanup.policy": ("compact", "topic")}, "settings")
    equal(values(t, "topic", t.topic, "--key", "flush.ms"), {"flush.ms": ("9223372036854775807", "default")}, "one")
    check(len(values(t, "topic", t.topic, "--all")) > 20, "--all shows few settings")
    out, _ = odradek(t, "config", "describe", "topic", t.topic)
    equal([line.split() for line in out.splitlines()],
          [["OF", "KEY", "VALUE", "SOURCE"], ["topic", t.topic, "cleanup.policy", "compact", "topic"]], "table")
    odradek(t, "config", "describe", "topic", t.topic + "-missing", expect=NOT_FOUND)
    out, said = odradek(t, "config", "describe", "topic", t.topic, "--key", "nope", expect=NOT_FOUND)
    equal((out, said), ("", f"odradek: topic {t.topic} has no setting nope; --all shows those there are\n"),
          "a key that is not there")


@case()
def config_of_groups_and_lists(t):
    create_topic(t.bootstrap, t.topic)
    odradek(t, "config", "alter", "group", t.topic, "--set", "consumer.session.timeout.ms=50000")
    equal(values(t, "group", t.topic), {"consumer.session.timeout.ms": ("50000", "group")}, "settings of the group")
    listed = [(row["type"], row["name"]) for row in as_json(t, "config", "list")]
    check(("group", t.topic) in listed and ("topic", t.topic) in listed, f"not listed: {listed}")
    equal([row["name"] for row in as_json(t, "config", "list", "group") if row["name"] == t.topic], [t.topic], "groups")
    _, said = odradek(t, "config", "alter", "group", t.topic, "--set", "consumer.session.timeout.ms=1", expect=FAILURE)
    check("consumer.session.timeout.ms" in said, said)
    odradek(t, "config", "alter", "group", t.topic, "--delete", "consumer.session.timeout.ms")
    equal(values(t, "group", t.topic), {}, "settings after delete")


@case(timeout_s=90, needs=["control"])
def config_of_the_broker(t):
    target = t.private_target()
    target.start()
    there = ["--brokers", target.bootstrap]

    def run(*args, expect=0):
        out, err, code = t.run([t.options.binary, *args, *there], check_exit=False)
        check(code == expect, f"{args}: exit {code}\n{out.decode()}{err.decode()}")
        return out.decode(), err.decode()

    def value(*of):
        (line,) = run("config", "describe", *of, "--key", "log.retention.ms", "--json")[0].splitlines()
        row = json.loads(line)
        return row["value"], row["source"]

    (node,) = [json.loads(line)["name"] for line in run("config", "list", "broker", "--json")[0].splitlines()]
    run("config", "alter", "brokers", "--set", "log.retention.ms=70000")
    run("config", "alter", "broker", node, "--set", "log.retention.ms=80000")
    equal((value("broker"), value("broker", node), value("brokers")),
          (("80000", "broker"), ("80000", "broker"), ("70000", "brokers")), "settings")
    target.kill()
    target.start()
    equal(value("broker"), ("80000", "broker"), "after kill -9")
    run("config", "alter", "broker", node, "--delete", "log.retention.ms")
    equal(value("broker"), ("70000", "brokers"), "without its own")
    _, said = run("config", "alter", "brokers", "--set", "num.partitions=3", expect=FAILURE)
    check("Cannot update these configs dynamically" in said, said)
    run("config", "alter", "broker", "77", "--set", "log.retention.ms=1", expect=NOT_FOUND)
    target.stop()


def connects(target, own_address):
    """Whether a client with that address gets an answer to ApiVersions 0; the connection, for it to stay."""
    connection = socket.create_connection((target.host, target.port), timeout=20, source_address=(own_address, 0))
    try:
        connection.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
        return len(connection.recv(4)) == 4, connection
    except ConnectionError:
        return False, connection


@case(timeout_s=90, needs=["control"])
def limits_of_connections(t):
    target = t.private_target()
    target.start()

    def limit(how):
        out, err, code = t.run([t.options.binary, "config", "alter", "brokers", *how, "--brokers", target.bootstrap],
                               check_exit=False)
        check(code == 0, f"{how}: exit {code}\n{out.decode()}{err.decode()}")

    def let_in(count):
        answers = [connects(target, "127.0.0.9") for _ in range(count)]
        for _, connection in answers:
            connection.close()
        return [answer for answer, _ in answers]

    equal(let_in(3), [True] * 3, "without a limit")
    limit(["--set", "max.connections.per.ip.overrides=127.0.0.9:0"])
    equal(let_in(2), [False] * 2, "none may come in")
    limit(["--set", "max.connections.per.ip.overrides=127.0.0.9:1"])
    equal(let_in(2), [True, False], "one may come in")
    target.kill()
    target.start()
    equal(let_in(2), [True, False], "after kill -9")
    limit(["--delete", "max.connections.per.ip.overrides"])
    equal(let_in(3), [True] * 3, "without a limit again")
    check("connection from 127.0.0.9 refused: max.connections.per.ip reached" in target.err_tail(), target.err_tail())
    target.stop()


@case()
def config_mistakes(t):
    for wrong in (["config", "alter", "topic", t.topic], ["config", "alter", "topic", "--set", "a=1"],
                  ["config", "alter", "topic", t.topic, "--set", "a"], ["config", "describe", "user", "x"],
                  ["config", "alter", "topic", t.topic, "--delete", "a=1"], ["config", "describe"],
                  ["config", "describe", "brokers", "1"], ["topic", "alter", t.topic],
                  ["topic", "alter", t.topic, "--partitions", "0"], ["config", "list", "user"]):
        _, said = odradek(t, *wrong, expect=USAGE)
        check(re.match(r"odradek", said), said)
    odradek(t, "config", "list", expect=UNREACHABLE, brokers=EMPTY_PORT)
    for verb in (["config", "alter"], ["config", "describe"], ["config", "list"], ["topic", "alter"]):
        out, _ = odradek(t, *verb, "--help")
        check("usage: odradek " + " ".join(verb) in out, out)
