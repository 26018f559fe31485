"""Short ways to produce and to read back with librdkafka, for tests that are about something else."""

import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic


def producer(bootstrap, **settings):
    config = {"bootstrap.servers": bootstrap, "linger.ms": 5}
    config.update({key.replace("_", "."): value for key, value in settings.items()})
    return Producer(config)


def consumer(bootstrap, **settings):
    """For assign() only: the group id is one that librdkafka insists on and nobody uses."""
    config = {"bootstrap.servers": bootstrap, "group.id": "assign-only", "enable.auto.commit": False,
              "auto.offset.reset": "error", "enable.partition.eof": True, "fetch.wait.max.ms": 100}
    config.update({key.replace("_", "."): value for key, value in settings.items()})
    return Consumer(config)


def admin(bootstrap):
    return AdminClient({"bootstrap.servers": bootstrap})


# For topics whose records are from long ago.
KEPT_FOR_EVER = {"retention.ms": "-1"}


def create_topic(bootstrap, topic, partitions=1, config=None, timeout_s=10):
    client = admin(bootstrap)
    futures = client.create_topics([NewTopic(topic, partitions, 1, config=config or {})], request_timeout=timeout_s)
    futures[topic].result(timeout_s)
    wait_for_topic(bootstrap, topic, partitions, timeout_s)
    return topic


def wait_for_topic(bootstrap, topic, partitions, timeout_s=10):
    """Creation is answered before every part of a cluster knows the topic."""
    client = admin(bootstrap)
    deadline = time.monotonic() + timeout_s
    while True:
        known = client.list_topics(topic, timeout=timeout_s).topics[topic]
        if known.error is None and len(known.partitions) == partitions and \
                all(p.error is None and p.leader >= 0 for p in known.partitions.values()):
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"topic {topic} is not ready after {timeout_s} s")
        time.sleep(0.05)


def produce_all(client, topic, records, timeout_s=20):
    """Produces dicts with the arguments of Producer.produce; returns the offsets in the same order."""
    offsets = [None] * len(records)
    errors = []

    def delivered(index):
        def on_delivery(error, message):
            if error is not None:
                errors.append(f"record {index}: {error}")
            else:
                offsets[index] = message.offset()
        return on_delivery

    for index, record in enumerate(records):
        client.produce(topic, on_delivery=delivered(index), **record)
    left = client.flush(timeout_s)
    if left or errors:
        raise AssertionError(f"{left} records not delivered, errors: {errors[:3]}")
    return offsets


def read_all(bootstrap, topic, partition=0, first=OFFSET_BEGINNING, timeout_s=20, client=None, until=None):
    """Reads from first to the end of the partition; returns the messages. Where something is written all the time
    clients may never hear of an end: there `until` is the offset that need not be read any more."""
    reader = client or consumer(bootstrap)
    reader.assign([TopicPartition(topic, partition, first)])
    messages = []
    deadline = time.monotonic() + timeout_s
    try:
        while True:
            for message in reader.consume(1000, timeout=0.2):
                if message.error() is None:
                    messages.append(message)
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    return messages
                else:
                    raise AssertionError(f"{topic}-{partition}: {message.error()}")
            if until is not None and messages and messages[-1].offset() + 1 >= until:
                return messages
            if time.monotonic() > deadline:
                raise AssertionError(f"{topic}-{partition}: no end after {timeout_s} s, {len(messages)} records")
    finally:
        if client is None:
            reader.close()


def watermarks(bootstrap, topic, partition=0):
    reader = consumer(bootstrap)
    try:
        return reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
    finally:
        reader.close()


def member(bootstrap, group, topic=None, on_assign=None, on_revoke=None, on_lost=None, **settings):
    """A consumer with a group; a member of it when a topic is given."""
    config = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
              "enable.auto.commit": False, "session.timeout.ms": 10_000, "heartbeat.interval.ms": 300,
              "fetch.wait.max.ms": 50, "topic.metadata.refresh.interval.ms": 1000}
    config.update({"log_level" if key == "log_level" else key.replace("_", "."): value
                   for key, value in settings.items()})
    consumer = Consumer(config)
    if topic:
        callbacks = {"on_assign": on_assign, "on_revoke": on_revoke, "on_lost": on_lost}
        consumer.subscribe([topic], **{key: value for key, value in callbacks.items() if value})
    return consumer


def committed_of(consumer, topic, partitions, timeout_s=20):
    """Asks again while the server settles."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            got = consumer.committed([TopicPartition(topic, p) for p in partitions], timeout=10)
            for error in [p.error for p in got if p.error]:
                raise KafkaException(error)
            return [p.offset for p in got]
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
