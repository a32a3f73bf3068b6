"""One namespace with many sockets: what collecting them costs, and what each subscriber adds."""

import contextlib
import os
import subprocess

from suite.process import Daemon, Failed, Job, Readers, inside

COLLECT_BOUND = 1.15  # the whole collection, times a loop that only receives
SS_BOUND = 1 / 3      # the whole collection, times ss
BATCH = 256
KERNEL_BOUND = 0.1    # a filter that the kernel evaluates and that few sockets pass, times the whole collection
FILTER_BOUND = 1.1    # a filter that the collector evaluates, whatever passes, times the same
FEW = 10

# Daemon CPU per record and subscriber, in microseconds, beyond the collection itself: (rows per message, subscribers).
FANOUT_BOUNDS = {(BATCH, 1): 0.3, (BATCH, 100): 0.12, (0, 1): 2.5, (0, 100): 1.2}


def _ss(netns):
    """CPU time of one `ss -tinem`, in ns."""
    with subprocess.Popen(inside(netns) + ["ss", "-tinem"], stdout=subprocess.DEVNULL) as ss:
        _, status, usage = os.wait4(ss.pid, 0)
        ss.returncode = os.waitstatus_to_exitcode(status)
    if ss.returncode:
        raise Failed("ss -tinem has failed")
    return (usage.ru_utime + usage.ru_stime) * 1e9


class Site:
    """A namespace with sockets, the bare loop in it, and a daemon without and one with each kind of subscribers."""

    def __init__(self, stack, bench, sockets, readers):
        self.sockets = sockets
        holder = stack.enter_context(Job(bench.tool, "sockets", sockets))
        self.netns = f"/proc/{holder.pid}/ns/net"
        self.bare = stack.enter_context(Job(bench.tool, "bare", netns=self.netns))
        if self.bare.ready != [sockets]:
            raise Failed(f"{sockets} sockets were made, the kernel shows {self.bare.ready}")
        self.stages = stack.enter_context(Job(bench.tool, "stages", netns=self.netns))
        self.alone = stack.enter_context(Daemon(bench, self.netns))
        self.read = {}
        for batch_rows, count in readers:
            daemon = stack.enter_context(Daemon(bench, self.netns))
            self.read[batch_rows, count] = daemon, stack.enter_context(Readers(bench, daemon, count, batch_rows))

    def bare_ns(self, dumps):
        """CPU time of one bare dump."""
        cpu, _ = self.bare.ask(dumps)
        return cpu / dumps

    def stage_ns(self, stage, times):
        """CPU time of one collection up to |stage|, parse or collect, without a daemon."""
        return self.stages.ask(f"{stage} {times}")[0] / times

    def ports(self, count):
        """A range of local ports, LOW-HIGH, in which |count| sockets are."""
        listed = subprocess.run(inside(self.netns) + ["ss", "-HtnO", "state", "established"], stdout=subprocess.PIPE,
                                text=True, check=True).stdout
        ports = sorted(int(line.split()[2].rsplit(":", 1)[1]) for line in listed.splitlines())
        for i in range(len(ports) - count):  # the listeners' ports are on many sockets, some automatic ones on two
            if ports[i + count - 1] < ports[i + count] and (i == 0 or ports[i - 1] < ports[i]):
                return f"{ports[i]}-{ports[i + count - 1]}"
        raise Failed(f"no range of ports has {count} sockets")

    def filtered_ns(self, expression, rows, times):
        """CPU time of one collection of what passes |expression|, which is |rows| sockets, without a daemon."""
        cpu, found = self.stages.ask(f"filter {times} {expression}")
        if found != rows * times:
            raise Failed(f"{expression}: {found / times:g} sockets instead of {rows}")
        return cpu / times

    def alone_ns(self, polls):
        """CPU time of one poll nobody reads."""
        return self.alone.poll(polls, self.sockets)[0]

    def read_ns(self, kind, polls):
        """CPU time of one poll that the subscribers of |kind| read."""
        daemon, readers = self.read[kind]
        return daemon.poll(polls, self.sockets, lambda: readers.wait(self.sockets))[0]


def _who(count):
    return f"{count} subscriber" + "s" * (count != 1)


def _form(batch_rows):
    return f"{batch_rows} rows per message" if batch_rows else "one record per message"


def _fanout_row(report, kind, costs, bare, sockets):
    batch_rows, count = kind
    key = f"fanout.{'batch' if batch_rows else 'single'}.{count}"
    ratios = sorted(c / b for c, b in zip(costs, bare))
    report.add(key, f"fan-out: {_form(batch_rows)}, {_who(count)}", "us/row",
               [c / 1000 for c in costs], FANOUT_BOUNDS.get(kind),
               note=f"{ratios[len(ratios) // 2]:.2f} x bare, {sockets} sockets")


def measure(report, bench, p):
    """Collection, and subscribers that take batches."""
    n = p.sockets
    kinds = [(BATCH, count) for count in p.subscribers] + [(0, p.subscribers[0])]
    report.section(f"{n} sockets in one namespace; CPU time, of the daemon all threads")
    bare, parse, collect, alone, ss, read = [], [], [], [], [], {kind: [] for kind in kinds}
    kernel, few, everything = [], [], []
    with contextlib.ExitStack() as stack:
        site = Site(stack, bench, n, kinds)
        ports = site.ports(FEW)
        for _ in range(p.rounds):
            bare.append(site.bare_ns(p.dumps) / n)
            parse.append(site.stage_ns("parse", p.dumps) / n)
            collect.append(site.stage_ns("collect", p.dumps) / n)
            kernel.append(site.filtered_ns(f"sport = {ports}", FEW, p.dumps) / n)
            few.append(site.filtered_ns(f"sport = {ports} or rtt > 1h", FEW, p.dumps) / n)
            everything.append(site.filtered_ns("rtt >= 0 and not (cong = none or netns != bench)", n, p.dumps) / n)
            alone.append(site.alone_ns(p.dumps) / n)
            for kind in kinds:
                read[kind].append(site.read_ns(kind, max(1, p.dumps // kind[1])) / n)
            ss.append(_ss(site.netns) / n)
    report.add("bare.cpu", "(a) bare loop, receives only", "ns/sock", bare)
    report.add("collect.cpu", "(b) collection with encoding, no reader", "ns/sock", alone)
    report.add("stage.parse", "    of it parsing, leaving out duplicates", "ns/sock", [v - a for a, v in zip(bare, parse)])
    report.add("stage.encode", "    of it encoding into batches", "ns/sock", [v - q for q, v in zip(parse, collect)])
    report.add("collect.ratio", "(b) / (a)", "x", [b / a for a, b in zip(bare, alone)], COLLECT_BOUND)
    report.add("filter.kernel", f"filtered in the kernel, {FEW} sockets pass, / everything", "x",
               [k / c for k, c in zip(kernel, collect)], KERNEL_BOUND)
    report.add("filter.few", f"filtered by the collector, {FEW} sockets pass, / everything", "x",
               [f / c for f, c in zip(few, collect)], FILTER_BOUND)
    report.add("filter.all", "the same, all of them pass, / everything", "x",
               [a / c for a, c in zip(everything, collect)], FILTER_BOUND)
    report.add("ss.cpu", "(d) ss -tinem", "ns/sock", ss)
    report.add("collect.ss", "(b) / (d)", "x", [b / d for b, d in zip(alone, ss)], SS_BOUND)
    for batch_rows, count in kinds:
        values = read[batch_rows, count]
        key = f"{'batch' if batch_rows else 'single'}.{count}"
        what = f"(c) {_who(count)}, {_form(batch_rows)}"
        report.add(f"{key}.cpu", what, "ns/sock", values)
        report.add(f"{key}.ratio", "(c) / (a)", "x", [c / a for a, c in zip(bare, values)])
    for kind in kinds:
        more = [(c - b) / kind[1] for b, c in zip(alone, read[kind])]
        _fanout_row(report, kind, more, bare, n)


def measure_many(report, bench, p):
    """Many subscribers: fewer sockets, or all would wait for the readers."""
    n, count = p.fanout_sockets, p.many_subscribers
    kinds = [(BATCH, count), (0, count)]
    report.section(f"{n} sockets in one namespace, {count} subscribers, each on a connection of its own")
    bare, more = [], {kind: [] for kind in kinds}
    with contextlib.ExitStack() as stack:
        site = Site(stack, bench, n, kinds)
        for _ in range(p.fanout_rounds):
            bare.append(site.bare_ns(p.dumps) / n)
            alone = site.alone_ns(p.dumps)
            for kind in kinds:
                more[kind].append((site.read_ns(kind, p.fanout_polls) - alone) / n / count)
    for kind in kinds:
        _fanout_row(report, kind, more[kind], bare, n)
