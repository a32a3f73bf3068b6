"""The status beside records: times of polls, distance to the bounds, refusals, advice."""

import pathlib
import re
import socket
import time

import grpc
import pytest

from harness.rpc import Code
from harness.waiting import until
from test_scale import Site

HOUR = 3600
S = 1_000_000_000


def limits(c):
    return {limit.option: limit for limit in c.status().limits}


def refusals(c):
    return {r.kind: r.count for r in c.status().refusals}


def fails(code, call, *arguments, **fields):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **fields)
    assert caught.value.code() == code, caught.value
    return caught.value.details()


# ---- Schedule ----

def test_the_next_poll(host):
    d = host.daemon("--poll-frequency", "1h")
    c = host.connect(d)
    s = c.status()
    assert s.schedule.frequency_ns == s.schedule.interval_ns == HOUR * S
    assert abs(s.schedule.next_poll_ns - (s.last_poll.timestamp_ns + HOUR * S)) < S
    assert (s.schedule.running_poll_id, s.schedule.late_polls, s.schedule.limited) == (0, 0, False)
    assert not s.schedule.HasField("burst")
    c.set_frequency(2 * HOUR, 1)
    s = c.status()
    assert s.schedule.frequency_ns == 2 * HOUR * S
    assert abs(s.schedule.next_poll_ns - (s.last_poll.timestamp_ns + 2 * HOUR * S)) < S


def test_another_time_of_day_moves_no_poll(host):
    """Every timer of the daemon is one of the monotonic clock, which nobody can set."""
    d = host.daemon("--poll-frequency", "1h")
    clocks = []
    for fd, target in d.fds().items():
        if "timerfd" in target:
            text = pathlib.Path(f"/proc/{d.pid}/fdinfo/{fd}").read_text(encoding="ascii")
            clocks.append(int(re.search(r"^clockid: (\d+)$", text, re.MULTILINE)[1]))
    assert len(clocks) >= 2 and set(clocks) == {time.CLOCK_MONOTONIC}


def test_no_more_polls(host):
    c = host.connect(host.daemon("--poll-frequency", "20ms", "--poll-timeout", "10ms", "--max-loops", "3"))
    until(lambda: c.status().polls == 3, 5, "three polls")
    s = c.status().schedule
    assert (s.limited, s.loops_left, s.next_poll_ns) == (True, 0, 0)
    c.poll()  # on request all the same
    assert c.status().polls == 4


def test_a_burst_is_seen_and_cancelled(host):
    c = host.connect(host.daemon("--poll-frequency", "1h"))
    c.burst(10, 60)
    until(lambda: c.status().polls == 2, 5, "the first of the burst")
    s = c.status().schedule
    assert (s.burst.polls, s.burst.left, s.burst.interval_ns) == (10, 9, 60 * S)
    assert s.next_poll_ns == pytest.approx(s.burst.next_poll_ns, abs=S / 100)
    assert 0 < s.next_poll_ns - time.time_ns() <= 60 * S
    assert "9 polls of it are to come" in fails(Code.RESOURCE_EXHAUSTED, c.burst, 5, 60)
    c.burst(5, 120, replace=True)
    until(lambda: c.status().polls == 3, 5, "the first of the new burst")
    s = c.status().schedule.burst
    assert (s.polls, s.left, s.interval_ns) == (5, 4, 120 * S)
    assert c.cancel_burst() == 4
    assert not c.status().schedule.HasField("burst")


# ---- Bounds ----

def test_bounds_in_force(host):
    c = host.connect(host.daemon("--poll-frequency", "1h", "--connections-max", "99", "--subscribers-max", "7"))
    found = limits(c)
    assert {"connections_max", "subscribers_max", "control_calls_max"} <= set(found)
    assert (found["connections_max"].max, found["subscribers_max"].max, found["control_calls_max"].max) == (99, 7, 1000)
    assert found["connections_max"].current >= 1
    assert all(limit.refused == 0 for limit in found.values())
    assert refusals(c) == {}
    options = c.get().options
    options.limits.subscribers_max = 8
    c.set(options=options)
    assert limits(c)["subscribers_max"].max == 8


def test_subscribers(host):
    d = host.daemon("--poll-frequency", "1h", "--subscribers-max", "2")
    d.allow("subscribers_max")
    c = host.connect(d)
    with c.edges(), c.edges():
        assert limits(c)["subscribers_max"].current == 2
        for number in (1, 2):
            with c.poll_stream() as third:
                third.request(markers=True)
                assert third.next() is None
                assert third.status()[0] == Code.RESOURCE_EXHAUSTED
            assert limits(c)["subscribers_max"].refused == number
    until(lambda: limits(c)["subscribers_max"].current == 0, 5, "they are gone")


def test_connections(host):
    d = host.daemon("--poll-frequency", "1h", "--connections-max", "4")
    d.allow("connections_max")
    c = host.connect(d)
    c.status()
    for _ in range(10):
        host.keep(socket.create_connection(("127.0.0.1", d.port)))
    found = until(lambda: limits(c)["connections_max"] if limits(c)["connections_max"].refused else None, 5, "a refusal")
    assert found.current <= 4
    assert found.refused >= 6


def test_calls_that_change_something(host):
    c = host.connect(host.daemon("--poll-frequency", "1h", "--control-calls-max", "1"))
    c.trigger()
    fails(Code.RESOURCE_EXHAUSTED, c.trigger)
    assert limits(c)["control_calls_max"].refused == 1


def test_roles_and_tokens(host):
    tokens = pathlib.Path(host.folder()) / "tokens"
    tokens.write_text("read:0123456789abcdef0123\n")
    tokens.chmod(0o600)
    health = f"unix:{tokens.parent}/health"
    d = host.daemon("--poll-frequency", "1h", "--token-file", str(tokens), "--grpc-health-listen", health)
    c = host.connect(d)
    probe = host.connect(health)
    assert probe.health() == "SERVING"
    fails(Code.PERMISSION_DENIED, probe.status)
    assert refusals(c) == {"call without the role that it needs": 1}
    stranger = grpc.insecure_channel(d.target)
    try:
        method = stranger.unary_unary("/xtcp_status.v1.StatusService/Get")
        fails(Code.UNAUTHENTICATED, method, b"", metadata=(("authorization", "Bearer nobody-has-this-token"),), timeout=5)
    finally:
        stranger.close()
    assert refusals(c) == {"call without the role that it needs": 1, "call with an unknown token": 1}


# ---- Advice ----

def test_a_timeout_that_is_too_short(host):
    d = host.daemon("--poll-frequency", "1h")
    for n in range(3000):
        s = host.keep(socket.socket())
        s.bind(("127.0.0.1", 20000 + n))
        s.listen(1)
    c = host.connect(d)
    assert c.poll().end.namespaces_failed == 0
    assert c.status().last_poll.hint == ""
    c.set_frequency(HOUR, 0.001)
    until(lambda: c.poll().end.namespaces_failed, 5, "a poll that one millisecond is too short for")
    assert "1 of 1 namespaces were not finished within poll_timeout (1ms)" in c.status().last_poll.hint
    d.wait_log("not finished within poll_timeout")
    c.set_frequency(HOUR, 10)
    c.poll()
    assert c.status().last_poll.hint == ""


def test_more_namespaces_than_there_is_time_for(host):
    site = Site(host, "--poll-frequency", "1h", "--poll-timeout", "30s")
    assert site.ask("hold 400") == 400
    site.wait_known(400, 20)
    c = site.client
    assert c.poll().end.namespaces_failed == 0
    c.set_frequency(HOUR, 0.01)

    def hint():
        c.poll()
        text = c.status().last_poll.hint
        return text if "no turn" in text else None
    text = until(hint, 10, "a poll that ten milliseconds are too short for")
    assert "tcp_child_ehash_entries" in text and "poll_timeout (10ms)" in text and "of 401" in text
    # The log has the hint of the first such poll, and may leave out those soon after it.
    site.daemon.wait_log("(had no turn|were not finished) within poll_timeout")
