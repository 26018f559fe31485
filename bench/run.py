#!/usr/bin/env python3
"""Measures Odradek against this machine's limits and against Apache Kafka, in one run, as ratios.

  bench/run.py --build BUILD [--dir DIR] [--only NAME,...] [--seconds N] [--json FILE] [--no-kafka]

Sections: start, throughput, latency, flushes, idle, groups. DIR is where data directories are made (default: a temporary one
beside the build). Servers listen on loopback and are ended by their process ids.
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TICKS = os.sysconf("SC_CLK_TCK")


def sh(arguments, **more):
    return subprocess.run(arguments, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, **more).stdout


LIVE = []  # servers that run: ended also when a section fails


class Odradek:
    name = "odradek"

    def __init__(self, run, *overrides, data=None):
        self.data = data or tempfile.mkdtemp(prefix="odradek-", dir=run.dir)
        command = [run.binary, "serve", "--data-dir", self.data, "--listen", "127.0.0.1:0"]
        for override in overrides:
            command += ["--override", override]
        begun = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(self.data + ".err", "w"), text=True)
        line = self.process.stdout.readline()
        self.start_ms = (time.monotonic() - begun) * 1000
        found = re.search(r"ready in (\d+) ms kafka=(\S+)", line)
        if not found:
            raise SystemExit(f"odradek did not start: {line!r}, see {self.data}.err")
        self.ready_ms, self.broker, self.pid = int(found.group(1)), found.group(2), self.process.pid
        LIVE.append(self)

    def stop(self, keep=False):
        LIVE.remove(self)
        self.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        self.process.wait(120)
        self.stop_ms = (time.monotonic() - begun) * 1000
        if not keep:
            shutil.rmtree(self.data)
            os.unlink(self.data + ".err")


class Kafka:
    name = "kafka"

    def __init__(self, run, *overrides):
        self.data = tempfile.mkdtemp(prefix="kafka-", dir=run.dir)
        command = ["bash", os.path.join(HERE, "peer", "kafka.sh"), "start", "--data-dir", self.data]
        for override in overrides:
            command += ["--override", override]
        line = sh(command)
        found = re.search(r"ready in (\d+) ms pid=(\d+) kafka=(\S+)", line)
        if not found:
            raise SystemExit(f"kafka did not start: {line!r}")
        self.ready_ms, self.pid, self.broker = int(found.group(1)), int(found.group(2)), found.group(3)
        LIVE.append(self)

    def stop(self):
        LIVE.remove(self)
        sh(["bash", os.path.join(HERE, "peer", "kafka.sh"), "stop", "--data-dir", self.data])
        shutil.rmtree(self.data)


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as handle:
        fields = handle.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as handle:
        return int(re.search(r"VmRSS:\s+(\d+)", handle.read()).group(1)) / 1024


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def device_of(path):
    number = os.stat(path).st_dev
    with open("/proc/diskstats", encoding="ascii") as handle:
        for line in handle:
            fields = line.split()
            if int(fields[0]) == os.major(number) and int(fields[1]) == os.minor(number):
                return fields[2]
    return None


def flush_count(device):
    """Cache flushes that the device has completed (field 16 of its stat line)."""
    with open("/proc/diskstats", encoding="ascii") as handle:
        for line in handle:
            fields = line.split()
            if fields[2] == device:
                return int(fields[18]) if len(fields) > 18 else None
    return None


class Run:
    def __init__(self, options):
        self.options = options
        self.build = os.path.abspath(options.build)
        self.binary = os.path.join(self.build, "tools", "odradek")
        self.dir = os.path.abspath(options.dir or tempfile.mkdtemp(prefix="bench-", dir=self.build))
        os.makedirs(self.dir, exist_ok=True)
        self.results = {}

    def tool(self, name, *arguments):
        return sh([os.path.join(self.build, "bench", name), *arguments])

    def topic(self, broker, name, partitions):
        """Kafka answers before its leaders are ready: a first record to every partition is retried until they are."""
        sh([self.binary, "topic", "create", name, "-p", str(partitions), "-b", broker])
        for _ in range(60):
            warm = subprocess.run([os.path.join(self.build, "bench", "load"), "--broker", broker, "--topic", name,
                                   "--partitions", str(partitions), "--seconds", "0.2", "--outstanding", "32"],
                                  capture_output=True, stdin=subprocess.DEVNULL, check=False)
            if warm.returncode == 0:
                return
            time.sleep(0.5)
        raise SystemExit(f"{name} on {broker} does not accept records")

    def record(self, section, **values):
        self.results.setdefault(section, {}).update(values)
        for key, value in values.items():
            print(f"{section:11} {key:46} {value if not isinstance(value, float) else round(value, 3)}", flush=True)

    def peers(self, *kafka_overrides):
        yield Odradek(self)
        if not self.options.no_kafka:
            yield Kafka(self, *kafka_overrides)

    def dsync(self):
        """The machine's own O_DSYNC write of 4 KiB."""
        rows = [json.loads(line) for line in self.tool("limits", "--dir", self.dir, "--seconds", "1", "--json").splitlines()]
        return next(row for row in rows if "4 KiB" in row["name"] and "p50_us" in row)

    def load(self, broker, topic, **options):
        arguments = ["--broker", broker, "--topic", topic, "--json", "--seconds", str(self.options.seconds)]
        for key, value in options.items():
            arguments += ["--" + key.replace("_", "-"), str(value)]
        return json.loads(self.tool("load", *arguments))


def section_start(run):
    starts, rss = [], []
    for _ in range(5):
        server = Odradek(run)
        starts.append(server.start_ms)
        time.sleep(1)
        rss.append(rss_mb(server.pid))
        before = cpu_s(server.pid)
        time.sleep(2)
        idle_cpu = cpu_s(server.pid) - before
        server.stop()
    run.record("start", exec_to_ready_ms_median=sorted(starts)[2], idle_rss_mb_median=sorted(rss)[2],
               idle_cpu_s_in_2_s=idle_cpu)
    if not run.options.no_kafka:
        kafka = Kafka(run)
        run.record("start", kafka_ready_ms=kafka.ready_ms, kafka_rss_mb=rss_mb(kafka.pid))
        kafka.stop()


def section_throughput(run):
    """1 KiB records, 16 partitions, one librdkafka producer; Kafka with its unsynced default."""
    figures = {}
    records = 1_000_000 if run.options.seconds >= 5 else 200_000
    for server in run.peers():
        run.topic(server.broker, "bench", 16)
        arguments = ["--broker", server.broker, "--topic", "bench", "--json"]
        run.tool("rdload", *arguments, "--records", str(records // 5))
        before = cpu_s(server.pid)
        result = json.loads(run.tool("rdload", *arguments, "--records", str(records)))
        cpu_per_gb = (cpu_s(server.pid) - before) / (records * 1024 / 1e9)
        figures[server.name] = (result["mb_per_s"], cpu_per_gb)
        run.record("throughput", **{server.name + "_mb_per_s": result["mb_per_s"],
                                    server.name + "_cpu_s_per_gb": cpu_per_gb,
                                    server.name + "_client_cpu_s": result["client_cpu_s"]})
        server.stop()
    if "kafka" in figures:
        run.record("throughput", mb_per_s_ratio=figures["odradek"][0] / figures["kafka"][0],
                   cpu_per_gb_ratio=figures["odradek"][1] / figures["kafka"][1])


def section_latency(run):
    """One outstanding 1 KiB record, beside the machine's own O_DSYNC write of 4 KiB, three rounds interleaved."""
    ratios50, ratios99 = [], []
    server = Odradek(run)
    run.topic(server.broker, "one", 1)
    run.load(server.broker, "one")
    for _ in range(3):
        write = run.dsync()
        ours = run.load(server.broker, "one")
        ratios50.append(ours["p50_ms"] * 1000 / write["p50_us"])
        ratios99.append(ours["p99_ms"] * 1000 / write["p99_us"])
        run.record("latency", dsync_p50_us=write["p50_us"], dsync_p99_us=write["p99_us"], p50_us=ours["p50_ms"] * 1000,
                   p99_us=ours["p99_ms"] * 1000)
    run.record("latency", p50_ratio_median=sorted(ratios50)[1], p99_ratio_median=sorted(ratios99)[1])
    server.stop()


def section_flushes(run):
    """1 KiB batches to many partitions: flushes per second must not follow the partitions."""
    device = device_of(run.dir)
    figures = {}
    for server in run.peers("log.flush.interval.messages=1"):
        for partitions in (16, 1000):
            topic = f"many{partitions}"
            run.topic(server.broker, topic, partitions)
            run.load(server.broker, topic, partitions=partitions, connections=16, outstanding=32)
            before, flushes = time.monotonic(), flush_count(device)
            result = run.load(server.broker, topic, partitions=partitions, connections=16, outstanding=32)
            seconds = time.monotonic() - before
            rate = (flush_count(device) - flushes) / seconds if flushes is not None else -1.0
            figures[server.name, partitions] = result["records_per_s"]
            run.record("flushes", **{f"{server.name}_{partitions}_partitions_records_per_s": result["records_per_s"],
                                     f"{server.name}_{partitions}_partitions_flushes_per_s": rate,
                                     f"{server.name}_{partitions}_partitions_p99_ms": result["p99_ms"]})
        server.stop()
    if ("kafka", 1000) in figures:
        run.record("flushes", ratio_1000_partitions=figures["odradek", 1000] / figures["kafka", 1000])


def section_idle(run):
    """100,000 partitions that nobody uses."""
    server = Odradek(run)
    begun = time.monotonic()
    for index in range(10):
        sh([run.binary, "topic", "create", f"idle{index}", "-p", "10000", "-b", server.broker])
    run.record("idle", create_100000_s=time.monotonic() - begun)
    server.stop(keep=True)
    again = Odradek(run, data=server.data)
    time.sleep(1)
    run.record("idle", clean_stop_ms=server.stop_ms, clean_restart_ms=again.start_ms, rss_mb=rss_mb(again.pid),
               descriptors=descriptors(again.pid))
    again.stop()


GROUP_DELAY_MS = 1000


def groups_offsets(run, server, groups):
    """Commits of 64 clients, with one and with eight in flight each; flushes of the device meanwhile, and what the
    device can do at that moment."""
    device = device_of(run.dir)
    write = run.dsync()
    run.record("groups", dsync_p50_us=write["p50_us"], dsync_p99_us=write["p99_us"])
    for outstanding in (1, 8):
        options = dict(connections=64, outstanding=outstanding, prefix=f"commit{outstanding}", seconds=run.options.seconds)
        groups("commit", **options)
        cpu, begun, flushes = cpu_s(server.pid), time.monotonic(), flush_count(device)
        result = groups("commit", **options)
        seconds = time.monotonic() - begun
        rate = (flush_count(device) - flushes) / seconds if flushes is not None else -1.0
        run.record("groups", **{f"{server.name}_commits_per_s_64x{outstanding}": result["commits_per_s"],
                                f"{server.name}_commits_p99_ms_64x{outstanding}": result["p99_ms"],
                                f"{server.name}_flushes_per_s_64x{outstanding}": rate,
                                f"{server.name}_cpu_s_per_s_64x{outstanding}": (cpu_s(server.pid) - cpu) / seconds})


def groups_idle(run, server, groups):
    """10,000 groups with an offset each; then the lag of 10,000 partitions of groups, in two shapes."""
    before = rss_mb(server.pid)
    groups("fill", groups=10000, prefix="idle")
    run.record("groups", **{f"{server.name}_rss_mb_of_10000_groups": rss_mb(server.pid) - before})
    groups("fill", groups=100, group_partitions=100, prefix="wide")
    for name, options in (("10000x1", dict(groups=10000, prefix="idle")),
                          ("100x100", dict(groups=100, group_partitions=100, prefix="wide"))):
        result = groups("lag", **options)
        run.record("groups", **{f"{server.name}_lag_{name}_p50_ms": result["p50_ms"],
                                f"{server.name}_lag_{name}_max_ms": result["max_ms"]})


def groups_members(run, server, groups):
    """100 members at once; a reader more for 60 partitions of four."""
    result = groups("join", members=100, prefix="join", delay_ms=GROUP_DELAY_MS)
    run.record("groups", **{f"{server.name}_join_100_{key}": result[key]
                            for key in ("waits_of_the_delay", "beyond_the_delay_ms", "one_more_ms")})
    run.topic(server.broker, "moved", 60)
    result = groups("move", members=4, prefix="move", topic="moved", partitions=60)
    run.record("groups", **{f"{server.name}_move_{key}": result[key]
                            for key in ("moved", "stayed", "read_on", "longest_gap_of_stayed_ms",
                                        "longest_pause_of_moved_ms", "settled_ms")})


def groups_restart(run, server, overrides):
    """How long until the first group of all that answers again: what was committed is read back from its log."""
    server.stop(keep=True)
    again = Odradek(run, *overrides, data=server.data)
    begun = time.monotonic()
    run.tool("groups", "lag", "--broker", again.broker, "--topic", "groups", "--partitions", "100", "--groups", "10000",
             "--prefix", "idle", "--rounds", "1")
    run.record("groups", odradek_restart_ready_ms=again.start_ms,
               odradek_restart_all_groups_read_ms=(time.monotonic() - begun) * 1000,
               odradek_restart_rss_mb=rss_mb(again.pid))
    return again


def section_groups(run):
    """Consumer groups over plain connections: committing, being many, lag, joining, moving."""
    overrides = [f"group.initial.rebalance.delay.ms={GROUP_DELAY_MS}"]
    for start in [Odradek] if run.options.no_kafka else [Odradek, Kafka]:
        server = start(run, *overrides)
        run.topic(server.broker, "groups", 100)

        def groups(name, **options):
            arguments = [name, "--broker", server.broker]
            for key, value in {"topic": "groups", "partitions": 100, **options}.items():
                arguments += ["--" + key.replace("_", "-"), str(value)]
            return json.loads(run.tool("groups", *arguments))

        for part in (groups_idle, groups_offsets, groups_members):
            part(run, server, groups)
        if start is Odradek:
            server = groups_restart(run, server, overrides)
        server.stop()


SECTIONS = {"start": section_start, "throughput": section_throughput, "latency": section_latency,
            "flushes": section_flushes, "idle": section_idle, "groups": section_groups}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--dir")
    parser.add_argument("--only", default=",".join(SECTIONS))
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--json")
    parser.add_argument("--no-kafka", action="store_true")
    run = Run(parser.parse_args())
    try:
        for name in run.options.only.split(","):
            SECTIONS[name](run)
    finally:
        for server in list(LIVE):
            server.stop()
    if run.options.json:
        with open(run.options.json, "w", encoding="utf-8") as handle:
            json.dump(run.results, handle, indent=1)


if __name__ == "__main__":
    sys.exit(main())
