#!/usr/bin/python3
"""The cost of collecting, compared with the least possible cost. As root; `make bench` and `make bench-full` run it.

Every row compares things measured in this run, in turns, several rounds; printed are the median and the middle half of
the rounds. Exits 1 when a row misses its bound. Sockets, namespaces and processes are made in a place of their own, which
the kernel takes away when the program ends, however it ends.
"""

import argparse
import dataclasses
import json
import os
import shlex
import sys
import time

from suite import collection, focus, isolate, memory, namespaces, outputs, peer
from suite.process import Failed
from suite.report import Report

EXIT_FAILED, EXIT_USAGE, EXIT_SKIPPED = 1, 2, 77


@dataclasses.dataclass
class Parameters:
    """How much of everything. The fields are options too: --ns-sockets 20."""

    sockets: int = 20000            # in the one namespace
    rounds: int = 15
    dumps: int = 5                  # in a round, of each kind
    subscribers: tuple = (1, 10)
    fanout_sockets: int = 10000     # for many subscribers
    many_subscribers: int = 100
    fanout_rounds: int = 5
    fanout_polls: int = 2
    namespaces: tuple = (1000,)
    ns_sockets: int = 10
    ns_rounds: int = 9
    memory_sockets: int = 100000
    growth_polls: int = 1000
    peer_seconds: int = 6
    focus_seconds: int = 10


SETS = {
    "short": Parameters(),
    "full": Parameters(rounds=31, fanout_sockets=20000, namespaces=(1000, 5000), ns_rounds=15, growth_polls=5000,
                       peer_seconds=20),
    "smoke": Parameters(sockets=400, rounds=2, dumps=2, subscribers=(1, 2), fanout_sockets=200, many_subscribers=4,
                        fanout_rounds=2, fanout_polls=1, namespaces=(8,), ns_sockets=4, ns_rounds=2, memory_sockets=1000,
                        growth_polls=20, peer_seconds=2, focus_seconds=1),
}

PARTS = {
    "collection": lambda r, b, p: collection.measure(r, b, p),
    "fanout": lambda r, b, p: collection.measure_many(r, b, p),
    "namespaces": lambda r, b, p: [namespaces.measure(r, b, p, n, n >= 5000) for n in p.namespaces],
    "outputs": lambda r, b, p: outputs.measure(r, b, p),
    "focus": lambda r, b, p: focus.measure(r, b, p),
    "memory": lambda r, b, p: (memory.measure_table(r, b, p), memory.measure_growth(r, b, p)),
    "peer": lambda r, b, p: peer.measure(r, b, p),
}


def expected(p):
    """The keys of the rows that all parts together give."""
    per_ns = ("bare.cpu", "cpu", "cpu.ratio", "wall", "wall.ratio", "rss", "threads")
    keys = {"bare.cpu", "collect.cpu", "stage.parse", "stage.encode", "collect.ratio", "filter.kernel",
            "filter.few", "filter.all", "ss.cpu", "collect.ss",
            f"fanout.batch.{p.many_subscribers}", f"fanout.single.{p.many_subscribers}",
            "focus.bare", "focus.cpu", "focus.ratio", "focus.rate", "focus.late",
            "output.null", "output.protobuf-list", "output.jsonl", "output.memory",
            "memory.idle", "memory.peak", "memory.after", "memory.growth", "memory.threads", "memory.fds"}
    for kind in [f"batch.{n}" for n in p.subscribers] + [f"single.{p.subscribers[0]}"]:
        keys |= {f"{kind}.cpu", f"{kind}.ratio", f"fanout.{kind}"}
    return keys | {f"ns{n}.{name}" for n in p.namespaces for name in per_ns}


def check(path, p):
    """Whether the file holds every row, each with its figures. Returns the exit code."""
    with open(path, encoding="utf-8") as f:
        rows = {row["key"]: row for row in json.load(f)["rows"]}
    missing = expected(p) - rows.keys()
    odd = [key for key, row in rows.items() if not row["samples"] or not row["min"] <= row["median"] <= row["max"]]
    if missing or odd:
        print(f"bench: rows that are missing: {sorted(missing)}; that make no sense: {odd}", file=sys.stderr)
        return EXIT_FAILED
    return 0


@dataclasses.dataclass
class Bench:
    """Where things are."""

    daemon: str
    tool: str
    folder: str = "/run/bench"  # in a tmpfs of its own


def numbers(text):
    """A list of numbers, for the fields that are tuples."""
    return tuple(int(word) for word in text.split(","))


def read_arguments():
    words = shlex.split(os.environ.get("XTCP2_BENCH_ARGS", "")) + sys.argv[1:]
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--daemon", required=True, metavar="FILE", help="the program xtcp2")
    parser.add_argument("--tool", required=True, metavar="FILE", help="the program bench_tool")
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE too")
    parser.add_argument("--set", choices=SETS, default=os.environ.get("XTCP2_BENCH") or "short")
    parser.add_argument("--parts", metavar="NAME,...", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--relax", type=float, metavar="F", default=float(os.environ.get("XTCP2_BENCH_RELAX") or 1),
                        help="multiply the bounds by F, for machines that are not quiet")
    parser.add_argument("--check", action="store_true", help="no bounds: check that --json gets every figure")
    for field in dataclasses.fields(Parameters):
        is_list = isinstance(field.default, tuple)
        parser.add_argument("--" + field.name.replace("_", "-"), type=numbers if is_list else int,
                            metavar="N,..." if is_list else "N")
    a = parser.parse_args(words)
    if a.check and not a.json:
        parser.error("--check needs --json")
    if unknown := [name for name in a.parts.split(",") if name not in PARTS]:
        parser.error(f"--parts: {unknown[0]}: expected {', '.join(PARTS)}")
    chosen = {f.name: getattr(a, f.name) for f in dataclasses.fields(Parameters) if getattr(a, f.name) is not None}
    return a, dataclasses.replace(SETS[a.set], **chosen)


def measure(a, parameters):
    """Everything, inside the place of its own. Returns the exit code."""
    bench = Bench(a.daemon, a.tool)
    os.makedirs(bench.folder)
    report = Report(a.relax, not a.check)
    load, start = os.getloadavg(), time.monotonic()
    before = namespaces.tcp_sockets()
    print(f"xtcp2 benchmark, the {a.set} set, on {os.cpu_count()} CPUs; load {load[0]:.2f}"
          + (f"; bounds relaxed {a.relax:g} times" if a.relax != 1 else ""))
    try:
        for part in a.parts.split(","):
            PARTS[part](report, bench, parameters)
            namespaces.settle(before)
    except Failed as e:
        print(f"bench: {e}", file=sys.stderr)
        return EXIT_FAILED
    if a.json:
        report.write(a.json, dataclasses.asdict(parameters) | {"set": a.set}, {"begin": load, "end": os.getloadavg()})
    print(f"\n{len(report.rows)} rows in {time.monotonic() - start:.0f} s, load {os.getloadavg()[0]:.2f};"
          f" {len(report.missed)} missed" + (f": {', '.join(row.key for row in report.missed)}" if report.missed else ""))
    if a.check:
        return check(a.json, parameters)
    return EXIT_FAILED if report.missed else 0


def main():
    a, parameters = read_arguments()
    if os.geteuid() != 0:
        print("bench: skipped: needs root", file=sys.stderr)
        return EXIT_SKIPPED
    a.daemon, a.tool = os.path.abspath(a.daemon), os.path.abspath(a.tool)
    try:
        return isolate.run(lambda: measure(a, parameters))
    except isolate.Refused as e:
        print(f"bench: skipped: {e}", file=sys.stderr)
        return EXIT_SKIPPED
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
