#!/usr/bin/python3
"""Kills the server with SIGKILL again and again while clients write and read, then checks every promise.

    tests/e2e/kill9.py [--cycles N] [--io auto|uring|epoll] [--seed S] [--target kafka]

A cycle: start on the same data and port, let clients work for 50 to 400 ms, kill. Every seventh cycle kills
once more before the server is ready. Producers of librdkafka (half idempotent, half not, acks=all) run across
all cycles and retry; a consumer reads along; now and then a topic is created right before the kill. Each
delivery report and each record shown is remembered. Every tenth cycle and at the end everything is read and
history.py decides. At the end every record that was sent must have been acknowledged.

The last lines: one of key=value for machines, one `N passed, N failed` over the kinds of anomaly.
"""

import argparse
import collections
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

import history
from harness.clients import admin, create_topic, read_all, wait_for_topic
from harness.target import Kafka, Odradek, ROOT, stable_port

TOPICS = ["orders", "payments", "clicks"]
PARTITIONS = 4
KEYS_PER_PRODUCER = 12
RATE_PER_PRODUCER = 1000
OUTSTANDING_MAX = 500
CODECS = ["none", "lz4", "zstd", "none", "gzip", "snappy"]
PLACES = [(topic, partition) for topic in TOPICS for partition in range(PARTITIONS)]
FINAL_FLUSH_S = 60
BUSY_S = 20
LOG_CRITICAL = 2        # lost connections are what this is about, not news
OTHER_KINDS = ["undelivered", "client-error", "lost-topic", "start"]


class Writer:
    """One producer: sends its keys in turn, remembers what was acknowledged."""

    def __init__(self, number, bootstrap, recorder, places=PLACES, rate=RATE_PER_PRODUCER):
        self.number, self.recorder, self.places, self.rate = number, recorder, places, rate
        self.idempotent = number % 2 == 0
        self.next_seq = [0] * KEYS_PER_PRODUCER
        self.outstanding = 0
        self.begin = time.monotonic()
        self.sent = 0
        self.client = Producer({
            "bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": self.idempotent,
            "compression.type": CODECS[number % len(CODECS)], "linger.ms": 2, "message.timeout.ms": 0,
            "message.send.max.retries": 2147483647, "retry.backoff.ms": 20, "reconnect.backoff.ms": 5,
            "reconnect.backoff.max.ms": 25, "batch.num.messages": 50,
            # Without idempotence a retry overtakes what is in flight, whatever the server does.
            "max.in.flight.requests.per.connection": 5 if self.idempotent else 1,
            "topic.metadata.refresh.interval.ms": 1000, "error_cb": self.on_error,
            "log_level": LOG_CRITICAL})

    def on_error(self, error):
        if error.fatal():
            self.recorder.client_errors.append(f"producer {self.number}: {error}")

    def place_of(self, key):
        return self.places[(self.number * 5 + key) % len(self.places)]

    def step(self, sending):
        """Takes delivery reports and, when sending, sends what is due."""
        due = int((time.monotonic() - self.begin) * self.rate)
        self.client.poll(0)
        while sending and self.sent < due and self.outstanding < OUTSTANDING_MAX:
            key = self.sent % KEYS_PER_PRODUCER
            self.send((self.number, key, self.next_seq[key]))
            self.next_seq[key] += 1
            self.sent += 1
        # What could not be sent while the server was away is not made up for in one burst.
        self.begin = max(self.begin, time.monotonic() - (self.sent + 200) / self.rate)

    def send(self, name):
        place = self.place_of(name[1])

        def on_delivery(error, message):
            self.outstanding -= 1
            if error is None:
                self.recorder.acks.append(history.Ack(place, message.offset(), name))
            else:
                self.recorder.client_errors.append(f"{name} to {place}: {error}")

        self.outstanding += 1
        self.client.produce(place[0], history.value_of(name), history.key_of(name), partition=place[1],
                            on_delivery=on_delivery)


class Recorder:
    def __init__(self):
        self.acks, self.shown, self.client_errors = [], {}, []


class Load:
    """The writers and the reader, each kind in a thread, from start to finish."""

    def __init__(self, bootstrap, numbers, places=PLACES, rate=RATE_PER_PRODUCER):
        self.bootstrap, self.places = bootstrap, places
        self.recorder = Recorder()
        self.stopping, self.pausing = threading.Event(), threading.Event()
        self.writers = [Writer(number, bootstrap, self.recorder, places, rate) for number in numbers]
        self.threads = [threading.Thread(target=self.write, daemon=True),
                        threading.Thread(target=self.read, daemon=True)]
        for thread in self.threads:
            thread.start()

    def write(self):
        while not self.stopping.is_set():
            for writer in self.writers:
                writer.step(sending=not self.pausing.is_set())
            time.sleep(0.002)

    def read(self):
        reader = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "assign-only", "enable.auto.commit": False,
                           "auto.offset.reset": "error", "reconnect.backoff.ms": 5, "reconnect.backoff.max.ms": 25,
                           "fetch.error.backoff.ms": 10, "fetch.wait.max.ms": 50,
                           "log_level": LOG_CRITICAL})
        reader.assign([TopicPartition(topic, partition, 0) for topic, partition in self.places])
        while not self.stopping.is_set():
            for message in reader.consume(500, timeout=0.1):
                self.note(message)
        reader.close()

    def note(self, message):
        error = message.error()
        place = (message.topic(), message.partition())
        if error is None:
            record = history.record_from(message.offset(), message.key(), message.value())
            self.recorder.shown[place, message.offset()] = record.name
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            self.recorder.client_errors.append(f"consumer at {place}: {error}")

    def wait_until_busy(self):
        """Clients that have never reached the server wait long before they try again."""
        deadline = time.monotonic() + BUSY_S
        while len({ack.name[0] for ack in self.recorder.acks}) < len(self.writers) or not self.recorder.shown:
            if time.monotonic() > deadline:
                raise RuntimeError(f"not every client got through within {BUSY_S} s")
            time.sleep(0.02)

    def finish(self):
        """Stops sending and waits for the last reports; returns how many never came."""
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        deadline = time.monotonic() + FINAL_FLUSH_S
        return sum(writer.client.flush(max(1, deadline - time.monotonic())) for writer in self.writers)

    def sent(self):
        return {(writer.number, key): seq for writer in self.writers for key, seq in enumerate(writer.next_seq)}


class Torture:
    def __init__(self, options, target, random_):
        self.options, self.target, self.random = options, target, random_
        self.found = collections.defaultdict(list)
        self.start_s, self.topics = [], []
        self.load = None
        self.records, self.logs = 0, {}

    def run(self):
        self.start()
        for topic in TOPICS:
            create_topic(self.target.bootstrap, topic, PARTITIONS)
        self.load = Load(self.target.bootstrap, range(self.options.writers))
        self.load.wait_until_busy()
        for cycle in range(1, self.options.cycles + 1):
            self.live(cycle)
            self.target.kill()
            if cycle % 7 == 0 and self.target.kind == "odradek":
                self.kill_while_starting()
            self.start()
            if cycle % 10 == 0 or cycle == self.options.cycles:
                self.verify(cycle)
            if self.found and not self.options.keep_going:
                break
        undelivered = self.load.finish()
        if undelivered:
            self.found["undelivered"].append(f"{undelivered} records were not acknowledged after {FINAL_FLUSH_S} s")
        self.verify("end")
        self.check_topics()
        if self.load.recorder.client_errors:
            self.found["client-error"] += self.load.recorder.client_errors
        code = self.target.stop()
        if code != 0:
            self.found["start"].append(f"exit code {code} after SIGTERM")

    def start(self):
        self.start_s.append(self.target.start())

    def live(self, cycle):
        time.sleep(self.random.uniform(*self.options.life_s))
        if cycle % 5 == 0:
            name = f"made-{cycle}"
            create_topic(self.target.bootstrap, name)
            self.topics.append(name)
        if not self.target.alive():
            raise RuntimeError(f"the server ended by itself\n{self.target.err_tail()}")

    def kill_while_starting(self):
        process = subprocess.Popen(self.target.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(self.random.uniform(0, 0.03))
        process.kill()
        process.wait()

    def verify(self, when):
        """The promises are about what was reported before reading began, so those lists are copied first."""
        self.load.pausing.set()
        acks, shown = list(self.load.recorder.acks), self.shown()
        logs = {}
        for place in self.load.places:
            messages = read_all(self.target.bootstrap, *place, first=0, timeout_s=60)
            logs[place] = [history.record_from(m.offset(), m.key(), m.value()) for m in messages]
        idempotent = {writer.number for writer in self.load.writers if writer.idempotent}
        found = history.check(acks, shown, logs, idempotent, self.load.sent())
        self.records = sum(map(len, logs.values()))
        self.load.pausing.clear()
        self.logs = logs
        for kind, cases in found.items():
            self.found[kind] += [f"cycle {when}: {case}" for case in cases]
        print(f"cycle {when}: {len(acks)} acknowledged, {len(shown)} shown, {self.records} in the logs,"
              f" {sum(map(len, found.values()))} anomalies", flush=True)

    def shown(self):
        """What consumers were given until now."""
        return dict(self.load.recorder.shown.copy())

    def check_topics(self):
        listed = admin(self.target.bootstrap).list_topics(timeout=10).topics
        for name in self.topics:
            if name not in listed:
                self.found["lost-topic"].append(name)
            else:
                wait_for_topic(self.target.bootstrap, name, 1)


def make_parser(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--io", default="auto")
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "tools", "odradek"))
    parser.add_argument("--override", action="append", default=[], metavar="K=V")
    parser.add_argument("--life-ms", default="50,400", help="least and most ms between ready and kill")
    parser.add_argument("--keep-going", action="store_true", help="go on after the first anomaly")
    parser.add_argument("--work-dir", help="keep everything here")
    return parser


def read_options(parser, argv):
    options = parser.parse_args(argv)
    options.life_s = [int(ms) / 1000 for ms in options.life_ms.split(",")]
    options.seed = random.randrange(1 << 32) if options.seed is None else options.seed
    return options


def parse_options(argv):
    parser = make_parser(__doc__)
    parser.add_argument("--target", choices=["odradek", "kafka"], default="odradek")
    parser.add_argument("--writers", type=int, default=6)
    return read_options(parser, argv)


def main(argv):
    options = parse_options(argv)
    work_dir = options.work_dir or tempfile.mkdtemp(prefix="odradek-kill9-")
    print(f"kill9: seed {options.seed}, {options.cycles} cycles, {work_dir}", flush=True)
    if options.target == "kafka":
        target = Kafka(work_dir, options.override, stable_port())
    else:
        target = Odradek(options.binary, work_dir, options.io, options.override, stable_port())
    torture = Torture(options, target, random.Random(options.seed))
    begin = time.monotonic()
    try:
        torture.run()
    except Exception as error:
        torture.found["start"].append(f"{type(error).__name__}: {error}")
    finally:
        if target.alive():
            target.kill()
    return report(options, torture, target, time.monotonic() - begin, work_dir)


def report(options, torture, target, seconds, work_dir):
    found, kinds = torture.found, history.KINDS + OTHER_KINDS
    for kind, cases in found.items():
        print(f"{kind}: {len(cases)}, first:")
        print("".join(f"    {case}\n" for case in cases[:5]), end="")
    recorder = torture.load.recorder if torture.load else Recorder()
    starts = sorted(torture.start_s) or [0]
    counts = " ".join(f"{kind}={len(found.get(kind, []))}" for kind in kinds)
    print(f"kill9: cycles={options.cycles} seed={options.seed} io={options.io} seconds={seconds:.1f}"
          f" acked={len(recorder.acks)} shown={len(recorder.shown)} records={torture.records}"
          f" start_ms_p50={starts[len(starts) // 2] * 1000:.0f} start_ms_max={starts[-1] * 1000:.0f} {counts}")
    if found:
        print(f"kept: {work_dir}\nserver said last:\n{target.err_tail(3000)}")
    elif not options.work_dir:
        shutil.rmtree(work_dir, ignore_errors=True)
    print(f"{len(kinds) - len(found)} passed, {len(found)} failed", flush=True)
    # Threads of clients may still run; nothing they do matters any more.
    sys.stdout.flush()
    os._exit(1 if found or not recorder.acks else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
