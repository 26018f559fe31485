#!/usr/bin/python3
"""A member of a consumer group as a process of its own, so that it can be killed.

    group_member.py BOOTSTRAP GROUP TOPIC STRATEGY SESSION_MS

Writes down each record, then commits, then writes down that the commit was answered, a line of JSON each, in the
words of Kafka's VerifiableConsumer. Of a value only the name is kept. SIGTERM makes it leave the group and end.
"""

import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from harness.clients import member

COMMIT_EVERY, COMMIT_AFTER_S = 40, 0.1
# What a client that gives up on nothing reports while the server is away or comes back.
AWAY = [KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.NOT_COORDINATOR]


def say(name, **more):
    # One write for one line: what is cut off by a kill is the whole line, or its end.
    os.write(1, (json.dumps({"name": name, **more}) + "\n").encode())


class Member:
    def __init__(self, bootstrap, group, topic, strategy, session_ms):
        self.topic = topic
        self.leaving = False
        self.pending = {}           # partition: offset to commit
        self.count, self.since = 0, 0.0
        self.client = member(bootstrap, group, topic, on_assign=self.on_assign, on_revoke=self.on_revoke,
                             on_lost=self.on_lost, partition_assignment_strategy=strategy,
                             session_timeout_ms=int(session_ms), max_poll_interval_ms=30_000, reconnect_backoff_ms=5,
                             reconnect_backoff_max_ms=50, fetch_error_backoff_ms=20, retry_backoff_ms=20, log_level=2)

    def run(self):
        say("startup_complete")
        while not self.leaving:
            message = self.client.poll(0.05)
            if message is not None:
                self.take(message)
            if self.pending and (self.count >= COMMIT_EVERY or time.monotonic() > self.since + COMMIT_AFTER_S):
                self.commit()
        self.client.close()
        say("shutdown_complete")

    def take(self, message):
        error = message.error()
        if error is not None:
            if error.code() not in AWAY:
                say("error", error=str(error))
            return
        name = b"/".join(message.value().split(b"/", 3)[:3]).decode()
        say("record_data", partition=message.partition(), offset=message.offset(), value=name + "/")
        if not self.pending:
            self.count, self.since = 0, time.monotonic()
        self.pending[message.partition()] = message.offset() + 1
        self.count += 1

    def commit(self):
        """What could not be committed stays pending while the partitions are this member's."""
        wanted = [TopicPartition(self.topic, partition, offset) for partition, offset in self.pending.items()]
        try:
            done = self.client.commit(offsets=wanted, asynchronous=False)
        except KafkaException as error:
            say("offsets_committed", success=False, error=str(error.args[0]), offsets=[])
            self.since = time.monotonic()
            return
        good = [each for each in done if each.error is None]
        say("offsets_committed", success=len(good) == len(done),
            offsets=[{"partition": each.partition, "offset": each.offset} for each in good])
        for each in good:
            self.pending.pop(each.partition, None)
        self.count, self.since = 0, time.monotonic()

    def on_assign(self, _, partitions):
        say("partitions_assigned", partitions=[each.partition for each in partitions])

    def on_revoke(self, _, partitions):
        if self.pending:
            self.commit()
        self.on_lost(_, partitions)

    def on_lost(self, _, partitions):
        for each in partitions:
            self.pending.pop(each.partition, None)
        say("partitions_revoked", partitions=[each.partition for each in partitions])

    def leave(self, *_):
        self.leaving = True


if __name__ == "__main__":
    one = Member(*sys.argv[1:])
    signal.signal(signal.SIGTERM, one.leave)
    one.run()
