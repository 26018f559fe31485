"""Kafka's own tools about what one node without security, quotas and transactions has nothing of: each must say so in
its usual words, and none may hang or print a stack of its own making. See docs/decisions/0010."""

import re

from harness.case import check, equal
from harness.clients import create_topic
from harness.raw import DESCRIBE_LOG_DIRS
from test_java import jvm_case, tool


def fields(text):
    """'Key: value' lines as a dict."""
    return dict(re.findall(r"^(\w+):\s*(.*?)\s*$", text, re.M))


@jvm_case
def acls_list_and_add(t):
    add = ["--add", "--allow-principal", "User:bob", "--operation", "Read", "--topic", t.topic]
    for arguments in (["--list"], add):
        answer = tool(t, "AclCommand", *arguments, expect=1)
        check("SecurityDisabledException: No Authorizer is configured" in answer.out, str(answer))


@jvm_case
def leader_election(t):
    create_topic(t.bootstrap, t.topic, 3)
    for kind in ("preferred", "unclean"):
        out = tool(t, "LeaderElectionCommand", "--election-type", kind, "--topic", t.topic, "--partition", 1).out
        equal(out.strip(), f"Valid replica already elected for partitions {t.topic}-1", kind)
    equal(tool(t, "LeaderElectionCommand", "--election-type", "preferred", "--all-topic-partitions").out.strip(), "",
          "election of all")
    missing = tool(t, "LeaderElectionCommand", "--election-type", "preferred", "--topic", t.topic, "--partition", 3,
                   expect=1)
    check("UnknownTopicOrPartitionException" in missing.out + missing.err, str(missing))


@jvm_case
def reassign_partitions(t):
    create_topic(t.bootstrap, t.topic)
    name = "reassign.ReassignPartitionsCommand"
    equal(tool(t, name, "--list").out.strip(), "No partition reassignments found.", "list")
    t.need_api(DESCRIBE_LOG_DIRS, "DescribeLogDirs")

    def plan(broker):
        path = t.path(f"plan-{broker}.json")
        with open(path, "w") as file:
            file.write('{"version":1,"partitions":[{"topic":"%s","partition":0,"replicas":[%d]}]}' % (t.topic, broker))
        return path

    out = tool(t, "TopicCommand", "--describe", "--topic", t.topic).out
    node = int(re.search(r"Leader: (\d+)", out).group(1))
    done = tool(t, name, "--reassignment-json-file", plan(node), "--execute")
    check(f"Successfully started partition reassignment for {t.topic}-0" in done.out, str(done))
    done = tool(t, name, "--reassignment-json-file", plan(node), "--verify")
    check(f"Reassignment of partition {t.topic}-0 is completed." in done.out, str(done))
    done = tool(t, name, "--reassignment-json-file", plan(node), "--cancel")
    check("None of the specified partition reassignments are active." in done.out, str(done))
    refused = tool(t, name, "--reassignment-json-file", plan(node + 6), "--execute", expect=1)
    check("Unknown broker" in refused.out + refused.err, str(refused))


@jvm_case
def metadata_quorum(t):
    status = fields(tool(t, "MetadataQuorumCommand", "describe", "--status").out)
    equal((status["MaxFollowerLag"], status["CurrentObservers"]), ("0", "[]"), "lag, observers")
    check(int(status["HighWatermark"]) >= 0 and int(status["LeaderEpoch"]) >= 0, str(status))
    check(f'"id": {status["LeaderId"]}' in status["CurrentVoters"], str(status))
    create_topic(t.bootstrap, t.topic)
    later = fields(tool(t, "MetadataQuorumCommand", "describe", "--status").out)
    check(int(later["HighWatermark"]) > int(status["HighWatermark"]), f"{status} then {later}")
    lines = tool(t, "MetadataQuorumCommand", "describe", "--replication").out.splitlines()
    row = dict(zip(lines[0].split(), lines[1].split()))
    equal((row["NodeId"], row["Lag"], row["Status"]), (status["LeaderId"], "0", "Leader"), "replication")


@jvm_case
def features(t):
    out = tool(t, "FeatureCommand", "describe").out
    found = dict(re.findall(r"Feature: (\S+)\s.*FinalizedVersionLevel: (\S+)", out))
    check(re.match(r"\d\.\d-IV\d", found["metadata.version"]), out)
    level = {"4.0-IV3": 25, "4.3-IV0": 30}[found["metadata.version"]]
    done = tool(t, "FeatureCommand", "upgrade", "--feature", f"metadata.version={level}")
    equal(done.out.strip(), f"metadata.version was upgraded to {level}.", "upgrade to what is")
    refused = tool(t, "FeatureCommand", "upgrade", "--feature", "metadata.version=999", expect=1)
    check("Invalid update version 999 for feature metadata.version." in refused.out + refused.err, str(refused))


@jvm_case
def configs_of_users_and_clients(t):
    name = "kafka.admin.ConfigCommand"
    for kind in ("users", "clients"):
        equal(tool(t, name, "--entity-type", kind, "--describe").out.strip(), "", f"all {kind}")
        one = tool(t, name, "--entity-type", kind, "--entity-name", t.topic, "--describe")
        equal(one.out.strip(), "", f"one of {kind}")
    gone = tool(t, name, "--alter", "--entity-type", "users", "--entity-name", t.topic, "--delete-config",
                "SCRAM-SHA-256", expect=1)
    check("Attempt to delete a user credential that does not exist" in gone.err, str(gone))


@jvm_case
def quotas_and_users_are_refused(t):
    if t.target.kind == "kafka":
        t.skip("Kafka has quotas and users")
    quota = tool(t, "kafka.admin.ConfigCommand", "--alter", "--entity-type", "clients", "--entity-name", t.topic,
                 "--add-config", "producer_byte_rate=1000", expect=1)
    check("UnsupportedVersionException: This server has no client quotas." in quota.err, str(quota))
    user = tool(t, "kafka.admin.ConfigCommand", "--alter", "--entity-type", "users", "--entity-name", t.topic,
                "--add-config", "SCRAM-SHA-256=[password=x]", expect=1)
    check("UnsupportedVersionException: This server has no SCRAM credentials." in user.err, str(user))


@jvm_case
def transactions(t):
    lines = tool(t, "TransactionsCommand", "list").out.splitlines()
    equal(lines[0].split(), ["TransactionalId", "Coordinator", "ProducerId", "TransactionState"], "head of the list")
    equal([line for line in lines[1:] if t.topic in line], [], "transactions")
    missing = tool(t, "TransactionsCommand", "describe", "--transactional-id", t.topic, expect=1)
    check("could not be found" in missing.err, str(missing))


@jvm_case
def delegation_tokens(t):
    answer = tool(t, "DelegationTokenCommand", "--describe", "--command-config", "/dev/null", expect=1)
    check(re.search(r"Delegation Token (feature is not enabled|requests are not allowed)", answer.err), str(answer))


@jvm_case
def every_api_has_a_version_in_common(t):
    out = tool(t, "BrokerApiVersionsCommand").out
    rows = re.findall(r"^\s*(\w+)\((\d+)\): (.*?),?$", out, re.M)
    check(len(rows) > 40, out)
    usable = {name for name, _, rest in rows if "usable:" in rest}
    for name in ("ElectLeaders", "DescribeAcls", "DescribeQuorum", "UpdateFeatures", "ListTransactions"):
        check(name in usable, f"{name} is not usable:\n{out}")
    equal([name for name, _, rest in rows if "[unusable" in rest and "UNSUPPORTED" not in rest], [], "unusable")


@jvm_case
def log_dirs_alter(t):
    """The tool that moves replicas between directories asks with AlterReplicaLogDirs."""
    t.need_api(DESCRIBE_LOG_DIRS, "DescribeLogDirs")
    create_topic(t.bootstrap, t.topic)
    out = tool(t, "TopicCommand", "--describe", "--topic", t.topic).out
    node = int(re.search(r"Leader: (\d+)", out).group(1))
    path = t.path("plan.json")
    with open(path, "w") as file:
        file.write('{"version":1,"partitions":[{"topic":"%s","partition":0,"replicas":[%d],"log_dirs":["/nowhere"]}]}'
                   % (t.topic, node))
    refused = tool(t, "reassign.ReassignPartitionsCommand", "--reassignment-json-file", path, "--execute", expect=1)
    check("LogDirNotFoundException" in refused.out + refused.err, str(refused))
