"""Rows, their bounds, the table and the file."""

import dataclasses
import json
import os
import platform
import statistics
import time


@dataclasses.dataclass
class Row:
    """One figure: a sample for each round. |bound| is the most, or with |atleast| the least, that its median may be."""

    key: str
    what: str
    unit: str
    samples: list
    bound: float = None
    atleast: bool = False
    note: str = ""
    relax: float = 1.0

    @property
    def median(self):
        return statistics.median(self.samples)

    @property
    def quartiles(self):
        """The middle half of the samples."""
        if len(self.samples) < 3:
            return min(self.samples), max(self.samples)
        low, _, high = statistics.quantiles(self.samples, n=4, method="inclusive")
        return low, high

    @property
    def limit(self):
        """The bound that counts on this machine."""
        if self.bound is None:
            return None
        return self.bound / self.relax if self.atleast else self.bound * self.relax

    @property
    def ok(self):
        if self.bound is None:
            return None
        return self.median >= self.limit if self.atleast else self.median <= self.limit

    def json(self):
        low, high = self.quartiles
        return {"key": self.key, "what": self.what, "unit": self.unit, "median": self.median, "p25": low, "p75": high,
                "min": min(self.samples), "max": max(self.samples), "rounds": len(self.samples), "bound": self.bound,
                "bound_is": "least" if self.atleast else "most", "limit": self.limit, "ok": self.ok, "note": self.note,
                "samples": self.samples}


def text(value):
    """Three digits that count."""
    if value is None:
        return "-"
    size = abs(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"


class Report:
    """Everything that was measured, in order; prints as it goes."""

    def __init__(self, relax, bounds=True):
        self.relax = relax
        self.bounds = bounds
        self.rows = []
        self.skipped = []

    def section(self, title):
        """Begins a part of the table."""
        print(f"\n{title}", flush=True)

    def add(self, key, what, unit, samples, bound=None, **more):
        """Takes a row and prints it."""
        row = Row(key, what, unit, list(samples), bound if self.bounds else None, relax=self.relax, **more)
        self.rows.append(row)
        low, high = row.quartiles
        verdict = "" if row.ok is None else "ok" if row.ok else "MISSED"
        sign = "" if row.bound is None else ">= " if row.atleast else "<= "
        bound_text = f"{sign}{text(row.limit)}" if row.bound is not None else ""
        print(f"  {what:<58} {text(row.median):>7} {unit:<8} {text(low) + ' .. ' + text(high):>18} {bound_text:>9} {verdict:<6}"
              f" {row.note}".rstrip(), flush=True)

    def skip(self, what, why):
        """Says that something was not measured."""
        self.skipped.append({"what": what, "why": why})
        print(f"  {what}: skipped, {why}", flush=True)

    @property
    def missed(self):
        return [row for row in self.rows if row.ok is False]

    def write(self, path, parameters, load):
        """The file for programs."""
        with open("/proc/sys/kernel/osrelease", encoding="ascii") as f:
            kernel = f.read().strip()
        document = {"format": 1, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "kernel": kernel,
                    "machine": platform.machine(), "cpus": os.cpu_count(), "load": load, "relax": self.relax,
                    "parameters": parameters, "rows": [row.json() for row in self.rows], "skipped": self.skipped,
                    "missed": [row.key for row in self.missed]}
        with open(path + ".new", "w", encoding="utf-8") as f:
            json.dump(document, f, indent=1)
            f.write("\n")
        os.replace(path + ".new", path)
