#!/usr/bin/python3
"""Makes every anomaly of group_history.py happen, then spoils good histories at random: all must be noticed."""

import os
import random
import struct
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from group_history import Progress, Written, take_written
from harness import offsets_log
from harness.offsets_log import Commit, Current, Epoch, Generation, Trimmed

GROUP, PARTITIONS, RECORDS = "g", 3, 40
EDITS = 3000


def good_run():
    """What two members wrote down, ("processed", member, partition, offset) or ("answered", ...); the second takes
    over in the middle and begins at what the first committed, some records before where it stopped."""
    events = []
    for member, first, last in [("a", 0, 24), ("b", 20, RECORDS)]:
        for partition in range(PARTITIONS):
            for offset in range(first, last):
                events.append(("processed", member, partition, offset))
                if offset % 10 == 9:
                    events.append(("answered", member, partition, offset + 1))
    return events


def good_log():
    entries = [Generation(GROUP, 1, {"a": {0, 1, 2}}), Generation(GROUP, 2, {"a": {0}, "b": {1, 2}}),
               Generation(GROUP, 3, {"b": {0, 1, 2}}), Generation(GROUP, 4, {})]
    entries += [Commit(GROUP, partition, offset) for offset in (10, 20, 30, 40) for partition in range(PARTITIONS)]
    entries += [Epoch(GROUP, 1), Current(GROUP, "x", 1, {0, 1, 2}), Epoch(GROUP, 2), Current(GROUP, "x", 1, {0, 1}),
                Current(GROUP, "x", 2, {0}), Current(GROUP, "y", 2, {1, 2}), Current(GROUP, "y", None, None),
                Current(GROUP, "x", 3, {0, 1, 2})]
    return entries


def kinds(events, reads, entries):
    """reads: {number of events taken before: committed}"""
    progress = Progress(GROUP)
    for number, event in enumerate(events + [None]):
        if number in reads:
            progress.read_back(progress.floor.copy(), reads[number])
        if event and event[0] == "processed":
            progress.processed(*event[2:])
        elif event:
            progress.answered(*event[1:])
    progress.missing(dict.fromkeys(range(PARTITIONS), RECORDS))
    take_written({GROUP: Written(progress)}, entries)
    return {kind for kind, _ in progress.found}


class EachAnomaly(unittest.TestCase):
    def setUp(self):
        self.events, self.log = good_run(), good_log()
        self.end = dict.fromkeys(range(PARTITIONS), RECORDS)
        self.reads = {len(self.events): self.end}

    def found(self):
        return kinds(self.events, self.reads, self.log)

    def test_good_run_has_none(self):
        self.assertEqual(self.found(), set())

    def test_commit_that_was_not_yet_answered_may_be_read(self):
        self.reads[self.events.index(("answered", "a", 0, 20))] = {0: 20}
        self.assertEqual(self.found(), set())

    def test_lost_commit(self):
        self.reads[len(self.events)] = {**self.end, 1: RECORDS - 10}
        self.assertEqual(self.found(), {"commit-lost"})

    def test_no_commit_at_all(self):
        self.reads[len(self.events)] = {**self.end, 1: 0}
        self.assertEqual(self.found(), {"commit-lost"})

    def test_commit_lost_after_it_was_read(self):
        at = self.events.index(("answered", "a", 0, 20))
        self.reads.update({at: {0: 20}, at - 5: {0: 15}})
        self.assertEqual(self.found(), set())
        self.reads = {at - 1: {0: 19}, at: {0: 18}}
        self.assertEqual(self.found(), {"commit-lost"})

    def test_commit_beyond_what_was_processed(self):
        at = self.events.index(("processed", "a", 0, 15))
        self.reads[at] = {0: 16}
        self.assertEqual(self.found(), {"commit-ahead"})

    def test_commit_beyond_a_hole(self):
        self.events = [event for event in self.events if event[0] == "answered" or event[2:] != (2, 15)]
        self.assertEqual(self.found(), {"commit-ahead", "unprocessed"})

    def test_record_never_processed(self):
        self.events.remove(("processed", "b", 1, RECORDS - 1))
        self.events.remove(("answered", "b", 1, RECORDS))
        self.reads[len(self.events)] = {1: 30}
        self.log = [entry for entry in self.log if entry != Commit(GROUP, 1, 40)]
        self.assertEqual(self.found(), {"unprocessed"})

    def test_member_commits_backwards(self):
        self.events.append(("answered", "b", 0, 30))
        self.assertEqual(self.found(), {"commit-back"})

    def test_log_goes_back(self):
        self.log.append(Commit(GROUP, 0, 39))
        self.assertEqual(self.found(), {"commit-back"})

    def test_tombstone_of_a_commit(self):
        self.log.append(Commit(GROUP, 0, None))
        self.assertEqual(self.found(), {"commit-back"})

    def test_log_ahead(self):
        self.log.append(Commit(GROUP, 0, RECORDS + 1))
        self.assertEqual(self.found(), {"commit-ahead"})

    def test_trimmed_log(self):
        """What was cut off counts on, but for members that may have gone with it."""
        x, y = Current(GROUP, "x", 3, {0, 1}), Current(GROUP, "y", 3, {1, 2})
        self.log.remove(Current(GROUP, "x", 3, {0, 1, 2}))
        self.log += [x, Trimmed(), y]
        self.assertEqual(self.found(), set())
        self.log.append(x)
        self.assertEqual(self.found(), {"shared"})
        self.log += [Commit(GROUP, 0, 39), Epoch(GROUP, 1), Generation(GROUP, 3, {})]
        self.assertEqual(self.found(), {"shared", "commit-back", "epoch", "generation"})

    def test_other_groups_do_not_matter(self):
        self.log += [Commit("other", 0, 999), Generation("other", 0, {})]
        self.assertEqual(self.found(), set())

    def test_generation_goes_back(self):
        self.log.append(Generation(GROUP, 3, {"b": {0, 1, 2}}))
        self.assertEqual(self.found(), {"generation"})

    def test_generation_again_with_others(self):
        self.log.insert(2, Generation(GROUP, 2, {"a": {0}, "c": {1, 2}}))
        self.assertEqual(self.found(), {"generation"})

    def test_generation_again_with_the_same(self):
        self.log.insert(2, self.log[1])
        self.assertEqual(self.found(), set())

    def test_group_deleted(self):
        self.log.append(Generation(GROUP, None, None))
        self.assertEqual(self.found(), {"generation"})

    def test_partition_of_two_in_a_generation(self):
        self.log[1] = Generation(GROUP, 2, {"a": {0, 1}, "b": {1, 2}})
        self.assertEqual(self.found(), {"shared"})

    def test_epoch_goes_back(self):
        self.log.append(Epoch(GROUP, 1))
        self.assertEqual(self.found(), {"epoch"})

    def test_epoch_of_a_member_goes_back(self):
        self.log.append(Current(GROUP, "x", 2, {0}))
        self.assertEqual(self.found(), {"epoch"})

    def test_partition_given_before_it_was_given_up(self):
        self.log.remove(Current(GROUP, "x", 2, {0}))
        self.assertEqual(self.found(), {"shared"})


class RandomEdits(unittest.TestCase):
    """Committed offsets are read after every event that commits, so each edit breaks something that was seen."""

    @staticmethod
    def reads(events):
        committed, reads = dict.fromkeys(range(PARTITIONS), 0), {}
        for number, event in enumerate(events):
            if event[0] == "answered":
                committed[event[2]] = max(committed[event[2]], event[3])
                reads[number + 1] = dict(committed)
        return reads

    def test_all_are_noticed(self):
        random_ = random.Random(21)
        events = good_run()
        once = [n for n, e in enumerate(events) if e[0] == "processed" and not 20 <= e[3] < 24]
        for number in range(EDITS):
            mine, reads = list(events), self.reads(events)
            kind = random_.choice(["drop", "later", "lower", "higher"])
            if kind == "drop":
                del mine[random_.choice(once)]
            elif kind == "later":
                # After the commits of its partition were read; those of the last partition are read at the very end.
                mine.append(mine.pop(random_.choice([n for n in once if events[n][2] < PARTITIONS - 1])))
            else:
                at = random_.choice(list(reads))
                _, _, partition, offset = events[at - 1]
                reads[at][partition] = random_.randrange(offset) if kind == "lower" else RECORDS + random_.randrange(1, 9)
            self.assertTrue(kinds(mine, reads, []), f"edit {number}: {kind}")


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


class Parsing(unittest.TestCase):
    def test_commit(self):
        key = struct.pack(">h", 1) + text(GROUP) + text("t") + struct.pack(">i", 2)
        value = struct.pack(">hqi", 3, 77, -1) + text("") + struct.pack(">q", 5)
        self.assertEqual(offsets_log.entry_from(key, value), Commit(GROUP, 2, 77))
        self.assertEqual(offsets_log.entry_from(key, None), Commit(GROUP, 2, None))

    def test_generation(self):
        assignment = struct.pack(">hi", 1, 1) + text("t") + struct.pack(">iii", 2, 0, 5) + struct.pack(">i", -1)
        member = text("m") + struct.pack(">h", -1) + text("c") + text("/h") + struct.pack(">iiii", 1, 1, 1, 0)[:12]
        member += b"s" + struct.pack(">i", len(assignment)) + assignment
        value = struct.pack(">h", 3) + text("consumer") + struct.pack(">i", 9) + text("range") + text("m")
        value += struct.pack(">qi", 1, 1) + member
        key = struct.pack(">h", 2) + text(GROUP)
        self.assertEqual(offsets_log.entry_from(key, value), Generation(GROUP, 9, {"m": frozenset({0, 5})}))
        self.assertEqual(offsets_log.entry_from(key, None), Generation(GROUP, None, None))

    def test_epoch_and_current(self):
        key = struct.pack(">h", 3) + text(GROUP)
        self.assertEqual(offsets_log.entry_from(key, struct.pack(">hib", 0, 4, 0)), Epoch(GROUP, 4))
        one = bytes([2]) + bytes(16) + bytes([3]) + struct.pack(">ii", 1, 2)
        tagged = bytes([1, 0, 9, 3]) + struct.pack(">ii", 4, 4)
        pending = bytes([2]) + bytes(16) + bytes([2]) + struct.pack(">i", 7) + bytes([0])
        value = struct.pack(">hiib", 0, 4, 3, 1) + one + tagged + pending + bytes([0])
        key = struct.pack(">h", 8) + text(GROUP) + text("m")
        self.assertEqual(offsets_log.entry_from(key, value), Current(GROUP, "m", 4, frozenset({1, 2, 7})))

    def test_cut_short(self):
        key = struct.pack(">h", 8) + text(GROUP) + text("m")
        with self.assertRaises((ValueError, struct.error)):
            offsets_log.entry_from(key, struct.pack(">hiib", 0, 4, 3, 1) + bytes([2]) + bytes(10))


if __name__ == "__main__":
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(verbosity=0).run(suite)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
