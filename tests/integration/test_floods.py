"""Floods: an unprivileged user sends calls and frames of HTTP/2 as fast as they are taken, in every way and everywhere.

The daemon lives in 128 MiB, root's calls are answered as if nothing were, polls begin in time, and the memory comes
back. XTCP2_SOAK=1 makes it all kinds everywhere for 10 seconds each, instead of a choice for one.
"""

import os

import pytest

from harness import flood, memory
from harness.certs import NAME, Authority
from harness.memory import MIB
from harness.waiting import SLOW, bound

SOAK = os.environ.get("XTCP2_SOAK", "0") not in ("", "0")
SECONDS = 10 if SOAK else 0.8
BASELINE_SECONDS = 3 if SOAK else 0.4
AFTER_SECONDS = 60 if SOAK else 10

GROUP_BYTES = 128 * MIB
ADDRESS_SPACE = 2048 * MIB
ANY = 1 << 40  # a sanitizer keeps what is freed
RISE_BYTES = 64 * MIB if SLOW == 1 else ANY
STAYS_BYTES = (24 if SOAK else 40) * MIB if SLOW == 1 else ANY
MEDIAN_MS, P99_MS, LATE_MS = 10, 250, 150  # median, 99th percentile; how late a poll may begin
LOG_LINES = 1000

# The least size of a flood: its connections, and the amount over each of them.
FEW_CONNECTIONS = 4
SOCKET_BYTES = 50000

NEIGHBOUR = 64001  # a user who floods nobody

LISTENERS = ("tcp", "unix", "tls", "health")
CONNECTIONS = (1, 20, 200)

# Each kind once at least; what has come in by every listener: plain ones, whole ones, control frames, inflated ones.
SHORT = [
    ("tcp", "resets", 1), ("unix", "resets", 20), ("tls", "resets", 20), ("health", "resets", 200),
    ("tcp", "calls", 20), ("unix", "calls", 1), ("tls", "calls", 1), ("health", "calls", 20),
    ("tcp", "ping", 20), ("unix", "ping", 200), ("tls", "ping", 1), ("health", "ping", 1),
    ("tcp", "gzip", 1), ("unix", "gzip", 20), ("tls", "gzip", 1), ("health", "gzip", 20),
    ("tcp", "unread", 20), ("unix", "trickle", 20), ("tcp", "settings", 1), ("tcp", "window", 20),
    ("tcp", "field", 1), ("tls", "field", 20), ("tcp", "priority", 20), ("health", "unknown", 20), ("unix", "data", 1), ("tcp", "continuation", 20),
    ("unix", "headers", 1), ("tcp", "opened", 1), ("unix", "body", 20), ("tcp", "deflate", 20),
    ("health", "watch", 20), ("tls", "connect", 20), ("tcp", "idle", 200), ("unix", "mixed", 20),
]
EVERYTHING = [(w, k, n) for k in flood.KINDS for w in LISTENERS for n in CONNECTIONS]


class Site:
    """A daemon in bounded memory with a |listener| to be flooded; root and a neighbour call it by a unix socket."""

    def __init__(self, host, listener):
        self.host = host
        self.listener = listener
        folder = host.folder()
        listen = [f"unix:{folder}/s"] + (["127.0.0.1:0"] if listener == "tcp" else [])
        bounded = () if SLOW > 1 else host.keep(memory.Bound(GROUP_BYTES, ADDRESS_SPACE)).wrapper
        self.daemon = host.daemon("--poll-frequency", f"{round(flood.PERIOD_S * 1000)}ms", "--poll-timeout", "90ms",
                                  "--unix-socket-mode", "0666", *self._options(folder), listen=listen, wrapper=bounded)
        self.daemon.allow("")  # it may say what it likes, but not as often as it likes
        self.root = flood.Probe(host, self.daemon.target)
        self.neighbour = flood.Probe(host, self.daemon.target, uid=NEIGHBOUR)
        self.subscriber = flood.Subscriber(host, host.connect(self.daemon))

    def _options(self, folder):
        if self.listener == "health":
            return ("--grpc-health-listen", "127.0.0.1:0")
        if self.listener == "tls":
            cert, key = Authority(folder, "ours").issue("server", cn="daemon", sans=[NAME])
            return ("--grpc-tls-listen", "127.0.0.1:0", "--tls-cert-file", cert, "--tls-key-file", key)
        return ()

    @property
    def target(self):
        """The target of the flood."""
        if self.listener == "unix":
            return self.daemon.target
        where = self.daemon.wait_log(r"listening on (127\S+)")[1]
        return f"tls:{where}" if self.listener == "tls" else where

    def ask(self):
        """How the calls of root and of the neighbour went since the last time."""
        return self.root.figures(), self.neighbour.figures()

    def baseline(self, connections):
        """How root's calls go while a flood as large goes to somebody who throws it away."""
        sink = flood.Discard(self.host, f"unix:{self.host.folder()}/d" if self.listener == "unix" else "127.0.0.1:0")
        self.ask()
        flood.Flood(self.host, "ping", sink.target, connections, BASELINE_SECONDS).figures()
        found, _ = self.ask()
        sink.close()
        return found


class Course:
    """The effect of a flood on itself and on others; `faults` lists the effects that others should not notice."""

    def __init__(self, site, kind, connections):
        self.site = site
        self.kind = kind
        self.faults = []
        self.polls = None
        site.subscriber.figures()
        site.ask()
        self.memory = site.host.keep(memory.Watch(site.daemon.pid))
        self.did = flood.Flood(site.host, kind, site.target, connections, SECONDS).figures()
        self.root, self.neighbour = site.ask()
        self.memory.close()
        self.after = self._end()
        self._judge_flood(connections)
        self._judge_calls()
        self._judge_memory()

    def _expect(self, good, text):
        if not good:
            self.faults.append(text)

    def _end(self):
        """How the polls were while it went on; returns how much memory is held a while later."""
        if self.site.daemon.process.poll() is not None:
            self.faults.append(f"the daemon has ended: {self.site.daemon.process.returncode}")
            self.site.daemon.kill()  # nothing is left to stop
            return 0
        try:
            self.polls = self.site.subscriber.figures()
        except AssertionError as e:
            self.faults.append(f"polls do not come: {e}")
        else:
            self._judge_polls(self.polls)
        return self.memory.falls_to(self.memory.start + STAYS_BYTES, bound(AFTER_SECONDS))

    def _judge_polls(self, polls):
        self._expect(polls.missing == 0, f"{polls.missing} polls are missing")
        self._expect(polls.lost == 0, f"{polls.lost} rows are lost")
        self._expect(polls.late_ms <= bound(LATE_MS), f"a poll was {polls.late_ms:.0f} ms late")

    def _judge_flood(self, connections):
        """It was one: as much as sockets take by themselves, or connections that were closed or not let in."""
        did = self.did
        some = min(connections, FEW_CONNECTIONS)
        kept_out = did.closed_by_peer + did.refused >= some
        self._expect(did.opened >= some or kept_out, "few connections were opened")
        if self.kind == "connect":
            self._expect(did.opened + did.refused >= 100, "few connections were made")
        elif self.kind != "idle":
            self._expect(did.bytes_sent >= SOCKET_BYTES * some or kept_out, "little was sent")

    def _judge_calls(self):
        for whose, calls in (("root's", self.root), ("the neighbour's", self.neighbour)):
            self._expect(calls.failures == 0, f"{calls.failures} of {whose} {calls.count + calls.failures} calls had no answer")
            if SLOW > 1:
                continue  # of the few calls that a sanitizer leaves time for, these say nothing
            self._expect(calls.median_ms <= MEDIAN_MS, f"{whose} median is {calls.median_ms:.1f} ms")
            self._expect(calls.p99_ms <= P99_MS, f"{whose} p99 is {calls.p99_ms:.0f} ms")

    def _judge_memory(self):
        rise = self.memory.peak - self.memory.start
        self._expect(rise <= RISE_BYTES, f"memory rose by {rise / MIB:.0f} MiB")
        stays = self.after - self.memory.start
        self._expect(stays <= STAYS_BYTES, f"{stays / MIB:.0f} MiB more are held afterwards")
        lines = self.site.daemon.log().count("\n")
        self._expect(lines <= LOG_LINES, f"{lines} lines in the log")

    def __str__(self):
        m, d = self.memory, self.did
        polls = f"{self.polls.count} polls, {self.polls.late_ms:.0f} ms late" if self.polls else "no polls"
        return (f"memory {m.start / MIB:.0f}, {m.peak / MIB:.0f}, {self.after / MIB:.0f} MiB (before, at most, after); "
                f"root {_times(self.root)}; neighbour {_times(self.neighbour)}; {polls}; "
                f"{d.bytes_sent / 1e6:.1f} MB, {d.frames_sent} frames, {d.calls_sent} calls sent, "
                f"{d.answers} answered; {d.opened} connections, {d.closed_by_peer} closed by the daemon")


def _times(calls):
    missed = f" and {calls.failures} without an answer" if calls.failures else ""
    return f"{calls.count} calls{missed}, {calls.median_ms:.1f}, {calls.p99_ms:.1f}, {calls.max_ms:.1f} ms"


_baselines = {}


# Under ThreadSanitizer it is the threads that matter, not each kind of frame.
CHOICE = EVERYTHING if SOAK else SHORT if SLOW < 10 else SHORT[::3]


@pytest.mark.parametrize("listener,kind,connections", CHOICE)
def test_flood(host, capfd, listener, kind, connections):
    site = Site(host, listener)
    like = (listener == "unix", connections)
    if like not in _baselines:
        _baselines[like] = site.baseline(connections)
    course = Course(site, kind, connections)
    with capfd.disabled():
        print(f"\n  {kind} x {connections} by {listener}: {course}; thrown away: root {_times(_baselines[like])}",
              end="", flush=True)
    assert not course.faults
