#!/usr/bin/python3
"""A peer of an output: receives records and writes down each one, "POLL NETNS_COOKIE COOKIE TIME;", as soon as it has it.

usage: counter.py KIND WHERE FILE [--framed] [--hold] [--reset N]

KIND and WHERE: tcp PORT, unix PATH, udp PORT, unixgram PATH. The messages are protobuf-list: Envelopes, each with its length
in front; --framed: with the length of the message in front of that once more. --hold: accepts and never reads. --reset N:
reads N bytes of the first connection and then resets it. FILE is appended to, a line with one write, so what is there has been
received whatever ends this process, and what is not has not been read. Prints "ready" when it can be reached.
"""
import argparse
import os
import socket
import struct
import sys
import threading
import time

import harness.paths  # makes the generated modules known
from xtcp_flat_record.v1 import xtcp_flat_record_pb2 as record_pb

assert harness.paths

SO_RCVBUFFORCE = 33  # asm-generic/socket.h


def varint(data, at):
    """The number at |at| of |data| and the place behind it; None when it is not all there."""
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return value, at
    return None


def split(data):
    """The delimited messages of |data| and what is left of it."""
    found = []
    at = 0
    while (head := varint(data, at)) and len(data) >= head[1] + head[0]:
        found.append(data[head[1]:head[1] + head[0]])
        at = head[1] + head[0]
    return found, data[at:]


class Book:
    def __init__(self, path, framed):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.framed = framed
        os.write(self.fd, b"\n")  # a line that is cut belongs to one who was killed

    def envelope(self, data):
        rows = record_pb.Envelope.FromString(data).row
        lines = "".join(f"{r.poll_id} {r.netns_cookie} {r.inet_diag_msg_socket_cookie} {r.timestamp_ns};\n" for r in rows)
        os.write(self.fd, lines.encode())

    def take(self, data):
        """Writes down what is complete in |data|; returns the rest."""
        messages, rest = split(data)
        for message in messages:
            if not self.framed:
                self.envelope(message)
                continue
            inner, beyond = split(message)
            assert not beyond, "a frame that is no whole message"
            for envelope in inner:
                self.envelope(envelope)
        return rest


def serve(conn, book, options):
    if options.hold:
        threading.Event().wait()
    left = options.reset
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    while data := conn.recv(1 << 20, socket.MSG_PEEK):
        if options.reset and left <= 0:
            options.reset = 0
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            break
        # What is written down is taken; what is not stays unread, so that its sender learns that it is lost.
        taken = len(data) - len(book.take(data))
        if taken:
            conn.recv(taken)
            left -= taken
        else:
            time.sleep(0.001)  # the rest of the message is on its way
    conn.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("tcp", "unix", "udp", "unixgram"))
    parser.add_argument("where")
    parser.add_argument("file")
    parser.add_argument("--framed", action="store_true")
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--reset", type=int, default=0)
    options = parser.parse_args()
    family = socket.AF_INET if options.kind in ("tcp", "udp") else socket.AF_UNIX
    datagrams = options.kind in ("udp", "unixgram")
    s = socket.socket(family, socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if datagrams:
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    if family == socket.AF_UNIX and os.path.exists(options.where):
        os.unlink(options.where)
    s.bind(options.where if family == socket.AF_UNIX else ("127.0.0.1", int(options.where)))
    book = Book(options.file, options.framed)
    if not datagrams:
        s.listen()
    print("ready", flush=True)
    while datagrams:
        rest = book.take(s.recv(1 << 20))
        assert not rest, "a datagram that is no whole message"
    while True:
        conn, _ = s.accept()
        threading.Thread(target=serve, args=(conn, book, options), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
