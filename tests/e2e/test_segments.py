"""What is in the files: Kafka's segments, batches as they were sent."""

import os
import time

from harness import segment
from harness.case import case, check, equal
from harness.clients import create_topic, produce_all, producer, read_all

FIND_COORDINATOR = 10   # librdkafka sends no lz4 to a broker without its version 0
QUIET_S = 2     # by then a partition nobody writes to has its records in the segment file


def expect_gapless(batches, end):
    following = 0
    for batch in batches:
        equal(batch.base_offset, following, "base offset")
        equal(batch.last_offset - batch.base_offset + 1, batch.count, "records in the batch")
        check(batch.crc_good, f"bad checksum at offset {batch.base_offset}")
        following = batch.last_offset + 1
    equal(following, end, "end offset in the file")


def codec_case(codec):
    def stores_what_was_sent(t):
        if codec == "lz4":
            t.need_api(FIND_COORDINATOR, "FindCoordinator")
        create_topic(t.bootstrap, t.topic)
        records = [{"value": b"the same words again " * 40} for _ in range(200)]
        client = producer(t.bootstrap, compression_type=codec, linger_ms=200, batch_num_messages=50)
        produce_all(client, t.topic, records)
        time.sleep(QUIET_S)
        batches, rest = segment.read_partition(t.target.data_dir, t.topic)
        equal(rest.strip(b"\0"), b"", "what follows the last batch")
        expect_gapless(batches, 200)
        equal({batch.codec for batch in batches}, {codec}, "codecs in the file")
        raw = sum(len(record["value"]) for record in records)
        stored = sum(batch.size for batch in batches)
        if codec == "none":
            check(stored >= raw, f"{stored} bytes stored of {raw}")
        else:
            check(stored < raw / 5, f"{stored} bytes stored of {raw}: not compressed")
        equal([m.value() for m in read_all(t.bootstrap, t.topic)], [r["value"] for r in records], "records")
    stores_what_was_sent.__name__ = f"stores_{codec}_as_sent"
    return case(needs=["files"])(stores_what_was_sent)


for one_codec in segment.CODECS:
    codec_case(one_codec)


@case(needs=["files"])
def rolls_segments_without_a_gap(t):
    create_topic(t.bootstrap, t.topic, config={"segment.bytes": "1048576"})
    records = [{"value": os.urandom(9000)} for _ in range(400)]
    produce_all(producer(t.bootstrap, batch_num_messages=10), t.topic, records)
    time.sleep(QUIET_S)
    files = segment.paths(t.target.data_dir, t.topic)
    check(len(files) >= 4, f"3.6 MB in segments of 1 MiB are {len(files)} files")
    for path in files:
        batches, _ = segment.read(path, check_crc=False)
        equal(os.path.basename(path), f"{batches[0].base_offset:020d}.log", "file name")
    batches, _ = segment.read_partition(t.target.data_dir, t.topic)
    expect_gapless(batches, 400)
    for first in [0, 1, 117, 399]:
        got = [m.value() for m in read_all(t.bootstrap, t.topic, first=first)]
        equal(got == [r["value"] for r in records[first:]], True, f"records from {first} are the same")


@case(timeout_s=60, needs=["files", "control"])
def survives_kill_and_clean_stop(t):
    """What was acknowledged is read back after kill -9 and after a clean stop, and is in the files then."""
    target = t.private_target()
    target.start()
    create_topic(target.bootstrap, t.topic, 3)
    sent = {p: [] for p in range(3)}
    for life in range(3):
        for p in sent:
            values = [b"life %d partition %d record %d " % (life, p, i) * (i % 40 + 1) for i in range(200)]
            produce_all(producer(target.bootstrap, acks="all"), t.topic,
                        [{"value": v, "partition": p} for v in values])
            sent[p] += values
        if life < 2:
            target.kill()
        else:
            equal(target.stop(), 0, "exit code")
        target.start()
        for p, values in sent.items():
            got = read_all(target.bootstrap, t.topic, p)
            equal([m.offset() for m in got], list(range(len(values))), f"offsets, life {life}")
            equal([m.value() for m in got], values, f"records, life {life}")
    equal(target.stop(), 0, "exit code")
    for p, values in sent.items():
        batches, rest = segment.read_partition(target.data_dir, t.topic, p)
        expect_gapless(batches, len(values))
        equal(rest, b"", "what follows the last batch after a clean stop")


@case(timeout_s=60, needs=["files", "control"])
def remembers_topics_and_configs(t):
    target = t.private_target()
    target.start()
    from confluent_kafka.admin import ConfigResource
    from harness.clients import admin
    create_topic(target.bootstrap, t.topic, 2, config={"retention.ms": "99999", "segment.bytes": "2000000"})
    cluster_id = admin(target.bootstrap).list_topics(timeout=10).cluster_id
    for end in [target.kill, target.stop]:
        end()
        target.start()
        client = admin(target.bootstrap)
        listed = client.list_topics(timeout=10)
        equal(listed.cluster_id, cluster_id, "cluster id")
        equal(sorted(listed.topics[t.topic].partitions), [0, 1], "partitions")
        resource = ConfigResource("topic", t.topic)
        entries = client.describe_configs([resource], request_timeout=10)[resource].result(10)
        equal((entries["retention.ms"].value, entries["segment.bytes"].value), ("99999", "2000000"), "configs")
