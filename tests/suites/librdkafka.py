"""librdkafka's own tests, from the source package of the version that Debian ships.

Tests that the library marks as local use no broker or its own mock, and are not run: they say nothing about this one.
"""

import glob
import json
import os
import re
import shlex
import stat

from suite import FAILED, LEFT_OUT, NO_SECURITY, NO_TRANSACTIONS, ONE_NODE, PASSED, Outcome, Suite, fetch, tail

STATES = {"PASSED": PASSED, "FAILED": FAILED, "RUNNING": FAILED}
SCENARIOS = {"default": (), "noautocreate": ("auto.create.topics.enable=false",)}
HANGS = "the library hangs as it closes a consumer whose topic was deleted, with Apache Kafka 4.3 too"
NO_ORDER = ("keeps partitions in a map by a comparison that is no order (corrected in 2.9), which sometimes ends it with "
            "SIGSEGV, with Apache Kafka 4.3 too")

# Tests of which parts are left out are run part by part: the words that choose a part, or, for None, every function of
# the test's file that is one.
PARTS = {
    "0045@noautocreate": ["do_test_non_exist_and_partchange"],
    "0055": ["standard settings", "low linger.ms", "microsecond linger.ms", "high linger.ms", "linger.ms < 1000",
             "no acks", "idempotence"],
    "0061": ["without transactions"],
    "0081": None,
    "0113": None,
}


class Librdkafka(Suite):
    name, title = "librdkafka", "librdkafka"
    # Its tests count on topics of four partitions made on first use, and on a little time for members to gather.
    overrides = ("num.partitions=4", "group.initial.rebalance.delay.ms=100")
    workers = 3
    unit_timeout_s = 600
    kafka_version = "3.1.0"
    protocol = "classic"    # of the groups; versions from 2.4 know both
    parts = PARTS
    # A unit that asks for less when it is told that Kafka is older: 0109 leaves access rules out.
    old_kafka = {"0109": "2.0.0"}
    left_out = {
        "0045_subscribe_update_topic_remove": HANGS,
        "0055_producer_latency/transactions": NO_TRANSACTIONS,
        "0061_consumer_lag/with transactions": NO_TRANSACTIONS,
        "0081_admin/do_test_CreateAcls": NO_SECURITY,
        "0081_admin/do_test_DescribeAcls": NO_SECURITY,
        "0081_admin/do_test_DeleteAcls": NO_SECURITY,
        "0092_mixed_msgver": "sends AlterConfigs with one key twice, which Kafka refuses since KRaft",
        "0097_ssl_verify": NO_SECURITY,
        "0098_consumer_txn": NO_TRANSACTIONS,
        "0101_fetch_from_follower": ONE_NODE,
        "0103_transactions": NO_TRANSACTIONS,
        "0107_topic_recreate": HANGS,
        "0113_cooperative_rebalance/h_delete_topic": HANGS,
        "0113_cooperative_rebalance/i_delete_topic_2": HANGS,
        "0113_cooperative_rebalance/j_delete_topic_no_rb_callback": HANGS,
        "0113_cooperative_rebalance/n_wildcard": HANGS,
        "0113_cooperative_rebalance/o_java_interop": "runs a Java program of its own",
        "0113_cooperative_rebalance/u_multiple_subscription_changes": NO_ORDER,
        "0115_producer_auth": NO_SECURITY,
        "0119_consumer_auth": NO_SECURITY,
        "0126_oauthbearer_oidc": NO_SECURITY,
        "0129_fetch_aborted_msgs": NO_TRANSACTIONS,
        "0135_sasl_credentials": NO_SECURITY,
    }

    def prepare(self):
        self.make_tools()
        self.fetch_source()
        if not os.path.exists(os.path.join(self.tests_dir, "test-runner")):
            fetch(["./configure", "--enable-lz4-ext", "--disable-gssapi"], cwd=self.source())
            fetch(["make", "-j2", "libs"], cwd=self.source())
            fetch(["make", "-j2", "-C", "tests", "build"], cwd=self.source())

    def fetch_source(self):
        if not self.source():
            fetch(["bash", "-c", f"cd {shlex.quote(self.work)} && {SOURCE_PACKAGE}"])

    def make_tools(self):
        """What the tests take for Kafka's own tool; it makes and deletes topics with ours."""
        folder = os.path.join(self.work, "kafka", "bin")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "kafka-topics.sh"), "w") as file:
            file.write(TOPICS_TOOL.format(binary=shlex.quote(os.path.abspath(self.options.binary))))
        os.chmod(file.name, os.stat(file.name).st_mode | stat.S_IXUSR)

    def source(self):
        found = glob.glob(os.path.join(self.work, "librdkafka-*", "configure"))
        return os.path.dirname(found[0]) if found else None

    @property
    def tests_dir(self):
        return os.path.join(self.source(), "tests")

    def version(self):
        with open(os.path.join(self.source(), "src", "rdkafka.h")) as header:
            word = int(re.search(r"#define\s+RD_KAFKA_VERSION\s+(0x\w+)", header.read()).group(1), 16)
        return f"{word >> 24}.{word >> 16 & 255}.{word >> 8 & 255}"

    def tests(self):
        """(name, flags, scenario) of each test in the runner's table."""
        with open(os.path.join(self.tests_dir, "test.c")) as file:
            table = re.search(r"^struct test tests\[\] = \{(.*?)^\};", file.read(), re.S | re.M).group(1)
        for one in re.split(r"\b_TEST\(", table)[1:]:
            name, flags = re.match(r"(\w+),\s*([^,)]*)", one).groups()
            yield name, flags, (re.search(r'\.scenario = "([^"]*)"', one) or [None, "default"])[1]

    def units(self):
        """NUMBER[@SCENARIO][:PART]; the runner knows tests by number only."""
        found = []
        for name, flags, scenario in self.tests():
            if re.search("TEST_F_LOCAL|TEST_F_MANUAL", flags) or name.endswith("_mock") or name in self.left_out:
                continue
            for word in set(scenario.split(",")) & set(SCENARIOS):
                unit = name[:4] + ("" if word == "default" else "@" + word)
                found += self.parts_of(unit, name) if unit in self.parts else [unit]
        return list(dict.fromkeys(found))

    def parts_of(self, unit, name):
        words = self.parts[unit]
        if words is None:
            source, = glob.glob(os.path.join(self.tests_dir, name[:4] + "-*.c*"))
            with open(source) as file:
                functions = re.findall(r"^static void\s+(\w+)\s*\([^{;]*?\)\s*\{\n(.*?)^\}", file.read(), re.S | re.M)
            words = [function for function, body in functions
                     if re.search(r"\bSUB_TEST(_QUICK)?\(", body) and "mock_cluster" not in body]
        return [f"{unit}:{word}" for word in words if f"{name}/{word}" not in self.left_out]

    def settings(self, unit):
        scenario = unit.partition(":")[0].partition("@")[2] or "default"
        return self.overrides + SCENARIOS[scenario]

    def alone(self, unit):
        return unit.startswith("0055")

    def command(self, unit, target, folder):
        conf = os.path.join(folder, "test.conf")
        with open(conf, "w") as file:
            file.write(f"metadata.broker.list={target.bootstrap}\n")
        test, _, part = unit.partition(":")
        number, _, scenario = test.partition("@")
        version = self.old_kafka.get(unit) or self.options.kafka_version or self.kafka_version
        env = {"RDKAFKA_TEST_CONF": conf, "TEST_KAFKA_VERSION": version, "TESTS": number,
               "TEST_SCENARIO": scenario or "default", "TEST_LEVEL": "2", "BROKERS": target.bootstrap,
               "TEST_REPORT": os.path.join(folder, "report.json"),
               "KAFKA_PATH": os.path.join(self.work, "kafka"), "TEST_CONSUMER_GROUP_PROTOCOL": self.protocol}
        env["LD_LIBRARY_PATH"] = os.path.join(self.source(), "src") + ":" + os.path.join(self.source(), "src-cpp")
        if part:
            env["SUBTESTS"] = part + ":" if self.parts[test] is None else part
        return [os.path.join(self.tests_dir, "test-runner"), "-p1", "-L"], env, self.tests_dir

    def outcomes(self, unit, code, folder, log):
        report = os.path.join(folder, "report.json")
        if code is None or not os.path.exists(report):
            return []
        with open(report) as file:
            tests = json.load(file)["tests"].values()
        part = unit.partition(":")[2]
        found = [Outcome(one["name"] + ("/" + part if part else ""), STATES[one["state"]], one["duration"])
                 for one in tests if one["name"][:4] == unit[:4] and one["state"] in STATES
                 and one["name"] not in self.left_out]
        text = tail(log, 1 << 22)
        for one in found:
            if part and one.status == PASSED and not re.search(r"\[ .*: PASS \(", text):
                skipped = re.findall(r"\[ .*: SKIP: (.*?)(?: \])?$", text, re.M)
                if skipped:
                    one.status, one.detail = LEFT_OUT, "skips itself: " + skipped[-1]
                    continue
                one.status = FAILED         # the part was not there, and nothing was tested
            one.detail = text[-4000:] + failure(one.test.partition("/")[0], text) if one.status == FAILED else ""
        skipped = re.findall(r"SKIPPING TEST[:\s]*(.*)", text)
        if not found and skipped:
            return [Outcome(unit, LEFT_OUT, 0, "skips itself: " + skipped[-1])]
        return found


def failure(test, text):
    """What the test said first as it failed, as a last line; or nothing."""
    said = re.search(rf'^### Test "{test}\b.* failed at .*###\n(.*)', text, re.M)
    return "\n" + said.group(1) if said else ""


TOPICS_TOOL = """#!/bin/sh
# Kafka's kafka-topics.sh, as far as the tests use it.
verb= topic= options=
while [ $# -gt 0 ]; do
    case $1 in
    --create) verb=create ;;
    --delete) verb=delete ;;
    --alter) verb=alter ;;
    --topic) topic=$2; shift ;;
    --bootstrap-server) brokers=$2; shift ;;
    --partitions) options="$options --partitions $2"; shift ;;
    --replication-factor) options="$options --replication $2"; shift ;;
    --config) options="$options --config $2"; shift ;;
    *) echo "kafka-topics.sh: $1?" >&2; exit 2 ;;
    esac
    shift
done
exec {binary} topic $verb -b "$brokers" "$topic" $options
"""

# The package's source is fetched through the sources that are set up, of which only those of Debian have any.
SOURCE_PACKAGE = r"""
set -e
mkdir -p apt/sources apt/lists/partial
for file in /etc/apt/sources.list.d/*.sources; do
    ! grep -q debian-archive-keyring "$file" || sed 's/^Types:.*/Types: deb-src/' "$file" >apt/sources/"${file##*/}"
done
options="-o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=$PWD/apt/sources"
options="$options -o Dir::State::Lists=$PWD/apt/lists"
apt-get $options -qq update
apt-get $options -qq source librdkafka
"""
