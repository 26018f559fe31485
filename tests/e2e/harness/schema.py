"""Any request and any answer, by the project's own schema (src/wire/schema)."""

import os
import struct
import sys

from harness.target import ROOT

sys.path.insert(0, os.path.join(ROOT, "src", "wire"))
import wireschema

sys.path.pop(0)

FIXED = {"int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "int64": ">q", "float64": ">d"}
HEADER_FLEXIBLE_NEVER = 18      # the answer to ApiVersions has no tagged fields in its header
NO_CLIENT_ID = struct.pack(">h", -1)


def apis():
    """By name, as {"join_group": wireschema.Api}."""
    folder = os.path.join(ROOT, "src", "wire", "schema")
    files = sorted(name for name in os.listdir(folder) if name[:1].isdigit())
    return {wireschema.snake(api.name): api
            for name in files for api in wireschema.parse_schema(os.path.join(folder, name))}


def holds(versions, version):
    return versions[0] <= version <= versions[1]


def unsigned(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Writer:
    """value_of(field) says what stands in a field; for arrays how many elements, None is null."""

    def __init__(self, message, version, value_of):
        self.version, self.flexible, self.value_of = version, version >= message.flexible, value_of
        self.out = bytearray()
        self.fields(message.fields)

    def length(self, value, fmt):
        count = -1 if value is None else value
        self.out += unsigned(count + 1) if self.flexible else struct.pack(fmt, count)

    def scalar(self, field, value):
        if field.kind in FIXED:
            self.out += struct.pack(FIXED[field.kind], value)
        elif field.kind == "bool":
            self.out.append(value)
        elif field.kind == "uuid":
            self.out += value
        else:
            data = value.encode() if isinstance(value, str) else value
            self.length(None if data is None else len(data), ">h" if field.kind == "string" else ">i")
            self.out += data or b""

    def one(self, field):
        if field.of:
            if not field.array and field.null != wireschema.NEVER:
                there = self.value_of(field)
                self.out += b"\1" if there else b"\xff"
                if not there:
                    return
            self.fields(field.children or field.of.fields)
        else:
            self.scalar(field, self.value_of(field))

    def fields(self, fields):
        for field in fields:
            if not holds(field.versions, self.version) or field.tag >= 0:
                continue
            if field.array:
                count = self.value_of(field, array=True)
                self.length(count, ">i")
                for _ in range(count or 0):
                    self.one(field)
            else:
                self.one(field)
        if self.flexible:
            self.out.append(0)


class Reader:
    """Answers as dicts; seen(field, value) is told every text, bytes, integer and id."""

    def __init__(self, message, version, data, at, seen):
        self.version, self.flexible, self.data, self.at, self.seen = version, version >= message.flexible, data, at, seen
        self.value = self.fields(message.fields)

    def take(self, size):
        if size < 0 or self.at + size > len(self.data):
            raise AssertionError(f"an answer ends at {len(self.data)}, before {self.at + size}")
        self.at += size
        return self.data[self.at - size:self.at]

    def unsigned(self):
        value = shift = 0
        while True:
            byte, = self.take(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def length(self, fmt):
        return self.unsigned() - 1 if self.flexible else struct.unpack(fmt, self.take(struct.calcsize(fmt)))[0]

    def scalar(self, field):
        if field.kind in FIXED:
            value, = struct.unpack(FIXED[field.kind], self.take(struct.calcsize(FIXED[field.kind])))
        elif field.kind == "bool":
            value = self.take(1) != b"\0"
        elif field.kind == "uuid":
            value = self.take(16)
        else:
            size = self.length(">h" if field.kind == "string" else ">i")
            value = None if size < 0 else self.take(size)
        self.seen(field, value)
        return value

    def one(self, field):
        if not field.of:
            return self.scalar(field)
        if not field.array and field.null != wireschema.NEVER and self.take(1) != b"\1":
            return None
        return self.fields(field.children or field.of.fields)

    def fields(self, fields):
        out = {}
        for field in fields:
            if not holds(field.versions, self.version) or field.tag >= 0:
                continue
            if field.array:
                count = self.length(">i")
                out[field.name] = None if count < 0 else [self.one(field) for _ in range(count)]
            else:
                out[field.name] = self.one(field)
        if self.flexible:
            for _ in range(self.unsigned()):
                self.unsigned()
                self.take(self.unsigned())
        return out


def request(api, version, correlation, value_of, client_id=NO_CLIENT_ID):
    """One frame. client_id: its bytes with their length."""
    message = api.messages[0]
    payload = struct.pack(">hhi", api.key, version, correlation) + client_id
    if version >= message.flexible:
        payload += b"\0"
    payload += Writer(message, version, value_of).out
    return struct.pack(">i", len(payload)) + payload


def answer(api, version, body, seen=lambda field, value: None):
    """body: behind the correlation id. All of it must be the answer."""
    message = api.messages[1]
    tagged = version >= message.flexible and api.key != HEADER_FLEXIBLE_NEVER
    reader = Reader(message, version, body, 1 if tagged else 0, seen)
    if reader.at != len(body):
        raise AssertionError(f"{api.name} {version}: {len(body) - reader.at} bytes behind the answer")
    return reader.value
