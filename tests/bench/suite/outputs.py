"""Outputs: what delivering every record costs, beside collecting them."""

import contextlib
import os

from suite.process import Daemon, Failed, Job, rss_kib

# CPU of the whole daemon, times the collection that nobody reads.
BOUNDS = {"null": 1.05, "protobuf-list": 1.20, "jsonl": 3.0}
MEMORY_BOUND = 40 * 1024  # KiB: the queue of 32 MiB and 8 MiB for what is under way


class Delivering(Daemon):
    """A daemon with one output."""

    def __init__(self, bench, netns, to, form, path=None):
        self.path = path
        super().__init__(bench, netns, options=("--outputs", f'[{{name: out, to: "{to}", format: {form}}}]'))

    def cost(self, polls, sockets):
        """CPU time of a poll whose records are delivered."""
        cost, _ = self.poll(polls, sockets)
        if self.path:
            if not os.path.getsize(self.path):
                raise Failed(f"{self.path}: nothing was written")
            os.truncate(self.path, 0)
        return cost


def measure(report, bench, p):
    """A namespace, and a daemon for each kind of output."""
    n = p.sockets
    report.section(f"{n} sockets in one namespace, with an output; CPU time of all threads, / that without any")
    with contextlib.ExitStack() as stack:
        holder = stack.enter_context(Job(bench.tool, "sockets", n))
        netns = f"/proc/{holder.pid}/ns/net"
        alone = stack.enter_context(Daemon(bench, netns))
        kinds = {"null": stack.enter_context(Delivering(bench, netns, "null", "protobuf-list"))}
        for form in ("protobuf-list", "jsonl"):
            path = f"{bench.folder}/out.{form}"
            kinds[form] = stack.enter_context(Delivering(bench, netns, f"file:{path}", form, path))
        costs, base = {kind: [] for kind in kinds}, []
        for _ in range(p.rounds):
            base.append(alone.poll(p.dumps, n)[0])
            for kind, daemon in kinds.items():
                costs[kind].append(daemon.cost(p.dumps, n))
        memory = [rss_kib(daemon.pid) - rss_kib(alone.pid) for daemon in kinds.values()]
    for kind, values in costs.items():
        what = "null, formatted and dropped" if kind == "null" else f"file, {kind}"
        report.add(f"output.{kind}", what, "x", [v / b for v, b in zip(values, base)], BOUNDS[kind])
    report.add("output.memory", "memory beside that, the most of them", "KiB", [max(memory)], MEMORY_BOUND)
