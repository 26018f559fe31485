"""franz-go's integration tests, from its Go module. The ETL tests move records through chains of groups
under every assignor, with members that come and go, and verify each record once and in order."""

from go import GoSuite
from suite import NO_SHARE_GROUPS, NO_TRANSACTIONS


class FranzGo(GoSuite):
    name, title = "franz_go", "franz-go kgo"
    module, pinned, package = "github.com/twmb/franz-go", "v1.22.3", "github.com/twmb/franz-go/pkg/kgo"
    overrides = ("group.initial.rebalance.delay.ms=0",)
    needs_broker = r"newTestClient|testClientOpts|getSeedBrokers|\badm\(\)|\btmp(Topic|Group|NamedTopic|Share)\w*\("
    unit_timeout_s = 600
    # It asks which protocols the broker knows; others look at the answer, and leave themselves out without one.
    first = "TestClient_ProduceLargeMessages"
    env = {"KGO_TEST_RF": "1", "KGO_TEST_RECORDS": "50000", "KGO_LOG_LEVEL": "none"}
    left_out = {
        "TestTxnEtl": NO_TRANSACTIONS,
        "TestShareGroup": NO_SHARE_GROUPS,
        "TestConsumeRegexShareSkipsInternal": NO_SHARE_GROUPS,
        "TestShareGroupETL": NO_SHARE_GROUPS,
        "TestShareGroupAckOnClose": NO_SHARE_GROUPS,
        "TestShareGroupOffsetsAdmin": NO_SHARE_GROUPS,
    }

    def address(self, target):
        return {"KGO_SEEDS": target.bootstrap}
