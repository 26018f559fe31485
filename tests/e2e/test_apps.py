"""Programs that nobody here wrote and that use Kafka for something: log daemons, a lag monitor. Each is run as its users
run it, with a configuration file."""

import json
import os
import socket
import urllib.error
import urllib.request

from confluent_kafka import TopicPartition

from harness import apps
from harness.case import case, check, equal
from harness.clients import committed_of, create_topic, member, produce_all, producer, read_all, watermarks
from harness.target import stable_port

LINES = [f"line {i}: " + "words and öüä " * (i % 40) for i in range(2000)]


def write_lines(path, lines, mode="w"):
    with open(path, mode) as file:
        file.write("".join(line + "\n" for line in lines))


def read_lines(path):
    try:
        with open(path) as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def end_of(bootstrap, topic):
    return watermarks(bootstrap, topic)[1]


# -- log daemons ------------------------------------------------------------------------------------------------------


def rsyslog_sends(t, bootstrap):
    """imfile -> omkafka."""
    return apps.rsyslogd(t.work_dir, f"""
module(load="imfile" PollingInterval="1")
module(load="omkafka")
template(name="line" type="string" string="%msg%")
input(type="imfile" file="{t.path('in.log')}" tag="in" ruleset="send")
ruleset(name="send") {{
    action(type="omkafka" broker=["{bootstrap}"] topic="{t.topic}" template="line" key="k"
           confParam=["queue.buffering.max.ms=5", "compression.codec=zstd"] errorFile="{t.path('not-sent')}")
}}
""")


def rsyslog_receives(t, bootstrap):
    """imkafka -> omfile, in a group."""
    return apps.rsyslogd(t.work_dir, f"""
module(load="imkafka")
template(name="line" type="string" string="%rawmsg%\\n")
input(type="imkafka" topic="{t.topic}" broker=["{bootstrap}"] consumergroup="{t.unique}" parseHostname="off"
      ruleset="keep" confParam=["auto.offset.reset=earliest"])
ruleset(name="keep") {{ action(type="omfile" file="{t.path('out.log')}" template="line") }}
""")


@case(timeout_s=60, needs=["rsyslog", "control"], once=True)
def rsyslog_goes_round(t):
    server = t.private_target(["group.initial.rebalance.delay.ms=0"])
    server.start()
    bootstrap = server.bootstrap
    create_topic(bootstrap, t.topic)
    write_lines(t.path("in.log"), LINES)
    with rsyslog_sends(t, bootstrap) as daemon:
        daemon.wait_until(lambda: end_of(bootstrap, t.topic) >= len(LINES), "lines in the topic")
        write_lines(t.path("in.log"), ["one more"], "a")
        daemon.wait_until(lambda: end_of(bootstrap, t.topic) > len(LINES), "the line that was added")
        equal(daemon.stop(), 0, "exit code of the sender")
    expected = LINES + ["one more"]
    messages = read_all(bootstrap, t.topic)
    equal([message.value().decode() for message in messages], expected, "records")
    equal({message.key() for message in messages}, {b"k"}, "keys")
    check(not os.path.exists(t.path("not-sent")), "rsyslog gave up on something")

    with rsyslog_receives(t, bootstrap) as daemon:
        daemon.wait_until(lambda: len(read_lines(t.path("out.log"))) >= len(expected), "lines in the file")
        equal(daemon.stop(), 0, "exit code of the receiver")
    produce_all(producer(bootstrap), t.topic, [{"value": b"after the break"}])
    with rsyslog_receives(t, bootstrap) as daemon:
        daemon.wait_until(lambda: len(read_lines(t.path("out.log"))) > len(expected), "the line of the break")
        equal(daemon.stop(), 0, "exit code of the second receiver")
    equal(read_lines(t.path("out.log")), expected + ["after the break"], "lines that came back")
    reader = member(bootstrap, t.unique)
    equal(committed_of(reader, t.topic, [0]), [len(expected) + 1], "committed")
    reader.close()


@case(timeout_s=60, needs=["syslog-ng"], once=True)
def syslog_ng_sends(t):
    create_topic(t.bootstrap, t.topic)
    os.mkfifo(t.path("pipe"))
    with apps.syslog_ng(t.work_dir, f"""
source lines {{ pipe("{t.path('pipe')}" flags(no-parse)); }};
destination topic {{ kafka-c(bootstrap-servers("{t.bootstrap}") topic("{t.topic}")
    message("${{MESSAGE}}") config(queue.buffering.max.ms(5) compression.codec("lz4")) workers(1)); }};
log {{ source(lines); destination(topic); flags(flow-control); }};
""") as daemon:
        write_lines(t.path("pipe"), LINES)
        daemon.wait_until(lambda: end_of(t.bootstrap, t.topic) >= len(LINES), "lines in the topic")
        equal(daemon.stop(), 0, "exit code")
    equal([message.value().decode() for message in read_all(t.bootstrap, t.topic)], LINES, "records")


@case(timeout_s=60, needs=["collectd"], once=True)
def collectd_sends_metrics(t):
    create_topic(t.bootstrap, t.topic)
    with apps.collectd(t.work_dir, f"""
Hostname "here"
Interval 0.2
LoadPlugin uptime
LoadPlugin write_kafka
<Plugin write_kafka>
    Property "bootstrap.servers" "{t.bootstrap}"
    <Topic "{t.topic}">
        Format JSON
    </Topic>
</Plugin>
""") as daemon:
        daemon.wait_until(lambda: end_of(t.bootstrap, t.topic) >= 5, "metrics in the topic")
        equal(daemon.stop(), 0, "exit code")
    metrics = [metric for message in read_all(t.bootstrap, t.topic) for metric in json.loads(message.value())]
    equal({(metric["host"], metric["plugin"]) for metric in metrics}, {("here", "uptime")}, "metrics")
    times = [metric["time"] for metric in metrics]
    check(times == sorted(set(times)), f"times {times}")


# -- Burrow -----------------------------------------------------------------------------------------------------------


def burrow_config(t, http_port, zookeeper_port):
    os.mkdir(t.path("burrow"))
    with open(t.path("burrow/burrow.toml"), "w") as file:
        file.write(f"""
[general]
pidfile = "{t.path('burrow/pid')}"
[logging]
filename = "{t.path('burrow/log')}"
[zookeeper]
servers = ["127.0.0.1:{zookeeper_port}"]
[client-profile.here]
kafka-version = "2.1.0"
[cluster.here]
class-name = "kafka"
servers = ["{t.bootstrap}"]
client-profile = "here"
offset-refresh = 1
topic-refresh = 1
[consumer.here]
class-name = "kafka"
cluster = "here"
servers = ["{t.bootstrap}"]
client-profile = "here"
[storage.default]
class-name = "inmemory"
min-distance = 1
[evaluator.default]
class-name = "caching"
expire-cache = 1
[httpserver.default]
address = "127.0.0.1:{http_port}"
""")
    return t.path("burrow")


def keeper_serves(port):
    """ZooKeeper listens a while before it serves."""
    try:
        with socket.create_connection(("127.0.0.1", port), 0.5) as connection:
            connection.sendall(b"srvr")
            return b"Mode: standalone" in connection.makefile("rb").read()
    except (ConnectionError, TimeoutError):
        return False


def asked(port, *path):
    """What Burrow's HTTP API says, or {} while it cannot say yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v3/kafka/{'/'.join(path)}", timeout=5) as answer:
            return json.load(answer)
    except (urllib.error.URLError, ConnectionError):
        return {}


def lags(port, group):
    """partition -> (end of the last window's offset, lag) of a group, as Burrow sees it."""
    status = asked(port, "here", "consumer", group, "lag").get("status", {})
    return {one["partition"]: (one["end"]["offset"], one["current_lag"])
            for one in status.get("partitions") or [] if one["end"]}


@case(timeout_s=60, needs=["burrow", "jvm"], once=True)
def burrow_sees_the_lag_of_groups(t):
    """It reads __consumer_offsets by itself, from the beginning and on, and asks for the ends with ListOffsets 0."""
    create_topic(t.bootstrap, t.topic, 2)
    records = [{"value": b"x", "partition": i % 2} for i in range(100)]
    produce_all(producer(t.bootstrap), t.topic, records)
    reader = member(t.bootstrap, t.unique)

    def commit(*offsets):
        reader.commit(offsets=[TopicPartition(t.topic, i, offset) for i, offset in enumerate(offsets)],
                      asynchronous=False)

    commit(10, 20)
    http_port, zookeeper_port = stable_port(), stable_port()
    with apps.zookeeper(t.work_dir, zookeeper_port) as keeper:
        keeper.wait_until(lambda: keeper_serves(zookeeper_port), "ZooKeeper")
        with apps.Daemon(t.path("burrow.out"), apps.path("usr/bin/Burrow"), "--config-dir",
                         burrow_config(t, http_port, zookeeper_port)) as burrow:
            burrow.wait_until(lambda: lags(http_port, t.unique) == {0: (10, 40), 1: (20, 30)},
                              f"the lag of what was committed before; last {lags(http_port, t.unique)}")
            commit(30, 50)
            burrow.wait_until(lambda: lags(http_port, t.unique) == {0: (30, 20), 1: (50, 0)},
                              "the lag of what was committed meanwhile")
            produce_all(producer(t.bootstrap), t.topic, records[:10])
            burrow.wait_until(lambda: lags(http_port, t.unique) == {0: (30, 25), 1: (50, 5)}, "the lag of a longer topic")
            equal(sorted(asked(http_port, "here", "topic", t.topic)["offsets"]), [55, 55], "ends")
            check(t.unique in asked(http_port, "here", "consumer")["consumers"], "the group is not listed")
    reader.close()


# -- ClickHouse -------------------------------------------------------------------------------------------------------


def query(port, text):
    """What ClickHouse answers, as text; None while it does not listen."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=text.encode(), timeout=20) as answer:
            return answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{text}: {error.read().decode()}") from None
    except (urllib.error.URLError, ConnectionError):
        return None


@case(timeout_s=120, needs=["clickhouse", "control"], once=True, long=True)
def clickhouse_counts_a_topic(t):
    """Its Kafka engine is a group of its own that commits what a view has taken into a table."""
    server = t.private_target(["group.initial.rebalance.delay.ms=0"])
    server.start()
    create_topic(server.bootstrap, t.topic, 3)

    def send(first, last):
        produce_all(producer(server.bootstrap, compression_type="lz4"), t.topic,
                    [{"value": json.dumps({"id": i, "word": f"w{i % 7}"}).encode(), "partition": i % 3}
                     for i in range(first, last)])

    def holds(count):
        return lambda: query(port, "SELECT count(), sum(id), uniqExact(id), uniqExact(word) FROM kept") == \
            f"{count}\t{count * (count - 1) // 2}\t{count}\t7"

    send(0, 3000)
    port = stable_port()
    with apps.clickhouse(t.work_dir, port) as daemon:
        daemon.wait_until(lambda: query(port, "SELECT 1") == "1", "ClickHouse")
        for statement in (
                f"CREATE TABLE topic (id UInt64, word String) ENGINE = Kafka SETTINGS kafka_broker_list = "
                f"'{server.bootstrap}', kafka_topic_list = '{t.topic}', kafka_group_name = '{t.unique}', "
                "kafka_format = 'JSONEachRow', kafka_row_delimiter = '\\n'",
                "CREATE TABLE kept (id UInt64, word String) ENGINE = MergeTree ORDER BY id",
                "CREATE MATERIALIZED VIEW view TO kept AS SELECT id, word FROM topic"):
            query(port, statement)
        daemon.wait_until(holds(3000), "rows of what was there", 40)
        send(3000, 4500)
        daemon.wait_until(holds(4500), "rows of what came later", 40)
        daemon.stop()
    reader = member(server.bootstrap, t.unique)
    equal(committed_of(reader, t.topic, range(3)), [1500] * 3, "committed")
    reader.close()
    send(4500, 4800)
    with apps.clickhouse(t.work_dir, port) as daemon:
        daemon.wait_until(lambda: query(port, "SELECT 1") == "1", "ClickHouse, again")
        daemon.wait_until(holds(4800), "rows of what came while it was down", 40)
