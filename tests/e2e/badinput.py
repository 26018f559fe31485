#!/usr/bin/python3
"""What must not hurt: wrong bytes on the wire, clients that stall, data directories and settings that cannot work.

    tests/e2e/badinput.py [--io uring,epoll] [--rss-mb N] [FILTER]...

The same options as run.py. While a bad client is at work, a good one writes and must not notice.
"""

import contextlib
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from confluent_kafka import TopicPartition

from harness import raw, schema, segment
from harness.case import case, check, equal
from harness.clients import consumer, create_topic, produce_all, producer, read_all
from harness.hostile import Hostile
from harness.raw import Closed, Connection

NONE, CORRUPT_MESSAGE, MESSAGE_TOO_LARGE = 0, 2, 10
INVALID_REQUIRED_ACKS, UNSUPPORTED_VERSION, INVALID_RECORD = 21, 35, 87
CLOSE_S = 5
NOTICE_S = 2
EXIT_FAILURE, EXIT_USAGE, EXIT_CORRUPT = 1, 2, 6
TLS_HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(range(200))


@contextlib.contextmanager
def good_client(t):
    """Writes a record every 10 ms; in the end all are there and none took long. Memory stays in bounds."""
    topic = create_topic(t.bootstrap, t.topic)
    client = producer(t.bootstrap, linger_ms=0)
    produce_all(client, topic, [{"value": b"first"}])
    stop, slowest, sent, failures = threading.Event(), [0.0], [b"first"], []

    def work():
        while not stop.is_set():
            begin = time.monotonic()
            value = b"%d" % len(sent)
            try:
                produce_all(client, topic, [{"value": value}])
            except AssertionError as error:
                failures.append(str(error))
            sent.append(value)
            slowest[0] = max(slowest[0], time.monotonic() - begin)
            stop.wait(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield topic
        time.sleep(0.1)
    finally:
        stop.set()
        thread.join()
    equal(failures, [], "what the good client saw")
    check(slowest[0] < NOTICE_S * t.options.timeout_factor, f"the good client waited {slowest[0]:.2f} s")
    equal([m.value() for m in read_all(t.bootstrap, topic)], sent, "records of the good client")
    if t.target.kind == "odradek":
        rss_mb = t.target.rss_kb() / 1024
        check(rss_mb < t.options.rss_mb, f"the server has {rss_mb:.0f} MB, more than {t.options.rss_mb}")


def expect_closed(t, data, what):
    with Connection(t.target) as bad:
        bad.send(data)
        check(bad.is_closed_within(CLOSE_S), f"{what}: the connection is still open after {CLOSE_S} s")


@case()
def impossible_lengths_end_the_connection(t):
    with good_client(t):
        for length in [-1, -2**31, 2**31 - 1, 104857601]:
            expect_closed(t, struct.pack(">i", length) + b"x" * 100, f"length {length}")


@case()
def frames_too_short_for_a_header_end_the_connection(t):
    with good_client(t):
        for payload in [b"", b"\0", b"\0\x03\0\1", struct.pack(">hhi", 3, 1, 1), struct.pack(">hhih", 3, 1, 1, 500)]:
            expect_closed(t, struct.pack(">i", len(payload)) + payload, f"{len(payload)} bytes")


@case()
def truncated_frames_then_close(t):
    with good_client(t) as topic:
        whole = raw.produce(1, topic, raw.batch([b"never whole"] * 10))
        for i in range(500):
            with Connection(t.target) as bad:
                bad.send(whole[:i % (len(whole) - 1) + 1])
    check(b"never whole" not in [m.value() for m in read_all(t.bootstrap, topic)], "a truncated request was stored")


@case()
def announced_bytes_cost_nothing(t):
    if t.target.kind != "odradek":
        t.skip("Kafka allocates what is announced")
    with good_client(t):
        before = t.target.rss_kb()
        held = [Connection(t.target) for _ in range(100)]
        for bad in held:
            bad.send(struct.pack(">i", 100 << 20) + raw.request(raw.PRODUCE, 7, 1)[4:] + b"x" * 1000)
        time.sleep(0.5)
        grown = (t.target.rss_kb() - before) / 1024
        for bad in held:
            bad.close()
    check(grown < 64, f"100 frames of 100 MiB, announced only, cost {grown:.0f} MB")


@case()
def garbage(t):
    with good_client(t):
        for seed in range(200):
            random_ = random.Random(seed)
            data = random_.randbytes(random_.choice([1, 4, 5, 100, 5000]))
            if seed % 2:
                data = struct.pack(">i", len(data)) + data
            with Connection(t.target) as bad:
                with contextlib.suppress(ConnectionError):
                    bad.send(data)


@case()
def damaged_requests(t):
    """Right requests with some bytes changed, in right frames."""
    with good_client(t) as topic:
        right = [raw.produce(1, topic + "-other", raw.batch([b"value"] * 5)), raw.fetch(1, topic, 0, 10), raw.metadata(1, [topic]),
                 raw.request(raw.API_VERSIONS, 3, 1, b"\0\x04abc\x04def\0")]
        for seed in range(400):
            random_ = random.Random(seed)
            data = bytearray(random_.choice(right))
            for _ in range(random_.randrange(1, 5)):
                data[random_.randrange(8, len(data))] = random_.choice([0, 1, 0x7F, 0x80, 0xFF, random_.randrange(256)])
            with Connection(t.target) as bad:
                with contextlib.suppress(ConnectionError):
                    bad.send(bytes(data))


@case()
def tls_hello_ends_the_connection(t):
    with good_client(t):
        expect_closed(t, TLS_HELLO, "TLS hello")


@case()
def http_request_ends_the_connection(t):
    with good_client(t):
        expect_closed(t, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP request")


@case()
def unknown_apis_end_the_connection(t):
    with good_client(t):
        for key in [999, -1, 32767]:
            expect_closed(t, raw.request(key, 0, 1), f"api key {key}")


@case()
def unknown_versions_end_the_connection(t):
    with good_client(t):
        for key in [raw.PRODUCE, raw.FETCH, raw.METADATA]:
            for version in [99, -1, 32767]:
                expect_closed(t, raw.request(key, version, 1), f"api key {key} version {version}")


@case()
def unknown_api_versions_version_is_answered(t):
    with good_client(t), Connection(t.target) as bad:
        bad.send(raw.request(raw.API_VERSIONS, 99, 77, b"\0\x04abc\x04def\0"))
        correlation, body = bad.reply()
        equal(correlation, 77, "correlation id")
        error, count = struct.unpack(">hi", body[:6])
        equal(error, UNSUPPORTED_VERSION, "error")
        equal(len(body), 6 + 6 * count, "length of a version 0 body")
        ranges = {key: (least, most) for key, least, most in struct.iter_unpack(">hhh", body[6:])}
        check(raw.API_VERSIONS in ranges, f"no range for ApiVersions in {ranges}")
        equal(ranges[raw.API_VERSIONS][0], 0, "least version")
        check(ranges[raw.API_VERSIONS][1] >= 3, f"most version {ranges[raw.API_VERSIONS]}")
        bad.send(raw.request(raw.API_VERSIONS, 0, 78))
        correlation, body = bad.reply()
        equal((correlation, body[:2]), (78, b"\0\0"), "the next request on the same connection")


@case()
def counts_beyond_the_frame_end_the_connection(t):
    with good_client(t) as topic:
        huge = struct.pack(">i", 2**31 - 1)
        expect_closed(t, raw.request(raw.METADATA, 1, 1, huge), "topics of Metadata")
        expect_closed(t, raw.request(raw.PRODUCE, 7, 1, struct.pack(">hhi", -1, -1, 1000) + huge), "topics of Produce")
        body = struct.pack(">hhii", -1, -1, 1000, 1) + raw.string(topic) + huge
        expect_closed(t, raw.request(raw.PRODUCE, 7, 1, body), "partitions of Produce")


def bad_batch_case(name, codes, records, acks=-1):
    def is_refused(t):
        with good_client(t):
            topic = create_topic(t.bootstrap, t.topic + "-bad")
            with Connection(t.target) as bad:
                code, base = raw.produce_error(bad, topic, records(), acks)
                check(code in codes, f"error {code} is not in {codes}")
                equal(base, -1, "base offset")
                equal(raw.produce_error(bad, topic, raw.batch([b"good"])), (NONE, 0), "a good batch afterwards")
        equal([m.value() for m in read_all(t.bootstrap, topic)], [b"good"], "what is in the log")
    is_refused.__name__ = name + "_is_refused"
    return case()(is_refused)


bad_batch_case("wrong_crc", [CORRUPT_MESSAGE], lambda: raw.batch([b"a", b"b"], bad_crc=True))
bad_batch_case("acks_2", [INVALID_REQUIRED_ACKS], lambda: raw.batch([b"a"]), acks=2)
bad_batch_case("wrong_count", [INVALID_RECORD], lambda: raw.batch([b"a", b"b"], count=3, last_delta=1))
bad_batch_case("wrong_last_delta", [INVALID_RECORD], lambda: raw.batch([b"a", b"b"], last_delta=7))
bad_batch_case("no_records_in_batch", [INVALID_RECORD], lambda: raw.batch([], count=0, last_delta=-1))
bad_batch_case("magic_1", [INVALID_RECORD], lambda: raw.batch([b"a"], magic=1))
bad_batch_case("magic_3", [INVALID_RECORD, CORRUPT_MESSAGE], lambda: raw.batch([b"a"], magic=3))
bad_batch_case("empty_record_set", [INVALID_RECORD], lambda: b"")
bad_batch_case("two_batches", [INVALID_RECORD], lambda: raw.batch([b"a"]) + raw.batch([b"b"]))
bad_batch_case("truncated_batch", [INVALID_RECORD, CORRUPT_MESSAGE], lambda: raw.batch([b"a" * 100])[:-20])
bad_batch_case("length_beyond_batch", [INVALID_RECORD, CORRUPT_MESSAGE], lambda: raw.batch([b"a"], length=10_000))
bad_batch_case("negative_length_of_batch", [INVALID_RECORD, CORRUPT_MESSAGE], lambda: raw.batch([b"a"], length=-5))
bad_batch_case("tiny_length_of_batch", [INVALID_RECORD, CORRUPT_MESSAGE], lambda: raw.batch([b"a"], length=10))
bad_batch_case("control_batch", [INVALID_RECORD], lambda: raw.batch([b"a"], attributes=0x20))


def bomb(plain_bytes):
    """A batch of zeros: as records they make no sense, which cannot be known before they are decompressed."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(plain_bytes >> 20)) + packer.flush()
    return raw.batch([b""], attributes=1, packed=packed)


def bomb_case(name, settings, plain_bytes, expected):
    def stalls_nobody(t):
        if t.target.kind != "odradek":
            t.skip("Kafka has no bound")
        count = 60
        with good_client(t):
            topic = create_topic(t.bootstrap, t.topic + "-bad", count, settings)
            one = bomb(plain_bytes)
            with Connection(t.target, timeout_s=40) as bad:
                bad.send(raw.produce_many(1, topic, [one] * count))
                correlation, body = bad.reply()
            equal((correlation, raw.produce_many_errors(body, topic, count)), (1, [expected] * count), "answer")
    stalls_nobody.__name__ = f"{name}_stalls_nobody"
    return case(timeout_s=60)(stalls_nobody)


bomb_case("bombs_for_compaction", {"cleanup.policy": "compact"}, 256 << 20, MESSAGE_TOO_LARGE)
bomb_case("bombs_below_the_bound", {"cleanup.policy": "compact"}, 15 << 20, INVALID_RECORD)
bomb_case("bombs_for_another_codec", {"compression.type": "zstd"}, 256 << 20, MESSAGE_TOO_LARGE)


@case()
def unknown_partitions_are_refused(t):
    with good_client(t) as topic, Connection(t.target) as bad:
        for partition in [1, -1, 2**31 - 1]:
            equal(raw.produce_error(bad, topic, raw.batch([b"a"]), partition=partition), (3, -1), f"partition {partition}")


@case()
def slow_loris(t):
    with good_client(t) as topic:
        whole = raw.produce(1, topic, raw.batch([b"slow" * 100]))
        held = [Connection(t.target) for _ in range(200)]
        for at in range(30):
            for bad in held:
                bad.send(whole[at:at + 1])
            time.sleep(0.05)
        for bad in held:
            bad.close()


@case(timeout_s=60)
def a_thousand_idle_connections(t):
    with good_client(t):
        held = [Connection(t.target) for _ in range(1000)]
        time.sleep(0.5)
        held[999].send(raw.metadata(5))
        equal(held[999].reply()[0], 5, "correlation id on the last one")
        for bad in held:
            bad.close()


@case()
def a_client_that_does_not_read(t):
    with good_client(t):
        with Connection(t.target) as bad:
            bad.socket.setblocking(False)
            question = raw.metadata(1) * 1000
            deadline, sent = time.monotonic() + 3, 0
            while time.monotonic() < deadline and sent < 200 << 20:
                try:
                    sent += bad.socket.send(question)
                except BlockingIOError:
                    time.sleep(0.01)


@case()
def waiting_fetches_of_clients_that_leave(t):
    with good_client(t):
        topic = create_topic(t.bootstrap, t.topic + "-empty")
        for _ in range(10):
            held = [Connection(t.target) for _ in range(50)]
            for bad in held:
                bad.send(raw.fetch(1, topic, 0, 20_000))
            time.sleep(0.05)
            for bad in held:
                bad.close()


@case()
def replies_leave_in_the_order_of_requests(t):
    with good_client(t):
        topic = create_topic(t.bootstrap, t.topic + "-order")
        with Connection(t.target) as client:
            for i in range(0, 300, 5):
                client.send(raw.fetch(i, topic, 10**6, 30) + raw.metadata(i + 1)
                            + raw.produce(i + 2, topic, raw.batch([b"x"])) + raw.request(raw.API_VERSIONS, 0, i + 3)
                            + raw.fetch(i + 4, topic, 0, 0))
            equal([client.reply()[0] for _ in range(300)], list(range(300)), "correlation ids")


HOSTILE_S, HOSTILE_CLIENTS = 8, 4
GROUP_APIS = (["join_group", "consumer_group_heartbeat"] * 4 + ["sync_group", "offset_commit"] * 2 + [
    "heartbeat", "leave_group", "offset_fetch", "find_coordinator", "describe_groups", "list_groups", "delete_groups",
    "offset_delete", "consumer_group_describe"])
ADMIN_APIS = ["create_topics", "delete_topics", "create_partitions", "delete_records", "alter_configs",
              "incremental_alter_configs", "describe_configs", "list_config_resources", "describe_log_dirs",
              "alter_replica_log_dirs", "describe_producers", "describe_topic_partitions", "offset_for_leader_epoch",
              "metadata", "list_offsets", "elect_leaders", "alter_partition_reassignments", "describe_client_quotas",
              "update_features", "describe_cluster", "list_transactions", "init_producer_id"]


def ask_hostile(target, hostile, names):
    """One connection: some requests at once, then it reads the answers, or leaves in the midst. Every answer must be
    one by the schema."""
    with Connection(target) as bad:
        asked = [hostile.request(names, i) + (hostile.plan,) for i in range(hostile.random.choice([1, 1, 2, 4, 8]))]
        bad.send(b"".join(frame for _, _, frame, _ in asked))
        if hostile.random.random() < 0.2:
            return
        bad.socket.settimeout(hostile.random.choice([0.05, 0.3]))
        for i, (api, version, _, plan) in enumerate(asked):
            correlation, body = bad.reply()
            equal(correlation, i, f"correlation id of {api.name}")
            hostile.answered(plan, schema.answer(api, version, body, hostile.seen))


@case(timeout_s=60)
def right_requests_that_mean_harm(t):
    """All requests about groups and settings, in all versions, with contents of one seed. See harness/hostile.py."""
    if t.target.kind != "odradek":
        t.skip("Kafka does not answer all of them")
    failures, answered, deadline = [], [0] * HOSTILE_CLIENTS, time.monotonic() + HOSTILE_S

    def work(number):
        hostile = Hostile(number)
        while time.monotonic() < deadline and not failures:
            try:
                ask_hostile(t.target, hostile, GROUP_APIS * 2 + ADMIN_APIS)
                answered[number] += 1
            except socket.timeout:
                pass        # somebody waits for others in his group
            except (Closed, ConnectionError, AssertionError) as error:
                failures.append(f"seed {number}, after {answered[number]}: {error!r}")

    with good_client(t):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(HOSTILE_CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    equal(failures, [], "what went wrong")
    check(min(answered) > 20, f"connections that were answered in full: {answered}")


def start_fails(t, target, code, *words):
    """The server ends by itself with the code, and says why with all the words."""
    done = subprocess.run(target.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=20)
    equal(done.returncode, code, f"exit code; it said: {done.stderr[-1500:]}")
    equal(done.stdout, "", "standard output")
    for word in words:
        check(word in done.stderr, f"{word!r} is not in: {done.stderr[-1500:]}")


def own_server(t, **settings):
    if t.target.kind != "odradek":
        t.skip("about Odradek's own command line")
    return t.private_target(**settings)


startup_case = case(timeout_s=60, needs=["control", "files"])


@startup_case
def a_data_directory_in_use_is_refused(t):
    first = own_server(t)
    first.start()
    second = own_server(t)
    start_fails(t, second, EXIT_FAILURE, first.data_dir)
    create_topic(first.bootstrap, t.topic)
    produce_all(producer(first.bootstrap), t.topic, [{"value": b"still here"}])
    equal(first.stop(), 0, "exit code of the first")


@startup_case
def a_data_directory_that_cannot_be_made_is_refused(t):
    server = own_server(t)
    with open(t.path("file"), "w"):
        pass
    server.data_dir = t.path("file") + "/data"
    start_fails(t, server, EXIT_FAILURE, server.data_dir)
    server.data_dir = "/proc/odradek-data"
    start_fails(t, server, EXIT_FAILURE, server.data_dir)


@startup_case
def a_port_in_use_is_refused(t):
    server = own_server(t)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server.port = taken.getsockname()[1]
        start_fails(t, server, EXIT_FAILURE, f"127.0.0.1:{server.port}")


@startup_case
def bad_values_are_refused_by_name(t):
    for override in ["num.partitions=abc", "num.partitions=0", "log.retention.ms=soon", "message.max.bytes=-5",
                     "auto.create.topics.enable=maybe"]:
        start_fails(t, own_server(t, overrides=[override]), EXIT_USAGE, override.split("=")[0])


@startup_case
def bad_values_in_a_file_are_refused_by_name(t):
    server = own_server(t)
    path = t.path("server.properties")
    with open(path, "w") as file:
        file.write("# comment\nlog.retention.hours=24\nnum.partitions=many\n")
    server.extra_args = ["--config", path]
    start_fails(t, server, EXIT_USAGE, "num.partitions")
    server.extra_args = ["--config", path + ".missing"]
    start_fails(t, server, EXIT_USAGE, path + ".missing")


@startup_case
def unknown_keys_are_named_and_ignored(t):
    server = own_server(t, overrides=["no.such.key=1"])
    server.start()
    create_topic(server.bootstrap, t.topic)
    equal(server.stop(), 0, "exit code")
    check("no.such.key" in server.err_tail(), f"the key is not named: {server.err_tail()}")


def file_names(directory):
    return sorted(os.path.relpath(os.path.join(folder, name), directory)
                  for folder, _, names in os.walk(directory) for name in names)


def flip(path, position, count=8):
    with open(path, "r+b") as file:
        file.seek(position)
        data = file.read(count)
        file.seek(position)
        file.write(bytes(byte ^ 0x55 for byte in data))


def filled_server(t, partitions=2, records=300):
    server = own_server(t)
    server.start()
    create_topic(server.bootstrap, t.topic, partitions)
    values = [b"record %d " % i * (i % 30 + 1) for i in range(records)]
    for partition in range(partitions):
        produce_all(producer(server.bootstrap, batch_num_messages=20), t.topic,
                    [{"value": value, "partition": partition} for value in values])
    return server, values


@startup_case
def a_damaged_segment_is_never_taken_for_good(t):
    """Clients that check checksums get everything around the damage and nothing of it; the file is kept."""
    server, values = filled_server(t)
    equal(server.stop(), 0, "exit code")
    (path,) = segment.paths(server.data_dir, t.topic, 0)
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        flip(path, file.read().index(b"record 170 record 170") + 3)
    server.start()
    equal([m.value() for m in read_all(server.bootstrap, t.topic, 1)], values, "the partition beside it")
    (bad,) = [b for b in segment.read(path)[0] if not b.crc_good]
    got = read_until_quiet(server.bootstrap, t.topic, 0)
    expected = values[:bad.base_offset] + values[bad.last_offset + 1:]
    check(got in (expected, values[:bad.base_offset]), f"{len(got)} records, damaged are {bad.base_offset} to {bad.last_offset}")
    equal(os.path.getsize(path), size, "size of the damaged file")


def read_until_quiet(bootstrap, topic, partition, quiet_s=3):
    """What a consumer that checks checksums gets, errors left out, until it gets nothing more."""
    reader = consumer(bootstrap, check_crcs=True)
    reader.assign([TopicPartition(topic, partition, 0)])
    values, last = [], time.monotonic()
    while time.monotonic() - last < quiet_s:
        for message in reader.consume(100, timeout=0.2):
            if message.error() is None:
                values.append(message.value())
                last = time.monotonic()
    reader.close()
    return values


@startup_case
def a_damaged_journal_never_loses_silently(t):
    """After kill -9 the journal holds the newest records: with damage in the middle the start is refused."""
    server, _ = filled_server(t)
    server.kill()
    journals = [name for name in file_names(server.data_dir) if "journal" in name]
    check(journals, f"no journal among {file_names(server.data_dir)}")
    for name in journals:
        flip(os.path.join(server.data_dir, name), 100)
    start_fails(t, server, EXIT_CORRUPT, "journal", "damaged")
    start_fails(t, server, EXIT_CORRUPT, "journal", "damaged")


@startup_case
def data_of_a_newer_format_is_refused(t):
    server, values = filled_server(t, partitions=1)
    equal(server.stop(), 0, "exit code")
    path = os.path.join(server.data_dir, "odradek.state")
    with open(path, "rb") as file:
        state = file.read()
    check(state.startswith(b"odradek-state 1\n"), f"unknown form of state: {state[:40]}")
    with open(path, "wb") as file:
        file.write(state.replace(b"odradek-state 1\n", b"odradek-state 99\n"))
    before = file_names(server.data_dir)
    start_fails(t, server, EXIT_FAILURE, "odradek.state")
    equal(file_names(server.data_dir), before, "files")
    with open(path, "wb") as file:
        file.write(state)
    server.start()
    equal([m.value() for m in read_all(server.bootstrap, t.topic)], values, "records, the state put back")


@startup_case
def a_lost_or_damaged_state_file_is_refused(t):
    server, _ = filled_server(t, partitions=1)
    equal(server.stop(), 0, "exit code")
    flip(os.path.join(server.data_dir, "odradek.state"), 40)
    start_fails(t, server, EXIT_CORRUPT, "odradek.state")


if __name__ == "__main__":
    import run
    from harness.case import CASES
    CASES.clear()       # the runner imports this file again, under its name
    sys.exit(run.main(sys.argv[1:], modules=["badinput"]))
