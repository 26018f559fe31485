"""python3-confluent-kafka 1.7.0 over librdkafka 2.0.2: producer, consumer by assignment, admin client."""

import random
import time

from confluent_kafka import KafkaError, KafkaException, OFFSET_BEGINNING, OFFSET_END, TopicPartition
from confluent_kafka.admin import ConfigResource, NewPartitions, NewTopic

from harness.case import case, check, equal
from harness.clients import (KEPT_FOR_EVER, admin, consumer, create_topic, produce_all, producer, read_all,
                             wait_for_topic, watermarks)
from harness.raw import ALTER_CONFIGS, CREATE_PARTITIONS


def content(messages):
    return [(m.offset(), m.key(), m.value()) for m in messages]


def mixed_records(seed, count):
    """Values from nothing to 20 kB, null and empty keys and values, headers."""
    random_ = random.Random(seed)
    records = []
    for i in range(count):
        size = random_.choice([0, 1, 10, 100, 1000, 20_000])
        records.append({
            "key": random_.choice([None, b"", b"key-%d" % (i % 13)]),
            "value": random_.choice([None, random_.randbytes(size), b"%d" % i * (size // 8)]),
            "headers": random_.choice([None, [("a", b"1"), ("a", b"2"), ("null", None), ("", b"")]]),
            "timestamp": 1_700_000_000_000 + i,
        })
    return records


def expect_records(messages, records):
    equal([m.offset() for m in messages], list(range(len(records))), "offsets")
    equal([(m.key(), m.value()) for m in messages], [(r["key"], r["value"]) for r in records], "keys and values")
    equal([m.headers() for m in messages], [r["headers"] for r in records], "headers")
    equal([m.timestamp()[1] for m in messages], [r["timestamp"] for r in records], "timestamps")


def round_trip_case(name, **settings):
    def keeps_mixed_records(t):
        create_topic(t.bootstrap, t.topic, config=KEPT_FOR_EVER)
        records = mixed_records(name, 400)
        offsets = produce_all(producer(t.bootstrap, batch_num_messages=50, **settings), t.topic, records)
        if settings.get("acks") != 0:
            equal(offsets, list(range(len(records))), "offsets in delivery reports")
        else:
            time.sleep(0.5)
        expect_records(read_all(t.bootstrap, t.topic), records)
    keeps_mixed_records.__name__ = f"keeps_mixed_records_{name}"
    return case()(keeps_mixed_records)


round_trip_case("acks_0", acks=0)
round_trip_case("acks_1", acks=1)
round_trip_case("acks_all", acks="all")
round_trip_case("idempotent", enable_idempotence=True)
for one_codec in ["gzip", "snappy", "lz4", "zstd"]:
    round_trip_case(one_codec, compression_type=one_codec)


@case()
def idempotent_producers_do_not_disturb_each_other(t):
    create_topic(t.bootstrap, t.topic)
    clients = [producer(t.bootstrap, enable_idempotence=True, linger_ms=0) for _ in range(5)]
    sent = []
    for i in range(200):
        sent.append(b"%d" % i)
        clients[i % 5].produce(t.topic, sent[-1])
        clients[i % 5].poll(0)
    for client in clients:
        equal(client.flush(10), 0, "records left")
    got = [m.value() for m in read_all(t.bootstrap, t.topic)]
    equal(sorted(got), sorted(sent), "records, each once")
    for i in range(5):
        mine = [v for v in got if int(v) % 5 == i]
        equal(mine, sorted(mine, key=int), f"order of producer {i}")


@case()
def seeks(t):
    create_topic(t.bootstrap, t.topic)
    produce_all(producer(t.bootstrap, batch_num_messages=10), t.topic, [{"value": b"%d" % i} for i in range(300)])
    reader = consumer(t.bootstrap)
    reader.assign([TopicPartition(t.topic, 0, OFFSET_BEGINNING)])
    for offset in [0, 299, 5, 150, 151, 9, 10, 11, 0]:
        while reader.consume(1, timeout=0.05):
            break
        reader.seek(TopicPartition(t.topic, 0, offset))
        deadline = time.monotonic() + 5
        message = reader.poll(5)
        while message is not None and message.error() and time.monotonic() < deadline:
            message = reader.poll(5)
        equal(message and (message.offset(), message.value()), (offset, b"%d" % offset), f"after seek to {offset}")
    reader.close()


@case()
def offset_out_of_range_is_an_error(t):
    create_topic(t.bootstrap, t.topic)
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"x"}])
    reader = consumer(t.bootstrap)
    reader.assign([TopicPartition(t.topic, 0, 1000)])
    message = reader.poll(10)
    equal(message.error().code(), KafkaError._AUTO_OFFSET_RESET, "error")
    check("out of range" in str(message.error()), str(message.error()))
    reader.close()


@case()
def offsets_for_times(t):
    create_topic(t.bootstrap, t.topic, 2, config=KEPT_FOR_EVER)
    base = 1_700_000_000_000
    client = producer(t.bootstrap, batch_num_messages=9, compression_type="lz4")
    for partition in range(2):
        records = [{"value": b"x", "partition": partition, "timestamp": base + partition + 10 * i} for i in range(100)]
        produce_all(client, t.topic, records)
    reader = consumer(t.bootstrap)
    for wanted, offsets in [(0, [0, 0]), (base, [0, 0]), (base + 1, [1, 0]), (base + 2, [1, 1]),
                            (base + 505, [51, 51]), (base + 990, [99, 99])]:
        got = reader.offsets_for_times([TopicPartition(t.topic, p, wanted) for p in range(2)], timeout=10)
        equal([p.offset for p in got], offsets, f"offsets at {wanted}")
        equal([p.error for p in got], [None, None], f"errors at {wanted}")
    got = reader.offsets_for_times([TopicPartition(t.topic, 0, base + 10_000)], timeout=10)
    check(got[0].offset in (-1, OFFSET_END), f"after the last record: {got[0].offset}")
    reader.close()


@case()
def watermark_offsets(t):
    create_topic(t.bootstrap, t.topic, 2)
    equal(watermarks(t.bootstrap, t.topic), (0, 0), "empty")
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"x", "partition": 0} for _ in range(17)])
    equal(watermarks(t.bootstrap, t.topic, 0), (0, 17), "after 17 records")
    equal(watermarks(t.bootstrap, t.topic, 1), (0, 0), "the other partition")


@case()
def two_readers_see_the_same(t):
    create_topic(t.bootstrap, t.topic)
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"%d" % i} for i in range(100)])
    equal(content(read_all(t.bootstrap, t.topic)), content(read_all(t.bootstrap, t.topic)), "records")
    equal([m.value() for m in read_all(t.bootstrap, t.topic, first=90)], [b"%d" % i for i in range(90, 100)], "tail")


@case()
def many_partitions_in_one_fetch(t):
    create_topic(t.bootstrap, t.topic, 50)
    records = [{"value": b"%d-%d" % (p, i), "partition": p} for i in range(20) for p in range(50)]
    produce_all(producer(t.bootstrap), t.topic, records)
    reader = consumer(t.bootstrap)
    reader.assign([TopicPartition(t.topic, p, 0) for p in range(50)])
    got = {p: [] for p in range(50)}
    deadline = time.monotonic() + 20
    while sum(map(len, got.values())) < len(records) and time.monotonic() < deadline:
        for message in reader.consume(500, timeout=0.2):
            if message.error() is None:
                got[message.partition()].append(message.value())
    reader.close()
    equal(got, {p: [b"%d-%d" % (p, i) for i in range(20)] for p in range(50)}, "records by partition")


@case()
def lists_topics(t):
    create_topic(t.bootstrap, t.topic, 3)
    listed = admin(t.bootstrap).list_topics(timeout=10)
    check(listed.cluster_id, "no cluster id")
    check(listed.controller_id in listed.brokers, f"controller {listed.controller_id} of {listed.brokers}")
    equal(sorted(listed.topics[t.topic].partitions), [0, 1, 2], "partitions")


def failure_of(future):
    try:
        future.result(10)
    except KafkaException as error:
        return error.args[0].code()
    return None


@case()
def creates_and_deletes_topics(t):
    client = admin(t.bootstrap)
    create_topic(t.bootstrap, t.topic, 2)
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"old", "partition": 0}])
    equal(failure_of(client.delete_topics([t.topic], request_timeout=10)[t.topic]), None, "delete")
    deadline = time.monotonic() + 10
    while t.topic in client.list_topics(timeout=10).topics:
        check(time.monotonic() < deadline, "deleted topic is still listed after 10 s")
        time.sleep(0.05)
    create_topic(t.bootstrap, t.topic, 1)
    equal(content(read_all(t.bootstrap, t.topic)), [], "records of a topic made again under the same name")
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"new"}])
    equal(content(read_all(t.bootstrap, t.topic)), [(0, None, b"new")], "records")


@case()
def refuses_bad_topics_by_their_error(t):
    client = admin(t.bootstrap)
    create_topic(t.bootstrap, t.topic)

    def create(name, partitions=1, replication=1, config=None):
        new = NewTopic(name, partitions, replication, config=config or {})
        return failure_of(client.create_topics([new], request_timeout=10)[name])

    equal(create(t.topic), KafkaError.TOPIC_ALREADY_EXISTS, "existing")
    equal(create("bad name!"), KafkaError.TOPIC_EXCEPTION, "bad characters")
    equal(create("x" * 250), KafkaError.TOPIC_EXCEPTION, "250 characters")
    equal(create(t.topic + "-c", config={"retention.ms": "soon"}), KafkaError.INVALID_CONFIG, "bad config value")
    equal(create(t.topic + "-k", config={"no.such.key": "1"}), KafkaError.INVALID_CONFIG, "unknown config key")
    missing = t.topic + "-missing"
    equal(failure_of(client.delete_topics([missing], request_timeout=10)[missing]),
          KafkaError.UNKNOWN_TOPIC_OR_PART, "delete of a missing topic")


@case()
def adds_partitions(t):
    t.need_api(CREATE_PARTITIONS, "CreatePartitions")
    client = admin(t.bootstrap)
    create_topic(t.bootstrap, t.topic, 1)
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"first"}])
    equal(failure_of(client.create_partitions([NewPartitions(t.topic, 3)], request_timeout=10)[t.topic]), None, "to 3")
    wait_for_topic(t.bootstrap, t.topic, 3)
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"third", "partition": 2}])
    equal(content(read_all(t.bootstrap, t.topic, 0)), [(0, None, b"first")], "partition 0")
    equal(content(read_all(t.bootstrap, t.topic, 2)), [(0, None, b"third")], "partition 2")
    equal(failure_of(client.create_partitions([NewPartitions(t.topic, 2)], request_timeout=10)[t.topic]),
          KafkaError.INVALID_PARTITIONS, "fewer")


def describe_topic(t, client):
    resource = ConfigResource("topic", t.topic)
    return client.describe_configs([resource], request_timeout=10)[resource].result(10)


@case()
def describes_configs(t):
    create_topic(t.bootstrap, t.topic, config={"retention.ms": "123456"})
    entries = describe_topic(t, admin(t.bootstrap))
    equal(entries["retention.ms"].value, "123456", "retention.ms")
    equal(entries["retention.ms"].is_default, False, "retention.ms is a default")
    equal(entries["cleanup.policy"].value, "delete", "cleanup.policy")
    equal(entries["cleanup.policy"].is_default, True, "cleanup.policy is a default")


@case()
def alters_configs(t):
    t.need_api(ALTER_CONFIGS, "AlterConfigs")
    client = admin(t.bootstrap)
    create_topic(t.bootstrap, t.topic, config={"retention.ms": "123456"})
    change = ConfigResource("topic", t.topic, set_config={"max.message.bytes": "2000"})
    equal(failure_of(client.alter_configs([change], request_timeout=10)[change]), None, "alter")
    deadline = time.monotonic() + 5
    while describe_topic(t, client)["max.message.bytes"].value != "2000":
        check(time.monotonic() < deadline, "the new value is not described after 5 s")
        time.sleep(0.05)
    equal(describe_topic(t, client)["retention.ms"].is_default, True, "AlterConfigs replaces the whole set")


@case()
def describes_the_broker(t):
    client = admin(t.bootstrap)
    (broker,) = client.list_topics(timeout=10).brokers
    resource = ConfigResource("broker", str(broker))
    entries = client.describe_configs([resource], request_timeout=10)[resource].result(10)
    for key in ["log.retention.hours", "num.partitions", "message.max.bytes", "auto.create.topics.enable"]:
        check(key in entries, f"{key} is not described")


@case()
def refuses_too_large_messages(t):
    create_topic(t.bootstrap, t.topic, config={"max.message.bytes": "5000"})
    errors = []
    client = producer(t.bootstrap, message_max_bytes=10_000_000)
    client.produce(t.topic, b"x" * 6000, on_delivery=lambda error, _: errors.append(error and error.code()))
    client.produce(t.topic, b"x" * 100)
    client.flush(10)
    equal(errors, [KafkaError.MSG_SIZE_TOO_LARGE], "errors")
    check(len(read_all(t.bootstrap, t.topic)) <= 1, "the large message is in the log")
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"after"}])
    equal(read_all(t.bootstrap, t.topic)[-1].value(), b"after", "the next record")


@case()
def log_append_time(t):
    create_topic(t.bootstrap, t.topic, config={"message.timestamp.type": "LogAppendTime"})
    before = int(time.time() * 1000)
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"x", "timestamp": 1_000_000_000_000 + i}
                                                 for i in range(10)])
    after = int(time.time() * 1000)
    for message in read_all(t.bootstrap, t.topic):
        kind, at = message.timestamp()
        equal(kind, 2, "timestamp type")
        check(before <= at <= after, f"{at} is not in [{before}, {after}]")
