#!/usr/bin/python3
"""Holds our protojson of XtcpConfig against python's json_format, both ways.

usage: rpc_json_python.py PROTOSET RPC_JSON_PIPE
"""
import json
import pathlib
import random
import struct
import subprocess
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

FAILED = 0xFFFFFFFF
TEXTS = ["", "a", "rack 7", 'say "hi"', "gr\u00fcn", "\u65e5\u672c", "\U0001f600", "tab\tline\nend\\/", "\x01\x7f", "\u2028"]


def messages(path):
    """The classes of package xtcp_config.v1 by name."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(path).read_bytes()).file:
        pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return lambda name: factory.GetPrototype(pool.FindMessageTypeByName("xtcp_config.v1." + name))


class Pipe:
    """A running rpc_json_pipe."""

    def __init__(self, program, mode):
        self.process = subprocess.Popen([program, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, data):
        self.process.stdin.write(struct.pack("<I", len(data)) + data)
        self.process.stdin.flush()
        (length,) = struct.unpack("<I", self.process.stdout.read(4))
        return None if length == FAILED else self.process.stdout.read(length)

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0, "rpc_json_pipe failed"


def scalar(field):
    """A random value of a field."""
    if field.type == field.TYPE_BOOL:
        return random.random() < 0.5
    if field.type == field.TYPE_STRING:
        return random.choice(TEXTS)
    bits = 32 if field.type == field.TYPE_UINT32 else 64
    return random.choice([0, 1, 2**bits - 1, random.getrandbits(bits), random.getrandbits(8)])


def fill(message):
    """Sets about half of the fields."""
    for field in message.DESCRIPTOR.fields:
        if random.random() < 0.5:
            continue
        value = getattr(message, field.name)
        if field.message_type and field.message_type.full_name == "google.protobuf.Duration":
            sign = random.choice([1, 1, -1])
            value.seconds = sign * random.choice([0, 1, 604800, 315576000000 - 1])
            value.nanos = sign * random.choice([0, 1, 1000, 500000000, 999999999, random.randrange(10**9)])
            value.SetInParent()
        elif field.message_type and field.message_type.GetOptions().map_entry:
            text = field.message_type.fields_by_name["value"].type == field.TYPE_STRING
            for key in random.sample(["info", "cong", "bbr", "", "gr\u00fcn"], 3):
                value[key] = random.choice(TEXTS) if text else random.random() < 0.5
        elif field.message_type and field.label == field.LABEL_REPEATED:
            for _ in range(random.randrange(3)):
                fill(value.add())
        elif field.message_type:
            fill(value)
            value.SetInParent()
        elif field.label == field.LABEL_REPEATED:
            value.extend(random.choices(TEXTS, k=random.randrange(4)))
        else:
            setattr(message, field.name, scalar(field))
    return message


def check_write(message_class, pipe):
    """python reads our output, and it means the same as the output of python."""
    reply = message_class("GetResponse")()
    fill(reply.config)
    reply.config.SetInParent()
    text = pipe(reply.SerializeToString())
    assert text is not None, reply
    back = json_format.Parse(text, message_class("XtcpConfig")())
    assert back == reply.config, f"{text}\n{reply}"
    assert json.loads(text) == json.loads(json_format.MessageToJson(reply.config)), text


def check_read(message_class, pipe):
    """We read the output of python in any of its forms."""
    config = fill(message_class("XtcpConfig")())
    text = json_format.MessageToJson(
        config,
        including_default_value_fields=random.random() < 0.5,
        preserving_proto_field_name=random.random() < 0.5,
        indent=random.choice([None, 0, 2]))
    answer = pipe(text.encode())
    assert answer is not None, text
    request = message_class("SetRequest").FromString(answer)
    assert request.config == config, f"{text}\n{request}"


def main():
    message_class = messages(sys.argv[1])
    random.seed(1)
    write, read = Pipe(sys.argv[2], "write"), Pipe(sys.argv[2], "read")
    for _ in range(1000):
        check_write(message_class, write)
        check_read(message_class, read)
    write.close()
    read.close()
    print("2000 documents agree")


if __name__ == "__main__":
    main()
