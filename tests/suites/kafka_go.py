"""segmentio's kafka-go: a client of its own make that sends old versions of everything. Its tests know no address but
localhost:9092."""

from go import GoSuite
from suite import NO_SECURITY, NO_TRANSACTIONS

MADE_ANEW = "asks for a deleted topic in a way that makes it anew, and here the same answer has it (decision 0010)"
CRASHES = "calls through a null pointer of its own, with any broker"


class KafkaGo(GoSuite):
    name, title = "kafka_go", "segmentio kafka-go"
    module, pinned, package = "github.com/segmentio/kafka-go", "v0.4.51", "github.com/segmentio/kafka-go"
    listen = "localhost:9092"
    overrides = ("advertised.listeners=PLAINTEXT://localhost:9092",)
    needs_broker = r"localhost|127\.0\.0\.1:9|newLocalClient|createTopic|makeReader|makeWriter|newLocalTransport"
    # Its own tests of pipes made of topics are known to be unsteady with newer brokers.
    env = {"KAFKA_VERSION": "3.7.0", "KAFKA_SKIP_NETTEST": "1"}
    left_out = {
        "TestAlterUserScramCredentials": NO_SECURITY,
        "TestClientAddOffsetsToTxn": NO_TRANSACTIONS,
        "TestClientAddPartitionsToTxn": NO_TRANSACTIONS,
        "TestClientAlterClientQuotas": "client quotas are not there yet",
        "TestClientCreateACLs": NO_SECURITY,
        "TestClientDeleteACLs": NO_SECURITY,
        "TestClientDescribeACLs": NO_SECURITY,
        "TestClientInitProducerId": NO_TRANSACTIONS,
        "TestClientTxnOffsetCommit": NO_TRANSACTIONS,
        "TestConn/test_delete_topics": MADE_ANEW,
        "TestConn/test_delete_topics_with_an_invalid_topic": MADE_ANEW,
        "TestDescribeUserScramCredentials": NO_SECURITY,
        "TestReaderConsumerGroup/consumer_group_commits_on_close": CRASHES,
        "TestReaderConsumerGroup/consumer_group_rebalance": "fails with Apache Kafka 4.3 too",
        "TestReaderConsumerGroup/verify_offset_committed": CRASHES,
        "TestReaderConsumerGroup/verify_offset_committed_when_using_interval_committer": CRASHES,
        "TestUnsupportedSASLMechanism": NO_SECURITY,
    }
