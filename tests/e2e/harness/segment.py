"""Reads segment files on its own: only the batch header of format version 2 is known here.

    baseOffset i64, batchLength i32, partitionLeaderEpoch i32, magic i8, crc u32, attributes i16,
    lastOffsetDelta i32, baseTimestamp i64, maxTimestamp i64, producerId i64, producerEpoch i16,
    baseSequence i32, recordCount i32, records
"""

import collections
import glob
import os
import struct

from harness.crc32c import crc32c

HEADER = struct.Struct(">qiibIhiqqqhii")
LENGTH_END = 12
CRC_END = 21
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]

Batch = collections.namedtuple("Batch", "base_offset last_offset count codec size crc_good leader_epoch")


def paths(data_dir, topic, partition=0):
    found = glob.glob(os.path.join(data_dir, "**", f"{topic}-{partition}", "*.log"), recursive=True)
    return sorted(found, key=os.path.basename)


def read(path, check_crc=True):
    """Returns the whole batches of one file and the bytes that follow the last of them."""
    with open(path, "rb") as file:
        data = file.read()
    batches, pos = [], 0
    while pos + HEADER.size <= len(data):
        base, length, epoch, magic, crc, attributes, last_delta, _, _, _, _, _, count = HEADER.unpack_from(data, pos)
        end = pos + LENGTH_END + length
        if magic != 2 or length < HEADER.size - LENGTH_END or end > len(data):
            break
        good = not check_crc or crc32c(data[pos + CRC_END:end]) == crc
        batches.append(Batch(base, base + last_delta, count, CODECS[attributes & 7], end - pos, good, epoch))
        pos = end
    return batches, data[pos:]


def read_partition(data_dir, topic, partition=0):
    """Returns the batches of all segments and what follows in the last one."""
    batches, rest = [], b""
    for path in paths(data_dir, topic, partition):
        some, rest = read(path)
        batches += some
    return batches, rest
