"""Options of how sockets are collected: which of them, how they are received, what is recorded."""

import glob
import json
import os
import socket
import subprocess

from harness import netns, paths
from harness.rpc import config_pb
from harness.waiting import bound, until

LISTENERS = 100


def populated(host, d, name="busy"):
    """A namespace with LISTENERS sockets that |d| knows."""
    ns = host.anonymous()
    host.names_of(d).add(name, ns.path)
    sockets = []
    with ns:
        for _ in range(LISTENERS):
            s = socket.socket()
            host.keep(s)
            s.bind(("127.0.0.1", 0))
            s.listen()
            sockets.append(s)
    return ns


def rows_of(c, name="busy"):
    rows = []

    def all_there():
        rows[:] = [r for r in c.poll().rows if r.netns == name]
        return rows
    until(all_there, 10, f"records of {name}")
    return rows


def test_modulus(host):
    """Each third socket of a namespace, by its position in the kernel's list."""
    d = host.daemon("--poll-frequency", "1h")
    populated(host, d)
    c = host.connect(d)
    assert [r.record_counter for r in rows_of(c)] == list(range(LISTENERS))
    c.set(modulus=3)
    assert [r.record_counter for r in rows_of(c)] == list(range(0, LISTENERS, 3))
    c.set(modulus=1000000)
    assert [r.record_counter for r in rows_of(c)] == [0]
    c.set(modulus=1)
    assert len(rows_of(c)) == LISTENERS


def test_packet_size_and_timeout(host):
    """Small answers and a short patience lose nothing."""
    d = host.daemon("--poll-frequency", "1h", "--packet-size", "8192", "--nl-timeout-milliseconds", "100")
    populated(host, d)
    c = host.connect(d)
    assert len({r.inet_diag_msg_socket_cookie for r in rows_of(c)}) == LISTENERS
    for size in (9000, 32768, 1000000):
        c.set(packet_size=size, nl_timeout_milliseconds=1000)
        poll = c.poll()
        assert not poll.end.namespaces_failed
        assert len([r for r in poll.rows if r.netns == "busy"]) == LISTENERS


def captures(folder):
    return sorted(glob.glob(f"{folder}/*.pcap"))


def test_recorded_answers_can_be_replayed(host):
    folder = host.folder()
    d = host.daemon("--poll-frequency", "1h")
    ns = populated(host, d)
    c = host.connect(d)
    rows_of(c)
    assert captures(folder) == []
    c.set(write_files=2, capture_path=folder)
    polls = [c.poll() for _ in range(4)]
    of_ns = [f for f in captures(folder) if f.endswith(f"-netns-{ns.inode}.pcap")]
    assert [os.path.basename(f) for f in of_ns] == \
        [f"poll-{p.begin.poll_id}-netns-{ns.inode}.pcap" for p in polls[:2]]
    for path, poll in zip(of_ns, polls):
        assert os.stat(path).st_mode & 0o777 == 0o600
        done = subprocess.run([paths.DAEMON, "--replay", path], capture_output=True, text=True, timeout=bound(10))
        assert done.returncode == 0, done.stderr
        replayed = [json.loads(line)["inet_diag_msg_socket_cookie"] for line in done.stdout.splitlines()]
        assert replayed == [r.inet_diag_msg_socket_cookie for r in poll.rows if r.netns == "busy"]

    # Off, and on again for one more.
    c.config.Set(config_pb.SetRequest(reset=["write_files"]), timeout=bound(5))
    c.set(write_files=1)
    last = c.poll().begin.poll_id
    c.poll()
    assert len([f for f in captures(folder) if f.endswith(f"-netns-{ns.inode}.pcap")]) == 3
    assert os.path.exists(f"{folder}/poll-{last}-netns-{ns.inode}.pcap")


def test_a_poll_that_cannot_be_recorded_is_made(host):
    d = host.daemon("--poll-frequency", "1h")
    d.allow(r"nothing is recorded in /does/not/exist")
    c = host.connect(d)
    c.set(write_files=1, capture_path="/does/not/exist")
    assert not c.poll().end.namespaces_failed
    d.wait_log("nothing is recorded in /does/not/exist: No such file or directory")


def test_a_file_that_is_there_stays(host):
    folder = host.folder()
    d = host.daemon("--poll-frequency", "1h")
    d.allow(r"nothing is recorded in " + folder)
    c = host.connect(d)
    ours = f"{folder}/poll-{c.poll().begin.poll_id + 1}-netns-{netns.own().inode}.pcap"
    with open(ours, "w", encoding="ascii") as f:
        f.write("mine")
    c.set(write_files=1, capture_path=folder)
    assert not c.poll().end.namespaces_failed
    d.wait_log(f"nothing is recorded in {folder}: File exists")
    with open(ours, encoding="ascii") as f:
        assert f.read() == "mine"


def test_populate_nsid(host):
    d = host.daemon("--poll-frequency", "1h", everywhere=True)
    ns = host.namespace()
    with ns:
        s = host.keep(socket.socket())
        s.bind(("127.0.0.1", 0))
        s.listen()
    c = host.connect(d)
    assert {r.nsid for r in rows_of(c, ns.name)} == {0}
    c.set(populate_nsid=True)
    assert {r.nsid for r in rows_of(c, ns.name)} == {0}  # it has none
    number = 1_000_000 + os.getpid()
    netns.run("ip", "netns", "set", ns.name, str(number))
    assert {r.nsid for r in rows_of(c, ns.name)} == {number}
    c.config.Set(config_pb.SetRequest(reset=["populate_nsid"]), timeout=bound(5))
    assert {r.nsid for r in rows_of(c, ns.name)} == {0}
