"""Following ten sockets among many, a hundred times a second: what the daemon needs in all, messages included."""

import contextlib
import statistics
import subprocess
import time

from suite.process import Daemon, Failed, Job, inside, until

WATCHED = 10
INTERVAL_MS = 10
BOUND = 2.0    # percent of one CPU, for everything that the daemon does
WINDOWS = 5


def _ports(netns, count):
    """The local ports of |count| connections that have one to themselves."""
    listed = subprocess.run(inside(netns) + ["ss", "-HtnO", "state", "established"], stdout=subprocess.PIPE, text=True,
                            check=True).stdout
    seen = {}
    for line in listed.splitlines():
        port = int(line.split()[2].rsplit(":", 1)[1])
        seen[port] = seen.get(port, 0) + 1
    alone = sorted(port for port, n in seen.items() if n == 1)
    if len(alone) < count:
        raise Failed(f"{len(alone)} connections with a port of their own instead of {count}")
    return alone[:count]


def _bare(bench, netns, ports, seconds):
    """CPU in percent of a loop that does no more than the lookups and sends something as long."""
    with Job(bench.tool, "bare-lookups", INTERVAL_MS, ",".join(map(str, ports)), netns=netns) as loop:
        if loop.ready[0] != len(ports):
            raise Failed(f"{loop.ready[0]} sockets instead of {len(ports)}")
        used, wall = loop.ask(max(1, int(seconds * 1000 / INTERVAL_MS)))
        return used / wall * 100


def measure(report, bench, p):
    """A watch over five windows of time, all of it counted: ticks, searches, sending. The bare loop runs before and
    after it: beside it, each would keep the CPU warm for the other."""
    report.section(f"following {WATCHED} of {p.sockets} sockets every {INTERVAL_MS} ms")
    with contextlib.ExitStack() as stack:
        holder = stack.enter_context(Job(bench.tool, "sockets", p.sockets))
        netns = f"/proc/{holder.pid}/ns/net"
        daemon = stack.enter_context(Daemon(bench, netns))
        ports = _ports(netns, WATCHED)
        window = p.focus_seconds / WINDOWS
        bare = [_bare(bench, netns, ports, window)]
        watch = stack.enter_context(Job(bench.tool, "watch", daemon.target, INTERVAL_MS,
                                        " or ".join(f"sport = {port}" for port in ports)))
        until(lambda: watch.ask(0)[0] == WATCHED, "the first tick")
        cpu, rate, late = [], [], []
        for _ in range(WINDOWS):
            begin, start, before = time.monotonic(), daemon.cpu_ns(), watch.ask(0)
            time.sleep(window)
            after, used, seconds = watch.ask(0), daemon.cpu_ns() - start, time.monotonic() - begin
            ticks = after[1] - before[1]
            if not ticks or after[2] - before[2] != ticks * WATCHED:
                raise Failed(f"{after[2] - before[2]} rows in {ticks} ticks")
            cpu.append(used / seconds / 1e7)
            rate.append(ticks / seconds)
            late.append((after[4] - before[4]) / ticks / 1000)
        watch.end()
        bare.append(_bare(bench, netns, ports, window))
    report.add("focus.bare", "bare loop: the same lookups, a message as long", "%", bare)
    report.add("focus.cpu", "CPU of the daemon, in all", "%", cpu, BOUND)
    report.add("focus.ratio", "the same / the bare loop", "x", [value / statistics.mean(bare) for value in cpu])
    report.add("focus.rate", "ticks", "/s", rate, 1000 / INTERVAL_MS * 0.9, atleast=True)
    report.add("focus.late", "how much after its time a tick begins", "us", late)
