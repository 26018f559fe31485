"""Clients and settings from before record batches: message sets of formats 0 and 1 in both directions, beside new clients on
the same topics; and topics that want a codec of their own."""

import json
import os
import time
import urllib.error
import urllib.request

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from harness import apps
from harness.case import case, check, equal
from harness.clients import KEPT_FOR_EVER, consumer, create_topic, produce_all, producer, read_all
from harness.target import ROOT, stable_port

BASE_MS = 1_700_000_000_000
NODE_SCRIPT = os.path.join(ROOT, "tests", "e2e", "node", "kafka_node.js")
NODE_MODULE = os.path.join(ROOT, "build-node", "node_modules", "kafka-node")
VERSIONS = {"0.8.2": (0, 8, 2), "0.9": (0, 9), "0.10.0": (0, 10), "0.10.1": (0, 10, 1)}
CODECS = {None: 0, "gzip": 1, "snappy": 2, "lz4": 3}


def is_served(t):
    """Kafka 4 has cut these clients off: what is left of a test without them runs against it, too."""
    return t.target.kind != "kafka"


def need_old(t):
    if not is_served(t):
        t.skip("Kafka 4 has cut these clients off")


def records_of(count):
    return [(b"key-%d" % (i % 7) if i % 3 else None, None if i % 3 and i % 10 == 0 else b"value %d " % i * (i % 40))
            for i in range(count)]


# -- kafka-python, told that the broker is old -----------------------------------------------------------------------------

def python_read(t, version, count, offset=0):
    reader = KafkaConsumer(bootstrap_servers=t.bootstrap, api_version=version, group_id=None, enable_auto_commit=False,
                           max_partition_fetch_bytes=3000)
    where = TopicPartition(t.topic, 0)
    reader.assign([where])
    reader.seek(where, offset)
    records = []
    deadline = time.monotonic() + 15
    while len(records) < count - offset:
        check(time.monotonic() < deadline, f"{len(records)} records after 15 s")
        records += reader.poll(timeout_ms=500).get(where, [])
    reader.close()
    return records


def old_python_case(name, codec):
    def keeps_records(t):
        need_old(t)
        version, records = VERSIONS[name], records_of(400)
        create_topic(t.bootstrap, t.topic, config=KEPT_FOR_EVER)
        client = KafkaProducer(bootstrap_servers=t.bootstrap, api_version=version, acks=1, compression_type=codec,
                               linger_ms=10, batch_size=8000)
        futures = [client.send(t.topic, key=key, value=value, partition=0, timestamp_ms=BASE_MS + i)
                   for i, (key, value) in enumerate(records)]
        client.flush(15)
        equal([future.get(5).offset for future in futures], list(range(400)), "acknowledged offsets")
        client.close()
        timed = version >= (0, 10)
        new = read_all(t.bootstrap, t.topic)
        equal([(m.offset(), m.key(), m.value()) for m in new], [(i, k, v) for i, (k, v) in enumerate(records)],
              "what a new client reads")
        if timed:
            equal([m.timestamp()[1] for m in new], [BASE_MS + i for i in range(400)], "its timestamps")
        old = python_read(t, version, 400, offset=11)
        equal([(r.offset, r.key, r.value) for r in old], [(i, k, v) for i, (k, v) in enumerate(records)][11:],
              "what it reads itself, from the middle of a batch on")
        equal([r.timestamp for r in old], [BASE_MS + i if timed else None for i in range(11, 400)], "its own timestamps")
    keeps_records.__name__ = f"kafka_python_{name.replace('.', '_')}_keeps_records_{codec or 'none'}"
    return case()(keeps_records)


for one_version in VERSIONS:
    for one_codec in CODECS:
        if one_codec != "lz4" or VERSIONS[one_version] >= (0, 10):  # that pair needs a Python module more
            old_python_case(one_version, one_codec)


@case()
def kafka_python_of_old_reads_what_new_producers_compress(t):
    create_topic(t.bootstrap, t.topic, config=KEPT_FOR_EVER)
    sent = []
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        records = [{"key": b"%d" % i, "value": b"%s %d " % (codec.encode(), i) * 30, "timestamp": BASE_MS + i,
                    "headers": [("h", b"1")]} for i in range(100)]
        produce_all(producer(t.bootstrap, compression_type=codec, enable_idempotence=True), t.topic, records)
        sent += [(r["key"], r["value"]) for r in records]
    need_old(t)
    for version in VERSIONS.values():
        got = python_read(t, version, len(sent), offset=250)
        equal([(r.key, r.value) for r in got], sent[250:], f"what a client of {version} reads")


@case()
def kafka_python_of_old_finds_the_ends(t):
    need_old(t)
    create_topic(t.bootstrap, t.topic)
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"%d" % i} for i in range(10)])
    for reset, first in [("earliest", 0), ("latest", 10)]:
        reader = KafkaConsumer(bootstrap_servers=t.bootstrap, api_version=(0, 9), group_id=None,
                               auto_offset_reset=reset)
        where = TopicPartition(t.topic, 0)
        reader.assign([where])
        equal(reader.position(where), first, reset)  # ListOffsets 0
        reader.close()


# -- librdkafka without ApiVersions -----------------------------------------------------------------------------------------

def fallback(version):
    return {"api_version_request": "false", "broker_version_fallback": version}


def fallback_case(version, codec):
    def keeps_records(t):
        need_old(t)
        records = [{"key": k, "value": v, "timestamp": BASE_MS + i} for i, (k, v) in enumerate(records_of(300))]
        create_topic(t.bootstrap, t.topic, config=KEPT_FOR_EVER)
        client = producer(t.bootstrap, compression_type=codec, batch_num_messages=40, **fallback(version))
        equal(produce_all(client, t.topic, records), list(range(300)), "offsets in delivery reports")
        timed = not version.startswith("0.9")
        for name, settings in [("new", {}), ("old", fallback(version))]:
            reader = consumer(t.bootstrap, **settings)
            got = read_all(t.bootstrap, t.topic, client=reader)
            reader.close()
            equal([(m.offset(), m.key(), m.value()) for m in got],
                  [(i, r["key"], r["value"]) for i, r in enumerate(records)], f"what the {name} one reads")
            if timed:
                equal([m.timestamp()[1] for m in got], [r["timestamp"] for r in records], f"timestamps, {name}")
    keeps_records.__name__ = f"librdkafka_{version.replace('.', '_')}_keeps_records_{codec}"
    return case()(keeps_records)


for one_fallback in ["0.9.0", "0.10.0.0"]:
    for one_codec in ["none", "gzip", "snappy", "lz4"]:
        fallback_case(one_fallback, one_codec)


@case()
def librdkafka_old_and_new_producers_share_a_partition(t):
    need_old(t)
    create_topic(t.bootstrap, t.topic, config=KEPT_FOR_EVER)
    clients = [producer(t.bootstrap), producer(t.bootstrap, **fallback("0.9.0")),
               producer(t.bootstrap, compression_type="zstd"),
               producer(t.bootstrap, compression_type="lz4", **fallback("0.10.0.0"))]
    values = [b"value %d" % i for i in range(80)]
    for i, value in enumerate(values):
        equal(produce_all(clients[i % 4], t.topic, [{"value": value, "timestamp": BASE_MS + i}]), [i], "offset")
    for settings in [{}, fallback("0.9.0"), fallback("0.10.0.0")]:
        reader = consumer(t.bootstrap, **settings)
        equal([m.value() for m in read_all(t.bootstrap, t.topic, client=reader)], values, f"values, {settings}")
        reader.close()


# -- kafka-node -------------------------------------------------------------------------------------------------------------

def kafka_node(t, command, **arguments):
    need_old(t)
    if not os.path.isdir(NODE_MODULE):
        t.skip("kafka-node is not installed (tools/install-deps test)")
    request = {"bootstrap": t.bootstrap, "command": command, "topic": t.topic, **arguments}
    out, _, _ = t.run(["node", NODE_SCRIPT], stdin=json.dumps(request).encode(), timeout_s=40)
    return json.loads(out)


def kafka_node_case(name, codec):
    def keeps_records(t):
        create_topic(t.bootstrap, t.topic)
        batches = [[{"key": f"k{i}" if i % 2 else None, "value": f"value {n}.{i} " * (1 + i % 9)} for i in range(50)]
                   for n in range(6)]
        sent = [message for batch in batches for message in batch]
        equal(kafka_node(t, "produce", batches=batches, codec=codec), [50 * n for n in range(6)], "offsets")
        expected = [(i, m["key"], m["value"]) for i, m in enumerate(sent)]
        got = read_all(t.bootstrap, t.topic)
        equal([(m.offset(), m.key() and m.key().decode(), m.value().decode()) for m in got], expected,
              "what librdkafka reads")
        got = kafka_node(t, "consume", **{"from": 60}, count=240)
        equal([(m["offset"], m["key"] or None, m["value"]) for m in got], expected[60:], "what it reads itself")
    keeps_records.__name__ = f"kafka_node_keeps_records_{name}"
    return case()(keeps_records)


for one_name, one_codec in [("none", 0), ("gzip", 1)]:
    kafka_node_case(one_name, one_codec)


@case(timeout_s=60)
def kafka_node_reads_in_a_group(t):
    create_topic(t.bootstrap, t.topic)
    produce_all(producer(t.bootstrap, compression_type="zstd"), t.topic, [{"value": b"v%d" % i} for i in range(50)])
    got = kafka_node(t, "group", group=t.topic, count=50)
    equal([(m["offset"], m["value"]) for m in got], [(i, f"v{i}") for i in range(50)], "messages")


@case()
def kafka_node_lists_offsets(t):
    create_topic(t.bootstrap, t.topic, config=KEPT_FOR_EVER)
    produce_all(producer(t.bootstrap, compression_type="gzip"), t.topic,
                [{"value": b"v", "timestamp": BASE_MS + 10 * i} for i in range(20)])
    times = [-1, -2, BASE_MS + 55, BASE_MS + 10_000]
    equal(kafka_node(t, "offsets", times=times, max=1), [[20], [0], [6], [20]], "one offset each")
    equal(kafka_node(t, "offsets", times=times, max=5), [[20, 0], [0], [6, 0], [20, 0]], "lists")


# -- lua-nginx-kafka ---------------------------------------------------------------------------------------------------------

LUA_PRODUCER = """
    local producer = require "nginx.kafka.producer"
    local brokers = {{ {{ host = "{host}", port = {port} }} }}
    local one = producer:new(brokers)
    for i = 1, 50 do
      local _, why = one:send("{topic}", "key " .. i, string.rep("value " .. i .. " ", i))
      ngx.say(why or "ok")
    end
"""


@case(needs=["lua-nginx-kafka"])
def lua_nginx_kafka_keeps_records(t):
    need_old(t)
    create_topic(t.bootstrap, t.topic)
    host, port = t.bootstrap.split(":")
    http_port = stable_port()

    def ask():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/", timeout=15) as answer:
                return answer.read().decode().split()
        except urllib.error.URLError:
            return None

    with apps.nginx_with_lua(t.work_dir, http_port, LUA_PRODUCER.format(host=host, port=port, topic=t.topic)) as nginx:
        equal(nginx.wait_until(ask, "nginx answers"), ["ok"] * 50, "what it says of each record")
    got = read_all(t.bootstrap, t.topic)
    equal([(m.offset(), m.key(), m.value()) for m in got],
          [(i - 1, b"key %d" % i, b"value %d " % i * i) for i in range(1, 51)], "records")


# -- topics with a codec of their own -----------------------------------------------------------------------------------------

def own_codec_case(codec, **levels):
    def is_read_by_all(t):
        settings = {**KEPT_FOR_EVER, "compression.type": codec,
                    **{f"compression.{codec}.level": str(level) for level in levels.values()}}
        create_topic(t.bootstrap, t.topic, config=settings)
        sent = []
        for sender in ["none", "gzip", "snappy", "lz4", "zstd"]:
            records = [{"key": b"%d" % i, "value": b"%s %d " % (sender.encode(), i) * 40, "timestamp": BASE_MS + i,
                        "headers": [("from", sender.encode())]} for i in range(150)]
            produce_all(producer(t.bootstrap, compression_type=sender, enable_idempotence=sender == "lz4"), t.topic,
                        records)
            sent += [(r["key"], r["value"], r["headers"], r["timestamp"]) for r in records]
        got = read_all(t.bootstrap, t.topic)
        equal([(m.key(), m.value(), m.headers(), m.timestamp()[1]) for m in got], sent, "what librdkafka reads")
        lines = t.jvm.call("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", t.bootstrap, "--topic",
                           t.topic, "--partition", "0", "--offset", "0", "--max-messages", str(len(sent))).out
        equal(lines.splitlines(), [value.decode() for _, value, _, _ in sent], "what the Java consumer reads")
        if is_served(t):
            got = python_read(t, VERSIONS["0.10.1"], len(sent))
            equal([(r.key, r.value) for r in got], [(key, value) for key, value, _, _ in sent], "what an old client reads")
    is_read_by_all.__name__ = f"librdkafka_a_topic_of_{codec}_is_read_by_all"
    return case(timeout_s=60, needs=["jvm"])(is_read_by_all)


own_codec_case("uncompressed")
own_codec_case("gzip", level=9)
own_codec_case("snappy")
own_codec_case("lz4", level=12)
own_codec_case("zstd", level=19)


@case()
def librdkafka_timestamps_are_checked_and_stamped(t):
    create_topic(t.bootstrap, t.topic, config={"message.timestamp.before.max.ms": "60000"})
    client = producer(t.bootstrap, compression_type="gzip")
    now = int(time.time() * 1000)
    errors = []
    for timestamp in [now, now - 120_000, now + 7_200_000]:
        client.produce(t.topic, b"v", timestamp=timestamp, on_delivery=lambda error, _: errors.append(error))
        client.flush(10)
    equal([error and error.name() for error in errors], [None, "INVALID_TIMESTAMP", "INVALID_TIMESTAMP"], "errors")
    stamped = t.topic + "-stamped"
    create_topic(t.bootstrap, stamped, config={"message.timestamp.type": "LogAppendTime"})
    for settings in [{}, fallback("0.10.0.0"), fallback("0.9.0")] if is_served(t) else [{}]:
        produce_all(producer(t.bootstrap, compression_type="snappy", **settings), stamped, [{"value": b"v"}])
    for message in read_all(t.bootstrap, stamped):
        kind, timestamp = message.timestamp()
        equal(kind, 2, "LogAppendTime")
        check(now <= timestamp <= now + 60_000, f"{timestamp} is not now")
