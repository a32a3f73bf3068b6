"""Another implementation of the daemon, given in XTCP2_PEER, at the same sockets and the same frequency."""

import contextlib
import os
import shlex
import subprocess
import time

from suite.process import Daemon, Failed, Job, Process, cpu_ns, rss_kib, status_of, until

PERIOD = 1  # seconds between polls
TARGET = "127.0.0.1:18889"
# The spelling of the Go daemon of this name; XTCP2_PEER_ARGS is for any other.
ARGUMENTS = f"-dest null: -frequency {PERIOD}s -timeout 500ms -grpcPort 18889 -promListen 127.0.0.1:19088 -d 0"


def _cpu_per_second(process, seconds):
    """CPU time of |process|, in ns for each second, over |seconds|."""
    start, since = cpu_ns(process.pid), time.monotonic()
    time.sleep(seconds)
    if not process.running():
        raise Failed(f"it has ended: {process.why()}")
    return (cpu_ns(process.pid) - start) / (time.monotonic() - since)


def _rows_per_second(bench, peer, netns, seconds):
    """The records that a client of the original schema gets from the peer."""
    with Job(bench.tool, "readers", TARGET, 1, "-", netns=netns) as reader:
        until(lambda: reader.ask(0)[1] or not peer.running(), "records of the peer", 0.1)
        start, since = reader.ask(0)[1], time.monotonic()
        time.sleep(seconds)
        rate = (reader.ask(0)[1] - start) / (time.monotonic() - since)
    if not rate:
        raise Failed(f"it sends no records: {peer.why()}")
    return rate


def _rows(report, key, what, us, kib, threads):
    report.add(f"{key}.cpu", f"{what}: CPU for each record", "us/row", us)
    report.add(f"{key}.rss", f"{what}: resident", "MiB", [kib / 1024])
    report.add(f"{key}.threads", f"{what}: threads", "", [threads])


def measure(report, bench, p):
    """Both daemons in the same namespace; what no reader gets goes nowhere. They take turns at being measured."""
    binary = os.environ.get("XTCP2_PEER")
    report.section(f"a peer: {p.sockets} sockets, a poll every {PERIOD} s, into nothing")
    if not binary:
        report.skip("peer", "XTCP2_PEER names no other daemon")
        return
    ours, theirs = [], []
    with contextlib.ExitStack() as stack:
        os.makedirs("/run/netns", exist_ok=True)
        holder = stack.enter_context(Job(bench.tool, "sockets", p.sockets))
        netns = f"/proc/{holder.pid}/ns/net"
        own = stack.enter_context(Daemon(bench, netns, options=["--poll-frequency", f"{PERIOD}s", "--poll-timeout", "500ms"]))
        words = shlex.split(os.environ.get("XTCP2_PEER_ARGS") or ARGUMENTS)
        peer = stack.enter_context(Process([binary, *words], netns, f"{bench.folder}/peer.log", stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL))
        try:
            rate = _rows_per_second(bench, peer, netns, 3 * PERIOD)
        except Failed as e:
            report.skip("peer", str(e))
            return
        window = max(1, round(p.peer_seconds / 3 / PERIOD)) * PERIOD  # whole periods: each has as many polls
        for _ in range(3):
            ours.append(_cpu_per_second(own, window) / (p.sockets / PERIOD) / 1000)
            theirs.append(_cpu_per_second(peer, window) / rate / 1000)
        _rows(report, "peer.own", "xtcp2", ours, rss_kib(own.pid), status_of(own.pid, "Threads"))
        _rows(report, "peer.other", os.path.basename(binary), theirs, rss_kib(peer.pid), status_of(peer.pid, "Threads"))
    report.add("peer.ratio", "xtcp2 / peer, CPU for each record", "x", [a / b for a, b in zip(ours, theirs)])
