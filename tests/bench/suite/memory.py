"""The memory in use: idle, after many sockets, after many polls."""

import contextlib
import os

from suite.isolate import bind, unbind
from suite.namespaces import many
from suite.process import Daemon, Job, Readers, rss_kib, status_of, until

IDLE_BOUND_MIB = 16
AFTER_BOUND_MIB = 2     # what a large poll leaves behind
ROW_BYTES = 250         # of a socket in a batch, about: what a copy of the table would take
PEAK_SHARE = 1 / 2      # of such a copy, while it is being polled
GROWTH_BOUND_KIB = 256  # over all polls: noise


def _mib(kib):
    return kib / 1024


def measure_table(report, bench, p):
    """Idle, and one daemon that meets a large table and loses sight of it again."""
    report.section(f"memory: idle, and {p.memory_sockets} sockets")
    names = os.path.join(bench.folder, "table")
    os.makedirs(names)
    with contextlib.ExitStack() as stack:
        holder = stack.enter_context(Job(bench.tool, "sockets", p.memory_sockets))
        home = stack.enter_context(Job(bench.tool, "sockets", 0))
        daemon = stack.enter_context(Daemon(bench, f"/proc/{home.pid}/ns/net", names))
        daemon.poll(3, 0)
        idle = rss_kib(daemon.pid)
        bind(f"/proc/{holder.pid}/ns/net", f"{names}/large")
        try:
            until(lambda: daemon.status().namespaces == 2, "the large namespace to be known")
            daemon.poll(3, p.memory_sockets)
            after, peak = rss_kib(daemon.pid), status_of(daemon.pid, "VmHWM")
        finally:
            unbind(f"{names}/large")
    copy = p.memory_sockets * ROW_BYTES / 1024
    report.add("memory.idle", "resident, idle", "MiB", [_mib(idle)], IDLE_BOUND_MIB)
    report.add("memory.peak", "more at its peak, no reader", "MiB", [_mib(peak - idle)], _mib(copy) * PEAK_SHARE,
               note=f"a copy of the table: {_mib(copy):.0f} MiB")
    report.add("memory.after", "more between polls, three polls later", "MiB", [_mib(after - idle)], AFTER_BOUND_MIB)


def measure_growth(report, bench, p):
    """Many polls of some namespaces, with a reader."""
    count, per_namespace = 20, 10
    report.section(f"memory: {p.growth_polls} polls of {count} namespaces of {per_namespace} sockets, one subscriber")
    sockets = count * per_namespace
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(many(bench, count, per_namespace))
        home = stack.enter_context(Job(bench.tool, "sockets", 0))
        daemon = stack.enter_context(Daemon(bench, f"/proc/{home.pid}/ns/net", folder))
        readers = stack.enter_context(Readers(bench, daemon, 1, 256))
        until(lambda: daemon.status().namespaces == count + 1, f"{count} namespaces to be known")

        def poll(times):
            for _ in range(times):
                daemon.trigger()
                readers.wait(sockets)

        poll(max(10, p.growth_polls // 5))
        before = rss_kib(daemon.pid), status_of(daemon.pid, "Threads"), len(os.listdir(f"/proc/{daemon.pid}/fd"))
        poll(p.growth_polls)
        after = rss_kib(daemon.pid), status_of(daemon.pid, "Threads"), len(os.listdir(f"/proc/{daemon.pid}/fd"))
    report.add("memory.growth", "more after these polls", "KiB", [after[0] - before[0]], GROWTH_BOUND_KIB,
               note=f"{_mib(after[0]):.1f} MiB")
    report.add("memory.threads", "more threads", "", [after[1] - before[1]], 0 if p.growth_polls >= 1000 else None,
               note=f"{after[1]}")
    report.add("memory.fds", "more descriptors", "", [after[2] - before[2]], 0, note=f"{after[2]}")
