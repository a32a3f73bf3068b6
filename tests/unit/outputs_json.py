#!/usr/bin/python3
"""Compares the forms of records with what Python makes of the same records.

usage: outputs_json.py OUTPUTS_DUMP PROTOSET GOLDEN_DIRECTORY

protojson must equal protobuf's own mapping, keys in the same order; jsonl, csv and tsv must be readable and say the same, and
beside it the zeros that the kernel sent, as diag_attributes and tcp_info_len tell them.
The records are the golden ones and random ones (XTCP_SEED chooses which).
"""
import csv
import io
import ipaddress
import json
import os
import pathlib
import random
import re
import string
import subprocess
import sys
import tempfile
import time
import unicodedata

import msgpack
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, text_format
from google.protobuf.internal import decoder

ENVELOPE = "xtcp_flat_record.v1.Envelope"
ADDRESSES = ("inet_diag_msg_socket_source", "inet_diag_msg_socket_destination")
NAMED = {"inet_diag_msg_state", "tcp_info_state", "tcp_info_ca_state", "congestion_algorithm_enum", "event"}
TEXT = string.printable + "\x1b\x7f\x80\x9b\x9fäß€漢😀\ud7ff\ue000\xad\u200f\u2028\u202e\ufeff\U000e0001"  # no NUL: protobuf-c ends strings there
SAFE = "".join(c for c in TEXT if c.isprintable())
HUMAN_ADDRESSES = ("inetDiagMsgSocketSource", "inetDiagMsgSocketDestination")
STATES = dict(enumerate(("ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
                         "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV", "BOUND_INACTIVE"), 1))
MAPPED = bytes(10) + b"\xff\xff"  # an IPv4 address in IPv6
SOME = ("netns", "inet_diag_msg_state", "timestamp_ns", "congestion_algorithm_enum", "inet_diag_msg_socket_source")


# Bits of diag_attributes (INET_DIAG_* of <linux/inet_diag.h>) of the fields that are numbers, by the first letters of
# their names; those of inet_diag_msg are always there.
ATTRIBUTES = {
    "mem_info_": 1, "tcp_info_": 2, "vegas_info_": 3, "type_of_service": 5, "traffic_class": 6, "sk_mem_info_": 7,
    "shutdown_state": 8, "dctcp_info_": 9, "v6only": 11, "mark": 15, "bbr_info_": 16, "class_id": 17, "c_group": 21, "sock_opt": 22,
}
NOT_SENT = {"inet_diag_msg_socket_dest_asn", "inet_diag_msg_socket_next_hop_asn"}

# How struct tcp_info of <linux/tcp.h> goes on: bytes of a member, and the numbers of the fields that it has in turn.
TCP_INFO = (
    (1, range(1201, 1207)), (0, [1207]), (1, [1208]), (0, [1209]), (1, [1210]), (4, range(1215, 1239)), (8, range(1239, 1243)),
    (4, range(1243, 1249)), (8, range(1249, 1253)), (4, range(1253, 1255)), (8, range(1255, 1257)), (4, range(1257, 1263)),
    (2, range(1263, 1265)), (4, [1265]), (4, range(3101, 3108)), (2, range(3108, 3110)),
)


def tcp_info_ends():
    """{number of a field: bytes of struct tcp_info up to its end}."""
    ends, at = {}, 0
    for width, numbers in TCP_INFO:
        for number in numbers:
            at += width
            ends[number] = at + (width == 0)  # half a byte ends with the byte
    return ends


ENDS = tcp_info_ends()


def is_zero(row, field):
    """Whether a field that is not in the row is a number that the kernel sent as zero."""
    if not row.diag_attributes or field.name in NOT_SENT or field.name == "tcp_info_len" or field.cpp_type in (
            field.CPPTYPE_STRING, field.CPPTYPE_ENUM):
        return False
    if field.name.startswith("inet_diag_msg_"):
        return True
    bits = [bit for name, bit in ATTRIBUTES.items() if field.name.startswith(name)]
    if not bits or not row.diag_attributes >> bits[0] & 1:
        return False
    return field.number not in ENDS or ENDS[field.number] <= row.tcp_info_len


def envelope_class(protoset):
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(protoset.read_bytes()).file:
        pool.Add(file)
    return message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName(ENVELOPE))


def random_value(rng, field):
    if field.cpp_type == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            return rng.choice((b"", MAPPED)) + rng.randbytes(4) if rng.random() < 0.3 else rng.randbytes(rng.choice((16, 16, 3, 40)))
        return "".join(rng.choices(rng.choice((TEXT, SAFE)), k=rng.randrange(20)))
    if field.cpp_type == field.CPPTYPE_ENUM:
        return rng.choice((0, 1, 2, 7, 8, -1, 2**31 - 1))
    if field.type == field.TYPE_INT64:
        return rng.randrange(-2**63, 2**63) >> rng.randrange(63)
    return rng.getrandbits(64 if field.type == field.TYPE_UINT64 else 32) >> rng.randrange(32)


def random_envelope(cls, rng):
    envelope = cls()
    for _ in range(300):
        row = envelope.row.add()
        share = rng.random()
        for field in row.DESCRIPTOR.fields:
            if rng.random() < share:
                setattr(row, field.name, random_value(rng, field))
        if rng.random() < 0.9:
            row.inet_diag_msg_family = rng.choice((2, 10))
        row.diag_attributes = rng.choice((0, 1, rng.getrandbits(23), (1 << 23) - 1))
        row.tcp_info_len = rng.choice((0, 7, 104, 191, 232, 280, 300))
    return envelope


def dump_bytes(program, form, envelope, *columns):
    with tempfile.NamedTemporaryFile() as file:
        file.write(envelope.SerializeToString())
        file.flush()
        done = subprocess.run([program, form, file.name, *columns], stdout=subprocess.PIPE, check=True, timeout=60)
    return done.stdout


def dump(program, form, envelope, *columns):
    return dump_bytes(program, form, envelope, *columns).decode("utf-8")


def address(row, value):
    if row.inet_diag_msg_family == 2 and len(value) == 16:
        value = value[:4]
    return str(ipaddress.ip_address(value)) if len(value) in (4, 16) else value.hex()


def same_address(text, expected):
    """inet_ntop writes some IPv6 addresses with a dotted quad, Python does not."""
    try:
        return ipaddress.ip_address(text) == ipaddress.ip_address(expected)
    except ValueError:
        return expected.startswith(text)  # hexadecimal, cut


def check(condition, *what):
    if not condition:
        sys.exit("differs: " + " ".join(repr(w) for w in what))


def check_protojson(program, envelope):
    lines = dump(program, "protojson", envelope).split("\n")
    check(len(lines) == len(envelope.row) + 1 and lines[-1] == "", "lines", len(lines))
    for line, row in zip(lines, envelope.row):
        ours, theirs = json.loads(line), json.loads(json_format.MessageToJson(row))
        check(ours == theirs, ours, theirs)
        check_hidden(line)
        check(list(ours) == list(theirs), "order", list(ours), list(theirs))
        check(", " not in line or any(", " in str(v) for v in ours.values()), "not compact", line)


def check_protojson_envelope(program, envelope):
    """One line, whose records are those of protojson."""
    text = dump(program, "protojson-envelope", envelope)
    check(text.count("\n") == 1 and text.endswith("]}\n"), "lines")
    check(json_format.Parse(text, type(envelope)()) == envelope, "envelope")
    check(text == '{"row":[' + dump(program, "protojson", envelope).rstrip("\n").replace("\n", ",") + "]}\n", "records")
    check(dump(program, "protojson-envelope", type(envelope)()) == '{"row":[]}\n', "no record")


def human_value(row, name, value):
    """A value of humanize; |value| is that of protojson."""
    data = getattr(row, re.sub("[A-Z]", lambda m: "_" + m[0].lower(), name), None)
    if name in ("inetDiagMsgState", "tcpInfoState"):
        return STATES.get(value, value)
    if name == "congestionAlgorithmEnum" and isinstance(value, str):
        return value.removeprefix("CONGESTION_ALGORITHM_")
    if name == "timestampNs":
        second, ns = divmod(int(value), 10**9)
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)) + (f".{ns:09}".rstrip("0") if ns else "") + "Z"
    if name in HUMAN_ADDRESSES:
        mapped = ipaddress.ip_address(data).ipv4_mapped if len(data) == 16 and row.inet_diag_msg_family != 2 else None
        return str(mapped) if mapped else address(row, data)
    return value


def check_humanize(program, envelope):
    """protojson with sorted keys and other values of some fields; nothing that HTML would take for its own."""
    lines = dump(program, "humanize", envelope).split("\n")
    check(len(lines) == len(envelope.row) + 1 and lines[-1] == "", "lines", len(lines))
    for line, row in zip(lines, envelope.row):
        ours, plain = json.loads(line), json.loads(json_format.MessageToJson(row))
        check(list(ours) == sorted(plain), "keys", list(ours), sorted(plain))
        check_hidden(line)
        check(not set(line) & set("<>&"), "HTML", line)
        for name, value in plain.items():
            expected = human_value(row, name, value)
            same = ours[name] == expected or (name in HUMAN_ADDRESSES and same_address(ours[name], expected))
            check(same, name, ours[name], expected)
    for line in dump(program, "humanize", envelope, *SOME).splitlines():
        check(list(json.loads(line)) == sorted(json.loads(line)), "chosen keys", line)


def fields(row):
    return sorted(row.DESCRIPTOR.fields, key=lambda f: f.number)


def plain(row, field):
    value = getattr(row, field.name)
    return address(row, value) if field.name in ADDRESSES else value


def check_jsonl(program, envelope):
    lines = dump(program, "jsonl", envelope).split("\n")
    check(len(lines) == len(envelope.row) + 1, "lines", len(lines))
    for line, row in zip(lines, envelope.row):
        ours = json.loads(line)
        check_hidden(line)
        if row.timestamp_ns:
            check(next(iter(ours)) == "timestamp", line)
            second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(row.timestamp_ns // 10**9))
            check(ours.pop("timestamp") == f"{second}.{row.timestamp_ns % 10**9:09}Z", line)
        there = {field.name for field, _ in row.ListFields()}
        shown = [f for f in fields(row) if f.name in there or is_zero(row, f)]
        check(list(ours) == [field.name for field in shown], "fields", list(ours))
        for field in shown:
            value, expected = ours[field.name], plain(row, field)
            if field.name in ADDRESSES:
                check(same_address(value, expected), field.name, value, expected)
            else:
                check(value == expected or (field.name in NAMED and isinstance(value, str)), field.name, value, expected)


def escaped(c):
    """A character of csv: controls, formats and separators of lines are written as JSON could."""
    if unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp"):
        return c
    units = c.encode("utf-16-be")
    return "".join(f"\\u{units[i] << 8 | units[i + 1]:04x}" for i in range(0, len(units), 2))


def check_hidden(*texts):
    """An invisible character never stands in a text as it is."""
    for text in texts:
        check(not [c for c in text if escaped(c) != c and c != "\n"], "hidden", text)


def check_columns(envelope, reader, written):
    """|reader| has the lines of values; |written|: what has become of a text."""
    names = next(reader)
    check(names == [field.name for field in fields(envelope.row[0])], names)
    for values, row in zip(reader, envelope.row):
        check(len(values) == len(names), "columns", len(values))
        present = {field.name for field, _ in row.ListFields()} | {f.name for f in fields(row) if is_zero(row, f)}
        for name, value in zip(names, values):
            expected = plain(row, row.DESCRIPTOR.fields_by_name[name])
            if name not in present:
                check(value == "", name, value)
            elif name in ADDRESSES:
                check(same_address(value, expected), name, value, expected)
            elif isinstance(expected, str):
                check(value == written(expected), name, value, written(expected))
            else:
                check(value == str(expected) or name in NAMED, name, value, expected)


def check_csv(program, envelope):
    text = dump(program, "csv", envelope)
    check(text.count("\n") == len(envelope.row) + 1, "lines")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    check_columns(envelope, reader, lambda text: "".join(map(escaped, text)))


def unescaped(text):
    """A text of tsv, as ClickHouse reads it."""
    letters = {b"t": b"\t", b"n": b"\n", b"r": b"\r", b"\\": b"\\"}
    return re.sub(rb"\\(?:x(..)|(.))", lambda m: bytes.fromhex(m[1].decode()) if m[1] else letters[m[2]], text.encode()).decode()


def check_tsv(program, envelope):
    text = dump(program, "tsv", envelope)
    lines = text.split("\n")
    check(len(lines) == len(envelope.row) + 2 and lines.pop() == "", "lines", len(lines))
    check_hidden(text.replace("\t", ""))
    check_columns(envelope, ([unescaped(value) for value in line.split("\t")] for line in lines), lambda text: text)


def cut(row, columns):
    """|row| with |columns| alone, and what tells zeros of them."""
    short = type(row)()
    for name in (*columns, "diag_attributes"):
        setattr(short, name, getattr(row, name))
    return short


def check_protobuf(program, envelope):
    """Both forms of protobuf, with all columns and with some."""
    for columns in ((), SOME):
        expected = [cut(row, columns) if columns else row for row in envelope.row]
        data = dump_bytes(program, "protobuf-delimited", envelope, *columns)
        rows = list(delimited(data, type(envelope.row[0])))
        check(rows == expected, "protobuf-delimited", columns)
        data = dump_bytes(program, "protobuf-list", envelope, *columns)
        check([row for rows in delimited(data, type(envelope)) for row in rows.row] == expected, "protobuf-list", columns)


def check_msgpack(program, envelope):
    """Maps of what jsonl has, with bytes and numbers where that has texts; in the shortest form."""
    data = dump_bytes(program, "msgpack", envelope)
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=True)
    unpacker.feed(data)
    rows = list(unpacker)
    check(len(rows) == len(envelope.row), "maps", len(rows))
    for ours, row in zip(rows, envelope.row):
        there = {field.name for field, _ in row.ListFields()}
        expected = {f.name: getattr(row, f.name) for f in fields(row) if f.name in there or is_zero(row, f)}
        check(ours == expected and list(ours) == list(expected), ours, expected)
    check(b"".join(msgpack.packb(row, use_bin_type=True) for row in rows) == data, "shortest form")


def check_prototext(program, envelope):
    text = dump(program, "prototext", envelope)
    check(text_format.Parse(text, type(envelope)()) == envelope, "prototext")
    check(text.count("row: {\n  ") + text.count("row: {\n}") == len(envelope.row), "blocks")
    check_hidden(text)


def delimited(data, cls):
    """The messages of |data|, each behind its length."""
    at = 0
    while at < len(data):
        n, at = decoder._DecodeVarint(data, at)
        yield cls.FromString(data[at:at + n])
        at += n
    check(at == len(data), "cut", at, len(data))


def main():
    program, protoset, golden = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    cls = envelope_class(protoset)
    recorded = cls.FromString((golden / "records.pb").read_bytes())
    source = text_format.Parse((golden / "records.txtpb").read_text(), cls())
    check(recorded == source, "records.pb is not records.txtpb")
    seed = int(os.environ.get("XTCP_SEED", time.time_ns()))
    print(f"XTCP_SEED={seed}")
    for envelope in (recorded, random_envelope(cls, random.Random(seed))):
        check_protojson(program, envelope)
        check_protojson_envelope(program, envelope)
        check_humanize(program, envelope)
        check_jsonl(program, envelope)
        check_csv(program, envelope)
        check_tsv(program, envelope)
        check_protobuf(program, envelope)
        check_prototext(program, envelope)
        check_msgpack(program, envelope)
        print(len(envelope.row), "records compared in each form")


if __name__ == "__main__":
    main()
