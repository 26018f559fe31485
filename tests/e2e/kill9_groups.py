#!/usr/bin/python3
"""Kills the server and members of consumer groups with SIGKILL, often inside a rebalance, then checks every promise.

    tests/e2e/kill9_groups.py [--cycles N] [--io auto|uring|epoll] [--seed S] [--binary FILE] [--canary]

Producers of kill9.py (idempotent, acks=all) write all the time. Three groups read the topic: librdkafka's classic
protocol with the range and with the cooperative-sticky strategy (group_member.py), and Kafka's VerifiableConsumer with
the protocol of KIP-848. Every member is a process that writes down what it processed before it commits, and each
commit that was answered. A cycle kills the server, or a member (and starts another), or both, or lets a member join or
leave, with or without a kill of the server a moment later. Then committed offsets are read back and group_history.py
decides; every fifth cycle it also judges what the coordinator has written to __consumer_offsets, and every tenth cycle
the whole topic is read and history.py decides. At the end nothing is killed any more: all groups must become stable
and process and commit everything.

--canary: a copy of the data from before some commits comes back between two lives. That, and what follows from it,
must be reported, and nothing else.

The last lines: one of key=value for machines, one `N passed, N failed` over the kinds of anomaly.
"""

import collections
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import group_history
import history
import kill9
from harness import offsets_log
from harness.clients import committed_of, create_topic, member, watermarks
from harness.jvm import JARS, full_name, java_command
from harness.target import Odradek, file_tail, stable_port

TOPIC, PARTITIONS = "work", 6
PLACES = [(TOPIC, partition) for partition in range(PARTITIONS)]
WRITERS, RATE_PER_WRITER = [0, 2, 4], 120       # even numbers are idempotent
OFFSETS_PARTITIONS = 4
WRITTEN_EVERY = 5
SEGMENT_BYTES = [20_000, 100 << 20]     # of __consumer_offsets: with small ones its beginning is cut off all the time
# name, members at first, how often something happens to it: a Java machine takes a second of a core to start.
CLASSIC = [("range", 3, 4), ("cooperative-sticky", 3, 4)]
MODERN = ("modern", 2, 2)
GROUPS = CLASSIC + ([MODERN] if os.path.isdir(JARS) else [])
MEMBERS_MAX = 4
FAULTS = ["server"] * 4 + ["member"] * 3 + ["both"] * 6 + ["join", "leave"] + ["join and server", "leave and server"] * 2
REBALANCE_S = 0.5       # after a change of members, somewhere in here the server is killed
SESSION_MS = 2000
SETTLE_S, DRAIN_S, LEAVE_S = 40, 60, 40
ENDED = [0, 128 + signal.SIGTERM]       # a Java machine that left says the latter
# librdkafka before 2.3 aborts as it leaves a group that has never assigned it anything (its issue 4312).
ABORTS_LEAVING = "rd_kafka_sticky_assignor_state_destroy: Assertion `assignor_state' failed"
OTHER_KINDS = ["undelivered", "client-error", "member-ended", "unsettled", "start"]
CANARY_KIND = "commit-lost"
CANARY_MORE = {"commit-back"}           # a member that goes on from older data also commits less than it had


class Member:
    """One process, and what it wrote down so far."""

    def __init__(self, name, group, command, work_dir):
        self.name, self.group = name, group
        self.path = os.path.join(work_dir, name + ".jsonl")
        self.err_path = os.path.join(work_dir, name + ".err")
        self.at, self.expected_to_end = 0, False
        with open(self.path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def alive(self):
        return self.process.poll() is None

    def kill(self):
        self.expected_to_end = True
        self.process.kill()
        self.process.wait()

    def leave(self):
        self.expected_to_end = True
        self.process.send_signal(signal.SIGTERM)

    def ended_well(self, code):
        if code == -signal.SIGABRT and ABORTS_LEAVING not in file_tail(self.err_path, 4000):
            return False
        return self.expected_to_end and code in [*ENDED, -signal.SIGKILL, -signal.SIGABRT]

    def news(self):
        """The lines that were finished since the last time."""
        with open(self.path, "rb") as file:
            file.seek(self.at)
            data = file.read()
        whole = data[:data.rfind(b"\n") + 1]
        self.at += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


class Group:
    """The members of one group, dead ones too, and its progress."""

    def __init__(self, name, target, work_dir, session_ms):
        self.name, self.target, self.work_dir, self.session_ms = name, target, work_dir, session_ms
        self.members, self.gone = [], []
        self.started = 0
        self.progress = group_history.Progress(name)
        self.written = group_history.Written(self.progress)
        self.shown, self.errors = {}, collections.Counter()
        self.reader = member(target.bootstrap, name, reconnect_backoff_ms=5, reconnect_backoff_max_ms=25,
                             log_level=kill9.LOG_CRITICAL)

    def command(self):
        if self.name != MODERN[0]:
            here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "group_member.py")
            return [sys.executable, here, self.target.bootstrap, self.name, TOPIC, self.name, str(self.session_ms)]
        properties = os.path.join(self.work_dir, "modern.properties")
        with open(properties, "w") as file:
            file.write("reconnect.backoff.ms=5\nreconnect.backoff.max.ms=50\nretry.backoff.ms=20\n")
        return java_command(full_name("VerifiableConsumer"), "--bootstrap-server", self.target.bootstrap, "--topic", TOPIC,
                            "--group-id", self.name, "--group-protocol", "consumer", "--reset-policy", "earliest",
                            "--verbose", "--command-config", properties)

    def start_member(self):
        self.started += 1
        self.members.append(Member(f"{self.name}-{self.started}", self, self.command(), self.work_dir))

    def drop(self, one):
        self.members.remove(one)
        self.gone.append(one)

    def sweep(self):
        """Takes in what members wrote. Who is gone has nothing more to say once it has ended and was read."""
        ended = {one for one in self.gone if not one.alive()}
        for one in self.members + self.gone:
            for event in one.news():
                self.take(one, event)
        self.gone = [one for one in self.gone if one not in ended]

    def take(self, one, event):
        if event["name"] == "record_data":
            self.progress.processed(event["partition"], event["offset"])
            place = (TOPIC, event["partition"]), event["offset"]
            self.shown[place] = tuple(int(number) for number in event["value"].split("/", 3)[:3])
        elif event["name"] == "offsets_committed":
            if not event["success"]:
                self.errors["commit: " + event["error"][:90]] += 1
                return
            for each in event["offsets"]:
                self.progress.answered(one.name, each["partition"], each["offset"])
        elif event["name"] == "error":
            self.errors[event["error"][:90]] += 1

    def committed(self):
        offsets = committed_of(self.reader, TOPIC, range(PARTITIONS), timeout_s=SETTLE_S)
        return {partition: max(0, offset) for partition, offset in enumerate(offsets)}

    def check(self):
        self.sweep()
        floor = self.progress.floor.copy()
        committed = self.committed()
        self.sweep()
        self.progress.read_back(floor, committed)
        return committed


class Groups(kill9.Torture):
    def __init__(self, options, target, random_):
        super().__init__(options, target, random_)
        self.groups, self.counts, self.states = [], collections.Counter(), collections.Counter()
        self.acks_known, self.highest = 0, collections.Counter()
        self.follower = offsets_log.Follower(target.bootstrap, OFFSETS_PARTITIONS)

    # -- beginning and end --

    def run(self):
        self.begin()
        for cycle in range(1, self.options.cycles + 1):
            self.live(cycle)
            self.fault(cycle)
            self.check_commits(cycle)
            if cycle % WRITTEN_EVERY == 0:
                self.check_written()
                self.collect(cycle)
            if cycle % 10 == 0:
                self.verify(cycle)
            if self.found and not self.options.keep_going:
                return
        self.drain()
        self.verify("end")
        self.check_end()
        if self.target.stop() != 0:
            self.found["start"].append("exit code not 0 after SIGTERM")

    def begin(self):
        self.start()
        create_topic(self.target.bootstrap, TOPIC, PARTITIONS)
        self.load = kill9.Load(self.target.bootstrap, WRITERS, PLACES, RATE_PER_WRITER)
        self.load.wait_until_busy()
        for name, count, _ in GROUPS:
            group = Group(name, self.target, self.options.work_dir, SESSION_MS * self.options.timeout_factor)
            self.groups.append(group)
            for _ in range(count):
                group.start_member()
        self.wait("unsettled", "not every group began", SETTLE_S, self.begun)

    def begun(self):
        for group in self.groups:
            group.sweep()
        return all(group.progress.answered_count for group in self.groups)

    def wait(self, kind, what, seconds, condition):
        deadline = time.monotonic() + seconds * self.options.timeout_factor
        while not condition():
            if time.monotonic() > deadline:
                self.found[kind].append(f"{what} within {seconds * self.options.timeout_factor} s")
                raise RuntimeError(what)
            self.check_members()
            time.sleep(0.1)

    def drain(self):
        """No more faults: everything must be processed and committed, and the groups stable."""
        time.sleep(1)
        undelivered = self.load.finish()
        if undelivered:
            self.found["undelivered"].append(f"{undelivered} records were not acknowledged")
        ends = {partition: watermarks(self.target.bootstrap, TOPIC, partition)[1] for partition in range(PARTITIONS)}
        begin = time.monotonic()
        for group in self.groups:
            self.wait("unsettled", f"{group.name} did not commit all of {ends}", DRAIN_S,
                      lambda group=group: group.committed() == ends)
            self.wait("unsettled", f"{group.name} did not settle", SETTLE_S, lambda group=group: self.settled(group))
        self.counts["drain_ms"] = int((time.monotonic() - begin) * 1000)

    def settled(self, group):
        return self.listed().get(group.name) == ("Stable", len(group.members))

    def listed(self):
        """{group: (state, count of members)}"""
        done = subprocess.run([self.target.binary, "group", "list", "-b", self.target.bootstrap, "--json"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True)
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return {row["group"]: (row["state"], row["members"]) for row in rows}

    def check_end(self):
        ends = {place[1]: len(records) for place, records in self.logs.items()}
        committed = {group.name: group.check() for group in self.groups}
        for group in self.groups:
            group.progress.missing(ends)
            for one in list(group.members):
                one.leave()
                group.drop(one)
        self.wait("member-ended", "members did not leave", LEAVE_S,
                  lambda: not any(one.alive() for group in self.groups for one in group.gone))
        self.check_written()
        written = {group.name: dict(group.written.committed) for group in self.groups}
        if written != committed:
            self.found["commit-lost"].append(f"answered {committed}, in {offsets_log.TOPIC} {written}")
        self.collect("end")

    # -- a cycle --

    def live(self, cycle):
        time.sleep(self.random.uniform(*self.options.life_s))
        self.check_members()
        if not self.target.alive():
            raise RuntimeError(f"the server ended by itself\n{self.target.err_tail()}")

    def check_members(self):
        for group in self.groups:
            for one in group.members + group.gone:
                code = one.process.poll()
                if code is not None and not one.ended_well(code):
                    self.found["member-ended"].append(f"{one.name}: exit code {code}: {file_tail(one.err_path, 1500)}")
                    raise RuntimeError(f"member {one.name} ended")

    def fault(self, cycle):
        group = self.random.choices(self.groups, [weight for _, _, weight in GROUPS])[0]
        kind = self.random.choice(FAULTS)
        if "join" in kind and len(group.members) == MEMBERS_MAX:
            kind = kind.replace("join", "leave")
        elif "leave" in kind and len(group.members) == 1:
            kind = kind.replace("leave", "join")
        self.counts[kind.replace(" ", "_")] += 1
        if kind in ("member", "both"):
            self.replace(group)
        elif "join" in kind:
            group.start_member()
        elif "leave" in kind:
            one = self.random.choice(group.members)
            one.leave()
            group.drop(one)
        if kind in ("both", "join and server", "leave and server"):
            time.sleep(self.random.uniform(0, REBALANCE_S))
        if kind != "member" and kind not in ("join", "leave"):
            self.kill_server(cycle)

    def replace(self, group):
        one = self.random.choice(group.members)
        one.kill()
        group.drop(one)
        if self.random.random() < 0.5:
            time.sleep(self.random.uniform(0, 0.2))
        group.start_member()

    def kill_server(self, cycle):
        for name, (state, _) in self.listed().items():
            self.states[state] += 1
        self.target.kill()
        self.counts["server_kills"] += 1
        if cycle % 7 == 0:
            self.kill_while_starting()
        self.start()

    # -- checks --

    def check_commits(self, when):
        """Also the cheap half of the promise to producers: no partition ends before what was acknowledged."""
        acks = self.load.recorder.acks
        known = len(acks)
        for ack in acks[self.acks_known:known]:
            self.highest[ack.place] = max(self.highest[ack.place], ack.offset)
        self.acks_known = known
        for place, offset in self.highest.items():
            _, end = watermarks(self.target.bootstrap, *place)
            if end <= offset:
                self.found["lost"].append(f"cycle {when}: {place} ends at {end}, acknowledged {offset}")
        for group in self.groups:
            group.check()
        self.collect(when)

    def check_written(self):
        entries = self.follower.news()
        for group in self.groups:
            group.sweep()
        group_history.take_written({group.name: group.written for group in self.groups}, entries)
        self.counts["written"], self.counts["trimmed"] = self.follower.count, self.follower.trimmed

    def collect(self, when):
        for group in self.groups:
            for kind, text in group.progress.found:
                self.found[kind].append(f"cycle {when}: {text}")
            group.progress.found.clear()

    def shown(self):
        """What members processed, too, must never be anything else later."""
        shown = super().shown()
        for group in self.groups:
            group.sweep()
            for place, name in group.shown.items():
                if shown.setdefault(place, name) != name:
                    self.found["unseen"].append(f"{place}: {name} to {group.name}, {shown[place]} to others")
        return shown

    def close(self):
        for group in self.groups:
            for one in group.members + group.gone:
                if one.alive():
                    one.kill()


class Canary(Groups):
    """While members stand still a backlog grows and the data is copied; they go on and commit it; then the copy
    comes back. The producers are quiet meanwhile, so that commits are all that is lost."""

    def run(self):
        self.begin()
        time.sleep(1)
        self.signal(signal.SIGSTOP)
        time.sleep(1)
        undelivered = self.load.finish()
        if undelivered:
            raise RuntimeError(f"{undelivered} records were not acknowledged")
        self.target.kill()
        old, copy = self.target.data_dir, os.path.join(self.options.work_dir, "older")
        shutil.copytree(old, copy)
        self.start()
        self.signal(signal.SIGCONT)
        self.check_commits("copy")
        ends = {partition: watermarks(self.target.bootstrap, TOPIC, partition)[1] for partition in range(PARTITIONS)}
        for group in self.groups:
            self.wait("unsettled", f"{group.name} did not commit all", DRAIN_S,
                      lambda group=group: group.committed() == ends)
        self.check_commits("all committed")
        if self.found:
            return
        self.target.kill()
        shutil.rmtree(old)
        os.rename(copy, old)
        self.start()
        self.check_commits("older data")
        self.verify("older data")

    def signal(self, number):
        for group in self.groups:
            for one in group.members:
                one.process.send_signal(number)


def parse_options(argv):
    parser = kill9.make_parser(__doc__)
    parser.add_argument("--canary", action="store_true")
    parser.add_argument("--timeout-factor", type=int, default=1, help="for slow binaries")
    parser.set_defaults(life_ms="100,700")
    return kill9.read_options(parser, argv)


def overrides(options, random_):
    session_ms = SESSION_MS * options.timeout_factor
    return ["group.initial.rebalance.delay.ms=0", f"group.min.session.timeout.ms={session_ms}",
            f"group.consumer.min.session.timeout.ms={session_ms}", f"group.consumer.session.timeout.ms={session_ms}",
            "group.consumer.min.heartbeat.interval.ms=200", "group.consumer.heartbeat.interval.ms=300",
            f"offsets.topic.num.partitions={OFFSETS_PARTITIONS}",
            f"offsets.topic.segment.bytes={random_.choice(SEGMENT_BYTES)}", *options.override]


def main(argv):
    options = parse_options(argv)
    keep = options.work_dir is not None
    options.work_dir = options.work_dir or tempfile.mkdtemp(prefix="odradek-kill9-groups-")
    print(f"kill9_groups: seed {options.seed}, {options.cycles} cycles, {options.work_dir}", flush=True)
    random_ = random.Random(options.seed)
    target = Odradek(options.binary, options.work_dir, options.io, overrides(options, random_), stable_port())
    torture = (Canary if options.canary else Groups)(options, target, random_)
    begin = time.monotonic()
    try:
        torture.run()
    except Exception as error:
        torture.found["start"].append(f"{type(error).__name__}: {error}")
    finally:
        torture.close()
        if target.alive():
            target.kill()
    failed = report(options, torture, time.monotonic() - begin)
    if not failed and not keep:
        shutil.rmtree(options.work_dir, ignore_errors=True)
    sys.stdout.flush()
    os._exit(1 if failed else 0)


def report(options, torture, seconds):
    found, kinds = torture.found, history.KINDS + group_history.KINDS + OTHER_KINDS
    if torture.load and torture.load.recorder.client_errors:
        found["client-error"] += torture.load.recorder.client_errors
    for kind, cases in found.items():
        print(f"{kind}: {len(cases)}, first:")
        print("".join(f"    {case}\n" for case in cases[:5]), end="")
    for group in torture.groups:
        progress = group.progress
        print(f"{group.name}: {group.started} members started, {progress.processed_count} processed,"
              f" {progress.answered_count} commits of partitions answered; reported: {dict(group.errors)}")
    acked = len(torture.load.recorder.acks) if torture.load else 0
    print(f"kill9_groups: cycles={options.cycles} seed={options.seed} io={options.io} seconds={seconds:.1f} acked={acked}"
          f" records={torture.records} " + " ".join(f"{key}={value}" for key, value in sorted(torture.counts.items()))
          + " killed_in=" + ",".join(f"{state}:{count}" for state, count in sorted(torture.states.items()))
          + " " + " ".join(f"{kind}={len(found.get(kind, []))}" for kind in kinds))
    if options.canary:
        noticed = CANARY_KIND in found and set(found) <= {CANARY_KIND, *CANARY_MORE}
        print(f"canary: {'noticed' if noticed else f'found {sorted(found)}, not {CANARY_KIND} alone'}")
        print(f"{int(noticed)} passed, {int(not noticed)} failed", flush=True)
        return not noticed
    if found:
        print(f"kept: {options.work_dir}\nserver said last:\n{torture.target.err_tail(3000)}")
    left_out = ""
    if MODERN not in GROUPS:
        print("left out: the group of KIP-848, Kafka's jars are not installed (tools/install-deps test)")
        left_out = ", 1 skipped"
    print(f"{len(kinds) - len(found)} passed, {len(found)} failed{left_out}", flush=True)
    return bool(found) or not acked


if __name__ == "__main__":
    main(sys.argv[1:])
