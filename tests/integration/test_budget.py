"""max_cpu_percent and polls on request: those that readers ask for wait for it, those of callers who may control do not."""

import os
import shutil
import socket
import subprocess
import time

import pytest

from harness import paths
from harness.caller import as_user
from harness.demand import Demand
from harness.rpc import record_pb
from harness.waiting import bound, until

READER = as_user(64001)  # a user of no account
MS, S = 1_000_000, 1_000_000_000
REQUEST = record_pb.PollFlatRecordsRequest(markers=True, batch_rows=1000)


@pytest.fixture
def demand(host):
    """A caller of its own that asks for polls, as a reader unless |wrapper| says otherwise."""
    def make(d, seconds=0, wrapper=READER):
        return Demand(host, d.target, REQUEST, record_pb.PollFlatRecordsResponse, seconds, wrapper)
    return make


def cpu_s(pid):
    """CPU time of the process so far."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
        fields = f.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def limit(c, percent):
    options = c.get().options
    options.limits.cpu.max_percent = percent
    c.set(options=options)


def spend(d, c, seconds):
    """Has the daemon use so much CPU time, all of it between two polls: then the next ones are far apart."""
    target = cpu_s(d.pid) + seconds
    while cpu_s(d.pid) < target:
        c.status()
    c.poll()


def deferred_polls(c):
    c.poll()  # the figures are of the end of the last poll
    return c.status().cost.deferred_polls


# ---- A reader that polls in a loop ----

def test_a_loop_stays_within_the_limit(host, demand):
    # Few enough that a caller of a slow machine, which needs 25 ms for a round of its own, would go beyond it.
    d = host.daemon("--poll-frequency", "1h", "--max-cpu-percent", "2")
    c = host.connect(d)
    listener = host.keep(socket.create_server(("127.0.0.1", 0)))
    for _ in range(200):  # so that a poll costs something
        host.keep(socket.create_connection(listener.getsockname()))
        host.keep(listener.accept()[0])
    loop = demand(d, 9)
    first = loop.next()
    time.sleep(1)  # the first polls pay for the start
    begin, cpu = time.monotonic(), cpu_s(d.pid)
    time.sleep(5)
    share = (cpu_s(d.pid) - cpu) / (time.monotonic() - begin)
    assert share < 0.035
    assert all(c.poll().begin.deferred_ns == 0 for _ in range(5))  # of a caller who may control
    polls = [first, *loop.rest()]
    held = [p for p in polls if p.begin.deferred_ns]
    assert len(held) > len(polls) / 2
    check_deferred(polls)
    assert deferred_polls(c) >= len(held)


def check_deferred(polls):
    """The delay that the polls of one loop tell can be seen from outside."""
    told = seen = 0
    for before, poll in zip(polls, polls[1:]):
        assert poll.begin.trigger == record_pb.POLL_TRIGGER_REQUEST
        assert poll.begin.deferred_ns <= poll.begin.timestamp_ns - before.end.timestamp_ns + MS
        assert poll.begin.deferred_ns <= poll.begin.timestamp_ns - poll.asked_ns + MS
        told += poll.begin.deferred_ns
        seen += poll.begin.timestamp_ns - poll.asked_ns
    assert told > seen / 2  # the rest is the way from the caller to the daemon


def test_without_a_limit_nothing_is_held_back(host, demand):
    d = host.daemon("--poll-frequency", "1h")
    c = host.connect(d)
    polls = demand(d, 2).rest()
    assert len(polls) > 20 / bound(1)
    assert all(p.begin.deferred_ns == 0 for p in polls)
    assert deferred_polls(c) == 0


def test_a_loop_of_somebody_who_may_control_is_not_held_back(host, demand):
    d = host.daemon("--poll-frequency", "1h", "--max-cpu-percent", "1")
    c = host.connect(d)
    spend(d, c, 0.3)
    polls = demand(d, 1, wrapper=()).rest()
    assert polls and all(p.begin.deferred_ns == 0 for p in polls)
    before = c.status().polls
    c.trigger()
    until(lambda: c.status().polls > before, 5, "the poll that was triggered")
    c.burst(1, 60)
    until(lambda: c.status().polls > before + 1, 5, "the poll of the burst")
    assert deferred_polls(c) == 0


# ---- Requests that wait ----

@pytest.fixture
def used_up(host):
    """A daemon whose next poll on request of a reader would be half a minute away, and a client that may control."""
    d = host.daemon("--poll-frequency", "1h", "--max-cpu-percent", "1")
    c = host.connect(d)
    spend(d, c, 0.3)
    return d, c


def held_until(c):
    """When the poll is due that a request of a reader waits for; 0 when none waits."""
    due = c.status().schedule.next_poll_ns
    return due if due < time.time_ns() + 1800 * S else 0  # else it is the regular one


def wait_held(c, *readers):
    """Asks for a poll for each reader. Returns when it is due, once they have waited for 200 ms."""
    polls = c.status().polls
    for r in readers:
        r.ask()
    due = until(lambda: len(c.status().subscribers) >= len(readers) and held_until(c), 5, "the requests have come")
    time.sleep(0.2)
    assert c.status().polls == polls
    return due


def test_requests_that_wait_share_a_poll(used_up, demand):
    d, c = used_up
    readers = [demand(d) for _ in range(3)]
    with c.edges() as stream:
        due = wait_held(c, *readers)
        mine = c.poll()  # is not held back, and serves all of them
        assert mine.begin.deferred_ns == 0 and mine.begin.timestamp_ns < due - S
        polls = [r.next() for r in readers]
        assert {p.begin.poll_id for p in polls} == {mine.begin.poll_id}
        told = {p.begin.deferred_ns for p in (*polls, *stream.polls(1))}
    assert len(told) == 1 and min(told) >= 200 * MS
    assert min(told) <= max(p.begin.timestamp_ns - p.asked_ns for p in polls) + MS
    assert deferred_polls(c) == 1


def test_a_burst_serves_those_who_wait(used_up, demand):
    d, c = used_up
    reader = demand(d)
    wait_held(c, reader)
    c.burst(1, 60)
    assert reader.next().begin.deferred_ns >= 200 * MS


def test_a_request_is_released_when_the_limit_goes(used_up, demand):
    d, c = used_up
    reader = demand(d)
    wait_held(c, reader)
    limit(c, 0)
    first = reader.next()
    assert first.begin.deferred_ns >= 200 * MS
    reader.ask()
    assert reader.next().begin.deferred_ns == 0
    limit(c, 1)  # counts at once for what the last polls have cost
    spend(d, c, 0.5)
    wait_held(c, reader)
    limit(c, 6400)
    assert reader.next().begin.deferred_ns >= 200 * MS


def test_a_daemon_that_stops_keeps_nobody_waiting(used_up, demand):
    d, c = used_up
    reader = demand(d)
    wait_held(c, reader)
    d.stop()
    assert reader.next() == "UNAVAILABLE"


def test_the_client_tells_it(host, used_up):
    d, c = used_up
    home = host.folder()  # where the reader may go
    program = shutil.copy(paths.CLIENT, home)
    reader = host.process(*READER, program, "--target", d.target, "-o", "null", "poll", stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, env={**os.environ, "HOME": home})
    until(lambda: held_until(c), 5, "its request")
    c.poll()
    text = reader.communicate(timeout=bound(5))[1]
    assert "held back" in text and "by max_cpu_percent" in text
    c.poll()  # the figures are of the end of the last poll
    done = subprocess.run([str(paths.CLIENT), "--target", d.target, "-o", "table", "status"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, timeout=60)
    assert "1 poll on request held back by max_cpu_percent" in done.stdout
