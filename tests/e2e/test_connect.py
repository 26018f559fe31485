"""Kafka Connect's distributed worker, as released: lines of a file through a topic into another file. It keeps all it
knows in three compacted topics, which it asks for with three replicas, and its workers are a group of a kind of its own."""

import json
import os
import urllib.error
import urllib.request

from harness.apps import Daemon
from harness.case import case, check, equal
from harness.clients import admin, read_all
from harness.jvm import java_command
from harness.target import stable_port
from test_java import tool
from test_java_groups import GROUPS, rows

FILE = "org.apache.kafka.connect.file.FileStream"
STORES = {"config": 1, "offset": 25, "status": 5}  # and how many partitions Connect gives them


class Connect:
    """A worker with its REST address."""

    def __init__(self, t, bootstrap):
        self.folder, self.port, self.prefix = t.work_dir, stable_port(), t.unique
        settings = {
            "bootstrap.servers": bootstrap, "group.id": f"{t.unique}-workers", "listeners": f"http://127.0.0.1:{self.port}",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.storage.StringConverter",
            "offset.flush.interval.ms": 500, "plugin.discovery": "service_load",
            # A worker that is killed stays a member until its session ends.
            "session.timeout.ms": 6000, "heartbeat.interval.ms": 500, "scheduled.rebalance.max.delay.ms": 0,
        }
        for store in STORES:
            settings[f"{store}.storage.topic"] = self.store(store)
            settings[f"{store}.storage.replication.factor"] = 3
        self.properties = os.path.join(self.folder, "connect.properties")
        with open(self.properties, "w") as file:
            file.write("".join(f"{key}={value}\n" for key, value in settings.items()))

    def store(self, name):
        return f"{self.prefix}-{name}"

    def start(self):
        return Daemon(os.path.join(self.folder, "connect.out"), *java_command(
            "org.apache.kafka.connect.cli.ConnectDistributed", self.properties), timeout_s=30)

    def asked(self, path, body=None):
        """What the REST API answers; None while it does not, or is busy with a rebalance."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{path}", method="PUT" if body else "GET",
                                         data=json.dumps(body).encode() if body else None,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            check(error.code in (404, 409, 500, 503), f"{path}: {error.code} {error.read()}")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        return None

    def runs(self, name):
        """True when the connector and its one task say that they run."""
        status = self.asked(f"connectors/{name}/status") or {"connector": {}, "tasks": []}
        check(all(task["state"] != "FAILED" for task in status["tasks"]), str(status))
        return [one.get("state") for one in [status["connector"], *status["tasks"]]] == ["RUNNING"] * 2


def lines_of(path):
    try:
        with open(path) as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def write(path, lines, mode):
    with open(path, mode) as file:
        file.write("".join(line + "\n" for line in lines))


@case(timeout_s=150, needs=["jvm", "control"], once=True, long=True)
def connect_takes_a_file_to_a_file(t):
    server = t.private_target(["group.initial.rebalance.delay.ms=0"])
    server.start()
    connect = Connect(t, server.bootstrap)
    source, sink = t.path("in.txt"), t.path("out.txt")
    lines = [f"line {i}" for i in range(500)]
    write(source, lines[:300], "w")
    connectors = {"source": {"connector.class": f"{FILE}SourceConnector", "tasks.max": 1, "file": source, "topic": t.topic},
                  "sink": {"connector.class": f"{FILE}SinkConnector", "tasks.max": 1, "file": sink, "topics": t.topic}}
    with connect.start() as worker:
        worker.wait_until(lambda: connect.asked(""), "Connect", 60)
        for name, config in connectors.items():
            worker.wait_until(lambda: connect.asked(f"connectors/{name}/config", config), name, 30)
        worker.wait_until(lambda: all(map(connect.runs, connectors)), "both connectors", 30)
        worker.wait_until(lambda: len(lines_of(sink)) >= 300, "lines in the file", 30)
        equal(worker.stop(), 128 + 15, "exit code")
    write(source, lines[300:], "a")
    with connect.start() as worker:
        worker.wait_until(lambda: len(lines_of(sink)) >= 500, "lines that came while no worker was there", 60)
        worker.wait_until(lambda: all(map(connect.runs, connectors)), "both connectors", 30)
        equal(sorted(connect.asked("connectors")), ["sink", "source"], "connectors, as they were kept")
        listed = {line.split()[0]: line.split()[1:] for line in
                  tool(t, "GroupsCommand", "--list", bootstrap=server.bootstrap).out.splitlines() if line.strip()}
        equal((listed[f"{t.unique}-workers"], listed["connect-sink"]), (["Classic", "connect"], ["Classic", "consumer"]),
              "kinds of the groups")
    equal(lines_of(sink), lines, "lines that came out")
    equal([message.value().decode() for message in read_all(server.bootstrap, t.topic)], lines, "records")
    (row,) = rows(tool(t, GROUPS, "--describe", "--group", "connect-sink", bootstrap=server.bootstrap).out)
    equal((row["CURRENT-OFFSET"], row["LAG"]), ("500", "0"), "offsets of the sink")
    topics = admin(server.bootstrap).list_topics(timeout=10).topics
    equal({store: len(topics[connect.store(store)].partitions) for store in STORES}, STORES, "partitions of its topics")
    for store in STORES:
        out = tool(t, "kafka.admin.ConfigCommand", "--entity-type", "topics", "--entity-name", connect.store(store),
                   "--describe", bootstrap=server.bootstrap).out
        check("cleanup.policy=compact " in out, out)
