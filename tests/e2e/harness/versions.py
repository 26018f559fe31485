"""Which programs the tests are: the client behind each file of tests, with the version that is installed here."""

import glob
import json
import os
import re
import subprocess

from harness import apps
from harness.jvm import CONSOLES, JARS
from harness.target import ROOT


def librdkafka():
    import confluent_kafka
    return f"librdkafka {confluent_kafka.libversion()[0]} (confluent-kafka {confluent_kafka.version()[0]})"


def kcat():
    out = subprocess.run(["kcat", "-V"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout
    return "kcat " + re.search(r"Version (\S+) ", out).group(1)


def kafka_python():
    import kafka
    return f"kafka-python {kafka.__version__}"


def node_module(name):
    with open(os.path.join(ROOT, "build-node", "node_modules", name, "package.json")) as file:
        return f"{name} " + json.load(file)["version"]


def kafkajs():
    return node_module("kafkajs")


def kafka_node():
    return node_module("kafka-node")


def kafka_tools():
    (jar,) = glob.glob(os.path.join(JARS, "kafka-tools-[0-9]*.jar"))
    return "Kafka's own tools " + re.search(r"kafka-tools-(.*)\.jar$", jar).group(1)


def console(name):
    return f"{name}'s calls (Kafka's clients {CONSOLES[name]})"


def connect():
    (jar,) = glob.glob(os.path.join(JARS, "connect-file-[0-9]*.jar"))
    return "Kafka Connect " + re.search(r"connect-file-(.*)\.jar$", jar).group(1)


def segments():
    return "segment files, read by these tests"


def server():
    return "the server itself"


def command_line():
    return "odradek's command line"


CLIENTS = {"librdkafka": librdkafka, "kcat": kcat, "kafka_python": kafka_python, "kafkajs": kafkajs,
           "kafka_node": kafka_node, "java": kafka_tools, "connect": connect, "kafka_ui": lambda: console("kafka-ui"),
           "akhq": lambda: console("akhq"), "segments": segments, "server": server, "cli": command_line}
for program in apps.PACKAGES:
    CLIENTS[program.replace("-", "_")] = lambda program=program: apps.name_and_version(program)


def client_key(name):
    """Which client a test is about: the one that its claim begins with, else one that its file is called after (java,
    java_groups; group_cli), else librdkafka where the file is about groups and the command
    line where it is about inspect."""
    area, claim = name.split(".", 1)
    for key in CLIENTS:
        if claim.startswith(key + "_") or area == key or area.startswith(key + "_") or area.endswith("_" + key):
            return key
    return {"groups": "librdkafka", "inspect": "cli"}.get(area, area)


def clients(names):
    """client key -> name and version. What is not known, or not installed, is left out."""
    found = {}
    for key in sorted({client_key(name) for name in names} & CLIENTS.keys()):
        try:
            found[key] = CLIENTS[key]()
        except (ImportError, OSError, ValueError, AttributeError, KeyError):
            continue
    return found
