"""Which programs the tests are: the client behind each file of tests, with the version that is installed here."""

import glob
import json
import os
import re
import subprocess

from harness.jvm import JARS
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


def kafkajs():
    with open(os.path.join(ROOT, "build-node", "node_modules", "kafkajs", "package.json")) as file:
        return "kafkajs " + json.load(file)["version"]


def kafka_tools():
    (jar,) = glob.glob(os.path.join(JARS, "kafka-tools-[0-9]*.jar"))
    return "Kafka's own tools " + re.search(r"kafka-tools-(.*)\.jar$", jar).group(1)


def segments():
    return "segment files, read by these tests"


def server():
    return "the server itself"


CLIENTS = {"librdkafka": librdkafka, "kcat": kcat, "kafka_python": kafka_python, "kafkajs": kafkajs,
           "java": kafka_tools, "java_admin": kafka_tools, "segments": segments,
           "server": server}


def clients(areas):
    """area -> name and version. Areas without a client of their own, and clients that are not installed, are left
    out: what they ran is shown under the area's name."""
    found = {}
    for area in sorted(areas & CLIENTS.keys()):
        try:
            found[area] = CLIENTS[area]()
        except (ImportError, OSError, ValueError, AttributeError):
            continue
    return found
