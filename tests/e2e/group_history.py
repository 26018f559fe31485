"""Decides from what members of consumer groups did, from what the server says and from what it wrote whether
anything went wrong with the groups. Pure: no clock, no files, no client. group_history_test.py makes each anomaly
happen. All of it is about one topic.

    commit-lost     committed offset below one whose commit was answered, or that was read back before
    commit-back     commits of a partition, in the order of the log or of one member, that go down
    commit-ahead    committed offset beyond a record that no member of the group has processed
    unprocessed     in the topic, and no member of the group has processed it
    generation      generation of a classic group that goes back, or comes again with other members
    epoch           epoch of a group of KIP-848, or of one of its members, that goes back
    shared          partition that belongs to two members at once
"""

import collections

from harness.offsets_log import Commit, Current, Epoch, Generation, Trimmed

KINDS = ["commit-lost", "commit-back", "commit-ahead", "unprocessed", "generation", "epoch", "shared"]


class Progress:
    """One group, by the words of its members. Members write down what they processed before they commit, and a
    commit after it was answered."""

    def __init__(self, group):
        self.group = group
        self.ahead = collections.defaultdict(set)       # partition: processed offsets from the first missing one on
        self.first_missing = collections.Counter()
        self.floor = collections.Counter()              # partition: least offset that may be read back
        self.by_member = {}                             # (member, partition): its last answered commit
        self.processed_count = self.answered_count = 0
        self.found = []                                 # (kind, text)

    def processed(self, partition, offset):
        self.processed_count += 1
        ahead = self.ahead[partition]
        if offset >= self.first_missing[partition]:
            ahead.add(offset)
        while self.first_missing[partition] in ahead:
            ahead.remove(self.first_missing[partition])
            self.first_missing[partition] += 1

    def answered(self, member, partition, offset):
        self.answered_count += 1
        before = self.by_member.get((member, partition), 0)
        if offset < before:
            self.found.append(("commit-back", f"{self.group}-{partition}: {member} committed {before}, then {offset}"))
        self.by_member[member, partition] = offset
        self.floor[partition] = max(self.floor[partition], offset)

    def read_back(self, floor, committed):
        """committed was asked for when floor was the floor; what was processed must be known up to its answer."""
        for partition, offset in committed.items():
            if offset < floor[partition]:
                self.found.append(("commit-lost", f"{self.group}-{partition}: {offset} after {floor[partition]}"))
            self.not_ahead(partition, offset)
            self.floor[partition] = max(self.floor[partition], offset)

    def not_ahead(self, partition, offset):
        if offset > self.first_missing[partition]:
            self.found.append(("commit-ahead", f"{self.group}-{partition}: {offset}, but"
                               f" {self.first_missing[partition]} was not processed"))

    def missing(self, ends):
        """ends: {partition: count of records}."""
        for partition, end in ends.items():
            left = set(range(self.first_missing[partition], end)) - self.ahead[partition]
            self.found += [("unprocessed", f"{self.group}-{partition}: {offset}") for offset in sorted(left)]


class Written:
    """One group, by what its coordinator wrote, in order."""

    def __init__(self, progress):
        self.progress, self.group = progress, progress.group
        self.committed = collections.Counter()
        self.generation = None
        self.epoch = 0
        self.current = {}

    def find(self, kind, text):
        self.progress.found.append((kind, f"{self.group}: {text}"))

    def take(self, entry):
        {Commit: self.commit, Generation: self.classic, Epoch: self.modern, Current: self.member}[type(entry)](entry)

    def commit(self, entry):
        offset = 0 if entry.offset is None else entry.offset
        if offset < self.committed[entry.partition]:
            self.find("commit-back", f"partition {entry.partition}: {self.committed[entry.partition]}, then {offset}")
        self.progress.not_ahead(entry.partition, offset)
        self.committed[entry.partition] = offset

    def classic(self, entry):
        before, self.generation = self.generation, entry
        if entry.number is None:
            self.find("generation", "the group was deleted")
            self.generation = before
            return
        if before and entry.number < before.number:
            self.find("generation", f"{entry.number} after {before.number}")
        if before and entry.number == before.number and entry.owned.keys() != before.owned.keys():
            self.find("generation", f"{entry.number} with {sorted(before.owned)}, then {sorted(entry.owned)}")
        self.alone(entry.owned, f"generation {entry.number}")

    def modern(self, entry):
        if entry.number is None or entry.number < self.epoch:
            self.find("epoch", f"{entry.number} after {self.epoch}")
        else:
            self.epoch = entry.number

    def member(self, entry):
        if entry.epoch is None:
            self.current.pop(entry.member, None)
            return
        before = self.current.get(entry.member)
        if before and entry.epoch < before.epoch:
            self.find("epoch", f"{entry.epoch} of member {entry.member} after {before.epoch}")
        self.current[entry.member] = entry
        self.alone({member: each.owned for member, each in self.current.items()}, f"epoch {self.epoch}")

    def alone(self, owned, when):
        counts = collections.Counter(partition for partitions in owned.values() for partition in partitions)
        for partition in sorted(partition for partition, count in counts.items() if count > 1):
            owners = sorted(member for member, partitions in owned.items() if partition in partitions)
            self.find("shared", f"{when}: partition {partition} belongs to {owners}")


def take_written(written, entries):
    """written: {group: Written}; what members processed must be known up to the time when entries were read."""
    for entry in entries:
        if isinstance(entry, Trimmed):
            # Members may have gone meanwhile; the others are repeated in what follows.
            for each in written.values():
                each.current.clear()
        elif entry.group in written:
            written[entry.group].take(entry)
