"""Kafka's command line tools, run inside one warm virtual machine (see java/ToolBox.java)."""

import json
import os
import socket
import subprocess
import time

from harness.target import ROOT

JARS = os.path.join(ROOT, "build-java", "jars")
OLDER_CLIENTS = os.path.join(ROOT, "build-java", "older")
CONSOLES = {"kafka-ui": "3.9.1", "akhq": "3.6.2"}  # and the clients that they are built with
JAVA_DIR = os.path.join(ROOT, "tests", "e2e", "java")
LOG4J = os.path.join(JAVA_DIR, "log4j2.properties")
START_TIMEOUT_S = 60
TOOLS = "org.apache.kafka.tools."


def missing():
    """Why tests that need a Java machine cannot run, or None."""
    return None if os.path.isdir(OLDER_CLIENTS) else "Kafka's jars are not installed (tools/install-deps test)"


class ToolResult:
    def __init__(self, answer):
        self.exit, self.out, self.err = answer["exit"], answer["out"], answer["err"]

    def __str__(self):
        return f"exit {self.exit}\nout:\n{self.out}\nerr:\n{self.err}"


def full_name(main):
    return main if main.startswith(("org.", "kafka.")) else TOOLS + main


def java_command(*more):
    return ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={LOG4J}", "-cp", JARS + "/*", *more]


def call_alone(main, *args, stdin="", timeout_s=60):
    """Like Jvm.call, in a machine of its own: for tools that finish in a hook of the machine's end."""
    command = java_command(full_name(main), *[str(arg) for arg in args])
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=timeout_s)
    return ToolResult({"exit": done.returncode, "out": done.stdout, "err": done.stderr})


class Jvm:
    """The machine is started by the first call, by whichever test makes it; `stop` ends it."""

    def __init__(self, work_dir):
        self.socket_path = os.path.join(work_dir, "jvm.sock")
        self.pid_path = os.path.join(work_dir, "jvm.pid")
        self.err_path = os.path.join(work_dir, "jvm.err")

    def start(self):
        self.stop()
        command = java_command(os.path.join(JAVA_DIR, "ToolBox.java"), self.socket_path)
        with open(self.err_path, "ab") as err:
            # Its own session: it outlives the test that happens to start it.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                                       start_new_session=True)
        with open(self.pid_path, "w") as file:
            file.write(str(process.pid))

    def running(self):
        pid = self._pid()
        if pid is None:
            return False
        try:
            with open(f"/proc/{pid}/stat") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False

    def _pid(self):
        try:
            with open(self.pid_path) as file:
                return int(file.read())
        except (FileNotFoundError, ValueError):
            return None

    def stop(self):
        if self.running():
            os.kill(self._pid(), 9)
            while self.running():
                time.sleep(0.01)
        for path in (self.pid_path, self.socket_path):
            if os.path.exists(path):
                os.unlink(path)

    def _connect(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        if not self.running():
            self.start()
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(self.socket_path)
                return connection
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
                if not self.running() or time.monotonic() > deadline:
                    with open(self.err_path, errors="replace") as err:
                        raise RuntimeError("the tools' machine did not start: " + err.read()[-2000:]) from None
                time.sleep(0.05)

    def call(self, main, *args, stdin=""):
        """Runs main(args) with the given standard input, waits, returns its ToolResult."""
        request = {"main": full_name(main), "args": [str(arg) for arg in args], "stdin": stdin}
        with self._connect() as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = connection.makefile("rb").readline()
        if not answer:
            raise RuntimeError(f"{main} ended the tools' machine")
        return ToolResult(json.loads(answer))
