"""Bytes of strangers at the listeners, and clients that misbehave: the daemon goes on, and its polls come in time."""

import os
import random
import socket
import time

import pytest

from harness.rpc import config_pb
from harness.waiting import bound, until

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.fixture(params=["127.0.0.1:0", "unix:"])
def daemon(host, request):
    where = f"unix:{host.folder()}/s" if request.param == "unix:" else request.param
    return host.daemon("--poll-frequency", f"{round(bound(50))}ms", "--poll-timeout", f"{round(bound(45))}ms",
                       listen=[where])


def dial(host, d):
    if d.target.startswith("unix:"):
        s = host.keep(socket.socket(socket.AF_UNIX))
        s.connect(d.target.removeprefix("unix:"))
    else:
        s = host.keep(socket.create_connection(("127.0.0.1", d.port)))
    s.settimeout(bound(5))
    return s


def send(s, data):
    """Sends what the daemon will take."""
    try:
        s.sendall(data)
    except OSError:
        pass


def polls_come_in_time(client, count=10):
    with client.edges() as stream:
        polls = stream.polls(count)
    begins = [p.begin.timestamp_ns for p in polls]
    assert begins[-1] - begins[0] < 3 * (count - 1) * bound(0.05) * 1e9


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def test_garbage(host, daemon):
    rng = random.Random(7)
    client = host.connect(daemon)
    before = len(daemon.fds())
    for n in range(60):
        s = dial(host, daemon)
        data = rng.randbytes(rng.randrange(1, 3000))
        if n % 3 == 1:
            data = PREFACE + data
        if n % 3 == 2:
            data = PREFACE + frame(4, 0, 0, b"") + b"".join(
                frame(rng.randrange(10), rng.randrange(256), rng.randrange(4), rng.randbytes(rng.randrange(60)))
                for _ in range(20))
        send(s, data)
        s.close()
    polls_come_in_time(client)
    until(lambda: len(daemon.fds()) <= before + 3, 10, f"no more than the {before} descriptors from before")


def test_http_1(host, daemon):
    client = host.connect(daemon)
    s = dial(host, daemon)
    send(s, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    try:
        while s.recv(4096):  # an answer, or the end of the connection
            pass
    except ConnectionError:
        pass
    polls_come_in_time(client)


def test_idle_connections(host, daemon):
    """Two hundred that say nothing, two hundred that stop in the middle of a frame."""
    client = host.connect(daemon)
    before = len(daemon.fds())
    idle = [dial(host, daemon) for _ in range(400)]
    for s in idle[200:]:
        send(s, PREFACE + frame(4, 0, 0, b"") + b"\0\0\xff\1")
    polls_come_in_time(client)
    assert host.connect(daemon).health() == "SERVING"
    for s in idle:
        s.close()
    until(lambda: len(daemon.fds()) <= before + 3, 10, f"no more than the {before} descriptors from before")


def test_dead_peers(host):
    """A client that does not answer a request for a sign of life is closed; one that answers stays, however silent."""
    d = host.daemon("--poll-frequency", "1h", listen=["127.0.0.1:0", f"unix:{host.folder()}/s"])
    client = host.connect(d)
    client.status()
    tcp = host.keep(socket.create_connection(("127.0.0.1", d.port)))
    unix = host.keep(socket.socket(socket.AF_UNIX))
    unix.connect(next(t for t in d.targets if t.startswith("unix:")).removeprefix("unix:"))
    mute = host.keep(socket.create_connection(("127.0.0.1", d.port)))  # does not even begin
    begin = time.monotonic()
    for s in (tcp, unix):
        s.sendall(PREFACE + frame(4, 0, 0, b"") + frame(4, 1, 0, b""))
    asked = b""
    for s in (tcp, unix, mute):
        s.settimeout(max(1, bound(50) - (time.monotonic() - begin)))
        try:
            while data := s.recv(4096):
                asked += data if s is tcp else b""
        except ConnectionResetError:
            pass
        if s is tcp:
            assert time.monotonic() - begin > 30, "it was asked before it was let go"
    assert frame(6, 0, 0, b"")[3:5] in asked, "a ping"
    with client.edges() as stream:  # by the connection that has been silent for as long
        client.trigger()
        assert stream.polls(1)


def test_connections_that_come_and_go(host, daemon):
    daemon.allow("turned away")  # more of them than anybody needs: the rest is not let in for a while
    client = host.connect(daemon)
    before = len(daemon.fds())
    for _ in range(500):
        dial(host, daemon).close()
    polls_come_in_time(client)
    until(lambda: len(daemon.fds()) <= before + 3, 10, f"no more than the {before} descriptors from before")


def test_stop_with_half_open_connections(host, daemon):
    for n in range(50):
        s = dial(host, daemon)
        if n % 2:
            send(s, PREFACE + frame(4, 0, 0, b"") + b"\0\0\xff\1")
    daemon.stop()


def test_many_calls_at_once(host, daemon):
    """A hundred unary calls in flight on each of five connections."""
    calls = []
    for _ in range(5):
        c = host.connect(daemon)
        calls += [c.config.Get.future(config_pb.GetRequest(), timeout=bound(10)) for _ in range(100)]
    assert len({c.result().config.generation for c in calls}) == 1


def test_no_descriptor_left(host):
    """At the limit new connections are closed; as soon as there is room the next one is let in."""
    d = host.daemon("--poll-frequency", "1h", wrapper=("prlimit", "--nofile=60:60"))
    d.allow("a connection is turned away", "Too many open files")
    client = host.connect(d)
    assert client.health() == "SERVING"  # it is connected from here on
    idle = [dial(host, d) for _ in range(100)]
    d.wait_log("a connection is turned away")
    assert client.health() == "SERVING"
    for s in idle:
        s.close()
    until(lambda: len(d.fds()) < 40, 10, "descriptors are given back")
    assert host.connect(d).health() == "SERVING"
    client.poll()


def test_conflicting_changes(host, daemon):
    """Many clients change the configuration at the same time: each change is whole and counted once."""
    clients = [host.connect(daemon) for _ in range(5)]
    before = clients[0].get().generation
    calls = []
    for n in range(40):
        request = config_pb.SetRequest(config=config_pb.XtcpConfig(label=f"l{n}", tag=f"l{n}"))
        calls.append(clients[n % 5].config.Set.future(request, timeout=bound(10)))
    for c in calls:
        answer = c.result().config
        assert answer.label == answer.tag
    now = clients[0].get()
    assert now.label == now.tag
    assert now.generation == before + 40
    for row in clients[0].poll().rows:
        assert row.label == row.tag


def test_time_goes_by_for_everybody(host, daemon):
    """A daemon that is stopped for a while takes up its polls again, without making up for those it has missed."""
    client = host.connect(daemon)
    with client.edges() as stream:
        stream.polls(2)
        os.kill(daemon.pid, 19)
        time.sleep(0.5)  # twenty polls that do not happen
        os.kill(daemon.pid, 18)
        polls = stream.polls(6)
    begins = [p.begin.timestamp_ns for p in polls]
    assert begins[-1] - begins[-4] > bound(0.05) * 1e9
