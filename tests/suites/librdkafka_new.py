"""The tests of the newest librdkafka, from a checkout of its repository; once with each protocol of groups."""

from librdkafka import PARTS, Librdkafka
from suite import NO_SECURITY, NO_SHARE_GROUPS, NO_TRANSACTIONS, ONE_NODE


class LibrdkafkaNew(Librdkafka):
    name, title = "librdkafka_new", "librdkafka, newest, classic groups"
    checkout_name = "librdkafka_new"
    kafka_version = "4.2.0"
    parts = {**{word: PARTS[word] for word in ("0055", "0061", "0081", "0113")}, "0137": None}
    left_out = {
        "0055_producer_latency/transactions": NO_TRANSACTIONS,
        "0061_consumer_lag/with transactions": NO_TRANSACTIONS,
        "0081_admin/do_test_CreateAcls": NO_SECURITY,
        "0081_admin/do_test_DescribeAcls": NO_SECURITY,
        "0081_admin/do_test_DeleteAcls": NO_SECURITY,
        "0081_admin/do_test_UserScramCredentials": NO_SECURITY,
        "0097_ssl_verify": NO_SECURITY,
        "0098_consumer_txn": NO_TRANSACTIONS,
        "0101_fetch_from_follower": ONE_NODE,
        "0103_transactions": NO_TRANSACTIONS,
        "0113_cooperative_rebalance/o_java_interop": "runs a Java program of its own",
        "0115_producer_auth": NO_SECURITY,
        "0119_consumer_auth": NO_SECURITY,
        "0126_oauthbearer_oidc": NO_SECURITY,
        "0129_fetch_aborted_msgs": NO_TRANSACTIONS,
        "0135_sasl_credentials": NO_SECURITY,
        "0137_barrier_batch_consume/do_test_consume_batch_control_msgs": NO_TRANSACTIONS,
        "0142_reauthentication": NO_SECURITY,
        "0170_share_consumer_subscription": NO_SHARE_GROUPS,
        "0171_share_consumer_consume": NO_SHARE_GROUPS,
        "0172_share_consumer_acknowledge": NO_SHARE_GROUPS,
        "0173_share_consumer_commit_async": NO_SHARE_GROUPS,
        "0174_share_consumer_concurrency": NO_SHARE_GROUPS,
        "0175_share_consumer_groups": NO_SHARE_GROUPS,
        "0176_share_consumer_commit_sync": NO_SHARE_GROUPS,
        "0177_share_consumer_transactions": NO_SHARE_GROUPS,
        "0178_share_consumer_close": NO_SHARE_GROUPS,
        "0179_share_consumer_destroy": NO_SHARE_GROUPS,
        "0180_share_consumer_config": NO_SHARE_GROUPS,
        "0181_share_consumer_topic_delete": NO_SHARE_GROUPS,
        "0184_share_consumer_topic_recreate": NO_SHARE_GROUPS,
        "0185_share_consumer_max_poll_interval": NO_SHARE_GROUPS,
    }

    def source(self):
        return self.checkout()

    def fetch_source(self):
        """The caller has it."""


class LibrdkafkaNewConsumer(LibrdkafkaNew):
    name, title = "librdkafka_new_consumer", "librdkafka, newest, consumer groups"
    protocol = "consumer"
    # What these wait for takes a heartbeat or the end of a session each time, and their own time limit is below that
    # of the defaults, which are Kafka's.
    quick = ("0045", "0113:t_max_poll_interval_exceeded")
    quick_settings = ("group.consumer.min.heartbeat.interval.ms=1000", "group.consumer.heartbeat.interval.ms=1000",
                      "group.consumer.min.session.timeout.ms=6000", "group.consumer.session.timeout.ms=6000")
    left_out = {
        **LibrdkafkaNew.left_out,
        "0045_resubscribe_with_regex": "waits for the named topics alone before those of a pattern; gets both at once, "
                                       "from Apache Kafka 4.3 too",
        "0045_subscribe_many_updates": "the library sometimes never joins again when it subscribes before its leave is "
                                       "answered; takes longer than its own limit with Apache Kafka 4.3",
        "0045_subscribe_update_non_exist_and_partchange": "waits for a revocation, where this protocol only adds "
                                                          "partitions, with Apache Kafka 4.3 too",
        "0045_subscribe_update_topic_remove": "waits for all to be revoked and assigned anew, where this protocol only "
                                              "takes partitions away, with Apache Kafka 4.3 too",
        "0081_admin/do_test_DescribeConsumerGroups": "describes classic groups, and is not called with this protocol",
    }

    def settings(self, unit):
        return super().settings(unit) + (self.quick_settings if unit in self.quick else ())
