"""Strangers at every kind of listener: whatever they do, the daemon polls in time, stays within its memory, and serves the
next one at once."""

import random
import re
import resource
import socket
import ssl

import grpc
import pytest

from harness.caller import ask
from harness.certs import NAME, Authority
from harness.rpc import config_pb
from harness.waiting import SLOW, bound, until
from test_hostile import PREFACE, frame, polls_come_in_time

IDLE = 1000 if SLOW == 1 else 200
GROWTH_MAX = 120 * 1024 if SLOW == 1 else 1 << 30  # kB, with a thousand connections; a sanitizer keeps what is freed


class Listener:
    """A daemon with a listener of each kind; this is the one that strangers come to."""

    def __init__(self, host, kind):
        self.host, self.kind = host, kind
        folder = host.folder()
        ours = Authority(folder, "ours")
        self.ca = ours.path
        cert, key = ours.issue("server", sans=[NAME])
        extra = ("--tls-client-ca-file", ours.path) if kind == "mtls" else ()
        self.d = host.daemon("--poll-frequency", f"{round(bound(50))}ms", "--poll-timeout", f"{round(bound(45))}ms",
                             "--grpc-tls-listen", "127.0.0.1:0", "--tls-cert-file", cert, "--tls-key-file", key,
                             "--grpc-health-listen", "127.0.0.1:0", *extra,
                             # a thousand may come at once, which are turned away otherwise
                             "--calls-rate-max", "20000", "--connections-max", "10000", listen=["127.0.0.1:0", f"unix:{folder}/s"])
        self.d.allow("connection closed: a header block without an end")
        self.client = host.connect(self.d)
        self.certificate = ours.issue("client", cn="client") if kind == "mtls" else None
        tcp, unix = self.d.targets[:2]
        health = self.d.wait_log(r"listening on (\S+) \(health only\)")[1]
        tls = self.d.wait_log(r"listening on (\S+) \(TLS")[1]
        self.target = {"tcp": tcp, "unix": unix, "health": health}.get(kind, tls)

    def dial(self):
        if self.kind == "unix":
            s = socket.socket(socket.AF_UNIX)
            s.connect(self.target.removeprefix("unix:"))
        else:
            address, port = self.target.rsplit(":", 1)
            s = socket.create_connection((address, int(port)))
        s.settimeout(bound(5))
        if self.kind == "tls inside":
            context = ssl.create_default_context(cafile=self.ca)
            context.set_alpn_protocols(["h2"])
            s = context.wrap_socket(s, server_hostname=NAME)
        return self.host.keep(s)

    def next_client_is_served(self):
        request = {"ca": self.ca} if "tls" in self.kind else {}
        if self.certificate:
            request |= {"cert": self.certificate[0], "key": self.certificate[1]}
        assert ask(self.target, **request)["health"] == "OK"

    def rss(self):
        with open(f"/proc/{self.d.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


@pytest.fixture(params=["tcp", "unix", "health", "tls", "tls inside", "mtls"])
def listener(host, request):
    return Listener(host, request.param)


def send(s, data):
    try:
        s.sendall(data)
    except OSError:
        pass


def test_garbage(listener):
    rng = random.Random(11)
    before = len(listener.d.fds())
    for n in range(45):
        s = listener.dial()
        data = rng.randbytes(rng.randrange(1, 3000))
        if n % 3:
            data = PREFACE + frame(4, 0, 0, b"") + (data if n % 3 == 1 else b"".join(
                frame(rng.randrange(10), rng.randrange(256), rng.randrange(4), rng.randbytes(rng.randrange(60)))
                for _ in range(20)))
        send(s, data)
        s.close()
    polls_come_in_time(listener.client)
    listener.next_client_is_served()
    until(lambda: len(listener.d.fds()) <= before + 3, 15, f"no more than the {before} descriptors from before")


def test_a_thousand_idle_connections(listener):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 3 * IDLE:
        pytest.skip(f"{hard} descriptors are too few")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        before, rss = len(listener.d.fds()), listener.rss()
        idle = [listener.dial() for _ in range(IDLE)]
        for s in idle[::2]:
            send(s, PREFACE + frame(4, 0, 0, b"") + b"\0\0\xff\1")  # half of them stop within a frame
        polls_come_in_time(listener.client)
        listener.next_client_is_served()
        assert listener.rss() - rss < GROWTH_MAX
        for s in idle:
            s.close()
        polls_come_in_time(listener.client)
        listener.next_client_is_served()
        until(lambda: len(listener.d.fds()) <= before + 3, 30, f"no more than the {before} descriptors from before")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_slow_speakers(listener):
    """Fifty that send one byte, then the next: all the while polls come in time and others are served."""
    speakers = [listener.dial() for _ in range(50)]
    text = PREFACE + frame(4, 0, 0, b"")
    with listener.client.edges() as stream:
        begins = []
        for n in range(20):
            for s in speakers:
                send(s, text[n:n + 1])
            begins.append(stream.polls(1)[0].begin.timestamp_ns)
    assert begins[-1] - begins[0] < 3 * (len(begins) - 1) * bound(0.05) * 1e9
    listener.next_client_is_served()


def test_endless_headers(listener):
    """A header block that is never finished, by CONTINUATION after CONTINUATION."""
    s = listener.dial()
    rss = listener.rss()
    send(s, PREFACE + frame(4, 0, 0, b"") + frame(1, 0, 1, b"\0\3abc\3def"))
    for n in range(2000):
        send(s, frame(9, 0, 1, b"\0\x08" + b"%08d" % n + b"\x64" + b"v" * 100))
    polls_come_in_time(listener.client)
    listener.next_client_is_served()
    assert listener.rss() - rss < GROWTH_MAX


def test_oversized_metadata(listener):
    if "tls" in listener.kind:
        pytest.skip("the same as by tcp, inside")
    client = listener.host.connect(listener.target)
    with pytest.raises(grpc.RpcError) as e:
        client.config.Get(config_pb.GetRequest(), metadata=[("x-long", "x" * 100000)], timeout=bound(10))
    assert e.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
    polls_come_in_time(listener.client)
    listener.next_client_is_served()
