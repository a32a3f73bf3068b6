#!/usr/bin/python3
"""Whether only such tests were skipped as may be.

usage: skips.py REPORT ALLOWED

REPORT is what ctest wrote (--output-junit), with the output of the tests in it; ALLOWED the list (allowed_skips.txt). Prints each
skip, and exits 1 when one is not on the list, or when no test ran at all. A user other than root may skip tests that
need root.
"""
import fnmatch
import os
import re
import sys
import xml.etree.ElementTree

PYTEST = re.compile(r"^SKIPPED \[\d+\] (?:\S*/)?(test_\w+\.py)(?::\d+)?: (.*)$")
CMOCKA = re.compile(r"^\[  SKIPPED \] (test_\w+)$")


def read_allowed(path):
    """Pairs of patterns: test and reason."""
    with open(path, encoding="utf-8") as f:
        lines = [line.strip() for line in f]
    return [tuple(part.strip() for part in line.split(":", 1)) for line in lines if line and not line.startswith("#")]


def skips_of(case):
    """Pairs of a test and why it was skipped."""
    name = case.get("name")
    skipped = case.find("skipped")
    if skipped is not None:
        yield name, skipped.get("message") or ""
    for line in (case.findtext("system-out") or "").splitlines():
        if found := PYTEST.match(line):
            yield found.groups()
        elif found := CMOCKA.match(line):
            yield f"{name}/{found.group(1)}", ""


def main():
    report, allowed = sys.argv[1:]
    cases = list(xml.etree.ElementTree.parse(report).getroot().iter("testcase"))
    patterns = read_allowed(allowed)
    wrong = 0
    for test, reason in sorted({skip for case in cases for skip in skips_of(case)}):
        known = any(fnmatch.fnmatchcase(test, t) and fnmatch.fnmatchcase(reason, r) for t, r in patterns)
        wrong += not known
        print(f"skips: {test}: {reason}{'' if known else ': NOT ALLOWED by ' + allowed}")
    if not cases:
        print("skips: no test ran")
    sys.exit(1 if not cases or (wrong and os.geteuid() == 0) else 0)


if __name__ == "__main__":
    main()
