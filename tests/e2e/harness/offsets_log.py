"""Reads the records of __consumer_offsets on its own (src/wire/schema/records.wire has the forms of all of them).

Every record begins with an int16: in a key it says what the record is about, in a value it is a version.
"""

import collections
import struct

from harness.clients import read_all, watermarks

TOPIC = "__consumer_offsets"
OFFSET_KEYS, CLASSIC, MODERN, CURRENT = (0, 1), 2, 3, 8
SHORT, INT, LONG = struct.Struct(">h"), struct.Struct(">i"), struct.Struct(">q")

# offset, generation and so on are None in a tombstone.
Commit = collections.namedtuple("Commit", "group partition offset")
Generation = collections.namedtuple("Generation", "group number owned")    # classic; owned: {member: partitions}
Epoch = collections.namedtuple("Epoch", "group number")                    # KIP-848
Current = collections.namedtuple("Current", "group member epoch owned")    # KIP-848; with what is still to be given up
Trimmed = collections.namedtuple("Trimmed", "")                            # some records were gone before they were read


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, form):
        value, = form.unpack_from(self.data, self.at)
        self.at += form.size
        return value

    def bytes(self, size):
        if size < 0:
            return None
        if self.at + size > len(self.data):
            raise ValueError(f"{size} bytes at {self.at} of {len(self.data)}")
        self.at += size
        return self.data[self.at - size:self.at]

    def string(self):
        text = self.bytes(self.number(SHORT))
        return None if text is None else text.decode()

    def blob(self):
        return self.bytes(self.number(INT))

    def varint(self):
        value, shift = 0, 0
        while True:
            byte, = self.bytes(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def skip_tags(self):
        for _ in range(self.varint()):
            self.varint()
            self.bytes(self.varint())


def assigned(blob):
    """The partitions in the assignment of a classic consumer; of one topic only, so its name does not matter."""
    if not blob:
        return frozenset()
    reader, partitions = Reader(blob), []
    reader.number(SHORT)
    for _ in range(reader.number(INT)):
        reader.string()
        partitions += [reader.number(INT) for _ in range(reader.number(INT))]
    return frozenset(partitions)


def classic(group, value):
    reader = Reader(value)
    version = reader.number(SHORT)
    if version != 3:
        raise ValueError(f"classic group of version {version}")
    reader.string()
    number = reader.number(INT)
    reader.string(), reader.string(), reader.number(LONG)
    owned = {}
    for _ in range(reader.number(INT)):
        member = reader.string()
        reader.string(), reader.string(), reader.string(), reader.number(INT), reader.number(INT), reader.blob()
        owned[member] = assigned(reader.blob())
    return Generation(group, number, owned)


def topic_partitions(reader):
    partitions = []
    for _ in range(reader.varint() - 1):
        reader.bytes(16)
        partitions += [reader.number(INT) for _ in range(reader.varint() - 1)]
        reader.skip_tags()
    return partitions


def current(group, member, value):
    reader = Reader(value)
    reader.number(SHORT)
    epoch = reader.number(INT)
    reader.number(INT), reader.bytes(1)
    return Current(group, member, epoch, frozenset(topic_partitions(reader) + topic_partitions(reader)))


def entry_from(key, value):
    """What a record says, or None when it is of no kind that is known here. Whose record it is, is checked."""
    reader = Reader(key)
    kind = reader.number(SHORT)
    if kind in OFFSET_KEYS:
        group, _, partition = reader.string(), reader.string(), reader.number(INT)
        return Commit(group, partition, None if value is None else LONG.unpack_from(value, SHORT.size)[0])
    if kind == CLASSIC:
        group = reader.string()
        return Generation(group, None, None) if value is None else classic(group, value)
    if kind == MODERN:
        return Epoch(reader.string(), None if value is None else INT.unpack_from(value, SHORT.size)[0])
    if kind == CURRENT:
        group, member = reader.string(), reader.string()
        return Current(group, member, None, None) if value is None else current(group, member, value)
    return None


class Follower:
    """Reads on in all partitions of the topic; a group is in one of them, so the order of its records is kept."""

    def __init__(self, bootstrap, partitions):
        self.bootstrap = bootstrap
        self.next = dict.fromkeys(range(partitions), 0)
        self.count = self.trimmed = 0

    def news(self, timeout_s=60):
        entries = []
        for partition in self.next:
            entries += self.news_of(partition, timeout_s)
        self.count += len(entries)
        return entries

    def news_of(self, partition, timeout_s):
        entries = []
        for message in self.read(partition, timeout_s, entries):
            entry = entry_from(message.key(), message.value())
            if entry:
                entries.append(entry)
            self.next[partition] = message.offset() + 1
        return entries

    def read(self, partition, timeout_s, entries):
        """The coordinator may cut off the beginning of the log, at any time, once what it needs is repeated later."""
        while True:
            first, end = watermarks(self.bootstrap, TOPIC, partition)
            if end < self.next[partition]:
                raise AssertionError(f"{TOPIC}-{partition} ends at {end}, was read up to {self.next[partition]}")
            if first > self.next[partition]:
                self.next[partition] = first
                self.trimmed += 1
                entries.append(Trimmed())
            if end == self.next[partition]:
                return []
            try:
                return read_all(self.bootstrap, TOPIC, partition, self.next[partition], timeout_s, until=end)
            except AssertionError:
                if watermarks(self.bootstrap, TOPIC, partition)[0] <= self.next[partition]:
                    raise
