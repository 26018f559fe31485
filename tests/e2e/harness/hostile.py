"""Requests of one seed that are well formed and mean harm."""

import random
import struct

from harness import schema

INTS = {"int8": (-128, 127), "int16": (-2**15, 2**15 - 1), "uint16": (0, 2**16 - 1), "int32": (-2**31, 2**31 - 1),
        "int64": (-2**63, 2**63 - 1)}
TEXTS = ["", "a", "\x00", "x" * 249, "y" * 1025, "z" * 32767, "\U0001F9F5" * 300, "\n%s%n", "é"]
PATTERNS = ["(a*)*$", "(" * 200 + ")" * 200, "((a{1,1000}){1,1000}){1,1000}", "[", "h-.*", ".*", "(a|a)*" * 300,
            "\\p{L}+", "x{0,1000}" * 400, "^(([a-z])+.)+[A-Z]([a-z])+$", "", "(?i)H-1", "." * 4096, "." * 4097,
            "__consumer_offsets", "(h|h-)(.|-)*|" * 500]
ASSIGNORS = ["uniform", "range", "", "sticky"]
PROTOCOLS = ["range", "roundrobin", "cooperative-sticky", "p" * 1024, "q" * 1025]
CONFIGS = {"segment.bytes": ["14", "1048576", "-1", "2147483647"],
           "retention.ms": ["-1", "0", "1", "9223372036854775807", "x"],
           "cleanup.policy": ["delete", "compact", "delete,compact", ""], "max.message.bytes": ["0", "1", "1048588"],
           "segment.ms": ["1", "0"], "retention.bytes": ["0", "-1"],
           "consumer.session.timeout.ms": ["0", "45000", "-1", "2147483647"],
           "consumer.heartbeat.interval.ms": ["5000", "0"], "no.such.key": ["1"], "min.insync.replicas": ["2", "0"],
           "message.timestamp.type": ["LogAppendTime", "CreateTime"], "index.interval.bytes": ["0", "4096"]}
TOPIC_RESOURCE, GROUP_RESOURCE = 2, 32


def blob(topics):
    """A subscription of a classic consumer."""
    out = struct.pack(">hi", 0, len(topics))
    for name in topics:
        out += struct.pack(">h", len(name.encode())) + name.encode()
    return out + struct.pack(">i", -1)


class Hostile:
    """Chooses requests. What answers say (ids of members, generations, ids of topics) is used again."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.apis = schema.apis()
        self.groups = [f"h-{i}" for i in range(6)] + ["", "g" * 1024, "g" * 1025, "\U0001F9F5"]
        self.topics = [f"h-{i}" for i in range(6)] + [
            "__consumer_offsets", "__odradek_metadata", "t" * 249, "t" * 250, ".."]
        self.instances = [f"i-{i}" for i in range(4)] + ["i" * 1024, "i" * 1025, ""]
        self.members = ["", "nobody"]
        self.epochs = [0, -1, -2, 1, 2, 2**31 - 1]
        self.topic_ids = [bytes(16), b"\xff" * 16]
        self.known = []         # (group, member, epoch) of who got in
        self.plan = {}          # what this request says in some of its fields
        self.budget = 0

    # -- what is learned -----------------------------------------------------------------------------------------------

    def seen(self, field, value):
        pool = None
        if field.name in ("member_id", "leader") and value:
            pool, value = self.members, value.decode(errors="replace")
        elif field.name in ("generation_id", "member_epoch", "group_epoch") and value is not None:
            pool = self.epochs
        elif field.name == "topic_id":
            pool = self.topic_ids
        if pool is None or value in pool:
            return
        if len(pool) < 40:
            pool.append(value)
        else:
            pool[self.random.randrange(2, len(pool))] = value

    def answered(self, plan, value):
        """value: the answer to the request that had this plan."""
        epoch = value.get("generation_id", value.get("member_epoch"))
        if value.get("error_code") == 0 and value.get("member_id") and plan.get("group_id") and epoch is not None:
            self.known.append((plan["group_id"], value["member_id"].decode(errors="replace"), epoch))
            del self.known[:-30]

    def plan_for(self, name):
        """A request of a member that could be right, for most; nothing for the others."""
        if self.random.random() < 0.3:
            return {}
        group = self.random.choice(self.groups[:6])
        newcomer = (group, self.random.choice(["", self.random.choice(self.members)]), 0)
        group, member, epoch = self.random.choice(self.known) if self.known and self.random.random() < 0.7 else newcomer
        plan = {"group_id": group, "member_id": member, "generation_id": epoch, "member_epoch": epoch,
                "generation_id_or_member_epoch": epoch}
        if name == "join_group":
            plan.update(session_timeout_ms=6000, rebalance_timeout_ms=self.random.choice([300, 6000, 60000]),
                        protocol_type="consumer", protocols=self.random.choice([1, 2]),
                        name=self.random.choice(PROTOCOLS[:2]))
        elif name == "sync_group":
            plan.update(protocol_type="consumer", protocol_name=None)
        elif name == "consumer_group_heartbeat":
            if not member:
                plan["member_id"] = f"m-{self.random.randrange(20)}"
            if epoch == 0:
                plan.update(rebalance_timeout_ms=self.random.choice([300, 60000]), topic_partitions=0,
                            subscribed_topic_names=self.random.choice([None, 1, 3]))
            if self.random.random() < 0.8:
                plan.update(rack_id=None, server_assignor=None)
        return plan

    # -- what is said --------------------------------------------------------------------------------------------------

    def pick(self, likely, rare, odds=0.85):
        return self.random.choice(likely if self.random.random() < odds else rare)

    def integer(self, field):
        low, high = INTS[field.kind]
        edges = [low, high, 0, -1, 1, low + 1, high - 1]
        name = field.name
        if "timeout" in name:
            value = self.pick([6000, 10000, 45000, 300], edges + [1800000, 1800001])
        elif "partition" in name or name == "count":
            value = self.pick([0, 1, 2, 3], edges + [99999, 100000])
        elif "epoch" in name or "generation" in name:
            value = self.pick(self.epochs, edges)
        elif name == "resource_type":
            value = self.pick([TOPIC_RESOURCE, GROUP_RESOURCE], [0, 1, 3, 8, 16, 64, -1])
        elif name in ("config_operation", "operation", "key_type", "type", "upgrade_type"):
            value = self.random.choice([0, 1, 2, 3, 0, 1, 2, 3, -1, 100])
        elif name == "replication_factor":
            value = self.pick([1, -1], edges)
        elif "max" in name or "limit" in name:
            value = self.pick([1, 1000], edges)
        else:
            value = self.pick([0, 1, -1, 100, self.random.randrange(1000)], edges)
        return min(max(value, low), high)

    def text(self, field):
        name, where = field.name, field.where
        if "group_id" in name or name in ("groups", "groups_names", "coordinator_keys", "key"):
            value = self.pick(self.groups, TEXTS, 0.97)
            if self.random.random() < 0.03:
                value = f"h-many-{self.random.randrange(5000)}"
        elif "instance" in name:
            value = self.pick([None, None] + self.instances, TEXTS)
        elif "member_id" in name:
            value = self.pick(self.members, TEXTS)
        elif "regex" in name:
            value = self.pick([None] * 6 + PATTERNS, TEXTS)
        elif "assignor" in name:
            value = self.pick([None] + ASSIGNORS[:2], ASSIGNORS + TEXTS)
        elif "protocol_type" in name:
            value = self.pick(["consumer"], ["connect", None] + TEXTS, 0.95)
        elif "protocol" in name or "/11_" in where and name == "name":
            value = self.pick(PROTOCOLS[:2], PROTOCOLS + TEXTS)
        elif "config" in where and name in ("name", "config_name", "configs", "configuration_keys"):
            self.config = self.random.choice(list(CONFIGS))
            value = self.config if field.depth > 2 or "resource" not in name else self.random.choice(self.topics)
        elif name == "value":
            value = self.pick(CONFIGS[getattr(self, "config", "segment.bytes")], [None] + TEXTS)
        elif name == "resource_name":
            value = self.pick(self.topics + self.groups, TEXTS)
        elif "metadata" in name or name == "reason":
            value = self.random.choice([None, "", "m", "m" * 4096, "m" * 4097, "m" * 32767])
        elif "topic" in name or name == "name":
            value = self.pick(self.topics, TEXTS, 0.95)
        else:
            value = self.random.choice(TEXTS + [None])
        if value is None and not schema.holds(field.null, self.version):
            value = ""
        return value

    def data(self, field):
        value = self.random.choice([blob([]), blob(self.random.choices(self.topics, k=3)), b"", b"\0\0", b"\xff" * 50,
                                    struct.pack(">hi", 3, 2**31 - 1), blob(["x" * 100] * 200), bytes(100_000), None])
        if value is None and not schema.holds(field.null, self.version):
            value = b""
        return value

    def value_of(self, field, array=False):
        self.budget -= 1
        if field.name in self.plan and (array or not field.array) and (
                self.plan[field.name] is not None or schema.holds(field.null, self.version)):
            return self.plan[field.name]
        if array:
            if schema.holds(field.null, self.version) and self.random.random() < 0.25:
                return None
            if self.budget < 0:
                return 0
            return self.random.choice([0, 1, 1, 1, 1, 2, 2, 3, 10] + [500] * (self.random.random() < 0.1))
        if field.of:
            return self.random.random() < 0.5
        if field.kind in INTS:
            return self.integer(field)
        if field.kind == "string":
            return self.text(field)
        if field.kind == "bool":
            return self.random.randrange(2)
        if field.kind == "uuid":
            return self.random.choice(self.topic_ids)
        if field.kind == "float64":
            return self.random.choice([0.0, -1.0, 1e308, float("nan"), float("inf")])
        return self.data(field)

    def request(self, names, correlation):
        """(api, version, frame)"""
        name = self.random.choice(names)
        api = self.apis[name]
        self.plan = self.plan_for(name)
        first, last = api.advertise
        self.version = self.random.choice([last, self.random.randrange(first, last + 1)])
        self.budget = self.random.choice([60, 60, 200, 3000])
        client_id = self.random.choice([b"raw", b"", b"c" * 2000, None])
        client = schema.NO_CLIENT_ID if client_id is None else struct.pack(">h", len(client_id)) + client_id
        return api, self.version, schema.request(api, self.version, correlation, self.value_of, client)
