"""kcat 1.7.1 (librdkafka 2.0.2), as a person uses it in a shell."""

import json
import random
import subprocess
import time

from harness.case import case, check, equal
from harness.clients import KEPT_FOR_EVER, create_topic, producer, produce_all

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def kcat(t, *args, stdin=None, **settings):
    out, _, _ = t.run(["kcat", "-b", t.bootstrap, "-X", "broker.address.family=v4", *args], stdin=stdin, **settings)
    return out


def consume(t, *args, topic=None):
    return kcat(t, "-C", "-q", "-e", "-t", topic or t.topic, *args)


def produce_lines(t, lines, *args, topic=None):
    kcat(t, "-P", "-t", topic or t.topic, *args, stdin="".join(line + "\n" for line in lines).encode())


@case()
def lists_metadata(t):
    create_topic(t.bootstrap, t.topic, 3)
    text = kcat(t, "-L", "-t", t.topic).decode()
    check(f'topic "{t.topic}" with 3 partitions' in text, text)
    check(f"at {t.bootstrap}" in text, f"the address the client used is not listed: {text}")


@case()
def lists_metadata_as_json(t):
    create_topic(t.bootstrap, t.topic, 3)
    answer = json.loads(kcat(t, "-L", "-J", "-t", t.topic))
    brokers = {broker["id"] for broker in answer["brokers"]}
    equal([broker["name"] for broker in answer["brokers"]], [t.bootstrap], "brokers")
    (topic,) = answer["topics"]
    equal(topic["topic"], t.topic, "topic")
    equal(sorted(p["partition"] for p in topic["partitions"]), [0, 1, 2], "partitions")
    for partition in topic["partitions"]:
        check(partition["leader"] in brokers, f"leader of {partition} is no broker")
        equal([r["id"] for r in partition["replicas"]], [partition["leader"]], "replicas")
        equal([r["id"] for r in partition["isrs"]], [partition["leader"]], "in-sync replicas")


@case()
def lists_all_topics(t):
    names = [create_topic(t.bootstrap, f"{t.topic}-{i}") for i in range(3)]
    listed = {topic["topic"] for topic in json.loads(kcat(t, "-L", "-J"))["topics"]}
    check(listed.issuperset(names), f"{names} are not all in {sorted(listed)}")


def codec_case(codec):
    def keeps_records(t):
        create_topic(t.bootstrap, t.topic)
        lines = [f"k{i % 7}:{'value ' * 20}{i}" for i in range(500)]
        produce_lines(t, lines, "-K:", "-z", codec)
        got = consume(t, "-f", "%o %k:%s\\n").decode().splitlines()
        equal(got, [f"{i} {line}" for i, line in enumerate(lines)], "records")
    keeps_records.__name__ = f"keeps_records_{codec}"
    return case()(keeps_records)


for one_codec in CODECS:
    codec_case(one_codec)


def acks_case(acks):
    def keeps_records(t):
        create_topic(t.bootstrap, t.topic)
        lines = [f"line {i}" for i in range(200)]
        produce_lines(t, lines, "-X", f"acks={acks}")
        if acks == "0":
            time.sleep(0.5)
        equal(consume(t).decode().splitlines(), lines, "records")
    keeps_records.__name__ = f"keeps_records_acks_{acks}"
    return case()(keeps_records)


for one_acks in ["0", "1", "all"]:
    acks_case(one_acks)


@case()
def keeps_records_idempotent(t):
    create_topic(t.bootstrap, t.topic)
    lines = [f"line {i}" for i in range(500)]
    produce_lines(t, lines, "-X", "enable.idempotence=true")
    equal(consume(t, "-f", "%o %s\\n").decode().splitlines(), [f"{i} {x}" for i, x in enumerate(lines)], "records")


@case()
def keeps_headers(t):
    create_topic(t.bootstrap, t.topic)
    produce_lines(t, ["one"], "-H", "first=1", "-H", "second=zwei", "-H", "first=again")
    equal(consume(t, "-f", "%h|%s\\n").decode(), "first=1,second=zwei,first=again|one\n", "headers")


@case()
def tells_empty_from_null(t):
    create_topic(t.bootstrap, t.topic)
    produce_lines(t, ["key:", "key2:x"], "-K:", "-Z")
    produce_lines(t, ["key3:"], "-K:")
    got = consume(t, "-f", "%k %S\\n").decode().splitlines()
    equal(got, ["key -1", "key2 1", "key3 0"], "keys and value lengths")


@case()
def reads_from_any_offset(t):
    create_topic(t.bootstrap, t.topic)
    lines = [f"line {i}" for i in range(1000)]
    produce_lines(t, lines, "-X", "batch.num.messages=37")
    for offset in [0, 1, 36, 37, 38, 500, 999]:
        equal(consume(t, "-o", str(offset)).decode().splitlines(), lines[offset:], f"from {offset}")
    equal(consume(t, "-o", "-10").decode().splitlines(), lines[-10:], "last ten")
    equal(consume(t, "-o", "beginning", "-c", "5").decode().splitlines(), lines[:5], "first five")
    equal(consume(t, "-o", "end"), b"", "from the end")


@case()
def finds_offsets_by_time(t):
    create_topic(t.bootstrap, t.topic, config=KEPT_FOR_EVER)
    base = 1_700_000_000_000
    records = [{"value": b"%d" % i, "timestamp": base + 1000 * i} for i in range(100)]
    produce_all(producer(t.bootstrap, batch_num_messages=7), t.topic, records)
    for wanted, offset in [(base - 5000, 0), (base, 0), (base + 1, 1), (base + 50_000, 50), (base + 50_500, 51),
                           (base + 99_000, 99)]:
        text = kcat(t, "-Q", "-t", f"{t.topic}:0:{wanted}").decode()
        equal(text.split(), [t.topic, "[0]", "offset", str(offset)], f"query {wanted}")
    got = consume(t, "-o", f"s@{base + 20_000}", "-o", f"e@{base + 30_000}").decode().split()
    equal(got, [str(i) for i in range(20, 30)], "time range")


@case()
def finds_begin_and_end(t):
    create_topic(t.bootstrap, t.topic)
    produce_lines(t, ["a", "b", "c"])
    equal(kcat(t, "-Q", "-t", f"{t.topic}:0:-1").decode().split()[-1], "3", "end")
    equal(kcat(t, "-Q", "-t", f"{t.topic}:0:-2").decode().split()[-1], "0", "beginning")


@case()
def prints_json_envelopes(t):
    create_topic(t.bootstrap, t.topic)
    before = int(time.time() * 1000)
    produce_lines(t, ["k:v"], "-K:", "-H", "a=b")
    (envelope,) = [json.loads(line) for line in consume(t, "-J").decode().splitlines()]
    check(before <= envelope["ts"] <= int(time.time() * 1000), f"timestamp {envelope['ts']}")
    equal({key: envelope[key] for key in ["topic", "partition", "offset", "tstype", "headers", "key", "payload"]},
          {"topic": t.topic, "partition": 0, "offset": 0, "tstype": "create", "headers": ["a", "b"], "key": "k",
           "payload": "v"}, "envelope")


@case()
def keeps_partitions_apart(t):
    create_topic(t.bootstrap, t.topic, 4)
    for partition in range(4):
        produce_lines(t, [f"p{partition} {i}" for i in range(partition + 1)], "-p", str(partition))
    for partition in range(4):
        got = consume(t, "-p", str(partition), "-f", "%p %o %s\\n").decode().splitlines()
        equal(got, [f"{partition} {i} p{partition} {i}" for i in range(partition + 1)], f"partition {partition}")


@case()
def keeps_large_binary_values(t):
    create_topic(t.bootstrap, t.topic)
    values = [random.Random(i).randbytes(900_000) for i in range(3)]
    for i, value in enumerate(values):
        path = t.path(f"value{i}")
        with open(path, "wb") as file:
            file.write(value)
        kcat(t, "-P", "-t", t.topic, path)
    for i, value in enumerate(values):
        equal(consume(t, "-o", str(i), "-c", "1", "-f", "%s") == value, True, f"value {i} is the same")


@case()
def creates_topics_by_use(t):
    produce_lines(t, ["hello"])
    equal(consume(t), b"hello\n", "records")


@case()
def waits_for_new_records(t):
    create_topic(t.bootstrap, t.topic)
    produce_lines(t, ["old"])
    waiting = subprocess.Popen(["kcat", "-b", t.bootstrap, "-C", "-u", "-q", "-t", t.topic, "-o", "end", "-c", "1",
                                "-X", "fetch.wait.max.ms=10000"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    time.sleep(1.5)
    client = producer(t.bootstrap, linger_ms=0)
    client.list_topics(t.topic, timeout=10)
    begin = time.monotonic()
    produce_all(client, t.topic, [{"value": b"new"}])
    equal(waiting.stdout.readline(), b"new\n", "record")
    took = time.monotonic() - begin
    check(took < 1, f"a waiting fetch took {took:.2f} s to see a new record")
    equal(waiting.wait(10), 0, "exit")


@case()
def keeps_a_million_small_records(t):
    create_topic(t.bootstrap, t.topic)
    payload = "".join(f"{i}\n" for i in range(1_000_000)).encode()
    kcat(t, "-P", "-t", t.topic, "-z", "lz4", "-X", "queue.buffering.max.messages=1000000", stdin=payload)
    equal(consume(t) == payload, True, "what came back is what went in")
