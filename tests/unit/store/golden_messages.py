"""Writes golden_messages.h: message sets of formats 0 and 1 as kafka-python 2.0.2 makes them (with lz4, xxhash and
python-snappy installed). Three records: key and value, no key, no value."""

from kafka.record.legacy_records import LegacyRecordBatchBuilder

T0 = 1_700_000_000_000
CODECS = [("plain", 0), ("gzip", 1), ("snappy", 2), ("lz4", 3)]


def message_set(magic, codec):
    builder = LegacyRecordBatchBuilder(magic, codec, 1 << 20)
    for offset, key, value in [(0, b"key-0", b"value-0"), (1, None, b"value-1" * 9), (2, b"key-2", None)]:
        builder.append(offset, T0 + 5 * offset, key, value)
    return bytes(builder.build())


def lines(data):
    for at in range(0, len(data), 20):
        yield "    " + ", ".join(f"0x{byte:02x}" for byte in data[at:at + 20]) + ",\n"


with open("golden_messages.h", "w") as out:
    out.write("/* Message sets that kafka-python 2.0.2 writes; made by golden_messages.py. */\n#pragma once\n#include <stdint.h>\n")
    for magic in (0, 1):
        for name, codec in CODECS:
            data = message_set(magic, codec)
            out.write(f"\nstatic const uint8_t golden_{name}_{magic}[{len(data)}] = {{\n{''.join(lines(data))}}};\n")
