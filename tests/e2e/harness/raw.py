"""Kafka frames by hand, right ones and wrong ones."""

import socket
import struct
import time

from harness.crc32c import crc32c

PRODUCE, FETCH, METADATA, API_VERSIONS = 0, 1, 3, 18
OFFSET_COMMIT, JOIN_GROUP, DELETE_GROUPS, OFFSET_DELETE, CONSUMER_GROUP_DESCRIBE = 8, 11, 42, 47, 69
ALTER_CONFIGS, DESCRIBE_LOG_DIRS, CREATE_PARTITIONS, INCREMENTAL_ALTER_CONFIGS = 33, 35, 37, 44
PRODUCE_VERSION, FETCH_VERSION, METADATA_VERSION = 7, 4, 1
PRODUCE_ANSWER_BYTES = 30       # of a partition, in that version


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def request(key, version, correlation, body=b"", client_id="raw"):
    """One frame with a request header of version 1."""
    payload = struct.pack(">hhi", key, version, correlation) + string(client_id) + body
    return struct.pack(">i", len(payload)) + payload


def varint(value):
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def record(delta, value, key=None):
    body = b"\0" + varint(0) + varint(delta)
    body += varint(-1) if key is None else varint(len(key)) + key
    body += varint(len(value)) + value + varint(0)
    return varint(len(body)) + body


def batch(values, count=None, last_delta=None, magic=2, bad_crc=False, attributes=0, base_offset=0, length=None,
          packed=None):
    """A record batch; every argument but values makes a wrong one. packed: bytes in place of the records."""
    count = len(values) if count is None else count
    last_delta = len(values) - 1 if last_delta is None else last_delta
    now = int(time.time() * 1000)
    covered = struct.pack(">hiqqqhii", attributes, last_delta, now, now, -1, -1, -1, count)
    covered += packed or b"".join(record(i, value) for i, value in enumerate(values))
    crc = crc32c(covered) ^ (1 if bad_crc else 0)
    rest = struct.pack(">ibI", 0, magic, crc) + covered
    return struct.pack(">qi", base_offset, len(rest) if length is None else length) + rest


def produce(correlation, topic, records, acks=-1, partition=0):
    blob = struct.pack(">i", -1) if records is None else struct.pack(">i", len(records)) + records
    body = (struct.pack(">hhi", -1, acks, 10_000) + struct.pack(">i", 1) + string(topic) + struct.pack(">ii", 1, partition)
            + blob)
    return request(PRODUCE, PRODUCE_VERSION, correlation, body)


def produce_many(correlation, topic, records_of):
    """records_of: a blob for each partition, from 0 on."""
    body = struct.pack(">hhi", -1, -1, 10_000) + struct.pack(">i", 1) + string(topic) + struct.pack(">i", len(records_of))
    for partition, records in enumerate(records_of):
        body += struct.pack(">ii", partition, len(records)) + records
    return request(PRODUCE, PRODUCE_VERSION, correlation, body)


def produce_many_errors(body, topic, count):
    """The errors of the answer to produce_many."""
    at, size = 4 + 2 + len(topic) + 4, PRODUCE_ANSWER_BYTES
    return [struct.unpack(">ih", body[at + i * size:at + i * size + 6])[1] for i in range(count)]


def fetch(correlation, topic, offset, wait_ms, min_bytes=1, partition=0):
    body = struct.pack(">iiiib", -1, wait_ms, min_bytes, 1 << 20, 0) + struct.pack(">i", 1) + string(topic)
    body += struct.pack(">iiqi", 1, partition, offset, 1 << 20)
    return request(FETCH, FETCH_VERSION, correlation, body)


def metadata(correlation, topics=None):
    body = struct.pack(">i", -1) if topics is None else struct.pack(">i", len(topics)) + b"".join(map(string, topics))
    return request(METADATA, METADATA_VERSION, correlation, body)


class Closed(Exception):
    pass


class Connection:
    def __init__(self, target, timeout_s=10):
        self.socket = socket.create_connection((target.host, target.port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def exactly(self, size):
        data = b""
        while len(data) < size:
            try:
                piece = self.socket.recv(size - len(data))
            except ConnectionResetError:
                raise Closed from None
            if not piece:
                raise Closed
            data += piece
        return data

    def reply(self):
        """Returns (correlation id, body) of the next reply."""
        size, = struct.unpack(">i", self.exactly(4))
        frame = self.exactly(size)
        return struct.unpack(">i", frame[:4])[0], frame[4:]

    def is_closed_within(self, seconds):
        """Whether the other side ends the connection in time; what it says before is dropped."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(4096):
                pass
            return True
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False


def produce_error(connection, topic, records, acks=-1, partition=0, correlation=7):
    """Sends one produce request and returns (error code, base offset) of its only partition."""
    connection.send(produce(correlation, topic, records, acks, partition))
    got, body = connection.reply()
    if got != correlation:
        raise AssertionError(f"correlation {got} is not {correlation}")
    at = 4 + 2 + len(topic) + 4
    _, code, base = struct.unpack(">ihq", body[at:at + 14])
    return code, base


def offered_apis(target):
    with Connection(target) as connection:
        connection.send(request(API_VERSIONS, 0, 1))
        _, body = connection.reply()
    return {key for key, _, _ in struct.iter_unpack(">hhh", body[6:])}
