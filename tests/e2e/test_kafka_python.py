"""python3-kafka 2.0.2: an independent client in pure Python, with old request versions."""

import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import (ACL, ACLFilter, ACLOperation, ACLPermissionType, ACLResourcePatternType, ConfigResource,
                         ConfigResourceType, NewPartitions, NewTopic, ResourcePattern, ResourcePatternFilter,
                         ResourceType)
from kafka.codec import has_lz4, has_snappy, has_zstd
from kafka.errors import (InvalidTopicError, MessageSizeTooLargeError, SecurityDisabledError,
                          TopicAlreadyExistsError, UnknownTopicOrPartitionError)

from harness.case import case, check, equal
from harness.clients import KEPT_FOR_EVER, create_topic
from harness.raw import CREATE_PARTITIONS

BASE_MS = 1_700_000_000_000
CODEC_READY = {None: lambda: True, "gzip": lambda: True, "snappy": has_snappy, "lz4": has_lz4, "zstd": has_zstd}


def make_producer(t, **settings):
    return KafkaProducer(bootstrap_servers=t.bootstrap, **settings)


def read_all(t, partition=0, count=None, offset=0):
    reader = KafkaConsumer(bootstrap_servers=t.bootstrap, group_id=None, enable_auto_commit=False,
                           auto_offset_reset="none")
    where = TopicPartition(t.topic, partition)
    reader.assign([where])
    reader.seek(where, offset)
    end = reader.end_offsets([where])[where] if count is None else offset + count
    records = []
    deadline = time.monotonic() + 15
    while offset + len(records) < end:
        check(time.monotonic() < deadline, f"{len(records)} records after 15 s, end is {end}")
        records += reader.poll(timeout_ms=500).get(where, [])
    reader.close()
    return records


def codec_case(codec):
    def keeps_records(t):
        if not CODEC_READY[codec]():
            t.skip(f"the Python module for {codec} is not installed")
        create_topic(t.bootstrap, t.topic, config=KEPT_FOR_EVER)
        client = make_producer(t, acks="all", compression_type=codec, linger_ms=10, batch_size=20_000)
        sent = [(b"key-%d" % (i % 9) if i % 3 else None, None if i % 3 and i % 10 == 0 else b"value %d " % i * (i % 50))
                for i in range(600)]
        futures = [client.send(t.topic, key=key, value=value, headers=[("h", b"%d" % i)], timestamp_ms=BASE_MS + i)
                   for i, (key, value) in enumerate(sent)]
        client.flush(15)
        equal([f.get(5).offset for f in futures], list(range(600)), "acknowledged offsets")
        client.close()
        got = read_all(t)
        equal([(r.offset, r.key, r.value) for r in got], [(i, k, v) for i, (k, v) in enumerate(sent)], "records")
        equal([r.headers for r in got], [[("h", b"%d" % i)] for i in range(600)], "headers")
        equal([r.timestamp for r in got], [BASE_MS + i for i in range(600)], "timestamps")
    keeps_records.__name__ = f"keeps_records_{codec or 'none'}"
    return case()(keeps_records)


for one_codec in CODEC_READY:
    codec_case(one_codec)


def acks_case(acks):
    def keeps_records(t):
        create_topic(t.bootstrap, t.topic)
        client = make_producer(t, acks=acks)
        for i in range(300):
            client.send(t.topic, b"%d" % i)
        client.flush(15)
        client.close()
        equal([r.value for r in read_all(t, count=300)], [b"%d" % i for i in range(300)], "records")
    keeps_records.__name__ = f"keeps_records_acks_{acks}"
    return case()(keeps_records)


for one_acks in [0, 1, "all"]:
    acks_case(one_acks)


@case()
def seeks_and_knows_the_ends(t):
    create_topic(t.bootstrap, t.topic, 2, config=KEPT_FOR_EVER)
    client = make_producer(t)
    for i in range(200):
        client.send(t.topic, b"%d" % i, partition=i % 2, timestamp_ms=BASE_MS + i)
    client.flush(15)
    client.close()
    reader = KafkaConsumer(bootstrap_servers=t.bootstrap, group_id=None)
    both = [TopicPartition(t.topic, p) for p in range(2)]
    equal(reader.partitions_for_topic(t.topic), {0, 1}, "partitions")
    equal(reader.beginning_offsets(both), {p: 0 for p in both}, "beginnings")
    equal(reader.end_offsets(both), {p: 100 for p in both}, "ends")
    times = reader.offsets_for_times({both[0]: BASE_MS + 51, both[1]: BASE_MS + 51})
    equal({p.partition: (o.offset, o.timestamp) for p, o in times.items()},
          {0: (26, BASE_MS + 52), 1: (25, BASE_MS + 51)}, "offsets for times")
    reader.assign(both)
    reader.seek_to_end()
    equal([reader.position(p) for p in both], [100, 100], "positions at the end")
    reader.seek_to_beginning(both[0])
    equal(reader.position(both[0]), 0, "position at the beginning")
    reader.close()
    for offset in [0, 1, 50, 99]:
        equal([r.value for r in read_all(t, 1, offset=offset)], [b"%d" % (2 * i + 1) for i in range(offset, 100)],
              f"partition 1 from {offset}")


@case()
def refuses_too_large_messages(t):
    create_topic(t.bootstrap, t.topic, config={"max.message.bytes": "3000"})
    client = make_producer(t, max_request_size=10_000_000)
    future = client.send(t.topic, b"x" * 4000)
    client.flush(15)
    equal(type(future.exception), MessageSizeTooLargeError, "error")
    client.close()


@case()
def administers_topics(t):
    client = KafkaAdminClient(bootstrap_servers=t.bootstrap)
    client.create_topics([NewTopic(t.topic, 3, 1, topic_configs={"segment.bytes": "2000000"})])
    deadline = time.monotonic() + 10
    while t.topic not in client.list_topics():
        check(time.monotonic() < deadline, "created topic is not listed after 10 s")
        time.sleep(0.05)
    (described,) = client.describe_topics([t.topic])
    equal((described["error_code"], described["topic"], len(described["partitions"])), (0, t.topic, 3), "topic")
    try:
        client.create_topics([NewTopic(t.topic, 1, 1)])
        raise AssertionError("an existing topic was created again")
    except TopicAlreadyExistsError:
        pass
    try:
        client.create_topics([NewTopic("not/allowed", 1, 1)])
        raise AssertionError("a bad name was accepted")
    except InvalidTopicError:
        pass
    client.delete_topics([t.topic])
    while t.topic in client.list_topics():
        check(time.monotonic() < deadline, "deleted topic is still listed after 10 s")
        time.sleep(0.05)
    try:
        client.delete_topics([t.topic])
        raise AssertionError("a missing topic was deleted")
    except UnknownTopicOrPartitionError:
        pass
    client.close()


@case()
def adds_partitions(t):
    t.need_api(CREATE_PARTITIONS, "CreatePartitions")
    create_topic(t.bootstrap, t.topic, 3)
    client = KafkaAdminClient(bootstrap_servers=t.bootstrap)
    client.create_partitions({t.topic: NewPartitions(4)})
    equal(len(client.describe_topics([t.topic])[0]["partitions"]), 4, "partitions after adding one")
    client.close()


@case()
def describes_configs(t):
    create_topic(t.bootstrap, t.topic, config={"retention.ms": "777000"})
    client = KafkaAdminClient(bootstrap_servers=t.bootstrap)
    (answer,) = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, t.topic)])
    ((code, _, _, name, entries),) = answer.resources
    equal((code, name), (0, t.topic), "resource")
    values = {entry[0]: entry[1] for entry in entries}
    equal(values["retention.ms"], "777000", "retention.ms")
    equal(values["cleanup.policy"], "delete", "cleanup.policy")
    client.close()


@case()
def describes_the_cluster(t):
    client = KafkaAdminClient(bootstrap_servers=t.bootstrap)
    cluster = client.describe_cluster()
    check(cluster["cluster_id"], f"no cluster id: {cluster}")
    equal([(b["host"], b["port"]) for b in cluster["brokers"]], [(t.target.host, t.target.port)], "brokers")
    equal(cluster["controller_id"], cluster["brokers"][0]["node_id"], "controller")
    client.close()


@case()
def hears_that_there_are_no_access_rules(t):
    client = KafkaAdminClient(bootstrap_servers=t.bootstrap)
    anything = ACLFilter(principal=None, host="*", operation=ACLOperation.ANY, permission_type=ACLPermissionType.ANY,
                         resource_pattern=ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY))
    rule = ACL(principal="User:bob", host="*", operation=ACLOperation.READ, permission_type=ACLPermissionType.ALLOW,
               resource_pattern=ResourcePattern(ResourceType.TOPIC, t.topic))
    try:
        raise AssertionError(f"described: {client.describe_acls(anything)}")
    except SecurityDisabledError:
        pass
    made = client.create_acls([rule])
    equal((made["succeeded"], [error for _, error in made["failed"]]), ([], [SecurityDisabledError]), "created")
    (gone,) = client.delete_acls([anything])
    equal((gone[1], gone[2]), ([], SecurityDisabledError), "deleted")
    client.close()
