#!/usr/bin/env python3
"""Goal: the schema reader refuses what it does not understand, and says where.

Method: small schemas with one mistake each, against the line and the words that must be named.
"""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), '../../../src/wire'))
import wiregen  # noqa: E402
from wireschema import Fail, parse_errors, parse_schema  # noqa: E402

GOOD = '''# Echo: says it again.
api Echo  key 1  versions 0..3  flexible 2..
request
  text    string?  1..        # what to say
  times   int32         = -1
  places  []place  ..2
    at    int64
  more    uuid     2..  tag 0
response
  text    string
'''


class Schema(unittest.TestCase):
    def parse(self, text, reader=parse_schema):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'x.wire')
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)
            return reader(path)

    def refuses(self, old, new, line, words):
        self.assertIn(old, GOOD)
        with self.assertRaises(Fail) as caught:
            self.parse(GOOD.replace(old, new, 1))
        self.assertIn(f'x.wire:{line}:', str(caught.exception))
        self.assertIn(words, str(caught.exception))

    def test_good_is_taken(self):
        api, = self.parse(GOOD)
        request = api.messages[0]
        self.assertEqual((api.name, api.key, api.versions, api.flexible), ('Echo', 1, (0, 3), 2))
        self.assertEqual([f.name for f in request.fields], ['text', 'times', 'places', 'more'])
        self.assertEqual(request.fields[0].null, (1, 3))
        self.assertEqual([s.name for s in request.structs], ['echo_request_place', 'echo_request'])
        self.assertTrue(wiregen.messages_c([api]))

    def test_mistakes_are_named(self):
        self.refuses('api Echo  key 1', 'api echo  key 1', 2, 'not a head line')
        self.refuses('flexible 2..', 'flexible 2', 2, 'not a head line')
        self.refuses('versions 0..3', 'versions 3..0', 2, 'empty')
        self.refuses('1..    ', '1..9   ', 4, 'leaves 0..3')
        self.refuses('string?', 'strung?', 4, 'unknown type strung')
        self.refuses('int32    ', 'int32?   ', 5, 'cannot be null')
        self.refuses('= -1', '= 0', 5, 'no default')
        self.refuses('= -1', '= 2147483648', 5, 'no default')
        self.refuses('= -1', '= -1 x', 5, 'not understood')
        self.refuses('times ', 'text  ', 5, 'there already')
        self.refuses('[]place', '[]int32', 6, 'no fields of its own')
        self.refuses('    at ', '      at ', 7, 'indented')
        self.refuses('    at ', '   at ', 7, 'not a field')
        self.refuses('2..  tag 0', '1..  tag 0', 8, 'before the message is flexible')
        self.refuses('tag 0', 'tag 1', 4, 'tags must be')
        self.refuses('response', 'reply', 9, 'not understood')

    def test_a_struct_cannot_hold_itself(self):
        self.refuses('    at    int64', '    at    []place', 7, 'unknown type place')

    def test_error_codes_have_no_gaps(self):
        good = '-1  UNKNOWN  final  what\n0  NONE  final  fine\n'
        self.assertEqual(len(self.parse(good, parse_errors)), 2)
        for bad in ('-1  UNKNOWN  final  what\n1  NONE  final  fine\n', '-1 UNKNOWN maybe what\n'):
            with self.assertRaises(Fail):
                self.parse(bad, parse_errors)


if __name__ == '__main__':
    unittest.main()
