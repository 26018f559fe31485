"""Consoles for Kafka, by the calls that their pages make (java/Consoles.java), with the clients that they are built with.
One call without an answer turns a page of theirs, or the whole cluster, red."""

import glob
import os
import subprocess

from harness.case import case, equal
from harness.jvm import CONSOLES, JARS, JAVA_DIR, LOG4J, OLDER_CLIENTS


def pages(t, console, red=()):
    """How many pages Consoles.java has shown; those in red must fail."""
    older = os.path.join(OLDER_CLIENTS, f"kafka-clients-{CONSOLES[console]}.jar")
    others = [path for path in sorted(glob.glob(os.path.join(JARS, "*.jar"))) if "/kafka" not in path]
    done = subprocess.run(["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={LOG4J}",
                           "-cp", ":".join([older, *others]), os.path.join(JAVA_DIR, "Consoles.java"), console,
                           t.bootstrap, t.topic, t.unique], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=100)
    lines = done.stdout.splitlines()
    failed = [line.removeprefix("failed ").split(":")[0] for line in lines if not line.startswith("ok ")]
    equal((done.returncode, failed), (0, list(red)), f"pages that fail, {lines} with {done.stderr[-3000:]}")
    return len(lines)


@case(timeout_s=120, needs=["jvm"], once=True)
def kafka_ui_shows_every_page(t):
    equal(pages(t, "kafka-ui"), 14, "pages")


@case(timeout_s=120, needs=["jvm"], once=True)
def akhq_shows_every_page(t):
    # It replaces all settings of a node, also those that Kafka sets itself since 4.1 and lets nobody set.
    equal(pages(t, "akhq", ["node settings"] if t.target.kind == "kafka" else []), 16, "pages")
