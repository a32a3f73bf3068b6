"""Many namespaces with few sockets each."""

import contextlib
import os
import time

from suite.process import Daemon, Failed, Job, rss_kib, status_of, until

CPU_BOUND = 1.15      # CPU of a poll, times a loop that enters, asks and receives in each namespace
WALL_BOUND = 0.60     # its duration, times that loop's, on two CPUs
RSS_BOUND_KIB = 40    # for each namespace
THREADS_BOUND = 512 + 32  # collector_threads_max, and all others


@contextlib.contextmanager
def many(bench, count, sockets):
    """A folder with |count| namespaces of |sockets|."""
    folder = os.path.join(bench.folder, f"ns-{count}-{sockets}")
    os.makedirs(folder)
    with Job(bench.tool, "namespaces", folder, count, sockets):
        yield folder


def tcp_sockets():
    """TCP sockets on this host that have memory, in whatever namespace: what a teardown is over by."""
    with open("/proc/net/sockstat", encoding="ascii") as f:
        words = next(line for line in f if line.startswith("TCP:")).split()
    return int(words[words.index("alloc") + 1])


def settle(before):
    """Waits until the sockets of the last measurement are gone: every dump walks over all sockets of the host."""
    end = time.monotonic() + 20
    while tcp_sockets() > before + 200 and time.monotonic() < end:
        time.sleep(0.1)


def measure(report, bench, p, count, full):
    """One poll over all of them, against the bare loop; then the memory that they take."""
    sockets = count * p.ns_sockets
    report.section(f"{count} namespaces of {p.ns_sockets} sockets")
    bare_cpu, bare_wall, cpu, wall = [], [], [], []
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(many(bench, count, p.ns_sockets))
        bare = stack.enter_context(Job(bench.tool, "bare-all", folder))
        if bare.ready != [count, sockets]:
            raise Failed(f"{count} namespaces with {sockets} sockets were made, the kernel shows {bare.ready}")
        # In an empty namespace of its own, that the others be all it finds.
        home = stack.enter_context(Job(bench.tool, "sockets", 0))
        netns = f"/proc/{home.pid}/ns/net"
        with Daemon(bench, netns) as idle:
            idle.poll(3, 0)
            idle_kib = rss_kib(idle.pid)
        daemon = stack.enter_context(Daemon(bench, netns, folder))
        until(lambda: daemon.status().namespaces == count + 1, f"{count} namespaces to be known", 0.1)
        daemon.poll(1, sockets)
        for _ in range(p.ns_rounds if count <= 1000 else 3):
            one_cpu, one_wall = bare.ask(1)
            bare_cpu.append(one_cpu / 1e6)
            bare_wall.append(one_wall / 1e6)
            one_cpu, one_wall = daemon.poll(1, sockets)
            cpu.append(one_cpu / 1e6)
            wall.append(one_wall / 1e6)
        rss, threads = rss_kib(daemon.pid), status_of(daemon.pid, "Threads")
    key = f"ns{count}"
    cpus = len(os.sched_getaffinity(0))
    report.add(f"{key}.bare.cpu", "bare loop: enter, ask, receive", "ms", bare_cpu, note="CPU")
    report.add(f"{key}.cpu", "poll", "ms", cpu, note="CPU")
    report.add(f"{key}.cpu.ratio", "poll / bare loop, CPU", "x", [c / b for b, c in zip(bare_cpu, cpu)],
               CPU_BOUND)
    report.add(f"{key}.wall", "poll, from begin to end", "ms", wall, note=f"bare loop {sorted(bare_wall)[len(wall) // 2]:.0f} ms")
    report.add(f"{key}.wall.ratio", "poll / bare loop, duration", "x", [w / b for b, w in zip(bare_wall, wall)],
               WALL_BOUND if cpus >= 2 else None, note=f"on {cpus} CPUs")
    report.add(f"{key}.rss", "resident memory for each namespace", "KiB", [(rss - idle_kib) / count], RSS_BOUND_KIB,
               note=f"{rss / 1024:.1f} MiB in all; kernel stacks apart: {threads * 16 / 1024:.1f} MiB")
    report.add(f"{key}.threads", "threads", "", [threads], THREADS_BOUND if full else None)
