"""The stop: connected clients are told at once, and an idle connection does not delay it."""

import contextlib
import itertools
import threading

import grpc
import pytest

from harness.rpc import Code, message
from harness.waiting import bound

GRACE_SECONDS = 0.8  # what clients are given that have not read everything; none of these is one

STREAMS = {
    "records with markers": lambda c: c.stream(markers=True),
    "polls that nobody has asked for yet": lambda c: c.poll_stream(),
    "namespaces": lambda c: c.watch_namespaces(),
    "health": lambda c: c.watch_health(),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_is_told(host, name):
    d = host.daemon()
    c = host.connect(d)
    with STREAMS[name](c) as stream:
        c.status()  # calls of one connection come in order: the stream is open
        d.stop()
        for _ in stream:
            pass
        assert stream.status() == (Code.UNAVAILABLE, "the daemon is stopping")
    assert d.stop_seconds < bound(GRACE_SECONDS)


def test_a_plain_stream_ends_well(host):
    d = host.daemon("--poll-frequency", "100ms", "--poll-timeout", "90ms")
    with host.connect(d).stream() as stream:
        stream.next()
        d.stop()
        for _ in stream:
            pass
        assert stream.status() == (Code.OK, "")
    assert d.stop_seconds < bound(GRACE_SECONDS)


def _reflection(c, end):
    """Asks on and on, without waiting for answers."""
    request = message("grpc.reflection.v1.ServerReflectionRequest")(list_services="").SerializeToString()
    call = c.channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    for _ in call(itertools.takewhile(lambda _: not end.is_set(), itertools.repeat(request))):
        pass


def _changes(c, end):
    for n in itertools.takewhile(lambda _: not end.is_set(), itertools.count()):
        c.set(ipv4_ttl=n % 255 + 1)


def _polls(c, end):
    while not end.is_set():
        c.poll()


@pytest.mark.parametrize("delay", [n / 20 for n in range(10)])
def test_calls_under_way(host, delay):
    """Messages, changes and polls that come while everything is taken down."""
    d = host.daemon("--poll-frequency", "30ms", "--poll-timeout", "20ms")
    end = threading.Event()

    def run(work, c):
        with contextlib.suppress(grpc.RpcError, AssertionError):
            work(c, end)
    threads = [threading.Thread(target=run, args=(work, host.connect(d)))
               for work in (_reflection, _reflection, _changes, _polls)]
    for t in threads:
        t.start()
    end.wait(bound(delay))
    d.stop()
    end.set()
    for t in threads:
        t.join()


def test_idle_connections(host):
    d = host.daemon()
    for _ in range(20):
        host.connect(d).status()
    d.stop()
    assert d.stop_seconds < bound(GRACE_SECONDS)
