"""confluent-kafka-python's integration tests, from a checkout of its repository, with its package of the same version;
once with each protocol of groups."""

import glob
import os
import re

from pytest_suite import PytestSuite
from suite import NO_SECURITY, NO_SHARE_GROUPS, NO_TRANSACTIONS, fetch

NO_REGISTRY = "needs a schema registry, which is another program"


class ConfluentPython(PytestSuite):
    name, title = "confluent_python", "confluent-kafka-python, classic groups"
    checkout_name = "confluent_python"
    packages = ("pytest", "pytest-timeout", "pytest-asyncio", "pluggy<1.6.0", "async-timeout", "requests")
    tests = os.path.join("tests", "integration")
    # The last one because the tests take what Kafka's feature eligible.leader.replicas does for granted: it sets this
    # for all topics, and so a topic's value is none of the defaults.
    overrides = ("num.partitions=4", "group.initial.rebalance.delay.ms=100", "min.insync.replicas=1")
    protocol = "classic"
    left_out = {
        "admin/test_basic_operations": NO_SECURITY,
        "admin/test_describe_operations": NO_SECURITY,
        "admin/test_user_scram_credentials": NO_SECURITY,
        "integration_test": "ends before its first test: it formats a version that its package says in another form",
        "producer/test_transactions": NO_TRANSACTIONS,
        "schema_registry": NO_REGISTRY,
        "share_consumer": NO_SHARE_GROUPS,
        "share_consumer_oauth": NO_SHARE_GROUPS,
        "share_consumer_sasl": NO_SHARE_GROUPS,
    }

    def prepare(self):
        super().prepare()
        fixture, = glob.glob(os.path.join(self.checkout(), "tests", "trivup", "*.tar.gz"))
        fetch([self.python(), "-m", "pip", "install", "-q", fixture,
               f"confluent-kafka[schemaregistry,avro,json,protobuf]=={self.version()}"])

    def version(self):
        with open(os.path.join(self.checkout(), "pyproject.toml")) as file:
            return re.search(r'^version = "([^"]+)"', file.read(), re.M).group(1)

    def units(self):
        """FOLDER/FILE of each file of tests."""
        folder = os.path.join(self.checkout(), self.tests)
        found = [os.path.relpath(path, folder).removesuffix(".py")
                 for path in sorted(glob.glob(os.path.join(folder, "*", self.pattern)))]
        return [unit for unit in found if unit not in self.left_out and os.path.dirname(unit) not in self.left_out]

    def environment(self, target):
        return {"BROKERS": target.bootstrap, "TEST_CONSUMER_GROUP_PROTOCOL": self.protocol}

    def outcomes(self, unit, code, folder, log):
        # The report knows the file by its last name; the folder is ours.
        found = super().outcomes(os.path.basename(unit), code, folder, log)
        for one in found:
            one.test = os.path.join(os.path.dirname(unit), one.test)
        return found


class ConfluentPythonConsumer(ConfluentPython):
    name, title = "confluent_python_consumer", "confluent-kafka-python, consumer groups"
    protocol = "consumer"
