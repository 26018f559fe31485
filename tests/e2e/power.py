#!/usr/bin/python3
"""Cuts the power of the server's disk again and again, fills it up, breaks it, then checks every promise.

    tests/e2e/power.py [--cycles N] [--io auto|uring|epoll] [--seed S] [--only cuts,canary,full,thin]

The data directory is an ext4 on a loop device, and the kernel itself drops what was not synced.

    cuts    the load of kill9.py; a cycle ends with FS_IOC_SHUTDOWN at a random moment, by turns with and without
            its log flushed, SIGKILL up to 30 ms later, umount, mount, start. Settings, among them the number of
            reactors, change from start to start; topics are made, filled, deleted and made again right before
            the cut. Every seventh cycle the next cut comes before the server is ready.
    canary  the same with a server that is lied to: its syncs do nothing. Losses must be reported.
    full    a disk of 80 MiB: produce until refused, read, delete a topic, produce again, all without a restart; then
            until refused once more, cut, start. A start may be refused for want of space until somebody makes some.
    thin    a disk that takes writes it has no place for and fails later. Nothing acknowledged may be lost, what is
            durable stays readable, with room again everything goes on after a restart.

The last lines: one of key=value per part for machines, one `N passed, N failed` over the kinds of anomaly.
"""

import argparse
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from confluent_kafka import KafkaError, Producer

import history
import kill9
from harness import disk as disks
from harness.clients import admin, create_topic, produce_all, producer, read_all
from harness.target import Odradek, ROOT, TargetError, stable_port

PARTS = ["cuts", "canary", "full", "thin"]
MIB = 1 << 20
DISK_BYTES = 512 * MIB
FULL_DISK_BYTES, FOREIGN_BYTES = 80 * MIB, 16 * MIB
THIN_DISK_BYTES, THIN_ROOM_BYTES, THIN_MORE_ROOM_BYTES = 256 * MIB, 72 * MIB, 512 * MIB
CUT_TO_KILL_S = 0.03
START_TO_CUT_S = 0.03
LONG_LIFE_S = (1.5, 2.5)        # long enough for segments to be written, synced, and the journal to be reused
CANARY_CYCLES = 8
BULK_TOPIC, BULK_BYTES, BULK_ROUND = "bulk", 100_000, 8
BULK_MIB_MAX = 400
REFUSED_S = 30
RESUMED_S = 30
QUIET_S = 1.0
TOPIC_RECORDS = 20
OTHER_KINDS = [*kill9.OTHER_KINDS, "topic-contents"]

# All of what the server may ask of the kernel to make bytes durable; epoll is the backend that asks through libc.
LIAR = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/types.h>

typedef int open_function(const char *path, int flags, mode_t mode);

static int lie(const char *name, const char *path, int flags, mode_t mode)
{
    open_function *real = (open_function *)dlsym(RTLD_NEXT, name);
    return real(path, flags & ~(O_DIRECT | O_DSYNC | O_SYNC), mode);
}

#define LYING(name)                                 \
    int name(const char *path, int flags, ...)      \
    {                                               \
        va_list args;                               \
        va_start(args, flags);                      \
        mode_t mode = va_arg(args, mode_t);         \
        va_end(args);                               \
        return lie("open64", path, flags, mode);    \
    }

LYING(open)
LYING(open64)
int __open_2(const char *path, int flags) { return lie("open64", path, flags, 0); }
int __open64_2(const char *path, int flags) { return lie("open64", path, flags, 0); }
int fsync(int fd) { return fd < 0 ? -1 : 0; }
int fdatasync(int fd) { return fd < 0 ? -1 : 0; }
"""


class CutOff(Odradek):
    """A server whose kill() is a power cut: when it returns, its disk is mounted again."""

    def __init__(self, options, work_dir, disk, random_, io):
        super().__init__(options.binary, work_dir, io, options.override, stable_port())
        self.data_dir = os.path.join(disk.path, "data")
        self.disk, self.random = disk, random_
        self.preload = None
        self.cuts = 0

    def command(self):
        command = super().command()
        return ["env", f"LD_PRELOAD={self.preload}", *command] if self.preload else command

    def kill(self):
        self.cut(self.process)
        self.process.stdout.close()

    def cut(self, process):
        self.cuts += 1
        self.disk.cut(disks.NOTHING_FLUSHED if self.cuts % 2 else disks.LOG_FLUSHED)
        time.sleep(self.random.uniform(0, CUT_TO_KILL_S))
        process.kill()
        process.wait()
        self.disk.umount()
        self.disk.mount()

    def end(self):
        if self.alive():
            self.process.kill()
            self.process.wait()


class Topics:
    """Topics that are made, filled and deleted; what was answered must be so after every cut."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.values = {}            # {name: [value, ...]}
        self.deleted = set()
        self.rounds = 0

    def change(self):
        """Makes a new topic in one of three rounds; deletes the oldest in the others, and makes it again in one."""
        self.rounds += 1
        if self.rounds % 3 == 1 or not self.values:
            return self.make(f"made-{self.rounds}")
        name = next(iter(self.values))
        del self.values[name]
        client = admin(self.bootstrap)
        client.delete_topics([name], operation_timeout=10)[name].result(10)
        self.deleted.add(name)
        if self.rounds % 3 == 2:
            self.make(name)

    def make(self, name):
        create_topic(self.bootstrap, name)
        self.deleted.discard(name)
        values = [b"%s/%d/%d" % (name.encode(), self.rounds, i) for i in range(TOPIC_RECORDS)]
        produce_all(producer(self.bootstrap, acks="all"), name, [{"value": value, "partition": 0} for value in values])
        self.values[name] = values

    def wrong(self):
        listed = admin(self.bootstrap).list_topics(timeout=10).topics
        for name in self.deleted & set(listed):
            yield f"{name} was deleted and is back"
        for name, values in self.values.items():
            if name not in listed:
                yield f"{name} was made and is gone"
                continue
            found = [message.value() for message in read_all(self.bootstrap, name, 0, first=0)]
            if found != values:
                yield f"{name} holds {found[:3]}... ({len(found)}), not {values[:3]}... ({len(values)})"


class Cuts(kill9.Torture):
    def __init__(self, options, target, random_):
        super().__init__(options, target, random_)
        self.io = options.io
        self.changing = None

    def start(self):
        self.target.overrides = [*self.settings(), *self.options.override]
        self.target.io = self.random.choice(["auto", "epoll"]) if self.io == "mixed" else self.io
        super().start()

    def settings(self):
        """Small numbers make the server write, sync, roll and reuse within the life of a cycle."""
        choose = self.random.choice
        return [f"journal.bytes.max={choose([16, 16, 64]) * MIB}", f"tail.memory.bytes={choose([1, 8, 256]) * MIB}",
                f"log.segment.bytes={choose([1_200_000, 1 << 30])}", f"num.reactors={choose([1, 2, 2, 3])}"]

    def live(self, cycle):
        if self.changing is None:
            self.changing = Topics(self.target.bootstrap)
        time.sleep(self.random.uniform(*(LONG_LIFE_S if cycle % 6 == 0 else self.options.life_s)))
        if cycle % 2 == 1:
            self.changing.change()
        if not self.target.alive():
            raise RuntimeError(f"the server ended by itself\n{self.target.err_tail()}")

    def kill_while_starting(self):
        process = subprocess.Popen(self.target.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(self.random.uniform(0, START_TO_CUT_S))
        self.target.cut(process)

    def verify(self, when):
        super().verify(when)
        self.found_if("topic-contents", when, self.changing.wrong())

    def check_topics(self):
        """Once more: what a clean stop leaves must stand a cut as well."""
        if self.target.stop() != 0:
            self.found["start"].append("exit code not 0 after SIGTERM")
        self.target.cut(self.target.process)
        self.start()
        self.verify("after a clean stop")

    def found_if(self, kind, when, cases):
        cases = [f"cycle {when}: {case}" for case in cases]
        if cases:
            self.found[kind] += cases


class Canary(Cuts):
    """The first start is an honest one; from then on no sync does anything."""

    def run(self):
        self.start()
        for topic in kill9.TOPICS:
            create_topic(self.target.bootstrap, topic, kill9.PARTITIONS)
        self.target.stop()
        self.target.preload = make_liar(self.target.work_dir)
        self.start()
        self.load = kill9.Load(self.target.bootstrap, range(self.options.writers))
        self.load.wait_until_busy()
        self.changing = Topics(self.target.bootstrap)
        for cycle in range(1, CANARY_CYCLES + 1):
            time.sleep(self.random.uniform(*self.options.life_s))
            self.target.kill()
            self.start()
            self.verify(cycle)
            if "lost" in self.found:
                return


def make_liar(work_dir):
    source, library = os.path.join(work_dir, "liar.c"), os.path.join(work_dir, "liar.so")
    with open(source, "w") as file:
        file.write(LIAR)
    disks.run("cc", "-shared", "-fPIC", "-O1", "-w", "-o", library, source, "-ldl")
    return library


class Bulk:
    """Fills a topic with incompressible records; remembers what was acknowledged and what it was refused with."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.acked = {}             # {offset: value}
        self.refusals = collections.Counter()
        self.number = 0

    def round(self):
        """Returns how many were acknowledged."""
        client = Producer({"bootstrap.servers": self.bootstrap, "acks": "all", "retries": 0, "linger.ms": 0,
                           "message.timeout.ms": 5000, "log_level": kill9.LOG_CRITICAL})
        before = len(self.acked)
        for _ in range(BULK_ROUND):
            self.number += 1
            client.produce(BULK_TOPIC, random.Random(self.number).randbytes(BULK_BYTES), partition=0,
                           on_delivery=self.on_delivery)
        client.flush(20)
        return len(self.acked) - before

    def on_delivery(self, error, message):
        if error is None:
            self.acked[message.offset()] = message.value()
        else:
            self.refusals[error.code()] += 1

    def fill(self):
        """Produces until nothing was acknowledged for a while."""
        deadline, last = time.monotonic() + REFUSED_S, time.monotonic()
        while time.monotonic() < last + QUIET_S:
            if self.round() > 0:
                last = time.monotonic()
            if time.monotonic() > deadline or self.number * BULK_BYTES > BULK_MIB_MAX * MIB:
                raise AssertionError(f"still taken after {self.number} records of {BULK_BYTES} bytes")

    def wrong(self):
        read = {m.offset(): m.value() for m in read_all(self.bootstrap, BULK_TOPIC, 0, first=0, timeout_s=60)}
        for offset, value in self.acked.items():
            if read.get(offset) != value:
                now = "other" if offset in read else "gone"
                yield f"{BULK_TOPIC} offset {offset} was acknowledged and is {now}"


class Shortage(Cuts):
    """No room: what `full` and `thin` share."""

    def begin(self):
        self.target.overrides += [f"journal.bytes.max={16 * MIB}", "log.segment.bytes=8000000"]
        self.target.start()
        for topic in kill9.TOPICS:
            create_topic(self.target.bootstrap, topic, kill9.PARTITIONS)
        create_topic(self.target.bootstrap, BULK_TOPIC)
        self.changing = Topics(self.target.bootstrap)
        # Idempotent ones only: of others, librdkafka may have the next batch on its way out when one is refused,
        # also with one request in flight, and the retry then comes behind it.
        self.load = kill9.Load(self.target.bootstrap, range(0, 2 * self.options.writers, 2))
        self.load.wait_until_busy()
        self.bulk = Bulk(self.target.bootstrap)

    def verify(self, when):
        super().verify(when)
        if self.bulk:
            self.found_if("lost", when, self.bulk.wrong())

    def check_found(self):
        """What was found is looked at as it is."""
        if any(self.found.values()) and not self.options.keep_going:
            raise RuntimeError("stopped at the first anomaly")

    def be_refused(self):
        self.bulk.fill()
        refused = {code: count for code, count in self.bulk.refusals.items() if code != KafkaError._MSG_TIMED_OUT}
        print(f"refused after {len(self.bulk.acked)} records of {BULK_BYTES} bytes, {self.target.disk.free_bytes()}"
              f" bytes free: {named(self.bulk.refusals)}", flush=True)
        if set(refused) != {KafkaError.KAFKA_STORAGE_ERROR}:
            self.found["client-error"].append(f"refused with {named(self.bulk.refusals)}")
        if not self.target.alive():
            raise RuntimeError(f"the server ended by itself\n{self.target.err_tail()}")

    def wait_until_resumed(self):
        """Every writer must get something through again."""
        acks = self.load.recorder.acks
        before, deadline = len(acks), time.monotonic() + RESUMED_S
        while len({ack.name[0] for ack in acks[before:]}) < self.options.writers:
            if time.monotonic() > deadline:
                raise RuntimeError(f"not every producer goes on within {RESUMED_S} s\n{self.target.err_tail()}")
            time.sleep(0.05)

    def settle(self):
        undelivered = self.load.finish()
        if undelivered:
            self.found["undelivered"].append(f"{undelivered} records were not acknowledged")
        self.verify("end")
        self.found_if("client-error", "end", self.load.recorder.client_errors)
        if self.target.stop() != 0:
            self.found["start"].append("exit code not 0 after SIGTERM")


class Full(Shortage):
    def run(self):
        self.foreign = os.path.join(self.target.disk.path, "foreign")
        with open(self.foreign, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, FOREIGN_BYTES)
        self.begin()
        self.be_refused()
        self.verify("full")
        self.delete_bulk()
        self.wait_until_resumed()
        self.verify("room again")
        create_topic(self.target.bootstrap, BULK_TOPIC)
        self.bulk = Bulk(self.target.bootstrap)
        self.be_refused()
        self.target.kill()
        self.start_full()
        self.verify("full, after a cut")
        self.delete_bulk()
        self.wait_until_resumed()
        self.settle()

    def start_full(self):
        """What the journal holds must have room in the segments."""
        try:
            return self.target.start()
        except TargetError as error:
            if "free some space on its file system; nothing was lost" not in str(error):
                raise
        print("the start was refused for want of space; some is made", flush=True)
        os.unlink(self.foreign)
        return self.target.start()

    def delete_bulk(self):
        disks.run(self.options.binary, "topic", "delete", "--brokers", self.target.bootstrap, BULK_TOPIC)
        self.bulk = None


class Thin(Shortage):
    def __init__(self, options, target, random_, memory):
        super().__init__(options, target, random_)
        self.memory = memory

    def run(self):
        self.begin()
        self.be_refused()
        self.verify("no room")
        self.check_found()
        self.memory.resize(THIN_MORE_ROOM_BYTES)
        self.target.kill()
        self.target.start()
        self.verify("room again")
        self.check_found()
        self.wait_until_resumed()
        self.settle()


def named(counts):
    return ", ".join(f"{KafkaError(code).name()} {count}" for code, count in counts.items()) or "nothing"


def parse_options(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=25)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--io", default="mixed", help="auto, uring, epoll; mixed: another one at each start of cuts")
    parser.add_argument("--only", default=",".join(PARTS), help="the parts to run")
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "tools", "odradek"))
    parser.add_argument("--override", action="append", default=[], metavar="K=V")
    parser.add_argument("--writers", type=int, default=6)
    parser.add_argument("--life-ms", default="50,400", help="least and most ms between ready and cut")
    parser.add_argument("--keep-going", action="store_true", help="go on after the first anomaly")
    options = parser.parse_args(argv)
    options.life_s = [int(ms) / 1000 for ms in options.life_ms.split(",")]
    options.seed = random.randrange(1 << 32) if options.seed is None else options.seed
    options.parts = options.only.split(",")
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    return options


class Part:
    """One part with what it mounts; close() leaves nothing behind but, when something was found, the logs."""

    def __init__(self, name, options):
        self.name = name
        self.work_dir = tempfile.mkdtemp(prefix=f"odradek-power-{name}-")
        self.memory = self.disk = self.target = None
        self.begin = time.monotonic()
        try:
            self.make(options, random.Random(f"{options.seed}/{name}"))
        except BaseException:
            self.close()
            raise

    def make(self, options, random_):
        if self.name == "thin":
            self.memory = disks.Memory(os.path.join(self.work_dir, "memory"), THIN_ROOM_BYTES)
        size = {"full": FULL_DISK_BYTES, "thin": THIN_DISK_BYTES}.get(self.name, DISK_BYTES)
        self.disk = disks.Disk(self.work_dir, size, self.memory and self.memory.path)
        io = "epoll" if self.name == "canary" else options.io
        self.target = CutOff(options, self.work_dir, self.disk, random_, "auto" if io == "mixed" else io)
        changed = argparse.Namespace(**vars(options))
        if self.name == "cuts":
            self.torture = Cuts(changed, self.target, random_)
        elif self.name == "canary":
            changed.io = io
            self.torture = Canary(changed, self.target, random_)
        else:
            changed.writers = min(options.writers, 3)
            more = [self.memory] if self.memory else []
            self.torture = (Thin if more else Full)(changed, self.target, random_, *more)

    def run(self):
        try:
            self.torture.run()
        except Exception as error:
            self.torture.found["start"].append(f"{type(error).__name__}: {error}")
        finally:
            if self.torture.load:
                self.torture.load.stopping.set()
            if any(self.torture.found.values()) and self.name != "canary":
                self.keep()

    def keep(self):
        """The disk will be gone: what is on it is evidence."""
        self.target.end()
        try:
            shutil.copytree(self.target.data_dir, os.path.join(self.work_dir, "data"))
        except OSError as error:
            print(f"not all of {self.target.data_dir} could be copied: {str(error)[:300]}", flush=True)

    def close(self):
        for end in [self.target and self.target.end, self.disk and self.disk.close, self.memory and self.memory.close]:
            try:
                if end:
                    end()
            except OSError as error:
                print(f"left behind in {self.work_dir}: {error}", flush=True)

    def report(self, options):
        """Returns how many kinds passed and failed."""
        found = {kind: cases for kind, cases in self.torture.found.items() if cases}
        recorder = self.torture.load.recorder if self.torture.load else kill9.Recorder()
        kinds = history.KINDS + OTHER_KINDS
        counts = " ".join(f"{kind}={len(found.get(kind, []))}" for kind in kinds)
        print(f"power {self.name}: seed={options.seed} io={options.io} cuts={self.target.cuts}"
              f" seconds={time.monotonic() - self.begin:.1f} acked={len(recorder.acks)} shown={len(recorder.shown)}"
              f" records={self.torture.records} {counts}", flush=True)
        if self.name == "canary":
            caught = "lost" in found and recorder.acks
            print("canary: the losses were seen" if caught else f"canary: nothing lost was seen, only {found}")
            return (1, 0) if caught else (0, 1)
        for kind, cases in found.items():
            print(f"{kind}: {len(cases)}, first:")
            print("".join(f"    {case}\n" for case in cases[:5]), end="")
        if not recorder.acks and not found:
            found["start"] = ["nothing was acknowledged"]
        if found:
            print(f"kept: {self.work_dir}\nserver said last:\n{self.target.err_tail(3000)}", flush=True)
        return len(kinds) - len(found), len(found)


def on_signal(number, _frame):
    raise SystemExit(128 + number)


def main(argv):
    options = parse_options(argv)
    why = disks.missing()
    if why:
        print(f"power: cutting the power needs root and loop devices: {why}; NOTHING WAS TESTED")
        print(f"0 passed, 0 failed, {len(options.parts)} skipped")
        return
    signal.signal(signal.SIGTERM, on_signal)
    passed = failed = 0
    for name in options.parts:
        print(f"power {name}: seed {options.seed}", flush=True)
        part = Part(name, options)
        try:
            part.run()
        finally:
            part.close()
        p, f = part.report(options)
        passed, failed = passed + p, failed + f
        if f == 0:
            shutil.rmtree(part.work_dir, ignore_errors=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    # Threads of clients may still run; nothing they do matters any more.
    sys.stdout.flush()
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
