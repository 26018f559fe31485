"""confluent-kafka-go's integration tests, with the librdkafka that its module carries."""

import json
import os
import re

from go import GoSuite
from suite import FAILED, NO_SECURITY, Outcome, tail


class ConfluentGo(GoSuite):
    name, title = "confluent_go", "confluent-kafka-go"
    module, pinned = "github.com/confluentinc/confluent-kafka-go/v2", "v2.11.1"
    package = "github.com/confluentinc/confluent-kafka-go/v2/kafka"
    overrides = ("num.partitions=4", "group.initial.rebalance.delay.ms=0", "replication.factor.clamp=false")
    unit_timeout_s = 600
    left_out = {
        "TestIntegration/TestAdminACLs": NO_SECURITY,
        "TestIntegration/TestAdminClient_UserScramCredentials": NO_SECURITY,
        "TestIntegration/TestAdminClient_DescribeConsumerGroupsAuthorizedOperations": NO_SECURITY,
        "TestIntegration/TestAdminClient_DescribeCluster": NO_SECURITY,
        "TestIntegration/TestAdminClient_DescribeTopics": NO_SECURITY,
    }

    def units(self):
        """The tests are methods of one object: subtests of TestIntegration, each of which can be run alone."""
        with open(os.path.join(self.folder(), "integration_test.go")) as file:
            names = re.findall(r"^func \(its \*IntegrationTestSuite\) (Test\w+)\(", file.read(), re.M)
        return [f"TestIntegration/{name}" for name in names if f"TestIntegration/{name}" not in self.left_out]

    def command(self, unit, target, folder):
        with open(os.path.join(folder, "testconf.json"), "w") as file:
            json.dump({"Brokers": target.bootstrap, "PerfMsgCount": 20000}, file)
        env = {} if self.options.protocol == "classic" else {"TEST_CONSUMER_GROUP_PROTOCOL": self.options.protocol}
        method = unit.split("/")[1]
        return [self.binary(), "-test.v", "-test.run", "^TestIntegration$", "-testify.m", f"^{method}$"], env, folder

    def outcomes(self, unit, code, folder, log):
        found = [one for one in super().outcomes("TestIntegration", code, folder, log) if one.test.startswith(unit)]
        # A test that ends the whole program leaves no line of its own.
        return found or [Outcome(unit, FAILED, 0, tail(log))]
