"""aiokafka's tests that use a broker, from a checkout of its repository: kafka-python's asynchronous cousin. They start
their broker with docker's Python package; what they get here (stand_ins) leads to the server under test."""

import os
import re

from pytest_suite import PytestSuite
from suite import HERE, NO_SECURITY, NO_TRANSACTIONS

STAND_INS = os.path.join(HERE, "stand_ins")
USES_BROKER = "KafkaIntegrationTestCase"


class Aiokafka(PytestSuite):
    name, title = "aiokafka", "aiokafka"
    checkout_name = "aiokafka"
    packages = ("pytest==9.0.2", "pytest-asyncio==1.3.0", "pytest-mock==3.15.1", "cramjam", "async-timeout",
                "typing_extensions", "packaging")
    tests = "tests"
    overrides = ("node.id=0", "num.partitions=2", "group.initial.rebalance.delay.ms=0")
    options_more = ("--docker-image=aiolibs/kafka:2.13_4.3.1", "--no-pull")
    left_out = {
        "test_consumer/TestConsumerIntegration::test_ssl_consume": NO_SECURITY,
        "test_producer/TestKafkaProducerIntegration::test_producer_ssl": NO_SECURITY,
        "test_sasl": NO_SECURITY,
        "test_transactional_consumer": NO_TRANSACTIONS,
        "test_transactional_producer": NO_TRANSACTIONS,
    }

    def prepare(self):
        super().prepare()
        # The tests make certificates where there is no such folder.
        os.makedirs(os.path.join(self.checkout(), "tests", "ssl_cert"), exist_ok=True)

    def units(self):
        return [unit for unit in super().units() if self.uses_broker(unit)]

    def uses_broker(self, unit):
        with open(os.path.join(self.checkout(), self.tests, unit + ".py")) as file:
            return USES_BROKER in file.read()

    def version(self):
        with open(os.path.join(self.checkout(), "aiokafka", "__init__.py")) as file:
            return re.search(r'__version__ = "([^"]+)"', file.read()).group(1)

    def environment(self, target):
        # The checkout is run as it is, without its C extensions built.
        return {"AIOKAFKA_NO_EXTENSIONS": "1", "BROKER_PORT": str(target.port), "PYTHONPATH": STAND_INS,
                "PATH": STAND_INS + os.pathsep + os.environ["PATH"]}
