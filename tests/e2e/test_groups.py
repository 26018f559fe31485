"""Consumer groups of librdkafka 2.0.2 (kcat and confluent-kafka) and of kafka-python 2.0.2."""

import socket
import struct
import subprocess
import threading
import time

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.structs import OffsetAndMetadata
from kafka.structs import TopicPartition as PyTopicPartition

from harness.case import case, check, equal
from harness.clients import committed_of, create_topic, member, produce_all, producer
from harness.raw import JOIN_GROUP, request, string

SETTLE_S = 20


def poll_until(consumers, done, timeout_s=SETTLE_S):
    """Polls all of them in turn; returns what came, by consumer."""
    got = [[] for _ in consumers]
    deadline = time.monotonic() + timeout_s
    while not done(got):
        check(time.monotonic() < deadline, f"not done after {timeout_s} s: {[len(each) for each in got]} records, "
              f"partitions {[sorted(p.partition for p in c.assignment()) for c in consumers]}")
        for index, consumer in enumerate(consumers):
            message = consumer.poll(0.02)
            if message is None:
                continue
            check(message.error() is None, f"consumer {index}: {message.error()}")
            got[index].append(message)
    return got


def owned(consumers):
    return [sorted(p.partition for p in consumer.assignment()) for consumer in consumers]


def shared_out(consumers, count):
    """True when every partition has one owner and everybody has some."""
    parts = owned(consumers)
    return sorted(sum(parts, [])) == list(range(count)) and all(parts)


def fill(t, partitions, count, topic=None):
    records = [{"value": b"%d" % i, "partition": i % partitions} for i in range(count)]
    produce_all(producer(t.bootstrap), topic or t.topic, records)
    return [r["value"] for r in records]


def numbers(messages):
    return sorted(int(m.value()) for m in messages)


# -- kcat -------------------------------------------------------------------------------------------------------------


def kcat_group(t, group, count, timeout_s=20):
    # -c ends it when it has so many; it commits what it has read when it leaves.
    out, _, _ = t.run(["kcat", "-b", t.bootstrap, "-X", "broker.address.family=v4", "-X", "auto.offset.reset=earliest",
                       "-q", "-c", str(count), "-G", group, t.topic], timeout_s=timeout_s)
    return sorted(int(line) for line in out.split())


@case(timeout_s=60)
def kcat_goes_on_where_it_stopped(t):
    create_topic(t.bootstrap, t.topic, 3)
    fill(t, 3, 300)
    equal(kcat_group(t, t.unique, 300), list(range(300)), "first run")
    records = [{"value": b"%d" % i, "partition": i % 3} for i in range(300, 420)]
    produce_all(producer(t.bootstrap), t.topic, records)
    equal(kcat_group(t, t.unique, 120), list(range(300, 420)), "second run")


@case(timeout_s=60)
def kcat_lists_its_group(t):
    create_topic(t.bootstrap, t.topic)
    fill(t, 1, 10)
    equal(kcat_group(t, t.unique, 10), list(range(10)), "records")
    client = KafkaAdminClient(bootstrap_servers=t.bootstrap)
    check((t.unique, "consumer") in client.list_consumer_groups(), "the group is not listed")
    client.close()


# -- confluent-kafka --------------------------------------------------------------------------------------------------


@case(timeout_s=60)
def members_share_and_take_over(t):
    create_topic(t.bootstrap, t.topic, 6)
    fill(t, 6, 600)
    first = [member(t.bootstrap, t.unique, t.topic)]
    got = poll_until(first, lambda got: len(got[0]) == 600)
    equal(numbers(got[0]), list(range(600)), "records of one")
    first[0].commit(asynchronous=False)
    members = first + [member(t.bootstrap, t.unique, t.topic) for _ in range(2)]
    poll_until(members, lambda got: shared_out(members, 6))
    equal([len(parts) for parts in owned(members)], [2, 2, 2], "partitions of three")
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"%d" % i, "partition": i % 6} for i in range(600, 720)])
    got = poll_until(members, lambda got: sum(map(len, got)) >= 120)
    equal(sorted(sum((numbers(each) for each in got), [])), list(range(600, 720)), "records of three, each once")
    for consumer in members:
        consumer.commit(asynchronous=False)
    members[0].close()
    poll_until(members[1:], lambda got: shared_out(members[1:], 6))
    for consumer in members[1:]:
        consumer.close()
    last = member(t.bootstrap, t.unique)
    committed = last.committed([TopicPartition(t.topic, p) for p in range(6)], timeout=10)
    equal([p.offset for p in committed], [120] * 6, "committed")
    last.close()


@case(timeout_s=60)
def a_member_that_dies_is_replaced(t):
    create_topic(t.bootstrap, t.topic, 2)
    fill(t, 2, 100)
    script = ("import sys, time; from confluent_kafka import Consumer\n"
              "c = Consumer({'bootstrap.servers': sys.argv[1], 'group.id': sys.argv[2], 'session.timeout.ms': 6000,"
              " 'heartbeat.interval.ms': 300, 'auto.offset.reset': 'earliest', 'enable.auto.commit': False})\n"
              "c.subscribe([sys.argv[3]])\n"
              "while len(c.assignment()) < 2: c.poll(0.1)\n"
              "print('here', flush=True)\n"
              "while True: c.poll(0.1)\n")
    dying = subprocess.Popen(["/usr/bin/python3", "-c", script, t.bootstrap, t.unique, t.topic],
                             stdout=subprocess.PIPE)
    equal(dying.stdout.readline(), b"here\n", "the first member")
    dying.kill()
    dying.wait()
    begin = time.monotonic()
    heir = member(t.bootstrap, t.unique, t.topic)
    got = poll_until([heir], lambda got: len(got[0]) == 100)
    equal(numbers(got[0]), list(range(100)), "records")
    check(2 < time.monotonic() - begin < 20, f"taken over after {time.monotonic() - begin:.1f} s, session 6 s")
    heir.close()


@case(timeout_s=60)
def a_static_member_comes_back_without_a_rebalance(t):
    create_topic(t.bootstrap, t.topic, 4)
    moves = []

    def one(instance):
        return member(t.bootstrap, t.unique, t.topic, on_assign=lambda c, parts: moves.append((instance, "+")),
                      on_revoke=lambda c, parts: moves.append((instance, "-")), group_instance_id=instance)

    members = [one("a"), one("b")]
    poll_until(members, lambda got: shared_out(members, 4))
    before = owned(members)
    members[1].close()  # a static member does not leave
    del moves[:]
    members[1] = one("b")
    poll_until(members, lambda got: shared_out(members, 4))
    equal(owned(members), before, "partitions")
    equal(moves, [("b", "+")], "what a member heard")
    for consumer in members:
        consumer.close()


@case(timeout_s=40)
def commits_are_exact(t):
    create_topic(t.bootstrap, t.topic, 3)
    fill(t, 3, 30)
    first = member(t.bootstrap, t.unique)
    wanted = [TopicPartition(t.topic, 0, 5), TopicPartition(t.topic, 2, 0)]
    done = first.commit(offsets=wanted, asynchronous=False)
    equal([(p.partition, p.offset, p.error) for p in done], [(0, 5, None), (2, 0, None)], "answer")
    second = member(t.bootstrap, t.unique)
    got = second.committed([TopicPartition(t.topic, p) for p in range(3)], timeout=10)
    equal([(p.partition, p.offset) for p in got], [(0, 5), (1, OFFSET_INVALID), (2, 0)], "committed")
    other = member(t.bootstrap, t.unique + "-other")
    got = other.committed([TopicPartition(t.topic, 0)], timeout=10)
    equal(got[0].offset, OFFSET_INVALID, "of another group")
    try:
        first.commit(offsets=[TopicPartition(t.topic + "-none", 0, 1)], asynchronous=False)
        raise AssertionError("a commit for a topic that does not exist was accepted")
    except KafkaException as error:
        equal(error.args[0].code(), KafkaError.UNKNOWN_TOPIC_OR_PART, "error")
    for consumer in (first, second, other):
        consumer.close()


@case(timeout_s=40)
def only_members_may_commit_to_a_live_group(t):
    create_topic(t.bootstrap, t.topic)
    fill(t, 1, 10)
    live = member(t.bootstrap, t.unique, t.topic)
    poll_until([live], lambda got: len(got[0]) == 10)
    stranger = member(t.bootstrap, t.unique)
    try:
        stranger.commit(offsets=[TopicPartition(t.topic, 0, 3)], asynchronous=False)
        raise AssertionError("a stranger's commit was accepted")
    except KafkaException as error:
        equal(error.args[0].code(), KafkaError.UNKNOWN_MEMBER_ID, "error")
    live.commit(asynchronous=False)
    equal(live.committed([TopicPartition(t.topic, 0)], timeout=10)[0].offset, 10, "committed")
    stranger.close()
    live.close()


@case(timeout_s=120, needs=["control"])
def groups_go_on_after_kill(t):
    target = t.private_target(["group.initial.rebalance.delay.ms=0"])
    target.start()
    create_topic(target.bootstrap, t.topic, 4)
    # Their client gives up on no error; what it reports meanwhile is that the server is away.
    away = [KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError.COORDINATOR_LOAD_IN_PROGRESS]
    members = [member(target.bootstrap, t.unique, t.topic) for _ in range(2)]
    poll_until(members, lambda got: shared_out(members, 4))
    client = producer(target.bootstrap)
    produce_all(client, t.topic, [{"value": b"%d" % i, "partition": i % 4} for i in range(400)])
    got = poll_until(members, lambda got: sum(map(len, got)) >= 400)
    equal(sorted(sum((numbers(each) for each in got), [])), list(range(400)), "records before")
    for consumer in members:
        consumer.commit(asynchronous=False)
    for turn in range(1, 4):
        target.kill()
        target.start()
        first = 400 + 100 * (turn - 1)
        produce_all(producer(target.bootstrap), t.topic,
                    [{"value": b"%d" % i, "partition": i % 4} for i in range(first, first + 100)])
        seen, deadline = [], time.monotonic() + 40
        while len(seen) < 100:
            check(time.monotonic() < deadline, f"turn {turn}: {len(seen)} records after 40 s, owned {owned(members)}")
            for consumer in members:
                message = consumer.poll(0.02)
                if message is not None and message.error() is None:
                    seen.append(message)
                elif message is not None:
                    check(message.error().code() in away, f"turn {turn}: {message.error()}")
        equal(numbers(seen), list(range(first, first + 100)), f"records of turn {turn}: nothing twice, nothing lost")
        for consumer in members:
            commit_through(consumer)
    for consumer in members:
        consumer.close()
    target.kill()
    target.start()
    reader = member(target.bootstrap, t.unique)
    equal(committed_of(reader, t.topic, range(4)), [175] * 4, "committed at the end")
    reader.close()


def commit_through(consumer, timeout_s=20):
    """Commits, again while the group settles."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return consumer.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() == KafkaError._NO_OFFSET:
                return None
            if time.monotonic() > deadline:
                raise
            consumer.poll(0.1)


@case(timeout_s=120, needs=["control"])
def acknowledged_commits_outlive_kill(t):
    target = t.private_target()
    target.start()
    create_topic(target.bootstrap, t.topic, 8)
    produce_all(producer(target.bootstrap), t.topic, [{"value": b"x", "partition": p} for p in range(8)])
    for turn in range(3):
        acknowledged, stop = {}, threading.Event()
        threads = [threading.Thread(target=commit_on, daemon=True,
                                    args=(target.bootstrap, f"{t.unique}-{p}", TopicPartition(t.topic, p),
                                          turn * 100_000, acknowledged, stop)) for p in range(8)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 20
        while len(acknowledged) < 8 or min(acknowledged.values()) < turn * 100_000 + 20:
            check(time.monotonic() < deadline, f"turn {turn}: {acknowledged}")
            time.sleep(0.01)
        target.kill()
        stop.set()
        target.start()
        # A commit that was under way is sent again to the new server, and may be acknowledged there.
        for thread in threads:
            thread.join(30)
            check(not thread.is_alive(), f"turn {turn}: a commit waits for ever")
        for partition in range(8):
            reader = member(target.bootstrap, f"{t.unique}-{partition}")
            (got,) = committed_of(reader, t.topic, [partition])
            last = acknowledged[partition]
            # One more was under way when the server went, and may have been kept unanswered.
            check(last <= got <= last + 1, f"turn {turn}, group {partition}: {got}, acknowledged {last}")
            reader.close()


def commit_on(bootstrap, group, partition, floor, acknowledged, stop):
    """Commits one offset more each time until told to stop; `acknowledged` holds the last that was answered."""
    client = member(bootstrap, group)
    offset = floor + 1
    while not stop.is_set():
        wanted = TopicPartition(partition.topic, partition.partition, offset)
        try:
            (answer,) = client.commit(offsets=[wanted], asynchronous=False)
        except KafkaException:
            continue  # nobody knows whether it was kept: the same once more
        if answer.error is None:
            acknowledged[partition.partition] = offset
            offset += 1
    client.close()


# -- rude clients -----------------------------------------------------------------------------------------------------


def join_group(group, correlation, member_id=""):
    """JoinGroup in version 1; session and rebalance timeout of 6 s."""
    body = (string(group) + struct.pack(">ii", 6000, 6000) + string(member_id) + string("consumer")
            + struct.pack(">i", 1) + string("range") + struct.pack(">i", 10) + struct.pack(">hii", 0, 0, -1))
    return request(JOIN_GROUP, 1, correlation, body)


@case(timeout_s=60)
def members_that_hang_up_while_they_wait_harm_nobody(t):
    create_topic(t.bootstrap, t.topic, 2)
    fill(t, 2, 20)
    live = member(t.bootstrap, t.unique, t.topic)
    poll_until([live], lambda got: len(got[0]) == 20)
    for i in range(100):  # each waits for the round, and is gone before it ends
        with socket.create_connection((t.target.host, t.target.port)) as rude:
            rude.sendall(join_group(t.unique, i))
            if i % 2:
                rude.shutdown(socket.SHUT_WR)
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"%d" % i, "partition": i % 2} for i in range(20, 30)])
    got = poll_until([live], lambda got: len({m.value() for m in got[0]} & {b"%d" % i for i in range(20, 30)}) == 10, 40)
    check(set(range(20, 30)) <= set(numbers(got[0])), f"records {numbers(got[0])}")
    wait_alone(live)
    live.commit(asynchronous=False)
    live.close()


def wait_alone(consumer, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while len(consumer.assignment()) < 2:
        check(time.monotonic() < deadline, f"owns {consumer.assignment()}")
        consumer.poll(0.1)


# -- kafka-python -----------------------------------------------------------------------------------------------------


def py_member(t, group, **settings):
    return KafkaConsumer(t.topic, bootstrap_servers=t.bootstrap, group_id=group, auto_offset_reset="earliest",
                         enable_auto_commit=False, session_timeout_ms=10_000, heartbeat_interval_ms=300, **settings)


def py_read(consumer, count, timeout_s=SETTLE_S):
    records, deadline = [], time.monotonic() + timeout_s
    while len(records) < count:
        check(time.monotonic() < deadline, f"{len(records)} of {count} records after {timeout_s} s")
        for batch in consumer.poll(timeout_ms=50).values():
            records += batch
    return records


@case(timeout_s=60)
def kafka_python_shares(t):
    """A member of this client waits inside poll() for the others, so each has a thread."""
    create_topic(t.bootstrap, t.topic, 4)
    fill(t, 4, 200)
    stop, shares, seen = threading.Event(), {}, set()

    def run(name):
        consumer = py_member(t, t.unique)
        while not stop.is_set():
            for batch in consumer.poll(timeout_ms=50).values():
                seen.update(int(record.value) for record in batch)
            shares[name] = sorted(where.partition for where in consumer.assignment())
        consumer.close()

    threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in "ab"]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + SETTLE_S
    while sorted(map(len, shares.values())) != [2, 2] or len(seen) < 200:
        check(time.monotonic() < deadline, f"shares {shares}, {len(seen)} records")
        time.sleep(0.05)
    equal(sorted(shares["a"] + shares["b"]), [0, 1, 2, 3], "partitions")
    stop.set()
    for thread in threads:
        thread.join(15)
    equal(sorted(seen), list(range(200)), "records")


@case(timeout_s=60)
def kafka_python_goes_on(t):
    create_topic(t.bootstrap, t.topic, 4)
    fill(t, 4, 200)
    consumer = py_member(t, t.unique)
    equal(sorted(int(r.value) for r in py_read(consumer, 200)), list(range(200)), "records")
    consumer.commit()
    consumer.close()
    produce_all(producer(t.bootstrap), t.topic, [{"value": b"%d" % i, "partition": i % 4} for i in range(200, 240)])
    again = py_member(t, t.unique)
    equal(sorted(int(r.value) for r in py_read(again, 40)), list(range(200, 240)), "records of the next")
    again.close()


@case(timeout_s=60)
def kafka_python_administers_groups(t):
    create_topic(t.bootstrap, t.topic, 2)
    fill(t, 2, 20)
    consumer = py_member(t, t.unique, client_id="py-client")
    py_read(consumer, 20)
    where = PyTopicPartition(t.topic, 0)
    consumer.commit({where: OffsetAndMetadata(7, "a note"), PyTopicPartition(t.topic, 1): OffsetAndMetadata(9, "")})
    client = KafkaAdminClient(bootstrap_servers=t.bootstrap)
    check((t.unique, "consumer") in client.list_consumer_groups(), "the group is not listed")
    (group,) = client.describe_consumer_groups([t.unique])
    equal((group.error_code, group.group, group.state, group.protocol_type, group.protocol),
          (0, t.unique, "Stable", "consumer", "range"), "description")
    (one,) = group.members
    check(one.member_id.startswith("py-client-"), one.member_id)
    equal((one.client_id, one.client_host), ("py-client", "/127.0.0.1"), "member")
    equal(one.member_metadata.subscription, [t.topic], "subscription")
    equal(one.member_assignment.assignment, [(t.topic, [0, 1])], "assignment")
    offsets = client.list_consumer_group_offsets(t.unique)
    equal({p.partition: (o.offset, o.metadata) for p, o in offsets.items()}, {0: (7, "a note"), 1: (9, "")}, "offsets")
    refused = client.delete_consumer_groups([t.unique])
    equal([(name, error.__name__) for name, error in refused], [(t.unique, "NonEmptyGroupError")], "deletion of a live group")
    consumer.close()
    equal([(name, error.__name__) for name, error in client.delete_consumer_groups([t.unique])], [(t.unique, "NoError")],
          "deletion")
    check((t.unique, "consumer") not in client.list_consumer_groups(), "the group is still listed")
    (gone,) = client.describe_consumer_groups([t.unique])
    equal((gone.error_code, gone.state), (0, "Dead"), "description of what is not there")
    client.close()
