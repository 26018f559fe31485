"""`odradek inspect`: beside a running server, after a stop and a kill, against Kafka's dump tool, with planted damage."""

import csv
import io
import json
import os
import re
import threading
import time

from confluent_kafka import Consumer, TopicPartition

from harness import segment
from harness.case import case, check, equal
from harness.clients import admin, create_topic, produce_all, producer, read_all, watermarks
from harness.raw import OFFSET_COMMIT
from harness.target import ROOT

OK, FAILURE, USAGE, NOT_FOUND, REFUSED, CORRUPT, THRESHOLD = 0, 1, 2, 3, 4, 6, 7
FILED_S = 15    # a partition nobody writes to has its records in the segment file after about a second
BASE_MS = 1_700_000_000_000
DUMP_BATCH = re.compile(r"^baseOffset: (\d+) lastOffset: (\d+) count: (\d+) baseSequence: (-?\d+) .*?producerId: (-?\d+) "
                        r".*?position: (\d+) CreateTime: (-?\d+) size: (\d+) magic: 2 compresscodec: (\w+) crc: (\d+)")
DUMP_RECORD = re.compile(r"^\| offset: (\d+) CreateTime: (\d+) .*?payload: (.*)$")


def inspect(t, *args, data_dir=None, expect=OK):
    """Runs the program; returns its output as text, and what it said on stderr."""
    out, err, code = t.run([t.options.binary, "inspect", *args, "--data-dir", data_dir or t.target.data_dir],
                           check_exit=False)
    check(code == expect, f"inspect {' '.join(args)}: exit {code}, not {expect}\n{out.decode()}\n{err.decode()}")
    return out.decode(), err.decode()


def as_json(t, *args, data_dir=None, expect=OK):
    return [json.loads(line) for line in inspect(t, *args, "--json", data_dir=data_dir, expect=expect)[0].splitlines()]


def wait_filed(t, target, topic):
    """Until the files of all partitions reach as far as their ends."""
    known = admin(target.bootstrap).list_topics(topic, timeout=10).topics[topic].partitions
    ends = {p: watermarks(target.bootstrap, topic, p)[1] for p in known}
    wanted = {p: end for p, end in ends.items() if end > 0}
    wait_rows(t, target, "partitions", topic, lambda rows: {r["partition"]: r["end"] for r in rows if r["end"]} == wanted)


def wait_rows(t, target, verb, name, good):
    """Until what the program says of the name is good."""
    deadline, rows = time.monotonic() + FILED_S, []
    while not good(rows):
        check(time.monotonic() < deadline, f"inspect {verb} {name}: {rows}")
        time.sleep(0.05)
        out, _, code = t.run([t.options.binary, "inspect", verb, name, "--json", "--data-dir", target.data_dir],
                             check_exit=False)
        rows = [json.loads(line) for line in out.splitlines()] if code == OK else []


def wait_committed(t, offsets):
    wait_rows(t, t.target, "groups", t.unique, lambda rows: [r["committed_offset"] for r in rows] == offsets)


def filled_topic(t, bootstrap, topic, partitions=1, records=200, **config):
    """Records one in ten milliseconds from BASE_MS on; old ones, which must not expire."""
    create_topic(bootstrap, topic, partitions, {"retention.ms": "-1", **config})
    for partition in range(partitions):
        produce_all(producer(bootstrap, batch_num_messages=10, linger_ms=20), topic,
                    [{"value": b"%d-%d %s" % (partition, i, b"x" * (i % 50)), "key": b"k%d" % (i % 7),
                      "partition": partition, "timestamp": BASE_MS + 10 * i} for i in range(records)])


@case(needs=["files"])
def lists_what_a_running_server_has_written(t):
    filled_topic(t, t.bootstrap, t.topic, partitions=3)
    wait_filed(t, t.target, t.topic)
    listed = {row["topic"]: row for row in as_json(t, "topics")}[t.topic]
    equal((listed["partitions"], listed["records"], listed["oldest_ms"], listed["newest_ms"]),
          (3, 600, BASE_MS, BASE_MS + 1990), "topic")
    equal([(row["partition"], row["start"], row["end"]) for row in as_json(t, "partitions", t.topic)],
          [(0, 0, 200), (1, 0, 200), (2, 0, 200)], "partitions")
    sizes = [sum(os.path.getsize(path) for path in segment.paths(t.target.data_dir, t.topic, p)) for p in range(3)]
    equal([row["bytes"] for row in as_json(t, "segments", t.topic)], sizes, "bytes of the segments")
    _, err = inspect(t, "topics")
    check("a server is running" in err, err)


@case(needs=["files"])
def finds_offsets_and_times(t):
    filled_topic(t, t.bootstrap, t.topic)
    wait_filed(t, t.target, t.topic)
    equal([(row["offset"], row["time_ms"]) for row in as_json(t, "at", t.topic, f"@{BASE_MS + 1005}")],
          [(101, BASE_MS + 1010)], "at")
    equal(as_json(t, "at", t.topic, "2100-01-01")[0]["offset"], None, "at a time to come")
    row = as_json(t, "when", f"{t.topic}:0:123")[0]
    equal((row["offset"], row["time_ms"], row["time"]), (123, BASE_MS + 1230, "2023-11-14T22:13:21.230Z"), "when")
    inspect(t, "when", f"{t.topic}:0:200", expect=NOT_FOUND)
    out, _ = inspect(t, "cat", f"{t.topic}:0", "-o", "-3", "-f", "%t %p %o %T %k %s\\n")
    equal(out.splitlines()[0], f"{t.topic} 0 197 {BASE_MS + 1970} k1 0-197 {'x' * 47}", "cat of the last three")
    ranged = as_json(t, "cat", t.topic, "-o", f"@{BASE_MS + 500}:{BASE_MS + 700}")
    equal([row["offset"] for row in ranged], list(range(50, 70)), "cat of a range of times")
    equal(len(as_json(t, "cat", t.topic, "-n", "7")), 7, "cat -n")


@case(needs=["files"])
def names_what_is_not_there(t):
    filled_topic(t, t.bootstrap, t.topic, records=10)
    wait_filed(t, t.target, t.topic)
    for args in [("partitions", "no-such"), ("cat", f"{t.topic}:7"), ("batches", f"{t.topic}:7"),
                 ("hex", f"{t.topic}:0:99")]:
        inspect(t, *args, expect=NOT_FOUND)
    for args in [("cat", f"{t.topic}:x"), ("when", t.topic), ("cat", t.topic, "-o", "nonsense"), ("at", t.topic, "soon"),
                 ("cat", t.topic, "-f", "%q")]:
        inspect(t, *args, expect=USAGE)
    _, err = inspect(t, "topics", data_dir="/nowhere", expect=NOT_FOUND)
    check("/nowhere" in err, err)


@case(timeout_s=60, needs=["files", "jvm"])
def agrees_with_kafkas_dump(t):
    """Every number that Kafka's tool prints of batches and records, for every codec."""
    create_topic(t.bootstrap, t.topic, 1, {"segment.bytes": "1048576"})
    for codec in segment.CODECS:
        produce_all(producer(t.bootstrap, compression_type=codec, enable_idempotence=True), t.topic,
                    [{"value": f"{codec} {i} " * (i % 20 + 1)} for i in range(300)])
    produce_all(producer(t.bootstrap), t.topic, [{"value": os.urandom(2000).hex()} for _ in range(600)])
    wait_filed(t, t.target, t.topic)
    files = segment.paths(t.target.data_dir, t.topic)
    check(len(files) > 1, "more than one segment")
    dump = t.jvm.call("DumpLogSegments", "--deep-iteration", "--print-data-log", "--files", ",".join(files)).out
    theirs = [match.groups() for match in map(DUMP_BATCH.match, dump.splitlines()) if match]
    check(len(theirs) > 5, dump[:2000])
    ours = [tuple(str(value) for value in (b["base_offset"], b["last_offset"], b["count"],
                                           -1 if b["base_sequence"] is None else b["base_sequence"],
                                           -1 if b["producer_id"] is None else b["producer_id"], b["position"],
                                           b["max_ms"], b["bytes"], b["codec"], int(b["crc"], 16)))
            for b in as_json(t, "batches", f"{t.topic}:0")]
    equal(ours, theirs, "batches")
    records = [match.groups() for match in map(DUMP_RECORD.match, dump.splitlines()) if match]
    equal([(str(r["offset"]), str(r["timestamp"]), r["value"]) for r in as_json(t, "cat", t.topic)], records, "records")
    row = as_json(t, "producers", t.topic)
    equal(len(row), len(segment.CODECS), "producers")


@case(needs=["files"])
def hex_explains_every_byte(t):
    filled_topic(t, t.bootstrap, t.topic, records=10)
    produce_all(producer(t.bootstrap, compression_type="zstd"), t.topic, [{"value": b"packed " * 30}])
    wait_filed(t, t.target, t.topic)
    out, _ = inspect(t, "hex", f"{t.topic}:0:0", "--bytes", "1000")
    shown = bytes.fromhex("".join(re.findall(r"^ *\d+  ((?:[0-9a-f]{2} )+)", out, re.M)))
    with open(segment.paths(t.target.data_dir, t.topic)[0], "rb") as file:
        equal(shown, file.read(len(shown)), "bytes shown and in the file")
    size = int(re.search(r"(\d+) bytes, offsets 0 to", out).group(1))
    equal(len(shown), size, "bytes of the batch")
    out, _ = inspect(t, "hex", f"{t.topic}:0:10")
    check("compressed with zstd" in out and "decompressed: " in out, out)


@case(timeout_s=60, needs=["files", "control"])
def reads_after_stop_and_kill(t):
    target = t.private_target()
    target.start()
    filled_topic(t, target.bootstrap, t.topic)
    wait_filed(t, target, t.topic)
    target.kill()
    data_dir = target.data_dir
    equal(as_json(t, "partitions", t.topic, data_dir=data_dir)[0]["end"], 200, "end after kill")
    _, err = inspect(t, "topics", data_dir=data_dir)
    check("not stopped cleanly" in err, err)
    target.start()
    equal(target.stop(), 0, "exit code")
    out, err = inspect(t, "cat", t.topic, "-f", "%o\\n", data_dir=data_dir)
    equal(out.split(), [str(i) for i in range(200)], "records after a stop")
    equal(err, "", "nothing to say after a clean stop")
    row = as_json(t, "segments", t.topic, data_dir=data_dir)[0]
    equal(row["state"], "active", "state")


@case(timeout_s=60, needs=["files", "control"])
def damage_ends_a_partition_and_no_other(t):
    target = t.private_target()
    target.start()
    filled_topic(t, target.bootstrap, t.topic, partitions=2)
    equal(target.stop(), 0, "exit code")
    batches = as_json(t, "batches", f"{t.topic}:0", data_dir=target.data_dir)
    damaged = batches[3]
    with open(segment.paths(target.data_dir, t.topic, 0)[0], "r+b") as file:
        file.seek(damaged["position"] + damaged["bytes"] - 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 4]))
    out, err = inspect(t, "cat", t.topic, "-f", "%p %o\\n", data_dir=target.data_dir, expect=CORRUPT)
    equal(out.splitlines(), [f"0 {i}" for i in range(damaged["base_offset"])] + [f"1 {i}" for i in range(200)], "records")
    check(f"position {damaged['position']}" in err and "checksum" in err, err)
    rows = as_json(t, "batches", f"{t.topic}:0", data_dir=target.data_dir, expect=CORRUPT)
    equal([row["base_offset"] for row in rows if not row["valid"]], [damaged["base_offset"]], "batches that are not valid")
    out, _ = inspect(t, "hex", f"{t.topic}:0:{damaged['base_offset']}", data_dir=target.data_dir, expect=CORRUPT)
    check("DAMAGED" in out, out)


@case(timeout_s=60, needs=["files"])
def verify_finds_nothing_while_a_server_writes(t):
    """Partitions roll, spill and sync all the time; whatever moment verify sees is no damage."""
    create_topic(t.bootstrap, t.topic, 2, {"segment.bytes": "1048576"})
    stop = threading.Event()

    def write():
        client = producer(t.bootstrap)
        while not stop.is_set():
            produce_all(client, t.topic, [{"value": os.urandom(3000), "partition": i % 2} for i in range(300)])

    produce_all(producer(t.bootstrap), t.topic, [{"value": b"first", "partition": i} for i in range(2)])
    wait_filed(t, t.target, t.topic)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(8):
            out, _ = inspect(t, "verify", t.topic, "--quiet")
            equal(out, "", "findings")
    finally:
        stop.set()
        writer.join(20)
    wait_filed(t, t.target, t.topic)
    rows = as_json(t, "verify", t.topic)
    equal([row for row in rows if row["damage"]], [], "findings when it is quiet")


@case(timeout_s=60, needs=["files", "control"])
def verify_finds_what_was_planted(t):
    target = t.private_target()
    target.start()
    filled_topic(t, target.bootstrap, t.topic, partitions=2)
    wait_filed(t, target, t.topic)
    target.kill()
    equal([row for row in as_json(t, "verify", data_dir=target.data_dir) if row["damage"]], [], "findings after a kill")
    target.start()
    equal(target.stop(), 0, "exit code")
    out, err = inspect(t, "verify", "--records", data_dir=target.data_dir)
    equal(out, "", "findings after a stop")
    check("damage 0, notices 0" in err, err)
    path = segment.paths(target.data_dir, t.topic, 1)[0]
    with open(path, "r+b") as file:
        file.seek(70)
        byte = file.read(1)
        file.seek(70)
        file.write(bytes([byte[0] ^ 1]))
    before = {name: os.path.getmtime(os.path.join(base, name))
              for base, _, names in os.walk(target.data_dir) for name in names}
    rows = as_json(t, "verify", data_dir=target.data_dir, expect=CORRUPT)
    equal([(row["finding"], row["folder"], row["position"], row["offset"]) for row in rows],
          [("BATCH_CRC", f"{t.topic}-1", 0, 0)], "findings")
    after = {name: os.path.getmtime(os.path.join(base, name))
             for base, _, names in os.walk(target.data_dir) for name in names}
    equal(after, before, "files and their times")
    inspect(t, "verify", f"{t.topic}:0", data_dir=target.data_dir)


@case(timeout_s=120, needs=["files"])
def an_installed_library_reads_live_segments(t):
    """The example program, built against the installed library as docs/LIBRARY.md says, and nothing else of ours."""
    build = os.path.dirname(os.path.dirname(os.path.abspath(t.options.binary)))
    place, program = t.path("installed"), t.path("read_topic")
    t.run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", place, "--quiet"], timeout_s=60)
    found = [base for base, _, names in os.walk(place) if "libodradek.pc" in names]
    equal(len(found), 1, "pkg-config files")
    prefix = os.path.dirname(found[0].partition("/lib/")[0] + "/lib")
    flags, _, _ = t.run(["env", "PKG_CONFIG_PATH=" + found[0], "pkg-config", "--define-variable=prefix=" + prefix, "--cflags", "--libs",
                         "libodradek"])
    source = os.path.join(ROOT, "docs", "example", "read_topic.c")
    t.run(["cc", "-Wall", "-Werror", source, *flags.decode().split(), "-o", program], timeout_s=60)
    filled_topic(t, t.bootstrap, t.topic, partitions=2)
    produce_all(producer(t.bootstrap, compression_type="zstd"), t.topic, [{"value": b"packed", "partition": 1}])
    wait_filed(t, t.target, t.topic)
    out, err, _ = t.run([program, t.target.data_dir, t.topic])
    lines = out.decode().splitlines()
    equal(err, b"", "what it complains of")
    equal(lines[-1], "401 records in 2 partitions", "the last line")
    equal([tuple(map(int, line.split()[:3])) for line in lines[:200]],
          [(0, i, BASE_MS + 10 * i) for i in range(200)], "partition, offset and time")


@case(timeout_s=60, needs=["files"])
def groups_have_exact_lag(t):
    """Committed offsets, lag in records and time, also of what the protocol does not tell; the way back through a file."""
    t.need_api(OFFSET_COMMIT, "OffsetCommit")
    filled_topic(t, t.bootstrap, t.topic, partitions=2)
    client = Consumer({"bootstrap.servers": t.bootstrap, "group.id": t.unique})
    began = time.time()
    client.commit(offsets=[TopicPartition(t.topic, 0, 150), TopicPartition(t.topic, 1, 200)], asynchronous=False)
    client.commit(offsets=[TopicPartition(t.topic, 0, 120)], asynchronous=False)
    wait_committed(t, [120, 200])
    rows = as_json(t, "groups", t.unique)
    equal([(r["topic"], r["partition"], r["committed_offset"], r["end"], r["lag"]) for r in rows],
          [(t.topic, 0, 120, 200, 80), (t.topic, 1, 200, 200, 0)], "offsets and lag")
    now_ms = time.time() * 1000
    check(abs(rows[0]["lag_ms"] - (now_ms - BASE_MS - 1200)) < 5000, f"lag in time: {rows[0]}")
    equal(rows[1]["lag_ms"], 0, "lag in time of what was read")
    for row in rows:
        check(began * 1000 - 5 <= row["committed_at_ms"] <= now_ms and row["committed_ago_ms"] < 30000, str(row))
    equal([r["partition"] for r in as_json(t, "groups", t.unique, "--lagging")], [0], "with a lag")
    inspect(t, "groups", t.unique, "--fail-above", "79", expect=THRESHOLD)
    inspect(t, "groups", t.unique, "--fail-above", "80")
    inspect(t, "groups", t.unique, "--fail-above-time", "1h", expect=THRESHOLD)
    inspect(t, "groups", "no-such-group", expect=NOT_FOUND)

    exported, _ = inspect(t, "groups", t.unique, "--export")
    equal(exported, f"{t.unique},{t.topic},0,120\n{t.unique},{t.topic},1,200\n", "export")
    with open(t.path("before.csv"), "w") as file:
        file.write(exported)
    client.commit(offsets=[TopicPartition(t.topic, 0, 7)], asynchronous=False)
    client.close()
    wait_committed(t, [7, 200])
    equal([(r["committed_offset"], r["before"]) for r in as_json(t, "groups", t.unique, "--since", t.path("before.csv"))],
          [(7, 120), (200, 200)], "beside the snapshot")
    t.run([t.options.binary, "group", "reset", t.unique, "--from-file", t.path("before.csv"), "--execute",
           "--brokers", t.bootstrap])
    wait_committed(t, [120, 200])
    equal([r["committed_offset"] for r in as_json(t, "groups", t.unique)], [120, 200], "offsets put back")


def flip(path, position):
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)
        file.seek(position)
        file.write(bytes([byte[0] ^ 1]))


@case(timeout_s=60, needs=["files", "control"])
def repair_moves_aside_what_is_made_again(t):
    target = t.private_target()
    target.start()
    create_topic(target.bootstrap, t.topic, 1, {"segment.bytes": "1048576"})
    records = [{"value": os.urandom(3000)} for _ in range(800)]
    produce_all(producer(target.bootstrap, batch_num_messages=5), t.topic, records)
    inspect(t, "repair", data_dir=target.data_dir, expect=REFUSED)     # it runs
    equal(target.stop(), 0, "exit code")
    inspect(t, "verify", "--quiet", data_dir=target.data_dir)
    _, err = inspect(t, "repair", data_dir=target.data_dir)
    check("nothing to repair" in err, err)
    index = segment.paths(target.data_dir, t.topic)[0].replace(".log", ".index")
    flip(index, 20)
    inspect(t, "verify", data_dir=target.data_dir, expect=CORRUPT)
    rows = as_json(t, "repair", data_dir=target.data_dir)
    check({(row["action"], row["file"]) for row in rows} >= {("move", os.path.basename(index))}, str(rows))
    check(os.path.exists(index), "a plan alters nothing")
    inspect(t, "repair", "--execute", "--aside", t.path("aside"), data_dir=target.data_dir)
    check(not os.path.exists(index), "moved")
    check(os.path.exists(os.path.join(t.path("aside"), f"{t.topic}-0", os.path.basename(index))), "kept aside")
    inspect(t, "verify", "--quiet", data_dir=target.data_dir)
    target.start()
    equal([m.value() for m in read_all(target.bootstrap, t.topic)] == [r["value"] for r in records], True, "records")
    target.kill()
    inspect(t, "repair", data_dir=target.data_dir, expect=REFUSED)     # its journal is needed


@case(timeout_s=60, needs=["files", "control"])
def repair_cuts_at_damage_when_that_is_agreed_to(t):
    target = t.private_target()
    target.start()
    create_topic(target.bootstrap, t.topic, 2, {"segment.bytes": "1048576"})
    records = [{"value": os.urandom(3000), "partition": i % 2} for i in range(1600)]
    produce_all(producer(target.bootstrap, batch_num_messages=5), t.topic, records)
    equal(target.stop(), 0, "exit code")
    files = segment.paths(target.data_dir, t.topic)
    check(len(files) >= 3, "more than two segments")
    second = int(os.path.basename(files[1])[:20])
    batches = [b for b in as_json(t, "batches", f"{t.topic}:0", data_dir=target.data_dir) if b["segment"] == second]
    damaged, sizes = batches[4], [os.path.getsize(path) for path in files]
    flip(files[1], damaged["position"] + 100)
    inspect(t, "repair", "--execute", data_dir=target.data_dir, expect=REFUSED)
    equal([os.path.getsize(path) for path in files], sizes, "sizes when it was not agreed to")
    inspect(t, "repair", "--execute", "--lose-records", "--aside", t.path("aside"), data_dir=target.data_dir)
    equal([os.path.getsize(path) for path in files[:2]], [sizes[0], damaged["position"]], "sizes of what is left")
    kept = [name for base, _, names in os.walk(t.path("aside")) for name in names]
    check(os.path.basename(files[2]) in kept, f"later segments are kept: {kept}")
    tail = next(name for name in kept if ".from-" in name)
    equal(os.path.getsize(os.path.join(t.path("aside"), f"{t.topic}-0", tail)), sizes[1] - damaged["position"],
          "bytes cut off")
    out, _ = inspect(t, "verify", "--quiet", data_dir=target.data_dir)
    equal(out, "", "findings")
    target.start()
    good = damaged["base_offset"]
    left = [m.value() for m in read_all(target.bootstrap, t.topic, 0)]
    equal(len(left), good, "records in front of the damage")
    equal(left == [r["value"] for r in records[::2][:good]], True, "they are what was sent")
    equal([m.value() for m in read_all(target.bootstrap, t.topic, 1)] == [r["value"] for r in records[1::2]], True,
          "records of the other partition")
    produce_all(producer(target.bootstrap), t.topic, [{"value": b"on it goes", "partition": 0}])
    equal([m.offset() for m in read_all(target.bootstrap, t.topic, 0)][-1], good, "the next offset")


@case(timeout_s=60, needs=["files", "control"])
def repair_accepts_a_loss_when_that_is_agreed_to(t):
    target = t.private_target()
    target.start()
    filled_topic(t, target.bootstrap, t.topic)
    equal(target.stop(), 0, "exit code")
    last = as_json(t, "batches", f"{t.topic}:0", data_dir=target.data_dir)[-1]
    os.truncate(segment.paths(target.data_dir, t.topic)[-1], last["position"])
    found = as_json(t, "verify", "--quiet", data_dir=target.data_dir, expect=CORRUPT)
    check("LESS_THAN_KNOWN" in [row["finding"] for row in found], str(found))
    inspect(t, "repair", "--execute", "--lose-records", "--aside", t.path("aside"), data_dir=target.data_dir)
    inspect(t, "verify", "--quiet", data_dir=target.data_dir)
    target.start()
    equal(len(read_all(target.bootstrap, t.topic)), last["base_offset"], "records that are left")


@case(timeout_s=60, needs=["files"])
def stats_and_filters(t):
    filled_topic(t, t.bootstrap, t.topic, records=210)      # seven keys, thirty times each
    produce_all(producer(t.bootstrap, compression_type="zstd", linger_ms=200), t.topic,
                [{"value": b"the same again " * 20, "key": b"hot", "timestamp": BASE_MS} for _ in range(400)])
    produce_all(producer(t.bootstrap), t.topic, [{"value": b'say "no", \xff', "timestamp": BASE_MS},
                                                 {"value": None, "key": b"k1", "timestamp": BASE_MS}])
    wait_filed(t, t.target, t.topic)
    row = as_json(t, "stats", t.topic)[0]
    equal((row["records"], row["distinct_keys"], row["without_key"], row["tombstones"]), (612, 8, 1, 1), "stats")
    equal(row["hot_keys"][0], {"key": "hot", "at_least": 400, "at_most": 400}, "the hottest key")
    equal(sum(b["bytes"] - 61 for b in as_json(t, "batches", f"{t.topic}:0")), row["stored_bytes"], "stored bytes")
    check(row["decompressed_bytes"] > row["stored_bytes"] * 4, f"compression: {row}")
    check("hot" in inspect(t, "stats", t.topic)[0], "stats as text")
    equal([r["offset"] for r in as_json(t, "cat", t.topic, "--grep", "^0-1[0-9] ")], list(range(10, 20)), "by value")
    equal(len(as_json(t, "cat", t.topic, "--key", "^hot$")), 400, "by key")
    equal(len(as_json(t, "cat", t.topic, "--key", "^k1$", "--grep", "^0-", "-n", "3")), 3, "by both, three of them")
    inspect(t, "cat", t.topic, "--grep", "(", expect=USAGE)
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"a" * 500_000, "timestamp": BASE_MS}])
    wait_filed(t, t.target, t.topic)
    _, err = inspect(t, "cat", t.topic, "-o", "-1", "--grep", "a*a*a*[bc]", expect=FAILURE)
    check("too many steps" in err, err)
    csv.field_size_limit(1_000_000)
    out, _, _ = t.run([t.options.binary, "inspect", "cat", t.topic, "--csv", "--data-dir",
                       t.target.data_dir])
    rows = list(csv.reader(io.StringIO(out.decode("latin-1"), newline="")))
    equal(rows[0], ["topic", "partition", "offset", "timestamp", "key", "value"], "titles")
    equal(rows[611][2:], ["610", str(BASE_MS), "", 'say "no", \xff'], "a row with quotes and bytes")
    equal(rows[612][4:], ["k1", ""], "a tombstone")


@case(timeout_s=90, needs=["files", "control"])
def compacted_logs_are_whole(t):
    """Records are missing there as they should; also where a kill has cut a pass off, and deleted topics are in the journal."""
    target = t.private_target(["log.cleaner.backoff.ms=100"])
    target.start()
    create_topic(target.bootstrap, t.topic, 1, {"cleanup.policy": "compact", "segment.bytes": "1048576",
                                                "min.cleanable.dirty.ratio": "0.01"})
    filled_topic(t, target.bootstrap, t.topic + "-gone")
    client = producer(target.bootstrap, batch_num_messages=50)
    for _ in range(3):
        produce_all(client, t.topic, [{"key": b"%d" % (i % 30), "value": os.urandom(900)} for i in range(3000)])
        equal([r for r in as_json(t, "verify", "--records", data_dir=target.data_dir) if r["damage"]], [], "while it runs")
        admin(target.bootstrap).delete_topics([t.topic + "-gone"])
        target.kill()
        equal([r for r in as_json(t, "verify", "--records", data_dir=target.data_dir) if r["damage"]], [], "after a kill")
        target.start()
        client = producer(target.bootstrap, batch_num_messages=50)
    wait_rows(t, target, "stats", t.topic, lambda rows: rows and rows[0]["records"] < 9000)
    equal(target.stop(), 0, "exit code")
    equal([r for r in as_json(t, "verify", "--records", data_dir=target.data_dir) if r["damage"]], [], "after a stop")
    row = as_json(t, "stats", t.topic, data_dir=target.data_dir)[0]
    check(row["records"] < 9000 and row["distinct_keys"] == 30, str(row))
