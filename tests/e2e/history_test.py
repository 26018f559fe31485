#!/usr/bin/python3
"""Makes every anomaly of history.py happen: a checker that was never seen to fail proves nothing.

First one minimal history for each kind, then thousands of random edits of a good history, each of which must
be noticed.
"""

import os
import random
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import history
from history import Ack, Record

PLACE = ("topic", 0)
IDEMPOTENT = {0}
EDITS = 3000


def good_history():
    """Two producers with two keys each in one partition; producer 1 is not idempotent and repeats itself."""
    names = [(producer, key, seq) for seq in range(10) for producer in (0, 1) for key in (0, 1)]
    names[20:20] = [name for name in names[16:20] if name[0] == 1]
    log = [Record(offset, name, True) for offset, name in enumerate(names)]
    first = {}
    for record in log:
        first.setdefault(record.name, record.offset)
    acks = [Ack(PLACE, offset, name) for name, offset in first.items()]
    shown = {(PLACE, record.offset): record.name for record in log[::2]}
    sent = {(producer, key): 10 for producer in (0, 1) for key in (0, 1)}
    return acks, shown, log, sent


def kinds(acks, shown, log, sent):
    return set(history.check(acks, shown, {PLACE: log}, IDEMPOTENT, sent))


class EachAnomaly(unittest.TestCase):
    def setUp(self):
        self.acks, self.shown, self.log, self.sent = good_history()

    def found(self):
        return kinds(self.acks, self.shown, self.log, self.sent)

    def renumber(self):
        self.log = [record._replace(offset=offset) for offset, record in enumerate(self.log)]

    def test_good_history_has_none(self):
        self.assertEqual(self.found(), set())

    def test_repeat_of_a_producer_that_is_not_idempotent_is_allowed(self):
        names = [record.name for record in self.log]
        self.assertGreater(len(names), len(set(names)))

    def test_lost_last_record(self):
        self.shown.pop((PLACE, self.log[-1].offset), None)
        self.log.pop()
        self.assertEqual(self.found(), {"lost"})

    def test_lost_in_the_middle_is_a_gap_too(self):
        gone = self.log.pop(5)
        self.shown.pop((PLACE, gone.offset), None)
        self.assertEqual(self.found(), {"lost", "gap"})

    def test_moved(self):
        self.shown.clear()
        ack = self.acks[3]
        self.acks[3] = ack._replace(offset=ack.offset + 1)
        self.assertEqual(self.found(), {"moved"})

    def test_duplicate(self):
        self.log.append(Record(len(self.log), (0, 1, 9), True))
        self.assertEqual(self.found(), {"duplicate"})

    def test_reordered(self):
        self.acks.clear()
        self.shown.clear()
        self.log[0], self.log[4] = self.log[4], self.log[0]
        self.renumber()
        self.assertEqual(self.found(), {"reordered"})

    def test_late_repeat_is_no_reordering(self):
        self.log.append(Record(len(self.log), (1, 0, 0), True))
        self.assertEqual(self.found(), set())

    def test_corrupted_value(self):
        self.log[7] = self.log[7]._replace(intact=False)
        self.assertEqual(self.found(), {"corrupted"})

    def test_corrupted_beyond_recognition(self):
        self.shown.clear()
        self.log[7] = self.log[7]._replace(name=None, intact=False)
        self.assertEqual(self.found(), {"corrupted", "lost"})

    def test_gap(self):
        self.acks.clear()
        self.shown.clear()
        self.log = [record._replace(offset=record.offset + (record.offset > 9)) for record in self.log]
        self.assertEqual(self.found(), {"gap"})

    def test_unseen(self):
        self.acks = [ack for ack in self.acks if ack.name != self.log[-2].name]
        self.shown[PLACE, len(self.log)] = (1, 1, 9)
        self.assertEqual(self.found(), {"unseen"})

    def test_unsent(self):
        self.log.append(Record(len(self.log), (0, 0, 10), True))
        self.assertEqual(self.found(), {"unsent"})

    def test_unknown_producer_is_unsent(self):
        self.log.append(Record(len(self.log), (7, 0, 0), True))
        self.assertEqual(self.found(), {"unsent"})


class Names(unittest.TestCase):
    def test_value_round_trip(self):
        for seq in range(2000):
            name = (3, 4, seq)
            self.assertEqual(history.record_from(9, history.key_of(name), history.value_of(name)),
                             Record(9, name, True))

    def test_any_changed_byte_is_noticed(self):
        name = (1, 2, 3)
        value = history.value_of(name)
        for position in range(len(value)):
            bad = bytearray(value)
            bad[position] ^= 1
            self.assertFalse(history.record_from(0, history.key_of(name), bytes(bad)).intact)

    def test_cut_null_and_foreign_values_are_not_intact(self):
        name = (1, 2, 3)
        value = history.value_of(name)
        for bad in [None, b"", b"///", value[:-1], value + b"x", history.value_of((1, 2, 4))[:5] + value[5:]]:
            self.assertFalse(history.record_from(0, history.key_of(name), bad).intact)
        self.assertFalse(history.record_from(0, history.key_of((9, 9, 9)), value).intact)
        self.assertFalse(history.record_from(0, None, value).intact)


class RandomEdits(unittest.TestCase):
    """Every edit of the log breaks something that was acknowledged, so every edit must be found."""

    @staticmethod
    def edit(random_, log):
        acked = [i for i, record in enumerate(log) if log.index(next(r for r in log if r.name == record.name)) == i]
        at = random_.choice(acked)
        kind = random_.choice(["drop", "drop and close up", "swap", "put twice", "spoil", "replace"])
        if kind == "drop":
            del log[at]
        elif kind == "spoil":
            log[at] = log[at]._replace(intact=False)
        elif kind == "replace":
            log[at] = log[at]._replace(name=(9, 9, 9))
        else:
            if kind == "drop and close up":
                del log[at]
            elif kind == "swap":
                other = random_.choice([i for i in acked if i != at])
                log[at], log[other] = log[other], log[at]
            else:
                log.insert(random_.randrange(max(at, 1)), log[at])
            log[:] = [record._replace(offset=offset) for offset, record in enumerate(log)]
        return kind

    def test_all_are_noticed(self):
        random_ = random.Random(20)
        for number in range(EDITS):
            acks, shown, log, sent = good_history()
            kind = self.edit(random_, log)
            self.assertTrue(kinds(acks, shown, log, sent), f"edit {number}: {kind}")


if __name__ == "__main__":
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(verbosity=0).run(suite)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
