"""The stop: who is connected hears of it at once, and a connection on which nothing happens holds nothing up."""

import pytest

from harness.rpc import Code
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


def test_idle_connections(host):
    d = host.daemon()
    for _ in range(20):
        host.connect(d).status()
    d.stop()
    assert d.stop_seconds < bound(GRACE_SECONDS)
