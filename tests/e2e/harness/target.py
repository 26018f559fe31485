"""The servers that tests talk to.

A target is started, stopped, killed and started again on the same data and the same port. It is always ended
by its own process id. Three kinds: Odradek, Apache Kafka (to prove the tests themselves) and a server that
somebody else started.
"""

import os
import random
import re
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 30


class TargetError(Exception):
    pass


def process_rss_kb(pid):
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise TargetError(f"pid {pid} has no VmRSS")


def stable_port():
    """A free port that the kernel gives to nobody else, for a server that will start again on it: clients that
    try to connect meanwhile would otherwise sooner or later be given this very port, and be connected to
    themselves."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as limits:
        first_ephemeral = int(limits.read().split()[0])
    while True:
        port = random.randrange(10_000, first_ephemeral)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Odradek:
    """One `odradek serve` process. Its standard error is kept in DIR/server.err, over all starts."""

    kind = "odradek"

    def __init__(self, binary, work_dir, io="auto", overrides=(), port=0):
        self.binary = binary
        self.work_dir = work_dir
        self.data_dir = os.path.join(work_dir, "data")
        self.io = io
        self.overrides = list(overrides)
        self.extra_args = []
        self.host, self.port = "127.0.0.1", port
        self.process = None
        self.ready_line = None
        self.err_path = os.path.join(work_dir, "server.err")
        os.makedirs(work_dir, exist_ok=True)

    @property
    def label(self):
        return self.io

    @property
    def bootstrap(self):
        return f"{self.host}:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def command(self):
        command = [self.binary, "serve", "--data-dir", self.data_dir, "--listen", f"{self.host}:{self.port}",
                   "--http", "off", "--io", self.io]
        for override in self.overrides:
            command += ["--override", override]
        return command + self.extra_args

    def start(self):
        """Returns the seconds until the ready line."""
        begin = time.monotonic()
        with open(self.err_path, "ab") as err:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=err)
        line = self._read_line(begin + START_TIMEOUT_S)
        match = re.match(r"odradek \S+ ready in (\d+) ms kafka=([\d.]+):(\d+) http=\S+ data=(.*)$", line)
        if not match:
            self.kill()
            raise TargetError(f"no ready line, got {line!r}\n{self.err_tail()}")
        self.ready_line = line
        self.port = int(match.group(3))
        return time.monotonic() - begin

    def _read_line(self, deadline):
        fd = self.process.stdout.fileno()
        os.set_blocking(fd, False)
        line = b""
        while not line.endswith(b"\n"):
            try:
                piece = os.read(fd, 4096)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.001)
                continue
            if not piece:
                break
            line += piece
        return line.decode(errors="replace").strip()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """Asks the server to end and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TargetError(f"still running {STOP_TIMEOUT_S} s after SIGTERM\n{self.err_tail()}") from None
        self.process.stdout.close()
        return code

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def rss_kb(self):
        return process_rss_kb(self.pid)

    def err_tail(self, bytes_max=6000):
        return file_tail(self.err_path, bytes_max)


class Kafka:
    """Apache Kafka, through bench/peer/kafka.sh. After SIGKILL it starts faster with a short broker session."""

    kind = "kafka"
    label = "kafka"
    script = os.path.join(ROOT, "bench", "peer", "kafka.sh")

    def __init__(self, work_dir, overrides=(), port=0):
        self.work_dir = work_dir
        self.data_dir = os.path.join(work_dir, "data")
        self.err_path = os.path.join(work_dir, "server.out")
        self.overrides = ["broker.session.timeout.ms=2000", "broker.heartbeat.interval.ms=500", *overrides]
        self.host, self.port, self.pid = "127.0.0.1", port, None
        os.makedirs(work_dir, exist_ok=True)

    @property
    def bootstrap(self):
        return f"{self.host}:{self.port}"

    def start(self):
        begin = time.monotonic()
        command = [self.script, "start", "--data-dir", self.work_dir, "--port", str(self.port)]
        for override in self.overrides:
            command += ["--override", override]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        match = re.search(r"pid=(\d+) kafka=127\.0\.0\.1:(\d+)", done.stdout)
        if not match:
            raise TargetError(f"kafka.sh: {done.stdout!r}\n{self.err_tail()}")
        self.pid, self.port = int(match.group(1)), int(match.group(2))
        return time.monotonic() - begin

    def alive(self):
        try:
            with open(f"/proc/{self.pid}/stat") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False

    def stop(self):
        done = subprocess.run([self.script, "stop", "--data-dir", self.work_dir], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL)
        return done.returncode

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        while self.alive():
            time.sleep(0.01)

    def rss_kb(self):
        return process_rss_kb(self.pid)

    def err_tail(self, bytes_max=6000):
        return file_tail(self.err_path, bytes_max)


class External:
    """A server at an address; its process and files are out of reach."""

    kind = "external"
    label = "external"
    data_dir = None

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.host, self.port = host, int(port)

    @property
    def bootstrap(self):
        return f"{self.host}:{self.port}"

    def start(self):
        return 0.0

    def alive(self):
        return True

    def stop(self):
        return 0

    def err_tail(self, bytes_max=0):
        return ""


def file_tail(path, bytes_max):
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - bytes_max))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
