"""Decides from what was acknowledged, what was shown and what is in the logs whether anything went wrong.

Pure functions: no clock, no files, no client. history_test.py makes each anomaly happen.

A record is told by (producer, key, seq); a producer numbers the records of each of its keys 0, 1, 2, ... and
sends a key to one partition only.

    lost        acknowledged, and nowhere in its partition
    moved       acknowledged at one offset, found at another one only
    corrupted   bytes in the log that no producer sent under that name
    duplicate   a record of an idempotent producer twice
    reordered   records of one key whose first occurrences are not in the order of sending
    gap         offsets of a partition that are not 0, 1, 2, ...
    unseen      shown to a consumer at an offset where the log now has something else or nothing
    unsent      in the log, though its producer never sent it
"""

import collections
import random
import zlib

KINDS = ["lost", "moved", "corrupted", "duplicate", "reordered", "gap", "unseen", "unsent"]

Ack = collections.namedtuple("Ack", "place offset name")             # place: (topic, partition)
Record = collections.namedtuple("Record", "offset name intact")      # name: (producer, key, seq) or None

FILL = random.Random(1).randbytes(128 * 1024)


def value_of(name):
    """The one value that a record of this name can have: mostly small, sometimes large."""
    text = b"%d/%d/%d/" % name
    mark = zlib.crc32(text)
    dice = mark % 1000
    size = 20 + mark % 200 if dice < 900 else 1000 + mark % 4000 if dice < 995 else 40_000 + mark % 50_000
    begin = (mark >> 8) % 8192
    return text + FILL[begin:begin + size]


def key_of(name):
    return b"%d/%d" % name[:2]


def record_from(offset, key, value):
    """What a message that was read is: its name, and whether its bytes are those that were sent."""
    try:
        producer, number, seq, _ = value.split(b"/", 3)
        name = (int(producer), int(number), int(seq))
    except (AttributeError, ValueError):
        return Record(offset, None, False)
    return Record(offset, name, key == key_of(name) and value == value_of(name))


def check(acks, shown, logs, idempotent, sent):
    """Returns {kind: [what happened, ...]} with the kinds that occurred.

    acks        Acks, in any order
    shown       {(place, offset): name} of what consumers were given
    logs        {place: [Record, ...]} in the order of reading, from the beginning to the end
    idempotent  the producers that are
    sent        {(producer, key): count} of records handed to the client
    """
    found = collections.defaultdict(list)
    names_at, offsets_of = {}, collections.defaultdict(list)
    for place, records in logs.items():
        check_log(found, place, records, idempotent, sent)
        for record in records:
            names_at[place, record.offset] = record.name
            offsets_of[place, record.name].append(record.offset)
    for ack in acks:
        if names_at.get((ack.place, ack.offset)) == ack.name:
            continue
        elsewhere = offsets_of.get((ack.place, ack.name))
        if elsewhere:
            found["moved"].append(f"{ack} is at {elsewhere}")
        else:
            found["lost"].append(f"{ack}, its offset holds {names_at.get((ack.place, ack.offset))}")
    for (place, offset), name in shown.items():
        if names_at.get((place, offset)) != name:
            found["unseen"].append(f"{name} was shown at {place} {offset}, now {names_at.get((place, offset))}")
    return dict(found)


def check_log(found, place, records, idempotent, sent):
    seen, newest = set(), {}
    for position, record in enumerate(records):
        if record.offset != position:
            found["gap"].append(f"{place}: offset {record.offset} at position {position}")
        if not record.intact:
            found["corrupted"].append(f"{place}: offset {record.offset}, {record.name}")
        if record.name is None:
            continue
        producer, key, seq = record.name
        if seq >= sent.get((producer, key), 0):
            found["unsent"].append(f"{place}: offset {record.offset}, {record.name}")
        if record.name in seen:
            if producer in idempotent:
                found["duplicate"].append(f"{place}: offset {record.offset}, {record.name}")
            continue
        seen.add(record.name)
        if seq < newest.get((producer, key), -1):
            found["reordered"].append(f"{place}: offset {record.offset}, {record.name} after {newest[producer, key]}")
        newest[producer, key] = max(seq, newest.get((producer, key), -1))
