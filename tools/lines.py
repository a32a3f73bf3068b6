#!/usr/bin/python3
"""Counts lines of code, comments and blank lines apart, and the assertions of tests: for comparing two states of the tree.

usage: lines.py [REVISION...]     the working tree, and commits of git

C, headers, .def tables: a line counts when something but a comment stands on it.
"""
import collections
import pathlib
import re
import subprocess
import sys

FOLDERS = "lib model record filter config nswatch inet_diag collectors outputs rpc server client".split()
COMMENT = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)
ASSERTION = re.compile(r"\b(assert\w*|fail_msg|CHECK|until|expect\w*)\s*\(|^\s*assert\b", re.M)


def code_lines(text):
    bare = COMMENT.sub(lambda m: m.group(0) if m.group(0)[0] == '"' else re.sub(r"[^\n]", "", m.group(0)), text)
    return sum(1 for line in bare.splitlines() if line.strip())


def files_of(revision):
    """Pairs of the path and the text of each file."""
    listing = ["git", "ls-files"] if revision is None else ["git", "ls-tree", "-r", "--name-only", revision]
    for path in subprocess.run(listing, capture_output=True, text=True, check=True).stdout.splitlines():
        if not re.search(r"\.(c|h|def|py)$", path) or path.startswith("tests/data/"):
            continue
        if revision is None:
            yield path, pathlib.Path(path).read_text(encoding="utf-8")
        else:
            yield path, subprocess.run(["git", "show", f"{revision}:{path}"], capture_output=True, text=True, check=True).stdout


def main():
    counts = {}
    revisions = [None, *sys.argv[1:]]
    for revision in revisions:
        count = counts[revision] = collections.Counter()
        for path, text in files_of(revision):
            top = path.split("/")[0]
            if top in FOLDERS and not path.endswith(".py"):
                count[top] += code_lines(text)
                count["all"] += code_lines(text)
            elif top == "tests":
                count["assertions"] += len(ASSERTION.findall(text))
    print(f"{'':12}", *(f"{(r or 'now')[:10]:>10}" for r in revisions))
    for name in [*FOLDERS, "all", "assertions"]:
        print(f"{name:12}", *(f"{counts[r][name]:10}" for r in revisions))


if __name__ == "__main__":
    main()
