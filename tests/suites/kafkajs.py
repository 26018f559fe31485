"""kafkajs's tests that use a broker, from a checkout of its repository. The client has changed little and sends
old versions. Its tests are made for three brokers with Kafka 2.4's settings, at addresses of their own."""

import glob
import json
import os
import re
import shlex
import stat

from suite import FAILED, LEFT_OUT, NO_SECURITY, NO_TRANSACTIONS, ONE_NODE, PASSED, Outcome, Suite, fetch, tail

GROUPS = ("admin", "broker", "cluster", "consumer", "producer")    # its own groups, and its folder `cluster`
USES_BROKER = re.compile(r"createCluster|createTopic\b|connectionOpts|createConnectionPool|createConnectionBuilder")
STATES = {"passed": PASSED, "failed": FAILED, "pending": LEFT_OUT}

OTHER_DEFAULTS = "expects the settings of Kafka 2.4; fails with Apache Kafka 4.3 too"
NO_TIME = "joins with no time for a rebalance, so that the member is put out at once; fails with Apache Kafka 4.3 too"
TOO_FAST = "counts on an answer that takes more than a millisecond"

# What its tests take for docker, which they call to add partitions inside the first broker's container.
DOCKER = """#!/bin/bash
[ "$1" = exec ] || exit 0
words="${{!#}}"
[[ "$words" =~ --topic\\ ([^ ]+)\\ --partitions\\ ([0-9]+) ]] || exit 1
exec {binary} topic alter --brokers {brokers} --partitions "${{BASH_REMATCH[2]}}" "${{BASH_REMATCH[1]}}"
"""


class Kafkajs(Suite):
    name, title = "kafkajs", "kafkajs"
    checkout_name = "kafkajs"
    listen = "localhost:9092"
    overrides = ("node.id=0", "num.partitions=2", "group.initial.rebalance.delay.ms=0",
                 "advertised.listeners=PLAINTEXT://localhost:9092")
    unit_timeout_s = 900
    # A star stands for any end of a test's name.
    left_out = {
        "admin/alterConfigs/Admin alter broker configs": ONE_NODE,
        "admin/alterPartitionReassignments/Admin alterPartitionReassignments reassign partitions": ONE_NODE,
        "admin/alterPartitionReassignments/Admin alterPartitionReassignments throws an error trying to assign invalid*":
            ONE_NODE,
        "admin/connection": NO_SECURITY,
        "admin/createAcls": NO_SECURITY,
        "admin/createTopics/Admin createTopics creating topic with manual replica assignment": ONE_NODE,
        "admin/deleteAcls": NO_SECURITY,
        "admin/deleteTopicRecords/Admin > deleteTopicRecords in case of retriable error, tries again from the last*":
            ONE_NODE,
        "admin/deleteTopicRecords/Admin > deleteTopicRecords if at least 1 broker error is non-retriable*": ONE_NODE,
        "admin/deleteTopicRecords/Admin > deleteTopicRecords if all broker errors are retriable*": ONE_NODE,
        "admin/describeAcls": NO_SECURITY,
        "admin/describeCluster": ONE_NODE,
        "admin/describeConfigs/Admin describeConfigs describe broker configs": ONE_NODE,
        "admin/index/Admin emits the request timeout event": TOO_FAST,
        "admin/listPartitionReassignments/Admin listPartitionReassignments list reassignments": ONE_NODE,
        "broker/addOffsetsToTxn": NO_TRANSACTIONS,
        "broker/addPartitionsToTxn": NO_TRANSACTIONS,
        "broker/alterPartitionReassignments": ONE_NODE,
        "broker/connect/Broker > connect #isConnected returns false when connected but not authenticated on*":
            NO_SECURITY,
        "broker/connect/Broker > connect #isConnected when SASL SCRAM is configured*": NO_SECURITY,
        "broker/connect/Broker > connect #isConnected when SaslAuthenticate protocol is available*": NO_SECURITY,
        "broker/connect/Broker > connect authenticate with SASL*": NO_SECURITY,
        "broker/connect/Broker > connect throws if the mechanism isn't supported by the server": NO_SECURITY,
        "broker/connect/Broker > connect when PLAIN is configured*": NO_SECURITY,
        "broker/connect/Broker > connect when SASL SCRAM is configured*": NO_SECURITY,
        "broker/createAcls": NO_SECURITY,
        "broker/deleteAcls": NO_SECURITY,
        "broker/deleteRecords/Broker > deleteRecords rejects the promise when broker is not the partition leader":
            ONE_NODE,
        "broker/describeAcls": NO_SECURITY,
        "broker/describeConfigs/Broker > describeConfigs request without config names*": OTHER_DEFAULTS,
        "broker/disconnect/Broker > disconnect when authenticated with SASL*": NO_SECURITY,
        "broker/endTxn": NO_TRANSACTIONS,
        "broker/fetch/Broker > Fetch transactional*": NO_TRANSACTIONS,
        "broker/heartbeat": NO_TIME,
        "broker/initProducerId/Broker > InitProducerId request with transaction id": NO_TRANSACTIONS,
        "broker/listPartitionReassignments": ONE_NODE,
        "broker/offsetCommit": NO_TIME,
        "broker/offsetFetch": NO_TIME,
        "broker/reauthenticate": NO_SECURITY,
        "broker/txnOffsetCommit": NO_TRANSACTIONS,
        "cluster/brokerPool/Cluster > BrokerPool #connect does not connect to the seed broker if it has connected*":
            ONE_NODE,
        "cluster/brokerPool/Cluster > BrokerPool #connect select a different seed broker*": ONE_NODE,
        "cluster/brokerPool/Cluster > BrokerPool #findBroker connects the broker if it is not connected": ONE_NODE,
        "cluster/brokerPool/Cluster > BrokerPool #hasConnectedBrokers returns true if any*": ONE_NODE,
        "cluster/brokerPool/Cluster > BrokerPool #refreshMetadata cleans up unused brokers": ONE_NODE,
        "cluster/brokerPool/Cluster > BrokerPool #refreshMetadata updates the list of brokers": ONE_NODE,
        "cluster/brokerPool/Cluster > BrokerPool #removeBroker erases metadataExpireAt*": ONE_NODE,
        "cluster/brokerPool/Cluster > BrokerPool #removeBroker removes the broker by host and port": ONE_NODE,
        "cluster/brokerPool/Cluster > BrokerPool #removeBroker replaces the seed broker*": ONE_NODE,
        "cluster/findGroupCoordinator/Cluster > findGroupCoordinator attempt to find coordinator across all*": ONE_NODE,
        "cluster/findGroupCoordinator/Cluster > findGroupCoordinator retry on ECONNREFUSED": ONE_NODE,
        "consumer/connection/Consumer support S*": NO_SECURITY,
        "consumer/consumeMessages/Consumer transactions*": NO_TRANSACTIONS,
        "consumer/controlBatches": NO_TRANSACTIONS,
        "consumer/errorRecovery/Consumer recovers from offset out of range": NO_TIME,
        "consumer/instrumentationEvents/Consumer > Instrumentation Events emits request timeout events": TOO_FAST,
        "consumer/instrumentationEvents/Consumer > Instrumentation Events emits start and end batch process when*":
            NO_TRANSACTIONS,
        "producer/concurrentTransaction": NO_TRANSACTIONS,
        "producer/idempotentProduceMessages/concurrent produce() calls > where produce() throws a retriable*": ONE_NODE,
        "producer/idempotentProduceMessages/sequential produce() calls > where produce() throws a retriable*": ONE_NODE,
        "producer/index/Producer emits the request timeout event": TOO_FAST,
        "producer/index/Producer support S*": NO_SECURITY,
        "producer/index/Producer throws an error if SASL*": NO_SECURITY,
        "producer/index/Producer transactions*": NO_TRANSACTIONS,
    }

    def prepare(self):
        if not os.path.isdir(os.path.join(self.checkout(), "node_modules", "jest")):
            fetch(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"],
                  cwd=self.checkout())

    def version(self):
        with open(os.path.join(self.checkout(), "package.json")) as file:
            return json.load(file)["version"]

    def units(self):
        return list(GROUPS)

    def files(self, group):
        """The group's files of tests that use a broker, but for those that are left out."""
        for path in sorted(glob.glob(os.path.join(self.checkout(), "src", group, "**", "*.spec.js"), recursive=True)):
            with open(path) as file:
                if USES_BROKER.search(file.read()) and file_name(path) not in self.left_out:
                    yield path

    def not_these(self, group):
        """A pattern of names that those of tests that are left out do not match. A star stands for any end."""
        names = [test.split("/", 2)[2] for test in self.left_out
                 if test.startswith(group + "/") and test.count("/") > 1]
        return "^(?!" + "|".join(re.sub(r"\W", lambda c: "\\" + c[0] if c[0] != " " else " ", name.rstrip("*"))
                                 + ("" if name.endswith("*") else "$") for name in names) + ")"

    def command(self, unit, target, folder):
        docker = os.path.join(folder, "docker")
        with open(docker, "w") as file:
            binary = shlex.quote(os.path.abspath(self.options.binary))
            file.write(DOCKER.format(binary=binary, brokers=target.bootstrap))
        os.chmod(docker, os.stat(docker).st_mode | stat.S_IXUSR)
        env = {"PATH": folder + os.pathsep + os.environ["PATH"], "KAFKA_VERSION": "2.4", "NODE_ENV": "test",
               "KAFKAJS_DEBUG_PROTOCOL_BUFFERS": "1", "JEST_JUNIT_OUTPUT_DIR": folder}
        argv = [os.path.join("node_modules", ".bin", "jest"), "--forceExit", "--no-watchman", "--maxWorkers=2",
                "--json", f"--outputFile={os.path.join(folder, 'results')}", "--runTestsByPath", *self.files(unit)]
        pattern = self.not_these(unit)
        return argv + (["-t", pattern] if pattern != "^(?!)" else []), env, self.checkout()

    def outcomes(self, unit, code, folder, log):
        report = os.path.join(folder, "results")
        if code is None or not os.path.exists(report):
            return []
        with open(report) as file:
            results = json.load(file)["testResults"]
        return [outcome for one in results for outcome in self.file_outcomes(one, log)]

    def file_outcomes(self, results, log):
        """Outcomes of one file; one that ran no test at all has failed, and says why."""
        name = file_name(results["name"])
        if not results["assertionResults"]:
            return [Outcome(name, FAILED, 0, results["message"] or tail(log))]
        return [Outcome(f"{name}/{test['fullName']}", STATES[test["status"]], 0,
                        "skips itself" if test["status"] == "pending" else "\n".join(test["failureMessages"])[:4000])
                for test in results["assertionResults"] if not self.is_left_out(f"{name}/{test['fullName']}")]

    def is_left_out(self, test):
        return any(test == name or name.endswith("*") and test.startswith(name[:-1]) for name in self.left_out)


def file_name(path):
    """GROUP/FILE, from .../src/GROUP/__tests__/FILE.spec.js; index.spec.js is called by its folder."""
    return re.sub(r"^.*/src/", "", path).replace("__tests__/", "").removesuffix(".spec.js")
