"""Compacted topics: the last record of each key stays, offsets do not move, and Kafka's tools read what is left."""

import os
import random
import re
import time

from harness import segment
from harness.case import case, check, equal
from harness.clients import create_topic, produce_all, producer, read_all
from harness.jvm import java_command

EAGER = ["log.cleaner.backoff.ms=100"]
COMPACT = {"cleanup.policy": "compact", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.01"}
KEYS = 40
RECORDS = 9000


def keyed_records(count, seed, keys=KEYS):
    random_ = random.Random(seed)
    return [{"key": b"key-%d" % random_.randrange(keys),
             "value": None if random_.random() < 0.1 else b"%d:" % i + random_.randbytes(random_.randrange(800)).hex().encode()}
            for i in range(count)]


def last_of_each(records):
    return {record["key"]: record["value"] for record in records}


def expect_kept(messages, records):
    """Every message is the record that was sent with that offset; the last one of each key is among them."""
    for message in messages:
        sent = records[message.offset()]
        equal((message.key(), message.value()), (sent["key"], sent["value"]), f"record {message.offset()}")
    offsets = [message.offset() for message in messages]
    equal(offsets, sorted(set(offsets)), "offsets")
    equal({m.key(): m.value() for m in messages}, last_of_each(records), "the last of each key")


def wait_until_compacted(target, topic, records, most, timeout_s=40):
    deadline = time.monotonic() + timeout_s
    while True:
        messages = read_all(target.bootstrap, topic)
        expect_kept(messages, records)
        if len(messages) <= most:
            return messages
        check(time.monotonic() < deadline, f"{len(messages)} of {len(records)} records are left after {timeout_s} s")
        time.sleep(0.3)


def fill_and_compact(t, target, codec):
    create_topic(target.bootstrap, t.topic, config=COMPACT)
    records = keyed_records(RECORDS, t.unique)
    client = producer(target.bootstrap, compression_type=codec, batch_num_messages=100, enable_idempotence=True)
    produce_all(client, t.topic, records)
    return records, wait_until_compacted(target, t.topic, records, most=RECORDS // 2)


def codec_case(codec):
    def keeps_the_last(t):
        target = t.private_target(EAGER)
        target.start()
        records, messages = fill_and_compact(t, target, codec)
        out, _, _ = t.run(["kcat", "-b", target.bootstrap, "-X", "broker.address.family=v4", "-C", "-q", "-e", "-t", t.topic,
                           "-f", "%o\n"])
        offsets = [int(line) for line in out.split()]
        check(set(offsets) <= {m.offset() for m in messages}, "kcat reads what librdkafka does")
        check(offsets[-1] == len(records) - 1, f"kcat ends at {offsets[-1]}")
        batches, _ = segment.read_partition(target.data_dir, t.topic)
        check(all(batch.crc_good for batch in batches), "bad checksum")
        check(any(batch.count < batch.last_offset - batch.base_offset + 1 for batch in batches), "nothing was rewritten")
        if codec != "none":
            equal({batch.codec for batch in batches if batch.count > 0}, {codec}, "codecs")
        for first in (1, 999, RECORDS // 2, RECORDS - 1):
            got = read_all(target.bootstrap, t.topic, first=first)
            check(got[0].offset() >= first, f"{got[0].offset()} was read from {first} on")
            equal(got[-1].offset(), len(records) - 1, f"last offset from {first} on")
    keeps_the_last.__name__ = f"keeps_the_last_{codec}"
    return case(timeout_s=90, needs=["files", "control"])(keeps_the_last)


for one_codec in segment.CODECS:
    codec_case(one_codec)


@case(timeout_s=120, needs=["files", "control", "jvm"], once=True)
def kafka_dump_log_reads_compacted_segments(t):
    target = t.private_target(EAGER)
    target.start()
    _, messages = fill_and_compact(t, target, "zstd")
    equal(target.stop(), 0, "exit code")
    dumped = []
    for path in segment.paths(target.data_dir, t.topic):
        done = t.jvm.call("DumpLogSegments", "--files", path, "--deep-iteration", "--print-data-log")
        equal(done.exit, 0, str(done)[-500:])
        check("isvalid: false" not in done.out and "Found error" not in done.out, done.out[-500:])
        dumped += [int(line.split("offset: ")[1].split()[0]) for line in done.out.splitlines() if "| offset: " in line]
        index = t.jvm.call("DumpLogSegments", "--files", path.replace(".log", ".index"))
        check("Mismatches" not in index.out and index.exit == 0, str(index)[-500:])
    check(set(dumped) <= {m.offset() for m in messages} and dumped[-1] == RECORDS - 1, "offsets that kafka-dump-log shows")


@case(timeout_s=120, needs=["control", "jvm"], once=True)
def kafka_log_compaction_tester_agrees(t):
    """Kafka's own witness: what is left says the same as what was sent, deletions included."""
    target = t.private_target([*EAGER, "log.segment.bytes=1048576", "log.cleaner.min.cleanable.ratio=0.01"])
    target.start()
    command = java_command(f"-Djava.io.tmpdir={t.work_dir}", "org.apache.kafka.tools.LogCompactionTester",
                           "--bootstrap-server", target.bootstrap, "--messages", "150000", "--duplicates", "5",
                           "--topics", "2", "--percent-deletes", "10", "--sleep", "8")
    out, _, _ = t.run(command, timeout_s=100)
    said = out.decode()
    check(re.search(r"Validated [1-9]\d* values, 0 mismatches", said), said[-500:])
    reduction = float(re.search(r"\((\d+\.\d)% reduction\)", said).group(1))
    check(reduction > 30, said[-500:])


@case(timeout_s=180, needs=["files", "control"])
def survives_kill_in_compaction(t):
    """Kills at any moment of passes, then everything that was acknowledged last is there."""
    target = t.private_target(["log.cleaner.backoff.ms=1"])
    target.start()
    create_topic(target.bootstrap, t.topic, config=COMPACT)
    random_ = random.Random(t.unique)
    records = []
    for life in range(10):
        more = keyed_records(1500, f"{t.unique}-{life}")
        produce_all(producer(target.bootstrap, acks="all", batch_num_messages=100), t.topic, more)
        records += more
        time.sleep(random_.random() * 1.5)
        target.kill()
        target.start()
        expect_kept(read_all(target.bootstrap, t.topic), records)
    messages = wait_until_compacted(target, t.topic, records, most=4000)
    equal(target.stop(), 0, "exit code")
    target.start()
    expect_kept(read_all(target.bootstrap, t.topic), records)
    check(len(messages) < len(records), "nothing was compacted")
    names = os.listdir(os.path.join(target.data_dir, f"{t.topic}-0"))
    check(not [name for name in names if name.endswith(".swap")], f"left behind: {names}")
