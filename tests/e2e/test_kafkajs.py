"""kafkajs 2.2.4 on Node: an independent client in JavaScript."""

import json
import os

from harness.case import case, check, equal
from harness.clients import KEPT_FOR_EVER, create_topic, produce_all, producer, read_all
from harness.raw import CREATE_PARTITIONS
from harness.target import ROOT

SCRIPT = os.path.join(ROOT, "tests", "e2e", "node", "kafkajs.js")
MODULE = os.path.join(ROOT, "build-node", "node_modules", "kafkajs")


def kafkajs(t, command, **arguments):
    if not os.path.isdir(MODULE):
        t.skip("kafkajs is not installed (tools/install-deps test)")
    request = {"bootstrap": t.bootstrap, "command": command, **arguments}
    out, _, _ = t.run(["node", SCRIPT], stdin=json.dumps(request).encode(), timeout_s=60)
    return json.loads(out)


def produce_case(name, **settings):
    def keeps_records(t):
        create_topic(t.bootstrap, t.topic, config=KEPT_FOR_EVER)
        messages = [{"key": f"k{i % 5}" if i % 4 else None, "value": f"value {i} " * (i % 30),
                     "headers": {"n": str(i), "empty": ""}, "timestamp": str(1_700_000_000_000 + i), "partition": 0}
                    for i in range(300)]
        answer = kafkajs(t, "produce", topic=t.topic, messages=messages, **settings)
        if settings["acks"] != 0:
            equal([(a["topicName"], a["partition"], a["errorCode"], a["baseOffset"]) for a in answer],
                  [(t.topic, 0, 0, "0")], "answer")
        got = read_all(t.bootstrap, t.topic)
        equal([(m.key(), m.value(), m.headers(), m.timestamp()[1]) for m in got],
              [(m["key"] and m["key"].encode(), m["value"].encode(), [("n", m["headers"]["n"].encode()),
                ("empty", b"")], int(m["timestamp"])) for m in messages], "records")
    keeps_records.__name__ = f"keeps_records_{name}"
    return case()(keeps_records)


produce_case("acks_all", acks=-1)
produce_case("acks_1", acks=1)
produce_case("gzip", acks=-1, gzip=True)
produce_case("idempotent", acks=-1, idempotent=True)


@case()
def administers(t):
    answer = kafkajs(t, "admin", topic=t.topic)
    equal(answer["created"], True, "created")
    equal(answer["createdAgain"], False, "created again")
    equal(answer["listed"], True, "listed")
    (topic,) = answer["metadata"]["topics"]
    equal((topic["name"], sorted(p["partitionId"] for p in topic["partitions"])), (t.topic, [0, 1]), "metadata")
    cluster = answer["cluster"]
    equal([(b["host"], b["port"]) for b in cluster["brokers"]], [(t.target.host, t.target.port)], "brokers")
    equal(cluster["controller"], cluster["brokers"][0]["nodeId"], "controller")
    check(cluster["clusterId"], "no cluster id")
    (resource,) = answer["configs"]["resources"]
    equal(resource["errorCode"], 0, "describe configs")
    values = {entry["configName"]: entry["configValue"] for entry in resource["configEntries"]}
    equal(values["retention.ms"], "54321", "retention.ms")
    equal(sorted((o["partition"], o["low"], o["high"]) for o in answer["offsets"]),
          [(0, "0", "0"), (1, "0", "0")], "offsets")
    equal(kafkajs(t, "remove", topic=t.topic)["listed"], False, "listed after delete")


@case()
def hears_what_one_node_has_not(t):
    create_topic(t.bootstrap, t.topic)
    node = kafkajs(t, "metadata", topic=t.topic)["topics"][0]["partitions"][0]["leader"]
    answer = kafkajs(t, "refusals", topic=t.topic, node=node)
    equal([answer[what] for what in ("described", "created", "deleted")], ["SECURITY_DISABLED"] * 3, "access rules")
    equal((answer.get("moved"), answer["moving"]), (None, []), "moved to where it is")
    equal(answer["movedAway"], "INVALID_REPLICA_ASSIGNMENT", "moved to nobody")


@case()
def adds_partitions(t):
    t.need_api(CREATE_PARTITIONS, "CreatePartitions")
    create_topic(t.bootstrap, t.topic, 2)
    answer = kafkajs(t, "addPartitions", topic=t.topic, count=3)
    equal(sorted((o["partition"], o["high"]) for o in answer), [(0, "0"), (1, "0"), (2, "0")], "offsets")


@case()
def alters_configs(t):
    create_topic(t.bootstrap, t.topic, config={"retention.ms": "1234"})
    answer = kafkajs(t, "alter", topic=t.topic, entries=[{"name": "flush.ms", "value": "77"}])
    equal(answer["refused"], "INVALID_CONFIG", "a bad value")
    values = {entry["configName"]: (entry["configValue"], entry["isDefault"]) for entry in answer["entries"]}
    equal((values["flush.ms"], values["retention.ms"]), (("77", False), ("604800000", True)), "settings, all replaced")


@case()
def deletes_records(t):
    create_topic(t.bootstrap, t.topic)
    kafkajs(t, "produce", topic=t.topic, messages=[{"value": f"{i}"} for i in range(20)], acks=-1)
    (offsets,) = kafkajs(t, "deleteRecords", topic=t.topic, offset="7")
    equal((offsets["low"], offsets["high"]), ("7", "20"), "offsets")
    equal([m.value() for m in read_all(t.bootstrap, t.topic)], [b"%d" % i for i in range(7, 20)], "records")


@case()
def fetches_offsets(t):
    create_topic(t.bootstrap, t.topic, config=KEPT_FOR_EVER)
    messages = [{"value": f"{i}", "timestamp": str(1_700_000_000_000 + 10 * i)} for i in range(50)]
    kafkajs(t, "produce", topic=t.topic, messages=messages, acks=-1)
    answer = kafkajs(t, "offsets", topic=t.topic, timestamp=1_700_000_000_000 + 95)
    (ends,) = answer["ends"]
    equal((ends["low"], ends["high"], ends["offset"]), ("0", "50", "50"), "ends")
    equal([(o["partition"], o["offset"]) for o in answer["atTime"]], [(0, "10")], "offset at a time")


# -- groups -----------------------------------------------------------------------------------------------------------


def fill(t, partitions, first, last):
    produce_all(producer(t.bootstrap), t.topic,
                [{"value": b"%d" % i, "partition": i % partitions} for i in range(first, last)])


def values(answer):
    return sorted(int(message["value"]) for message in answer["read"])


@case(timeout_s=90)
def a_group_goes_on(t):
    create_topic(t.bootstrap, t.topic, 3)
    fill(t, 3, 0, 300)
    first = kafkajs(t, "read", topic=t.topic, group=t.unique, count=300)
    equal(values(first), list(range(300)), "first run")
    fill(t, 3, 300, 360)
    equal(values(kafkajs(t, "read", topic=t.topic, group=t.unique, count=60)), list(range(300, 360)), "second run")


@case(timeout_s=90)
def members_share(t):
    create_topic(t.bootstrap, t.topic, 4)
    fill(t, 4, 0, 200)
    answer = kafkajs(t, "read", topic=t.topic, group=t.unique, count=200, members=2, settle=2)
    equal(sorted(set(values(answer))), list(range(200)), "records")
    equal(sorted(sum(answer["assigned"], [])), [0, 1, 2, 3], "partitions")
    equal([len(partitions) for partitions in answer["assigned"]], [2, 2], "shares")


@case(timeout_s=90)
def administers_groups(t):
    create_topic(t.bootstrap, t.topic, 2)
    fill(t, 2, 0, 20)
    kafkajs(t, "read", topic=t.topic, group=t.unique, count=20)
    answer = kafkajs(t, "groups", topic=t.topic, group=t.unique)
    equal([(g["groupId"], g["protocolType"]) for g in answer["listed"]], [(t.unique, "consumer")], "listed")
    equal([(g["errorCode"], g["groupId"], g["state"], g["members"]) for g in answer["described"]],
          [(0, t.unique, "Empty", [])], "described")

    def offsets(name):
        (topic,) = answer[name]
        return sorted((p["partition"], p["offset"]) for p in topic["partitions"])

    equal(offsets("offsets"), [(0, "10"), (1, "10")], "committed")
    equal(offsets("moved"), [(0, "3"), (1, "10")], "set")
    equal(offsets("reset"), [(0, "-2"), (1, "-2")], "reset")  # kafkajs stores its own mark for "the earliest"
    equal([(r["groupId"], r["errorCode"]) for r in answer["deleted"]], [(t.unique, 0)], "deleted")
    check("GROUP_ID_NOT_FOUND" in answer["deletedAgain"], f"deleted again: {answer['deletedAgain']}")
    equal(answer["left"], [], "listed after the deletion")
