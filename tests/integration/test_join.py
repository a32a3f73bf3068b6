"""Two daemons in two namespaces with a cable between them, and one client: merged streams, both ends of connections."""

import json
import signal
import socket

import pytest

from harness import netns
from harness.waiting import bound, until
from test_client_scripted import client, running

A, B = "10.97.0.1", "10.97.0.2"


@pytest.fixture
def cable(host):
    """Two namespaces with a veth pair; sockets made in them."""
    a, b = host.namespace(), host.namespace()
    netns.run("ip", "-n", a.name, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", b.name)
    for ns, address in ((a, A), (b, B)):
        ns.exec("ip", "addr", "add", f"{address}/24", "dev", "eth0")
        ns.exec("ip", "link", "set", "eth0", "up")
    return a, b


def inside(ns):
    return ("nsenter", f"--net={ns.path}")


def start(host, ns, folder):
    """A daemon that lives in |ns| and is reached by a unix socket; it sees that namespace alone."""
    return host.daemon("--poll-frequency", "500ms", "--poll-timeout", "300ms", folder=folder,
                       listen=[f"unix:{folder}/s"], wrapper=inside(ns), serving=False)


def connect(host, server_ns, client_ns, port, n=1):
    with server_ns:
        listener = host.keep(socket.create_server((B, port)))
    found = []
    for _ in range(n):
        with client_ns:
            c = host.keep(socket.create_connection((B, port), timeout=bound(5)))
        s = host.keep(listener.accept()[0])
        found.append((c, s))
    return found


def rows(done):
    return [json.loads(x) for x in done.stdout.splitlines()]


def test_both_ends(host, cable):
    a, b = cable
    d = [start(host, ns, host.folder()) for ns in (a, b)]
    pairs = connect(host, b, a, 4001, 3)
    for c, s in pairs:
        c.sendall(b"x" * 1000)
        s.sendall(b"y" * 10)
    # A listener's connection with nobody at the other end that is watched: none. Loopback on one side only:
    with a:
        local = host.keep(socket.create_server(("127.0.0.1", 0)))
        lc = host.keep(socket.create_connection(local.getsockname()))
    ls = host.keep(local.accept()[0])
    done = client(d[0].target, "--target", d[1].target, "join", "-o", "jsonl")
    assert done.returncode == 0, done.stderr
    found = {(x["a"]["local"], x["a"]["peer"]): x for x in rows(done)}
    for c, _ in pairs:
        row = found.pop((f"{A}:{c.getsockname()[1]}", f"{B}:4001"))
        assert row["match"] in ("pair", "pair_by_counters")
        assert (row["a"]["node"], row["b"]["node"]) == (d[0].target, d[1].target)
        assert row["b"]["local"] == row["a"]["peer"] and row["b"]["peer"] == row["a"]["local"]
        assert row["a"]["state"] == row["b"]["state"] == "ESTABLISHED"
        assert row["b"]["recv_queue"] == 1000 and row["a"]["recv_queue"] == 10
        assert row["a"]["rtt_us"] > 0 and row["b"]["cwnd"] > 0
    assert [x["a"]["node"] for x in found.values()] == [x["b"]["node"] for x in found.values()] == [d[0].target]
    assert "4 connections with both ends, 0 ambiguous" in done.stderr
    done = client(d[0].target, "--target", d[1].target, "join", "dport = 4001 or sport = 4001")
    assert done.returncode == 0, done.stderr
    lines = [x for x in done.stdout.splitlines() if "10.97" in x]
    assert len(lines) == 3 and all(f"{B}:4001" in x for x in lines)
    # One node alone sees one end.
    done = client(d[0].target, "join", "--all", "-o", "jsonl", "dport = 4001")
    assert [x["match"] for x in rows(done)] == ["one_end"] * 3
    assert ls and lc


def test_two_namespaces_of_one_node(host, cable):
    a, b = cable
    folder = host.folder()
    d = host.daemon("--poll-frequency", "1h", everywhere=True, folder=folder, listen=[f"unix:{folder}/s"])
    (c, _), = connect(host, b, a, 4002)
    until(lambda: {a.name, b.name} <= {n for x in rows(client(d.target, "namespaces", "-o", "jsonl")) for n in x["names"]},
          5, "both namespaces")
    done = client(d.target, "join", "-o", "jsonl", "--netns", a.name, "--netns", b.name)
    assert done.returncode == 0, done.stderr
    row, = rows(done)
    assert row["match"] == "pair"
    assert {row["a"]["netns"], row["b"]["netns"]} == {a.name, b.name}
    assert f"{A}:{c.getsockname()[1]}" in (row["a"]["local"], row["b"]["local"])


def test_one_is_killed_and_comes_back(host, cable):
    """The stream of the other goes on; join tells what is missing; the return is picked up."""
    a, b = cable
    folder = host.folder()
    d = [start(host, a, host.folder()), start(host, b, folder)]
    connect(host, b, a, 4003)
    with running("--target", d[0].target, "--target", d[1].target, "-q", "-o", "jsonl", "stream") as it:
        for each in d:
            it.line(it.out, f'"node":"{each.target}"')
        d[1].kill()
        assert "trying again" in it.line(it.err, d[1].target)
        for _ in range(3):
            it.line(it.out, f'"node":"{d[0].target}"')
        done = client(d[0].target, "--target", d[1].target, "join", "-o", "jsonl")
        assert done.returncode == 3 and rows(done) == [] and d[1].target in done.stderr
        again = start(host, b, folder)
        assert again.target == d[1].target
        assert "is back" in it.line(it.err, d[1].target)
        it.line(it.out, f'"node":"{d[1].target}"')
        assert it.end(signal.SIGINT) == 0
    done = client(d[0].target, "--target", d[1].target, "join", "-o", "jsonl")
    assert done.returncode == 0 and len(rows(done)) == 1
