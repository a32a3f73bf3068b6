"""Floods of HTTP/2 by tool/flood_tool.c, and what others notice of them."""

import json
import os
import subprocess
import time
import types

from . import paths
from .waiting import bound

TOOL = paths.BUILD / "tests" / "flood_tool"
NOBODY = 65534
PERIOD_S = 0.1  # of the polls that a Subscriber looks at

KINDS = ("resets", "calls", "unread", "trickle", "settings", "ping", "window", "priority", "unknown", "data",
         "continuation", "field", "headers", "opened", "body", "gzip", "deflate", "watch", "connect", "idle", "mixed")

STATUS = "/xtcp_status.v1.StatusService/Get"
HEALTH = "/grpc.health.v1.Health/Check"


def _options(uid, source):
    options = ["--uid", str(uid)] if uid is not None else []
    return [*options, "--from", source] if source else options


class Flood:
    """A flood that has begun, of a |kind| and over so many connections; it ends by itself."""

    def __init__(self, host, kind, target, connections, seconds, uid=NOBODY, source=None, comes_back=True):
        self.seconds = seconds
        once = [] if comes_back else ["--once"]
        self._process = host.process(str(TOOL), *_options(uid, source), *once, kind, target, str(connections),
                                     str(seconds), stdout=subprocess.PIPE, text=True)
        host.keep(self._process.stdout)

    def figures(self):
        """Its figures, at its end: .bytes_sent, .frames_sent, .calls_sent, .opened, .closed_by_peer, …"""
        out, _ = self._process.communicate(timeout=self.seconds + bound(30))
        assert self._process.returncode == 0, out
        return types.SimpleNamespace(**json.loads(out))


class Discard:
    """A server at |listen| that throws everything away; `target` is for the flood."""

    def __init__(self, host, listen):
        self._process = host.process(str(TOOL), "discard", listen, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     text=True)
        host.keep(self._process.stdin)
        host.keep(self._process.stdout)
        where = self._process.stdout.readline().strip()
        assert where, "flood_tool has ended"
        self.target = listen if where == "unix" else where
        if where == "unix":
            os.chmod(listen.removeprefix("unix:"), 0o666)

    def close(self):
        self._process.stdin.close()
        self._process.wait()


class Probe:
    """A caller in a process of its own who makes one call after the other, with a rest of 5 ms between them."""

    def __init__(self, host, target, method=STATUS, uid=None, source=None):
        self._process = host.process(str(TOOL), *_options(uid, source), "probe", target, method,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        host.keep(self._process.stdin)
        host.keep(self._process.stdout)
        assert self._process.stdout.readline() == "ready\n"

    def figures(self):
        """How the calls since the last time went: .count (answered), .failures, .median_ms, .p99_ms, .max_ms, …

        Waits for the answer of the call that is under way, and so for five seconds when there is none.
        """
        self._process.stdin.write("tell\n")
        return types.SimpleNamespace(**json.loads(self._process.stdout.readline()))


class Subscriber:
    """A reader of all polls of a daemon, one each |period| of seconds, that checks whether they come."""

    def __init__(self, host, client, period=PERIOD_S):
        self.period_ns = period * 1e9
        self._stream = host.enter(client.edges())
        self._last = self._stream.polls(1)[0]

    def _polls(self):
        """The last poll of the last time, all that have come since, and one that has begun from now on."""
        now = time.time_ns()
        polls = [self._last]
        while polls[-1].begin.timestamp_ns < now:
            polls += self._stream.polls(1)
        self._last = polls[-1]
        return polls

    def figures(self):
        """How the polls since the last time came: .count, .missing, .lost (rows), .late_ms (of the latest begin)."""
        polls = self._polls()
        begins = [p.begin.timestamp_ns for p in polls]
        shifts = [begin - n * self.period_ns for n, begin in enumerate(begins)]
        return types.SimpleNamespace(count=len(polls) - 1, lost=sum(p.end.rows_lost for p in polls[1:]),
                                     missing=round((begins[-1] - begins[0]) / self.period_ns) - (len(polls) - 1),
                                     late_ms=(max(shifts) - min(shifts)) / 1e6)
