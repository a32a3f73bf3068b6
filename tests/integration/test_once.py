"""--once: one poll of everything on standard output, and nothing else there."""

import json
import os
import socket
import subprocess

import pytest
from google.protobuf import json_format

from harness import netns, paths
from harness.daemon import LOG_LINE
from harness.refuse import refused
from harness.rpc import record_pb
from harness.waiting import bound


def once(*options, wrapper=()):
    """Standard output of a run that must succeed; standard error carries log lines only."""
    done = subprocess.run([*wrapper, paths.DAEMON, "--once", *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=bound(15))
    log = done.stderr.decode()
    assert done.returncode == 0, log
    for line in log.splitlines():
        match = LOG_LINE.match(line)
        assert match and match[1] != "error", line
    return done.stdout


@pytest.fixture
def known(host):
    """A namespace with two sockets, in a folder of its own, and one with none; and how to see just these."""
    spaces = [host.anonymous(), host.anonymous()]
    with spaces[0]:
        server = host.keep(socket.create_server(("127.0.0.1", 4444)))
        six = host.keep(socket.socket(socket.AF_INET6))
        six.bind(("::1", 5555))
        six.listen()
    assert server
    folder = host.keep(netns.Folder(host.folder()))
    for ns, name in zip(spaces, ("blue", "empty")):
        folder.add(name, ns.path)
    return ("--netns-dirs", folder.path, "--proc-scan-interval", "0"), spaces


def check(records, spaces):
    blue = [r for r in records if r.netns == "blue"]
    assert sorted(r.inet_diag_msg_socket_source_port for r in blue) == [4444, 5555]
    assert {r.netns_cookie for r in blue} == {spaces[0].cookie}
    assert {r.netns for r in records} <= {"default", "blue"}
    assert len({(r.netns_cookie, r.inet_diag_msg_socket_cookie) for r in records}) == len(records)
    assert {r.poll_id for r in records} == {1}
    assert len({r.timestamp_ns for r in records}) == 1


def test_jsonl_is_the_default(known):
    options, spaces = known
    lines = once(*options).decode().splitlines()
    rows = [json.loads(line) for line in lines]
    blue = [r for r in rows if r["netns"] == "blue"]
    assert sorted(r["inet_diag_msg_socket_source_port"] for r in blue) == [4444, 5555]
    assert {r["inet_diag_msg_socket_source"] for r in blue} == {"127.0.0.1", "::1"}
    assert {r["inet_diag_msg_state"] for r in blue} == {"LISTEN"}
    assert {r["netns_cookie"] for r in blue} == {spaces[0].cookie}
    assert once(*options, "-o", "jsonl").count(b"\n") >= 2


def test_protojson(known):
    options, spaces = known
    lines = once(*options, "-o", "protojson").decode().splitlines()
    records = [json_format.Parse(line, record_pb.XtcpFlatRecord()) for line in lines]
    check(records, spaces)
    for line, record in zip(lines, records):
        # Canonical: what another writer of the same message makes of it.
        assert json.loads(line) == json_format.MessageToDict(record)
        assert " " not in line.split('"congestionAlgorithmString"')[0]


def test_proto(known):
    options, spaces = known
    data = once(*options, "-o", "proto")
    records = []
    while data:
        size = shift = n = 0
        while True:
            byte, n = data[n], n + 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 128:
                break
        assert 0 < size <= len(data) - n
        records += record_pb.Envelope.FromString(data[n:n + size]).row
        data = data[n + size:]
    check(records, spaces)


def test_output_that_cannot_be_written():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([paths.DAEMON, "--once"], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
                              timeout=bound(15))
    assert done.returncode == 1
    assert b"No space left" in done.stderr


def test_reader_that_goes_away():
    """As in `xtcp2 --once | head -1`: it ends, and nothing hangs."""
    read, write = os.pipe()
    p = subprocess.Popen([paths.DAEMON, "--once"], stdin=subprocess.DEVNULL, stdout=write, stderr=subprocess.DEVNULL)
    os.close(write)
    os.close(read)
    p.wait(bound(15))
    assert p.returncode != 0


def test_no_listener_is_opened(host, known):
    """It goes beside a running daemon, on the same address."""
    d = host.daemon("--poll-frequency", "1h")
    assert once("--grpc-listen", d.target, *known[0])


def test_no_inotify_instance(known):
    options, spaces = known
    rows = [json.loads(line) for line in once(*options, wrapper=refused("EMFILE", "inotify_init1")).splitlines()]
    assert spaces[0].cookie in {r["netns_cookie"] for r in rows}


def test_namespaces_that_cannot_be_entered(known):
    """As nobody: what can be read is printed, the rest is named, and the status says that it is not all."""
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")
    done = subprocess.run([*nobody, paths.DAEMON, "--once", *known[0]], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=bound(15), text=True)
    assert done.returncode == 1, done.stderr
    assert {json.loads(line)["netns"] for line in done.stdout.splitlines()} <= {"default"}
    for name in ("blue", "empty"):
        assert done.stderr.count(f"once: ns={name}: cannot be entered: CAP_SYS_ADMIN is missing") == 1
    # Those that are left out are not missed.
    left_out = subprocess.run([*nobody, paths.DAEMON, "--once", *known[0], "--netns-include", "default"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              timeout=bound(15))
    assert left_out.returncode == 0, left_out.stderr
