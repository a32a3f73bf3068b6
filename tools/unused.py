#!/usr/bin/python3
"""Lists functions and variables that no program needs: dead ones, and those that only tests use.

usage: unused.py BUILD     the object files of a build directory, which has a compile_commands.json

A symbol that a file of ours defines for others has to be needed by another file of ours outside of tests/, or further down in its
own (parts that tests look at alone), or stand in ALLOWED with the reason. Prints each that is not, and exits 1.
"""
import pathlib
import re
import sys

import circles

# Symbols that have another use, and why.
ALLOWED = {
    "main": "where a program begins",
    "config_dump_yaml": "makes the sample configuration",
    "filter_field_name": "makes the manual page of filters",
    "dump_request": "the whole table in one call, for the bench and tests",
    "netns_enter": "for the bench and tests, whose processes stay in the namespace",
    "log_set_fd": "tests read the log",
    "rpc_stream_connected": "tests wait for it",
    "quota_used": "tests look at what users have",
    "nswatch_get_stats": "figures of the watcher, for metrics to come",
}

# Files whose symbols the dynamic linker finds.
HOOKS = circles.INSTEAD_OF_LIBC

ROOT = pathlib.Path(__file__).resolve().parent.parent


def uses_itself(source, symbol):
    """Whether |source| has |symbol| once more than where it defines it."""
    code = re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', "", source.read_text(), flags=re.S)
    return len(re.findall(rf"\b{symbol}\b", code)) > 1


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    files = circles.read_build(pathlib.Path(sys.argv[1]).resolve())
    bad = 0
    for name, (defined, _) in sorted(files.items()):
        needed = set().union(*(more for other, (_, more) in files.items() if other != name))
        for symbol in sorted(defined - needed):
            if name not in HOOKS and symbol not in ALLOWED and not uses_itself(ROOT / name, symbol):
                print(f"{name}: {symbol}: nothing outside of tests needs it")
                bad += 1
    print(f"{len(files)} files, {bad} problems")
    sys.exit(1 if bad or not files else 0)


if __name__ == "__main__":
    main()
