"""Goal: Kafka's own files of settings and the variables of its container images start the server unchanged, and
--print-config tells where each value comes from.
Method: the program itself, with files as Kafka's releases and common guides have them; what it says and its exit code.
usage: options_test.py ODRADEK"""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

BINARY = ""
KEYS_OF_BOTH = """
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""
COMBINED = KEYS_OF_BOTH + """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT
log.dirs=/tmp/kraft-combined-logs
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""
VOTERS = COMBINED + "controller.quorum.voters=1@localhost:9093\n"
BROKER_ONLY = COMBINED.replace("broker,controller", "broker").replace("node.id=1", "node.id=2") + """
listeners=PLAINTEXT://localhost:9092
"""
ZOOKEEPER = KEYS_OF_BOTH + """
broker.id=0
log.dirs=/tmp/kafka-logs
zookeeper.connect=localhost:2181
zookeeper.connection.timeout.ms=18000
group.initial.rebalance.delay.ms=0
"""
OLD_AND_LARGE = KEYS_OF_BOTH + """
broker.id=7
listeners=INSIDE://0.0.0.0:9092,OUTSIDE://0.0.0.0:19092
advertised.listeners=INSIDE://kafka:9092,OUTSIDE://localhost:19092
listener.security.protocol.map=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT
inter.broker.listener.name=INSIDE
log.dirs=/disk1/kafka,/disk2/kafka, /disk3/kafka
zookeeper.connect=zk1:2181,zk2:2181,zk3:2181/chroot
zookeeper.session.timeout.ms=6000
zookeeper.set.acl=true
inter.broker.protocol.version=3.6
log.message.format.version=2.8-IV1
log.cleaner.enable=true
delete.topic.enable=true
auto.leader.rebalance.enable=true
controlled.shutdown.max.retries=3
offsets.commit.required.acks=-1
password.encoder.secret=x
unclean.leader.election.enable=false
confluent.support.metrics.enable=false
"""


def run(arguments, text=None, variables=None):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("KAFKA_")}
    environment.update(variables or {})
    command = [BINARY, "serve", *arguments]
    with tempfile.TemporaryDirectory() as folder:
        if text is not None:
            path = os.path.join(folder, "server.properties")
            with open(path, "w") as file:
                file.write(text)
            command += ["--config", path]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=20, env=environment)
    return done.returncode, done.stdout, done.stderr


def settings(text=None, *arguments, variables=None):
    """Key to what --print-config --json says, and what was said to the operator."""
    code, out, err = run(["--print-config", "--json", *arguments], text, variables)
    if code != 0:
        raise AssertionError(f"exit {code}: {err}")
    return {row["key"]: row for row in json.loads(out)}, err


class Files(unittest.TestCase):
    def test_what_kafka_ships_is_accepted(self):
        for name, text in (("combined", COMBINED), ("voters", VOTERS), ("broker", BROKER_ONLY),
                           ("zookeeper", ZOOKEEPER), ("old", OLD_AND_LARGE)):
            with self.subTest(name):
                got, err = settings(text)
                self.assertNotIn("unknown setting", err)
                self.assertEqual(got["num.partitions"]["value"], "1")

    def test_one_line_for_all_that_has_no_effect(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "data")
            inside, outside = free_port(), free_port()
            out, err = start_and_stop(OLD_AND_LARGE.replace("INSIDE://0.0.0.0:9092", f"INSIDE://127.0.0.1:{inside}")
                                      .replace("OUTSIDE://0.0.0.0:19092", f"OUTSIDE://localhost:{outside}")
                                      .replace("/disk1/kafka", path), [inside, outside])
        self.assertIn(f"data={path}", out)
        lines = [line for line in err.splitlines() if "no effect" in line]
        self.assertEqual(len(lines), 1, err)
        for key in ("num.io.threads", "zookeeper.connect", "zookeeper.set.acl", "password.encoder.secret"):
            self.assertIn(key, lines[0])
        self.assertNotIn("num.partitions", lines[0])

    def test_controllers_listener_and_more_folders_are_told_of(self):
        _, err = settings(COMBINED)
        self.assertIn("listeners: CONTROLLER is for Kafka's controllers and is not opened", err)
        _, err = settings(OLD_AND_LARGE)
        self.assertIn("first folder, /disk1/kafka;", err)

    def test_old_names_count(self):
        code, out, _ = run(["--print-config"], ZOOKEEPER)
        self.assertEqual(code, 0)
        self.assertIn("broker.id=0 # ", out)
        self.assertIn("node.id=0 # default\n", out)

    def test_a_mistake_is_named_with_its_line(self):
        code, _, err = run(["--print-config"], "a=b\nnum.partitions=many\n")
        self.assertEqual(code, 2)
        self.assertIn("server.properties: line 2: num.partitions", err)
        self.assertIn("a: unknown setting, ignored", err)


class Listeners(unittest.TestCase):
    def refused(self, text, *parts):
        code, out, err = run([], text + "\nlog.dirs=/nowhere/at/all\n")
        self.assertEqual((code, out), (2, ""), err)
        for part in parts:
            self.assertIn(part, err)

    def test_encryption_and_authentication_are_refused_by_name(self):
        self.refused("listeners=PLAINTEXT://:9092,SASL_SSL://:9093", "SASL_SSL speaks SASL_SSL", "take it out of")
        self.refused("listeners=IN://:9092\nlistener.security.protocol.map=IN:SASL_PLAINTEXT",
                     "IN speaks SASL_PLAINTEXT", "listener.security.protocol.map=IN:PLAINTEXT")
        self.refused("listeners=SSL://:9092", "SSL speaks SSL")

    def test_other_mistakes_say_what_to_do(self):
        self.refused("listeners=IN://:9092", "add IN:PLAINTEXT to listener.security.protocol.map")
        self.refused("listeners=CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER", "none for clients")
        self.refused("listeners=PLAINTEXT://:9092,plaintext://:9093\n"
                     "listener.security.protocol.map=PLAINTEXT:PLAINTEXT", "stands there twice")
        self.refused("listeners=PLAINTEXT://no-such-host.invalid:9092", "no address is known")


    def test_the_command_line_listens_instead(self):
        with tempfile.TemporaryDirectory() as folder:
            out, err = start_and_stop("listeners=SASL_SSL://:9092,CONTROLLER://:9093\n"
                                      "controller.listener.names=CONTROLLER\n"
                                      f"log.dirs={folder}/made/on/the/way\n", [], extra=["--listen", "127.0.0.1:0"])
            self.assertTrue(os.path.isdir(f"{folder}/made/on/the/way"))
        self.assertIn("kafka=127.0.0.1:", out)
        self.assertNotIn("CONTROLLER", err)


class Environment(unittest.TestCase):
    def test_names_of_the_images(self):
        got, err = settings(None, variables={
            "KAFKA_LOG_RETENTION_MS": "1234", "KAFKA_CFG_NUM_PARTITIONS": "3", "KAFKA_NODE_ID": "5",
            "KAFKA_PROCESS_ROLES": "broker,controller", "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER", "KAFKA_CONTROLLER_QUORUM_VOTERS": "5@localhost:9093",
            "KAFKA_HEAP_OPTS": "-Xmx1g", "KAFKA_JMX_PORT": "9", "KAFKA_PORT": "tcp://10.0.0.1:9092",
            "KAFKA_PORT_9092_TCP_ADDR": "10.0.0.1", "KAFKA_SERVICE_HOST": "10.0.0.1"})
        self.assertNotIn("unknown", err)
        self.assertEqual({key: got[key]["value"] for key in ("log.retention.ms", "num.partitions", "node.id")},
                         {"log.retention.ms": "1234", "num.partitions": "3", "node.id": "5"})
        self.assertEqual(got["num.partitions"]["origin"], "environment KAFKA_CFG_NUM_PARTITIONS")

    def test_underscores(self):
        _, err = settings(None, variables={"KAFKA_A__B___C_D": "1"})
        self.assertIn("a_b-c.d: unknown setting, ignored", err)

    def test_a_mistake_is_named(self):
        code, _, err = run(["--print-config"], variables={"KAFKA_NUM_PARTITIONS": "many"})
        self.assertEqual(code, 2)
        self.assertIn("num.partitions", err)


class Origins(unittest.TestCase):
    def test_the_strongest_wins_and_is_named(self):
        text = "# first\nnum.partitions=2\nmessage.max.bytes=2000\n\nlog.retention.ms=5\nssl.key.password=hush-hush\n"
        got, err = settings(text, "--override", "log.retention.ms=7",
                            variables={"KAFKA_MESSAGE_MAX_BYTES": "3000", "KAFKA_LOG_RETENTION_MS": "6"})

        def of(key):
            return got[key]["value"], got[key]["origin"].split("/")[-1]

        self.assertEqual(of("num.partitions"), ("2", "server.properties:2"))
        self.assertEqual(of("message.max.bytes"), ("3000", "environment KAFKA_MESSAGE_MAX_BYTES"))
        self.assertEqual(of("log.retention.ms"), ("7", "command line"))
        self.assertEqual(of("log.retention.bytes"), ("-1", "default"))
        self.assertEqual(got["ssl.key.password"]["value"], None)
        self.assertTrue(got["ssl.key.password"]["sensitive"] and got["ssl.key.password"]["set"])
        self.assertFalse("hush-hush" in err + json.dumps(got))

    def test_text_says_the_same(self):
        text = "num.partitions=2\nnum.io.threads=4\nssl.key.password=hush-hush\n"
        code, out, _ = run(["--print-config"], text)
        self.assertEqual(code, 0)
        lines = {line.split("=", 1)[0]: line for line in out.splitlines()}
        self.assertRegex(lines["num.partitions"], r"^num.partitions=2 # .*server.properties:1$")
        self.assertRegex(lines["num.io.threads"], r"^num.io.threads=4 # .*server.properties:2, no effect$")
        self.assertRegex(lines["ssl.key.password"], r"^ssl.key.password=\(hidden\) # .*:3, no effect$")
        self.assertEqual(len(lines), len(settings(text)[0]))
        self.assertFalse("hush-hush" in out)


class Backend(unittest.TestCase):
    def test_the_file_chooses_it(self):
        for name in ("epoll", "auto"):
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                links = []
                start_and_stop(f"listeners=PLAINTEXT://127.0.0.1:0\nlog.dirs={folder}/data\nio.backend={name}\n", [],
                               lambda pid: links.extend(open_files(pid)))
                self.assertIn("anon_inode:[eventpoll]" if name == "epoll" else "socket:", " ".join(links))
                if name == "epoll":
                    self.assertNotIn("anon_inode:[io_uring]", links)


class Limits(unittest.TestCase):
    def served(self, setting, talk, also=""):
        """What talk returns of a connection to a server with a setting."""
        port, answers = free_port(), []
        with tempfile.TemporaryDirectory() as folder:
            def meanwhile(pid):
                with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                    answers.append(talk(connection, pid))
            start_and_stop(f"listeners=PLAINTEXT://127.0.0.1:{port}\nlog.dirs={folder}/data\n{setting}\n{also}", [],
                           meanwhile)
        return answers[0]

    def is_closed(self, connection):
        connection.settimeout(1)
        try:
            return connection.recv(1) == b""
        except socket.timeout:
            return False
        except ConnectionError:
            return True

    def test_idle_connections_are_closed(self):
        for setting, closed in (("connections.max.idle.ms=100", True), ("", False)):
            with self.subTest(setting):
                self.assertEqual(self.served(setting, lambda connection, _: self.is_closed(connection)), closed)

    def test_unfinished_frames_are_cut_off(self):
        def talk(connection, _):
            connection.sendall(b"\0\0")
            return self.is_closed(connection)

        for setting, closed in (("frame.timeout.ms=100", True), ("", False)):
            with self.subTest(setting):
                self.assertEqual(self.served(setting, talk), closed)

    def test_frames_that_are_too_large_end_the_connection(self):
        def talk(connection, _):
            connection.sendall(struct.pack(">i", 100000))
            return self.is_closed(connection)

        for setting, closed in (("socket.request.max.bytes=50000", True), ("", False)):
            with self.subTest(setting):
                self.assertEqual(self.served(setting, talk), closed)

    def test_reactors_are_threads(self):
        def threads(_, pid):
            return len(os.listdir(f"/proc/{pid}/task"))

        one, three = (self.served(f"num.reactors={count}", threads, "io.backend=epoll\n") for count in (1, 3))
        self.assertGreaterEqual(three, one + 2)

    def test_the_older_name_of_the_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            out, _ = start_and_stop(f"listeners=PLAINTEXT://127.0.0.1:0\nlog.dir={folder}/older\n", [])
        self.assertIn(f"data={folder}/older", out)


def open_files(pid):
    folder = f"/proc/{pid}/fd"
    return [os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]


def free_port():
    """Nobody else gets it soon: the kernel hands out these in turn."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_and_stop(text, ports, meanwhile=lambda pid: None, extra=()):
    """Runs the server with a file of settings until it is ready and listens; its output, and what it said."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "server.properties")
        with open(path, "w") as file:
            file.write(text)
        process = subprocess.Popen([BINARY, "serve", "--config", path, *extra], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            ready, _, _ = select.select([process.stdout], [], [], 20)
            first = process.stdout.readline() if ready else ""
            for port in ports if first else []:
                socket.create_connection(("127.0.0.1", port), timeout=20).close()
            meanwhile(process.pid)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
            process.wait()
    if process.returncode != 0 or not first:
        raise AssertionError(f"exit {process.returncode}: {first}{out}{err}")
    return first + out, err


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main()
